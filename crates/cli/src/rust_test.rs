//! Tests written in Rust, from async closures.

use std::{collections::BTreeMap, panic::Location, path::PathBuf, sync::Arc, time::Duration};

use seatrial_engine::{
    BoxFuture, Fixture, Requirement, SourceLocation, Test, TestContext, TestError, TestResult, TestSpec,
    Weight,
};
use seatrial_environment::requirement;

/// A test from an async closure or function:
///
/// ```
/// # fn tests() -> Vec<seatrial::RustTest> {
/// vec![
///     seatrial::test("addition", async |_context| assert_eq!(1 + 1, 2)),
///     seatrial::test("files", async |context| -> seatrial::TestResult {
///         std::fs::write(context.log_dir()?.join("note"), "kept with the run's logs")?;
///         Ok(())
///     })
///     .requires("docker")
///     .label("speed", "slow"),
/// ]
/// # }
/// ```
///
/// A panic, as `assert!` makes one, means *failed*; so does an error that is returned. A body that captures
/// something is written `move |context| async move { ... }`: the future of an `async move` closure borrows from
/// the closure, and nothing can say of such a one that it may go to another thread.
#[track_caller]
pub fn test<Body, Future, Output>(name: impl Into<String>, body: Body) -> RustTest
where
    Body: Fn(TestContext) -> Future + Send + Sync + 'static,
    Future: std::future::Future<Output = Output> + Send + 'static,
    Output: IntoTestResult,
{
    RustTest::new(
        name.into(),
        Location::caller(),
        Arc::new(move |context| {
            let running = body(context);
            Box::pin(async move { running.await.into_test_result() })
        }),
    )
}

/// A test from a closure or function that blocks: one that runs other programs, say. It cannot be cancelled; after
/// its deadline and the grace it is left behind.
#[track_caller]
pub fn blocking_test<Body, Output>(name: impl Into<String>, body: Body) -> RustTest
where
    Body: Fn(TestContext) -> Output + Send + Sync + 'static,
    Output: IntoTestResult,
{
    let body = Arc::new(body);
    RustTest::new(
        name.into(),
        Location::caller(),
        Arc::new(move |context| {
            let body = body.clone();
            // Not on another thread: the runner knows by the task where a test panicked.
            Box::pin(async move { tokio::task::block_in_place(|| body(context)).into_test_result() })
        }),
    )
}

type Body = Arc<dyn Fn(TestContext) -> BoxFuture<'static, TestResult> + Send + Sync>;

/// A test written in Rust; see [`test()`].
#[derive(Clone)]
pub struct RustTest {
    spec: TestSpec,
    body: Body,
}

impl RustTest {
    fn new(name: String, caller: &Location<'_>, body: Body) -> Self {
        let location = SourceLocation {
            file: PathBuf::from(caller.file()),
            line: caller.line(),
        };
        Self {
            spec: TestSpec {
                location: Some(location),
                ..TestSpec::new("", name)
            },
            body,
        }
    }

    /// Needs this of the machine: `docker`, `root`, or the name of a program. Skipped where it is not met.
    #[must_use]
    pub fn requires(self, name: &str) -> Self {
        self.requires_what(requirement::named(name))
    }

    /// Needs something that no name is known for.
    #[must_use]
    pub fn requires_what(mut self, requirement: Arc<dyn Requirement>) -> Self {
        self.spec.requirements.push(requirement);
        self
    }

    /// Shares this with other tests; it is built before the test takes a slot.
    #[must_use]
    pub fn fixture(mut self, fixture: Arc<dyn Fixture>) -> Self {
        self.spec.fixtures.push(fixture);
        self
    }

    /// What it shows, in a sentence.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.spec.description = Some(text.into());
        self
    }

    /// A label, for `--label` and `-E`.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.spec.labels.insert(key.into(), value.into());
        self
    }

    /// Its deadline, in place of the run's.
    #[must_use]
    pub fn timeout(mut self, span: Duration) -> Self {
        self.spec.timeout = Some(span);
        self
    }

    /// How often it is tried again, in place of what the run says.
    #[must_use]
    pub fn retries(mut self, count: u32) -> Self {
        self.spec.retries = Some(count);
        self
    }

    /// Takes so many slots.
    #[must_use]
    pub fn slots(mut self, count: usize) -> Self {
        self.spec.weight = Weight::Slots(count);
        self
    }

    /// Nothing else runs meanwhile.
    #[must_use]
    pub fn alone(mut self) -> Self {
        self.spec.weight = Weight::Alone;
        self
    }

    /// Shares the limit of this test group.
    #[must_use]
    pub fn test_group(mut self, name: impl Into<String>) -> Self {
        self.spec.test_group = Some(name.into());
        self
    }

    /// Does not run unless asked for, as libtest's `#[ignore = "reason"]`.
    #[must_use]
    pub fn ignored(mut self, reason: impl Into<String>) -> Self {
        self.spec.ignored = Some(reason.into());
        self
    }

    /// Its labels.
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.spec.labels
    }
}

impl Test for RustTest {
    fn spec(&self) -> &TestSpec {
        &self.spec
    }

    fn run<'a>(&'a self, context: &'a TestContext) -> BoxFuture<'a, TestResult> {
        (self.body)(context.clone())
    }
}

impl From<RustTest> for Arc<dyn Test> {
    fn from(test: RustTest) -> Self {
        Arc::new(test)
    }
}

/// What the body of a test may return: nothing, or a result.
pub trait IntoTestResult {
    /// As the runner wants it.
    ///
    /// # Errors
    /// When the test did not pass.
    fn into_test_result(self) -> TestResult;
}

impl IntoTestResult for () {
    fn into_test_result(self) -> TestResult {
        Ok(())
    }
}

impl<E> IntoTestResult for Result<(), E>
where
    TestError: From<E>,
{
    fn into_test_result(self) -> TestResult {
        self.map_err(TestError::from)
    }
}
