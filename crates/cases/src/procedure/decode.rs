//! The steps of one test, one fixture or one definition, decoded in order.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use indexmap::IndexMap;

use super::{
    define::{Definition, accepts},
    identify::{Meaning, find_step, identify, label, short_value},
    need::{Need, Needed, Surroundings, check_reference},
    options::{OPTIONS, SelectorText, StepOptions},
};
use crate::{
    decode::{Decode, Decoder, Located, Scalar, suggestion},
    node::{Entry, Node, Value},
    plan::{DefinedStep, PartReference, RetryPlan, Selector, StepPlan, UnservedStep},
    source::{Origin, Span},
    template::{Data, Reference, Templated},
    tolerant,
    vocabulary::{PortReference, StepKind, VOCABULARY},
};

/// Decodes the procedures of one test, one fixture or one definition, in order.
pub(crate) struct Procedures<'a> {
    surroundings: Option<&'a Surroundings>,
    definitions: &'a IndexMap<String, Arc<Definition>>,
    parameters: BTreeSet<String>,
    default_part: Option<String>,
    pub(super) saved: BTreeSet<String>,
    pub(super) needs: Vec<Need>,
    /// Steps that are known by name only.
    pub(crate) unserved: BTreeSet<String>,
    /// Every name that a template in a step refers to.
    pub(crate) references: Vec<Reference>,
    all: Vec<Node>,
    /// The suite's own steps that are defined further below.
    later: &'a [String],
}

impl<'a> Procedures<'a> {
    pub(crate) fn new(
        surroundings: &'a Surroundings,
        definitions: &'a IndexMap<String, Arc<Definition>>,
    ) -> Self {
        Self {
            surroundings: Some(surroundings),
            definitions,
            parameters: BTreeSet::new(),
            default_part: surroundings.default_part.clone(),
            saved: BTreeSet::new(),
            needs: Vec::new(),
            unserved: BTreeSet::new(),
            references: Vec::new(),
            all: Vec::new(),
            later: &[],
        }
    }

    /// For a definition: what its steps need of the place of use is kept.
    pub(super) fn of_definition(
        parameters: BTreeSet<String>,
        earlier: &'a IndexMap<String, Arc<Definition>>,
        later: &'a [String],
    ) -> Self {
        Self {
            surroundings: None,
            definitions: earlier,
            parameters,
            default_part: None,
            saved: BTreeSet::new(),
            needs: Vec::new(),
            unserved: BTreeSet::new(),
            references: Vec::new(),
            all: Vec::new(),
            later,
        }
    }

    /// Decodes steps that are about this part unless they say otherwise.
    pub(crate) fn about(&mut self, part: &str, nodes: &[Node], decoder: &mut Decoder) -> Vec<StepPlan> {
        let default = self.default_part.replace(part.to_owned());
        let steps = self.steps(nodes, decoder);
        self.default_part = default;
        steps
    }

    /// Decodes steps. What they save is in scope for those of later calls.
    pub(crate) fn steps(&mut self, nodes: &[Node], decoder: &mut Decoder) -> Vec<StepPlan> {
        self.all.extend(nodes.iter().cloned());
        nodes.iter().filter_map(|node| self.step(node, decoder)).collect()
    }

