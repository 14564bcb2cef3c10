//! Loading: from paths to suites, with everything that is wrong with any file in one go.
//!
//! A file with mistakes stops nobody: the others are read and diagnosed too. Case files are planned on all cores, since a suite may have
//! a thousand of them and `list` should not be felt.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use globset::{GlobBuilder, GlobMatcher};
use seatrial_engine::{Diagnostic, Severity};

use crate::{
    decode::diagnostic,
    discover::{Found, discover},
    plan::{CasePlan, Suite},
    planner::{
        case,
        suite::{self, SuiteContext, start_of},
    },
    source::SourceFile,
};

/// Which files of a suite are cases where it does not say.
const PATTERNS: &[&str] = &["*.yaml", "*.yml", "cases/**/*.yaml", "cases/**/*.yml"];

/// Below this many files, a thread costs more than it brings.
const FILES_PER_THREAD_MIN: usize = 16;

/// What to load.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Directories, suite files and case files. None of them means the working directory.
    pub paths: Vec<PathBuf>,
}

/// What was loaded.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The suites, by directory. Where there are errors they are incomplete, and nothing should run.
    pub suites: Vec<Suite>,
    /// What is wrong, by file, in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
    /// How many files were read.
    pub files: usize,
}

impl Loaded {
    /// Whether there are errors, so that nothing may run.
    pub fn has_errors(&self) -> bool {
        self.diagnostics
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

/// Loads all suites and case files under the paths.
pub fn load(options: &LoadOptions) -> Loaded {
    let mut diagnostics = Vec::new();
    let here = [PathBuf::from(".")];
    let paths = if options.paths.is_empty() {
        &here[..]
    } else {
        &options.paths
    };
    let found = discover(paths, &mut diagnostics);

    let mut contexts = Vec::with_capacity(found.len());
    let mut work: Vec<(usize, PathBuf)> = Vec::new();
    let mut files = 0;
    for (dir, found) in &found {
        let context = match &found.file {
            Some(path) => match read(path) {
                Ok(file) => {
                    files += 1;
                    let (context, wrong) = suite::plan(&file);
                    diagnostics.extend(wrong);
                    context
                }
                Err(unreadable) => {
                    diagnostics.push(*unreadable);
                    continue;
                }
            },
            None => suite::without_file(dir),
        };
        let at = contexts.len();
        work.extend(
            case_files(dir, found, &context, &mut diagnostics)
                .into_iter()
                .map(|file| (at, file)),
        );
        contexts.push(context);
    }
    files += work.len();

    let mut suites: Vec<Suite> = contexts.iter().map(|context| context.suite.clone()).collect();
    for ((at, _), (cases, wrong)) in work.iter().zip(plan_all(&work, &contexts)) {
        suites[*at].cases.extend(cases.into_iter().map(Arc::new));
        diagnostics.extend(wrong);
    }
    for suite in &suites {
        duplicate_cases(suite, &mut diagnostics);
    }
    duplicate_suites(&suites, &mut diagnostics);
    let mut seen = HashSet::new();
    diagnostics.retain(|diagnostic| {
        let place = diagnostic
            .place
            .as_ref()
            .map(|place| (place.file.clone(), place.span.clone()));
        seen.insert((place, diagnostic.message.clone()))
    });
    Loaded {
        suites,
        diagnostics,
        files,
    }
}

/// Plans the files on all cores; the results are in the order of the work.
fn plan_all(work: &[(usize, PathBuf)], contexts: &[SuiteContext]) -> Vec<(Vec<CasePlan>, Vec<Diagnostic>)> {
    let one = |(suite, path): &(usize, PathBuf)| match read(path) {
        Ok(file) => case::plan(&file, &contexts[*suite]),
        Err(unreadable) => (Vec::new(), vec![*unreadable]),
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.min(work.len() / FILES_PER_THREAD_MIN).max(1);
    if threads == 1 {
        return work.iter().map(one).collect();
    }
    let next = AtomicUsize::new(0);
    let mut results: Vec<(usize, _)> = std::thread::scope(|scope| {
        let planner = || {
            let mut planned = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                match work.get(at) {
                    Some(item) => planned.push((at, one(item))),
                    None => return planned,
                }
            }
        };
        let workers: Vec<_> = (1..threads).map(|_| scope.spawn(planner)).collect();
        let mut all = planner();
        for worker in workers {
            match worker.join() {
                Ok(planned) => all.extend(planned),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    results.sort_unstable_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

fn read(path: &Path) -> Result<Arc<SourceFile>, Box<Diagnostic>> {
    match fs::read(path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(SourceFile::new(
                path,
                text.strip_prefix('\u{feff}').unwrap_or(&text),
            )),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                let file = SourceFile::new(path, text);
                let mut wrong = Diagnostic::error("not UTF-8").at(
                    path,
                    &file.text,
                    at..at + char::REPLACEMENT_CHARACTER.len_utf8(),
                );
                wrong.help = Some("case files are text in UTF-8".into());
                Err(Box::new(wrong))
            }
        },
        Err(error) => {
            let message = format!("{} cannot be read: {error}", path.display());
            Err(Box::new(Diagnostic::error(message)))
        }
    }
}

/// The files of a suite that are cases, and were asked for.
fn case_files(
    dir: &Path,
    found: &Found,
    context: &SuiteContext,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<PathBuf> {
    if found.file.is_none() {
        return found
            .candidates
            .iter()
            .filter(|file| found.asked_for(file))
            .cloned()
            .collect();
    }
    let mut broken = Vec::new();
    let mut matchers: Vec<(GlobMatcher, Option<usize>)> = Vec::new();
    let patterns = context.patterns.as_ref();
    let texts: Vec<&str> = match patterns {
        Some(patterns) => patterns
            .iter()
            .map(|pattern| pattern.value.trim_start_matches("./"))
            .collect(),
        None => PATTERNS.to_vec(),
    };
    for (at, text) in texts.into_iter().enumerate() {
        match GlobBuilder::new(text).literal_separator(true).build() {
            Ok(glob) => matchers.push((glob.compile_matcher(), patterns.map(|_| at))),
            Err(error) => {
                if let Some(pattern) = patterns.and_then(|patterns| patterns.get(at)) {
                    broken.push(at);
                    diagnostics.push(diagnostic(
                        Severity::Error,
                        &pattern.origin,
                        format!("a bad pattern: {}", error.kind()),
                    ));
                }
            }
        }
    }
    let mut used = vec![false; patterns.map_or(0, Vec::len)];
    let mut files = Vec::new();
    for file in &found.candidates {
        let relative = if dir == Path::new(".") {
            file
        } else {
            file.strip_prefix(dir).unwrap_or(file)
        };
        let mut matched = found.named(file);
        for (matcher, at) in &matchers {
            if matcher.is_match(relative) {
                matched = true;
                if let Some(at) = at {
                    used[*at] = true;
                }
            }
        }
        if matched && found.asked_for(file) {
            files.push(file.clone());
        }
    }
    for (at, (pattern, used)) in patterns.into_iter().flatten().zip(used).enumerate() {
        if !used && !broken.contains(&at) && !PATTERNS.contains(&pattern.value.as_str()) {
            let mut idle = diagnostic(
                Severity::Warning,
                &pattern.origin,
                format!("`{}` matches no file", pattern.value),
            );
            idle.help = Some(format!("patterns are relative to {}", dir.display()));
            diagnostics.push(idle);
        }
    }
    files
}

fn duplicate_cases(suite: &Suite, diagnostics: &mut Vec<Diagnostic>) {
    let mut first: HashMap<(&str, Option<&str>), &CasePlan> = HashMap::with_capacity(suite.cases.len());
    let mut reported = HashSet::new();
    for case in &suite.cases {
        match first.get(&(case.name.as_str(), case.variant.as_deref())) {
            // Two variants of one case; said already.
            Some(earlier) if earlier.origin.to_string() == case.origin.to_string() => {}
            Some(earlier) => {
                if reported.insert(case.origin.to_string()) {
                    let message = format!("a second case `{}` in the suite `{}`", case.name, suite.name);
                    let mut twice = diagnostic(Severity::Error, &case.origin, message);
                    twice.help = Some(format!("the first is {}", earlier.origin));
                    diagnostics.push(twice);
                }
            }
            None => {
                first.insert((&case.name, case.variant.as_deref()), case);
            }
        }
    }
}

fn duplicate_suites(suites: &[Suite], diagnostics: &mut Vec<Diagnostic>) {
    let mut first: BTreeMap<&str, &Suite> = BTreeMap::new();
    for suite in suites {
        if let Some(earlier) = first.get(suite.name.as_str()) {
            let message = format!("a second suite `{}`; tests would have the same names", suite.name);
            let mut twice = match &suite.file {
                Some(file) => diagnostic(Severity::Error, &start_of(file), message),
                None => Diagnostic::error(format!("{}: {message}", suite.dir.display())),
            };
            twice.help = Some(format!(
                "the first is in {}; give one of them another `name`",
                earlier.dir.display()
            ));
            diagnostics.push(twice);
        } else {
            first.insert(&suite.name, suite);
        }
    }
}

#[cfg(test)]
mod tests;
