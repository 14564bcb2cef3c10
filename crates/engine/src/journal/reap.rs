//! Reaping: ending what dead runs left.
//!
//! A journal is touched only under its lock, when its owner is dead, and when it is this user's. So two reapings, or a
//! reaping and a run that is going on, never get in each other's way.

use super::{
    ReapError, Reapers,
    file::{self, Content, Entries, Entry, Header, JournalError, Line},
};
use std::{
    collections::BTreeSet,
    fs, io,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How long a reaping may take, unless it says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Nobody tells when a lock becomes free but `flock` itself, which knows no deadline.
const BEING_REAPED_POLL: Duration = Duration::from_millis(5);

/// So many entries of a kind are reaped at a time: most of reaping is waiting for the kernel.
const AT_A_TIME: usize = 8;

/// What to reap.
#[derive(Debug, Clone)]
pub struct ReapOptions {
    /// Only say what would be done.
    pub dry_run: bool,
    /// Also what was said to stay.
    pub kept: bool,
    /// Only what this run left.
    pub only_run: Option<String>,
    /// Give up on what is not gone by then.
    pub timeout: Duration,
}

impl Default for ReapOptions {
    fn default() -> Self {
        Self {
            dry_run: false,
            kept: false,
            only_run: None,
            timeout: TIMEOUT,
        }
    }
}

/// What was found and done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReapReport {
    /// Each thing that a dead run left.
    pub leftovers: Vec<Leftover>,
    /// Journals that could not be read or written, with the reason.
    pub problems: Vec<String>,
    /// Runs that go on, or that somebody else is reaping.
    pub busy_runs: Vec<String>,
}

impl ReapReport {
    /// Nothing went wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let failed = |leftover: &Leftover| matches!(leftover.outcome, Outcome::Failed(_));
        self.problems.is_empty() && !self.leftovers.iter().any(failed)
    }

    /// Everything that went wrong, a line each.
    pub fn failures(&self) -> Vec<String> {
        let left = self
            .leftovers
            .iter()
            .filter_map(|leftover| match &leftover.outcome {
                Outcome::Failed(why) => Some(format!("failed to reap {}: {why}", leftover.description)),
                _ => None,
            });
        self.problems.iter().cloned().chain(left).collect()
    }

    fn merge(&mut self, other: Self) {
        self.leftovers.extend(other.leftovers);
        self.problems.extend(other.problems);
        self.busy_runs.extend(other.busy_runs);
    }
}

/// One thing that a dead run left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Who left it.
    pub run: String,
    /// The isolation group it belongs to.
    pub group: String,
    /// Its kind.
    pub kind: String,
    /// What it is, for people.
    pub description: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a leftover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Ended.
    Reaped,
    /// There was nothing left of it.
    WasGone,
    /// It would be ended, if this were not a dry run.
    WouldReap,
    /// It was said to stay.
    Kept,
    /// It is still there; why. Its entry stays in the journal.
    Failed(String),
}

/// Ends what this user's dead runs left, by their journals in the state directory.
#[must_use]
pub fn reap(state_dir: &Path, reapers: &Reapers, options: &ReapOptions) -> ReapReport {
    let mut report = ReapReport::default();
    let deadline = Instant::now() + options.timeout;
    let runs = match &options.only_run {
        Some(run) => Ok(BTreeSet::from([run.clone()])),
        None => runs(&file::directory(state_dir)),
    };
    match runs {
        Ok(runs) => {
            for run in runs {
                match reap_run(state_dir, &run, reapers, options, deadline) {
                    Ok(of_run) => report.merge(of_run),
                    Err(error) => report.problems.push(full_message(&error)),
                }
            }
        }
        Err(error) => report
            .problems
            .push(format!("list the journals in {}: {error}", state_dir.display())),
    }
    report
}

