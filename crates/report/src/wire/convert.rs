//! From the engine's events to lines, and back.
//!
//! Written out field by field: a field that is added to an event does not compile here until somebody has
//! decided what becomes of it on disk.

use std::{borrow::Cow, path::PathBuf, sync::Arc, time::Duration};

use seatrial_engine::{
    Event, EventKind, Failure, History, LogTail, Mismatch, NoticeLevel, Observation, PartUsage, RunInfo,
    RunSummary, SourceLocation, StepIndex, StepOutcome, StopReason, TestIndex, TestInfo, TestOutcome, Unmet,
};

use super::{
    Difference, Kind, Level, Line, Location, Log, Millis, Outcome, Reason, Run, Seen, Test, Text, VERSION,
    Why,
};

impl From<Duration> for Millis {
    fn from(span: Duration) -> Self {
        Millis(span.as_micros() as f64 / 1000.0)
    }
}

impl From<Millis> for Duration {
    fn from(Millis(millis): Millis) -> Self {
        // What is negative, not a number or too large was not written by seatrial.
        Duration::try_from_secs_f64(millis / 1000.0)
            .map(|span| Duration::from_micros((span.as_nanos() as f64 / 1000.0).round() as u64))
            .unwrap_or_default()
    }
}

impl<'a> Line<'a> {
    /// The line for an event; `run` has the names of its tests.
    pub(crate) fn new(event: &'a Event, run: &'a RunInfo) -> Self {
        Line {
            v: VERSION,
            at: event.at,
            elapsed_ms: event.elapsed.into(),
            kind: Kind::new(&event.kind, run),
        }
    }

    /// The event that it was made from.
    pub(crate) fn into_event(self) -> Event {
        Event {
            at: self.at,
            elapsed: self.elapsed_ms.into(),
            kind: self.kind.into_event(),
        }
    }
}

