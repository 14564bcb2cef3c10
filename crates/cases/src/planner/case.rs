//! A case file's tests: one for each case, and for each variant of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use seatrial_engine::Diagnostic;

use crate::{
    decode::{Decoder, Located, Raw, TemplateUse},
    file::{
        case::{Case, CaseList, CaseType, Runtime, Where},
        part::Part,
    },
    node::{self, Node, Value},
    plan::{CasePlan, FixturePlan, On, PartPlan, RequirementPlan, Slots, StepPlan},
    planner::{
        fixture::{declare_fixture, fixtures_of},
        matrix::{self, Planned},
        part::{self, Draft, Missing, absolute},
        suite::{SuiteContext, builds_of, check_known, check_use, covers, requirements},
    },
    procedure::{Procedures, Surroundings},
    source::{SourceFile, Span},
    template::{Names, Reference},
    tolerant,
};

/// What this seatrial says of tests in containers.
const NO_CONTAINERS: &str = "it runs in containers, which this version does not start";

/// What this seatrial says of tests that want a mock of a telemetry intake.
const NO_INTAKE: &str = "it needs the mock of a telemetry intake, which this version does not have";

/// Plans all tests of a case file.
pub(crate) fn plan(file: &Arc<SourceFile>, suite: &SuiteContext) -> (Vec<CasePlan>, Vec<Diagnostic>) {
    let mut decoder = Decoder::new(file.clone());
    let root = match node::parse(file) {
        Ok(Some(root)) => root,
        Ok(None) => {
            decoder.error(Span::default(), "an empty case file");
            return (Vec::new(), decoder.finish());
        }
        Err(errors) => {
            decoder.syntax(errors);
            return (Vec::new(), decoder.finish());
        }
    };
    let mut plans = Vec::new();
    if root.get("cases").is_some() {
        if let Some(list) = tolerant::decode::<CaseList>(&root, &mut decoder) {
            for Raw(node) in &list.cases {
                if matches!(node.value, Value::Mapping(_)) && node.get("name").is_none() {
                    decoder.error(first_line(node.span, file), "a case among several has a `name`");
                }
                plan_case(node, suite, &mut decoder, &mut plans);
            }
        }
    } else {
        plan_case(&root, suite, &mut decoder, &mut plans);
    }
    (plans, decoder.finish())
}

fn plan_case(node: &Node, suite: &SuiteContext, decoder: &mut Decoder, plans: &mut Vec<CasePlan>) {
    let Some(case) = tolerant::decode::<Case>(node, decoder) else {
        return;
    };
    let written = decoder.take_templates();
    let variants = matrix::variants(case.matrix.clone(), decoder);
    let mut planning = Planning::new(case, node, suite, decoder);
    planning.templates.extend(planning.about(written));
    planning.plan_parts(decoder);

    // Variants that declare the same values have the same names in scope, so their steps are decoded once.
    let mut decoded: Vec<(BTreeSet<String>, bool, Steps)> = Vec::new();
    for variant in variants {
        let surroundings = planning.surroundings(&variant);
        planning.check_templates(&variant, &surroundings, decoder);
        let values: BTreeSet<String> = variant.values.keys().cloned().collect();
        let skipped = variant.skip.is_some();
        let known = decoded
            .iter()
            .find(|(names, skip, _)| *names == values && *skip == skipped);
        let steps = match known {
            Some((_, _, steps)) => steps.clone(),
            None => {
                let steps = decode_steps(&planning.case, &planning.drafts, &surroundings, suite, decoder);
                decoded.push((values, skipped, steps.clone()));
                steps
            }
        };
        plans.push(planning.variant(&variant, steps, decoder));
    }
}

/// A case on its way to its tests: what is the same for all its variants.
struct Planning<'a> {
    case: Case,
    node: &'a Node,
    suite: &'a SuiteContext,
    name: Located<String>,
    /// It is to run in containers.
    containers: bool,
    /// Why it is not run, as far as the case itself says.
    skip: Option<String>,
    drafts: Vec<Draft>,
    parts: Vec<PartPlan>,
    /// The part that steps are about where they do not say.
    target: Option<usize>,
    fixtures: Vec<Arc<FixturePlan>>,
    /// The templates outside of steps, each with the part that it is about.
    templates: Vec<(TemplateUse, Option<String>)>,
    names: Names,
}