    fn step(&mut self, node: &Node, decoder: &mut Decoder) -> Option<StepPlan> {
        let written = identify(node, self.definitions, self.later, decoder)?;
        // Steps that nothing here serves have parameters nobody knows, `name` among them.
        let unserved = matches!(written.meaning, Meaning::Unserved);
        let (options, parameters): (Vec<Entry>, Vec<Entry>) =
            written.entries.into_iter().partition(|entry| {
                OPTIONS.contains(&&*entry.key) && !(unserved && matches!(&*entry.key, "name" | "part"))
            });
        let head = written.name_span;
        let options_node = Node {
            span: head,
            value: Value::Mapping(Arc::new(options)),
        };
        let options: Option<StepOptions> = tolerant::decode(&options_node, decoder);
        let part = options
            .as_ref()
            .and_then(|options| options.part.as_ref())
            .map(|part| part.value.clone());
        let around = part.clone().or_else(|| self.default_part.clone());
        if let Some(part) = options.as_ref().and_then(|options| options.part.as_ref()) {
            self.need(
                Needed::Part,
                Some(part.value.clone()),
                part.origin.clone(),
                decoder,
            );
        }

        let parameters_node = Node {
            span: head,
            value: Value::Mapping(Arc::new(parameters)),
        };
        let (kind, text) = match written.meaning {
            Meaning::Step(info) => {
                let text = label(
                    info.name,
                    short_value((info.info)(), &parameters_node),
                    &written.label,
                );
                let kind = StepKind::decode(info.name, &parameters_node, decoder);
                if let Some(kind) = &kind {
                    if speaks_of_part(kind) && part.is_none() {
                        self.need(Needed::Part, around.clone(), decoder.origin(head), decoder);
                    }
                    if let Some((name, origin)) = named_port(kind) {
                        self.need(Needed::Port(name), around.clone(), origin, decoder);
                    }
                }
                (kind, text)
            }
            Meaning::Parallel => {
                let kind = self.parallel(&parameters_node, decoder);
                (kind, "parallel".to_owned())
            }
            Meaning::Defined(definition) => {
                let short = definition
                    .short
                    .as_deref()
                    .and_then(|short| parameters_node.get(short));
                let text = label(&definition.name, short, &written.label);
                let kind = self.defined(&definition, &parameters_node, around.as_ref(), decoder);
                (kind, text)
            }
            Meaning::Unserved => {
                self.unserved.insert(written.name.clone());
                let kind = StepKind::Unserved(UnservedStep {
                    name: written.name.clone(),
                    parameters: parameters_node.resolve(),
                });
                (Some(kind), written.name.clone())
            }
        };
        for used in decoder.take_templates() {
            for reference in used.references {
                let origin = used.origin.narrowed(&reference.to_string());
                self.need(Needed::Name(reference), around.clone(), origin, decoder);
            }
        }

        let options = options?;
        for (name, selector) in &options.save {
            self.check_output(&written.name, selector, decoder);
            self.saved.insert(name.clone());
        }
        let default_timeout = VOCABULARY
            .iter()
            .find(|info| kind.as_ref().is_some_and(|kind| kind.name() == info.name));
        let timeout = options.timeout.or_else(|| {
            let text = default_timeout?.timeout?;
            Duration::parse(text)
                .ok()
                .map(|timeout| Templated::literal(timeout, decoder.origin(head)))
        });
        Some(StepPlan {
            name: options.name.unwrap_or(text),
            origin: decoder.origin(head),
            kind: kind?,
            part: part.map_or(PartReference::Default, PartReference::Named),
            when: options.when,
            retry: options.retry.map(|retry| RetryPlan {
                times: retry.times.max(1),
                every: retry.every,
            }),
            timeout,
            save: options
                .save
                .into_iter()
                .map(|(name, selector)| (name, selector.value.0))
                .collect(),
        })
    }

    /// Side by side, so what one saves is not there for its neighbours.
    fn parallel(&mut self, parameters: &Node, decoder: &mut Decoder) -> Option<StepKind> {
        let list = parameters.get("steps")?;
        let Value::Sequence(nodes) = &list.value else {
            decoder.wrong_type(list, "list of steps");
            return None;
        };
        let before = self.saved.clone();
        let mut after = before.clone();
        let mut steps = Vec::new();
        for node in nodes.iter() {
            steps.extend(self.step(node, decoder));
            after.append(&mut std::mem::replace(&mut self.saved, before.clone()));
        }
        self.saved = after;
        Some(StepKind::Parallel(steps))
    }

