//! Which step a node is, by whichever of the ways it is written.

use std::sync::Arc;

use indexmap::IndexMap;

use super::{define::Definition, options::OPTIONS};
use crate::{
    decode::{Decoder, StructInfo, nearest, suggestion},
    dialect,
    node::{Entry, Node, Value},
    source::Span,
    template::is_template,
    vocabulary::{StepInfo, VOCABULARY},
};

/// The keys by which other harnesses name a step in a value.
const NAMING_KEYS: &[&str] = &["assertion", "action", "type"];

/// What a step's name means.
pub(super) enum Meaning {
    Step(&'static StepInfo),
    Parallel,
    Defined(Arc<Definition>),
    Unserved,
}

/// A step as it is written, by whichever of the ways.
pub(super) struct Written {
    pub(super) meaning: Meaning,
    pub(super) name: String,
    pub(super) name_span: Span,
    pub(super) entries: Vec<Entry>,
    /// The source of what stands behind the name, for its name on screen.
    pub(super) label: Option<String>,
}

/// Whether a name is one of the vocabulary's.
pub(crate) fn is_vocabulary(name: &str) -> bool {
    name == "parallel" || find_step(name).is_some()
}

/// The vocabulary's step of a name, or of another harness's name for it.
pub(super) fn find_step(name: &str) -> Option<&'static StepInfo> {
    VOCABULARY
        .iter()
        .find(|info| info.name == name || info.aliases.contains(&name))
}

fn meaning(name: &str, definitions: &IndexMap<String, Arc<Definition>>) -> Option<Meaning> {
    // The suite's own come first: it may define what the vocabulary does not serve.
    if let Some(definition) = definitions.get(name) {
        return Some(Meaning::Defined(definition.clone()));
    }
    if name == "parallel" {
        return Some(Meaning::Parallel);
    }
    match find_step(name) {
        Some(info) => Some(Meaning::Step(info)),
        None => dialect::UNSERVED.contains(&name).then_some(Meaning::Unserved),
    }
}

