//! A case as a test: its world is made, its procedure executed, and everything taken down, whatever happens.

use std::slice;
use std::sync::Arc;
use std::time::Duration;

use seatrial_engine::{BoxFuture, Deadline, Failure, PartUsage, Test, TestContext, TestResult, TestSpec};
use seatrial_environment::{GroupSpec, IsolationGroup, Part};

use super::Stage;
use super::names::{self, Given, SuiteName};
use super::world::{Frame, World};
use crate::{
    plan::{CasePlan, StepPlan},
    step::{Fault, causes, ended, tails},
};

/// A test that is a case, or a variant of one.
pub(super) struct CaseTest {
    pub(super) spec: TestSpec,
    pub(super) plan: Arc<CasePlan>,
    pub(super) suite: SuiteName,
    pub(super) fixtures: Vec<Given>,
    pub(super) builds: Vec<Given>,
}

impl Test for CaseTest {
    fn spec(&self) -> &TestSpec {
        &self.spec
    }

    fn run<'a>(&'a self, context: &'a TestContext) -> BoxFuture<'a, TestResult> {
        Box::pin(self.attempt(context))
    }
}

impl CaseTest {
    async fn attempt(&self, context: &TestContext) -> TestResult {
        let stage = Stage::Test(context.clone());
        let group = open(&stage, self.plan.parts.iter().any(|part| part.isolate_network)).await?;
        let mut look = Vec::new();
        let result = self.in_group(&stage, &group, &mut look).await.map_err(Into::into);
        let parts = group.parts();
        if context.should_keep(&result) {
            if let Err(error) = group.keep().await {
                stage.warn(format!(
                    "not all of {} can be kept: {}",
                    group.id(),
                    causes(&error)
                ));
            }
            context.kept(look);
        } else {
            context.judged(&result);
            take_down(&stage, &group).await;
        }
        for part in parts {
            context.part_ended(usage(&part));
        }
        result
    }

    /// All but opening the group and taking it down; `look` becomes how to look at what is left in it.
    async fn in_group(
        &self,
        stage: &Stage,
        group: &IsolationGroup,
        look: &mut Vec<String>,
    ) -> Result<(), Fault> {
        let plan = &self.plan;
        let scope = names::scope(stage, &self.suite, Some(plan), &self.fixtures, &self.builds);
        let world = World::new(
            stage.clone(),
            group.clone(),
            &plan.parts,
            plan.target,
            &plan.dir,
            scope,
            &plan.values,
        )?;
        let body = async {
            world.start_parts().await?;
            world.steps(&plan.procedure, &Frame::default(), None).await
        };
        let mut result = tokio::select! {
            biased;
            // The runner says why: it cancels at the deadline and when the run is stopped.
            () = stage.token().cancelled() => Err(Failure::new("it was told to end").into()),
            result = body => result,
        };
        if let Err(fault) = result {
            result = Err(self.explained(fault, &world, stage));
            let gathered = self.afterwards(&world, "on_failure", &plan.on_failure).await;
            result = merged(result, gathered);
        }
        let finished = self.afterwards(&world, "finally", &plan.finally).await;
        *look = world.look();
        merged(result, finished)
    }

    /// Executes steps that are no part of the procedure. Once the test was told to end, they have half of the grace: the
    /// other half is for taking down.
    async fn afterwards(&self, world: &World<'_>, name: &str, steps: &[StepPlan]) -> Result<(), Fault> {
        if steps.is_empty() {
            return Ok(());
        }
        let report = world
            .stage
            .step(name.to_owned(), self.spec.location.clone(), None);
        let frame = Frame::default();
        // All of them, even when one goes wrong: each may clean up or gather something of its own.
        let work = async {
            let mut result = Ok(());
            for step in steps {
                let done = world.steps(slice::from_ref(step), &frame, Some(&report)).await;
                result = merged(result, done);
            }
            result
        };
        let token = world.stage.token();
        let done = if token.is_cancelled() {
            let within = world.stage.settings().grace / 2;
            Deadline::after(within).bound(work).await.unwrap_or_else(|_| {
                Err(Failure::new(format!(
                    "its steps were not done within {within:?}, half of the grace"
                ))
                .into())
            })
        } else {
            tokio::select! {
                biased;
                () = token.cancelled() => Err(Failure::new("it was told to end").into()),
                done = work => done,
            }
        };
        match done {
            Ok(()) => {
                report.done();
                Ok(())
            }
            Err(fault) => Err(fault.map(|failure| report.failed(failure))),
        }
    }

    /// Adds what the failed step itself may not have known: the target's log, parts and fixtures that are no more.
    fn explained(&self, fault: Fault, world: &World<'_>, stage: &Stage) -> Fault {
        fault.map(|mut failure| {
            if failure.logs.is_empty() {
                failure.logs = world.started_parts().flat_map(tails).collect();
            }
            for part in world.started_parts() {
                let told = failure.message.starts_with(&format!("`{}` ", part.name()));
                if let Some(status) = part.try_status().filter(|_| !told) {
                    failure.notes.push(format!("`{}` {}", part.name(), ended(status)));
                }
            }
            for (given, fixture) in names::running(stage, &self.fixtures) {
                for part in fixture.group.parts() {
                    // One that ended well had something to prepare.
                    if let Some(status) = part.try_status().filter(|status| !status.success()) {
                        let (fixture, part, how) = (&given.name, part.name(), ended(status));
                        failure.notes.push(format!(
                            "the fixture `{fixture}` is broken: its part `{part}` {how}"
                        ));
                    }
                }
            }
            failure
        })
    }
}

/// Opens the isolation group of a test or a fixture.
///
/// # Errors
///
/// *Errored* when there can be none.
pub(super) async fn open(stage: &Stage, isolate_network: bool) -> Result<IsolationGroup, Fault> {
    let failed = |what: &str| Fault::errored(format!("failed to {what}"));
    let log_dir = stage
        .log_dir()
        .map_err(|error| failed(&format!("make its log directory: {error}")))?;
    let spec = GroupSpec {
        isolate_network,
        ..GroupSpec::new(stage.group(), log_dir)
    };
    IsolationGroup::open(stage.journal(), spec)
        .await
        .map_err(|error| failed(&causes(&error)))
}

/// Takes a group down, within half of the grace: what is left then is in the journal, and is reaped.
pub(super) async fn take_down(stage: &Stage, group: &IsolationGroup) {
    let within = (stage.settings().grace / 2).max(Duration::from_secs(1));
    if let Err(error) = group.tear_down(within).await {
        stage.warn(format!("failed to {}", causes(&error)));
    }
}

fn usage(part: &Part) -> PartUsage {
    let usage = part.usage();
    PartUsage {
        part: part.name().to_owned(),
        exit: part
            .try_status()
            .map_or_else(|| "still running".to_owned(), |status| status.to_string()),
        rss_bytes_max: Some(usage.peak_rss_bytes).filter(|bytes| *bytes > 0),
        cpu_time: Some(usage.cpu_time),
    }
}

/// The first thing that went wrong, with a note on the second.
fn merged(first: Result<(), Fault>, second: Result<(), Fault>) -> Result<(), Fault> {
    match (first, second) {
        (Err(first), Err(second)) => {
            let second = second.failure();
            let note = format!("besides, {}: {}", second.step.join(" › "), second.message);
            Err(first.map(|failure| failure.note(note)))
        }
        (first, second) => first.and(second),
    }
}
