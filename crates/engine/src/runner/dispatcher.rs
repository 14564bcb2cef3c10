//! What happens next in a run: one synchronous state machine that owns all that the user sees.
//!
//! [`Dispatcher::handle`] takes one [`Input`] and decides; it starts nothing itself, but leaves [`Command`]s for
//! the executor and [`EventKind`]s for the reporters. So every decision can be tested without a clock, a thread
//! or a process, and a property test drives it with any order of events.
//!
//! A test's life:
//!
//! ```text
//! waiting (for requirements, then fixtures) → ready → running (attempt 1, 2, …) → done
//! ```
//!
//! A test waits without holding a slot. Ready tests are started in order; one that needs more slots than are free
//! holds back those behind it, or wide tests would starve, while one whose test group is full is passed over.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{
    Control, Input,
    input::AttemptEnd,
    plan::{Plan, PlannedTest},
};
use crate::{
    event::{EventKind, NoticeLevel, RunSummary, StopReason, TestIndex, TestOutcome},
    fixture::FixtureValue,
    requirement::Unmet,
    settings::{Repeat, Settings},
    test::Weight,
    verdict::{Failure, Verdict},
};

/// How many fixtures are built at the same time: builds and pulls gain from each other's company, but a suite
/// with a hundred of them must not start them all at once.
const FIXTURES_BUILDING_MAX: usize = 16;

/// What the executor has to do.
pub(super) enum Command {
    CheckRequirement {
        requirement: usize,
    },
    BuildFixture {
        fixture: usize,
        token: CancellationToken,
        made: Vec<(usize, FixtureValue)>,
    },
    StopFixture {
        fixture: usize,
        value: FixtureValue,
    },
    StartAttempt {
        test: TestIndex,
        attempt: u32,
        token: CancellationToken,
        fixtures: Vec<(usize, FixtureValue)>,
    },
    /// Running attempts are not given any more time.
    SkipGrace,
}

pub(super) struct Dispatcher<'a> {
    plan: &'a Plan,
    settings: &'a Settings,
    tests: Vec<TestState>,
    requirements: Vec<RequirementState>,
    fixtures: Vec<FixtureState>,
    /// Ready tests by test group, in the order of running.
    ready: BTreeMap<Option<&'a str>, BTreeSet<TestIndex>>,
    group_running: HashMap<&'a str, usize>,
    fixture_queue: VecDeque<usize>,
    fixtures_building: usize,
    slots_free: usize,
    /// Tests that have given back their slots and are not done.
    taking_down: usize,
    not_done: usize,
    bad: usize,
    stopping: Option<StopReason>,
    grace_skipped: bool,
    breakpoints: VecDeque<oneshot::Sender<()>>,
    summary: RunSummary,
    now: Duration,
    pub(super) commands: Vec<Command>,
    pub(super) events: Vec<EventKind>,
}

enum TestState {
    /// For so many requirements and, once those are met, fixtures.
    Waiting {
        requirements: usize,
        fixtures: usize,
    },
    Ready,
    Running(Running),
    Done,
}

struct Running {
    attempt: u32,
    began: Duration,
    attempt_began: Duration,
    token: CancellationToken,
    last_failure: Option<Arc<Failure>>,
    /// It has given them back before its end where it only takes down any more.
    holds_slots: bool,
}

#[derive(Clone)]
enum RequirementState {
    Unknown,
    Met,
    Unmet(Unmet),
}

struct FixtureState {
    /// Tests that are not done and fixtures that are not gone.
    users: usize,
    /// Fixtures that it stands on and that are not ready.
    missing: usize,
    began: Duration,
    phase: FixturePhase,
}

enum FixturePhase {
    NotNeeded,
    /// Waits for those it stands on, or for its turn.
    Wanted,
    Building(CancellationToken),
    Ready(FixtureValue),
    Failed,
    Stopping,
    Stopped,
}

