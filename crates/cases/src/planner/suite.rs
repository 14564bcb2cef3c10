//! What a suite's own file says: builds, fixtures, steps, profiles, and what holds for its cases by default.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use indexmap::IndexMap;
use seatrial_engine::{Diagnostic, selection::Filter};

use crate::{
    decode::{Decoder, Located, TemplateUse, suggestion},
    file::{
        case::Requirement,
        suite::{Build, Defaults, Find, Override, Profile, Secret, Suite as SuiteFile},
    },
    node::{self, Node},
    plan::{BuildOutput, BuildPlan, OverridePlan, ProfilePlan, RequirementPlan, SecretPlan, Slots, Suite},
    planner::{
        case::check_name,
        fixture::{declare_fixture, fixture_plan},
        part::absolute,
    },
    procedure::{Definition, Surroundings, check_reference, define, is_vocabulary},
    source::{Origin, SourceFile, Span},
    template::{Data, Names, Reference},
    tolerant,
};

/// A suite's file, planned but for its cases.
pub(crate) struct SuiteContext {
    /// The suite, still without cases.
    pub(crate) suite: Suite,
    /// What holds for its cases by default.
    pub(crate) defaults: Option<Defaults>,
    /// The templates in there: they are checked where they are used.
    pub(crate) default_templates: Vec<TemplateUse>,
    /// Where the default target's command is written.
    pub(crate) default_command: Option<Span>,
    /// Labels of all its tests.
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) values: IndexMap<String, Data>,
    pub(crate) definitions: IndexMap<String, Arc<Definition>>,
    /// The patterns of its case files.
    pub(crate) patterns: Option<Vec<Located<String>>>,
    /// Names that hold in all its cases.
    pub(crate) names: Names,
}

/// A suite without a file: what is found below a directory.
pub(crate) fn without_file(dir: &Path) -> SuiteContext {
    let dir = absolute(dir);
    let name = default_name(&dir);
    context(
        SuiteFileParts {
            name,
            dir,
            file: None,
            suite: None,
            description: None,
        },
        Vec::new(),
    )
}

/// Plans a suite's file. Whatever is wrong with it, there is a suite to go on with.
pub(crate) fn plan(file: &Arc<SourceFile>) -> (SuiteContext, Vec<Diagnostic>) {
    let mut decoder = Decoder::new(file.clone());
    let dir = absolute(file.directory());
    let root = match node::parse(file) {
        Ok(root) => root,
        Err(errors) => {
            decoder.syntax(errors);
            None
        }
    };
    let suite: Option<SuiteFile> = root
        .as_ref()
        .and_then(|root| tolerant::decode(root, &mut decoder));
    let templates = decoder.take_templates();
    let name = match suite.as_ref().and_then(|suite| suite.name.as_ref()) {
        Some(name) => {
            check_name(name, "suite", &mut decoder);
            name.value.clone()
        }
        None => default_name(&dir),
    };
    let description = suite.as_ref().and_then(|suite| suite.description.clone());
    let parts = SuiteFileParts {
        name,
        dir,
        file: Some(file.clone()),
        suite: suite.as_ref(),
        description,
    };
    let within = |node: Option<&Node>, used: &TemplateUse| {
        node.is_some_and(|node| covers(node.span, used.origin.span))
    };
    let top = |key: &str| root.as_ref().and_then(|root| root.get(key));
    let default_templates = templates
        .iter()
        .filter(|used| within(top("defaults"), used))
        .cloned()
        .collect();
    let mut context = context(parts, default_templates);
    if let (Some(suite), Some(root)) = (suite, &root) {
        fill(&mut context, suite, root, &templates, &mut decoder);
    }
    (context, decoder.finish())
}

struct SuiteFileParts<'a> {
    name: String,
    dir: PathBuf,
    file: Option<Arc<SourceFile>>,
    suite: Option<&'a SuiteFile>,
    description: Option<String>,
}

