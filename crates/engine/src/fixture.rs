//! Something that several tests share: a broker, a cluster, a build.
//!
//! The runner builds a fixture on first need, once, before any of its tests takes a slot, and tears it down as
//! soon as the last test that needs it is done. Two fixtures with the same key are one.

use std::{any::Any, sync::Arc, time::Duration};

use crate::{context::FixtureContext, requirement::Requirement, test::BoxFuture, verdict::TestError};

/// What a fixture made; tests get it by [`TestContext::fixture`](crate::TestContext::fixture).
pub type FixtureValue = Arc<dyn Any + Send + Sync>;

/// Something that several tests share.
pub trait Fixture: Send + Sync {
    /// What makes it unique in a run: `suite/fixture`.
    fn key(&self) -> &str;

    /// Its deadline for being built. Ten minutes unless it says otherwise: some compile, some pull.
    fn timeout(&self) -> Duration {
        Duration::from_secs(600)
    }

    /// What it needs of the machine; its tests need the same.
    fn requirements(&self) -> &[Arc<dyn Requirement>] {
        &[]
    }

    /// The fixtures that it stands on; they are built before it and torn down after it.
    fn fixtures(&self) -> &[Arc<dyn Fixture>] {
        &[]
    }

    /// Builds it. The context's token is cancelled at the deadline or when the run is stopped.
    ///
    /// # Errors
    /// When it cannot be built: every test that needs it is then *errored* with this error.
    fn build<'a>(&'a self, context: &'a FixtureContext) -> BoxFuture<'a, Result<FixtureValue, TestError>>;

    /// Takes down what `build` made. Bounded by the run's grace; what remains is reaped from the journal.
    fn tear_down<'a>(&'a self, value: FixtureValue, context: &'a FixtureContext) -> BoxFuture<'a, ()> {
        let _ = (value, context);
        Box::pin(async {})
    }
}