impl<'a> Planning<'a> {
    fn new(case: Case, node: &'a Node, suite: &'a SuiteContext, decoder: &mut Decoder) -> Self {
        let head = first_line(node.span, decoder.file());
        let name = case.name.clone().unwrap_or_else(|| Located {
            value: name_of_file(decoder.file()),
            origin: decoder.origin(head),
        });
        check_name(&name, "case", decoder);
        if case.procedure.is_none() {
            decoder.error(head, "`procedure` is missing");
        }
        let foreign = case.container.is_some()
            || case.runtimes.is_some()
            || node.get("assertions").is_some()
            || case.kind == CaseType::Integration;
        let on = case.on.or_else(|| suite.defaults.as_ref()?.on);
        let containers = foreign || on == Some(Where::Docker);

        let drafts = drafts(&case, node, suite, foreign, decoder);
        for draft in drafts
            .iter()
            .filter(|draft| draft.part.command.is_none() && !foreign)
        {
            if draft.container.is_none() || !containers {
                let message = format!("the part `{}` has no `command`", draft.name);
                decoder.error_at(&draft.origin, message);
            }
        }
        let drafts = part::in_start_order(drafts, decoder);
        let named = drafts.iter().position(|draft| draft.name == "target");
        let target = named.or_else(|| (drafts.len() == 1).then_some(0));

        let by_default = suite.defaults.iter().flat_map(|defaults| &defaults.uses);
        let uses: Vec<Located<String>> = by_default.chain(&case.uses).cloned().collect();
        let fixtures = fixtures_of(&uses, &suite.suite.fixtures, decoder);
        if let Some(group) = &case.test_group {
            let known = suite.suite.test_groups.keys().map(String::as_str);
            check_known("test group", group, known, decoder);
        }

        let mut names = names_of_case(suite, &case);
        for fixture in &fixtures {
            declare_fixture(fixture, &mut names);
        }
        part::declare_names(&drafts, &mut names);
        let skip = case
            .skip
            .clone()
            .or_else(|| other_platform(case.runtimes.as_deref()));
        Self {
            case,
            node,
            suite,
            name,
            containers,
            skip,
            drafts,
            parts: Vec::new(),
            target,
            fixtures,
            templates: Vec::new(),
            names,
        }
    }

    fn target_name(&self) -> Option<&String> {
        self.target.map(|at| &self.drafts[at].name)
    }

    /// Which part each template of the case's file is about: the one that it stands in, else the target.
    fn about(&self, written: Vec<TemplateUse>) -> Vec<(TemplateUse, Option<String>)> {
        let part = |used: &TemplateUse| {
            let inside = |draft: &&Draft| {
                Arc::ptr_eq(&used.origin.file, &draft.origin.file)
                    && draft.spans.iter().any(|span| covers(*span, used.origin.span))
            };
            let draft = self.drafts.iter().find(inside);
            draft
                .map(|draft| &draft.name)
                .or_else(|| self.target_name())
                .cloned()
        };
        written
            .into_iter()
            .map(|used| {
                let part = part(&used);
                (used, part)
            })
            .collect()
    }

    fn plan_parts(&mut self, decoder: &mut Decoder) {
        let missing = match self.containers || self.skip.is_some() {
            true => Missing::Ignored,
            false => Missing::Refused,
        };
        for draft in &self.drafts {
            self.parts
                .push(part::plan(draft, self.suite.defaults.as_ref(), missing, decoder));
            // Those of files that are rendered.
            let rendered = decoder.take_templates().into_iter();
            self.templates
                .extend(rendered.map(|used| (used, Some(draft.name.clone()))));
        }
        let target = self.target_name().cloned();
        let own_command = self.node.get("target").is_some_and(|target| {
            target.get("command").is_some() || !matches!(target.value, Value::Mapping(_))
        });
        for used in self
            .suite
            .default_templates
            .iter()
            .filter(|_| !self.drafts.is_empty())
        {
            let replaced = self
                .suite
                .default_command
                .is_some_and(|span| covers(span, used.origin.span));
            if !(own_command && replaced) {
                self.templates.push((used.clone(), target.clone()));
            }
        }
    }

