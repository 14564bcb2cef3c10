//! Ending processes that do not want to end.

use super::super::{cgroup, hold::Hold, procfs};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use std::collections::HashSet;

/// A tree that forks faster than it can be stopped is stopped again this often before the kill, which is repeated anyway.
const STOP_PASSES_MAX: usize = 50;

/// Sends SIGKILL to all that the hold has. Some may be forked at the same moment, except where the kernel takes care of
/// that; so this is repeated until nothing is left.
pub(super) fn kill_all(hold: &Hold) {
    match hold {
        Hold::Cgroup(leaf) => {
            // What could not be killed this way is found below.
            drop(cgroup::kill(leaf));
            kill_below(std::process::id());
        }
        Hold::PidNamespace { .. } => {
            // To all in this namespace but its first process, which is this one; the kernel misses none.
            if let Err(nix::errno::Errno::EPERM) =
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(-1), nix::sys::signal::Signal::SIGKILL)
            {
                kill_below(std::process::id());
            }
        }
        Hold::Subreaper => kill_below(std::process::id()),
    }
}

/// Kills all below a process: first stops them, since what is stopped cannot fork while the others are looked for.
pub(super) fn kill_below(root: u32) {
    let mut stopped = HashSet::new();
    for _ in 0..STOP_PASSES_MAX {
        let fresh: Vec<_> = procfs::descendants(root)
            .into_iter()
            .filter(|pid| !stopped.contains(pid))
            .collect();
        if fresh.is_empty() {
            break;
        }
        for pid in fresh {
            signal_below(root, pid, Signal::STOP);
            stopped.insert(pid);
        }
    }
    for pid in stopped {
        signal_below(root, pid, Signal::KILL);
    }
}

/// Kills a child of this process and all below it.
pub(super) fn kill_child(child: i32) {
    let Some(pid) = Pid::from_raw(child) else {
        return;
    };
    // A child that this process has not waited for keeps its PID, dead or alive.
    let _ = kill_process(pid, Signal::STOP);
    kill_below(child.unsigned_abs());
    let _ = kill_process(pid, Signal::KILL);
}

/// Signals the process only if it is still below the root: its PID may be another's by now. What was looked up is
/// verified after the process was pinned by a pidfd, so that it cannot change any more.
fn signal_below(root: u32, pid: u32, signal: Signal) {
    let Some(pinned) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return;
    };
    let Ok(pidfd) = pidfd_open(pinned, PidfdFlags::empty()) else {
        return;
    };
    if is_below(root, pid) {
        // It may have ended meanwhile.
        let _ = pidfd_send_signal(&pidfd, signal);
    }
}

fn is_below(root: u32, pid: u32) -> bool {
    let mut at = pid;
    while let Some(stat) = procfs::stat(at) {
        if stat.parent == root {
            return true;
        }
        if stat.parent <= 1 {
            return false;
        }
        at = stat.parent;
    }
    false
}