/// Runs that have a journal.
fn runs(directory: &Path) -> io::Result<BTreeSet<String>> {
    let listing = match fs::read_dir(directory) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(error),
    };
    let mut runs = BTreeSet::new();
    for file in listing {
        let name = file?.file_name();
        runs.extend(
            name.to_str()
                .and_then(|name| name.strip_suffix(".jsonl"))
                .map(str::to_owned),
        );
    }
    Ok(runs)
}

fn reap_run(
    state_dir: &Path,
    run: &str,
    reapers: &Reapers,
    options: &ReapOptions,
    deadline: Instant,
) -> Result<ReapReport, JournalError> {
    let path = file::path(state_dir, run)?;
    let io = |doing| {
        let path = path.clone();
        move |source| JournalError::Io { doing, path, source }
    };
    let busy = || ReapReport {
        busy_runs: vec![run.to_owned()],
        ..ReapReport::default()
    };
    let mut journal = loop {
        if let Some(journal) = file::open_locked(&path).map_err(io("open"))? {
            break journal;
        }
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ReapReport::default()),
            Err(error) => return Err(io("read")(error)),
        };
        let is_being_reaped =
            matches!(file::parse(&bytes), Content::Journal(header, _) if !header.owner.is_alive());
        if !is_being_reaped || Instant::now() >= deadline {
            return Ok(busy());
        }
        // Its guardian, or another reaping, is at it. What it leaves is for this one.
        thread::sleep(BEING_REAPED_POLL);
    };
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut journal, &mut bytes).map_err(io("read"))?;
    let (header, Entries { there, kept }) = match file::parse(&bytes) {
        Content::Journal(header, entries) => (header, entries),
        Content::Nothing if options.dry_run => return Ok(ReapReport::default()),
        Content::Nothing => {
            fs::remove_file(&path).map_err(io("delete"))?;
            return Ok(ReapReport::default());
        }
        Content::Foreign => {
            return Ok(ReapReport {
                problems: vec![format!(
                    "{} is no journal that this seatrial can read; left alone",
                    path.display()
                )],
                ..ReapReport::default()
            });
        }
    };
    if !is_ours(&header) {
        return Ok(ReapReport::default());
    }
    if header.owner.is_alive() {
        return Ok(busy());
    }

    if !options.dry_run && !bytes.ends_with(b"\n") {
        // Or the torn last line would swallow what is appended next.
        io::Write::write_all(&mut journal, b"\n").map_err(io("write"))?;
    }
    let left = Mutex::new(there.keys().copied().collect::<BTreeSet<_>>());
    let gone = |id| {
        // If the line cannot be written, the next reaping finds the thing gone.
        drop(file::append(&journal, &Line::Gone { id }));
        left.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    };
    let mode = if options.dry_run { Mode::DryRun } else { Mode::Reap };
    let is_kept = |group: &str| kept.contains(group) && !options.kept;
    let report = entries(
        run,
        there.into_iter().collect(),
        is_kept,
        reapers,
        mode,
        deadline,
        &gone,
    );
    if !options.dry_run
        && left
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    {
        fs::remove_file(&path).map_err(io("delete"))?;
    }
    Ok(report)
}

fn is_ours(header: &Header) -> bool {
    header.uid == rustix::process::getuid().as_raw()
}

/// Whether to do it or only to say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Reap,
    DryRun,
}