    fn surroundings(&self, variant: &Planned) -> Surroundings {
        let mut names = self.names.clone();
        if variant.skip.is_some() {
            // It has not got to have the values that it would need.
            names.declare(&["values"]);
        }
        for value in variant.values.keys() {
            names.declare(&["values", value]);
        }
        let ports = |draft: &Draft| (draft.name.clone(), draft.part.ports.0.keys().cloned().collect());
        Surroundings {
            names,
            parts: self.drafts.iter().map(ports).collect(),
            default_part: self.target_name().cloned(),
        }
    }

    fn check_templates(&self, variant: &Planned, surroundings: &Surroundings, decoder: &mut Decoder) {
        for (used, about) in &self.templates {
            if !written_for_another(used, self.node, variant) {
                let ports = about.as_ref().and_then(|part| surroundings.parts.get(part));
                check_use(used, surroundings, ports, decoder);
            }
        }
    }

    /// The test of one variant.
    fn variant(&self, variant: &Planned, steps: Steps, decoder: &Decoder) -> CasePlan {
        let Self { case, suite, .. } = self;
        let defaults = suite.defaults.as_ref();
        let mut parts = self.parts.clone();
        for (part, ready) in parts.iter_mut().zip(steps.ready) {
            part.ready = ready;
        }
        if let Some(target) = self.target {
            let env = variant
                .env
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()));
            parts[target].env.extend(env);
        }
        let outside = self.templates.iter().flat_map(|(used, _)| &used.references);
        let mut builds = builds_of(outside.chain(&steps.references), &suite.suite.builds);
        for build in self.fixtures.iter().flat_map(|fixture| &fixture.builds) {
            if builds.iter().all(|present| present.name != build.name) {
                builds.push(build.clone());
            }
        }
        let intake = case.intake.as_ref().is_some_and(|intake| intake.enabled);
        let skip = variant
            .skip
            .clone()
            .or_else(|| self.skip.clone())
            .or_else(|| unserved(&steps.unserved))
            .or_else(|| intake.then(|| NO_INTAKE.to_owned()))
            .or_else(|| self.containers.then(|| NO_CONTAINERS.to_owned()));
        let test_group = case.test_group.as_ref().or_else(|| defaults?.test_group.as_ref());
        let values = suite.values.iter().chain(&case.values).chain(&variant.values);
        CasePlan {
            name: self.name.value.clone(),
            variant: variant.name.clone(),
            description: variant.description.clone().or_else(|| case.description.clone()),
            origin: self.name.origin.clone(),
            dir: absolute(decoder.file().directory()),
            labels: labels(suite, case, variant),
            timeout: case.timeout.or_else(|| defaults?.timeout),
            retries: case.retries.or_else(|| defaults?.retries),
            slots: match (case.alone, case.slots.or_else(|| defaults?.slots)) {
                (true, _) => Slots::Alone,
                (false, count) => Slots::Count(count.unwrap_or(1)),
            },
            test_group: test_group.map(|group| group.value.clone()),
            requires: requires(suite, case, variant),
            skip,
            uses: self.fixtures.clone(),
            builds,
            values: values
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            parts,
            target: self.target.unwrap_or_default(),
            procedure: steps.procedure,
            finally: steps.finally,
            on_failure: steps.on_failure,
            on: if self.containers { On::Docker } else { On::Process },
        }
    }
}

/// All steps of a case.
#[derive(Clone)]
struct Steps {
    ready: Vec<Vec<StepPlan>>,
    procedure: Vec<StepPlan>,
    finally: Vec<StepPlan>,
    on_failure: Vec<StepPlan>,
    unserved: BTreeSet<String>,
    references: Vec<Reference>,
}

