//! What the flags, the profile and the defaults come to, once: behind this there are only [`Settings`] and a
//! [`Selection`].

use std::{
    collections::{BTreeSet, HashMap},
    env,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use seatrial_cases::plan::ProfilePlan;
use seatrial_engine::{
    Diagnostic, Ignored, Order, Repeat, Settings, TestSpec,
    selection::{Filter, NamePattern, Selection, closest},
};
use seatrial_environment::requirement;

use crate::{
    args::{DebuggingArgs, RunningArgs, SelectionArgs},
    history,
    shell::quote,
    stop::Stop,
};

/// `--until-failure` without a number of times.
const UNTIL_FAILURE_TIMES: u32 = 1_000;

/// What the flags of selection mean. `runs_dir` is where the project's records are.
///
/// # Errors
/// All filter expressions that do not parse; records that cannot be read.
pub(crate) fn selection(args: &SelectionArgs, runs_dir: &std::path::Path) -> Result<Selection, Stop> {
    let mut wrong = Vec::new();
    let mut filters = Vec::new();
    for expression in &args.filter {
        match Filter::parse(expression, "--filter") {
            Ok(filter) => filters.push(filter),
            Err(found) => wrong.extend(found),
        }
    }
    if !wrong.is_empty() {
        return Err(Stop::Wrong(wrong));
    }
    let failed = if args.failed || args.failed_first {
        history::failed(runs_dir)?
    } else {
        Default::default()
    };
    Ok(Selection {
        names: args
            .tests
            .iter()
            .flat_map(|list| NamePattern::split(list))
            .collect(),
        labels: args.label.clone(),
        filters,
        environments: args.on.iter().map(|on| on.trim().to_owned()).collect(),
        only: args.failed.then(|| failed.clone()),
        first: if args.failed_first {
            failed
        } else {
            Default::default()
        },
        shard: args.shard,
    })
}

/// What was selected.
pub(crate) struct Chosen {
    /// The indexes of the tests, in the order of running.
    pub(crate) tests: Vec<usize>,
    /// What there is to say about the shard, if it is one.
    pub(crate) shard: Option<String>,
}

/// Selects among the tests that there are.
///
/// # Errors
/// When a name that was asked for does not exist, or nothing is left.
pub(crate) fn select(
    selection: &Selection,
    tests: &[&TestSpec],
    runs_dir: &std::path::Path,
) -> Result<Chosen, Stop> {
    let durations = if selection.shard.is_some() {
        history::durations(runs_dir)?
    } else {
        HashMap::new()
    };
    let selected = selection.select(tests, &durations);
    if tests.is_empty() {
        let help = "case files and seatrial.yaml are looked for in the paths that are given, else in the current \
                    directory";
        return Err(Stop::no_match(
            Diagnostic::error("there are no tests here").help(help),
        ));
    }
    if let [first, ..] = selected.unknown.as_slice() {
        let unknown: Vec<String> = selected.unknown.iter().map(|name| format!("`{name}`")).collect();
        let message = match unknown.len() {
            1 => format!("no test is named `{first}`"),
            _ => format!("no tests are named {}", unknown.join(", ")),
        };
        return Err(Stop::no_match(no_match(message, selection, tests)));
    }
    // A shard may be empty while the others are not: that is no mistake.
    if selected.before_shard == 0 {
        let message = match &selection.only {
            Some(only) if only.is_empty() => "no test failed when it last ran".to_owned(),
            _ => format!("none of the {} tests here is selected", tests.len()),
        };
        return Err(Stop::no_match(no_match(message, selection, tests)));
    }
    let shard = selection.shard.map(|shard| {
        let how = if durations.is_empty() {
            "by name, since no durations are recorded"
        } else {
            "balanced by recorded durations"
        };
        let (ours, all) = (selected.tests.len(), selected.before_shard);
        format!("shard {shard}: {ours} of {all} tests, {how}")
    });
    Ok(Chosen {
        tests: selected.tests,
        shard,
    })
}

fn no_match(message: String, selection: &Selection, tests: &[&TestSpec]) -> Diagnostic {
    const CLOSEST_MAX: usize = 3;
    let names: Vec<String> = tests.iter().map(|test| test.full_name()).collect();
    let near = selection.closest(&names, CLOSEST_MAX);
    let mut help: Vec<String> = Vec::new();
    if !near.is_empty() {
        help.push(format!("the closest: {}", near.join(", ")));
    }
    if !selection.labels.is_empty() {
        let labels: BTreeSet<String> = tests
            .iter()
            .flat_map(|test| &test.labels)
            .map(|(key, value)| {
                if value.is_empty() {
                    key.clone()
                } else {
                    format!("{key}={value}")
                }
            })
            .collect();
        help.push(match labels.is_empty() {
            true => "no test here has labels".to_owned(),
            false => format!("there are labels {}", Vec::from_iter(labels).join(", ")),
        });
    }
    if help.is_empty() {
        let some: Vec<&str> = names.iter().take(CLOSEST_MAX).map(String::as_str).collect();
        help.push(format!(
            "tests here: {}{}",
            some.join(", "),
            if names.len() > some.len() { ", …" } else { "" }
        ));
    }
    Diagnostic::error(message).help(help.join("\n"))
}

/// Where a run is kept.
pub(crate) struct Place {
    /// The project.
    pub(crate) project: String,
    /// seatrial's state directory.
    pub(crate) state_dir: PathBuf,
    /// The directory that holds the project's runs.
    pub(crate) runs_dir: PathBuf,
}

/// What the flags of running mean, with the profile behind them and the defaults behind that.
pub(crate) fn settings(
    running: &RunningArgs,
    debugging: &DebuggingArgs,
    profile: &ProfilePlan,
    place: &Place,
) -> Settings {
    let defaults = Settings::default();
    let run_id = seatrial_engine::run_id::new();
    Settings {
        run_dir: place.runs_dir.join(&run_id),
        run_id,
        project: place.project.clone(),
        state_dir: place.state_dir.clone(),
        args: env::args().skip(1).collect(),
        slots: running.parallel.or(profile.slots).unwrap_or(defaults.slots),
        timeout: running.timeout.or(profile.timeout).unwrap_or(defaults.timeout),
        timeout_multiplier: running
            .timeout_multiplier
            .or(profile.timeout_multiplier)
            .unwrap_or(defaults.timeout_multiplier),
        grace: running.grace.or(profile.grace).unwrap_or(defaults.grace),
        slow_after: running
            .slow_after
            .or(profile.slow_after)
            .unwrap_or(defaults.slow_after),
        retries: running.retries.or(profile.retries).unwrap_or(defaults.retries),
        fail_fast: running.fail_fast.or(profile.fail_fast),
        order: match running.shuffle {
            None => Order::AsFound,
            Some(seed) => Order::Shuffled(seed.unwrap_or_else(fresh_seed)),
        },
        repeat: match (running.until_failure, running.repeat) {
            (true, times) => Repeat::UntilFailure(times.unwrap_or(UNTIL_FAILURE_TIMES)),
            (false, times) => Repeat::Times(times.unwrap_or(1)),
        },
        require: required(&running.require, &profile.require),
        keep: debugging.keep.map_or(defaults.keep, Into::into),
        breakpoint: debugging.breakpoint.clone(),
        ignored: match (running.ignored, running.include_ignored) {
            (true, _) => Ignored::Only,
            (_, true) => Ignored::Include,
            _ => Ignored::Skip,
        },
        ..defaults
    }
}

fn required(flags: &[String], profile: &[String]) -> BTreeSet<String> {
    flags
        .iter()
        .chain(profile)
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

/// Refuses names of requirements that nobody has: a typo would let everything be skipped.
///
/// # Errors
/// When a name is neither one that seatrial knows nor one that a test needs.
pub(crate) fn refuse_unknown_requirements(names: &BTreeSet<String>, tests: &[&TestSpec]) -> Result<(), Stop> {
    let mut known: BTreeSet<String> = requirement::known()
        .iter()
        .map(|one| one.name().to_owned())
        .collect();
    for test in tests {
        let fixtures = test.fixtures.iter().flat_map(|fixture| fixture.requirements());
        known.extend(
            test.requirements
                .iter()
                .chain(fixtures)
                .map(|one| one.name().to_owned()),
        );
    }
    let wrong: Vec<Diagnostic> = names
        .difference(&known)
        .map(|name| {
            let near = closest(name, known.iter().map(String::as_str), 1);
            let help = match near.first() {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", Vec::from_iter(known.clone()).join(", ")),
            };
            Diagnostic::error(format!("no requirement is named `{name}`")).help(help)
        })
        .collect();
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Stop::Wrong(wrong))
    }
}

/// What runs a single test again: the arguments before its name.
pub(crate) fn rerun(program: &str, paths: &[PathBuf], profile: Option<&str>) -> String {
    let mut words = vec![quote(program).into_owned(), "run".to_owned()];
    words.extend(
        paths
            .iter()
            .map(|path| quote(&path.to_string_lossy()).into_owned()),
    );
    if let Some(profile) = profile {
        words.push(format!("--profile {}", quote(profile)));
    }
    words.push("-t".to_owned());
    words.join(" ")
}

/// This program as it would be typed here: by its name if the `PATH` leads to it.
pub(crate) fn program() -> String {
    let typed = env::args_os().next().unwrap_or_default();
    let typed = typed.to_string_lossy().into_owned();
    let current = env::current_dir().unwrap_or_default();
    match typed.strip_prefix(&*current.to_string_lossy()) {
        Some(rest) if rest.starts_with('/') => format!(".{rest}"),
        _ => typed,
    }
}

/// A seed that nobody has used before, short enough to be typed.
pub(crate) fn fresh_seed() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    u64::from(now.subsec_nanos() ^ std::process::id().rotate_left(16)) % 1_000_000
}