/// Reaps entries kind by kind, in the order of the reapers, the last created first.
pub(super) fn entries(
    run: &str,
    there: Vec<(u64, Entry)>,
    is_kept: impl Fn(&str) -> bool,
    reapers: &Reapers,
    mode: Mode,
    deadline: Instant,
    gone: &(dyn Fn(u64) + Sync),
) -> ReapReport {
    let leftover = |entry: Entry, description: String, outcome| Leftover {
        run: run.to_owned(),
        group: entry.group,
        kind: entry.kind,
        description,
        outcome,
    };
    let mut report = ReapReport::default();
    for reaper in reapers.iter() {
        let (kept, mut of_kind): (Vec<_>, Vec<_>) = there
            .iter()
            .filter(|(_, entry)| entry.kind == reaper.kind())
            .cloned()
            .partition(|(_, entry)| is_kept(&entry.group));
        for (id, entry) in kept {
            let description = reaper.describe(&entry.data);
            if reaper.is_there(&entry.data) {
                report.leftovers.push(leftover(entry, description, Outcome::Kept));
            } else if mode == Mode::Reap {
                gone(id);
            }
        }
        of_kind.reverse();
        let outcomes = in_parallel(&of_kind, |(id, entry)| {
            let description = reaper.describe(&entry.data);
            let outcome = if !reaper.is_there(&entry.data) {
                Outcome::WasGone
            } else if mode == Mode::DryRun {
                Outcome::WouldReap
            } else {
                match reaper.reap(&entry.data, deadline) {
                    Ok(()) => Outcome::Reaped,
                    Err(error) => Outcome::Failed(reap_message(&error)),
                }
            };
            if mode == Mode::Reap && matches!(outcome, Outcome::Reaped | Outcome::WasGone) {
                gone(*id);
            }
            (description, outcome)
        });
        for ((_, entry), (description, outcome)) in of_kind.into_iter().zip(outcomes) {
            report.leftovers.push(leftover(entry, description, outcome));
        }
    }
    for (_, entry) in there.into_iter().filter(|(_, entry)| !reapers.knows(&entry.kind)) {
        let outcome = Outcome::Failed(format!("nothing here knows how to end a {}", entry.kind));
        let description = entry.data.to_string();
        report.leftovers.push(leftover(entry, description, outcome));
    }
    report
}