impl<'a> Kind<'a> {
    fn new(kind: &'a EventKind, run: &'a RunInfo) -> Self {
        let name_of = |test: &TestIndex| -> Text<'a> {
            let info = run.tests.get(test.0 as usize);
            info.map_or("", |info| info.name.as_str()).into()
        };
        match kind {
            EventKind::RunStarted(info) => Kind::RunStarted(Run::new(info)),
            EventKind::Notice { level, text } => Kind::Notice {
                level: match level {
                    NoticeLevel::Detail => Level::Detail,
                    NoticeLevel::Info => Level::Info,
                    NoticeLevel::Warning => Level::Warning,
                },
                text: text.into(),
            },
            EventKind::RequirementUnmet { name, unmet } => Kind::RequirementUnmet {
                requirement: name.into(),
                reason: (&unmet.reason).into(),
                help: unmet.help.as_ref().map(Into::into),
            },
            EventKind::FixtureStarted { fixture } => Kind::FixtureStarted {
                fixture: Cow::Borrowed(fixture),
            },
            EventKind::FixtureProgress { fixture, text } => Kind::FixtureProgress {
                fixture: Cow::Borrowed(fixture),
                text: text.into(),
            },
            EventKind::FixtureReady { fixture, took } => Kind::FixtureReady {
                fixture: Cow::Borrowed(fixture),
                took_ms: (*took).into(),
            },
            EventKind::FixtureFailed {
                fixture,
                took,
                failure,
            } => Kind::FixtureFailed {
                fixture: Cow::Borrowed(fixture),
                took_ms: (*took).into(),
                failure: Why::new(failure),
            },
            EventKind::FixtureStopped { fixture, took } => Kind::FixtureStopped {
                fixture: Cow::Borrowed(fixture),
                took_ms: (*took).into(),
            },
            EventKind::TestStarted { test, attempt } => Kind::TestStarted {
                test: test.0,
                name: name_of(test),
                attempt: *attempt,
            },
            EventKind::StepStarted {
                test,
                step,
                parent,
                name,
                location,
            } => Kind::StepStarted {
                test: test.0,
                name: name_of(test),
                step: step.0,
                parent: parent.map(|parent| parent.0),
                step_name: name.into(),
                location: location.as_ref().map(Location::new),
            },
            EventKind::StepSaw { test, step, seen } => Kind::StepSaw {
                test: test.0,
                name: name_of(test),
                step: step.0,
                seen: seen.into(),
            },
            EventKind::StepFinished {
                test,
                step,
                outcome,
                took,
            } => {
                let (outcome, message) = match outcome {
                    StepOutcome::Done => (Outcome::Done, None),
                    StepOutcome::NotNeeded => (Outcome::NotNeeded, None),
                    StepOutcome::Failed { message } => (Outcome::Failed, Some(message.into())),
                    StepOutcome::Interrupted => (Outcome::Interrupted, None),
                };
                Kind::StepFinished {
                    test: test.0,
                    name: name_of(test),
                    step: step.0,
                    outcome,
                    message,
                    took_ms: (*took).into(),
                }
            }
            EventKind::PartEnded { test, usage } => Kind::PartEnded {
                test: test.0,
                name: name_of(test),
                part: (&usage.part).into(),
                exit: (&usage.exit).into(),
                rss_bytes_max: usage.rss_bytes_max,
                cpu_ms: usage.cpu_time.map(Millis::from),
            },
            EventKind::TestSlow { test, elapsed } => Kind::TestSlow {
                test: test.0,
                name: name_of(test),
                running_ms: (*elapsed).into(),
            },
            EventKind::TestStopping { test, why, grace } => Kind::TestStopping {
                test: test.0,
                name: name_of(test),
                why: (*why).into(),
                grace_ms: (*grace).into(),
            },
            EventKind::Breakpoint { test, step, look } => Kind::Breakpoint {
                test: test.0,
                name: name_of(test),
                step_name: step.into(),
                look: look.into(),
            },
            EventKind::AttemptFailed {
                test,
                attempt,
                verdict,
                failure,
                took,
            } => Kind::AttemptFailed {
                test: test.0,
                name: name_of(test),
                attempt: *attempt,
                verdict: *verdict,
                failure: Why::new(failure),
                took_ms: (*took).into(),
            },
            EventKind::TestFinished(outcome) => Kind::TestFinished {
                test: outcome.test.0,
                name: name_of(&outcome.test),
                verdict: outcome.verdict,
                failure: outcome.failure.as_deref().map(Why::new),
                reason: outcome.reason.as_ref().map(Into::into),
                attempts: outcome.attempts,
                took_ms: outcome.took.into(),
                log_dir: outcome.log_dir.as_ref().map(Into::into),
            },
            EventKind::Kept { test, how } => Kind::Kept {
                test: test.0,
                name: name_of(test),
                how: how.into(),
            },
            EventKind::Stopping { why, running } => Kind::Stopping {
                why: (*why).into(),
                running: *running,
            },
            EventKind::StatusAsked => Kind::StatusAsked {},
            EventKind::InternalError { text } => Kind::InternalError { text: text.into() },
            EventKind::RunFinished(run) => Kind::RunFinished {
                counts: run.counts.clone(),
                took_ms: run.took.into(),
                interrupted: run.interrupted,
                internal_error: run.internal_error,
            },
        }
    }

    fn into_event(self) -> EventKind {
        match self {
            Kind::RunStarted(run) => EventKind::RunStarted(Arc::new(run.into_info())),
            Kind::Notice { level, text } => EventKind::Notice {
                level: match level {
                    Level::Detail => NoticeLevel::Detail,
                    Level::Info => NoticeLevel::Info,
                    Level::Warning => NoticeLevel::Warning,
                },
                text: text.into_owned(),
            },
            Kind::RequirementUnmet {
                requirement,
                reason,
                help,
            } => EventKind::RequirementUnmet {
                name: requirement.into_owned(),
                unmet: Unmet {
                    reason: reason.into_owned(),
                    help: help.map(Cow::into_owned),
                },
            },
            Kind::FixtureStarted { fixture } => EventKind::FixtureStarted {
                fixture: fixture.into(),
            },
            Kind::FixtureProgress { fixture, text } => EventKind::FixtureProgress {
                fixture: fixture.into(),
                text: text.into_owned(),
            },
            Kind::FixtureReady { fixture, took_ms } => EventKind::FixtureReady {
                fixture: fixture.into(),
                took: took_ms.into(),
            },
            Kind::FixtureFailed {
                fixture,
                took_ms,
                failure,
            } => EventKind::FixtureFailed {
                fixture: fixture.into(),
                took: took_ms.into(),
                failure: Arc::new(failure.into_failure()),
            },
            Kind::FixtureStopped { fixture, took_ms } => EventKind::FixtureStopped {
                fixture: fixture.into(),
                took: took_ms.into(),
            },
            Kind::TestStarted { test, attempt, .. } => EventKind::TestStarted {
                test: TestIndex(test),
                attempt,
            },
            Kind::StepStarted {
                test,
                step,
                parent,
                step_name,
                location,
                ..
            } => EventKind::StepStarted {
                test: TestIndex(test),
                step: StepIndex(step),
                parent: parent.map(StepIndex),
                name: step_name.into_owned(),
                location: location.map(Location::into_source),
            },
            Kind::StepSaw { test, step, seen, .. } => EventKind::StepSaw {
                test: TestIndex(test),
                step: StepIndex(step),
                seen: seen.into_owned(),
            },
            Kind::StepFinished {
                test,
                step,
                outcome,
                message,
                took_ms,
                ..
            } => EventKind::StepFinished {
                test: TestIndex(test),
                step: StepIndex(step),
                outcome: match outcome {
                    Outcome::Done => StepOutcome::Done,
                    Outcome::NotNeeded => StepOutcome::NotNeeded,
                    Outcome::Failed => StepOutcome::Failed {
                        message: message.unwrap_or_default().into_owned(),
                    },
                    Outcome::Interrupted => StepOutcome::Interrupted,
                },
                took: took_ms.into(),
            },
            Kind::PartEnded {
                test,
                part,
                exit,
                rss_bytes_max,
                cpu_ms,
                ..
            } => EventKind::PartEnded {
                test: TestIndex(test),
                usage: PartUsage {
                    part: part.into_owned(),
                    exit: exit.into_owned(),
                    rss_bytes_max,
                    cpu_time: cpu_ms.map(Duration::from),
                },
            },
            Kind::TestSlow { test, running_ms, .. } => EventKind::TestSlow {
                test: TestIndex(test),
                elapsed: running_ms.into(),
            },
            Kind::TestStopping {
                test, why, grace_ms, ..
            } => EventKind::TestStopping {
                test: TestIndex(test),
                why: why.into(),
                grace: grace_ms.into(),
            },
            Kind::Breakpoint {
                test,
                step_name,
                look,
                ..
            } => EventKind::Breakpoint {
                test: TestIndex(test),
                step: step_name.into_owned(),
                look: look.into_owned(),
            },
            Kind::AttemptFailed {
                test,
                attempt,
                verdict,
                failure,
                took_ms,
                ..
            } => EventKind::AttemptFailed {
                test: TestIndex(test),
                attempt,
                verdict,
                failure: Arc::new(failure.into_failure()),
                took: took_ms.into(),
            },
            Kind::TestFinished {
                test,
                verdict,
                failure,
                reason,
                attempts,
                took_ms,
                log_dir,
                ..
            } => EventKind::TestFinished(TestOutcome {
                test: TestIndex(test),
                verdict,
                failure: failure.map(|why| Arc::new(why.into_failure())),
                reason: reason.map(Cow::into_owned),
                attempts,
                took: took_ms.into(),
                log_dir: log_dir.map(Cow::into_owned),
            }),
            Kind::Kept { test, how, .. } => EventKind::Kept {
                test: TestIndex(test),
                how: how.into_owned(),
            },
            Kind::Stopping { why, running } => EventKind::Stopping {
                why: why.into(),
                running,
            },
            Kind::StatusAsked {} => EventKind::StatusAsked,
            Kind::InternalError { text } => EventKind::InternalError {
                text: text.into_owned(),
            },
            Kind::RunFinished {
                counts,
                took_ms,
                interrupted,
                internal_error,
            } => EventKind::RunFinished(RunSummary {
                counts,
                took: took_ms.into(),
                interrupted,
                internal_error,
            }),
        }
    }
}

