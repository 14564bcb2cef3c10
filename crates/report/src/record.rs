//! The record of a run, `record.jsonl`: written as it happens, read back as the same events.
//!
//! Lines go to the file within milliseconds. They are not synced: what a SIGKILL leaves is whole but for the last
//! of them, and a machine that loses power loses more than a test record. While a run goes on its
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use seatrial_engine::EventKind;

    use super::*;
    use crate::script::{everything, play};

    fn recorded(events: &[Event]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        play(&mut RecordWriter::create(dir.path()).unwrap(), events);
        let path = dir.path().join(FILE_NAME);
        (dir, path)
    }

    #[test]
    fn what_is_written_is_read_back_as_the_same_events() {
        let events = everything();
        let (dir, _) = recorded(&events);
        let record = Record::read(dir.path()).unwrap();
        assert_eq!(format!("{:#?}", record.events), format!("{events:#?}"));
        assert!(record.complete);
    }

    #[test]
    fn a_torn_last_line_and_unknown_events_are_passed_over() {
        let (dir, path) = recorded(&everything());
        let whole = std::fs::read(&path).unwrap();
        let known = Record::read(&path).unwrap().events.len();
        let mut file = File::create(&path).unwrap();
        file.write_all(
            br#"{"v":1,"at":"2027-01-01T00:00:00Z","elapsed_ms":0,"event":"moon_rose","phase":3}"#,
        )
        .unwrap();
        file.write_all(b"\n").unwrap();
        file.write_all(&whole[..whole.len() - 20]).unwrap();
        let record = Record::read(dir.path()).unwrap();
        assert_eq!(
            (record.events.len(), record.unknown, record.complete),
            (known - 1, 1, false)
        );
    }

    #[test]
    fn a_newer_version_and_a_broken_line_are_refused_by_name() {
        let (_dir, path) = recorded(&everything());
        std::fs::write(&path, "{\"v\":2,\"event\":\"test_started\"}\n").unwrap();
        assert!(matches!(
            Record::read(&path),
            Err(RecordError::Newer { version: 2, .. })
        ));
        std::fs::write(&path, "\n{\"v\":1,\"event\":\"test_started\"}\n").unwrap();
        assert!(matches!(
            Record::read(&path),
            Err(RecordError::Line { line: 2, .. })
        ));
    }

    #[test]
    fn outcomes_are_found_without_reading_the_rest() {
        let mut events = everything();
        events.insert(
            1,
            Event {
                kind: EventKind::Notice {
                    level: seatrial_engine::NoticeLevel::Info,
                    text: r#""event":"test_finished""#.into(),
                },
                ..events[0].clone()
            },
        );
        let (_dir, path) = recorded(&events);
        let outcomes = Record::outcomes(&path).unwrap();
        let of = |name: &str| {
            let outcome = outcomes.iter().find(|outcome| outcome.name == name).unwrap();
            (outcome.verdict, outcome.took())
        };
        assert_eq!(outcomes.len(), 10);
        assert_eq!(of("tour/flaky"), (Verdict::Flaky, Duration::from_millis(900)));
        assert_eq!(of("nats/publish"), (Verdict::Errored, Duration::ZERO));
    }

    /// A record that version 1 wrote, with every event and every key. It is never changed: whatever is changed
    /// in `wire` must still read it.
    #[test]
    fn version_1_is_still_read() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records/v1.jsonl");
        let record = Record::read(&path).unwrap();
        assert_eq!((record.events.len(), record.unknown), (24, 0));
        let mut text = Vec::new();
        let options = crate::text::TextOptions {
            verbosity: crate::text::Verbosity::Verbose,
            ..Default::default()
        };
        play(
            &mut crate::text::TextReporter::new(&mut text, options),
            &record.events,
        );
        insta::assert_snapshot!(String::from_utf8(text).unwrap(), @r"
         running          2 tests in 1 suite, 2 slots, shuffled with seed 18446744073709551615 (3 not selected)
         warning          a warning
           unmet          docker: no daemon (install it)
        building          fixture tour/broker
        building          fixture tour/broker: half
           ready   0.01s  fixture tour/broker
          failed   0.00s  fixture tour/other
                     why  no
         stopped   0.00s  fixture tour/broker
           start          tour/http/v1@docker #2
            step          tour/http/v1@docker #2: parallel
            step          tour/http/v1@docker #2: parallel > http_check /
          failed   3.00s  tour/http/v1@docker #2: parallel > http_check /: not as expected
            part          tour/http/v1@docker #2: part target ended, exit code 0, 0.02s CPU, 1.0 MiB
            slow  30.00s  tour/http/v1@docker #2: parallel, for 0.05s
        stopping          tour/http/v1@docker #2: its deadline struck, it has 30.00s to clean up
           break          tour/http/v1@docker #2 stands before exec true
                          ls
                          press Enter to go on
           retry   1m00s  tour/http/v1@docker #2: attempt 1 timed out, not as expected
          failed   1m01s  tour/http/v1@docker #2 (2 attempts): a reason
                     why  not as expected
                    step  finally > http_check /
                      at  tour/http.yaml:14
                expected  status: 200
                    seen  status: 503
                  waited  3.00s
                 history   0.00s  refused (3 times, until 0.02s)
           target stderr  up
                          é
                    note  a note
                    logs  /state/runs/default/run1/logs/x
                   again  seatrial run -t tour/http/v1@docker
            kept          tour/http/v1@docker #2
                          rm x
        stopping          fail-fast; waiting for 1 test to clean up; once more ends them at once
            done   0.21s  1 of 2 tests
                          nothing is running
         errored          seatrial itself: oops

          failed   1m01s  tour/http/v1@docker #2: not as expected
        finished   1m02s  2 tests: 1 failed, 1 skipped
         errored          seatrial itself failed, see above
        ");
        let mut json = Vec::new();
        play(&mut crate::json::JsonReporter::new(&mut json), &record.events);
        assert_eq!(
            String::from_utf8(json).unwrap(),
            std::fs::read_to_string(&path).unwrap()
        );
    }
}