fn context(parts: SuiteFileParts<'_>, default_templates: Vec<TemplateUse>) -> SuiteContext {
    let suite = Suite {
        name: parts.name,
        description: parts.description,
        dir: parts.dir,
        file: parts.file,
        builds: IndexMap::new(),
        fixtures: IndexMap::new(),
        cases: Vec::new(),
        profiles: IndexMap::new(),
        overrides: Vec::new(),
        test_groups: BTreeMap::new(),
        secrets: Vec::new(),
    };
    let mut names = Names::default();
    for name in [&["uuid"][..], &["env"], &["suite", "name"], &["suite", "dir"]] {
        names.declare(name);
    }
    for mapping in ["build", "fixture", "values", "saved", "part", "port"] {
        names.declare_mapping(mapping);
    }
    let patterns = parts.suite.and_then(|suite| suite.cases.clone());
    SuiteContext {
        suite,
        defaults: None,
        default_templates,
        default_command: None,
        labels: BTreeMap::new(),
        values: IndexMap::new(),
        definitions: IndexMap::new(),
        patterns,
        names,
    }
}

fn fill(
    context: &mut SuiteContext,
    file: SuiteFile,
    root: &Node,
    templates: &[TemplateUse],
    decoder: &mut Decoder,
) {
    for (group, limit) in &file.test_groups {
        if *limit == 0 {
            let span = root
                .get("test_groups")
                .or_else(|| root.get("test-groups"))
                .map_or(root.span, |node| node.span);
            decoder.error(span, format!("the test group `{group}` could never run anything"));
        }
    }
    context.suite.test_groups = file
        .test_groups
        .iter()
        .map(|(name, limit)| (name.clone(), *limit))
        .collect();
    context.labels = file.labels.0.clone();
    context.values = file.values.clone();
    for name in context.values.keys() {
        context.names.declare(&["values", name]);
    }
    for (name, build) in &file.build {
        context.names.declare(&["build", name]);
        let plan = build_plan(name, build, &context.suite.dir);
        context.suite.builds.insert(name.clone(), Arc::new(plan));
    }
    let outside = |used: &&TemplateUse| {
        let fixtures = root
            .get("fixtures")
            .is_some_and(|node| covers(node.span, used.origin.span));
        let steps = root
            .get("steps")
            .is_some_and(|node| covers(node.span, used.origin.span));
        let defaults = root
            .get("defaults")
            .is_some_and(|node| covers(node.span, used.origin.span));
        // Values are checked in each case: they may speak of its target.
        let values = root
            .get("values")
            .is_some_and(|node| covers(node.span, used.origin.span));
        !fixtures && !steps && !defaults && !values
    };
    let surroundings = Surroundings {
        names: context.names.clone(),
        ..Surroundings::default()
    };
    for used in templates.iter().filter(outside) {
        check_use(used, &surroundings, None, decoder);
    }
    let values = root.get("values").map(|node| node.span);
    context.default_templates.extend(
        templates
            .iter()
            .filter(|used| values.is_some_and(|span| covers(span, used.origin.span)))
            .cloned(),
    );

    let steps: Vec<String> = file.steps.keys().cloned().collect();
    for (at, (name, step)) in file.steps.iter().enumerate() {
        let key = root
            .get("steps")
            .and_then(|steps| entry_span(steps, name))
            .unwrap_or(step.origin.span);
        let located = Located {
            value: name.clone(),
            origin: decoder.origin(key),
        };
        // Templates in the parameters' defaults belong to the definition.
        decoder.see_again(
            templates
                .iter()
                .filter(|used| covers(step.origin.span, used.origin.span))
                .cloned()
                .collect(),
        );
        let later = &steps[at..];
        let definition = define(&located, &step.value, &context.definitions, later, decoder);
        if !is_vocabulary(name) {
            context.definitions.insert(name.clone(), Arc::new(definition));
        }
    }
    let fixtures: Vec<String> = file.fixtures.keys().cloned().collect();
    for (at, (name, fixture)) in file.fixtures.into_iter().enumerate() {
        for used in &fixture.value.uses {
            if fixtures[at..].contains(&used.value) {
                let message = format!("the fixture `{}` is defined further below", used.value);
                decoder.error(used.origin.span, message).help =
                    Some("a fixture can use those that are defined before it".into());
            }
        }
        let key = root
            .get("fixtures")
            .and_then(|fixtures| entry_span(fixtures, &name))
            .unwrap_or(fixture.origin.span);
        let node = root.get("fixtures").and_then(|fixtures| fixtures.get(&name));
        let located = Located {
            value: name.clone(),
            origin: decoder.origin(key),
        };
        let used: Vec<TemplateUse> = templates
            .iter()
            .filter(|used| covers(fixture.origin.span, used.origin.span))
            .cloned()
            .collect();
        let plan = fixture_plan(context, &located, fixture, &fixtures[at..], node, &used, decoder);
        declare_fixture(&plan, &mut context.names);
        context.suite.fixtures.insert(name, Arc::new(plan));
    }

    let groups: BTreeSet<String> = file.test_groups.keys().cloned().collect();
    let defaults_group = file
        .defaults
        .as_ref()
        .and_then(|defaults| defaults.test_group.as_ref());
    for group in file
        .overrides
        .iter()
        .filter_map(|one| one.test_group.as_ref())
        .chain(defaults_group)
    {
        check_known("test group", group, groups.iter().map(String::as_str), decoder);
    }
    for profile in file.overrides.iter().filter_map(|one| one.profile.as_ref()) {
        check_known(
            "profile",
            profile,
            file.profiles.keys().map(String::as_str),
            decoder,
        );
    }
    context.suite.profiles = file
        .profiles
        .into_iter()
        .map(|(name, profile)| (name, profile_plan(profile, &context.suite.dir)))
        .collect();
    context.suite.overrides = file
        .overrides
        .into_iter()
        .filter_map(|one| override_plan(one, decoder))
        .collect();
    context.suite.secrets = file
        .secrets
        .into_iter()
        .map(|secret| match secret {
            Secret::Environment(variable) => SecretPlan::Environment(variable),
            Secret::File(path) => SecretPlan::File(context.suite.dir.join(path)),
        })
        .collect();
    let target = root.get("defaults").and_then(|defaults| defaults.get("target"));
    context.default_command = target.and_then(|target| match target.value {
        node::Value::Mapping(_) => target.get("command").map(|command| command.span),
        _ => Some(target.span),
    });
    context.defaults = file.defaults;
}