    fn defined(
        &mut self,
        definition: &Arc<Definition>,
        parameters: &Node,
        part: Option<&String>,
        decoder: &mut Decoder,
    ) -> Option<StepKind> {
        let Value::Mapping(entries) = &parameters.value else {
            return None;
        };
        let mut arguments = IndexMap::new();
        let mut complete = true;
        for entry in entries.iter() {
            let Some(parameter) = definition.parameters.get(&*entry.key) else {
                decoder.unknown_key(entry, definition.parameters.keys().map(String::as_str));
                continue;
            };
            let Some(value) = Data::decode(&entry.node, decoder) else {
                complete = false;
                continue;
            };
            if let Err(wrong) = accepts(parameter.value.kind, &value) {
                decoder.error(entry.node.span, wrong);
            }
            arguments.insert(entry.key.to_string(), value);
        }
        for (name, parameter) in &definition.parameters {
            if !arguments.contains_key(name) {
                match &parameter.value.default {
                    Some(default) => {
                        arguments.insert(name.clone(), default.clone());
                    }
                    None => {
                        let help = parameter
                            .value
                            .description
                            .clone()
                            .or_else(|| definition.description.clone());
                        decoder
                            .error(parameters.span, format!("`{name}` is missing"))
                            .help = help;
                    }
                }
            }
        }
        for need in &definition.needs {
            let need = Need {
                part: need.part.clone().or_else(|| part.cloned()),
                ..need.clone()
            };
            self.need_here(need, definition, parameters.span, decoder);
        }
        self.saved.extend(definition.saves.iter().cloned());
        self.unserved.extend(definition.unserved.iter().cloned());
        complete.then(|| {
            StepKind::Defined(DefinedStep {
                name: definition.name.clone(),
                arguments,
                steps: definition.steps.clone(),
            })
        })
    }

    /// A need of a definition, at a place where it is used: what is missing is reported there.
    fn need_here(&mut self, need: Need, definition: &Definition, span: Span, decoder: &mut Decoder) {
        if self.surroundings.is_none() {
            self.needs.push(need);
            return;
        }
        if let Needed::Name(reference) = &need.what {
            self.references.push(reference.clone());
        }
        if let Err((message, help)) = self.met(&need) {
            let message = format!("`{}` needs more than there is here: {message}", definition.name);
            decoder.error(span, message).help = Some(format!("{help} (needed in {})", need.origin));
        }
    }

    /// Checks what a step needs, or keeps it for the place of use.
    fn need(&mut self, what: Needed, part: Option<String>, origin: Origin, decoder: &mut Decoder) {
        if let Needed::Name(reference) = &what {
            self.references.push(reference.clone());
        }
        let need = Need { what, part, origin };
        if self.surroundings.is_none() {
            self.need_in_definition(need, decoder);
        } else if let Err((message, help)) = self.met(&need) {
            decoder.error(need.origin.span, message).help = Some(help);
        }
    }

    /// Within a definition, only its parameters and what it saves itself can be checked.
    fn need_in_definition(&mut self, need: Need, decoder: &mut Decoder) {
        if let Needed::Name(reference) = &need.what {
            match reference.0.as_slice() {
                [root, name, ..] if root == "parameters" => {
                    if !self.parameters.contains(name) {
                        let help = suggestion(name, self.parameters.iter().map(String::as_str));
                        decoder
                            .error(need.origin.span, format!("`{reference}` is not defined"))
                            .help = Some(help);
                    }
                    return;
                }
                [root] if root == "parameters" => return,
                [root, name, ..] if root == "saved" && self.saved.contains(name) => return,
                _ => {}
            }
        }
        self.needs.push(need);
    }

