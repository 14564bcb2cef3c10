//! Executing a procedure: one step after the other, blocks side by side, conditions, retries, saved outputs.

use std::slice;
use std::time::Duration;

use futures_util::future::try_join_all;
use seatrial_engine::{BoxFuture, Deadline, Failure};
use seatrial_environment::Part;
use serde_json::{Map, Value as Json};

use super::StepReport;
use super::world::{Frame, World};
use crate::{
    plan::{DefinedStep, PartReference, StepPlan},
    procedure::cut_label,
    step::{self, Fault, Output, StepContext, location},
    template::Scope,
    vocabulary::{Restart, StepKind},
};

/// How a step went that did not go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Executed,
    NotNeeded,
}

impl World<'_> {
    /// Executes steps in order, until one does not do what it should.
    ///
    /// # Errors
    ///
    /// What that step said.
    pub(crate) fn steps<'a>(
        &'a self,
        steps: &'a [StepPlan],
        frame: &'a Frame,
        parent: Option<&'a StepReport>,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            for step in steps {
                self.step(step, frame, parent).await?;
            }
            Ok(())
        })
    }

    async fn step(&self, step: &StepPlan, frame: &Frame, parent: Option<&StepReport>) -> Result<(), Fault> {
        let index = self.part_index(&step.part, frame).ok();
        let scope = self.scope(index, frame);
        // A name may have placeholders that only an earlier step fills: then it is shown as it was written.
        let name = scope.render(&step.name, &step.origin);
        let name = cut_label(name.as_deref().unwrap_or(&step.name));
        let report = self
            .stage
            .step(name.clone(), Some(location(&step.origin)), parent);
        match self.guarded(step, &name, scope, frame, &report).await {
            Ok(Done::Executed) => report.done(),
            Ok(Done::NotNeeded) => report.not_needed(),
            Err(fault) => return Err(fault.map(|failure| report.failed(failure))),
        }
        Ok(())
    }

    async fn guarded(
        &self,
        step: &StepPlan,
        name: &str,
        scope: Scope,
        frame: &Frame,
        report: &StepReport,
    ) -> Result<Done, Fault> {
        if let Some(when) = &step.when
            && !when.holds(&scope)?
        {
            return Ok(Done::NotNeeded);
        }
        if self
            .stage
            .settings()
            .breakpoint
            .as_deref()
            .is_some_and(|wanted| name.contains(wanted))
        {
            self.stage.breakpoint(name, self.look()).await;
        }
        let output = match step.retry {
            None => self.once(step, &scope, frame, report).await?,
            Some(retry) => {
                let mut attempt = 1;
                loop {
                    match self.once(step, &scope, frame, report).await {
                        Ok(output) => break output,
                        Err(Fault::Failed(failure)) if attempt < retry.times => {
                            report.saw(&format!("try {attempt} of {}: {}", retry.times, failure.message));
                        }
                        Err(fault) => {
                            let note = format!("tried {attempt} times, {:?} apart", retry.every);
                            return Err(fault.map(|failure| failure.note(note)));
                        }
                    }
                    attempt += 1;
                    Deadline::after(retry.every).passed().await;
                }
            }
        };
        for (name, selector) in &step.save {
            let value = output.select(selector).map_err(|why| {
                Failure::new(format!("there is nothing to save as `{name}`")).mismatch(
                    "",
                    "something to save",
                    why,
                )
            })?;
            self.define(&["saved", name], value);
        }
        Ok(Done::Executed)
    }

    async fn once(
        &self,
        step: &StepPlan,
        scope: &Scope,
        frame: &Frame,
        report: &StepReport,
    ) -> Result<Output, Fault> {
        let timeout = step
            .timeout
            .as_ref()
            .map(|timeout| timeout.render(scope))
            .transpose()?;
        let timeout = timeout.map(|timeout| self.stage.settings().scaled(timeout));
        match &step.kind {
            StepKind::Parallel(steps) => bound(timeout, self.side_by_side(steps, frame, report)).await,
            StepKind::Defined(defined) => {
                let frame = Frame {
                    parameters: Some(arguments(defined, scope)?),
                    // What the use says of the part holds for the steps within.
                    part: match step.part {
                        PartReference::Default => frame.part,
                        PartReference::Named(_) => Some(self.part_index(&step.part, frame)?),
                    },
                };
                bound(timeout, self.steps(&defined.steps, &frame, Some(report))).await
            }
            StepKind::Unserved(unserved) => Err(Fault::errored(format!(
                "nothing here can do `{}`; the suite can define it",
                unserved.name
            ))),
            StepKind::Restart(restart) => {
                let index = self.part_index(&step.part, frame)?;
                bound(timeout, self.restart(restart, index, scope, timeout, report)).await
            }
            kind => {
                // A sleep is about no part, and an `http_check` need not be.
                let index = self.part_index(&step.part, frame).ok();
                let ports = self.ports();
                step::execute(kind, &self.context(index, &ports, scope, timeout, report)).await
            }
        }
    }

    /// Executes steps at the same time. The first that goes wrong ends the block: what the others wait for would only take
    /// longer to fail.
    fn side_by_side<'a>(
        &'a self,
        steps: &'a [StepPlan],
        frame: &'a Frame,
        report: &'a StepReport,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        let mut all = Vec::new();
        for step in steps {
            all.push(self.steps(slice::from_ref(step), frame, Some(report)));
        }
        Box::pin(async { try_join_all(all).await.map(drop) })
    }

    /// Restarts a part and waits until it is ready again.
    async fn restart(
        &self,
        step: &Restart,
        index: usize,
        scope: &Scope,
        timeout: Option<Duration>,
        report: &StepReport,
    ) -> Result<(), Fault> {
        self.will_restart(index);
        let ports = self.ports();
        step::restart(step, &self.context(Some(index), &ports, scope, timeout, report)).await?;
        let frame = Frame {
            part: Some(index),
            parameters: None,
        };
        self.steps(&self.plans[index].ready, &frame, Some(report)).await
    }

    /// What a step needs to know of the world.
    fn context<'a>(
        &'a self,
        index: Option<usize>,
        ports: &'a [(u16, Option<&'a Part>)],
        scope: &'a Scope,
        timeout: Option<Duration>,
        report: &'a StepReport,
    ) -> StepContext<'a> {
        StepContext {
            group: &self.group,
            part: index.and_then(|index| self.part(index)),
            plan: index.map(|index| &self.plans[index]),
            log_start: index.map_or([0; 2], |index| self.log_start(index)),
            ports,
            scope,
            // A step without one says itself how long it takes.
            timeout: timeout.unwrap_or(Duration::MAX),
            report,
            dir: self.dir,
        }
    }
}

/// The parameters of a step that the suite defines.
fn arguments(step: &DefinedStep, scope: &Scope) -> Result<Json, Fault> {
    let mut arguments = Map::new();
    for (name, value) in &step.arguments {
        arguments.insert(name.clone(), value.render(scope)?);
    }
    Ok(Json::Object(arguments))
}

/// Gives steps within a step their time together.
async fn bound(
    timeout: Option<Duration>,
    work: impl Future<Output = Result<(), Fault>>,
) -> Result<Output, Fault> {
    let done = match timeout {
        None => work.await,
        Some(timeout) => Deadline::after(timeout).bound(work).await.unwrap_or_else(|_| {
            let failure = Failure::new(format!("its steps were not done within {timeout:?}"));
            Err(Failure {
                waited: Some(timeout),
                ..failure
            }
            .into())
        }),
    };
    done.map(|()| Output::none())
}
