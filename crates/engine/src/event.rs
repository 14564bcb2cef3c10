//! What happens in a run, as plain data: the one stream from which the screen, the record and every report
//! are made.
//!
//! Events hold no handles and no formatting. Their form on disk is a type of `report`, with a version.

use std::{borrow::Cow, collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    requirement::Unmet,
    test::SourceLocation,
    verdict::{Failure, Verdict},
};

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// When, by the wall clock.
    pub at: Timestamp,
    /// When, from the start of the run, by a clock that never goes back.
    pub elapsed: Duration,
    /// What.
    pub kind: EventKind,
}

/// A test in a run: its place in the order of running. With `--repeat` every iteration has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TestIndex(pub u32);

/// A step in an attempt of a test, numbered from 0 in the order of starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepIndex(pub u32);

/// What reporters may want to know of a test, shared by all its events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestInfo {
    /// The full name.
    pub name: String,
    /// Which iteration of `--repeat` it is, from 1; 0 where nothing is repeated.
    pub iteration: u32,
    /// The suite's name.
    pub suite: String,
    /// What kind of test.
    pub kind: Cow<'static, str>,
    /// Where it stands.
    pub location: Option<SourceLocation>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// What a part used up until it ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PartUsage {
    /// The part's name.
    pub part: String,
    /// How it ended, as people read it: `exit code 0`, `signal SIGKILL`.
    pub exit: String,
    /// The largest resident memory of its processes, in bytes, where known.
    pub rss_bytes_max: Option<u64>,
    /// User and system time of all its processes.
    pub cpu_time: Option<Duration>,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum EventKind {
    /// The run begins; everything that will run is known.
    RunStarted(Arc<RunInfo>),
    /// Something to tell that belongs to no test: a shuffle seed, what a dead run had left.
    Notice {
        /// How urgent.
        level: NoticeLevel,
        /// In a line or more.
        text: String,
    },
    /// A requirement turned out to be unmet. Told once each.
    RequirementUnmet {
        /// Its name.
        name: String,
        /// Why, and what to do.
        unmet: Unmet,
    },
    /// A fixture is being built.
    FixtureStarted {
        /// Its key.
        fixture: Arc<str>,
    },
    /// A fixture tells how far it is.
    FixtureProgress {
        /// Its key.
        fixture: Arc<str>,
        /// In a line.
        text: String,
    },
    /// A fixture can be used.
    FixtureReady {
        /// Its key.
        fixture: Arc<str>,
        /// How long that took.
        took: Duration,
    },
    /// A fixture could not be built; told once, its tests are errored.
    FixtureFailed {
        /// Its key.
        fixture: Arc<str>,
        /// How long it was tried.
        took: Duration,
        /// Why.
        failure: Arc<Failure>,
    },
    /// A fixture is gone again.
    FixtureStopped {
        /// Its key.
        fixture: Arc<str>,
        /// How long that took.
        took: Duration,
    },
    /// An attempt of a test begins.
    TestStarted {
        /// Which test.
        test: TestIndex,
        /// From 1.
        attempt: u32,
    },
    /// A step of it begins.
    StepStarted {
        /// Which test.
        test: TestIndex,
        /// Which step.
        step: StepIndex,
        /// The step around it, for blocks and a suite's own steps.
        parent: Option<StepIndex>,
        /// As people read it: `port_listening 8125/udp`.
        name: String,
        /// Where it stands.
        location: Option<SourceLocation>,
    },
    /// A step that waits saw something.
    StepSaw {
        /// Which test.
        test: TestIndex,
        /// Which step.
        step: StepIndex,
        /// What it saw last.
        seen: String,
    },
    /// A step of it ended.
    StepFinished {
        /// Which test.
        test: TestIndex,
        /// Which step.
        step: StepIndex,
        /// How.
        outcome: StepOutcome,
        /// How long it took.
        took: Duration,
    },
    /// A part of it ended.
    PartEnded {
        /// Which test.
        test: TestIndex,
        /// What it used.
        usage: PartUsage,
    },
    /// A test has been running for longer than the slow mark, once for each multiple of it.
    TestSlow {
        /// Which test.
        test: TestIndex,
        /// For how long.
        elapsed: Duration,
    },
    /// A test was told to end, and has this long to clean up.
    TestStopping {
        /// Which test.
        test: TestIndex,
        /// Why.
        why: StopReason,
        /// Until it is abandoned.
        grace: Duration,
    },
    /// A test stopped at a breakpoint and waits for Enter.
    Breakpoint {
        /// Which test.
        test: TestIndex,
        /// The step before which it stands.
        step: String,
        /// How to look at what is running, a line each.
        look: Vec<String>,
    },
    /// An attempt did not pass and will be followed by another.
    AttemptFailed {
        /// Which test.
        test: TestIndex,
        /// From 1.
        attempt: u32,
        /// What it would have been without another attempt.
        verdict: Verdict,
        /// Why.
        failure: Arc<Failure>,
        /// How long it took.
        took: Duration,
    },
    /// A test has its verdict.
    TestFinished(TestOutcome),
    /// What a test had started was left standing, as `--keep` asked.
    Kept {
        /// Which test.
        test: TestIndex,
        /// How to look at it and how to remove it, a line each.
        how: Vec<String>,
    },
    /// The run is being stopped.
    Stopping {
        /// Why.
        why: StopReason,
        /// How many tests are still running.
        running: usize,
    },
    /// Somebody asked what is going on (`t`, SIGUSR1).
    StatusAsked,
    /// Seatrial itself failed; the run goes on or ends, but is not a success.
    InternalError {
        /// What went wrong.
        text: String,
    },
    /// The run is over.
    RunFinished(RunSummary),
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// As it should.
    Done,
    /// Its `when` was false.
    NotNeeded,
    /// It did not do what it should; the test's failure tells the whole story.
    Failed {
        /// In a line.
        message: String,
    },
    /// The test ended in the middle of it.
    Interrupted,
}

