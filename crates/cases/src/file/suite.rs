//! A suite's `seatrial.yaml` as it is written.

use std::time::Duration;

use indexmap::IndexMap;

use crate::{
    declare::{declare, words},
    decode::{Decode, Decoder, Located, RawSteps, Shape},
    file::{
        case::{Labels, Requirement, Where},
        part::Part,
    },
    node::{Node, Value},
    scalar::ByteSize,
    template::{Data, Templated},
    vocabulary::Command,
};

declare! {
    /// A suite: the tests found under one directory.
    pub(crate) struct Suite {
        /// Its name, the first part of its tests' names. By default the directory's.
        name: Option<Located<String>> = optional,
        /// What it is for.
        description: Option<String> = optional,
        /// Labels of all its tests.
        labels: Labels = optional,
        /// What holds for all its cases unless they say otherwise.
        defaults: Option<Defaults> = optional,
        /// Which files are cases: patterns, relative to the suite's directory. By default `*.yaml` and `cases/**/*.yaml`.
        cases: Option<Vec<Located<String>>> = optional,
        /// Values for placeholders: `{{ values.NAME }}`.
        values: IndexMap<String, Data> = optional,
        /// Commands that make something, each run once a run, and only if a selected test needs it: `{{ build.NAME }}`.
        build: IndexMap<String, Located<Build>> = optional also "builds",
        /// What several tests share.
        fixtures: IndexMap<String, Located<Fixture>> = optional,
        /// The suite's own steps. A step may use those defined before it.
        steps: IndexMap<String, Located<StepDefinition>> = optional,
        /// Settings of a run by name, for `--profile NAME`.
        profiles: IndexMap<String, Profile> = optional,
        /// What holds for the tests that an expression selects. Later ones win.
        overrides: Vec<Override> = optional,
        /// How many tests of a test group run at the same time.
        test_groups: IndexMap<String, usize> = optional also "test-groups",
        /// Texts that are masked in all output.
        secrets: Vec<Secret> = optional,
    }
}

declare! {
    /// What holds for all cases of a suite unless they say otherwise.
    pub(crate) struct Defaults {
        /// How long a test may take.
        timeout: Option<Duration> = optional,
        /// How often it is tried again.
        retries: Option<u32> = optional,
        /// How many slots it takes.
        slots: Option<usize> = optional,
        /// The test group whose limit it shares.
        test_group: Option<Located<String>> = optional,
        /// What it needs of the machine, besides what it says itself.
        requires: Vec<Requirement> = optional,
        /// More labels.
        labels: Labels = optional,
        /// Where its parts run.
        on: Option<Where> = optional,
        /// The fixtures that it uses, besides those that it names.
        uses: Vec<Located<String>> = optional,
        /// Environment variables of every part.
        env: IndexMap<String, Templated<String>> = optional,
        /// Variables of seatrial's own environment that every part gets.
        inherit_env: Vec<String> = optional,
        /// How long a part may take to stop, before it is killed. By default 10s.
        grace: Option<Duration> = optional,
        /// More log of a part than this ends it. By default 1GiB.
        log_limit: Option<ByteSize> = optional,
        /// The target where a case names none of its own, or only adds `env`, `files` and `ports` to it.
        target: Option<Located<Part>> = optional,
    }
}

declare! {
    /// A command that makes something.
    pub(crate) struct Build {
        /// What is run, with seatrial's own environment. Text is run by `sh -c`; a list is run as it is.
        command: Command = required,
        /// The directory that it runs in, relative to the suite's.
        cwd: Option<String> = optional also "working_dir",
        /// More environment variables.
        env: IndexMap<String, Templated<String>> = optional,
        /// How what it made is found.
        find: Find = required,
        /// How long it may take.
        timeout: Duration = "10m",
    }
}

declare! {
    /// How what a build made is found: by exactly one of these.
    pub(crate) struct Find {
        /// The executable of this name in what `cargo build --message-format=json` reports on its standard output.
        cargo: Option<String> = optional,
        /// A path, relative to the directory that the build runs in.
        path: Option<String> = optional,
        /// The last line of its standard output is the path.
        last_line: bool = "false",
    }
    check Find::check
}

impl Find {
    fn check(&self, node: &Node, decoder: &mut Decoder) {
        let given = usize::from(self.cargo.is_some())
            + usize::from(self.path.is_some())
            + usize::from(self.last_line);
        if given != 1 {
            decoder.error(
                node.span,
                "exactly one of `cargo`, `path` and `last_line` says what was made",
            );
        }
    }
}

declare! {
    /// Something that several tests share: parts that are started on first need, once, and ended when no test needs them any more.
    pub(crate) struct Fixture {
        /// What it is.
        description: Option<String> = optional,
        /// Who shares it.
        scope: Scope = "run",
        /// What it needs of the machine.
        requires: Vec<Requirement> = optional,
        /// Other fixtures of the suite that it uses.
        uses: Vec<Located<String>> = optional,
        /// Its only part, or the one that steps are about where they do not say.
        target: Option<Located<Part>> = optional,
        /// Its parts, by name.
        parts: IndexMap<String, Located<Part>> = optional,
        /// Steps that hold once it is ready. They may also set it up.
        ready: RawSteps = optional also "procedure",
        /// What it gives to tests: `{{ fixture.NAME.OUTPUT }}`. Its ports are there without being listed: `{{ fixture.NAME.port.PORT }}`.
        outputs: IndexMap<String, Templated<String>> = optional,
        /// How long it may take until it is ready.
        timeout: Duration = "60s",
    }
}