impl<'a> Dispatcher<'a> {
    pub(super) fn new(plan: &'a Plan, settings: &'a Settings) -> Self {
        let tests = plan
            .tests
            .iter()
            .map(|test| TestState::Waiting {
                requirements: test.requirements.len(),
                fixtures: test.fixtures.len(),
            })
            .collect();
        let mut fixtures: Vec<FixtureState> = plan
            .fixtures
            .iter()
            .map(|fixture| FixtureState {
                users: 0,
                missing: fixture.stands_on.len(),
                began: Duration::ZERO,
                phase: FixturePhase::NotNeeded,
            })
            .collect();
        for user in plan.tests.iter().flat_map(|t| &t.fixtures) {
            fixtures[*user].users += 1;
        }
        for stood_on in plan.fixtures.iter().flat_map(|f| &f.stands_on) {
            fixtures[*stood_on].users += 1;
        }
        Self {
            plan,
            settings,
            tests,
            requirements: vec![RequirementState::Unknown; plan.requirements.len()],
            fixtures,
            ready: BTreeMap::new(),
            group_running: HashMap::new(),
            fixture_queue: VecDeque::new(),
            fixtures_building: 0,
            slots_free: settings.slots.max(1),
            taking_down: 0,
            not_done: plan.tests.len(),
            bad: 0,
            stopping: None,
            grace_skipped: false,
            breakpoints: VecDeque::new(),
            summary: RunSummary::default(),
            now: Duration::ZERO,
            commands: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Sets the run going.
    pub(super) fn start(&mut self) {
        self.commands.extend(
            (0..self.requirements.len()).map(|requirement| Command::CheckRequirement { requirement }),
        );
        let plan = self.plan;
        for (position, test) in plan.tests.iter().enumerate() {
            let index = index_of(position);
            if let Some(reason) = &test.skip {
                self.finish_unstarted(index, Verdict::Skipped, None, Some(reason.clone()));
            } else if test.requirements.is_empty() {
                self.requirements_met(index);
            }
        }
        self.fill_slots();
    }

    /// Takes one thing that happened, `now` after the start of the run.
    pub(super) fn handle(&mut self, input: Input, now: Duration) {
        self.now = now;
        match input {
            Input::Event(event) => self.events.push(event),
            Input::Control(control) => self.handle_control(control),
            Input::RequirementChecked { requirement, result } => {
                self.requirement_checked(requirement, result)
            }
            Input::FixtureBuilt { fixture, result } => self.fixture_built(fixture, result),
            Input::FixtureStopped { fixture } => self.fixture_stopped(fixture),
            Input::BodyPassed { test } => self.body_passed(test),
            Input::AttemptEnded { test, end } => self.attempt_ended(test, end),
            Input::Breakpoint {
                test,
                step,
                look,
                go_on,
            } => {
                self.breakpoints.push_back(go_on);
                self.events.push(EventKind::Breakpoint { test, step, look });
            }
        }
        self.fill_slots();
    }

    /// Whether all tests have their verdict and all fixtures are gone.
    pub(super) fn is_over(&self) -> bool {
        use FixturePhase::{Building, Ready, Stopping};
        self.not_done == 0
            && !self
                .fixtures
                .iter()
                .any(|f| matches!(f.phase, Building(_) | Ready(_) | Stopping))
    }

    /// What came of it all.
    pub(super) fn summary(&self, took: Duration) -> RunSummary {
        RunSummary {
            took,
            interrupted: self.stopping == Some(StopReason::Interrupted),
            ..self.summary.clone()
        }
    }

    fn handle_control(&mut self, control: Control) {
        match control {
            Control::Interrupt if self.stopping == Some(StopReason::Interrupted) => {
                if !std::mem::replace(&mut self.grace_skipped, true) {
                    self.commands.push(Command::SkipGrace);
                    self.events.push(EventKind::Notice {
                        level: NoticeLevel::Warning,
                        text: "interrupted again: what still runs is not waited for".into(),
                    });
                }
            }
            Control::Interrupt => self.stop(StopReason::Interrupted),
            Control::Status => self.events.push(EventKind::StatusAsked),
            Control::GoOn => {
                if let Some(go_on) = self.breakpoints.pop_front() {
                    // A test that was cancelled meanwhile no longer listens.
                    let _ = go_on.send(());
                }
            }
            Control::Notice(level, text) => self.events.push(EventKind::Notice { level, text }),
            Control::Resumed(pause) => self.events.push(EventKind::Notice {
                level: NoticeLevel::Info,
                text: format!(
                    "stopped for {:.1} s; all deadlines moved on by as much",
                    pause.as_secs_f64()
                ),
            }),
        }
    }

    /// Cancels what runs, and what has not started.
    fn stop(&mut self, why: StopReason) {
        if self.stopping.is_some() {
            // Ctrl-C during fail-fast: all is being stopped already, but the run now counts as interrupted.
            self.stopping = Some(why);
            return;
        }
        self.stopping = Some(why);
        let running = self
            .tests
            .iter()
            .filter(|t| matches!(t, TestState::Running(_)))
            .count();
        self.events.push(EventKind::Stopping { why, running });
        self.ready.clear();
        let until_failure = matches!(self.settings.repeat, Repeat::UntilFailure(_));
        for position in 0..self.tests.len() {
            let index = index_of(position);
            match &self.tests[position] {
                TestState::Running(running) => {
                    running.token.cancel();
                    self.events.push(EventKind::TestStopping {
                        test: index,
                        why,
                        grace: self.settings.grace,
                    });
                }
                // Iterations that were only there in case nothing fails are nobody's loss.
                TestState::Waiting { .. } | TestState::Ready if until_failure => self.set_done(index),
                TestState::Waiting { .. } | TestState::Ready => {
                    self.finish_unstarted(index, Verdict::Cancelled, None, None);
                }
                TestState::Done => {}
            }
        }
    }

    fn requirement_checked(&mut self, requirement: usize, result: Result<String, Unmet>) {
        let name = self.plan.requirements[requirement].name();
        let unmet = result.err();
        if let Some(unmet) = &unmet {
            self.events.push(EventKind::RequirementUnmet {
                name: name.to_owned(),
                unmet: unmet.clone(),
            });
        }
        self.requirements[requirement] = unmet.map_or(RequirementState::Met, RequirementState::Unmet);
        let plan = self.plan;
        for index in &plan.requirement_users[requirement] {
            match &mut self.tests[position_of(*index)] {
                TestState::Waiting { requirements, .. } => *requirements -= 1,
                _ => continue,
            }
            self.after_requirement(*index);
        }
    }

    /// Decides on a test once all its requirements are known, so that its reason names all that is missing.
    fn after_requirement(&mut self, index: TestIndex) {
        let TestState::Waiting { requirements: 0, .. } = self.tests[position_of(index)] else {
            return;
        };
        let mut reasons = Vec::new();
        let mut required = false;
        for requirement in &self.planned(index).requirements {
            if let RequirementState::Unmet(unmet) = &self.requirements[*requirement] {
                let name = self.plan.requirements[*requirement].name();
                required |= self.settings.require.contains(name);
                let help = unmet
                    .help
                    .as_ref()
                    .map(|help| format!(" ({help})"))
                    .unwrap_or_default();
                reasons.push(format!("{name}: {}{help}", unmet.reason));
            }
        }
        if reasons.is_empty() {
            return self.requirements_met(index);
        }
        let reasons = reasons.join("; ");
        if required {
            let failure = Failure::new(format!("a required requirement is not met: {reasons}"));
            self.finish_unstarted(index, Verdict::Errored, Some(Arc::new(failure)), None);
        } else {
            self.finish_unstarted(index, Verdict::Skipped, None, Some(format!("needs {reasons}")));
        }
    }

    /// Asks for the fixtures of a test that will run, or makes it ready.
    fn requirements_met(&mut self, index: TestIndex) {
        let plan = self.plan;
        for fixture in &plan.tests[position_of(index)].fixtures {
            self.want_fixture(*fixture);
        }
        let missing = plan.tests[position_of(index)]
            .fixtures
            .iter()
            .filter(|fixture| !matches!(self.fixtures[**fixture].phase, FixturePhase::Ready(_)))
            .count();
        let failed = plan.tests[position_of(index)]
            .fixtures
            .iter()
            .copied()
            .find(|fixture| self.has_failed(*fixture));
        if let Some(fixture) = failed {
            return self.fail_for_fixture(index, fixture);
        }
        if missing == 0 {
            self.make_ready(index);
        } else {
            self.tests[position_of(index)] = TestState::Waiting {
                requirements: 0,
                fixtures: missing,
            };
        }
    }

    fn make_ready(&mut self, index: TestIndex) {
        self.tests[position_of(index)] = TestState::Ready;
        let group = self.planned(index).test_group.as_deref();
        self.ready.entry(group).or_default().insert(index);
    }

    fn has_failed(&self, fixture: usize) -> bool {
        matches!(self.fixtures[fixture].phase, FixturePhase::Failed)
    }

    fn want_fixture(&mut self, fixture: usize) {
        if !matches!(self.fixtures[fixture].phase, FixturePhase::NotNeeded) {
            return;
        }
        self.fixtures[fixture].phase = FixturePhase::Wanted;
        let plan = self.plan;
        for stood_on in &plan.fixtures[fixture].stands_on {
            self.want_fixture(*stood_on);
        }
        self.queue_fixture_if_possible(fixture);
    }

    fn queue_fixture_if_possible(&mut self, fixture: usize) {
        if self.fixtures[fixture].missing == 0 && matches!(self.fixtures[fixture].phase, FixturePhase::Wanted)
        {
            self.fixture_queue.push_back(fixture);
        }
    }

    fn build_fixtures(&mut self) {
        while self.fixtures_building < FIXTURES_BUILDING_MAX {
            let Some(fixture) = self.fixture_queue.pop_front() else {
                break;
            };
            if !matches!(self.fixtures[fixture].phase, FixturePhase::Wanted) {
                // All that wanted it were cancelled while it stood in the queue.
                continue;
            }
            let token = CancellationToken::new();
            let made = self.made(&self.plan.fixtures[fixture].stands_on);
            self.fixtures[fixture].phase = FixturePhase::Building(token.clone());
            self.fixtures[fixture].began = self.now;
            self.fixtures_building += 1;
            self.events.push(EventKind::FixtureStarted {
                fixture: self.plan.fixtures[fixture].key.clone(),
            });
            self.commands.push(Command::BuildFixture { fixture, token, made });
        }
    }

    fn made(&self, fixtures: &[usize]) -> Vec<(usize, FixtureValue)> {
        fixtures
            .iter()
            .filter_map(|fixture| match &self.fixtures[*fixture].phase {
                FixturePhase::Ready(value) => Some((*fixture, value.clone())),
                _ => None,
            })
            .collect()
    }

    fn fixture_built(&mut self, fixture: usize, result: Result<FixtureValue, Arc<Failure>>) {
        self.fixtures_building -= 1;
        let key = self.plan.fixtures[fixture].key.clone();
        let took = self.now.saturating_sub(self.fixtures[fixture].began);
        match result {
            Ok(value) => {
                self.events.push(EventKind::FixtureReady { fixture: key, took });
                self.fixtures[fixture].phase = FixturePhase::Ready(value);
                self.fixture_ready(fixture);
                self.stop_fixture_if_unused(fixture);
            }
            Err(failure) => {
                if self.fixtures[fixture].users > 0 {
                    self.events.push(EventKind::FixtureFailed {
                        fixture: key,
                        took,
                        failure,
                    });
                } else {
                    self.events.push(EventKind::FixtureStopped { fixture: key, took });
                }
                self.fixture_failed(fixture);
            }
        }
    }

    fn fixture_ready(&mut self, fixture: usize) {
        let plan = self.plan;
        for index in &plan.fixture_users[fixture] {
            let TestState::Waiting {
                requirements: 0,
                fixtures,
            } = &mut self.tests[position_of(*index)]
            else {
                continue;
            };
            *fixtures -= 1;
            if *fixtures == 0 {
                self.make_ready(*index);
            }
        }
        for upper in &plan.fixtures[fixture].carries {
            self.fixtures[*upper].missing -= 1;
            self.queue_fixture_if_possible(*upper);
        }
    }

    fn fixture_failed(&mut self, fixture: usize) {
        self.fixtures[fixture].phase = FixturePhase::Failed;
        let plan = self.plan;
        for index in &plan.fixture_users[fixture] {
            // Those whose requirements are still being checked find out when that is done.
            if let TestState::Waiting { requirements: 0, .. } = self.tests[position_of(*index)] {
                self.fail_for_fixture(*index, fixture);
            }
        }
        for upper in &plan.fixtures[fixture].carries {
            if matches!(
                self.fixtures[*upper].phase,
                FixturePhase::Wanted | FixturePhase::NotNeeded
            ) {
                self.fixture_failed(*upper);
            }
        }
        self.release_stood_on(fixture);
    }

    fn fail_for_fixture(&mut self, index: TestIndex, fixture: usize) {
        let key = &self.plan.fixtures[fixture].key;
        let failure = Arc::new(Failure::new(format!("its fixture {key} could not be built")));
        self.finish_unstarted(index, Verdict::Errored, Some(failure), None);
    }

    fn stop_fixture_if_unused(&mut self, fixture: usize) {
        if self.fixtures[fixture].users > 0 {
            return;
        }
        match &self.fixtures[fixture].phase {
            FixturePhase::Building(token) => token.cancel(),
            FixturePhase::Ready(value) => {
                let value = value.clone();
                self.fixtures[fixture].phase = FixturePhase::Stopping;
                self.fixtures[fixture].began = self.now;
                self.commands.push(Command::StopFixture { fixture, value });
            }
            FixturePhase::NotNeeded | FixturePhase::Wanted => {
                self.fixtures[fixture].phase = FixturePhase::Stopped;
                self.release_stood_on(fixture);
            }
            FixturePhase::Failed | FixturePhase::Stopping | FixturePhase::Stopped => {}
        }
    }

    fn fixture_stopped(&mut self, fixture: usize) {
        let key = self.plan.fixtures[fixture].key.clone();
        let took = self.now.saturating_sub(self.fixtures[fixture].began);
        self.events.push(EventKind::FixtureStopped { fixture: key, took });
        self.fixtures[fixture].phase = FixturePhase::Stopped;
        self.release_stood_on(fixture);
    }

    /// A fixture that is gone, or never came, no longer needs those it stands on.
    fn release_stood_on(&mut self, fixture: usize) {
        let plan = self.plan;
        for stood_on in &plan.fixtures[fixture].stands_on {
            self.fixtures[*stood_on].users -= 1;
            self.stop_fixture_if_unused(*stood_on);
        }
    }

    /// Starts as many ready tests, and fixtures, as there is room for.
    fn fill_slots(&mut self) {
        self.build_fixtures();
        while self.stopping.is_none()
            && let Some((group, index)) = self.next_ready()
        {
            let slots = self.slots_of(index);
            let disturbed = self.planned(index).weight == Weight::Alone && self.taking_down > 0;
            if slots > self.slots_free || disturbed {
                break;
            }
            self.slots_free -= slots;
            if let Some(group) = group {
                *self.group_running.entry(group).or_default() += 1;
            }
            if let Some(ready) = self.ready.get_mut(&group) {
                ready.remove(&index);
            }
            self.start_attempt(index, 1, None);
        }
    }

    /// The first test in order whose test group is not full.
    fn next_ready(&self) -> Option<(Option<&'a str>, TestIndex)> {
        self.ready
            .iter()
            .filter(|(group, _)| {
                group.is_none_or(|group| {
                    let limit = self
                        .settings
                        .test_groups
                        .get(group)
                        .copied()
                        .unwrap_or(usize::MAX);
                    self.group_running.get(group).copied().unwrap_or_default() < limit.max(1)
                })
            })
            .filter_map(|(group, tests)| Some((*group, *tests.first()?)))
            .min_by_key(|(_, index)| *index)
    }

    fn slots_of(&self, index: TestIndex) -> usize {
        let all = self.settings.slots.max(1);
        match self.planned(index).weight {
            Weight::Slots(slots) => slots.clamp(1, all),
            Weight::Alone => all,
        }
    }

    fn start_attempt(&mut self, index: TestIndex, attempt: u32, earlier: Option<Running>) {
        let token = CancellationToken::new();
        let (began, last_failure) = earlier.map_or((self.now, None), |e| (e.began, e.last_failure));
        self.tests[position_of(index)] = TestState::Running(Running {
            attempt,
            began,
            attempt_began: self.now,
            token: token.clone(),
            last_failure,
            holds_slots: true,
        });
        let fixtures = self.made(&self.planned(index).fixtures);
        self.events.push(EventKind::TestStarted { test: index, attempt });
        self.commands.push(Command::StartAttempt {
            test: index,
            attempt,
            token,
            fixtures,
        });
    }

    fn attempt_ended(&mut self, index: TestIndex, end: AttemptEnd) {
        let position = position_of(index);
        let TestState::Running(mut running) = std::mem::replace(&mut self.tests[position], TestState::Done)
        else {
            return;
        };
        let retries = self.planned(index).retries.unwrap_or(self.settings.retries);
        let may_retry = running.attempt <= retries && running.holds_slots && self.stopping.is_none();
        if end.verdict.is_bad() && may_retry {
            let failure = end.failure.unwrap_or_default();
            self.events.push(EventKind::AttemptFailed {
                test: index,
                attempt: running.attempt,
                verdict: end.verdict,
                failure: failure.clone(),
                took: self.now.saturating_sub(running.attempt_began),
            });
            running.last_failure = Some(failure);
            let attempt = running.attempt + 1;
            return self.start_attempt(index, attempt, Some(running));
        }
        if running.holds_slots {
            self.give_back_slots(index);
        } else {
            self.taking_down -= 1;
        }
        let flaky = end.verdict == Verdict::Passed && running.attempt > 1;
        self.finish(TestOutcome {
            test: index,
            verdict: if flaky { Verdict::Flaky } else { end.verdict },
            failure: if flaky { running.last_failure } else { end.failure },
            reason: end.reason,
            attempts: running.attempt,
            took: self.now.saturating_sub(running.began),
            log_dir: end.log_dir,
        });
    }

    /// Lets others run while a test that has passed takes down what it started. Not more of them than there are slots, or
    /// quick tests would pile up slow ends; and not one that runs alone.
    fn body_passed(&mut self, index: TestIndex) {
        let alone = self.planned(index).weight == Weight::Alone;
        let room = self.taking_down < self.settings.slots.max(1);
        if let TestState::Running(running) = &mut self.tests[position_of(index)]
            && running.holds_slots
            && room
            && !alone
        {
            running.holds_slots = false;
            self.taking_down += 1;
            self.give_back_slots(index);
        }
    }

    fn give_back_slots(&mut self, index: TestIndex) {
        self.slots_free += self.slots_of(index);
        if let Some(group) = self.planned(index).test_group.as_deref()
            && let Some(count) = self.group_running.get_mut(group)
        {
            *count -= 1;
        }
    }

    fn finish_unstarted(
        &mut self,
        index: TestIndex,
        verdict: Verdict,
        failure: Option<Arc<Failure>>,
        reason: Option<String>,
    ) {
        self.finish(TestOutcome {
            test: index,
            verdict,
            failure,
            reason,
            attempts: 0,
            took: Duration::ZERO,
            log_dir: None,
        });
    }

    fn finish(&mut self, outcome: TestOutcome) {
        let (index, verdict) = (outcome.test, outcome.verdict);
        *self.summary.counts.entry(verdict).or_default() += 1;
        self.events.push(EventKind::TestFinished(outcome));
        self.set_done(index);
        self.bad += usize::from(verdict.is_bad());
        let enough = match self.settings.repeat {
            Repeat::UntilFailure(_) => Some(1),
            Repeat::Times(_) => self.settings.fail_fast,
        };
        if self.stopping.is_none() && self.not_done > 0 && enough.is_some_and(|enough| self.bad >= enough) {
            self.stop(StopReason::FailFast);
        }
    }

    fn set_done(&mut self, index: TestIndex) {
        self.tests[position_of(index)] = TestState::Done;
        self.not_done -= 1;
        let plan = self.plan;
        for fixture in &plan.tests[position_of(index)].fixtures {
            self.fixtures[*fixture].users -= 1;
            self.stop_fixture_if_unused(*fixture);
        }
    }

    fn planned(&self, index: TestIndex) -> &'a PlannedTest {
        &self.plan.tests[position_of(index)]
    }
}

pub(super) fn index_of(position: usize) -> TestIndex {
    TestIndex(u32::try_from(position).unwrap_or(u32::MAX))
}

pub(super) fn position_of(index: TestIndex) -> usize {
    index.0 as usize
}

#[cfg(test)]
mod tests;
