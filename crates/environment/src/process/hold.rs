//! What a part's processes are held by, so that none of them gets away.

use serde::{Deserialize, Serialize};
use std::{
    fmt,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

/// The three ways, the strongest first. Targets fork twice, change sessions, overwrite their names and ignore signals;
/// none of that leaves a cgroup or a PID namespace, and the kernel ends each of them as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// A leaf of the cgroup v2 tree, ended by its `cgroup.kill`. Needs root, or a delegated subtree.
    Cgroup(PathBuf),
    /// A PID namespace, ended with its first process, which is the supervisor. Without root it lives in a user namespace
    /// in which the user has the same id and the target no more rights than before.
    PidNamespace {
        /// It needs a user namespace.
        user_namespace: bool,
    },
    /// The supervisor is what orphans fall back to. It finds all of them for as long as it lives, and it is killed by
    /// nobody but the user; then only the sessions that it started are known.
    Subreaper,
}

/// The kinds of holds, without what a single one has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldKind {
    /// See [`Hold::Cgroup`].
    Cgroup,
    /// See [`Hold::PidNamespace`].
    PidNamespace,
    /// See [`Hold::Subreaper`].
    Subreaper,
}

const STRONGEST_FIRST: [HoldKind; 3] = [HoldKind::Cgroup, HoldKind::PidNamespace, HoldKind::Subreaper];

/// How many of the strongest were found not to work here. Rights do not change while a process runs, so each is tried
/// in vain once.
static REFUSED: AtomicUsize = AtomicUsize::new(0);

impl HoldKind {
    /// The strongest that has not been refused yet.
    #[must_use]
    pub fn strongest() -> Self {
        STRONGEST_FIRST[REFUSED.load(Ordering::Relaxed).min(STRONGEST_FIRST.len() - 1)]
    }

    /// What to try after this was refused; none after the weakest.
    pub(super) fn refused(self) -> Option<Self> {
        let next = STRONGEST_FIRST
            .iter()
            .position(|kind| *kind == self)
            .map_or(0, |index| index + 1);
        let weaker = STRONGEST_FIRST.get(next).copied();
        if weaker.is_some() {
            REFUSED.fetch_max(next, Ordering::Relaxed);
        }
        weaker
    }

    /// Takes the stronger ones for refused from now on, in this process: to see how the weaker ones fare.
    #[doc(hidden)]
    pub fn only_this_and_weaker(self) {
        let index = STRONGEST_FIRST.iter().position(|kind| *kind == self).unwrap_or(0);
        REFUSED.store(index, Ordering::Relaxed);
    }
}

impl fmt::Display for HoldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cgroup => "a cgroup",
            Self::PidNamespace => "a PID namespace",
            Self::Subreaper => "a subreaper",
        })
    }
}
