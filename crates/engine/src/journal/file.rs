//! The journal's file: its lines, and the lock on it.

use super::ProcessIdentity;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// The format this code writes; a journal of a later one is left alone.
pub(super) const FORMAT: u32 = 1;

/// The journal could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file or its directory.
    #[error("{doing} the journal {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it went wrong.
        #[source]
        source: io::Error,
    },
    /// Who we are could not be found out.
    #[error("read the identity of this process")]
    Identity(#[source] io::Error),
    /// The process that ends what our death leaves could not be started.
    #[error("start the guardian")]
    Guardian(#[source] io::Error),
    /// A run's name must be a file name.
    #[error("use `{0}` as the name of a journal")]
    Name(String),
}

/// The first line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) journal: u32,
    pub(super) run: String,
    pub(super) uid: u32,
    pub(super) owner: ProcessIdentity,
}

/// Any other line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(super) enum Line {
    Create {
        id: u64,
        group: String,
        kind: String,
        data: Value,
    },
    Update {
        id: u64,
        data: Value,
    },
    Gone {
        id: u64,
    },
    Keep {
        group: String,
    },
}

/// Something that was created and is not known to be gone.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) group: String,
    pub(super) kind: String,
    pub(super) data: Value,
}

/// What the lines so far come to.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pub(super) there: BTreeMap<u64, Entry>,
    pub(super) kept: BTreeSet<String>,
}

impl Entries {
    pub(super) fn apply(&mut self, line: Line) {
        match line {
            Line::Create {
                id,
                group,
                kind,
                data,
            } => {
                self.there.insert(id, Entry { group, kind, data });
            }
            Line::Update { id, data } => {
                if let Some(entry) = self.there.get_mut(&id) {
                    entry.data = data;
                }
            }
            Line::Gone { id } => {
                self.there.remove(&id);
            }
            Line::Keep { group } => {
                self.kept.insert(group);
            }
        }
    }
}

/// A journal as it was read.
#[derive(Debug)]
pub(super) enum Content {
    /// Its owner died while it wrote the first line, so nothing had been created.
    Nothing,
    /// Not a journal, or one of a later seatrial.
    Foreign,
    Journal(Header, Entries),
}

pub(super) fn parse(bytes: &[u8]) -> Content {
    // What follows the last newline is a torn line.
    let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else {
        return Content::Nothing;
    };
    let mut lines = bytes[..end].split(|byte| *byte == b'\n');
    let header = lines
        .next()
        .and_then(|line| serde_json::from_slice::<Header>(line).ok());
    let Some(header) = header.filter(|header| header.journal == FORMAT) else {
        return Content::Foreign;
    };
    let mut entries = Entries::default();
    // A line that does not parse was torn by a full disk; whoever wrote it was told and created nothing.
    for line in lines.filter_map(|line| serde_json::from_slice(line).ok()) {
        entries.apply(line);
    }
    Content::Journal(header, entries)
}

/// Where journals are.
pub(super) fn directory(state_dir: &Path) -> PathBuf {
    state_dir.join("journal")
}

pub(super) fn path(state_dir: &Path, run: &str) -> Result<PathBuf, JournalError> {
    let is_file_name = !run.is_empty() && !run.starts_with('.') && !run.contains(['/', '\0']);
    if !is_file_name {
        return Err(JournalError::Name(run.to_owned()));
    }
    Ok(directory(state_dir).join(format!("{run}.jsonl")))
}

/// Opens to append, with the exclusive lock; none when somebody else has it, or the file is gone.
pub(super) fn open_locked(path: &Path) -> io::Result<Option<File>> {
    let file = match File::options().read(true).append(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    // Whoever had the lock before may have deleted what we opened.
    Ok((file.metadata()?.nlink() > 0).then_some(file))
}

pub(super) fn create_locked(path: &Path) -> io::Result<File> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let file = File::options()
        .read(true)
        .append(true)
        .create_new(true)
        .open(path)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

/// Appends one line with one write, so that it is there whole or torn at the end, never mixed with another.
pub(super) fn append(mut file: &File, line: &impl Serialize) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    let before = file.metadata()?.len();
    let written = file.write_all(&bytes);
    if written.is_err() {
        // A torn line in the middle would swallow the next one.
        file.set_len(before)?;
    }
    written
}
