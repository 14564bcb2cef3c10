//! The journal of a run that is going on.

use super::{
    ProcessIdentity, ReapReport, Reapers,
    file::{self, Entries, FORMAT, Header, JournalError, Line},
    reap,
};
use serde_json::Value;
use std::{
    fmt,
    fs::{self, File},
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Starts a process that runs [`guardian::watch`](super::guardian::watch) on the state directory and run it is given,
/// and returns the write end of the pipe that it watches.
pub type LaunchGuardian = fn(state_dir: &Path, run: &str) -> io::Result<OwnedFd>;

/// What [`Journal::will_create`] announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId(u64);

/// The journal of this run. The file appears with the first entry, and is deleted with the last one when the journal is
/// dropped: a run that creates nothing leaves nothing and pays nothing.
pub struct Journal {
    state_dir: PathBuf,
    run: String,
    launch_guardian: Option<LaunchGuardian>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    file: Option<File>,
    /// As long as it is open the guardian waits.
    lifeline: Option<OwnedFd>,
    last_id: u64,
    entries: Entries,
    /// Something was said that is not on disk; reaping would be wrong about it.
    unwritten: Option<io::Error>,
}

impl Journal {
    /// A journal for the run of this name, which no other run of this state directory may have. Touches no file yet.
    #[must_use]
    pub fn create(state_dir: &Path, run: &str) -> Self {
        Self {
            state_dir: state_dir.to_owned(),
            run: run.to_owned(),
            launch_guardian: None,
            state: Mutex::default(),
        }
    }

    /// Starts a guardian with the first entry.
    #[must_use]
    pub fn guarded_by(mut self, launch: LaunchGuardian) -> Self {
        self.launch_guardian = Some(launch);
        self
    }

    /// The run's name.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The state directory it lives in.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// Announces something that does not exist yet. When this returns, it is on disk.
    ///
    /// # Errors
    ///
    /// When it is not, or the run's name cannot be a file name; then create nothing.
    pub fn will_create(&self, group: &str, kind: &'static str, data: Value) -> Result<EntryId, JournalError> {
        let mut state = self.state();
        if state.file.is_none() {
            self.open(&mut state)?;
        }
        state.last_id += 1;
        let id = state.last_id;
        let line = Line::Create {
            id,
            group: group.to_owned(),
            kind: kind.to_owned(),
            data,
        };
        self.write(&state, &line)?;
        state.entries.apply(line);
        Ok(EntryId(id))
    }

    /// Replaces an entry's data, when more is known: a PID, say.
    pub fn update(&self, id: EntryId, data: Value) {
        self.say(Line::Update { id: id.0, data });
    }

    /// Says that it no longer exists, or never did.
    pub fn gone(&self, id: EntryId) {
        self.say(Line::Gone { id: id.0 });
    }

    /// Says that what the group has is to stay: automatic and plain reaping spare and list it.
    pub fn keep(&self, group: &str) {
        self.say(Line::Keep {
            group: group.to_owned(),
        });
    }

    /// Whether the group was said to stay.
    #[must_use]
    pub fn is_kept(&self, group: &str) -> bool {
        self.state().entries.kept.contains(group)
    }

    /// Ends all that is left of a group, whose test no longer does it itself. Blocks, for at most `timeout` and what a
    /// reaper takes longer.
    pub fn reap_group(&self, group: &str, reapers: &Reapers, timeout: Duration) -> ReapReport {
        let there: Vec<_> = {
            let state = self.state();
            let of_group = state
                .entries
                .there
                .iter()
                .filter(|(_, entry)| entry.group == group);
            of_group.map(|(id, entry)| (*id, entry.clone())).collect()
        };
        let kept = self.is_kept(group);
        let deadline = Instant::now() + timeout;
        let gone = |id| self.gone(EntryId(id));
        reap::entries(
            &self.run,
            there,
            |_| kept,
            reapers,
            reap::Mode::Reap,
            deadline,
            &gone,
        )
    }

    /// The first line that could not be written, if any: what it said is not on disk, and a later reaping may report
    /// something as left that is gone.
    #[must_use]
    pub fn unwritten(&self) -> Option<String> {
        self.state().unwritten.as_ref().map(ToString::to_string)
    }

    /// Ends the run's journal: the guardian's, too, and deletes the file if nothing is left. Dropping does the same; this
    /// is for when somebody may still hold on to it. Returns what is left, kept or not.
    pub fn close(&self) -> usize {
        let mut state = self.state();
        let left = state.entries.there.len();
        if left == 0
            && state.file.is_some()
            && let Ok(path) = file::path(&self.state_dir, &self.run)
        {
            // If this fails, the next reaping finds a journal of nothing and deletes it.
            drop(fs::remove_file(path));
        }
        state.file = None;
        state.lifeline = None;
        left
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere must not keep what follows from being written down.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, state: &mut State) -> Result<(), JournalError> {
        let header = Header {
            journal: FORMAT,
            run: self.run.clone(),
            uid: rustix::process::getuid().as_raw(),
            owner: ProcessIdentity::own().map_err(JournalError::Identity)?,
        };
        let path = file::path(&self.state_dir, &self.run)?;
        let file = file::create_locked(&path).map_err(|source| self.io("create", source))?;
        let opened = file::append(&file, &header)
            .map_err(|source| self.io("write", source))
            .and_then(|()| {
                let lifeline = self
                    .launch_guardian
                    .map(|launch| launch(&self.state_dir, &self.run));
                lifeline.transpose().map_err(JournalError::Guardian)
            });
        match opened {
            Ok(lifeline) => {
                state.file = Some(file);
                state.lifeline = lifeline;
                Ok(())
            }
            Err(error) => {
                // Nothing has been created; the next attempt starts anew.
                drop(fs::remove_file(&path));
                Err(error)
            }
        }
    }

    fn write(&self, state: &State, line: &Line) -> Result<(), JournalError> {
        match &state.file {
            Some(file) => file::append(file, line).map_err(|source| self.io("write", source)),
            // Without a file there is no entry that the line could be about.
            None => Ok(()),
        }
    }

    fn say(&self, line: Line) {
        let mut state = self.state();
        if let Err(JournalError::Io { source, .. }) = self.write(&state, &line) {
            state.unwritten.get_or_insert(source);
        }
        state.entries.apply(line);
    }

    fn io(&self, doing: &'static str, source: io::Error) -> JournalError {
        JournalError::Io {
            doing,
            path: file::directory(&self.state_dir).join(&self.run),
            source,
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}
