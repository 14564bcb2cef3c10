//! A procedure's steps: which step is meant, its options, its parameters, and whether every name in it leads somewhere.
//!
//! A step is a mapping with its name as a key, `log_contains: {pattern: ready}`, and options beside it. Parameters may stand
//! beneath the name or beside it. The dialects of other harnesses name it in a value: `assertion: log_contains`,
//! `action: exec`, `type: log_contains`, with the parameters beside. All of these become one list of entries, which is
//! split into options and parameters; behind that point there is one way to decode a step.
//!
//! Steps are decoded in order, because what one saves is in scope for the next. The steps of a suite's own step are decoded once, where they
//! are defined; what they need of the place of use ([`Definition::needs`]) is checked there.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use indexmap::IndexMap;

use crate::{
    declare::declare,
    decode::{Decode, Decoder, Located, Scalar, StructInfo, TemplateUse, suggestion},
    dialect,
    file::suite::{Parameter, ParameterType, StepDefinition},
    json_path::JsonPath,
    node::{Entry, Node, Value},
    plan::{DefinedStep, PartReference, RetryPlan, Selector, StepPlan, UnservedStep},
    source::{Origin, Span},
    template::{Data, Expression, Names, Reference, Templated},
    tolerant,
    vocabulary::{PortReference, StepInfo, StepKind, VOCABULARY},
};

declare! {
    /// What every step can have beside its parameters.
    pub(crate) struct StepOptions {
        /// Its name on screen. By default one is made from its parameters.
        name: Option<String> = optional,
        /// The part that it is about. By default the target; in a part's `ready:`, that part.
        part: Option<Located<String>> = optional,
        /// An expression; the step is skipped where it does not hold: `when: values.tls`.
        when: Option<Expression> = optional,
        /// It is tried again when it fails.
        retry: Option<Retry> = optional,
        /// How long it may take; each step says its default.
        timeout: Option<Templated<Duration>> = optional,
        /// What is kept of its output, by name, for later placeholders: `save: {token: .session.token}` gives `{{ saved.token }}`. A
        /// path that starts with `.` is one into the main output, read as JSON; anything else is an output of the step by its name.
        save: IndexMap<String, Located<SelectorText>> = optional,
    }
}

declare! {
    /// How a step is tried again.
    pub(crate) struct Retry short times {
        /// How often at most, the first time included.
        times: u32 = required,
        /// How long to wait in between.
        every: Duration = "1s",
    }
}

/// What is kept of a step's output, as it is written.
#[derive(Clone, Debug)]
pub(crate) struct SelectorText(Selector);

impl Scalar for SelectorText {
    const NAME: &'static str = "output";

    fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with(['.', '$', '[']) {
            return <JsonPath as Scalar>::parse(text).map(Selector::Json).map(Self);
        }
        Ok(Self(Selector::Output(
            text.splitn(2, '.').map(str::to_owned).collect(),
        )))
    }

    fn json_schema() -> serde_json::Value {
        serde_json::json!({"type": "string", "examples": [".json.path", "status", "match.1"]})
    }
}

/// The names that are options of every step, whatever its parameters.
const OPTIONS: &[&str] = &["name", "part", "when", "retry", "timeout", "save"];

/// The keys by which other harnesses name a step in a value.
const NAMING_KEYS: &[&str] = &["assertion", "action", "type"];

/// A step of the suite's own, decoded.
#[derive(Debug)]
pub(crate) struct Definition {
    name: String,
    description: Option<String>,
    parameters: IndexMap<String, Located<Parameter>>,
    short: Option<String>,
    steps: Arc<Vec<StepPlan>>,
    needs: Vec<Need>,
    saves: BTreeSet<String>,
    unserved: BTreeSet<String>,
}

/// What a step needs of the test that it stands in. For a suite's own step it is kept and checked where that is used.
#[derive(Clone, Debug)]
struct Need {
    what: Needed,
    /// The part that the step is about, where it is known.
    part: Option<String>,
    origin: Origin,
}

/// See [`Need`].
#[derive(Clone, Debug)]
enum Needed {
    /// That this name leads somewhere.
    Name(Reference),
    /// A port of the part, by name.
    Port(String),
    /// The part itself.
    Part,
}

/// What is known around a procedure.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    /// Names that do not depend on the step.
    pub(crate) names: Names,
    /// The parts, each with its ports.
    pub(crate) parts: IndexMap<String, BTreeSet<String>>,
    /// The part that a step is about where it does not say; `None` when that would be a guess.
    pub(crate) default_part: Option<String>,
}