    fn met(&self, need: &Need) -> Result<(), (String, String)> {
        let Some(surroundings) = self.surroundings else {
            return Ok(());
        };
        let ports = need.part.as_ref().and_then(|part| surroundings.parts.get(part));
        match (&need.what, &need.part) {
            (Needed::Part, None) => {
                let parts: Vec<&str> = surroundings.parts.keys().map(String::as_str).collect();
                Err((
                    "which part is meant?".into(),
                    format!("add `part:` ({}), or call one of them `target`", parts.join(", ")),
                ))
            }
            (Needed::Part, Some(name)) if ports.is_none() => Err((
                format!("there is no part `{name}`"),
                suggestion(name, surroundings.parts.keys().map(String::as_str)),
            )),
            (Needed::Port(name), Some(part)) => match ports {
                Some(known) if !known.contains(name) => Err((
                    format!("the part `{part}` has no port `{name}`"),
                    suggestion(name, known.iter().map(String::as_str)),
                )),
                _ => Ok(()),
            },
            (Needed::Name(reference), _) => check_reference(reference, surroundings, ports, &self.saved)
                .map_err(|(message, help)| self.saved_later(reference, message, help)),
            _ => Ok(()),
        }
    }

    /// A name that a later step saves deserves another answer than one that nobody saves.
    fn saved_later(&self, reference: &Reference, message: String, help: String) -> (String, String) {
        match reference.0.as_slice() {
            [root, name, ..]
                if root == "saved"
                    && !self.saved.contains(name)
                    && self.all.iter().any(|node| saves(node, name)) =>
            {
                (
                    format!("`saved.{name}` is used before it is saved"),
                    "a later step saves it".into(),
                )
            }
            _ => (message, help),
        }
    }

    fn check_output(&self, step: &str, selector: &Located<SelectorText>, decoder: &mut Decoder) {
        let Some(info) = find_step(step) else { return };
        let outputs: Vec<&str> = info.outputs.iter().map(|(name, _)| *name).collect();
        let span = selector.origin.span;
        if outputs.is_empty() {
            decoder.error(span, format!("`{}` has no output to save", info.name));
            return;
        }
        if let Selector::Output(path) = &selector.value.0 {
            let root = path[0].as_str();
            let known = outputs.iter().any(|output| match output.split_once('.') {
                Some((group, _)) => group == root && path.len() == 2,
                None => *output == root && path.len() == 1,
            });
            if !known {
                decoder
                    .error(
                        span,
                        format!("`{}` has no output `{}`", info.name, path.join(".")),
                    )
                    .help = Some(format!(
                    "it has {}, and paths such as `.a.b` into its main output as JSON",
                    outputs.join(", ")
                ));
            }
        }
    }
}

/// Steps that make sense only for a part.
fn speaks_of_part(kind: &StepKind) -> bool {
    match kind {
        StepKind::HttpCheck(_)
        | StepKind::Sleep(_)
        | StepKind::Parallel(_)
        | StepKind::Defined(_)
        | StepKind::Unserved(_) => false,
        StepKind::Send(send) => send.port.is_some(),
        StepKind::ProcessStableFor(_)
        | StepKind::Exits(_)
        | StepKind::PortListening(_)
        | StepKind::LogContains(_)
        | StepKind::LogNotContains(_)
        | StepKind::FileContains(_)
        | StepKind::Exec(_)
        | StepKind::SendSignal(_)
        | StepKind::Restart(_)
        | StepKind::WriteFile(_) => true,
    }
}

/// A port that is written by its name.
fn named_port(kind: &StepKind) -> Option<(String, Origin)> {
    let port = match kind {
        StepKind::PortListening(step) => step.port.as_ref(),
        StepKind::Send(step) => step.port.as_ref(),
        _ => None,
    }?;
    match port.as_literal() {
        Some(PortReference::Name(name)) => Some((name.clone(), port.origin.clone())),
        _ => None,
    }
}

/// Whether a step, or one inside of it, saves a name.
fn saves(node: &Node, name: &str) -> bool {
    match &node.value {
        Value::Mapping(entries) => {
            node.get("save").is_some_and(|save| save.get(name).is_some())
                || entries.iter().any(|entry| saves(&entry.node, name))
        }
        Value::Sequence(items) => items.iter().any(|item| saves(item, name)),
        Value::Scalar { .. } => false,
    }
}
