//! What earlier runs of the project found: for `--failed`, `--failed-first` and the balance of shards.
//!
//! The records are the only memory. They are read when a flag asks for it, newest first, and the newest verdict of
//! each test counts: a run of one test does not make the others forgotten.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use seatrial_engine::{Verdict, selection::Shard};
use seatrial_report::Record;

/// Marks a run as one of several shards. Durations are taken from other runs alone, or the second shard on a
/// machine would be balanced by what the first has just found, and tests would be run twice or never.
const SHARD_MARK: &str = "shard";

/// The runs of a directory, newest first: ids sort by time.
pub(crate) fn runs(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut runs = Vec::new();
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        // `latest` is a link to one of them.
        if entry.file_type()?.is_dir() && path.join("record.jsonl").is_file() {
            runs.push(path);
        }
    }
    runs.sort_unstable_by(|a, b| b.file_name().cmp(&a.file_name()));
    Ok(runs)
}

/// The tests whose newest verdict was bad.
pub(crate) fn failed(dir: &Path) -> anyhow::Result<HashSet<String>> {
    let mut newest: HashMap<String, bool> = HashMap::new();
    for run in runs(dir)? {
        let mut of_run: HashMap<String, bool> = HashMap::new();
        for outcome in Record::outcomes(&run)? {
            // What was cancelled or skipped says nothing of the test.
            if !matches!(outcome.verdict, Verdict::Cancelled | Verdict::Skipped) {
                // With `--repeat` a test has several verdicts in a run; one bad one is enough.
                *of_run.entry(outcome.name).or_default() |= outcome.verdict.is_bad();
            }
        }
        for (name, is_bad) in of_run {
            newest.entry(name).or_insert(is_bad);
        }
    }
    Ok(newest
        .into_iter()
        .filter_map(|(name, is_bad)| is_bad.then_some(name))
        .collect())
}

/// How long each test took when it last ran to its end, in runs that were no shards.
pub(crate) fn durations(dir: &Path) -> anyhow::Result<HashMap<String, Duration>> {
    let mut newest = HashMap::new();
    for run in runs(dir)? {
        if run.join(SHARD_MARK).exists() {
            continue;
        }
        for outcome in Record::outcomes(&run)? {
            if matches!(
                outcome.verdict,
                Verdict::Passed | Verdict::Flaky | Verdict::Failed | Verdict::TimedOut
            ) {
                let took = outcome.took();
                newest.entry(outcome.name).or_insert(took);
            }
        }
    }
    Ok(newest)
}

/// Marks a run as a shard.
pub(crate) fn mark_as_shard(run_dir: &Path, shard: Shard) -> io::Result<()> {
    fs::create_dir_all(run_dir)?;
    fs::write(run_dir.join(SHARD_MARK), format!("{shard}\n"))
}
