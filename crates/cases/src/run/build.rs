//! A suite's build: a command that makes something the tests run, once a run, as a fixture of theirs.
//!
//! It runs as a part of an isolation group of its own, so that a build which is cancelled is gone with all the compilers
//! it started. Unlike a test's parts it has seatrial's own environment: toolchains live in there.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use seatrial_engine::{BoxFuture, Failure, Fixture, FixtureContext, FixtureValue, LogTail, TestError};
use seatrial_environment::{ExitStatus, IsolationGroup, Part, PartSpec, Stream};

use super::Stage;
use super::cargo_report::CargoReport;
use super::case::{open, take_down};
use super::names::{self, Built, SuiteName};
use crate::{
    plan::{BuildOutput, BuildPlan},
    step::{Fault, causes, location, words},
};

/// How many of the last lines of a failed build are shown.
const TAIL_LINES: usize = 40;

/// Variables with which cargo describes one crate to what it runs. A build is not part of that crate.
const CARGO_OWN: &[&str] = &[
    "CARGO_PKG_",
    "CARGO_MANIFEST_",
    "CARGO_BIN_",
    "CARGO_CRATE_",
    "CARGO_PRIMARY_",
];

/// A build of a suite.
pub(super) struct Build {
    pub(super) key: String,
    pub(super) plan: Arc<BuildPlan>,
    pub(super) suite: SuiteName,
}

impl Fixture for Build {
    fn key(&self) -> &str {
        &self.key
    }

    fn timeout(&self) -> Duration {
        self.plan.timeout
    }

    fn build<'a>(&'a self, context: &'a FixtureContext) -> BoxFuture<'a, Result<FixtureValue, TestError>> {
        Box::pin(async move {
            let stage = Stage::Fixture(context.clone());
            let group = open(&stage, false).await?;
            let made = tokio::select! {
                biased;
                () = context.token().cancelled() => Err(Failure::new("it was told to end").into()),
                made = self.make(&stage, context, &group) => made,
            };
            take_down(&stage, &group).await;
            match made {
                Ok(path) => Ok(Arc::new(Built(path)) as FixtureValue),
                Err(fault) => Err(fault
                    .map(|mut failure| {
                        failure
                            .location
                            .get_or_insert_with(|| location(&self.plan.origin));
                        failure
                    })
                    .into()),
            }
        })
    }
}

impl Build {
    async fn make(
        &self,
        stage: &Stage,
        context: &FixtureContext,
        group: &IsolationGroup,
    ) -> Result<PathBuf, Fault> {
        let plan = &self.plan;
        let scope = names::scope(stage, &self.suite, None, &[], &[]);
        let words = words(&plan.command, &scope)?;
        let shown = in_a_line(&words);
        context.progress(&shown);
        let mut spec = PartSpec::new(&plan.name, words);
        spec.env = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| !CARGO_OWN.iter().any(|own| name.starts_with(own)))
            .collect();
        for (name, value) in &plan.env {
            spec.env.insert(name.clone(), value.render(&scope)?.into());
        }
        spec.working_dir = Some(plan.cwd.clone());
        let part = group
            .start(spec)
            .await
            .map_err(|error| Fault::errored(format!("failed to {}", causes(&error))))?;
        let mut report = CargoReport::default();
        let mut last = String::new();
        let reads_cargo = matches!(plan.find, BuildOutput::CargoExecutable(_));
        let stdout = each_line(&part, Stream::Stdout, |line| {
            if reads_cargo {
                report.line(line);
            } else {
                context.progress(line);
            }
            if !line.trim().is_empty() {
                line.trim().clone_into(&mut last);
            }
        });
        let stderr = each_line(&part, Stream::Stderr, |line| context.progress(line));
        let read = tokio::try_join!(stdout, stderr);
        read.map_err(|error| Fault::errored(format!("its output cannot be read: {error}")))?;
        let status = part.wait().await;
        if !status.success() {
            return Err(failed(&shown, status, &part, report));
        }
        let unfound = |what: String| Failure {
            logs: output(&part, Vec::new()),
            ..Failure::new(what)
        };
        let path = match &plan.find {
            BuildOutput::CargoExecutable(name) => match report.executable(name) {
                Some(executable) => executable.path.clone(),
                None => {
                    let made: Vec<&str> = report.executables.iter().map(|made| made.name.as_str()).collect();
                    let failure = unfound(format!("cargo reported no executable `{name}`"));
                    let note = match made.as_slice() {
                        [] => "it reported none at all: does the command have `--message-format=json`?"
                            .to_owned(),
                        made => format!("it reported {}", made.join(", ")),
                    };
                    return Err(failure.note(note).into());
                }
            },
            BuildOutput::Path(path) => path.clone(),
            BuildOutput::LastLine if last.is_empty() => {
                return Err(unfound(
                    "the build printed nothing, and its last line should be a path".to_owned(),
                )
                .into());
            }
            BuildOutput::LastLine => plan.cwd.join(&last),
        };
        if !path.exists() {
            return Err(unfound(format!("the build made no `{}`", path.display())).into());
        }
        std::path::absolute(&path).map_err(|error| Fault::errored(format!("`{}`: {error}", path.display())))
    }
}

fn failed(command: &str, status: ExitStatus, part: &Part, report: CargoReport) -> Fault {
    let failure = Failure::new(format!("`{command}` {status}"));
    let errors = report
        .errors
        .iter()
        .flat_map(|error| error.lines())
        .map(str::to_owned)
        .collect();
    Failure {
        logs: output(part, errors),
        ..failure
    }
    .into()
}

/// What the compiler said, if it reported that; else the last lines of what the build printed.
fn output(part: &Part, errors: Vec<String>) -> Vec<LogTail> {
    let (source, mut lines) = match errors.is_empty() {
        false => ("the compiler", errors),
        true => {
            let lines = part.logs().tail(TAIL_LINES).unwrap_or_default();
            // Cargo's own report is for programs.
            let for_people = lines
                .into_iter()
                .map(|line| line.text)
                .filter(|line| !line.starts_with("{\"reason\":"));
            ("the build", for_people.collect())
        }
    };
    // A compiler's first error is the one that matters.
    lines.truncate(TAIL_LINES);
    if lines.is_empty() {
        Vec::new()
    } else {
        vec![LogTail {
            source: source.to_owned(),
            lines,
        }]
    }
}

/// A command as it is shown: what a shell is given without the shell, and not more than its first line.
fn in_a_line(words: &[String]) -> String {
    let text = match words {
        [shell, flag, script] if shell == "sh" && flag == "-c" => script.trim().to_owned(),
        words => words.join(" "),
    };
    match text.split_once('\n') {
        Some((first, _)) => format!("{first} …"),
        None => text,
    }
}

/// Follows a stream to its end, line by line.
async fn each_line(part: &Part, stream: Stream, mut take: impl FnMut(&str)) -> std::io::Result<()> {
    let mut reader = part.logs().reader(stream)?;
    let mut line = Vec::new();
    while let Some(chunk) = reader.next_chunk().await? {
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                take(String::from_utf8_lossy(&line).trim_end());
                line.clear();
            }
        }
    }
    if !line.is_empty() {
        take(String::from_utf8_lossy(&line).trim_end());
    }
    Ok(())
}
