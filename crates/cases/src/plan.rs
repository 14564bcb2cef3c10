//! What a suite's files come to: plain data that says everything a run needs, with nothing left to look up.
//!
//! Files are decoded, checked and then planned: variants of a matrix are tests of their own here, defaults are filled in,
//! paths are absolute or relative to the working directory, and every name leads somewhere. The executor makes tests of it;
//! it reports no mistakes of a file but those that only a rendered template can show.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use indexmap::IndexMap;
use seatrial_engine::selection::Filter;
use serde_json::Value as Json;

use crate::{
    json_path::JsonPath,
    scalar::{ByteSize, FileMode, Signal},
    source::{Origin, SourceFile},
    template::{Data, Expression, Templated},
    vocabulary::{Command, Protocol, StepKind},
};

/// A suite: the tests found under one directory.
#[derive(Clone, Debug)]
pub struct Suite {
    /// Its name; the first part of its tests' names.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The directory.
    pub dir: PathBuf,
    /// Its `seatrial.yaml`; `None` for case files without one.
    pub file: Option<Arc<SourceFile>>,
    /// Its builds, by name.
    pub builds: IndexMap<String, Arc<BuildPlan>>,
    /// Its fixtures, by name.
    pub fixtures: IndexMap<String, Arc<FixturePlan>>,
    /// Its tests, in the order of the files.
    pub cases: Vec<Arc<CasePlan>>,
    /// Its profiles, by name.
    pub profiles: IndexMap<String, ProfilePlan>,
    /// What holds for some tests only, in the order of the file; later ones win.
    pub overrides: Vec<OverridePlan>,
    /// How many tests of a test group run at the same time.
    pub test_groups: BTreeMap<String, usize>,
    /// Texts that are masked in all output.
    pub secrets: Vec<SecretPlan>,
}

/// One test: a case, or one variant of it.
#[derive(Clone, Debug)]
pub struct CasePlan {
    /// The case's name, unique in its suite.
    pub name: String,
    /// The variant's name.
    pub variant: Option<String>,
    /// What it shows.
    pub description: Option<String>,
    /// Where it starts in its file.
    pub origin: Origin,
    /// The directory of its file: sources of files are relative to it.
    pub dir: PathBuf,
    /// For selection. A label without a value has the empty one.
    pub labels: BTreeMap<String, String>,
    /// Its deadline.
    pub timeout: Option<Duration>,
    /// How often it is tried again.
    pub retries: Option<u32>,
    /// How much of the machine it takes.
    pub slots: Slots,
    /// The test group whose limit it shares.
    pub test_group: Option<String>,
    /// What it needs of the machine.
    pub requires: Vec<RequirementPlan>,
    /// Why it cannot run at all, known from its file alone: it is skipped with this reason.
    pub skip: Option<String>,
    /// The fixtures that it uses, including those that these use.
    pub uses: Vec<Arc<FixturePlan>>,
    /// The builds that its templates refer to, including those of its fixtures.
    pub builds: Vec<Arc<BuildPlan>>,
    /// `values.NAME`, merged from suite, case and variant; rendered in this order, each may use those before it. `port` and `dir`
    /// are the target's in them.
    pub values: IndexMap<String, Data>,
    /// Its parts, in the order in which they start.
    pub parts: Vec<PartPlan>,
    /// The part that steps are about where they do not say: an index into `parts`.
    pub target: usize,
    /// The steps.
    pub procedure: Vec<StepPlan>,
    /// Steps that run at the end, whatever happened.
    pub finally: Vec<StepPlan>,
    /// Steps that run when it failed, before `finally`, to gather what explains it.
    pub on_failure: Vec<StepPlan>,
    /// Where its parts run.
    pub on: On,
}

/// Where parts run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum On {
    /// As processes of this machine.
    #[default]
    Process,
    /// In containers. Not served yet: such a test is skipped, with that reason.
    Docker,
}

/// How much of the machine a test takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slots {
    /// So many slots.
    Count(usize),
    /// Nothing else runs meanwhile.
    Alone,
}

/// What is needed of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RequirementPlan {
    /// By name: `docker`, `root`, `fuse`, `kvm`.
    Named(String),
    /// A program on the PATH.
    Command(String),
}

