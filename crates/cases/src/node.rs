//! A YAML file as a tree in which every node knows its bytes.
//!
//! Scalars stay text until a field says what it wants. This is what makes YAML's traps harmless: `0644` is a mode to a
//! field that wants a mode, `1.10` is a version to one that wants text, `no` is a country, and nobody guesses. Only
//! data of no declared type (`values:`, JSON bodies) is resolved, by YAML 1.2's core schema ([`Node::resolve`]).
//!
//! Refused with a span: duplicate keys, several documents, keys that are no scalars, tags, and files whose aliases
//! expand to more than [`NODES_MAX`] nodes. Aliases and `<<` merge keys are expanded here, so that nobody else knows them.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use granit_parser::{Event, Parser, ScalarStyle};

use crate::source::{SourceFile, Span};

/// The most nodes a file may have once its aliases are expanded. The largest case files have a few thousand.
pub const NODES_MAX: usize = 200_000;

/// One node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its bytes in the file.
    pub span: Span,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Value {
    /// Text, and whether it was written plain, that is without quotes and not as a block.
    Scalar {
        /// The text after YAML's escapes.
        text: Arc<str>,
        /// Without quotes, so that `null`, `true` and numbers can be meant.
        plain: bool,
    },
    /// A list. Shared, so that aliases and procedures that are decoded later cost no copy.
    Sequence(Arc<Vec<Node>>),
    /// Keys and values, in the order of the file; keys are unique.
    Mapping(Arc<Vec<Entry>>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key's text.
    pub key: Arc<str>,
    /// The key's bytes.
    pub key_span: Span,
    /// The value.
    pub node: Node,
}

/// Why a file is no tree: where, and in a phrase.
#[derive(Clone, Debug)]
pub struct SyntaxError {
    /// Where.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Node {
    /// A scalar that was not written in the file, such as a default; it borrows the span of what it stands for.
    pub fn scalar(text: &str, span: Span) -> Self {
        Self {
            span,
            value: Value::Scalar {
                text: text.into(),
                plain: true,
            },
        }
    }

    /// Whether it is `null`, `~` or nothing.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(&**text, "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&Arc<str>> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The value of a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Mapping(entries) => entries
                .iter()
                .find(|entry| &*entry.key == key)
                .map(|entry| &entry.node),
            _ => None,
        }
    }

    /// What it is, for messages: `a list`, `a mapping`, `text`.
    pub fn describe(&self) -> Cow<'static, str> {
        match &self.value {
            _ if self.is_null() => "nothing".into(),
            Value::Scalar { text, plain } => {
                let shown: String = if text.chars().count() > 40 {
                    text.chars().take(37).chain("...".chars()).collect()
                } else {
                    text.to_string()
                };
                if *plain {
                    format!("`{shown}`").into()
                } else {
                    format!("the text {shown:?}").into()
                }
            }
            Value::Sequence(_) => "a list".into(),
            Value::Mapping(_) => "a mapping".into(),
        }
    }

    /// The node as JSON by YAML 1.2's core schema. A number with a leading zero stays text: it is a mode, a zip code or
    /// an id, never the number that 1.2 would make of it.
    pub fn resolve(&self) -> serde_json::Value {
        match &self.value {
            Value::Scalar { text, plain: false } => serde_json::Value::String(text.to_string()),
            Value::Scalar { text, plain: true } => resolve_plain(text),
            Value::Sequence(items) => serde_json::Value::Array(items.iter().map(Node::resolve).collect()),
            Value::Mapping(entries) => serde_json::Value::Object(
                entries
                    .iter()
                    .map(|entry| (entry.key.to_string(), entry.node.resolve()))
                    .collect(),
            ),
        }
    }

    fn size(&self) -> usize {
        match &self.value {
            Value::Scalar { .. } => 1,
            Value::Sequence(items) => 1 + items.iter().map(Node::size).sum::<usize>(),
            Value::Mapping(entries) => 1 + entries.iter().map(|entry| 1 + entry.node.size()).sum::<usize>(),
        }
    }
}

