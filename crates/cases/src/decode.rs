//! From nodes to Rust values, with every mistake reported and none of them ending the work.
//!
//! [`Decode::decode`] returns `None` when there is no value to go on with, and has then said why: the caller goes on with the
//! next field. serde's way (stop at the first error) would make a file with ten mistakes ten runs.
//!
//! The same implementations say their [`Shape`], from which come the JSON Schema and the reference documentation: what
//! is decoded, what editors complete and what is documented is one text.

use std::sync::Arc;

use indexmap::IndexMap;
use seatrial_engine::{Diagnostic, Severity};

use crate::{
    node::{Entry, Node, SyntaxError, Value},
    source::{Origin, SourceFile, Span},
    template::Reference,
};

/// A type that a node can become.
pub trait Decode: Sized {
    /// The value, or `None` after a report.
    fn decode(node: &Node, decoder: &mut Decoder) -> Option<Self>;

    /// What is accepted.
    fn shape() -> Shape;
}

/// A type that is written as one scalar, so that a template can produce it too.
pub trait Scalar: Sized {
    /// What it is called in messages and documentation, such as `duration`.
    const NAME: &'static str;

    /// Reads it from text.
    ///
    /// # Errors
    /// What is wrong with the text, as a phrase that follows it: `is no duration; write 30s, 1m30s or 500ms`.
    fn parse(text: &str) -> Result<Self, String>;

    /// Its JSON Schema.
    fn json_schema() -> serde_json::Value;
}

impl<T: Scalar> Decode for T {
    fn decode(node: &Node, decoder: &mut Decoder) -> Option<Self> {
        let Some(text) = node.text().filter(|_| !node.is_null() || T::NAME == "text") else {
            decoder.wrong_type(node, T::NAME);
            return None;
        };
        T::parse(text)
            .map_err(|wrong| decoder.error(node.span, format!("`{text}` {wrong}")))
            .ok()
    }

    fn shape() -> Shape {
        Shape::Scalar {
            name: T::NAME,
            schema: T::json_schema,
            template: false,
        }
    }
}

