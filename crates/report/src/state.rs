//! What is known of a run from its events so far: what runs, where it stands, what was found.
//!
//! The one model behind the text, the terminal's live lines and the status, so that they cannot disagree.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use seatrial_engine::{
    Event, EventKind, RunInfo, StepIndex, StopReason, TestIndex, TestInfo, TestOutcome, Verdict,
};

/// What is known of a run.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) info: Arc<RunInfo>,
    /// By the last event, or tick, from the start of the run.
    pub(crate) elapsed: Duration,
    pub(crate) counts: BTreeMap<Verdict, usize>,
    /// Sum of all counts.
    pub(crate) done: usize,
    pub(crate) running: BTreeMap<TestIndex, Running>,
    pub(crate) building: Vec<Building>,
    /// Those that ended badly, or passed only at last, in the order of ending.
    pub(crate) notable: Vec<TestOutcome>,
    pub(crate) skipped: Reasons,
    pub(crate) stopping: Option<StopReason>,
    /// The path of the step that the last event ended.
    pub(crate) ended_step: String,
    pub(crate) finished: bool,
}

/// A test that runs.
#[derive(Debug, Default)]
pub(crate) struct Running {
    pub(crate) attempt: u32,
    pub(crate) since: Duration,
    pub(crate) steps: Vec<OpenStep>,
    pub(crate) stopping: Option<StopReason>,
    /// The step before which it stands and waits for Enter.
    pub(crate) breakpoint: Option<String>,
}

/// A step that goes on.
#[derive(Debug)]
pub(crate) struct OpenStep {
    pub(crate) index: StepIndex,
    pub(crate) parent: Option<StepIndex>,
    pub(crate) name: String,
    pub(crate) since: Duration,
    pub(crate) seen: Option<String>,
}

/// A fixture that is being built.
#[derive(Debug)]
pub(crate) struct Building {
    pub(crate) fixture: Arc<str>,
    pub(crate) since: Duration,
    pub(crate) progress: Option<String>,
}

/// Reasons and how often each was given, in the order of their first time.
#[derive(Debug, Default)]
pub(crate) struct Reasons {
    counted: Vec<(String, usize)>,
    places: HashMap<String, usize>,
}

impl Reasons {
    fn add(&mut self, reason: &str) {
        match self.places.get(reason) {
            Some(place) => self.counted[*place].1 += 1,
            None => {
                self.places.insert(reason.to_owned(), self.counted.len());
                self.counted.push((reason.to_owned(), 1));
            }
        }
    }

    /// The most frequent first.
    pub(crate) fn by_count(&self) -> Vec<&(String, usize)> {
        let mut reasons: Vec<_> = self.counted.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        reasons
    }
}

impl State {
    /// Takes note of an event.
    pub(crate) fn on(&mut self, event: &Event) {
        self.elapsed = self.elapsed.max(event.elapsed);
        match &event.kind {
            EventKind::RunStarted(info) => self.info = info.clone(),
            EventKind::FixtureStarted { fixture } => self.building.push(Building {
                fixture: fixture.clone(),
                since: event.elapsed,
                progress: None,
            }),
            EventKind::FixtureProgress { fixture, text } => {
                if let Some(building) = self.building.iter_mut().find(|b| b.fixture == *fixture) {
                    building.progress = Some(text.clone());
                }
            }
            EventKind::FixtureReady { fixture, .. } | EventKind::FixtureFailed { fixture, .. } => {
                self.building.retain(|building| building.fixture != *fixture);
            }
            EventKind::TestStarted { test, attempt } => {
                let running = self.running.entry(*test).or_default();
                if *attempt <= 1 {
                    running.since = event.elapsed;
                }
                running.attempt = *attempt;
                running.steps.clear();
            }
            EventKind::StepStarted {
                test,
                step,
                parent,
                name,
                location: _,
            } => {
                if let Some(running) = self.running.get_mut(test) {
                    running.breakpoint = None;
                    running.steps.push(OpenStep {
                        index: *step,
                        parent: *parent,
                        name: name.clone(),
                        since: event.elapsed,
                        seen: None,
                    });
                }
            }
            EventKind::StepSaw { test, step, seen } => {
                if let Some(running) = self.running.get_mut(test)
                    && let Some(open) = running.steps.iter_mut().find(|open| open.index == *step)
                {
                    open.seen = Some(seen.clone());
                }
            }
            EventKind::StepFinished { test, step, .. } => {
                if let Some(running) = self.running.get_mut(test)
                    && let Some(place) = running.steps.iter().position(|open| open.index == *step)
                {
                    self.ended_step = running.path(&running.steps[place]);
                    running.steps.remove(place);
                }
            }
            EventKind::TestStopping { test, why, grace: _ } => {
                if let Some(running) = self.running.get_mut(test) {
                    running.stopping = Some(*why);
                    running.breakpoint = None;
                }
            }
            EventKind::Breakpoint { test, step, look: _ } => {
                if let Some(running) = self.running.get_mut(test) {
                    running.breakpoint = Some(step.clone());
                }
            }
            EventKind::AttemptFailed { test, .. } => {
                if let Some(running) = self.running.get_mut(test) {
                    running.steps.clear();
                }
            }
            EventKind::TestFinished(outcome) => self.test_finished(outcome),
            EventKind::Stopping { why, running: _ } => self.stopping = Some(*why),
            EventKind::RunFinished(_) => self.finished = true,
            EventKind::Notice { .. }
            | EventKind::RequirementUnmet { .. }
            | EventKind::FixtureStopped { .. }
            | EventKind::PartEnded { .. }
            | EventKind::TestSlow { .. }
            | EventKind::Kept { .. }
            | EventKind::StatusAsked
            | EventKind::InternalError { .. } => {}
        }
    }