fn decode_steps(
    case: &Case,
    drafts: &[Draft],
    surroundings: &Surroundings,
    suite: &SuiteContext,
    decoder: &mut Decoder,
) -> Steps {
    let mut procedures = Procedures::new(surroundings, &suite.definitions);
    let mut ready = Vec::with_capacity(drafts.len());
    for draft in drafts {
        // The steps of the suite's default target stand in another file.
        if Arc::ptr_eq(&draft.origin.file, decoder.file()) || draft.ready().is_empty() {
            ready.push(procedures.about(&draft.name, draft.ready(), decoder));
        } else {
            let mut other = Decoder::new(draft.origin.file.clone());
            ready.push(procedures.about(&draft.name, draft.ready(), &mut other));
            decoder.extend(other.finish());
        }
    }
    let procedure = match &case.procedure {
        Some(steps) => procedures.steps(&steps.0, decoder),
        None => Vec::new(),
    };
    let on_failure = procedures.steps(&case.on_failure.0, decoder);
    let finally = procedures.steps(&case.finally.0, decoder);
    Steps {
        ready,
        procedure,
        finally,
        on_failure,
        unserved: procedures.unserved,
        references: procedures.references,
    }
}

/// The parts of a case, as it gives them or as the suite does.
fn drafts(
    case: &Case,
    node: &Node,
    suite: &SuiteContext,
    foreign: bool,
    decoder: &mut Decoder,
) -> Vec<Draft> {
    let default = suite
        .defaults
        .as_ref()
        .and_then(|defaults| defaults.target.as_ref());
    let over_default = |draft: Draft| match default {
        Some(default) => draft.over(&default.value),
        None => draft,
    };
    let mut drafts: Vec<Draft> = Vec::new();
    for (name, part) in &case.parts {
        check_name(
            &Located {
                value: name.clone(),
                origin: part.origin.clone(),
            },
            "part",
            decoder,
        );
        let draft = Draft::new(name, part.clone());
        drafts.push(if name == "target" {
            over_default(draft)
        } else {
            draft
        });
    }
    let named = drafts.iter().any(|draft| draft.name == "target");
    let target = match (&case.target, &case.container) {
        (Some(target), None) => Some(over_default(Draft::new("target", target.clone()))),
        (Some(target), Some(_)) => {
            decoder.error(
                target.origin.span,
                "a `target` and a `container`; both are the software under test",
            );
            None
        }
        (None, Some(container)) => Some(Draft::of_container(container.clone(), decoder)),
        (None, None) if named => None,
        (None, None) => match default {
            Some(default) => Some(Draft::new("target", default.clone())),
            None if foreign => {
                let part: Part = part::empty(decoder);
                let origin = decoder.origin(first_line(node.span, decoder.file()));
                let mut draft = Draft::new("target", Located { value: part, origin });
                draft.container = Some(crate::plan::ContainerPlan::default());
                draft.spans.clear();
                Some(draft)
            }
            None => None,
        },
    };
    match target {
        Some(target) if named => {
            decoder.error(target.origin.span, "a `target` here, and one among the parts");
        }
        Some(target) => drafts.push(target),
        None => {}
    }
    add_to_target(case, node, &mut drafts, decoder);
    drafts
}

/// The case's own `env`, `files` and `ports` are the target's.
fn add_to_target(case: &Case, node: &Node, drafts: &mut [Draft], decoder: &mut Decoder) {
    let given: Vec<&str> = ["env", "files", "ports"]
        .into_iter()
        .filter(|key| node.get(key).is_some_and(|node| !node.is_null()))
        .collect();
    let only = drafts.len() == 1;
    match drafts.iter_mut().find(|draft| only || draft.name == "target") {
        Some(draft) => {
            draft
                .part
                .env
                .extend(case.env.iter().map(|(name, value)| (name.clone(), value.clone())));
            draft.part.files.0.extend(case.files.0.iter().cloned());
            draft
                .part
                .ports
                .0
                .extend(case.ports.0.iter().map(|(name, port)| (name.clone(), *port)));
        }
        None => {
            for key in given {
                let span = node.get(key).map_or(node.span, |node| node.span);
                decoder.error(span, format!("`{key}` of which part?")).help =
                    Some("what stands beside the parts is the target's: call one of them `target`, or write it there".into());
            }
        }
    }
}

