//! Ending process trees whose seatrial is dead.

use super::{cgroup, directory::DirectoryReaper, hold::Hold, procfs};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use seatrial_engine::journal::{ProcessIdentity, ReapError, Reaper, Reapers, boot_id};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// The kind of journal entry that a part is.
pub(super) const PROCESS_TREE: &str = "process-tree";

/// The kind of journal entry that a group's network is.
pub(super) const NETWORK: &str = "network-namespace";

/// A supervisor ends its tree itself when it is asked to. Where the kernel does it as well, it is not waited for longer.
const ASKED_TIMEOUT: Duration = Duration::from_secs(3);

/// Between two looks at sessions whose processes were killed: nobody tells when they are gone.
const SESSION_POLL: Duration = Duration::from_millis(5);

/// The reapers of all that this crate creates, in the order of reaping.
#[must_use]
pub fn reapers() -> Reapers {
    let reapers = Reapers::new();
    #[cfg(feature = "docker")]
    let reapers = crate::docker::add_reapers(reapers);
    reapers
        .with(TreeReaper { kind: PROCESS_TREE })
        .with(TreeReaper { kind: NETWORK })
        .with(DirectoryReaper)
}

/// The data of an entry. Grows with what becomes known.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct TreeData {
    pub(super) hold: Hold,
    /// The boot it lives in: after another nothing is left of it.
    boot: String,
    /// Unknown until it runs. One that loses seatrial before that ends by itself.
    pub(super) supervisor: Option<ProcessIdentity>,
    /// Who leads the sessions that were started; only where the hold is the supervisor's life.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) sessions: Vec<ProcessIdentity>,
    /// The group's directory, to know processes of those sessions by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) dir: Option<PathBuf>,
}

impl TreeData {
    pub(super) fn new(hold: Hold) -> io::Result<Self> {
        Ok(Self {
            hold,
            boot: boot_id()?.to_owned(),
            supervisor: None,
            sessions: Vec::new(),
            dir: None,
        })
    }

    pub(super) fn to_json(&self) -> Value {
        // Strings, numbers and a path that came from UTF-8; where it did not, the reaper says that it cannot read it.
        serde_json::to_value(self).unwrap_or_default()
    }

    fn is_of_this_boot(&self) -> bool {
        boot_id().is_ok_and(|boot| boot == self.boot)
    }

    fn live_supervisor(&self) -> Option<&ProcessIdentity> {
        self.supervisor
            .as_ref()
            .filter(|supervisor| supervisor.is_alive())
    }
}

/// Ends a part's processes, or a network's holder.
struct TreeReaper {
    kind: &'static str,
}

impl Reaper for TreeReaper {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn describe(&self, data: &Value) -> String {
        let Ok(data) = TreeData::deserialize(data) else {
            return format!("{} {data}", self.kind);
        };
        let supervisor = data
            .supervisor
            .as_ref()
            .map(|supervisor| format!("process {}", supervisor.pid));
        let supervisor = supervisor.unwrap_or_else(|| "a process that was about to start".to_owned());
        match (&data.hold, self.kind) {
            (_, NETWORK) => format!("network namespace of {supervisor}"),
            (Hold::Cgroup(leaf), _) => format!("processes in the cgroup {}", leaf.display()),
            (Hold::PidNamespace { .. }, _) => format!("processes in the PID namespace of {supervisor}"),
            (Hold::Subreaper, _) => format!("processes below {supervisor}"),
        }
    }

    fn is_there(&self, data: &Value) -> bool {
        TreeData::deserialize(data).is_ok_and(|data| {
            data.is_of_this_boot()
                && (data.live_supervisor().is_some()
                    || matches!(&data.hold, Hold::Cgroup(leaf) if leaf.exists())
                    || !in_sessions(&data).is_empty())
        })
    }

    fn reap(&self, data: &Value, deadline: Instant) -> Result<(), ReapError> {
        end_tree(&TreeData::deserialize(data)?, deadline)
    }
}

