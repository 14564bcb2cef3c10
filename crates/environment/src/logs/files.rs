//! The three files of a part's logs, and both ways to hold them: to write and to read.

use super::{LogLine, LogLines, LogReader};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::sync::watch;

/// One of the two output streams of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Both, standard output first.
    pub const BOTH: [Self; 2] = [Self::Stdout, Self::Stderr];

    pub(super) fn letter(self) -> char {
        match self {
            Self::Stdout => 'o',
            Self::Stderr => 'e',
        }
    }

    pub(super) fn index(self) -> usize {
        match self {
            Self::Stdout => 0,
            Self::Stderr => 1,
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        })
    }
}

/// What followers of a live log wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LogState {
    /// Goes up when something was written.
    pub(crate) version: u64,
    /// Nothing more will come, unless the part is started again.
    pub(crate) ended: bool,
    /// The first error of writing (an `errno`); what came since is not there.
    pub(crate) lost: Option<i32>,
}

/// The logs of a part: all it wrote so far, and, while it lives, all it will write. Clones are the same logs.
#[derive(Clone)]
pub struct Logs {
    base: Arc<Path>,
    state: watch::Receiver<LogState>,
}

impl Logs {
    /// Of a part that may still write.
    pub(crate) fn live(log_dir: &Path, part: &str, state: watch::Receiver<LogState>) -> Self {
        Self {
            base: log_dir.join(part).into(),
            state,
        }
    }

    /// What was written into a log directory by a part that is no more.
    #[must_use]
    pub fn recorded(log_dir: &Path, part: &str) -> Self {
        let ended = LogState {
            ended: true,
            ..LogState::default()
        };
        Self::live(log_dir, part, watch::channel(ended).1)
    }

    /// The names of the parts that have logs in a directory.
    ///
    /// # Errors
    ///
    /// When it cannot be listed.
    pub fn parts(log_dir: &Path) -> io::Result<Vec<String>> {
        let mut parts = Vec::new();
        for file in fs::read_dir(log_dir)? {
            let name = file?.file_name();
            parts.extend(
                name.to_str()
                    .and_then(|name| name.strip_suffix(".times"))
                    .map(str::to_owned),
            );
        }
        parts.sort();
        Ok(parts)
    }

    /// The file with a stream's bytes, as they were written.
    #[must_use]
    pub fn path(&self, stream: Stream) -> PathBuf {
        stream_path(&self.base, stream)
    }

    /// How much a stream has so far.
    ///
    /// # Errors
    ///
    /// When its file cannot be looked at.
    pub fn bytes(&self, stream: Stream) -> io::Result<u64> {
        match fs::metadata(self.path(stream)) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Why the logs are not complete: a full disk, say. Nothing is lost otherwise.
    #[must_use]
    pub fn lost(&self) -> Option<io::Error> {
        self.state.borrow().lost.map(io::Error::from_raw_os_error)
    }

    /// Reads a stream from its first byte, then follows it.
    ///
    /// # Errors
    ///
    /// When its file cannot be opened.
    pub fn reader(&self, stream: Stream) -> io::Result<LogReader> {
        self.reader_at(stream, 0)
    }

    /// Reads a stream from a byte on, then follows it. [`bytes`](Self::bytes) is where it ends now.
    ///
    /// # Errors
    ///
    /// When its file cannot be opened.
    pub fn reader_at(&self, stream: Stream, position: u64) -> io::Result<LogReader> {
        Ok(LogReader::new(
            File::open(self.path(stream))?,
            position,
            self.state.clone(),
        ))
    }

    /// Every line of both streams so far, in the order in which they came.
    ///
    /// # Errors
    ///
    /// When the files cannot be opened.
    pub fn lines(&self) -> io::Result<LogLines> {
        LogLines::from_start(&self.base)
    }

    /// The last lines of both streams, in the order in which they came: at most `lines`, and of at most the last 64 KiB
    /// of each stream.
    ///
    /// # Errors
    ///
    /// When the files cannot be read.
    pub fn tail(&self, lines: usize) -> io::Result<Vec<LogLine>> {
        super::lines::tail(&self.base, lines)
    }
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Logs").field(&self.base).finish()
    }
}

pub(super) fn stream_path(base: &Path, stream: Stream) -> PathBuf {
    with_suffix(base, &format!(".{stream}.log"))
}

pub(super) fn times_path(base: &Path) -> PathBuf {
    with_suffix(base, ".times")
}

/// Not `with_extension`: a part's name may have a dot.
fn with_suffix(base: &Path, suffix: &str) -> PathBuf {
    let mut path = base.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Writes a part's logs.
#[derive(Debug)]
pub(crate) struct LogWriter {
    streams: [(File, u64); 2],
    times: File,
}

impl LogWriter {
    /// Makes the three files, or goes on with those that are there.
    pub(crate) fn open(log_dir: &Path, part: &str) -> io::Result<Self> {
        let base = log_dir.join(part);
        let open = |path: PathBuf| File::options().append(true).create(true).open(path);
        let stream = |stream| -> io::Result<(File, u64)> {
            let file = open(stream_path(&base, stream))?;
            let length = file.metadata()?.len();
            Ok((file, length))
        };
        Ok(Self {
            streams: [stream(Stream::Stdout)?, stream(Stream::Stderr)?],
            times: open(times_path(&base))?,
        })
    }

    /// Appends what was read just now.
    pub(crate) fn write(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (file, length) = &mut self.streams[stream.index()];
        let line = format!(
            "{} {} {length} {}\n",
            now.as_nanos(),
            stream.letter(),
            bytes.len()
        );
        // The time first: who finds bytes finds their time, too.
        self.times.write_all(line.as_bytes())?;
        let written = file.write_all(bytes);
        *length = match &written {
            Ok(()) => *length + bytes.len() as u64,
            // A full disk may have taken some of it.
            Err(_) => file.metadata()?.len(),
        };
        written
    }
}
