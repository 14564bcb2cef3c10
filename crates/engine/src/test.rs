//! What a test is to the runner.
//!
//! The runner knows a test by its [`TestSpec`], plain data that is known before anything runs, and by one
//! method that runs it. A new kind of test is one `impl Test`; the runner does not change for it.

use std::{collections::BTreeMap, fmt, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{context::TestContext, fixture::Fixture, requirement::Requirement, verdict::TestResult};

/// A future that can be sent between threads, boxed, so that traits with async methods can be objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One unit with one verdict.
pub trait Test: Send + Sync {
    /// What is known about it before it runs.
    fn spec(&self) -> &TestSpec;

    /// Runs it once. The context's token is cancelled when the deadline strikes or the run is stopped;
    /// the test then has the grace time to clean up. Dropping the future, after the grace, is abandonment:
    /// what it had started is reaped from the journal.
    ///
    /// # Errors
    /// When the test fails, or cannot be judged: see [`TestError`](crate::TestError).
    fn run<'a>(&'a self, context: &'a TestContext) -> BoxFuture<'a, TestResult>;
}

/// What is known about a test before it runs.
#[derive(Clone, Default)]
pub struct TestSpec {
    /// The suite's name; with `name`, `variant` and `environment` it makes the full name.
    pub suite: String,
    /// The test's name, unique in its suite.
    pub name: String,
    /// Which variant of a matrix, if it is one.
    pub variant: Option<String>,
    /// The environment, where one run has several: it then ends the full name, as `@docker`.
    pub environment: Option<String>,
    /// What kind of test: `procedure`, `rust`.
    pub kind: &'static str,
    /// What it shows, in a sentence, for `list` and reports.
    pub description: Option<String>,
    /// Its deadline; without one, the run's default.
    pub timeout: Option<Duration>,
    /// What it needs of the machine.
    pub requirements: Vec<Arc<dyn Requirement>>,
    /// What it shares with others; built before it takes a slot.
    pub fixtures: Vec<Arc<dyn Fixture>>,
    /// The container images that it uses.
    pub images: Vec<String>,
    /// For selection: `speed=slow`. A label without a value has the empty one.
    pub labels: BTreeMap<String, String>,
    /// How much of the machine it takes.
    pub weight: Weight,
    /// The test group whose limit it shares.
    pub test_group: Option<String>,
    /// How often it is tried again after a failure; without a number, the run's default.
    pub retries: Option<u32>,
    /// Where it stands.
    pub location: Option<SourceLocation>,
    /// Never runs unless asked for, as libtest's `#[ignore]`; the text is the reason.
    pub ignored: Option<String>,
    /// Known before it runs that it cannot: it is skipped with this reason.
    pub skip: Option<String>,
}

/// How much of the machine a test takes while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// So many slots, at least one; more than there are is taken as all of them.
    Slots(usize),
    /// Nothing else runs meanwhile.
    Alone,
}

impl Default for Weight {
    fn default() -> Self {
        Weight::Slots(1)
    }
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SourceLocation {
    /// The file, relative to the directory that seatrial runs in where that is shorter.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u32,
}

impl fmt::Display for SourceLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

impl TestSpec {
    /// A test of this suite and name; all else as by default.
    pub fn new(suite: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            suite: suite.into(),
            name: name.into(),
            kind: "rust",
            ..Self::default()
        }
    }

    /// The full name: `suite/name[/variant][@environment]`.
    pub fn full_name(&self) -> String {
        let mut full = String::with_capacity(self.suite.len() + self.name.len() + 1);
        if !self.suite.is_empty() {
            full.push_str(&self.suite);
            full.push('/');
        }
        full.push_str(&self.name);
        if let Some(variant) = &self.variant {
            full.push('/');
            full.push_str(variant);
        }
        if let Some(environment) = &self.environment {
            full.push('@');
            full.push_str(environment);
        }
        full
    }
}

impl fmt::Debug for TestSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TestSpec").field(&self.full_name()).finish()
    }
}