impl<'a> Run<'a> {
    fn new(info: &'a RunInfo) -> Self {
        Run {
            run: (&info.id).into(),
            project: (&info.project).into(),
            dir: info.dir.as_ref().map(Into::into),
            args: (&info.args).into(),
            rerun: info.rerun.as_ref().map(Into::into),
            slots: info.slots,
            seed: info.seed,
            deselected: info.deselected,
            tests: info.tests.iter().map(|test| Test::new(test)).collect(),
        }
    }

    fn into_info(self) -> RunInfo {
        RunInfo {
            id: self.run.into_owned(),
            project: self.project.into_owned(),
            dir: self.dir.map(Cow::into_owned),
            args: self.args.into_owned(),
            rerun: self.rerun.map(Cow::into_owned),
            tests: self
                .tests
                .into_iter()
                .map(|test| Arc::new(test.into_info()))
                .collect(),
            deselected: self.deselected,
            slots: self.slots,
            seed: self.seed,
        }
    }
}

impl<'a> Test<'a> {
    fn new(info: &'a TestInfo) -> Self {
        Test {
            name: (&info.name).into(),
            iteration: info.iteration,
            suite: (&info.suite).into(),
            kind: Cow::Borrowed(&info.kind),
            location: info.location.as_ref().map(Location::new),
            labels: Cow::Borrowed(&info.labels),
        }
    }