/// What a type accepts, for the JSON Schema and the reference.
#[derive(Clone)]
pub enum Shape {
    /// One scalar; `template` when placeholders may stand in it.
    Scalar {
        /// Its name in the documentation.
        name: &'static str,
        /// Its JSON Schema.
        schema: fn() -> serde_json::Value,
        /// Whether `{{ }}` may stand in it.
        template: bool,
    },
    /// One of some words, each with its meaning.
    Words(&'static [(&'static str, &'static str)]),
    /// Anything.
    Any,
    /// A list.
    List(Box<Shape>),
    /// A mapping of free names.
    Map(Box<Shape>),
    /// One of several.
    OneOf(Vec<Shape>),
    /// A declared structure.
    Struct(fn() -> &'static StructInfo),
    /// A procedure: a list of steps.
    Steps,
}

/// A declared structure.
pub struct StructInfo {
    /// Its name in the schema and in headings.
    pub name: &'static str,
    /// Its documentation.
    pub doc: String,
    /// Its fields, in the order of the documentation.
    pub fields: Vec<FieldInfo>,
    /// The field that a value which is no mapping stands for.
    pub short: Option<&'static str>,
}

impl StructInfo {
    /// The field that a value which is no mapping stands for.
    pub fn short_field(&self) -> Option<&FieldInfo> {
        self.fields.iter().find(|field| Some(field.key) == self.short)
    }
}

/// A field of a declared structure.
pub struct FieldInfo {
    /// Its key.
    pub key: &'static str,
    /// Other keys for it, kept for files written for other tools.
    pub aliases: &'static [&'static str],
    /// Its documentation.
    pub doc: String,
    /// Whether it must be there, or what holds when it is not.
    pub presence: Presence,
    /// What it accepts.
    pub shape: Shape,
}

/// Whether a field must be there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It must.
    Required,
    /// It need not; absent means none of it.
    Optional,
    /// It need not; absent means this, as it would be written.
    Default(&'static str),
}

/// A place in a template that was seen while decoding, to be checked once the names in scope are known.
#[derive(Clone, Debug)]
pub struct TemplateUse {
    /// What it refers to.
    pub references: Vec<Reference>,
    /// The template.
    pub origin: Origin,
}

/// Collects what is wrong with one file, and the templates seen in it.
pub struct Decoder {
    file: Arc<SourceFile>,
    diagnostics: Vec<Diagnostic>,
    templates: Vec<TemplateUse>,
    /// Which of the diagnostics say that a field is missing.
    missing: Vec<usize>,
}

impl Decoder {
    /// For a file.
    pub fn new(file: Arc<SourceFile>) -> Self {
        Self {
            file,
            diagnostics: Vec::new(),
            templates: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// The file.
    pub fn file(&self) -> &Arc<SourceFile> {
        &self.file
    }

    /// An origin in this file.
    pub fn origin(&self, span: Span) -> Origin {
        Origin {
            file: self.file.clone(),
            span,
        }
    }

    /// Reports an error; the result takes a label, help and notes.
    pub fn error(&mut self, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.report(Severity::Error, span, message)
    }

    /// Reports an error that may be in another file, such as the suite's.
    pub fn error_at(&mut self, origin: &Origin, message: impl Into<String>) -> &mut Diagnostic {
        self.diagnostics
            .push(diagnostic(Severity::Error, origin, message));
        let last = self.diagnostics.len() - 1;
        &mut self.diagnostics[last]
    }

    /// Reports something that is probably not meant.
    pub fn warning(&mut self, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.report(Severity::Warning, span, message)
    }

    fn report(&mut self, severity: Severity, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        let diagnostic = diagnostic(
            severity,
            &Origin {
                file: self.file.clone(),
                span,
            },
            message,
        );
        self.diagnostics.push(diagnostic);
        let last = self.diagnostics.len() - 1;
        &mut self.diagnostics[last]
    }

    /// Reports that the node is not what was wanted.
    pub fn wrong_type(&mut self, node: &Node, wanted: &str) {
        let found = node.describe();
        self.error(node.span, format!("expected {}, found {found}", article(wanted)));
    }

    /// Remembers a template to be checked against the names in scope.
    pub fn saw_template(&mut self, references: Vec<Reference>, span: Span) {
        if !references.is_empty() {
            let origin = self.origin(span);
            self.templates.push(TemplateUse { references, origin });
        }
    }

    /// The templates seen since the last call.
    pub fn take_templates(&mut self) -> Vec<TemplateUse> {
        std::mem::take(&mut self.templates)
    }

    /// Puts templates back that were taken, to be taken again.
    pub(crate) fn see_again(&mut self, templates: Vec<TemplateUse>) {
        self.templates.extend(templates);
    }

    /// The spans of the errors after the first so many.
    pub(crate) fn error_spans(&self, skip: usize) -> Vec<Span> {
        self.diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == Severity::Error)
            .skip(skip)
            .filter_map(|diagnostic| Some(diagnostic.place.as_ref()?.span.clone().into()))
            .collect()
    }

    /// Takes in what a decoder said of a part of the same tree, from which everything around these spans had been cut.
    /// What may only be said because something was cut is left out.
    pub(crate) fn adopt(&mut self, partial: Decoder, cut: &[Span]) {
        for (at, diagnostic) in partial.diagnostics.into_iter().enumerate() {
            let about_cut = diagnostic.place.as_ref().is_none_or(|place| {
                cut.iter()
                    .any(|span| place.span.start <= span.range().start && span.range().end <= place.span.end)
            });
            if !partial.missing.contains(&at) && !about_cut && !self.diagnostics.contains(&diagnostic) {
                self.diagnostics.push(diagnostic);
            }
        }
        self.templates.extend(partial.templates);
    }

    /// How many errors there are by now.
    pub fn error_count(&self) -> usize {
        self.diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == Severity::Error)
            .count()
    }

    /// Takes in what another pass over the file said.
    pub fn extend(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        self.diagnostics.extend(diagnostics);
    }

    /// Takes in what the parser refused.
    pub fn syntax(&mut self, errors: Vec<SyntaxError>) {
        for error in errors {
            self.error(error.span, error.message).help = error.help;
        }
    }

    /// Everything reported, in the order of the file.
    pub fn finish(mut self) -> Vec<Diagnostic> {
        self.diagnostics
            .sort_by_key(|diagnostic| diagnostic.place.as_ref().map(|place| place.span.start));
        self.diagnostics
    }