/// Finds which step a node is.
pub(super) fn identify(
    node: &Node,
    definitions: &IndexMap<String, Arc<Definition>>,
    later: &[String],
    decoder: &mut Decoder,
) -> Option<Written> {
    let undefined = |name: &str, span: Span, decoder: &mut Decoder| {
        if later.iter().any(|one| one == name) {
            decoder
                .error(span, format!("the step `{name}` is defined further below"))
                .help = Some("a step can use those that are defined before it".into());
            return;
        }
        let known = VOCABULARY
            .iter()
            .map(|info| info.name)
            .chain(["parallel"])
            .chain(definitions.keys().map(String::as_str));
        decoder.error(span, format!("there is no step `{name}`")).help = Some(suggestion(name, known));
    };
    let entries = match &node.value {
        // A step without parameters is just its name.
        Value::Scalar { text, .. } if !node.is_null() => {
            let Some(meaning) = meaning(text, definitions) else {
                undefined(text, node.span, decoder);
                return None;
            };
            return Some(Written {
                meaning,
                name: text.to_string(),
                name_span: node.span,
                entries: Vec::new(),
                label: None,
            });
        }
        Value::Mapping(entries) => entries,
        _ => {
            decoder.wrong_type(node, "step");
            return None;
        }
    };
    if let Some(naming) = entries.iter().find(|entry| NAMING_KEYS.contains(&&*entry.key)) {
        let Some(name) = naming.node.text() else {
            decoder.wrong_type(&naming.node, "step's name");
            return None;
        };
        let rest = entries
            .iter()
            .filter(|entry| entry.key != naming.key)
            .cloned()
            .collect();
        let (name, rest) = if definitions.contains_key(&**name) {
            (name.to_string(), rest)
        } else {
            dialect::translate(name, rest)
        };
        let Some(meaning) = meaning(&name, definitions) else {
            undefined(&name, naming.node.span, decoder);
            return None;
        };
        return Some(Written {
            meaning,
            name,
            name_span: naming.node.span,
            entries: rest,
            label: None,
        });
    }
    let named = entries
        .iter()
        .find_map(|entry| Some((entry, meaning(&entry.key, definitions)?)));
    let Some((named, meaning)) = named else {
        let known: Vec<&str> = VOCABULARY
            .iter()
            .map(|info| info.name)
            .chain(definitions.keys().map(String::as_str))
            .collect();
        let candidate = entries
            .iter()
            .filter(|entry| !OPTIONS.contains(&&*entry.key))
            .max_by_key(|entry| nearest(&entry.key, &known).is_some());
        match candidate {
            Some(entry) => undefined(&entry.key, entry.key_span, decoder),
            None => {
                decoder.error(node.span, "no step is named here");
            }
        }
        return None;
    };
    let beside = entries.iter().filter(|entry| entry.key != named.key);
    let short = match &meaning {
        Meaning::Step(info) => (info.info)().short.map(str::to_owned),
        Meaning::Parallel => Some("steps".to_owned()),
        Meaning::Defined(definition) => definition.short.clone(),
        Meaning::Unserved => None,
    };
    let mut all: Vec<Entry> = match (&named.node.value, short) {
        (Value::Mapping(beneath), _) if !matches!(meaning, Meaning::Parallel) => beneath.to_vec(),
        _ if named.node.is_null() => Vec::new(),
        (_, Some(short)) => vec![Entry {
            key: short.into(),
            key_span: named.node.span,
            node: named.node.clone(),
        }],
        (_, None) => {
            decoder.wrong_type(&named.node, "mapping of parameters");
            return None;
        }
    };
    for entry in beside {
        if let Some(twice) = all.iter().find(|present| present.key == entry.key) {
            let line = decoder.file().line_column(twice.key_span.start as usize).0;
            decoder
                .error(entry.key_span, format!("`{}` is given twice", entry.key))
                .help = Some(format!("it is in line {line} already"));
        } else {
            all.push(entry.clone());
        }
    }
    let label = named
        .node
        .text()
        .filter(|_| !named.node.is_null())
        .map(|text| text.to_string());
    Some(Written {
        meaning,
        name: named.key.to_string(),
        name_span: named.key_span,
        entries: all,
        label,
    })
}

/// The parameter that matters most, by whichever of its names.
pub(super) fn short_value<'n>(info: &StructInfo, parameters: &'n Node) -> Option<&'n Node> {
    let field = info.short_field()?;
    std::iter::once(&field.key)
        .chain(field.aliases)
        .find_map(|key| parameters.get(key))
}

/// A step's name on screen: `log_contains ready`, `http_check http://127.0.0.1:{{ port.http }}/health`. One with
/// placeholders is cut when they are filled, see [`cut_label`].
pub(super) fn label(name: &str, short: Option<&Node>, written: &Option<String>) -> String {
    let from_short = || match &short?.value {
        Value::Scalar { text, .. } => Some(text.to_string()),
        Value::Sequence(items) => Some(
            items
                .iter()
                .filter_map(|item| item.text().map(|text| text.to_string()))
                .collect::<Vec<_>>()
                .join(" "),
        ),
        Value::Mapping(_) => None,
    };
    let Some(text) = written.clone().or_else(from_short) else {
        return name.to_owned();
    };
    let label = format!("{name} {}", text.trim());
    if is_template(&label) {
        label
    } else {
        cut_label(&label)
    }
}

/// A step's name as it fits on a line.
pub(crate) fn cut_label(label: &str) -> String {
    const CHARS_MAX: usize = 80;
    let line = label.lines().next().unwrap_or_default().trim_end();
    let mut cut: String = line.chars().take(CHARS_MAX).collect();
    if cut.len() < label.trim_end().len() {
        cut.push('…');
    }
    cut
}
