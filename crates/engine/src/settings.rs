//! How a run is to be run, resolved: no flag names, no environment variables, no defaults left to decide.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// How a run is to be run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The run's id; part of every name that must be unique on the machine.
    pub run_id: String,
    /// The project: the name under which runs are kept.
    pub project: String,
    /// The run's directory; its `logs` are made on first use.
    pub run_dir: PathBuf,
    /// seatrial's state directory: the journals are in it.
    pub state_dir: PathBuf,
    /// The command line without the program, for the record.
    pub args: Vec<String>,
    /// What runs a single test again: the arguments before its name, such as `seatrial run examples -t`.
    pub rerun: Option<String>,
    /// How many slots there are. By default the number of cores.
    pub slots: usize,
    /// A test's deadline where it has none of its own. 60 s.
    pub timeout: Duration,
    /// All deadlines of tests, steps and fixtures are multiplied by it. 1.
    pub timeout_multiplier: f64,
    /// How long a test that was told to end may take to clean up. 30 s.
    pub grace: Duration,
    /// After how long a test is called slow, and again at each multiple. 30 s.
    pub slow_after: Duration,
    /// How often a failed test is tried again, unless it says otherwise. 0.
    pub retries: u32,
    /// After how many bad verdicts the run is stopped.
    pub fail_fast: Option<usize>,
    /// In which order tests are started.
    pub order: Order,
    /// How often each test is run.
    pub repeat: Repeat,
    /// How many tests of a test group run at the same time.
    pub test_groups: BTreeMap<String, usize>,
    /// Requirements of these names must be met: their tests are errored where they are not.
    pub require: BTreeSet<String>,
    /// Whether what a test started is left standing.
    pub keep: Keep,
    /// Stop before steps whose name contains this.
    pub breakpoint: Option<String>,
    /// Run tests that are marked as ignored: instead of the others, or besides them.
    pub ignored: Ignored,
    /// Texts that must not appear in any output.
    pub secrets: BTreeSet<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            run_id: crate::run_id::new(),
            project: "default".into(),
            run_dir: std::env::temp_dir().join("seatrial"),
            state_dir: std::env::temp_dir().join("seatrial"),
            args: Vec::new(),
            rerun: None,
            slots: std::thread::available_parallelism().map_or(1, usize::from),
            timeout: Duration::from_secs(60),
            timeout_multiplier: 1.0,
            grace: Duration::from_secs(30),
            slow_after: Duration::from_secs(30),
            retries: 0,
            fail_fast: None,
            order: Order::AsFound,
            repeat: Repeat::Times(1),
            test_groups: BTreeMap::new(),
            require: BTreeSet::new(),
            keep: Keep::Never,
            breakpoint: None,
            ignored: Ignored::Skip,
            secrets: BTreeSet::new(),
        }
    }
}

impl Settings {
    /// A span of time as the timeout multiplier makes it.
    pub fn scaled(&self, span: Duration) -> Duration {
        Duration::try_from_secs_f64(span.as_secs_f64() * self.timeout_multiplier).unwrap_or(Duration::MAX)
    }
}

/// In which order tests are started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As they were found.
    AsFound,
    /// At random, the same for the same seed.
    Shuffled(u64),
}

/// How often each test is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// So often.
    Times(u32),
    /// Until one ends badly, so often at most.
    UntilFailure(u32),
}

/// Whether what a test started is left standing at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// Everything is removed.
    #[default]
    Never,
    /// What belongs to a test that did not pass is left.
    OnFailure,
    /// Everything is left.
    Always,
}

/// What to do with tests that are marked as ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ignored {
    /// Skip them.
    #[default]
    Skip,
    /// Run only them.
    Only,
    /// Run them as well.
    Include,
}