/// A plain scalar as JSON; see [`Node::resolve`].
pub fn resolve_plain(text: &str) -> serde_json::Value {
    use serde_json::Value as Json;
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Json::Null,
        "true" | "True" | "TRUE" => return Json::Bool(true),
        "false" | "False" | "FALSE" => return Json::Bool(false),
        _ => {}
    }
    let radix = |prefix: &str, radix| {
        text.strip_prefix(prefix)
            .and_then(|digits| i64::from_str_radix(digits, radix).ok())
    };
    if let Some(number) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return number.into();
    }
    let digits = text.trim_start_matches(['+', '-']);
    let leading_zero = digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
    if leading_zero || !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return Json::String(text.into());
    }
    if let Ok(number) = text.strip_prefix('+').unwrap_or(text).parse::<i64>() {
        return number.into();
    }
    let float = digits
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    match text
        .parse::<f64>()
        .ok()
        .filter(|_| float)
        .and_then(serde_json::Number::from_f64)
    {
        Some(number) => Json::Number(number),
        None => Json::String(text.into()),
    }
}

/// Reads a file of one document. Nothing in it (only comments, or not even these) is `Ok(None)`.
///
/// # Errors
/// The first thing that is no YAML (a parser cannot go on behind it), or all that is YAML but refused, such as every
/// duplicate key.
pub fn parse(file: &SourceFile) -> Result<Option<Node>, Vec<SyntaxError>> {
    let mut options = granit_parser::Options::default();
    options.set_emit_comments(false);
    let mut builder = Builder {
        nodes: 0,
        anchors: HashMap::new(),
        refused: Vec::new(),
    };
    let mut stack: Vec<Open> = Vec::new();
    let mut document = None;
    let mut documents = 0;
    for event in Parser::new_from_str_with_options(&file.text, options) {
        let (event, span) = event.map_err(|error| {
            let at = error.marker().byte_offset().unwrap_or(file.text.len());
            let end = file.text[at..]
                .chars()
                .next()
                .map_or(at, |next| at + next.len_utf8());
            let mut errors = std::mem::take(&mut builder.refused);
            errors.push(SyntaxError {
                span: (at..end).into(),
                message: format!("not YAML: {}", error.info()),
                help: tab_help(file, at),
            });
            errors
        })?;
        let range: Span = span.byte_range().unwrap_or_default().into();
        let (node, anchor) = match event {
            Event::DocumentStart(..) => {
                documents += 1;
                if documents == 2 {
                    builder.refuse(
                        range,
                        "a second document",
                        Some("a file holds one document; split it at the `---`"),
                    );
                    return Err(builder.refused);
                }
                continue;
            }
            Event::Scalar(text, style, anchor, tag) => {
                if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
                    builder.refuse(
                        range,
                        format!("the tag `{}`", tag.original()),
                        Some("tags have no meaning here"),
                    );
                }
                let plain = style == ScalarStyle::Plain;
                (
                    Node {
                        span: trimmed(file, range),
                        value: Value::Scalar {
                            text: text.as_ref().into(),
                            plain,
                        },
                    },
                    anchor,
                )
            }
            Event::SequenceStart(_, anchor, _) => {
                stack.push(Open {
                    start: range.start,
                    anchor,
                    kind: Kind::Sequence(Vec::new()),
                });
                continue;
            }
            Event::MappingStart(_, anchor, _) => {
                stack.push(Open {
                    start: range.start,
                    anchor,
                    kind: Kind::Mapping(Vec::new(), None),
                });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = stack.pop() else { continue };
                let anchor = open.anchor;
                (builder.close(file, open, range.end), anchor)
            }
            Event::Alias(anchor) => match builder.anchors.get(&anchor) {
                Some(node) => {
                    builder.nodes += node.size();
                    (
                        Node {
                            span: range,
                            value: node.value.clone(),
                        },
                        0,
                    )
                }
                None => {
                    builder.refuse(range, "an alias inside of what it names", None);
                    return Err(builder.refused);
                }
            },
            _ => continue,
        };
        builder.nodes += 1;
        if builder.nodes > NODES_MAX {
            builder.refuse(
                node.span,
                format!("more than {NODES_MAX} nodes"),
                Some("aliases that name aliases multiply"),
            );
            return Err(builder.refused);
        }
        if anchor != 0 {
            builder.anchors.insert(anchor, node.clone());
        }
        match stack.last_mut() {
            None => document = Some(node),
            Some(Open {
                kind: Kind::Sequence(items),
                ..
            }) => items.push(node),
            Some(Open {
                kind: Kind::Mapping(entries, key),
                ..
            }) => match key.take() {
                None => *key = Some(node),
                Some(key) => entries.push((key, node)),
            },
        }
    }
    if builder.refused.is_empty() {
        Ok(document.filter(|node| !node.is_null()))
    } else {
        Err(builder.refused)
    }
}

