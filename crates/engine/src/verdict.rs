//! What came of a test, and why: plain data that every reporter renders in its own way.
//!
//! A failure is kept in parts (the step, what was expected, what was seen, how long it waited) and not as
//! one text, so that a terminal can fold what a JUnit file must spell out.

use std::{fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{eventually::History, test::SourceLocation};

/// The one word that a test ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It did what it should.
    Passed,
    /// It passed after at least one retry. Counts as passed.
    Flaky,
    /// What it found was not what it expected; a panic in a test's body is this too.
    Failed,
    /// A fixture, an environment, a required requirement or seatrial itself was at fault.
    Errored,
    /// Its deadline struck.
    TimedOut,
    /// It was stopped, or kept from starting, by Ctrl-C or fail-fast.
    Cancelled,
    /// The machine lacks something that it needs; the reason is told.
    Skipped,
}

impl Verdict {
    /// Every verdict, in the order in which summaries count them.
    pub const ALL: [Verdict; 7] = [
        Verdict::Passed,
        Verdict::Flaky,
        Verdict::Failed,
        Verdict::Errored,
        Verdict::TimedOut,
        Verdict::Cancelled,
        Verdict::Skipped,
    ];

    /// As it stands in files: `timed_out`.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::Flaky => "flaky",
            Verdict::Failed => "failed",
            Verdict::Errored => "errored",
            Verdict::TimedOut => "timed_out",
            Verdict::Cancelled => "cancelled",
            Verdict::Skipped => "skipped",
        }
    }

    /// Whether a run that has such a test is not a success for it: failed, errored, timed out.
    pub fn is_bad(self) -> bool {
        matches!(self, Verdict::Failed | Verdict::Errored | Verdict::TimedOut)
    }
}

/// As people read it: `timed out`.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::TimedOut => "timed out",
            other => other.as_str(),
        })
    }
}

/// Why a test did not pass.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Failure {
    /// What happened, in a line: "the body is not what was expected".
    pub message: String,
    /// The step in which it happened, as a path of names: `["finally", "http_check /health"]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub step: Vec<String>,
    /// Where the step, or the assertion, stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<SourceLocation>,
    /// All that did not match, each with what was expected and what was seen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mismatches: Vec<Mismatch>,
    /// For how long it was waited, where it was a wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waited: Option<Duration>,
    /// What was seen while waiting, oldest first, compacted.
    #[serde(skip_serializing_if = "History::is_empty")]
    pub history: History,
    /// The last lines of logs that may explain it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<LogTail>,
    /// Anything else worth saying, a line each: what `finally` found besides, where to look, what to do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// One thing that was not as expected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mismatch {
    /// What of: `status`, `body .items[0].name`, `exit code`. Empty where the message says it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// What was expected.
    pub expected: String,
    /// What was seen.
    pub seen: String,
}

/// The end of a part's log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogTail {
    /// Whose: a part's name, with the stream where only one is meant: `target stderr`.
    pub source: String,
    /// Its last lines, without line ends.
    pub lines: Vec<String>,
}

impl Failure {
    /// A failure that consists of a message so far.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::default()
        }
    }

    /// Adds one thing that was not as expected.
    pub fn mismatch(
        mut self,
        field: impl Into<String>,
        expected: impl Into<String>,
        seen: impl Into<String>,
    ) -> Self {
        self.mismatches.push(Mismatch {
            field: field.into(),
            expected: expected.into(),
            seen: seen.into(),
        });
        self
    }

    /// Adds a note.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// How a test's body ends when it does not pass.
#[derive(Clone, Debug)]
pub enum TestError {
    /// The target is not as expected: verdict *failed*.
    Failed(Arc<Failure>),
    /// The environment, a fixture or seatrial is at fault: verdict *errored*.
    Errored(Arc<Failure>),
    /// It turned out that the test cannot run here: verdict *skipped*, with this reason.
    Skipped(String),
}

/// What a test's body returns.
pub type TestResult = Result<(), TestError>;

impl TestError {
    /// *Failed*.
    pub fn failed(failure: impl Into<Failure>) -> Self {
        TestError::Failed(Arc::new(failure.into()))
    }

    /// *Errored*.
    pub fn errored(failure: impl Into<Failure>) -> Self {
        TestError::Errored(Arc::new(failure.into()))
    }
}

impl From<Failure> for TestError {
    fn from(failure: Failure) -> Self {
        TestError::failed(failure)
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Failure::new(message)
    }
}

impl From<&str> for Failure {
    fn from(message: &str) -> Self {
        Failure::new(message)
    }
}

/// An error of any library in a test's body means that the test failed; its causes become part of the
/// message.
impl<E: std::error::Error> From<E> for TestError {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message.push_str(": ");
            message.push_str(&error.to_string());
            cause = error.source();
        }
        TestError::failed(message)
    }
}
