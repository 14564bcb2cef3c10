//! The directory of a project's runs: the last ones are kept, `latest` leads to the newest.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use crate::record;

/// How many runs are kept.
pub const RUNS_KEPT: usize = 20;

/// The name that leads to the newest run.
const LATEST: &str = "latest";

/// Makes `latest`, beside the run's directory, lead to it.
///
/// # Errors
/// When it cannot be made. A file or directory of that name is left alone.
pub fn link_latest(run_dir: &Path) -> io::Result<()> {
    let (Some(runs_dir), Some(run)) = (run_dir.parent(), run_dir.file_name()) else {
        return Err(ErrorKind::InvalidInput.into());
    };
    let link = runs_dir.join(LATEST);
    if fs::symlink_metadata(&link).is_ok_and(|meta| !meta.is_symlink()) {
        return Err(ErrorKind::AlreadyExists.into());
    }
    // Replaced in one go: somebody may be following it right now.
    let mut new_name = run.to_owned();
    new_name.push(".latest");
    let new = runs_dir.join(new_name);
    std::os::unix::fs::symlink(run, &new)?;
    fs::rename(&new, &link).inspect_err(|_| {
        let _ = fs::remove_file(&new);
    })
}

/// Deletes all but the newest `keep` runs of a directory, and none that is in progress. Says how many.
///
/// # Errors
/// When the directory cannot be read. What cannot be deleted stays, and is tried again by the next run.
pub fn prune_runs(runs_dir: &Path, keep: usize) -> io::Result<usize> {
    let entries = match fs::read_dir(runs_dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut runs: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        // What has no record is not a run of ours, and is not touched.
        .filter(|run| run.join(record::FILE_NAME).is_file())
        .collect();
    // Ids sort by time.
    runs.sort_unstable_by(|a, b| b.file_name().cmp(&a.file_name()));
    let old = runs.get(keep..).unwrap_or_default();
    Ok(old.iter().filter(|run| delete_unless_busy(run).is_ok()).count())
}

/// A run in progress holds the lock of its record; so does somebody else who deletes it.
fn delete_unless_busy(run: &Path) -> io::Result<()> {
    let record = run.join(record::FILE_NAME);
    let file = File::open(&record)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    fs::remove_dir_all(run)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RecordWriter;

    #[test]
    fn old_runs_go_and_those_in_progress_stay() {
        let dir = tempfile::tempdir().unwrap();
        let mut writers: Vec<_> = (0..5)
            .map(|run| RecordWriter::create(&dir.path().join(format!("run{run}"))).unwrap())
            .collect();
        fs::create_dir(dir.path().join("a-holiday-photo")).unwrap();
        link_latest(&dir.path().join("run3")).unwrap();
        link_latest(&dir.path().join("run4")).unwrap();
        let busy = writers.remove(0);
        drop(writers);
        assert_eq!(prune_runs(dir.path(), 2).unwrap(), 2);
        let mut left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["a-holiday-photo", "latest", "run0", "run3", "run4"]);
        assert_eq!(
            fs::read_link(dir.path().join("latest")).unwrap(),
            Path::new("run4")
        );
        drop(busy);
        assert_eq!(prune_runs(dir.path(), 2).unwrap(), 1);
        assert_eq!(prune_runs(&dir.path().join("none"), 2).unwrap(), 0);
    }

    #[test]
    fn what_is_named_latest_but_is_no_link_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("latest")).unwrap();
        assert!(link_latest(&dir.path().join("run1")).is_err());
        assert!(dir.path().join("latest").is_dir());
    }
}
