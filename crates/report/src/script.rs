//! A run that never happened, for tests: events in the order in which the engine would tell them.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use seatrial_engine::{
    Event, EventKind, Failure, LogTail, Reporter, RunInfo, RunSummary, SourceLocation, StepIndex,
    StepOutcome, TestIndex, TestInfo, TestOutcome, Unmet, Verdict,
};

/// Events in the making; time stands still unless it is told to go on.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) events: Vec<Event>,
    now: Duration,
    names: Vec<String>,
    started: BTreeMap<u32, (Duration, u32)>,
    counts: BTreeMap<Verdict, usize>,
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl Script {
    /// A run of tests of these names.
    pub(crate) fn of(names: &[&str]) -> Self {
        let mut script = Script {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Script::default()
        };
        let tests = names.iter().enumerate().map(|(line, name)| {
            let (suite, case) = name.split_once('/').unwrap();
            Arc::new(TestInfo {
                name: (*name).to_owned(),
                suite: suite.to_owned(),
                kind: "procedure".into(),
                location: Some(place(&format!("{suite}/{case}.yaml"), line as u32 + 1)),
                labels: [("speed".to_owned(), "fast".to_owned())].into(),
                ..TestInfo::default()
            })
        });
        let info = RunInfo {
            id: "run1".into(),
            project: "default".into(),
            dir: Some("/state/runs/default/run1".into()),
            args: vec!["run".into(), "examples".into()],
            rerun: Some("seatrial run examples -t".into()),
            tests: tests.collect(),
            deselected: 0,
            slots: 2,
            seed: None,
        };
        script.tell(EventKind::RunStarted(Arc::new(info)));
        script
    }

    pub(crate) fn tell(&mut self, kind: EventKind) -> &mut Self {
        self.events.push(Event {
            at: Timestamp::from_nanosecond(1_790_000_000_000_000_000 + self.now.as_nanos() as i128).unwrap(),
            elapsed: self.now,
            kind,
        });
        self
    }

    pub(crate) fn after(&mut self, millis: u64) -> &mut Self {
        self.now += ms(millis);
        self
    }

    pub(crate) fn now(&self) -> Duration {
        self.now
    }

    pub(crate) fn index(&self, name: &str) -> TestIndex {
        TestIndex(self.names.iter().position(|other| other == name).unwrap() as u32)
    }

    pub(crate) fn start(&mut self, name: &str) -> &mut Self {
        let test = self.index(name);
        let attempt = self.started.get(&test.0).map_or(1, |(_, attempt)| attempt + 1);
        let since = self.started.get(&test.0).map_or(self.now, |(since, _)| *since);
        self.started.insert(test.0, (since, attempt));
        self.tell(EventKind::TestStarted { test, attempt })
    }

    pub(crate) fn step(&mut self, name: &str, step: u32, parent: Option<u32>, step_name: &str) -> &mut Self {
        let test = self.index(name);
        self.tell(EventKind::StepStarted {
            test,
            step: StepIndex(step),
            parent: parent.map(StepIndex),
            name: step_name.to_owned(),
            location: Some(place("tour/http.yaml", 14 + step)),
        })
    }

    pub(crate) fn saw(&mut self, name: &str, step: u32, seen: &str) -> &mut Self {
        let test = self.index(name);
        self.tell(EventKind::StepSaw {
            test,
            step: StepIndex(step),
            seen: seen.to_owned(),
        })
    }

    pub(crate) fn step_done(&mut self, name: &str, step: u32, outcome: StepOutcome, took: u64) -> &mut Self {
        let test = self.index(name);
        self.tell(EventKind::StepFinished {
            test,
            step: StepIndex(step),
            outcome,
            took: ms(took),
        })
    }

    pub(crate) fn attempt_failed(&mut self, name: &str, failure: Failure) -> &mut Self {
        let test = self.index(name);
        let (_, attempt) = self.started[&test.0];
        self.tell(EventKind::AttemptFailed {
            test,
            attempt,
            verdict: Verdict::Failed,
            failure: Arc::new(failure),
            took: ms(500),
        })
    }

    pub(crate) fn finish(&mut self, name: &str, verdict: Verdict, failure: Option<Failure>) -> &mut Self {
        let test = self.index(name);
        let (since, attempts) = self.started.get(&test.0).copied().unwrap_or((self.now, 0));
        *self.counts.entry(verdict).or_default() += 1;
        let log_dir = (attempts > 0 && failure.is_some())
            .then(|| PathBuf::from(format!("/state/runs/default/run1/logs/{name}")));
        self.tell(EventKind::TestFinished(TestOutcome {
            test,
            verdict,
            failure: failure.map(Arc::new),
            reason: None,
            attempts,
            took: self.now - since,
            log_dir,
        }))
    }

    pub(crate) fn skip(&mut self, name: &str, reason: &str) -> &mut Self {
        let test = self.index(name);
        *self.counts.entry(Verdict::Skipped).or_default() += 1;
        self.tell(EventKind::TestFinished(TestOutcome {
            test,
            verdict: Verdict::Skipped,
            failure: None,
            reason: Some(reason.to_owned()),
            attempts: 0,
            took: Duration::ZERO,
            log_dir: None,
        }))
    }

    pub(crate) fn end(&mut self) -> Vec<Event> {
        let summary = RunSummary {
            counts: self.counts.clone(),
            took: self.now,
            interrupted: self.counts.contains_key(&Verdict::Cancelled),
            internal_error: false,
        };
        self.tell(EventKind::RunFinished(summary));
        std::mem::take(&mut self.events)
    }
}

