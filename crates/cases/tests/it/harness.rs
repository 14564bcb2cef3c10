//! Runs case files that are given as text, and shows what came of them in a form that is the same every time.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};

use regex::Regex;
use seatrial_cases::{LoadOptions, load};
use seatrial_engine::{
    Event, EventKind, Failure, ReportError, Reporter, Runner, Settings, StepOutcome, Verdict,
};
use tokio::sync::mpsc;

/// Files of a suite, in a directory of its own.
pub(crate) struct Files {
    dir: tempfile::TempDir,
}

/// What came of a run.
pub(crate) struct Outcome {
    dir: PathBuf,
    events: Vec<EventKind>,
}

impl Files {
    /// A directory with these files.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let files_dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = files_dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self { dir: files_dir }
    }

    /// Runs all cases.
    pub(crate) async fn run(&self, change: impl FnOnce(&mut Settings)) -> Outcome {
        let loaded = load(&LoadOptions {
            paths: vec![self.dir.path().to_owned()],
        });
        assert!(loaded.diagnostics.is_empty(), "{:#?}", loaded.diagnostics);
        let tests = seatrial_cases::run::tests(&loaded.suites, None);
        let state = tempfile::tempdir().unwrap();
        let mut settings = Settings {
            run_dir: state.path().join("run"),
            state_dir: state.path().to_owned(),
            slots: 4,
            ..Settings::default()
        };
        change(&mut settings);
        let seen = Seen::default();
        let runner = Runner::new(settings)
            .with_reporter(Box::new(seen.clone()))
            .with_reapers(seatrial_environment::reapers());
        let (_controls, receiver) = mpsc::unbounded_channel();
        runner.run(tests, receiver).await;
        let events = std::mem::take(&mut *seen.0.lock().unwrap());
        for event in &events {
            assert!(!matches!(event, EventKind::InternalError { .. }), "{event:?}");
        }
        Outcome {
            dir: self.dir.path().to_owned(),
            events,
        }
    }
}

/// Runs one case file.
pub(crate) async fn run(case: &str) -> Outcome {
    Files::new(&[
        ("seatrial.yaml", "name: it"),
        ("case.yaml", &format!("name: case\n{}", outdented(case))),
    ])
    .run(|_| ())
    .await
}

/// Text without the indentation that all its lines have.
fn outdented(text: &str) -> String {
    let lines = || text.lines().filter(|line| !line.trim().is_empty());
    let common = lines()
        .map(|line| line.len() - line.trim_start().len())
        .min()
        .unwrap_or(0);
    let text: String = text
        .lines()
        .map(|line| format!("{}\n", line.get(common..).unwrap_or_default()))
        .collect();
    // A whole case on one line is a flow mapping.
    match text
        .trim()
        .strip_prefix('{')
        .and_then(|inner| inner.strip_suffix('}'))
    {
        Some(inner) if text.trim().lines().count() == 1 => split_flow(inner),
        _ => text,
    }
}

/// `target: x, procedure: [...]` as two lines.
fn split_flow(inner: &str) -> String {
    inner.replacen(", procedure:", "\nprocedure:", 1)
}

/// Runs one case file, which has to pass.
#[track_caller]
pub(crate) fn passes(case: &str) -> impl Future<Output = Outcome> {
    let caller = std::panic::Location::caller();
    async move {
        let outcome = run(case).await;
        assert_eq!(
            outcome.verdicts(),
            [Verdict::Passed],
            "at {caller}: {}",
            outcome.told()
        );
        outcome
    }
}

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<EventKind>>>);

impl Reporter for Seen {
    fn name(&self) -> &str {
        "seen"
    }

    fn event(&mut self, event: &Event) -> Result<(), ReportError> {
        self.0.lock().unwrap().push(event.kind.clone());
        Ok(())
    }
}

impl Outcome {
    pub(crate) fn events(&self) -> &[EventKind] {
        &self.events
    }

    pub(crate) fn verdicts(&self) -> Vec<Verdict> {
        let verdict = |event: &EventKind| match event {
            EventKind::TestFinished(outcome) => Some(outcome.verdict),
            _ => None,
        };
        self.events.iter().filter_map(verdict).collect()
    }

    /// Verdicts and failures of all tests, without what differs from one run to the next.
    pub(crate) fn told(&self) -> String {
        let mut text = String::new();
        for event in &self.events {
            if let EventKind::FixtureFailed { fixture, failure, .. } = event {
                text.push_str(&format!("fixture {fixture}\n"));
                tell(failure, &mut text);
            }
            if let EventKind::TestFinished(outcome) = event {
                text.push_str(&format!("{}\n", outcome.verdict));
                if let Some(reason) = &outcome.reason {
                    text.push_str(&format!("  reason: {reason}\n"));
                }
                if let Some(failure) = &outcome.failure {
                    tell(failure, &mut text);
                }
            }
        }
        self.normal(&text)
    }

    /// Every step with how it ended, nested as executed.
    pub(crate) fn steps(&self) -> String {
        let mut steps: Vec<(usize, String, &str)> = Vec::new();
        for event in &self.events {
            match event {
                EventKind::StepStarted { parent, name, .. } => {
                    let depth = parent.map_or(0, |parent| steps[parent.0 as usize].0 + 1);
                    steps.push((depth, name.clone(), "started"));
                }
                EventKind::StepFinished { step, outcome, .. } => {
                    steps[step.0 as usize].2 = match outcome {
                        StepOutcome::Done => "done",
                        StepOutcome::NotNeeded => "not needed",
                        StepOutcome::Failed { .. } => "failed",
                        StepOutcome::Interrupted => "interrupted",
                    };
                }
                _ => {}
            }
        }
        let text: String = steps
            .iter()
            .map(|(depth, name, end)| format!("{}{name}: {end}\n", "  ".repeat(*depth)))
            .collect();
        self.normal(&text)
    }

    fn normal(&self, text: &str) -> String {
        static VARYING: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
            [
                (r"/tmp/seatrial-\d+/[^/ `]+", "GROUP"),
                (r"\b(process|pid) \d+", "$1 N"),
                (r"\b[1-6]\d{4}\b", "PORT"),
                (r"\bfor \d+\.\d s\b", "for N s"),
                (r"PATH \([^)]*\)", "PATH (...)"),
            ]
            .map(|(pattern, instead)| (Regex::new(pattern).unwrap(), instead))
            .into()
        });
        let mut text = text.replace(&self.dir.display().to_string(), "DIR");
        for (pattern, instead) in VARYING.iter() {
            text = pattern.replace_all(&text, *instead).into_owned();
        }
        text
    }
}

fn tell(failure: &Failure, text: &mut String) {
    let mut line = |label: &str, said: String| text.push_str(&format!("  {label}: {said}\n"));
    line("message", failure.message.clone());
    if !failure.step.is_empty() {
        line("step", failure.step.join(" > "));
    }
    if let Some(location) = &failure.location {
        line("at", location.to_string());
    }
    for mismatch in &failure.mismatches {
        line(
            "mismatch",
            format!(
                "{}: expected {}, saw {}",
                mismatch.field, mismatch.expected, mismatch.seen
            ),
        );
    }
    let seen: Vec<&str> = failure.history.iter().map(|seen| seen.seen.as_str()).collect();
    if !seen.is_empty() {
        line("history", seen.join("; "));
    }
    for tail in &failure.logs {
        line("log", format!("{}: {}", tail.source, tail.lines.join(" | ")));
    }
    for note in &failure.notes {
        line("note", note.clone());
    }
}