/// Names what is unknown, with the nearest that is known.
pub(crate) fn check_known<'k>(
    what: &str,
    name: &Located<String>,
    known: impl Iterator<Item = &'k str>,
    decoder: &mut Decoder,
) -> bool {
    let known: Vec<&str> = known.collect();
    let found = known.contains(&name.value.as_str());
    if !found {
        decoder
            .error_at(&name.origin, format!("there is no {what} `{}`", name.value))
            .help = Some(suggestion(&name.value, known));
    }
    found
}

/// Reports the names of a template that lead nowhere.
pub(crate) fn check_use(
    used: &TemplateUse,
    surroundings: &Surroundings,
    ports: Option<&BTreeSet<String>>,
    decoder: &mut Decoder,
) {
    for reference in &used.references {
        if let Err((message, help)) = check_reference(reference, surroundings, ports, &BTreeSet::new()) {
            decoder
                .error_at(&used.origin.narrowed(&reference.to_string()), message)
                .help = Some(help);
        }
    }
}

/// The builds that names refer to, once each.
pub(crate) fn builds_of<'r>(
    references: impl IntoIterator<Item = &'r Reference>,
    builds: &IndexMap<String, Arc<BuildPlan>>,
) -> Vec<Arc<BuildPlan>> {
    let wanted: BTreeSet<&str> = references
        .into_iter()
        .filter_map(|reference| match reference.0.as_slice() {
            [root, name, ..] if root == "build" => Some(name.as_str()),
            _ => None,
        })
        .collect();
    builds
        .iter()
        .filter(|(name, _)| wanted.contains(name.as_str()))
        .map(|(_, build)| build.clone())
        .collect()
}