/// Decodes the procedures of one test, one fixture or one definition, in order.
pub(crate) struct Procedures<'a> {
    surroundings: Option<&'a Surroundings>,
    definitions: &'a IndexMap<String, Arc<Definition>>,
    parameters: BTreeSet<String>,
    default_part: Option<String>,
    saved: BTreeSet<String>,
    needs: Vec<Need>,
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
            value: Value::Mapping(options),
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
            value: Value::Mapping(parameters),
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
        for node in nodes {
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
        for entry in entries {
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

/// Decodes a suite's own step. It can use those that were defined before it.
pub(crate) fn define(
    name: &Located<String>,
    file: &StepDefinition,
    earlier: &IndexMap<String, Arc<Definition>>,
    later: &[String],
    decoder: &mut Decoder,
) -> Definition {
    if is_vocabulary(&name.value) {
        let message = format!("`{}` is a step of the vocabulary", name.value);
        decoder.error(name.origin.span, message).help = Some("choose another name".into());
    }
    for (parameter, declared) in &file.parameters {
        if OPTIONS.contains(&parameter.as_str()) {
            decoder
                .error(
                    declared.origin.span,
                    format!("`{parameter}` is an option of every step"),
                )
                .help = Some("choose another name".into());
        }
        if let Some(Err(wrong)) = declared
            .value
            .default
            .as_ref()
            .map(|default| accepts(declared.value.kind, default))
        {
            decoder.error(declared.origin.span, format!("the default {wrong}"));
        }
    }
    if let Some(short) = &file.short
        && !file.parameters.contains_key(&short.value)
    {
        let help = suggestion(&short.value, file.parameters.keys().map(String::as_str));
        decoder
            .error(
                short.origin.span,
                format!("there is no parameter `{}`", short.value),
            )
            .help = Some(help);
    }
    // Templates outside of the steps (defaults of parameters) are checked where the step is used.
    let outside = decoder.take_templates();
    let mut procedures = Procedures {
        surroundings: None,
        definitions: earlier,
        parameters: file.parameters.keys().cloned().collect(),
        default_part: None,
        saved: BTreeSet::new(),
        needs: Vec::new(),
        unserved: BTreeSet::new(),
        references: Vec::new(),
        all: Vec::new(),
        later,
    };
    for TemplateUse { references, origin } in outside {
        let needs = references.into_iter().map(|reference| Need {
            what: Needed::Name(reference),
            part: None,
            origin: origin.clone(),
        });
        procedures.needs.extend(needs);
    }
    let steps = procedures.steps(&file.procedure.0, decoder);
    Definition {
        name: name.value.clone(),
        description: file.description.clone(),
        parameters: file.parameters.clone(),
        short: file.short.as_ref().map(|short| short.value.clone()),
        steps: Arc::new(steps),
        needs: procedures.needs,
        saves: procedures.saved,
        unserved: procedures.unserved,
    }
}

/// Whether a reference leads somewhere at a place that is about a part with these ports.
///
/// # Errors
/// A message and help.
pub(crate) fn check_reference(
    reference: &Reference,
    surroundings: &Surroundings,
    ports: Option<&BTreeSet<String>>,
    saved: &BTreeSet<String>,
) -> Result<(), (String, String)> {
    let member = |members: &BTreeSet<String>, name: &String, prefix: &str| {
        if members.contains(name) {
            return Ok(());
        }
        Err((
            format!("`{prefix}.{name}` is not defined"),
            suggestion(name, members.iter().map(String::as_str)),
        ))
    };
    match (reference.0.as_slice(), ports) {
        ([root, name, ..], Some(ports)) if root == "port" => member(ports, name, "port"),
        ([root, ..], None) if root == "port" || root == "dir" => Err((
            format!("`{root}` of which part?"),
            "write `part.NAME.port.PORT` or `part.NAME.dir`, or name the part by `part:`".into(),
        )),
        ([root], Some(_)) if root == "port" || root == "dir" => Ok(()),
        ([root, name, ..], _) if root == "saved" => member(saved, name, "saved"),
        ([root, name, ..], _) if root == "parameters" => Err((
            format!("`parameters.{name}` is not defined"),
            "only a suite's own steps have parameters".into(),
        )),
        _ => surroundings.names.check(reference),
    }
}

/// What a step's name means.
enum Meaning {
    Step(&'static StepInfo),
    Parallel,
    Defined(Arc<Definition>),
    Unserved,
}

/// A step as it is written, by whichever of the ways.
struct Written {
    meaning: Meaning,
    name: String,
    name_span: Span,
    entries: Vec<Entry>,
    /// The source of what stands behind the name, for its name on screen.
    label: Option<String>,
}

/// Whether a name is one of the vocabulary's.
pub(crate) fn is_vocabulary(name: &str) -> bool {
    name == "parallel" || find_step(name).is_some()
}

fn find_step(name: &str) -> Option<&'static StepInfo> {
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
fn identify(
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
            .max_by_key(|entry| crate::decode::nearest(&entry.key, &known).is_some());
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
        (Value::Mapping(beneath), _) if !matches!(meaning, Meaning::Parallel) => beneath.clone(),
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
fn short_value<'n>(info: &StructInfo, parameters: &'n Node) -> Option<&'n Node> {
    let field = info.short_field()?;
    std::iter::once(&field.key)
        .chain(field.aliases)
        .find_map(|key| parameters.get(key))
}

/// A step's name on screen: `log_contains ready`, `http_check http://127.0.0.1:{{ port.http }}/health`.
fn label(name: &str, short: Option<&Node>, written: &Option<String>) -> String {
    const CHARS_MAX: usize = 60;
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
    let line = text.trim().lines().next().unwrap_or_default();
    let cut = line.chars().count() > CHARS_MAX || text.trim().lines().count() > 1;
    let mut line: String = line.chars().take(CHARS_MAX).collect();
    if cut {
        line.push('…');
    }
    format!("{name} {line}").trim_end().to_owned()
}

/// Whether a literal argument is of a parameter's type; a template is judged when it is rendered.
fn accepts(kind: ParameterType, value: &Data) -> Result<(), String> {
    let Data::Plain(value) = value else { return Ok(()) };
    let right = match kind {
        ParameterType::Any => true,
        ParameterType::Text => !value.is_null(),
        ParameterType::Integer => value.is_i64() || value.is_u64(),
        ParameterType::Number => value.is_number(),
        ParameterType::Boolean => value.is_boolean(),
        ParameterType::Duration => match value {
            serde_json::Value::String(text) => Duration::parse(text).is_ok(),
            other => other == &serde_json::json!(0),
        },
    };
    let shown = match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if right {
        Ok(())
    } else {
        Err(format!("`{shown}` is of the wrong type; it should be: {kind}"))
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
