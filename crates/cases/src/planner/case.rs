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
    plan::{CasePlan, On, RequirementPlan, Slots},
    planner::{
        fixture::{declare_fixture, fixtures_of},
        matrix::{self, Planned},
        part::{self, Draft, Missing, absolute},
        suite::{SuiteContext, builds_of, check_known, check_use, covers, requirements},
    },
    procedure::{Procedures, Surroundings},
    source::{SourceFile, Span},
    template::Names,
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
    let defaults = suite.defaults.as_ref();
    let name = match &case.name {
        Some(name) => {
            check_name(name, "case", decoder);
            name.clone()
        }
        None => {
            let name = Located {
                value: name_of_file(decoder.file()),
                origin: decoder.origin(first_line(node.span, decoder.file())),
            };
            check_name(&name, "case", decoder);
            name
        }
    };
    let foreign = case.container.is_some()
        || case.runtimes.is_some()
        || node.get("assertions").is_some()
        || case.kind == CaseType::Integration;
    let containers = foreign
        || case.on == Some(Where::Docker)
        || (case.on.is_none() && defaults.is_some_and(|defaults| defaults.on == Some(Where::Docker)));
    let variants = matrix::variants(case.matrix.clone(), decoder);
    if case.procedure.is_none() {
        decoder.error(first_line(node.span, decoder.file()), "`procedure` is missing");
    }

    let drafts = drafts(&case, node, suite, foreign, decoder);
    if !foreign {
        for draft in drafts.iter().filter(|draft| draft.part.command.is_none()) {
            if draft.container.is_none() || !containers {
                decoder.error_at(
                    &draft.origin,
                    format!("the part `{}` has no `command`", draft.name),
                );
            }
        }
    }
    let drafts = part::in_start_order(drafts, decoder);
    let target = drafts
        .iter()
        .position(|draft| draft.name == "target")
        .or_else(|| (drafts.len() == 1).then_some(0));
    let target_name = target.map(|at| drafts[at].name.clone());

    let mut templates: Vec<(TemplateUse, Option<String>)> = written
        .into_iter()
        .map(|used| {
            let inside = |draft: &&Draft| {
                Arc::ptr_eq(&used.origin.file, &draft.origin.file)
                    && draft.spans.iter().any(|span| covers(*span, used.origin.span))
            };
            let about = drafts.iter().find(inside).map(|draft| draft.name.clone());
            (used, about.or_else(|| target_name.clone()))
        })
        .collect();

    let mut uses = defaults.map(|defaults| defaults.uses.clone()).unwrap_or_default();
    uses.extend(case.uses.iter().cloned());
    let fixtures = fixtures_of(&uses, &suite.suite.fixtures, decoder);
    for group in case.test_group.iter() {
        check_known(
            "test group",
            group,
            suite.suite.test_groups.keys().map(String::as_str),
            decoder,
        );
    }

    let skip_by_file = case
        .skip
        .clone()
        .or_else(|| other_platform(case.runtimes.as_deref()));
    let missing = if containers || skip_by_file.is_some() {
        Missing::Ignored
    } else {
        Missing::Refused
    };
    let mut parts = Vec::with_capacity(drafts.len());
    for draft in &drafts {
        parts.push(part::plan(draft, defaults, missing, decoder));
        // Those of files that are rendered.
        let rendered = decoder.take_templates().into_iter();
        templates.extend(rendered.map(|used| (used, Some(draft.name.clone()))));
    }
    if !drafts.is_empty() {
        templates.extend(
            suite
                .default_templates
                .iter()
                .map(|used| (used.clone(), target_name.clone())),
        );
    }

    let mut names = names_of_case(suite, &case);
    for fixture in &fixtures {
        declare_fixture(fixture, &mut names);
    }
    part::declare_names(&drafts, &mut names);
    let surroundings = |variant: &Planned| {
        let mut names = names.clone();
        if variant.skip.is_some() {
            // It has not got to have the values that it would need.
            names.declare(&["values"]);
        }
        variant
            .values
            .keys()
            .for_each(|value| names.declare(&["values", value]));
        Surroundings {
            names,
            parts: drafts
                .iter()
                .map(|draft| (draft.name.clone(), draft.part.ports.0.keys().cloned().collect()))
                .collect(),
            default_part: target_name.clone(),
        }
    };

    // Variants that declare the same values have the same names in scope, so their steps are decoded once.
    let mut decoded: Vec<(BTreeSet<String>, Steps)> = Vec::new();
    for variant in variants {
        let values: BTreeSet<String> = variant.values.keys().cloned().collect();
        let known = decoded
            .iter()
            .find(|(names, _)| *names == values)
            .map(|(_, steps)| steps.clone());
        let surroundings = surroundings(&variant);
        for (used, about) in &templates {
            if !written_for_another(used, node, &variant) {
                let ports = about.as_ref().and_then(|part| surroundings.parts.get(part));
                check_use(used, &surroundings, ports, decoder);
            }
        }
        let steps = match known {
            Some(steps) => steps,
            None => {
                let steps = decode_steps(&case, &drafts, &surroundings, suite, decoder);
                decoded.push((values, steps.clone()));
                steps
            }
        };
        for (part, ready) in parts.iter_mut().zip(&steps.ready) {
            part.ready.clone_from(ready);
        }
        let mut parts = parts.clone();
        if let Some(target) = target {
            parts[target].env.extend(
                variant
                    .env
                    .iter()
                    .map(|(name, value)| (name.clone(), value.clone())),
            );
        }
        let references = templates
            .iter()
            .flat_map(|(used, _)| &used.references)
            .chain(&steps.references);
        let mut builds = builds_of(references, &suite.suite.builds);
        for build in fixtures.iter().flat_map(|fixture| &fixture.builds) {
            if builds.iter().all(|present| present.name != build.name) {
                builds.push(build.clone());
            }
        }
        let skip = variant
            .skip
            .clone()
            .or_else(|| skip_by_file.clone())
            .or_else(|| unserved(&steps.unserved))
            .or_else(|| {
                case.intake
                    .as_ref()
                    .filter(|intake| intake.enabled)
                    .map(|_| NO_INTAKE.to_owned())
            })
            .or_else(|| containers.then(|| NO_CONTAINERS.to_owned()));
        plans.push(CasePlan {
            name: name.value.clone(),
            variant: variant.name.clone(),
            description: variant.description.clone().or_else(|| case.description.clone()),
            origin: name.origin.clone(),
            dir: absolute(decoder.file().directory()),
            labels: labels(suite, &case, &variant),
            timeout: case.timeout.or_else(|| defaults?.timeout),
            retries: case.retries.or_else(|| defaults?.retries),
            slots: match (case.alone, case.slots.or_else(|| defaults?.slots)) {
                (true, _) => Slots::Alone,
                (false, count) => Slots::Count(count.unwrap_or(1)),
            },
            test_group: case
                .test_group
                .as_ref()
                .or_else(|| defaults?.test_group.as_ref())
                .map(|group| group.value.clone()),
            requires: requires(suite, &case, &variant),
            skip,
            uses: fixtures.clone(),
            builds,
            values: suite
                .values
                .iter()
                .chain(&case.values)
                .chain(&variant.values)
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            parts,
            target: target.unwrap_or_default(),
            procedure: steps.procedure,
            finally: steps.finally,
            on_failure: steps.on_failure,
            on: if containers { On::Docker } else { On::Process },
        });
    }
}

/// All steps of a case.
#[derive(Clone)]
struct Steps {
    ready: Vec<Vec<crate::plan::StepPlan>>,
    procedure: Vec<crate::plan::StepPlan>,
    finally: Vec<crate::plan::StepPlan>,
    on_failure: Vec<crate::plan::StepPlan>,
    unserved: BTreeSet<String>,
    references: Vec<crate::template::Reference>,
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
