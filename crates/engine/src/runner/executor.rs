//! Does what the dispatcher says: runs attempts, builds fixtures, checks requirements, each in a task of its own
//! that ends by telling the dispatcher.
//!
//! An attempt is two tasks: the test's body, and a supervisor that owns its deadline, its grace and its end. They
//! are apart so that a body which blocks its thread cannot stop its own deadline.

use std::{collections::HashMap, panic::AssertUnwindSafe, path::PathBuf, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::{
    task::{JoinError, JoinHandle},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    Input,
    dispatcher::Command,
    input::AttemptEnd,
    panics::{self, PanicPlace},
    plan::Plan,
};
use crate::{
    context::{FixtureContext, NewContext, RunShared, TestContext},
    deadline::Deadline,
    event::{EventKind, StopReason, TestIndex},
    fixture::FixtureValue,
    journal::Reapers,
    verdict::{Failure, Mismatch, TestError, TestResult, Verdict},
};

/// How long reaping what one test left may take. Killing is quick; a file system that hangs is not.
const REAP_MAX: Duration = Duration::from_secs(10);

pub(super) struct Executor {
    pub(super) plan: Arc<Plan>,
    pub(super) shared: Arc<RunShared>,
    pub(super) reapers: Arc<Reapers>,
    /// Cancelled when the grace of all that runs is over at once.
    pub(super) skip_grace: CancellationToken,
}

impl Executor {
    pub(super) fn execute(&self, command: Command) {
        match command {
            Command::CheckRequirement { requirement } => self.check_requirement(requirement),
            Command::BuildFixture { fixture, token, made } => self.build_fixture(fixture, token, made),
            Command::StopFixture { fixture, value } => self.stop_fixture(fixture, value),
            Command::StartAttempt {
                test,
                attempt,
                token,
                fixtures,
            } => {
                self.start_attempt(test, attempt, token, fixtures);
            }
            Command::SkipGrace => self.skip_grace.cancel(),
        }
    }

    fn check_requirement(&self, requirement: usize) {
        let shared = self.shared.clone();
        let wanted = self.plan.requirements[requirement].clone();
        tokio::task::spawn_blocking(move || {
            let checked = std::panic::catch_unwind(AssertUnwindSafe(|| wanted.check()));
            let result = checked.unwrap_or_else(|panic| {
                let why = panics::message(panic.as_ref());
                Err(crate::Unmet::because(format!("the check itself panicked: {why}")))
            });
            shared.send(Input::RequirementChecked { requirement, result });
        });
    }

    fn named(&self, made: Vec<(usize, FixtureValue)>) -> HashMap<Arc<str>, FixtureValue> {
        made.into_iter()
            .map(|(fixture, value)| (self.plan.fixtures[fixture].key.clone(), value))
            .collect()
    }

    fn fixture_context(
        &self,
        fixture: usize,
        token: CancellationToken,
        span: Duration,
        fixtures: HashMap<Arc<str>, FixtureValue>,
    ) -> FixtureContext {
        FixtureContext {
            key: self.plan.fixtures[fixture].key.clone(),
            token,
            deadline: Deadline::after(span),
            fixtures,
            group: format!("{}-f{fixture}", self.shared.settings.run_id),
            shared: self.shared.clone(),
        }
    }

    fn build_fixture(&self, fixture: usize, token: CancellationToken, made: Vec<(usize, FixtureValue)>) {
        let planned = self.plan.fixtures[fixture].fixture.clone();
        let span = self.shared.settings.scaled(planned.timeout());
        let context = self.fixture_context(fixture, token, span, self.named(made));
        let (reapers, skip_grace) = (self.reapers.clone(), self.skip_grace.clone());
        tokio::spawn(async move {
            let building = context.clone();
            let mut body = tokio::spawn(async move {
                let work = AssertUnwindSafe(planned.build(&building)).catch_unwind();
                work.await.unwrap_or_else(|panic| {
                    Err(TestError::errored(format!(
                        "it panicked: {}",
                        panics::message(panic.as_ref())
                    )))
                })
            });
            let result = tokio::select! {
                result = &mut body => joined(result),
                () = context.deadline.passed() => {
                    context.token.cancel();
                    if wait_in_grace(&mut body, &context.shared, &skip_grace).await.is_none() {
                        body.abort();
                    }
                    Err(TestError::errored(format!("it was not ready after {span:?}, its deadline")))
                }
                () = context.token.cancelled() => match wait_in_grace(&mut body, &context.shared, &skip_grace).await {
                    Some(result) => joined(result),
                    None => {
                        body.abort();
                        Err(TestError::errored("it was cancelled"))
                    }
                },
            };
            let result = match result {
                Ok(value) => Ok(value),
                Err(TestError::Failed(failure) | TestError::Errored(failure)) => Err(failure),
                Err(TestError::Skipped(reason)) => Err(Arc::new(Failure::new(reason))),
            };
            if result.is_err() {
                reap(&context.shared, &reapers, context.group.clone()).await;
                mask_logs(&context.shared, context.log_dir_path()).await;
            }
            context.shared.send(Input::FixtureBuilt { fixture, result });
        });
    }

    fn stop_fixture(&self, fixture: usize, value: FixtureValue) {
        let planned = self.plan.fixtures[fixture].fixture.clone();
        let grace = self.shared.settings.grace;
        let context = self.fixture_context(fixture, CancellationToken::new(), grace, HashMap::new());
        let (reapers, skip_grace) = (self.reapers.clone(), self.skip_grace.clone());
        tokio::spawn(async move {
            let stopping = context.clone();
            let mut body = tokio::spawn(async move { planned.tear_down(value, &stopping).await });
            if wait_in_grace(&mut body, &context.shared, &skip_grace)
                .await
                .is_none()
            {
                body.abort();
            }
            reap(&context.shared, &reapers, context.group.clone()).await;
            mask_logs(&context.shared, context.log_dir_path()).await;
            context.shared.send(Input::FixtureStopped { fixture });
        });
    }

    fn start_attempt(
        &self,
        index: TestIndex,
        attempt: u32,
        token: CancellationToken,
        fixtures: Vec<(usize, FixtureValue)>,
    ) {
        let planned = self.plan.test(index);
        let context = TestContext::new(NewContext {
            shared: self.shared.clone(),
            index,
            info: planned.info.clone(),
            attempt,
            token,
            deadline: Deadline::after(planned.timeout),
            fixtures: self.named(fixtures),
        });
        let supervisor = Supervisor {
            index,
            timeout: planned.timeout,
            context: context.clone(),
            shared: self.shared.clone(),
            reapers: self.reapers.clone(),
            skip_grace: self.skip_grace.clone(),
        };
        let test = planned.test.clone();
        let place = PanicPlace::default();
        let body = tokio::spawn(panics::noting(
            place.clone(),
            async move { test.run(&context).await },
        ));
        tokio::spawn(supervisor.supervise(body, place));
    }
}

impl RunShared {
    pub(super) fn send(&self, input: Input) {
        // The runner has gone only when the run is over; then nobody listens.
        let _ = self.inputs.send(input);
    }
}

struct Supervisor {
    index: TestIndex,
    timeout: Duration,
    context: TestContext,
    shared: Arc<RunShared>,
    reapers: Arc<Reapers>,
    skip_grace: CancellationToken,
}

impl Supervisor {
    async fn supervise(self, mut body: JoinHandle<TestResult>, place: PanicPlace) {
        let began = Instant::now();
        let deadline = self.context.deadline();
        let mut slow_at = Deadline::after(self.shared.settings.slow_after);
        let judged = self.context.judgement();
        let mut end = loop {
            tokio::select! {
                biased;
                // What follows a judgement is only taking down: that has its grace, and no longer a deadline.
                () = judged.cancelled() => break self.end_judged(body, &place).await,
                // Before the body: one that returns because it was told to has not shown anything.
                () = self.context.token().cancelled() => break self.end_cancelled(body).await,
                result = &mut body => break self.end(result, &place),
                () = deadline.passed() => break self.end_timed_out(body).await,
                () = slow_at.passed() => {
                    self.shared.event(EventKind::TestSlow { test: self.index, elapsed: began.elapsed() });
                    slow_at = Deadline::after(self.shared.settings.slow_after);
                }
            }
        };
        if let Some(mut how) = self.context.take_kept() {
            how.push(format!(
                "seatrial reap --kept {}   # removes it",
                self.context.group()
            ));
            self.shared.event(EventKind::Kept {
                test: self.index,
                how,
            });
        }
        end.log_dir = self.context.log_dir_if_made();
        if let Some(dir) = &end.log_dir {
            mask_logs(&self.shared, dir.clone()).await;
        }
        self.shared.send(Input::AttemptEnded {
            test: self.index,
            end,
        });
    }

    fn end(&self, result: Result<TestResult, JoinError>, place: &PanicPlace) -> AttemptEnd {
        let (verdict, failure, reason) = match result {
            Ok(Ok(())) => (Verdict::Passed, None, None),
            Ok(Err(TestError::Failed(failure))) => (Verdict::Failed, Some(failure), None),
            Ok(Err(TestError::Errored(failure))) => (Verdict::Errored, Some(failure), None),
            Ok(Err(TestError::Skipped(reason))) => (Verdict::Skipped, None, Some(reason)),
            Err(error) => (Verdict::Failed, Some(Arc::new(self.panicked(error, place))), None),
        };
        AttemptEnd {
            verdict,
            failure,
            reason,
            log_dir: None,
        }
    }

    fn panicked(&self, error: JoinError, place: &PanicPlace) -> Failure {
        let message = match error.try_into_panic() {
            Ok(panic) => format!("it panicked: {}", panics::message(panic.as_ref())),
            Err(error) => error.to_string(),
        };
        let step = self
            .context
            .open_steps()
            .into_iter()
            .next()
            .map(|step| step.path)
            .unwrap_or_default();
        Failure {
            location: place.take(),
            step,
            ..Failure::new(message)
        }
    }

    async fn end_judged(&self, mut body: JoinHandle<TestResult>, place: &PanicPlace) -> AttemptEnd {
        match wait_in_grace(&mut body, &self.shared, &self.skip_grace).await {
            Some(result) => self.end(result, place),
            None => {
                let failure = Failure::new("taking down what it had started did not end")
                    .note(self.abandon(body).await);
                AttemptEnd {
                    verdict: Verdict::Errored,
                    failure: Some(Arc::new(failure)),
                    reason: None,
                    log_dir: None,
                }
            }
        }
    }

    async fn end_cancelled(&self, mut body: JoinHandle<TestResult>) -> AttemptEnd {
        let ended = wait_in_grace(&mut body, &self.shared, &self.skip_grace).await;
        let mut failure = Failure::new("it was cancelled");
        if ended.is_none() {
            failure = failure.note(self.abandon(body).await);
        }
        AttemptEnd {
            verdict: Verdict::Cancelled,
            failure: Some(Arc::new(failure)),
            reason: None,
            log_dir: None,
        }
    }

    async fn end_timed_out(&self, mut body: JoinHandle<TestResult>) -> AttemptEnd {
        let mut failure = self.timeout_failure();
        let grace = self.shared.settings.grace;
        self.shared.event(EventKind::TestStopping {
            test: self.index,
            why: StopReason::Deadline,
            grace,
        });
        self.context.token().cancel();
        match wait_in_grace(&mut body, &self.shared, &self.skip_grace).await {
            // What the body says of its end may know more than the runner: the target's last lines of log, what else broke.
            Some(Ok(Err(TestError::Failed(told) | TestError::Errored(told)))) => {
                failure.logs.clone_from(&told.logs);
                failure.notes.extend_from_slice(&told.notes);
            }
            Some(_) => {}
            None => failure = failure.note(self.abandon(body).await),
        }
        AttemptEnd {
            verdict: Verdict::TimedOut,
            failure: Some(Arc::new(failure)),
            reason: None,
            log_dir: None,
        }
    }

    fn timeout_failure(&self) -> Failure {
        let mut steps = self.context.open_steps().into_iter();
        let Some(step) = steps.next() else {
            return Failure::new(format!("it took longer than {:?}", self.timeout));
        };
        let mut failure = Failure {
            step: step.path.clone(),
            location: step.location,
            waited: Some(step.waited),
            ..Failure::new(format!("its deadline of {:?} struck in this step", self.timeout))
        };
        if let Some(seen) = step.seen {
            failure.mismatches.push(Mismatch {
                field: "last seen".into(),
                expected: String::new(),
                seen,
            });
        }
        for other in steps {
            let seen = other
                .seen
                .map(|seen| format!("; it last saw: {seen}"))
                .unwrap_or_default();
            failure.notes.push(format!(
                "also waiting, for {:.1} s: {}{seen}",
                other.waited.as_secs_f64(),
                other.path.join(" > ")
            ));
        }
        failure
    }

    /// Drops what is left of the body, and reaps what it had started.
    async fn abandon(&self, body: JoinHandle<TestResult>) -> String {
        body.abort();
        reap(&self.shared, &self.reapers, self.context.group().to_owned()).await;
        "it did not end within its grace and was abandoned; what it had started was reaped".to_owned()
    }
}

fn joined<T>(result: Result<Result<T, TestError>, JoinError>) -> Result<T, TestError> {
    result.unwrap_or_else(|error| Err(TestError::errored(error.to_string())))
}

/// Waits for a body that has been told to end; `None` when the grace was not enough, or was skipped.
async fn wait_in_grace<T>(
    body: &mut JoinHandle<T>,
    shared: &RunShared,
    skip_grace: &CancellationToken,
) -> Option<Result<T, JoinError>> {
    let grace = Deadline::after(shared.settings.grace);
    tokio::select! {
        biased;
        result = body => Some(result),
        () = grace.passed() => None,
        () = skip_grace.cancelled() => None,
    }
}

async fn reap(shared: &Arc<RunShared>, reapers: &Arc<Reapers>, group: String) {
    let (journal, reapers) = (shared.journal.clone(), reapers.clone());
    let reaped = tokio::task::spawn_blocking(move || journal.reap_group(&group, &reapers, REAP_MAX)).await;
    let problems = match reaped {
        Ok(report) => report.failures(),
        Err(error) => vec![error.to_string()],
    };
    for text in problems {
        shared.event(EventKind::InternalError { text });
    }
}

/// Takes the secrets out of what parts have written, once they have ended.
async fn mask_logs(shared: &Arc<RunShared>, dir: PathBuf) {
    if shared.masker.is_empty() || !dir.is_dir() {
        return;
    }
    let masker = shared.masker.clone();
    let shown = dir.display().to_string();
    let masked = tokio::task::spawn_blocking(move || masker.mask_files(&dir)).await;
    let masked = masked.map_err(std::io::Error::from).flatten();
    if let Err(error) = masked {
        shared.event(EventKind::InternalError {
            text: format!("secrets may be left in {shown}: {error}"),
        });
    }
}