/// Hands all events to a reporter.
pub(crate) fn play(reporter: &mut impl Reporter, events: &[Event]) {
    for event in events {
        reporter.event(event).unwrap();
    }
    reporter.flush().unwrap();
}

pub(crate) fn place(file: &str, line: u32) -> SourceLocation {
    SourceLocation {
        file: file.into(),
        line,
    }
}

/// A wait that was in vain, with everything that a failure can have.
pub(crate) fn full_failure() -> Failure {
    let mut failure = Failure::new("gave up waiting for the answer to be as expected")
        .mismatch("status", "200", "503")
        .mismatch("body .state", "\"ready\"", "\"starting\"")
        .note("the target still runs");
    failure.step = vec!["parallel".into(), "http_check /health".into()];
    failure.location = Some(place("tour/http.yaml", 14));
    failure.waited = Some(ms(3_000));
    for at in 0..12 {
        failure.history.saw(ms(at * 50), "connection refused");
    }
    failure
        .history
        .saw(ms(600), "status = 503, body .state = \"starting\"");
    failure.logs = vec![
        LogTail {
            source: "target stdout".into(),
            lines: vec![
                "listening on 127.0.0.1:4321".into(),
                "\x1b[31mGET /health 503\x1b[0m".into(),
            ],
        },
        LogTail {
            source: "the-sidecar-that-collects stderr".into(),
            lines: Vec::new(),
        },
    ];
    failure
}

/// A run with one test of every kind of ending.
pub(crate) fn everything() -> Vec<Event> {
    let mut script = Script::of(&[
        "tour/exec",
        "tour/http",
        "tour/flaky",
        "tour/slow",
        "tour/panic",
        "nats/publish",
        "nats/subscribe",
        "tour/docker",
        "tour/image",
        "tour/root",
    ]);
    script.tell(EventKind::RequirementUnmet {
        name: "docker".into(),
        unmet: Unmet::because("no daemon answers").help("install docker.io"),
    });
    script.skip(
        "tour/docker",
        "needs docker: no daemon answers (install docker.io)",
    );
    script.skip(
        "tour/image",
        "needs docker: no daemon answers (install docker.io)",
    );
    script.skip("tour/root", "needs root: this is user 1000");
    script.tell(EventKind::FixtureStarted {
        fixture: "nats/broker".into(),
    });
    script.start("tour/exec").start("tour/http").after(120);
    script.step("tour/exec", 0, None, "exec true");
    script.step_done("tour/exec", 0, StepOutcome::Done, 20);
    script.finish("tour/exec", Verdict::Passed, None);
    script.start("tour/flaky").after(500);
    script.tell(EventKind::FixtureProgress {
        fixture: "nats/broker".into(),
        text: "compiling 12/80".into(),
    });
    script.attempt_failed("tour/flaky", Failure::new("the port is not open"));
    script.start("tour/flaky").after(400);
    script.finish(
        "tour/flaky",
        Verdict::Flaky,
        Some(Failure::new("the port is not open")),
    );
    script.start("tour/panic").after(10);
    let mut panic = Failure::new("it panicked: assertion `left == right` failed\n  left: 1\n right: 2");
    panic.location = Some(place("tests/it/main.rs", 40));
    script.finish("tour/panic", Verdict::Failed, Some(panic));
    let mut no_broker = Failure::new("nats-server did not listen");
    no_broker.waited = Some(ms(1_000));
    script.after(1_000).tell(EventKind::FixtureFailed {
        fixture: "nats/broker".into(),
        took: ms(2_030),
        failure: Arc::new(no_broker),
    });
    for name in ["nats/publish", "nats/subscribe"] {
        let failure = Failure::new("its fixture nats/broker could not be built");
        script.finish(name, Verdict::Errored, Some(failure));
    }
    script.start("tour/slow").step("tour/slow", 0, None, "parallel");
    script.step("tour/slow", 1, Some(0), "log_contains started");
    script.saw("tour/slow", 1, "120 lines, none matches");
    script.after(1_010);
    script.finish("tour/http", Verdict::Failed, Some(full_failure()));
    let test = script.index("tour/slow");
    script.after(30_000).tell(EventKind::TestSlow {
        test,
        elapsed: ms(30_000),
    });
    script.after(30_000);
    let mut timeout = Failure::new("its deadline of 60s struck in this step").mismatch(
        "last seen",
        "",
        "120 lines, none matches",
    );
    timeout.step = vec!["parallel".into(), "log_contains started".into()];
    timeout.waited = Some(ms(59_900));
    script.finish("tour/slow", Verdict::TimedOut, Some(timeout));
    script.end()
}