    /// The fields of a structure's node: reports unknown keys and a node that is no mapping.
    pub fn fields<'n>(&mut self, node: &'n Node, info: &StructInfo) -> Option<Fields<'n>> {
        let entries: &[Entry] = match &node.value {
            Value::Mapping(entries) => entries,
            _ if info.short.is_some() && !node.is_null() => {
                return Some(Fields {
                    span: node.span,
                    entries: &[],
                    short: info.short.map(|key| (key, node)),
                });
            }
            _ if node.is_null()
                && info
                    .fields
                    .iter()
                    .all(|field| field.presence != Presence::Required) =>
            {
                &[]
            }
            _ => {
                self.wrong_type(node, "mapping");
                return None;
            }
        };
        for (at, entry) in entries.iter().enumerate() {
            let is = |field: &FieldInfo, key: &str| field.key == key || field.aliases.contains(&key);
            match info.fields.iter().find(|field| is(field, &entry.key)) {
                // The keys of a mapping are unique, so only other names can say it twice.
                Some(field) if field.aliases.is_empty() => {}
                Some(field) => {
                    if let Some(other) = entries[..at].iter().find(|other| is(field, &other.key)) {
                        let message = format!(
                            "`{}` is another name of `{}`, which is given too",
                            entry.key, other.key
                        );
                        self.error(entry.key_span, message);
                    }
                }
                None if entry.key.starts_with("x-") => {}
                None => self.unknown_key(entry, info.fields.iter().map(|field| field.key)),
            }
        }
        Some(Fields {
            span: node.span,
            entries,
            short: None,
        })
    }

    /// Reports a key that means nothing here, with the nearest one that does.
    pub fn unknown_key<'k>(&mut self, entry: &Entry, known: impl IntoIterator<Item = &'k str>) {
        let known: Vec<&str> = known.into_iter().collect();
        let help = suggestion(&entry.key, known.iter().copied());
        self.error(entry.key_span, format!("unknown key `{}`", entry.key))
            .help = Some(help);
    }
}

/// A diagnostic at an origin.
pub fn diagnostic(severity: Severity, origin: &Origin, message: impl Into<String>) -> Diagnostic {
    let diagnostic = match severity {
        Severity::Error => Diagnostic::error(message),
        Severity::Warning => Diagnostic::warning(message),
    };
    diagnostic.at(&origin.file.path, &origin.file.text, origin.span.range())
}

/// `did you mean ...?` with the nearest name, else all of them.
pub fn suggestion<'k>(wrong: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(wrong, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "there are none here".to_owned(),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// The name that was probably meant.
pub fn nearest<'k>(wrong: &str, known: &[&'k str]) -> Option<&'k str> {
    let normal = |name: &str| name.to_lowercase().replace(['-', ' '], "_");
    let wrong = normal(wrong);
    known
        .iter()
        .map(|name| {
            (
                strsim::jaro_winkler(&wrong, &normal(name)),
                strsim::damerau_levenshtein(&wrong, &normal(name)),
                *name,
            )
        })
        .filter(|(similar, distance, _)| *similar >= 0.87 || *distance <= 1 + wrong.len() / 6)
        .max_by(|(a, further, _), (b, nearer, _)| a.total_cmp(b).then(nearer.cmp(further)))
        .map(|(_, _, name)| name)
}

fn article(noun: &str) -> String {
    match noun {
        "text" => "text".to_owned(),
        _ if noun.starts_with(['a', 'e', 'i', 'o']) => format!("an {noun}"),
        _ => format!("a {noun}"),
    }
}

/// The entries of one structure while its fields are taken.
pub struct Fields<'n> {
    span: Span,
    entries: &'n [Entry],
    short: Option<(&'static str, &'n Node)>,
}