    fn test_finished(&mut self, outcome: &TestOutcome) {
        self.running.remove(&outcome.test);
        *self.counts.entry(outcome.verdict).or_default() += 1;
        self.done += 1;
        match outcome.verdict {
            Verdict::Failed | Verdict::Errored | Verdict::TimedOut | Verdict::Flaky => {
                self.notable.push(outcome.clone());
            }
            Verdict::Skipped => self
                .skipped
                .add(outcome.reason.as_deref().unwrap_or("no reason given")),
            Verdict::Passed | Verdict::Cancelled => {}
        }
    }

    /// What is known of a test.
    pub(crate) fn test(&self, test: TestIndex) -> Option<&TestInfo> {
        self.info.tests.get(test.0 as usize).map(Arc::as_ref)
    }

    /// Its full name, with its iteration where tests are repeated.
    pub(crate) fn name(&self, test: TestIndex) -> String {
        match self.test(test) {
            Some(TestInfo {
                name, iteration: 0, ..
            }) => name.clone(),
            Some(TestInfo { name, iteration, .. }) => format!("{name} #{iteration}"),
            None => format!("test {}", test.0),
        }
    }

    /// The command that runs just this test again.
    pub(crate) fn rerun(&self, test: TestIndex) -> Option<String> {
        let rerun = self.info.rerun.as_deref()?;
        let name = &self.test(test)?.name;
        Some(format!("{rerun} {}", quoted_for_shell(name)))
    }
}

impl Running {
    /// The innermost steps, in the order of starting: those that no other open step stands in.
    pub(crate) fn innermost(&self) -> impl DoubleEndedIterator<Item = &OpenStep> {
        self.steps
            .iter()
            .filter(|step| !self.steps.iter().any(|other| other.parent == Some(step.index)))
    }

    /// The names of a step and of those around it, outermost first.
    pub(crate) fn path(&self, step: &OpenStep) -> String {
        let mut path = step.name.clone();
        let mut parent = step.parent;
        while let Some(step) = parent.and_then(|parent| self.steps.iter().find(|s| s.index == parent)) {
            path.insert_str(0, " > ");
            path.insert_str(0, &step.name);
            parent = step.parent;
        }
        path
    }
}

/// The text as a POSIX shell takes it for one word.
pub(crate) fn quoted_for_shell(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./@:=+,%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_only_where_a_shell_would_split_them() {
        assert_eq!(quoted_for_shell("tour/http@docker"), "tour/http@docker");
        assert_eq!(quoted_for_shell("it's (one)"), r"'it'\''s (one)'");
    }

    #[test]
    fn reasons_are_counted_and_the_most_frequent_comes_first() {
        let mut reasons = Reasons::default();
        for reason in ["root", "docker", "docker"] {
            reasons.add(reason);
        }
        assert_eq!(
            reasons.by_count(),
            [&("docker".to_owned(), 2), &("root".to_owned(), 1)]
        );
    }
}