    fn into_info(self) -> TestInfo {
        TestInfo {
            name: self.name.into_owned(),
            iteration: self.iteration,
            suite: self.suite.into_owned(),
            kind: Cow::Owned(self.kind.into_owned()),
            location: self.location.map(Location::into_source),
            labels: self.labels.into_owned(),
        }
    }
}

impl<'a> Location<'a> {
    fn new(location: &'a SourceLocation) -> Self {
        Location {
            file: (&location.file).into(),
            line: location.line,
        }
    }

    fn into_source(self) -> SourceLocation {
        SourceLocation {
            file: PathBuf::from(self.file),
            line: self.line,
        }
    }
}

impl<'a> Why<'a> {
    fn new(failure: &'a Failure) -> Self {
        Why {
            message: (&failure.message).into(),
            step: (&failure.step).into(),
            location: failure.location.as_ref().map(Location::new),
            mismatches: failure
                .mismatches
                .iter()
                .map(|mismatch| Difference {
                    field: (&mismatch.field).into(),
                    expected: (&mismatch.expected).into(),
                    seen: (&mismatch.seen).into(),
                })
                .collect(),
            waited_ms: failure.waited.map(Millis::from),
            history: failure
                .history
                .iter()
                .map(|entry| Seen {
                    seen: (&entry.seen).into(),
                    times: entry.times,
                    first_ms: entry.first.into(),
                    last_ms: entry.last.into(),
                })
                .collect(),
            logs: failure
                .logs
                .iter()
                .map(|log| Log {
                    source: (&log.source).into(),
                    lines: (&log.lines).into(),
                })
                .collect(),
            notes: (&failure.notes).into(),
        }
    }

    fn into_failure(self) -> Failure {
        Failure {
            message: self.message.into_owned(),
            step: self.step.into_owned(),
            location: self.location.map(Location::into_source),
            mismatches: self
                .mismatches
                .into_iter()
                .map(|difference| Mismatch {
                    field: difference.field.into_owned(),
                    expected: difference.expected.into_owned(),
                    seen: difference.seen.into_owned(),
                })
                .collect(),
            waited: self.waited_ms.map(Duration::from),
            history: self
                .history
                .into_iter()
                .map(|entry| Observation {
                    seen: entry.seen.into_owned(),
                    times: entry.times,
                    first: entry.first_ms.into(),
                    last: entry.last_ms.into(),
                })
                .collect::<History>(),
            logs: self
                .logs
                .into_iter()
                .map(|log| LogTail {
                    source: log.source.into_owned(),
                    lines: log.lines.into_owned(),
                })
                .collect(),
            notes: self.notes.into_owned(),
        }
    }
}

impl From<StopReason> for Reason {
    fn from(reason: StopReason) -> Self {
        match reason {
            StopReason::Deadline => Reason::Deadline,
            StopReason::Interrupted => Reason::Interrupted,
            StopReason::FailFast => Reason::FailFast,
        }
    }
}

impl From<Reason> for StopReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Deadline => StopReason::Deadline,
            Reason::Interrupted => StopReason::Interrupted,
            Reason::FailFast => StopReason::FailFast,
        }
    }
}