impl<'n> Fields<'n> {
    fn find(&self, info: &FieldInfo) -> Option<&'n Node> {
        if let Some((_, node)) = self.short.filter(|(key, _)| *key == info.key) {
            return Some(node);
        }
        self.entries
            .iter()
            .find(|entry| &*entry.key == info.key || info.aliases.contains(&&*entry.key))
            .map(|entry| &entry.node)
    }

    /// A field that must be there.
    pub fn required<T: Decode>(&self, info: &FieldInfo, decoder: &mut Decoder) -> Option<T> {
        match self.find(info) {
            Some(node) => T::decode(node, decoder),
            None => {
                let first_line = decoder
                    .file
                    .text
                    .get(self.span.range())
                    .and_then(|text| text.lines().next())
                    .map_or(0, str::len);
                let span = Span {
                    start: self.span.start,
                    end: self.span.start + u32::try_from(first_line).unwrap_or(0),
                };
                decoder.missing.push(decoder.diagnostics.len());
                decoder.error(span, format!("`{}` is missing", info.key));
                None
            }
        }
    }

    /// A field that may be absent; `null` counts as absent.
    pub fn optional<T: Decode + Default>(&self, info: &FieldInfo, decoder: &mut Decoder) -> Option<T> {
        match self.find(info).filter(|node| !node.is_null()) {
            Some(node) => T::decode(node, decoder),
            None => Some(T::default()),
        }
    }

    /// A field that may be absent, and whose `null` is a value.
    pub fn nullable<T: Decode + Default>(&self, info: &FieldInfo, decoder: &mut Decoder) -> Option<T> {
        match self.find(info) {
            Some(node) => T::decode(node, decoder),
            None => Some(T::default()),
        }
    }

    /// A field with a default, which is written as in a file.
    pub fn or<T: Decode>(&self, info: &FieldInfo, default: &str, decoder: &mut Decoder) -> Option<T> {
        match self.find(info).filter(|node| !node.is_null()) {
            Some(node) => T::decode(node, decoder),
            None => T::decode(&Node::scalar(default, self.span), decoder),
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(node: &Node, decoder: &mut Decoder) -> Option<Self> {
        T::decode(node, decoder).map(Some)
    }

    fn shape() -> Shape {
        T::shape()
    }
}

/// Only lists; a single value is not taken for a list of one, since the reader could not tell which is meant.
impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, decoder: &mut Decoder) -> Option<Self> {
        let Value::Sequence(items) = &node.value else {
            let found = node.describe();
            decoder
                .error(node.span, format!("expected a list, found {found}"))
                .help = node
                .text()
                .filter(|_| !node.is_null())
                .map(|text| format!("a list of one is `[{text}]`"));
            return None;
        };
        // All items are visited before the verdict.
        let decoded: Vec<Option<T>> = items.iter().map(|item| T::decode(item, decoder)).collect();
        decoded.into_iter().collect()
    }

    fn shape() -> Shape {
        Shape::List(Box::new(T::shape()))
    }
}

impl<T: Decode> Decode for IndexMap<String, T> {
    fn decode(node: &Node, decoder: &mut Decoder) -> Option<Self> {
        let Value::Mapping(entries) = &node.value else {
            decoder.wrong_type(node, "mapping");
            return None;
        };
        let decoded: Vec<Option<(String, T)>> = entries
            .iter()
            .map(|entry| T::decode(&entry.node, decoder).map(|value| (entry.key.to_string(), value)))
            .collect();
        decoded.into_iter().collect()
    }

    fn shape() -> Shape {
        Shape::Map(Box::new(T::shape()))
    }
}

/// A value with the place that it was written in.
#[derive(Clone, Debug)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub origin: Origin,
}

impl<T: Decode> Decode for Located<T> {
    fn decode(node: &Node, decoder: &mut Decoder) -> Option<Self> {
        let value = T::decode(node, decoder)?;
        Some(Self {
            value,
            origin: decoder.origin(node.span),
        })
    }

    fn shape() -> Shape {
        T::shape()
    }
}

/// A node that is decoded later, when more is known.
#[derive(Clone, Debug)]
pub struct Raw(pub Node);

impl Decode for Raw {
    fn decode(node: &Node, _: &mut Decoder) -> Option<Self> {
        Some(Self(node.clone()))
    }

    fn shape() -> Shape {
        Shape::Any
    }
}

/// A procedure that is decoded later: its steps are checked one by one, each against what the ones before it saved.
#[derive(Clone, Debug, Default)]
pub struct RawSteps(pub Arc<Vec<Node>>);

impl Decode for RawSteps {
    fn decode(node: &Node, decoder: &mut Decoder) -> Option<Self> {
        match &node.value {
            Value::Sequence(items) => Some(Self(items.clone())),
            _ => {
                decoder.wrong_type(node, "list of steps");
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::Steps
    }
}
