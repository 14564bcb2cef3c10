//! Which suites and case files there are under the paths that a user named.
//!
//! - A directory stands for the suites in it, and for the cases in it of a suite further up.
//! - A `seatrial.yaml` stands for its suite, a case file for itself, in the nearest suite further up.
//! - Where there is no `seatrial.yaml` at all, files that look like case files (they have a line that starts with `procedure:` or
//!   `assertions:`) make a suite of their own: other harnesses' directories are such.
//!
//! Hidden directories, `target`, `node_modules` and symbolic links to directories are not entered.

use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path, PathBuf},
};

use seatrial_engine::Diagnostic;

/// A suite's file is called like this.
pub const SUITE_FILE: &str = "seatrial.yaml";

/// Directories deeper than this are not entered.
const DEPTH_MAX: usize = 32;

/// One suite that is to be loaded.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Its `seatrial.yaml`.
    pub(crate) file: Option<PathBuf>,
    /// The YAML files below its directory, without those of suites further down, in order.
    pub(crate) candidates: Vec<PathBuf>,
    /// Only these, where not the whole suite was asked for: files and directories, as `located` gives them.
    pub(crate) only: Option<Vec<PathBuf>>,
}

impl Found {
    /// Whether a file was asked for.
    pub(crate) fn asked_for(&self, file: &Path) -> bool {
        match &self.only {
            None => true,
            Some(only) => {
                let file = located(file);
                only.iter().any(|one| file.starts_with(one))
            }
        }
    }

    /// Whether a file was asked for by its own name.
    pub(crate) fn named(&self, file: &Path) -> bool {
        let file = located(file);
        self.only.iter().flatten().any(|one| *one == file)
    }

    fn ask_for(&mut self, path: Option<&Path>, first: bool) {
        match path {
            None => self.only = None,
            Some(path) => match &mut self.only {
                Some(only) => only.push(located(path)),
                None if first => self.only = Some(vec![located(path)]),
                // The whole suite was asked for already.
                None => {}
            },
        }
    }
}

/// Finds the suites under paths, by directory.
pub(crate) fn discover(paths: &[PathBuf], diagnostics: &mut Vec<Diagnostic>) -> BTreeMap<PathBuf, Found> {
    let mut found: BTreeMap<PathBuf, Found> = BTreeMap::new();
    for path in paths {
        let path = &tidy(path);
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => {
                diagnostics.push(Diagnostic::error(format!(
                    "{} cannot be read: {error}",
                    path.display()
                )));
                continue;
            }
        };
        if metadata.is_dir() {
            add_directory(path, &mut found, diagnostics);
        } else if path.file_name().is_some_and(|name| name == SUITE_FILE) {
            add_suite(parent(path), None, &mut found);
        } else if let Some(dir) = suite_above(parent(path)) {
            add_suite(dir, Some(path), &mut found);
        } else {
            let dir = parent(path);
            let first = !found.contains_key(&dir);
            let suite = found.entry(dir).or_default();
            suite.ask_for(Some(path), first);
            suite.candidates.push(path.clone());
        }
    }
    for suite in found.values_mut() {
        suite.candidates.sort();
        suite.candidates.dedup();
    }
    found
}

fn add_directory(path: &Path, found: &mut BTreeMap<PathBuf, Found>, diagnostics: &mut Vec<Diagnostic>) {
    let below = walk(path);
    let suites: Vec<&PathBuf> = below
        .iter()
        .filter(|file| file.file_name().is_some_and(|name| name == SUITE_FILE))
        .collect();
    for suite in &suites {
        add_suite(parent(suite), None, found);
    }
    if suites.iter().any(|suite| parent(suite) == path) {
        return;
    }
    if let Some(dir) = suite_above(path.to_owned()) {
        add_suite(dir, Some(path), found);
        return;
    }
    if !suites.is_empty() {
        return;
    }
    let cases: Vec<PathBuf> = below.into_iter().filter(|file| looks_like_a_case(file)).collect();
    if cases.is_empty() {
        let message = format!(
            "there is neither a suite ({SUITE_FILE}) nor a case file in {}",
            path.display()
        );
        diagnostics.push(Diagnostic::error(message));
        return;
    }
    let suite = found.entry(path.to_owned()).or_default();
    suite.only = None;
    suite.candidates.extend(cases);
}

fn add_suite(dir: PathBuf, only: Option<&Path>, found: &mut BTreeMap<PathBuf, Found>) {
    let first = !found.contains_key(&dir);
    let suite = found.entry(dir.clone()).or_default();
    suite.ask_for(only, first);
    if first {
        suite.file = Some(dir.join(SUITE_FILE));
        suite.candidates = own_files(&dir);
    }
}

/// The YAML files of a suite's directory, without those of suites further down.
fn own_files(dir: &Path) -> Vec<PathBuf> {
    let below = walk(dir);
    let inner: Vec<PathBuf> = below
        .iter()
        .filter(|file| file.file_name().is_some_and(|name| name == SUITE_FILE))
        .map(|file| parent(file))
        .filter(|suite| suite != dir)
        .collect();
    below
        .into_iter()
        .filter(|file| file.file_name().is_some_and(|name| name != SUITE_FILE))
        .filter(|file| !inner.iter().any(|suite| file.starts_with(suite)))
        .collect()
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    fn enter(dir: &Path, depth: usize, files: &mut Vec<PathBuf>) {
        // What cannot be read is nobody's suite: a run over a home directory meets plenty of it.
        let Ok(entries) = fs::read_dir(dir) else { return };
        let mut entries: Vec<_> = entries.flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let Ok(kind) = entry.file_type() else { continue };
            let path = if dir == Path::new(".") {
                PathBuf::from(&*name)
            } else {
                entry.path()
            };
            if kind.is_dir() {
                if depth < DEPTH_MAX && !name.starts_with('.') && name != "target" && name != "node_modules" {
                    enter(&path, depth + 1, files);
                }
            } else if path
                .extension()
                .is_some_and(|extension| extension == "yaml" || extension == "yml")
            {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    enter(dir, 0, &mut files);
    files
}

/// The nearest directory with a suite's file, from this one up, in the form that the user named the path in: from `a/b`
/// to `a`, `.` and `..`.
fn suite_above(dir: PathBuf) -> Option<PathBuf> {
    let mut shown = tidy(&dir);
    for _ in 0..located(&dir).components().count() {
        if shown.join(SUITE_FILE).is_file() {
            return Some(shown);
        }
        shown = match shown.components().next_back() {
            Some(Component::Normal(_)) => parent(&shown),
            Some(Component::ParentDir) => shown.join(".."),
            Some(Component::RootDir | Component::Prefix(_)) => return None,
            Some(Component::CurDir) | None => PathBuf::from(".."),
        };
    }
    None
}

fn looks_like_a_case(file: &Path) -> bool {
    fs::read_to_string(file).is_ok_and(|text| {
        text.lines()
            .any(|line| line.starts_with("procedure:") || line.starts_with("assertions:"))
    })
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Without `.`, doubled slashes and `..` behind a name, so that a path compares equal however it was named.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(tidy.components().next_back(), Some(Component::Normal(_))) => {
                tidy.pop();
            }
            other => tidy.push(other),
        }
    }
    if tidy.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        tidy
    }
}

/// Where a path is, whatever the working directory.
fn located(path: &Path) -> PathBuf {
    tidy(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
}
