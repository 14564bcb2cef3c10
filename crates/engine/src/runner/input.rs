//! Everything that can happen to a run, as one enum: tests, fixtures, timers, signals and keys all end in the
//! dispatcher's one synchronous function, so what the screen says is never out of step with what is true.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::oneshot;

use crate::{
    event::{EventKind, NoticeLevel, TestIndex},
    fixture::FixtureValue,
    requirement::Unmet,
    verdict::{Failure, Verdict},
};

/// What somebody outside asks of a run that is going on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// Ctrl-C, SIGTERM, SIGHUP or `q`: stop; the second one skips the grace.
    Interrupt,
    /// `t` or SIGUSR1: tell what runs and what it waits for.
    Status,
    /// Enter: go on from the breakpoint.
    GoOn,
    /// Seatrial was stopped, by Ctrl-Z, for so long; deadlines have been moved on already.
    Resumed(Duration),
    /// Something to tell that came up beside the run, such as what a dead run had left.
    Notice(NoticeLevel, String),
}

/// Everything that can happen to a run.
pub(crate) enum Input {
    /// A test or a fixture tells something.
    Event(EventKind),
    /// From outside.
    Control(Control),
    /// A requirement has been checked.
    RequirementChecked {
        requirement: usize,
        result: Result<String, Unmet>,
    },
    /// A fixture has been built, or not.
    FixtureBuilt {
        fixture: usize,
        result: Result<FixtureValue, Arc<Failure>>,
    },
    /// A fixture has been torn down, or what is left of it reaped.
    FixtureStopped { fixture: usize },
    /// A test has passed, and only takes down what it started.
    BodyPassed { test: TestIndex },
    /// An attempt is over, and nothing of it is left.
    AttemptEnded { test: TestIndex, end: AttemptEnd },
    /// A test stands at a breakpoint.
    Breakpoint {
        test: TestIndex,
        step: String,
        look: Vec<String>,
        go_on: oneshot::Sender<()>,
    },
}

/// How an attempt ended.
pub(crate) struct AttemptEnd {
    /// `Passed`, `Failed`, `Errored`, `TimedOut`, `Cancelled` or `Skipped`.
    pub(crate) verdict: Verdict,
    pub(crate) failure: Option<Arc<Failure>>,
    /// Why it was skipped.
    pub(crate) reason: Option<String>,
    pub(crate) log_dir: Option<PathBuf>,
}