struct Open {
    start: u32,
    anchor: usize,
    kind: Kind,
}

enum Kind {
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>, Option<Node>),
}

struct Builder {
    nodes: usize,
    anchors: HashMap<usize, Node>,
    refused: Vec<SyntaxError>,
}

impl Builder {
    fn refuse(&mut self, span: Span, message: impl Into<String>, help: Option<&str>) {
        self.refused.push(SyntaxError {
            span,
            message: message.into(),
            help: help.map(str::to_owned),
        });
    }

    fn close(&mut self, file: &SourceFile, open: Open, end: u32) -> Node {
        let span = trimmed(
            file,
            Span {
                start: open.start,
                end,
            },
        );
        match open.kind {
            Kind::Sequence(items) => Node {
                span,
                value: Value::Sequence(Arc::new(items)),
            },
            Kind::Mapping(pairs, _) => {
                let mut entries: Vec<Entry> = Vec::with_capacity(pairs.len());
                let mut merged = Vec::new();
                // Looking through a few keys is faster than hashing them, and almost all mappings have few.
                let many = pairs.len() > 32;
                let mut seen: HashMap<Arc<str>, Span> = HashMap::new();
                for (key, node) in pairs {
                    let Value::Scalar { text, plain } = &key.value else {
                        self.refuse(
                            key.span,
                            format!("{} as a key", key.describe()),
                            Some("a key is text"),
                        );
                        continue;
                    };
                    if *plain && &**text == "<<" {
                        merged.push(node);
                        continue;
                    }
                    let first = if many {
                        seen.insert(text.clone(), key.span)
                    } else {
                        entries
                            .iter()
                            .find(|entry| entry.key == *text)
                            .map(|entry| entry.key_span)
                    };
                    if let Some(first) = first {
                        let line = file.line_column(first.start as usize).0;
                        let message = format!("`{text}` is given twice");
                        self.refused.push(SyntaxError {
                            span: key.span,
                            message,
                            help: Some(format!("it is in line {line} already")),
                        });
                        continue;
                    }
                    entries.push(Entry {
                        key: text.clone(),
                        key_span: key.span,
                        node,
                    });
                }
                for source in merged {
                    self.merge(source, &mut entries);
                }
                Node {
                    span,
                    value: Value::Mapping(Arc::new(entries)),
                }
            }
        }
    }

    /// `<<: *base` or `<<: [*a, *b]`: keys that are not there yet, earlier sources first.
    fn merge(&mut self, source: Node, entries: &mut Vec<Entry>) {
        match source.value {
            Value::Mapping(from) => {
                for entry in from.iter() {
                    if entries.iter().all(|present| present.key != entry.key) {
                        entries.push(entry.clone());
                    }
                }
            }
            Value::Sequence(sources) => sources
                .iter()
                .for_each(|source| self.merge(source.clone(), entries)),
            Value::Scalar { .. } => self.refuse(source.span, "`<<` merges mappings only", None),
        }
    }
}

/// Block collections and block scalars end where the next token starts, which may be lines below: cut back to the text.
fn trimmed(file: &SourceFile, span: Span) -> Span {
    let text = file.text.get(span.range()).unwrap_or_default();
    let mut end = text.trim_end().len();
    // Comments between a block and what follows belong to what follows.
    while let Some(line) = text[..end].rfind('\n') {
        if !text[line..end].trim_start().starts_with('#') {
            break;
        }
        end = text[..line].trim_end().len();
    }
    Span {
        start: span.start,
        end: span.start + u32::try_from(end).unwrap_or(u32::MAX),
    }
}

/// A tab as indentation is the one syntax error whose message rarely names its cause.
fn tab_help(file: &SourceFile, at: usize) -> Option<String> {
    let line_start = file.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line = file.text[line_start..].lines().next().unwrap_or_default();
    let indentation = &line[..line.len() - line.trim_start().len()];
    indentation
        .contains('\t')
        .then(|| "YAML is indented by spaces, never by tabs".to_owned())
}
