//! The record of a run, `record.jsonl`: written as it happens, read back as the same events.
//!
//! Lines go to the file whenever no further event waits. They are not synced: what a SIGKILL leaves is whole but
//! for the last batch, and a machine that loses power loses more than a test record. While a run goes on its
//! record is locked; the kernel lifts the lock with the process, so nothing has to be guessed about a run that
//! did not end well.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};
use seatrial_engine::{Event, ReportError, Reporter, Verdict};
use serde::Deserialize;

use crate::{
    json::JsonLines,
    wire::{Line, VERSION},
};

/// The record's name in a run's directory.
pub(crate) const FILE_NAME: &str = "record.jsonl";

/// Writes a run's record.
pub struct RecordWriter {
    lines: JsonLines,
    file: File,
}

impl RecordWriter {
    /// Creates `record.jsonl` in the run's directory, and the directory.
    ///
    /// # Errors
    /// When it cannot be created, exists already, or cannot be locked.
    pub fn create(run_dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(run_dir)?;
        let file = File::options()
            .append(true)
            .create_new(true)
            .open(run_dir.join(FILE_NAME))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self {
            lines: JsonLines::default(),
            file,
        })
    }
}

impl Reporter for RecordWriter {
    fn name(&self) -> &str {
        "record"
    }

    fn event(&mut self, event: &Event) -> Result<(), ReportError> {
        self.lines.push(event)?;
        if self.lines.is_due(event) {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ReportError> {
        self.lines.write_to(&mut self.file)
    }
}

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// There is none, or it is out of reach.
    #[error("read {path}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It was written by a seatrial that is newer.
    #[error("understand {path}: it has version {version}, this seatrial reads up to {VERSION}", path = path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// A line is no event and not the torn last one.
    #[error("understand line {line} of {path}", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// A recorded run.
#[derive(Debug)]
pub struct Record {
    /// What happened, in order.
    pub events: Vec<Event>,
    /// How many lines told of events that this version does not know.
    pub unknown: usize,
    /// Whether the run ended; without an end it was killed, or goes on.
    pub complete: bool,
}

impl Record {
    /// Reads a record: the file, or the run's directory. A torn last line is passed over, and so are events of
    /// an unknown kind.
    ///
    /// # Errors
    /// When it cannot be read or understood.
    pub fn read(path: &Path) -> Result<Self, RecordError> {
        let path = file_of(path);
        let mut record = Record {
            events: Vec::new(),
            unknown: 0,
            complete: false,
        };
        for_each_line(&path, |number, line, is_torn| {
            match serde_json::from_slice::<Line<'static>>(line) {
                Ok(line) => {
                    let event = line.into_event();
                    record.complete |= matches!(event.kind, seatrial_engine::EventKind::RunFinished(_));
                    record.events.push(event);
                    Ok(())
                }
                Err(source) => match serde_json::from_slice::<Head<'_>>(line) {
                    Ok(head) if head.v > VERSION => Err(RecordError::Newer {
                        path: path.clone(),
                        version: head.v,
                    }),
                    Ok(head) if !Line::knows(&head.event) => {
                        record.unknown += 1;
                        Ok(())
                    }
                    Err(_) if is_torn => Ok(()),
                    _ => Err(RecordError::Line {
                        path: path.clone(),
                        line: number,
                        source,
                    }),
                },
            }
        })?;
        Ok(record)
    }

    /// Only what came of each test, in the order of ending; much cheaper than reading all of it.
    ///
    /// # Errors
    /// When it cannot be read. Lines that are not understood are passed over.
    pub fn outcomes(path: &Path) -> Result<Vec<RecordedOutcome>, RecordError> {
        let path = file_of(path);
        let mut outcomes = Vec::new();
        // Inside a JSON string these quotes would be escaped, so this finds the key and nothing else.
        let finder = memchr::memmem::Finder::new(br#""event":"test_finished""#);
        for_each_line(&path, |_, line, _| {
            if finder.find(line).is_some()
                && let Ok(outcome) = serde_json::from_slice::<RecordedOutcome>(line)
            {
                outcomes.push(outcome);
            }
            Ok(())
        })?;
        Ok(outcomes)
    }
}

/// What a record says came of a test.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct RecordedOutcome {
    /// The test's full name.
    pub name: String,
    /// Its verdict.
    pub verdict: Verdict,
    took_ms: f64,
}

impl RecordedOutcome {
    /// How long it took, all attempts together.
    pub fn took(&self) -> Duration {
        Duration::try_from_secs_f64(self.took_ms / 1000.0).unwrap_or_default()
    }
}

/// What can be said of a line of any version.
#[derive(Deserialize)]
struct Head<'a> {
    v: u32,
    #[serde(borrow)]
    event: std::borrow::Cow<'a, str>,
}

fn file_of(path: &Path) -> PathBuf {
    match path.is_dir() {
        true => path.join(FILE_NAME),
        false => path.to_owned(),
    }
}

/// Calls with the line's number from 1, its bytes, and whether it is the last one without an end.
fn for_each_line(
    path: &Path,
    mut with: impl FnMut(usize, &[u8], bool) -> Result<(), RecordError>,
) -> Result<(), RecordError> {
    let failed = |source| RecordError::Read {
        path: path.to_owned(),
        source,
    };
    let mut reader = BufReader::with_capacity(256 * 1024, File::open(path).map_err(failed)?);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(failed)? == 0 {
            break;
        }
        let is_torn = line.last() != Some(&b'\n');
        if !line.trim_ascii().is_empty() {
            with(number, &line, is_torn)?;
        }
    }
    Ok(())
}