/// Ends all that a supervisor held, and the supervisor; that it is gone already is fine.
pub(super) fn end_tree(data: &TreeData, deadline: Instant) -> Result<(), ReapError> {
    if !data.is_of_this_boot() {
        return Ok(());
    }
    if let Some(supervisor) = data.live_supervisor() {
        let ended = match &data.hold {
            // The kernel ends the others with it.
            Hold::PidNamespace { .. } => false,
            // It also finds what got out.
            Hold::Cgroup(_) => end(
                supervisor,
                Signal::TERM,
                deadline.min(Instant::now() + ASKED_TIMEOUT),
            )?,
            // Without it nobody could find its orphans, so it has all the time there is.
            Hold::Subreaper => end(supervisor, Signal::TERM, deadline)?,
        };
        if !ended && (data.hold == Hold::Subreaper || !end(supervisor, Signal::KILL, deadline)?) {
            return Err(still_there(format!("process {}", supervisor.pid)));
        }
    }
    if let Hold::Cgroup(leaf) = &data.hold {
        end_cgroup(leaf, deadline)?;
    }
    end_sessions(data, deadline)
}

fn still_there(what: String) -> ReapError {
    ReapError::StillThere { what }
}

fn end_cgroup(leaf: &Path, deadline: Instant) -> Result<(), ReapError> {
    let io = |source| ReapError::Io {
        doing: format!("kill the cgroup {}", leaf.display()),
        source,
    };
    cgroup::kill(leaf).map_err(io)?;
    match cgroup::remove(leaf, deadline) {
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
            Err(still_there(format!("a process in the cgroup {}", leaf.display())))
        }
        other => other.map_err(io),
    }
}

/// Signals exactly this process and waits for its end; false if it is still there at the deadline.
fn end(process: &ProcessIdentity, signal: Signal, deadline: Instant) -> Result<bool, ReapError> {
    let io = |source: rustix::io::Errno| ReapError::Io {
        doing: format!("end process {}", process.pid),
        source: source.into(),
    };
    let Some(pidfd) = pin(process).map_err(io)? else {
        return Ok(true);
    };
    match pidfd_send_signal(&pidfd, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => return Err(io(error)),
    }
    // Or it would find the signal when somebody lets it go on.
    let _ = pidfd_send_signal(&pidfd, Signal::CONT);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
        match poll(&mut fds, Timespec::try_from(left).ok().as_ref()) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(io(error)),
        }
    }
}

/// A pidfd of exactly this process; none if it has ended. What it is is looked up after it was pinned, so its PID cannot
/// become another's in between.
fn pin(process: &ProcessIdentity) -> rustix::io::Result<Option<OwnedFd>> {
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else {
        return Ok(None);
    };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => Ok(process.is_alive().then_some(pidfd)),
        Err(rustix::io::Errno::SRCH) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The processes of the sessions that a dead supervisor started, as far as they are certainly ours: they run in the
/// group's directory, or their environment names it.
fn in_sessions(data: &TreeData) -> Vec<ProcessIdentity> {
    let Some(dir) = data.dir.as_ref().filter(|_| !data.sessions.is_empty()) else {
        return Vec::new();
    };
    let is_ours = |pid: u32| {
        let session = procfs::stat(pid).filter(|stat| !stat.is_zombie)?.session;
        let leader = data.sessions.iter().find(|leader| leader.pid == session)?;
        let identity = ProcessIdentity::of(pid).ok()??;
        if identity.pid == leader.pid {
            return (identity == *leader).then_some(identity);
        }
        let runs_there = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(dir));
        let names_it = || {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let dir = dir.as_os_str().as_encoded_bytes();
            environment.split(|byte| *byte == 0).any(|variable| {
                variable
                    .strip_prefix(b"HOME=")
                    .or_else(|| variable.strip_prefix(b"TMPDIR="))
                    .is_some_and(|path| path.starts_with(dir))
            })
        };
        (identity.start_ticks >= leader.start_ticks && (runs_there || names_it())).then_some(identity)
    };
    procfs::all().into_iter().filter_map(is_ours).collect()
}

fn end_sessions(data: &TreeData, deadline: Instant) -> Result<(), ReapError> {
    loop {
        let left = in_sessions(data);
        let Some(first) = left.first() else {
            return Ok(());
        };
        if Instant::now() >= deadline {
            return Err(still_there(format!("process {}", first.pid)));
        }
        // First stopped, so that none forks while the others are found.
        for signal in [Signal::STOP, Signal::KILL] {
            for process in &left {
                if let Ok(Some(pidfd)) = pin(process) {
                    // It may have ended meanwhile.
                    let _ = pidfd_send_signal(&pidfd, signal);
                }
            }
        }
        thread::sleep(SESSION_POLL);
    }
}
