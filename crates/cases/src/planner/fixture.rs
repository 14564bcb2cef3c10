//! Fixtures of a suite: their parts, what they use in turn, what they give.

use std::sync::Arc;

use indexmap::IndexMap;

use super::{
    case::check_name,
    part::{self, Draft, Missing},
    suite::{SuiteContext, builds_of, check_known, check_use, covers, requirements},
};
use crate::{
    decode::{Decoder, Located, TemplateUse},
    file::suite::{Fixture, Scope},
    node::Node,
    plan::{FixturePlan, FixtureScope},
    procedure::{Procedures, Surroundings},
    template::Names,
};

/// Plans one. `later` are the fixtures from this one on, which it cannot use.
pub(crate) fn fixture_plan(
    context: &SuiteContext,
    name: &Located<String>,
    file: Located<Fixture>,
    later: &[String],
    node: Option<&Node>,
    templates: &[TemplateUse],
    decoder: &mut Decoder,
) -> FixturePlan {
    check_name(name, "fixture", decoder);
    let Located { value: file, origin } = file;
    let known = |used: &&Located<String>| !later.contains(&used.value);
    let uses: Vec<Located<String>> = file.uses.iter().filter(known).cloned().collect();
    let uses = fixtures_of(&uses, &context.suite.fixtures, decoder);
    let mut drafts: Vec<Draft> = file
        .parts
        .into_iter()
        .map(|(name, part)| Draft::new(&name, part))
        .collect();
    if let Some(target) = file.target {
        if drafts.iter().any(|draft| draft.name == "target") {
            decoder.error(target.origin.span, "a `target` here, and one among the parts");
        } else {
            drafts.push(Draft::new("target", target));
        }
    }
    if drafts.is_empty() {
        decoder.error(
            name.origin.span,
            format!("the fixture `{}` has no parts", name.value),
        );
    }
    for draft in drafts
        .iter()
        .filter(|draft| draft.part.command.is_none() && draft.container.is_none())
    {
        decoder.error(
            draft.origin.span,
            format!("the part `{}` has no `command`", draft.name),
        );
    }
    let drafts = part::in_start_order(drafts, decoder);
    let target = match drafts.iter().position(|draft| draft.name == "target") {
        Some(at) => Some(at),
        None => (drafts.len() == 1).then_some(0),
    };
    let mut names = context.names.clone();
    for fixture in &uses {
        declare_fixture(fixture, &mut names);
    }
    part::declare_names(&drafts, &mut names);
    let surroundings = Surroundings {
        names,
        parts: drafts
            .iter()
            .map(|draft| (draft.name.clone(), draft.part.ports.0.keys().cloned().collect()))
            .collect(),
        default_part: target.map(|at| drafts[at].name.clone()),
    };
    let mut parts: Vec<_> = drafts
        .iter()
        .map(|draft| part::plan(draft, None, Missing::Refused, decoder))
        .collect();
    let rendered = decoder.take_templates();
    let ready_span = node
        .and_then(|node| node.get("ready").or_else(|| node.get("procedure")))
        .map(|node| node.span);
    for used in templates.iter().chain(&rendered) {
        if ready_span.is_some_and(|span| covers(span, used.origin.span)) {
            continue;
        }
        let about = drafts
            .iter()
            .find(|draft| draft.spans.iter().any(|span| covers(*span, used.origin.span)));
        let about = about
            .map(|draft| &draft.name)
            .or(surroundings.default_part.as_ref());
        check_use(
            used,
            &surroundings,
            about.and_then(|name| surroundings.parts.get(name)),
            decoder,
        );
    }
    let mut procedures = Procedures::new(&surroundings, &context.definitions);
    for (plan, draft) in parts.iter_mut().zip(&drafts) {
        plan.ready = procedures.about(&draft.name, draft.ready(), decoder);
    }
    let ready = procedures.steps(&file.ready.0, decoder);
    if let Some(step) = procedures.unserved.first() {
        decoder.error(
            name.origin.span,
            format!("the fixture's step `{step}` is not defined by this suite"),
        );
    }
    let references = templates
        .iter()
        .chain(&rendered)
        .flat_map(|used| &used.references)
        .chain(&procedures.references);
    let mut builds = builds_of(references, &context.suite.builds);
    for build in uses.iter().flat_map(|fixture| &fixture.builds) {
        if builds.iter().all(|present| present.name != build.name) {
            builds.push(build.clone());
        }
    }
    FixturePlan {
        name: name.value.clone(),
        suite: (context.suite.name.clone(), context.suite.dir.clone()),
        origin,
        description: file.description,
        scope: match file.scope {
            Scope::Run => FixtureScope::Run,
            Scope::Suite => FixtureScope::Suite,
        },
        requires: requirements(&file.requires),
        uses,
        builds,
        values: context.values.clone(),
        parts,
        target: target.unwrap_or_default(),
        ready,
        outputs: file.outputs,
        timeout: file.timeout,
    }
}

/// Fixtures by name with all that they use in turn, each before those that use it.
pub(crate) fn fixtures_of(
    names: &[Located<String>],
    fixtures: &IndexMap<String, Arc<FixturePlan>>,
    decoder: &mut Decoder,
) -> Vec<Arc<FixturePlan>> {
    let mut all: Vec<Arc<FixturePlan>> = Vec::new();
    let mut add = |fixture: &Arc<FixturePlan>| {
        if all.iter().all(|present| present.name != fixture.name) {
            all.push(fixture.clone());
        }
    };
    for name in names {
        if check_known("fixture", name, fixtures.keys().map(String::as_str), decoder)
            && let Some(fixture) = fixtures.get(&name.value)
        {
            fixture.uses.iter().for_each(&mut add);
            add(fixture);
        }
    }
    all
}

/// What templates can say of a fixture.
pub(crate) fn declare_fixture(fixture: &FixturePlan, names: &mut Names) {
    names.declare_mapping_at(&["fixture", &fixture.name]);
    for output in fixture.outputs.keys() {
        names.declare(&["fixture", &fixture.name, output]);
    }
    for part in &fixture.parts {
        for port in part.ports.keys() {
            names.declare(&["fixture", &fixture.name, "part", &part.name, "port", port]);
        }
        for member in ["name", "host", "dir"] {
            names.declare(&["fixture", &fixture.name, "part", &part.name, member]);
        }
    }
    if let Some(target) = fixture.parts.get(fixture.target) {
        for port in target.ports.keys() {
            names.declare(&["fixture", &fixture.name, "port", port]);
        }
    }
}