/// Why a test, or a run, is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StopReason {
    /// Its deadline struck.
    Deadline,
    /// Ctrl-C, SIGTERM, SIGHUP or `q`.
    Interrupted,
    /// `--fail-fast`.
    FailFast,
}

/// How urgent a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoticeLevel {
    /// Only with `-v`.
    Detail,
    /// Normally shown.
    Info,
    /// Something that the user should do something about.
    Warning,
}

/// What is known of a run when it begins.
#[derive(Clone, Debug, Default)]
pub struct RunInfo {
    /// The run's id, sortable by time.
    pub id: String,
    /// The project: the name under which runs are kept.
    pub project: String,
    /// The run's directory, if it has one.
    pub dir: Option<PathBuf>,
    /// The command line, without the program.
    pub args: Vec<String>,
    /// What runs a single test again: the arguments before its name.
    pub rerun: Option<String>,
    /// The tests, by [`TestIndex`].
    pub tests: Vec<Arc<TestInfo>>,
    /// How many tests the selection left out.
    pub deselected: usize,
    /// `-p`.
    pub slots: usize,
    /// The seed of `--shuffle`.
    pub seed: Option<u64>,
}

/// What came of a test.
#[derive(Clone, Debug)]
pub struct TestOutcome {
    /// Which test.
    pub test: TestIndex,
    /// Its verdict.
    pub verdict: Verdict,
    /// Why it did not pass, or why the attempt before the last one did not, for a flaky one.
    pub failure: Option<Arc<Failure>>,
    /// Why it was skipped.
    pub reason: Option<String>,
    /// How many attempts were made; 0 where it never started.
    pub attempts: u32,
    /// From the start of the first attempt to the end of the last, tear-down included.
    pub took: Duration,
    /// Where its logs lie, if it wrote any.
    pub log_dir: Option<PathBuf>,
}

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunSummary {
    /// How many tests ended with each verdict.
    pub counts: BTreeMap<Verdict, usize>,
    /// How long it took.
    pub took: Duration,
    /// Ctrl-C or a signal ended it early.
    pub interrupted: bool,
    /// Seatrial itself failed somewhere.
    pub internal_error: bool,
}

impl RunSummary {
    /// How many tests ended so.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.counts.get(&verdict).copied().unwrap_or_default()
    }

    /// How many tests ended in any way.
    pub fn total(&self) -> usize {
        self.counts.values().sum()
    }

    /// Whether any test failed, errored or timed out.
    pub fn has_bad(&self) -> bool {
        self.counts
            .iter()
            .any(|(verdict, count)| verdict.is_bad() && *count > 0)
    }
}

/// Takes events and makes something of them. A reporter that fails is told of once and left out from then
/// on; it silences no other and fails no test.
pub trait Reporter: Send {
    /// Its name in the message about its failure: `junit`.
    fn name(&self) -> &str;

    /// Takes one event.
    ///
    /// # Errors
    /// When it cannot go on reporting.
    fn event(&mut self, event: &Event) -> Result<(), ReportError>;

    /// Called soon after events, a few milliseconds at most: what is buffered should go out now.
    ///
    /// # Errors
    /// When it cannot go on reporting.
    fn flush(&mut self) -> Result<(), ReportError> {
        Ok(())
    }

    /// Called about ten times a second while something runs, for what shows time passing.
    ///
    /// # Errors
    /// When it cannot go on reporting.
    fn tick(&mut self, elapsed: Duration) -> Result<(), ReportError> {
        let _ = elapsed;
        Ok(())
    }

    /// Whether it wants [`Reporter::tick`]; without any such reporter nothing wakes up.
    fn wants_ticks(&self) -> bool {
        false
    }
}

/// Why a reporter cannot go on.
pub type ReportError = Box<dyn std::error::Error + Send + Sync>;