/// What holds in this case whatever its parts are.
fn names_of_case(suite: &SuiteContext, case: &Case) -> Names {
    let mut names = suite.names.clone();
    // Only what the case uses is there.
    names.forget("fixture");
    names.declare_mapping("fixture");
    names.declare(&["case", "name"]);
    names.declare(&["case", "dir"]);
    if case.matrix.is_some() {
        names.declare(&["case", "variant"]);
    }
    case.values
        .keys()
        .for_each(|value| names.declare(&["values", value]));
    names
}

/// A template of another variant, which has other names in scope.
fn written_for_another(used: &TemplateUse, node: &Node, variant: &Planned) -> bool {
    let Some(matrix) = node
        .get("matrix")
        .filter(|matrix| covers(matrix.span, used.origin.span))
    else {
        return false;
    };
    let list = matrix.get("variants").unwrap_or(matrix);
    let Value::Sequence(items) = &list.value else {
        return false;
    };
    let own = items
        .iter()
        .find(|item| covers(item.span, used.origin.span))
        .and_then(|item| item.get("name"));
    own.and_then(Node::text).map(|name| name.to_string()) != variant.name
}

fn labels(suite: &SuiteContext, case: &Case, variant: &Planned) -> BTreeMap<String, String> {
    let mut labels = suite.labels.clone();
    if let Some(defaults) = &suite.defaults {
        labels.extend(defaults.labels.0.clone());
    }
    labels.extend(case.labels.0.clone());
    labels.extend(variant.labels.0.clone());
    labels
}

fn requires(suite: &SuiteContext, case: &Case, variant: &Planned) -> Vec<RequirementPlan> {
    let mut all: Vec<RequirementPlan> = Vec::new();
    let by_default = suite
        .defaults
        .as_ref()
        .map(|defaults| requirements(&defaults.requires))
        .unwrap_or_default();
    for requirement in by_default
        .into_iter()
        .chain(requirements(&case.requires))
        .chain(variant.requires.clone())
    {
        if !all.contains(&requirement) {
            all.push(requirement);
        }
    }
    all
}

fn other_platform(runtimes: Option<&[Runtime]>) -> Option<String> {
    let runtimes = runtimes?;
    if runtimes
        .iter()
        .any(|runtime| matches!(runtime, Runtime::Linux | Runtime::Docker))
    {
        return None;
    }
    let names: Vec<&str> = runtimes.iter().map(|runtime| runtime.as_str()).collect();
    Some(format!("it is for {} only", names.join(" and ")))
}

fn unserved(steps: &BTreeSet<String>) -> Option<String> {
    if steps.is_empty() {
        return None;
    }
    let names: Vec<String> = steps.iter().map(|step| format!("`{step}`")).collect();
    let (noun, verb) = if names.len() == 1 {
        ("step", "is")
    } else {
        ("steps", "are")
    };
    Some(format!(
        "the {noun} {} {verb} not defined by this suite",
        names.join(", ")
    ))
}

/// The name of a case that has none: its file's, or its directory's where the file's says nothing.
fn name_of_file(file: &SourceFile) -> String {
    let stem = |path: &Path| {
        path.file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    let name = stem(&file.path);
    match name.as_str() {
        "config" | "case" => {
            let dir = absolute(file.directory());
            dir.file_name()
                .map_or(name, |dir| dir.to_string_lossy().into_owned())
        }
        _ => name,
    }
}

/// Names are typed into `-t`, joined by slashes and looked for by globs; what would need quoting there is refused.
pub(crate) fn check_name(name: &Located<String>, what: &str, decoder: &mut Decoder) {
    if !is_name(&name.value) {
        decoder
            .error_at(&name.origin, format!("`{}` is no name of a {what}", name.value))
            .help = Some("letters, digits, `.`, `_` and `-`, starting with a letter or a digit".into());
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |at: char| at.is_alphanumeric() || "._-".contains(at);
    name.starts_with(char::is_alphanumeric) && name.chars().all(allowed)
}

/// The first line of a span: the whole of a case under a message says nothing.
fn first_line(span: Span, file: &SourceFile) -> Span {
    let length = file
        .text
        .get(span.range())
        .and_then(|text| text.lines().next())
        .map_or(0, str::len);
    Span {
        start: span.start,
        end: span.start + u32::try_from(length).unwrap_or(0),
    }
}
