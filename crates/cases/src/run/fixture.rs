//! A suite's fixture: parts that become ready once and then serve several tests.

use std::sync::Arc;
use std::time::Duration;

use seatrial_engine::{BoxFuture, Failure, Fixture, FixtureContext, FixtureValue, Requirement, TestError};
use seatrial_environment::IsolationGroup;
use serde_json::{Map, Value as Json};

use super::Stage;
use super::case::{open, take_down};
use super::names::{self, Given, RunningFixture, SuiteName};
use super::world::{Frame, World};
use crate::{
    plan::FixturePlan,
    step::{Fault, tails},
};

/// A fixture of a suite.
pub(super) struct SuiteFixture {
    pub(super) key: String,
    pub(super) plan: Arc<FixturePlan>,
    pub(super) requirements: Vec<Arc<dyn Requirement>>,
    /// Fixtures and builds that it stands on.
    pub(super) stands_on: Vec<Arc<dyn Fixture>>,
    pub(super) fixtures: Vec<Given>,
    pub(super) builds: Vec<Given>,
}

impl Fixture for SuiteFixture {
    fn key(&self) -> &str {
        &self.key
    }

    fn timeout(&self) -> Duration {
        self.plan.timeout
    }

    fn requirements(&self) -> &[Arc<dyn Requirement>] {
        &self.requirements
    }

    fn fixtures(&self) -> &[Arc<dyn Fixture>] {
        &self.stands_on
    }

    fn build<'a>(&'a self, context: &'a FixtureContext) -> BoxFuture<'a, Result<FixtureValue, TestError>> {
        Box::pin(async move {
            let stage = Stage::Fixture(context.clone());
            let group = open(&stage, self.plan.parts.iter().any(|part| part.isolate_network)).await?;
            match self.in_group(&stage, &group).await {
                Ok(seen) => Ok(Arc::new(RunningFixture {
                    seen: Json::Object(seen),
                    group,
                }) as FixtureValue),
                Err(fault) => {
                    let fault = fault.map(|mut failure| {
                        if failure.logs.is_empty() {
                            failure.logs = group.parts().iter().flat_map(tails).collect();
                        }
                        failure
                    });
                    take_down(&stage, &group).await;
                    Err(fault.into())
                }
            }
        })
    }

    fn tear_down<'a>(&'a self, value: FixtureValue, context: &'a FixtureContext) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Ok(fixture) = value.downcast::<RunningFixture>() {
                take_down(&Stage::Fixture(context.clone()), &fixture.group).await;
            }
        })
    }
}

impl SuiteFixture {
    async fn in_group(&self, stage: &Stage, group: &IsolationGroup) -> Result<Map<String, Json>, Fault> {
        let plan = &self.plan;
        let (name, dir) = plan.suite.clone();
        let suite = SuiteName { name, dir };
        let scope = names::scope(stage, &suite, None, &self.fixtures, &self.builds);
        let world = World::new(
            stage.clone(),
            group.clone(),
            &plan.parts,
            plan.target,
            &suite.dir,
            scope,
            &plan.values,
        )?;
        let frame = Frame::default();
        let ready = async {
            world.start_parts().await?;
            world.steps(&plan.ready, &frame, None).await
        };
        tokio::select! {
            biased;
            () = stage.token().cancelled() => return Err(Failure::new("it was told to end").into()),
            result = ready => result?,
        }
        let mut seen = world.as_fixture();
        let scope = world.scope(world.default_part(), &frame);
        for (name, value) in &plan.outputs {
            seen.insert(name.clone(), value.render(&scope)?.into());
        }
        Ok(seen)
    }
}