words! {
    /// Who shares a fixture.
    pub(crate) enum Scope {
        /// All tests of the run.
        Run = "run",
        /// The tests of the suite.
        Suite = "suite",
    }
}

declare! {
    /// A step of the suite's own: a procedure with parameters. In a procedure it is used like any other step.
    pub(crate) struct StepDefinition {
        /// What it does.
        description: Option<String> = optional,
        /// Its parameters: `{{ parameters.NAME }}` in its procedure.
        parameters: IndexMap<String, Located<Parameter>> = optional,
        /// The parameter that a value which is no mapping stands for.
        short: Option<Located<String>> = optional,
        /// Its steps.
        procedure: RawSteps = required,
    }
}

declare! {
    /// A parameter of a step.
    pub(crate) struct Parameter short kind {
        /// What is accepted.
        kind: ParameterType = "text" key "type",
        /// What holds where it is not given. Without it, it must be given.
        default: Option<Data> = nullable,
        /// What it is for.
        description: Option<String> = optional,
    }
}

words! {
    /// What a parameter accepts.
    pub(crate) enum ParameterType {
        /// Text.
        Text = "text" | "string",
        /// A whole number.
        Integer = "integer" | "int",
        /// A number.
        Number = "number",
        /// True or false.
        Boolean = "boolean" | "bool",
        /// A duration such as `30s`.
        Duration = "duration",
        /// Anything.
        Any = "any",
    }
}

declare! {
    /// Settings of a run; what is absent stays as it is.
    pub(crate) struct Profile {
        /// How often a failed test is tried again.
        retries: Option<u32> = optional,
        /// How many slots there are.
        slots: Option<usize> = optional,
        /// How long a test may take that does not say so itself.
        timeout: Option<Duration> = optional,
        /// All deadlines are multiplied by it.
        timeout_multiplier: Option<f64> = optional also "timeout-multiplier",
        /// After how many bad verdicts the run is stopped; `true` for the first.
        fail_fast: Option<FailFast> = optional also "fail-fast",
        /// After how long a test is called slow.
        slow_after: Option<Duration> = optional also "slow-after",
        /// How long a test that was told to end may take to clean up.
        grace: Option<Duration> = optional,
        /// Requirements that must be met: their tests fail where they are not.
        require: Vec<String> = optional,
        /// Where to write JUnit XML.
        junit: Option<String> = optional,
    }
}

/// After how many bad verdicts a run is stopped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FailFast(pub(crate) Option<usize>);

impl Decode for FailFast {
    fn decode(node: &Node, decoder: &mut Decoder) -> Option<Self> {
        match node.text().map(|text| &**text) {
            Some("true") => Some(Self(Some(1))),
            Some("false") => Some(Self(None)),
            _ => usize::decode(node, decoder).map(|count| Self(Some(count))),
        }
    }

    fn shape() -> Shape {
        Shape::OneOf(vec![bool::shape(), usize::shape()])
    }
}

declare! {
    /// What holds for the tests that an expression selects.
    pub(crate) struct Override {
        /// The filter expression, as for `-E`: `test(~slow) & label(kind=soak)`.
        filter: Located<String> = required,
        /// Only in this profile.
        profile: Option<Located<String>> = optional,
        /// How long such a test may take.
        timeout: Option<Duration> = optional,
        /// How often it is tried again.
        retries: Option<u32> = optional,
        /// How many slots it takes.
        slots: Option<usize> = optional,
        /// Nothing else runs meanwhile.
        alone: bool = "false",
        /// The test group whose limit it shares.
        test_group: Option<Located<String>> = optional also "test-group",
    }
}

/// A text that is masked in all output.
#[derive(Clone, Debug)]
pub(crate) enum Secret {
    /// The value of a variable of seatrial's own environment.
    Environment(String),
    /// The content of a file, relative to the suite's directory.
    File(String),
}

declare! {
    /// A text that is masked in all output: exactly one of these.
    struct SecretEntry {
        /// The value of this variable of seatrial's own environment.
        env: Option<String> = optional,
        /// The content of this file, relative to the suite's directory.
        file: Option<String> = optional,
    }
}

impl Decode for Secret {
    fn decode(node: &Node, decoder: &mut Decoder) -> Option<Self> {
        if matches!(node.value, Value::Scalar { .. }) {
            decoder.error(node.span, "a secret is not written in a file").help =
                Some("to mask the value of a variable: `env: NAME`".into());
            return None;
        }
        let entry = SecretEntry::decode(node, decoder)?;
        match (entry.env, entry.file) {
            (Some(variable), None) => Some(Self::Environment(variable)),
            (None, Some(file)) => Some(Self::File(file)),
            _ => {
                decoder.error(
                    node.span,
                    "exactly one of `env` and `file` says what the secret is",
                );
                None
            }
        }
    }

    fn shape() -> Shape {
        SecretEntry::shape()
    }
}
