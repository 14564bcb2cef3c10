//! The guardian: a process that outlives seatrial, and ends what its death leaves.
//!
//! It does nothing but wait for the end of a pipe whose other end only the run's owner has. That end comes however the
//! owner dies. Then it reaps the run's journal; when the owner cleaned up itself there is none. How the process is
//! started is the business of whoever has the reapers; see [`Journal::guarded_by`](super::Journal::guarded_by).

use super::{ReapOptions, ReapReport, Reapers, reap};
use std::{
    io::{self, Read},
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// What the owner's death leaves is gone after this, or the guardian gives up on it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The kernel closes a dying process's pipe before it lets go of its lock and its PID, and tells nobody when it does.
const OWNER_DEATH_POLL: Duration = Duration::from_millis(5);

/// Waits for the end of the pipe, then reaps what the run left. Returns at the latest ten seconds after.
pub fn watch(mut lifeline: impl Read, state_dir: &Path, run: &str, reapers: &Reapers) -> ReapReport {
    let mut nothing = [0; 16];
    loop {
        match lifeline.read(&mut nothing) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let options = ReapOptions {
            only_run: Some(run.to_owned()),
            timeout: deadline.saturating_duration_since(Instant::now()),
            ..ReapOptions::default()
        };
        let report = reap(state_dir, reapers, &options);
        if report.busy_runs.is_empty() || Instant::now() >= deadline {
            return report;
        }
        thread::sleep(OWNER_DEATH_POLL);
    }
}
