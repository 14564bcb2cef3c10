//! Events as JSON lines, version 1: what `-o json` prints and what `record.jsonl` holds.
//!
//! The types are apart from the engine's, so that the engine can change without breaking what was recorded;
//! a test reads a record of every version. A line is an object with
//!
//! | key | |
//! |---|---|
//! | `v` | 1 |
//! | `at` | when, RFC 3339 in UTC |
//! | `elapsed_ms` | when, from the start of the run |
//! | `event` | what: one of the variants of [`Kind`], as `test_finished`; its fields are keys of the same object |
//!
//! Within a version keys and events may be added, never renamed, removed or given another meaning: readers pass
//! over what they do not know. Spans of time are in milliseconds with fractions. Keys without a value are left
//! out. `test` is a test's place in `run_started.tests`; every event of a test has its `name` too, for readers
//! that look at single lines.

use std::{borrow::Cow, collections::BTreeMap, path::Path};

use jiff::Timestamp;
use seatrial_engine::Verdict;
use serde::{Deserialize, Serialize};

mod convert;

/// The version that is written.
pub(crate) const VERSION: u32 = 1;

type Text<'a> = Cow<'a, str>;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line<'a> {
    pub(crate) v: u32,
    at: Timestamp,
    elapsed_ms: Millis,
    #[serde(flatten)]
    kind: Kind<'a>,
}

impl Line<'_> {
    /// Whether this version has an event of this kind.
    pub(crate) fn knows(event: &str) -> bool {
        // Serde tells an unknown variant apart from a variant with wrong fields only in its message.
        let bare = serde_json::from_value::<Kind<'static>>(serde_json::json!({ "event": event }));
        !matches!(bare, Err(error) if error.to_string().starts_with("unknown variant"))
    }
}

/// What happened.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Kind<'a> {
    RunStarted(Run<'a>),
    Notice {
        level: Level,
        text: Text<'a>,
    },
    RequirementUnmet {
        requirement: Text<'a>,
        reason: Text<'a>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        help: Option<Text<'a>>,
    },
    FixtureStarted {
        fixture: Text<'a>,
    },
    FixtureProgress {
        fixture: Text<'a>,
        text: Text<'a>,
    },
    FixtureReady {
        fixture: Text<'a>,
        took_ms: Millis,
    },
    FixtureFailed {
        fixture: Text<'a>,
        took_ms: Millis,
        failure: Why<'a>,
    },
    FixtureStopped {
        fixture: Text<'a>,
        took_ms: Millis,
    },
    TestStarted {
        test: u32,
        name: Text<'a>,
        attempt: u32,
    },
    StepStarted {
        test: u32,
        name: Text<'a>,
        step: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<u32>,
        step_name: Text<'a>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        location: Option<Location<'a>>,
    },
    StepSaw {
        test: u32,
        name: Text<'a>,
        step: u32,
        seen: Text<'a>,
    },
    StepFinished {
        test: u32,
        name: Text<'a>,
        step: u32,
        outcome: Outcome,
        /// Of a failed step.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<Text<'a>>,
        took_ms: Millis,
    },
    PartEnded {
        test: u32,
        name: Text<'a>,
        part: Text<'a>,
        exit: Text<'a>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rss_bytes_max: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cpu_ms: Option<Millis>,
    },
    TestSlow {
        test: u32,
        name: Text<'a>,
        running_ms: Millis,
    },
    TestStopping {
        test: u32,
        name: Text<'a>,
        why: Reason,
        grace_ms: Millis,
    },
    Breakpoint {
        test: u32,
        name: Text<'a>,
        step_name: Text<'a>,
        look: Cow<'a, [String]>,
    },
    AttemptFailed {
        test: u32,
        name: Text<'a>,
        attempt: u32,
        verdict: Verdict,
        failure: Why<'a>,
        took_ms: Millis,
    },
    TestFinished {
        test: u32,
        name: Text<'a>,
        verdict: Verdict,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Why<'a>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Text<'a>>,
        attempts: u32,
        took_ms: Millis,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log_dir: Option<Cow<'a, Path>>,
    },
    Kept {
        test: u32,
        name: Text<'a>,
        how: Cow<'a, [String]>,
    },
    Stopping {
        why: Reason,
        running: usize,
    },
    StatusAsked {},
    InternalError {
        text: Text<'a>,
    },
    RunFinished {
        counts: BTreeMap<Verdict, usize>,
        took_ms: Millis,
        interrupted: bool,
        internal_error: bool,
    },
}

/// What is known of a run when it begins.
#[derive(Debug, Serialize, Deserialize)]
struct Run<'a> {
    run: Text<'a>,
    project: Text<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dir: Option<Cow<'a, Path>>,
    args: Cow<'a, [String]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rerun: Option<Text<'a>>,
    slots: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(default)]
    deselected: usize,
    tests: Vec<Test<'a>>,
}

/// What is known of a test.
#[derive(Debug, Serialize, Deserialize)]
struct Test<'a> {
    name: Text<'a>,
    /// Which iteration of `--repeat`, from 1.
    #[serde(default, skip_serializing_if = "is_zero")]
    iteration: u32,
    suite: Text<'a>,
    kind: Text<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    location: Option<Location<'a>>,
    #[serde(default, skip_serializing_if = "no_labels")]
    labels: Cow<'a, BTreeMap<String, String>>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn no_labels(labels: &BTreeMap<String, String>) -> bool {
    labels.is_empty()
}

/// A line of a file.
#[derive(Debug, Serialize, Deserialize)]
struct Location<'a> {
    file: Cow<'a, Path>,
    line: u32,
}

/// Why something did not pass.
#[derive(Debug, Serialize, Deserialize)]
struct Why<'a> {
    message: Text<'a>,
    /// The names of the step and of those around it, outermost first.
    #[serde(default, skip_serializing_if = "no_items")]
    step: Cow<'a, [String]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    location: Option<Location<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    mismatches: Vec<Difference<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waited_ms: Option<Millis>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    history: Vec<Seen<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    logs: Vec<Log<'a>>,
    #[serde(default, skip_serializing_if = "no_items")]
    notes: Cow<'a, [String]>,
}

fn no_items(items: &[String]) -> bool {
    items.is_empty()
}

#[derive(Debug, Serialize, Deserialize)]
struct Difference<'a> {
    field: Text<'a>,
    expected: Text<'a>,
    seen: Text<'a>,
}

/// Something seen while waiting, so often in a row.
#[derive(Debug, Serialize, Deserialize)]
struct Seen<'a> {
    seen: Text<'a>,
    times: u64,
    first_ms: Millis,
    last_ms: Millis,
}

/// The last lines of a log.
#[derive(Debug, Serialize, Deserialize)]
struct Log<'a> {
    source: Text<'a>,
    lines: Cow<'a, [String]>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    Detail,
    Info,
    Warning,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Done,
    NotNeeded,
    Failed,
    Interrupted,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reason {
    Deadline,
    Interrupted,
    FailFast,
}

/// A span of time in milliseconds, to the microsecond.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(transparent)]
struct Millis(f64);