/// One part: a process (or, later, a container) of a test or a fixture.
#[derive(Clone, Debug)]
pub struct PartPlan {
    /// Its name, unique in its test.
    pub name: String,
    /// Where it was written.
    pub origin: Origin,
    /// What is run. `None` only where `container` says it all.
    pub command: Option<Command>,
    /// Its environment variables, besides the clean ones that every part has.
    pub env: IndexMap<String, Templated<String>>,
    /// Variables of seatrial's own environment that it gets too.
    pub inherit_env: Vec<String>,
    /// Files that are there when it starts.
    pub files: Vec<FilePlan>,
    /// Its ports, by name.
    pub ports: IndexMap<String, PortPlan>,
    /// Its working directory where that is not one of its own.
    pub working_dir: Option<Templated<String>>,
    /// The signal that stops it.
    pub stop_signal: Signal,
    /// How long it may take to stop.
    pub grace: Duration,
    /// More log than this ends it.
    pub log_limit: ByteSize,
    /// Whether it gets a network of its own. Parts of one test share it.
    pub isolate_network: bool,
    /// The parts that it waits for before it starts.
    pub depends_on: Vec<Dependency>,
    /// What holds once it is ready; checked right after it has started.
    pub ready: Vec<StepPlan>,
    /// Variables whose values are the output of a command run in the part before its own command: name and shell text.
    pub dynamic: IndexMap<String, String>,
    /// What only a container has.
    pub container: Option<ContainerPlan>,
}

/// A file that is there when its part starts.
#[derive(Clone, Debug)]
pub struct FilePlan {
    /// Where; a relative path is in the part's working directory.
    pub path: Templated<String>,
    /// What is in it.
    pub content: FileContent,
    /// Its mode.
    pub mode: Option<FileMode>,
}

/// What is in a file.
#[derive(Clone, Debug)]
pub enum FileContent {
    /// This text.
    Inline(Templated<String>),
    /// This data, as JSON.
    Json(Data),
    /// A file or directory of the suite, copied as it is.
    Copy(PathBuf),
    /// A file of the suite, rendered as a template.
    Render(PathBuf),
}

/// A port of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortPlan {
    /// Which kind.
    pub protocol: Protocol,
    /// A fixed number; else a free one is found.
    pub number: Option<u16>,
}

/// A part that another waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The part's name.
    pub part: String,
    /// What has to be true of it.
    pub condition: DependencyCondition,
}

/// What has to be true of a part that another waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DependencyCondition {
    /// It has been started.
    Started,
    /// Its `ready:` holds.
    Ready,
    /// It has ended with code 0.
    Completed,
}

/// What only a container has.
#[derive(Clone, Debug, Default)]
pub struct ContainerPlan {
    /// The image.
    pub image: Option<Templated<String>>,
    /// Instead of the image's entrypoint.
    pub entrypoint: Option<Vec<Templated<String>>>,
    /// Without the default seccomp profile.
    pub unconfined_seccomp: bool,
    /// In the host's cgroup namespace.
    pub host_cgroup_namespace: bool,
}

/// One step of a procedure.
#[derive(Clone, Debug)]
pub struct StepPlan {
    /// Its name on screen: given, or made from its parameters.
    pub name: String,
    /// Where it was written.
    pub origin: Origin,
    /// What it does.
    pub kind: StepKind,
    /// The part that it is about: an index into the test's parts. In a fixture, into the fixture's parts.
    pub part: PartReference,
    /// It is skipped unless this holds.
    pub when: Option<Expression>,
    /// It is tried again.
    pub retry: Option<RetryPlan>,
    /// How long it may take; `None` for a step that says itself how long it takes.
    pub timeout: Option<Templated<Duration>>,
    /// What is kept of its output for later placeholders.
    pub save: IndexMap<String, Selector>,
}

/// The part that a step is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartReference {
    /// The test's target; in a part's `ready:`, that part.
    Default,
    /// By name.
    Named(String),
}

/// How often a step is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPlan {
    /// How often at most, the first time included.
    pub times: u32,
    /// How long to wait in between.
    pub every: Duration,
}

/// What is kept of a step's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// A place in the main output, which is JSON: the body, the standard output, the reply, the file.
    Json(JsonPath),
    /// An output by name, such as `status`, `header.etag`, `match.1`: the segments of its name.
    Output(Vec<String>),
}