/// The results of `work` on each item, in the items' order.
fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    if items.len() < 2 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME.min(items.len()) {
            scope.spawn(|| {
                while let Some((index, item)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    items.get(index).map(|item| (index, item))
                } {
                    let result = work(item);
                    done.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

fn reap_message(error: &ReapError) -> String {
    full_message(error)
}

/// The message with its causes: what is reported from here has no other place for them.
fn full_message(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{EntryId, Journal, ProcessIdentity, Reaper};
    use serde_json::{Value, json};
    use std::path::PathBuf;

    /// Things are files; one named `stuck` cannot be removed.
    struct Files {
        kind: &'static str,
        order: std::sync::Arc<Mutex<Vec<String>>>,
    }

    fn path(data: &Value) -> PathBuf {
        PathBuf::from(data["path"].as_str().unwrap_or_default())
    }

    impl Reaper for Files {
        fn kind(&self) -> &'static str {
            self.kind
        }

        fn describe(&self, data: &Value) -> String {
            format!("{} {}", self.kind, path(data).file_name().unwrap().display())
        }

        fn is_there(&self, data: &Value) -> bool {
            path(data).exists()
        }

        fn reap(&self, data: &Value, _deadline: Instant) -> Result<(), ReapError> {
            let path = path(data);
            if path.ends_with("stuck") {
                return Err(ReapError::StillThere {
                    what: "it".to_owned(),
                });
            }
            self.order.lock().unwrap().push(self.describe(data));
            fs::remove_file(path).map_err(|source| ReapError::Io {
                doing: "remove it".to_owned(),
                source,
            })
        }
    }

    struct Fixture {
        dir: tempfile::TempDir,
        order: std::sync::Arc<Mutex<Vec<String>>>,
        reapers: Reapers,
    }

    impl Fixture {
        fn new() -> Self {
            let order = std::sync::Arc::<Mutex<Vec<String>>>::default();
            let files = |kind| Files {
                kind,
                order: std::sync::Arc::clone(&order),
            };
            Self {
                dir: tempfile::tempdir().unwrap(),
                reapers: Reapers::new().with(files("first")).with(files("second")),
                order,
            }
        }

        fn create(&self, journal: &Journal, group: &str, kind: &'static str, name: &str) -> EntryId {
            let path = self.dir.path().join(name);
            let id = journal.will_create(group, kind, json!({ "path": path })).unwrap();
            fs::write(path, "").unwrap();
            id
        }

        fn journal_path(&self) -> PathBuf {
            self.dir.path().join("journal/run.jsonl")
        }

        /// Makes the journal one whose owner had this PID once.
        fn owner_dies(&self, journal: Journal) {
            // Not dropped: it would delete a file that lists nothing.
            journal.close();
            let text = fs::read_to_string(self.journal_path()).unwrap();
            let own = ProcessIdentity::own().unwrap();
            let ticks = |ticks| format!("\"start_ticks\":{ticks}");
            let text = text.replace(&ticks(own.start_ticks), &ticks(own.start_ticks - 1));
            fs::write(self.journal_path(), text).unwrap();
        }

        fn reap(&self, options: &ReapOptions) -> Vec<String> {
            let report = reap(self.dir.path(), &self.reapers, options);
            let leftover = |left: &Leftover| format!("{}: {:?}", left.description, left.outcome);
            let busy = report.busy_runs.iter().map(|run| format!("busy {run}"));
            report
                .leftovers
                .iter()
                .map(leftover)
                .chain(report.problems.clone())
                .chain(busy)
                .collect()
        }
    }

    #[test]
    fn a_dead_run_is_reaped_in_order() {
        let fixture = Fixture::new();
        let journal = Journal::create(fixture.dir.path(), "run");
        fixture.create(&journal, "g", "second", "a");
        fixture.create(&journal, "g", "first", "b");
        let gone = fixture.create(&journal, "g", "first", "c");
        journal.gone(gone);
        fixture.owner_dies(journal);

        let dry = ReapOptions {
            dry_run: true,
            ..ReapOptions::default()
        };
        assert_eq!(fixture.reap(&dry), ["first b: WouldReap", "second a: WouldReap"]);
        assert_eq!(
            fixture.reap(&ReapOptions::default()),
            ["first b: Reaped", "second a: Reaped"]
        );
        assert_eq!(*fixture.order.lock().unwrap(), ["first b", "second a"]);
        assert!(!fixture.journal_path().exists());
        assert!(
            fixture.dir.path().join("c").exists(),
            "what was said to be gone is somebody else's now"
        );
        assert!(fixture.reap(&ReapOptions::default()).is_empty());
    }

    #[test]
    fn a_live_run_is_left_alone_locked_or_not() {
        let fixture = Fixture::new();
        let journal = Journal::create(fixture.dir.path(), "run");
        fixture.create(&journal, "g", "first", "a");
        assert_eq!(fixture.reap(&ReapOptions::default()), ["busy run"]);
        // It lets go of the lock, but lives on.
        assert_eq!(journal.close(), 1);
        assert_eq!(fixture.reap(&ReapOptions::default()), ["busy run"]);
        assert!(fixture.dir.path().join("a").exists());
    }

    #[test]
    fn what_is_kept_is_listed_until_it_is_asked_for() {
        let fixture = Fixture::new();
        let journal = Journal::create(fixture.dir.path(), "run");
        fixture.create(&journal, "kept", "first", "a");
        fixture.create(&journal, "other", "first", "b");
        journal.keep("kept");
        fixture.owner_dies(journal);
        assert_eq!(
            fixture.reap(&ReapOptions::default()),
            ["first a: Kept", "first b: Reaped"]
        );
        assert_eq!(fixture.reap(&ReapOptions::default()), ["first a: Kept"]);
        let kept = ReapOptions {
            kept: true,
            ..ReapOptions::default()
        };
        assert_eq!(fixture.reap(&kept), ["first a: Reaped"]);
        assert!(!fixture.journal_path().exists());
    }

    #[test]
    fn a_failure_is_reported_and_tried_again() {
        let fixture = Fixture::new();
        let journal = Journal::create(fixture.dir.path(), "run");
        fixture.create(&journal, "g", "first", "stuck");
        fixture.create(&journal, "g", "first", "a");
        fixture.create(&journal, "g", "unheard-of", "b");
        fixture.owner_dies(journal);
        let stuck = "first stuck: Failed(\"see the end of it in time\")";
        let first = fixture.reap(&ReapOptions::default());
        assert_eq!(first[..2], ["first a: Reaped", stuck]);
        assert!(
            first[2].ends_with("Failed(\"nothing here knows how to end a unheard-of\")"),
            "{}",
            first[2]
        );
        assert_eq!(fixture.reap(&ReapOptions::default())[0], stuck);
        assert!(fixture.journal_path().exists());
    }

    #[test]
    fn a_torn_last_line_is_nothing() {
        let fixture = Fixture::new();
        let journal = Journal::create(fixture.dir.path(), "run");
        fixture.create(&journal, "g", "first", "stuck");
        fixture.create(&journal, "g", "first", "a");
        fixture.owner_dies(journal);
        let mut text = fs::read_to_string(fixture.journal_path()).unwrap();
        text.push_str("{\"op\":\"gone\",\"id\":1");
        fs::write(fixture.journal_path(), text).unwrap();
        assert_eq!(fixture.reap(&ReapOptions::default()).len(), 2);
        // What was appended behind it was understood.
        assert_eq!(fixture.reap(&ReapOptions::default()).len(), 1);
    }

    #[test]
    fn what_is_no_journal_of_ours_is_left_alone() {
        let fixture = Fixture::new();
        let directory = fixture.dir.path().join("journal");
        fs::create_dir(&directory).unwrap();
        let later = "{\"journal\":2}\n";
        fs::write(directory.join("later.jsonl"), later).unwrap();
        fs::write(directory.join("torn.jsonl"), "{\"jour").unwrap();
        let other = json!({
            "journal": 1, "run": "other", "uid": 4_000_000_000_u32,
            "owner": { "pid": 1, "start_ticks": 0, "boot": "another" },
        });
        fs::write(directory.join("other.jsonl"), format!("{other}\n")).unwrap();
        let report = fixture.reap(&ReapOptions::default());
        assert_eq!(report.len(), 1, "{report:?}");
        assert!(report[0].ends_with("later.jsonl is no journal that this seatrial can read; left alone"));
        assert!(directory.join("later.jsonl").exists() && directory.join("other.jsonl").exists());
        assert!(!directory.join("torn.jsonl").exists());
    }

    #[test]
    fn a_run_that_creates_nothing_leaves_nothing() {
        let fixture = Fixture::new();
        let journal = Journal::create(fixture.dir.path(), "run");
        assert!(!fixture.journal_path().exists());
        let id = fixture.create(&journal, "g", "first", "a");
        assert!(fixture.journal_path().exists());
        journal.gone(id);
        drop(journal);
        assert!(!fixture.journal_path().exists());
    }

    #[test]
    fn nothing_is_created_that_cannot_be_journaled() {
        let fixture = Fixture::new();
        for name in ["", ".", "..", "a/b"] {
            let journal = Journal::create(fixture.dir.path(), name);
            assert!(matches!(
                journal.will_create("g", "first", json!({})),
                Err(JournalError::Name(_))
            ));
        }
        // Nobody can make a directory there, not even root.
        let journal = Journal::create(Path::new("/proc"), "run");
        assert!(matches!(
            journal.will_create("g", "first", json!({})),
            Err(JournalError::Io { .. })
        ));
    }

    #[test]
    fn many_are_reaped_at_a_time() {
        let fixture = Fixture::new();
        let journal = Journal::create(fixture.dir.path(), "run");
        for number in 0..100 {
            fixture.create(&journal, "g", "first", &format!("f{number}"));
        }
        let report = journal.reap_group("g", &fixture.reapers, TIMEOUT);
        assert_eq!(report.leftovers.len(), 100);
        assert_eq!(
            report.leftovers[0].description, "first f99",
            "the last created is not the first"
        );
        assert_eq!(journal.close(), 0);
    }
}