fn build_plan(name: &str, build: &Located<Build>, dir: &Path) -> BuildPlan {
    let file = &build.value;
    let cwd = file
        .cwd
        .as_ref()
        .map_or_else(|| dir.to_owned(), |cwd| dir.join(cwd));
    let find = match &file.find {
        Find {
            cargo: Some(executable),
            ..
        } => BuildOutput::CargoExecutable(executable.clone()),
        Find { path: Some(path), .. } => BuildOutput::Path(cwd.join(path)),
        Find { .. } => BuildOutput::LastLine,
    };
    BuildPlan {
        name: name.to_owned(),
        origin: build.origin.clone(),
        command: file.command.clone(),
        cwd,
        env: file.env.clone(),
        find,
        timeout: file.timeout,
    }
}

fn profile_plan(profile: Profile, dir: &Path) -> ProfilePlan {
    ProfilePlan {
        retries: profile.retries,
        slots: profile.slots,
        timeout: profile.timeout,
        timeout_multiplier: profile.timeout_multiplier,
        fail_fast: profile.fail_fast.and_then(|fail_fast| fail_fast.0),
        slow_after: profile.slow_after,
        grace: profile.grace,
        require: profile.require,
        junit: profile.junit.map(|path| dir.join(path)),
    }
}

fn override_plan(one: Override, decoder: &mut Decoder) -> Option<OverridePlan> {
    let filter = match Filter::parse(&one.filter.value, "filter") {
        Ok(filter) => filter,
        Err(diagnostics) => {
            for diagnostic in diagnostics {
                let span = diagnostic.place.as_ref().map_or(one.filter.origin.span, |place| {
                    within_text(&one.filter, &place.span)
                });
                decoder.error(span, diagnostic.message).help = diagnostic.help;
            }
            return None;
        }
    };
    Some(OverridePlan {
        filter,
        origin: one.filter.origin,
        timeout: one.timeout,
        retries: one.retries,
        slots: if one.alone {
            Some(Slots::Alone)
        } else {
            one.slots.map(Slots::Count)
        },
        test_group: one.test_group.map(|group| group.value),
        profile: one.profile.map(|profile| profile.value),
    })
}

/// A span of a scalar's text as one of the file; the whole scalar where escapes or folding moved the bytes.
fn within_text(text: &Located<String>, inner: &std::ops::Range<usize>) -> Span {
    let span = text.origin.narrowed(&text.value).span;
    if text.origin.file.text.get(span.range()) != Some(&text.value) {
        return span;
    }
    let start = span.start as usize;
    Span::from(start + inner.start..start + inner.end.max(inner.start + 1).min(text.value.len().max(1)))
}

pub(crate) fn requirements(requires: &[Requirement]) -> Vec<RequirementPlan> {
    requires
        .iter()
        .map(|Requirement(requirement)| requirement.clone())
        .collect()
}

pub(crate) fn covers(outer: Span, inner: Span) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

fn entry_span(mapping: &Node, key: &str) -> Option<Span> {
    match &mapping.value {
        node::Value::Mapping(entries) => entries
            .iter()
            .find(|entry| &*entry.key == key)
            .map(|entry| entry.key_span),
        _ => None,
    }
}

fn default_name(dir: &Path) -> String {
    let name = dir
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let name: String = name
        .chars()
        .map(|at| {
            if at.is_ascii_alphanumeric() || ".-_".contains(at) {
                at
            } else {
                '-'
            }
        })
        .collect();
    if name.is_empty() { "suite".into() } else { name }
}

/// Where a suite's file starts, for findings about the suite as a whole.
pub(crate) fn start_of(file: &Arc<SourceFile>) -> Origin {
    Origin {
        file: file.clone(),
        span: Span { start: 0, end: 0 },
    }
}