/// A step that the suite defines, with the arguments given to it. Where its steps name no part, they are about the one that
/// this step is about.
#[derive(Clone, Debug)]
pub struct DefinedStep {
    /// Its name.
    pub name: String,
    /// `parameters.NAME` while its steps run; defaults are filled in.
    pub arguments: IndexMap<String, Data>,
    /// Its steps, shared by all uses of it.
    pub steps: Arc<Vec<StepPlan>>,
}

/// A step that is known by name only.
#[derive(Clone, Debug)]
pub struct UnservedStep {
    /// Its name.
    pub name: String,
    /// Its parameters as they were written.
    pub parameters: Json,
}

/// A command that makes something, run once a run if a selected test needs it.
#[derive(Clone, Debug)]
pub struct BuildPlan {
    /// Its name: `{{ build.NAME }}`.
    pub name: String,
    /// Where it was written.
    pub origin: Origin,
    /// What is run.
    pub command: Command,
    /// The directory that it runs in.
    pub cwd: PathBuf,
    /// More environment variables. Unlike a part, a build has seatrial's own environment.
    pub env: IndexMap<String, Templated<String>>,
    /// How what it made is found.
    pub find: BuildOutput,
    /// How long it may take.
    pub timeout: Duration,
}

/// How what a build made is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildOutput {
    /// The executable of this name in cargo's `--message-format=json` report on standard output.
    CargoExecutable(String),
    /// A path, which has to exist afterwards.
    Path(PathBuf),
    /// The last line of standard output is the path.
    LastLine,
}

/// Something that several tests share: parts with a readiness procedure, and outputs.
#[derive(Clone, Debug)]
pub struct FixturePlan {
    /// Its name: `{{ fixture.NAME.OUTPUT }}`.
    pub name: String,
    /// Its suite's name and directory, for `suite.name` and `suite.dir`.
    pub suite: (String, PathBuf),
    /// Where it was written.
    pub origin: Origin,
    /// What it is.
    pub description: Option<String>,
    /// How long it lives.
    pub scope: FixtureScope,
    /// What it needs of the machine.
    pub requires: Vec<RequirementPlan>,
    /// Other fixtures that it uses.
    pub uses: Vec<Arc<FixturePlan>>,
    /// The builds that it refers to.
    pub builds: Vec<Arc<BuildPlan>>,
    /// `values.NAME` of the suite.
    pub values: IndexMap<String, Data>,
    /// Its parts, in the order in which they start.
    pub parts: Vec<PartPlan>,
    /// The part that steps are about where they do not say.
    pub target: usize,
    /// What holds once it is ready, run in this order.
    pub ready: Vec<StepPlan>,
    /// `fixture.NAME.OUTPUT`, rendered once it is ready.
    pub outputs: IndexMap<String, Templated<String>>,
    /// How long it may take until it is ready.
    pub timeout: Duration,
}

/// How long a fixture lives, and who shares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FixtureScope {
    /// One for all tests of the run whose suites define it alike.
    Run,
    /// One for the tests of its suite.
    Suite,
}

/// Settings of a run by name; what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProfilePlan {
    /// How often a failed test is tried again.
    pub retries: Option<u32>,
    /// How many slots there are.
    pub slots: Option<usize>,
    /// A test's deadline where it has none of its own.
    pub timeout: Option<Duration>,
    /// All deadlines are multiplied by it.
    pub timeout_multiplier: Option<f64>,
    /// After how many bad verdicts the run is stopped.
    pub fail_fast: Option<usize>,
    /// After how long a test is called slow.
    pub slow_after: Option<Duration>,
    /// How long a test may take to clean up.
    pub grace: Option<Duration>,
    /// Requirements that must be met.
    pub require: Vec<String>,
    /// Where to write JUnit XML.
    pub junit: Option<PathBuf>,
}

/// What holds for the tests that a filter expression selects; what is absent stays as it is.
#[derive(Clone, Debug)]
pub struct OverridePlan {
    /// The tests that are meant.
    pub filter: Filter,
    /// Where it was written.
    pub origin: Origin,
    /// Their deadline.
    pub timeout: Option<Duration>,
    /// How often they are tried again.
    pub retries: Option<u32>,
    /// How much of the machine each takes.
    pub slots: Option<Slots>,
    /// The test group whose limit they share.
    pub test_group: Option<String>,
    /// Only in this profile.
    pub profile: Option<String>,
}

/// A text that is masked in all output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretPlan {
    /// The value of a variable of seatrial's environment.
    Environment(String),
    /// The content of a file, without white space at its ends.
    File(PathBuf),
}
