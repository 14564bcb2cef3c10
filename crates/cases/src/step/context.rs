//! What a step is given, what it gives back, and how it says that it went wrong.

use std::path::{Path, PathBuf};
use std::time::Duration;

use seatrial_engine::{Failure, SourceLocation};
use seatrial_environment::{ExitStatus, IsolationGroup, Part};
use serde_json::{Map, Value as Json};

use super::wait::Wait;
use crate::{
    plan::{PartPlan, Selector},
    run::StepReport,
    source::Origin,
    template::{RenderError, Scope},
    vocabulary::{PortReference, Protocol},
};

/// What a step is given.
pub(crate) struct StepContext<'a> {
    /// Where it opens connections.
    pub(crate) group: &'a IsolationGroup,
    /// The part that it is about, if there is one and it has been started.
    pub(crate) part: Option<&'a Part>,
    /// What that part was to be.
    pub(crate) plan: Option<&'a PartPlan>,
    /// Where each stream of that part's log stood when it was last started.
    pub(crate) log_start: [u64; 2],
    /// All ports of the test, each with the part that has it; those of fixtures have none.
    pub(crate) ports: &'a [(u16, Option<&'a Part>)],
    /// The names that its templates can use.
    pub(crate) scope: &'a Scope,
    /// How long it may take.
    pub(crate) timeout: Duration,
    /// Where it tells what it sees.
    pub(crate) report: &'a StepReport,
    /// The directory of the case file, which source files are relative to.
    pub(crate) dir: &'a Path,
}

impl<'a> StepContext<'a> {
    /// The part that the step is about.
    ///
    /// # Errors
    ///
    /// *Errored* where there is none, or it has not been started: the `ready:` of one part speaks of a later one.
    pub(crate) fn part(&self) -> Result<&'a Part, Fault> {
        self.part.ok_or_else(|| match self.plan {
            Some(plan) => Fault::errored(format!("`{}` has not been started yet", plan.name)),
            None => Fault::errored("this step is about a part, and the test has none"),
        })
    }

    /// A wait for so long as the step may take, in vain once its part has ended.
    pub(crate) fn wait(&self, what: impl Into<String>) -> Wait<'a> {
        Wait::new(what.into(), self.timeout, self.report, self.part)
    }

    /// A path of the part's: a relative one is in its working directory.
    pub(crate) fn part_path(&self, path: &str) -> Result<PathBuf, Fault> {
        Ok(self.part()?.working_dir().join(path))
    }

    /// A port's number, and its protocol where the part declares it.
    pub(crate) fn port(&self, port: &PortReference) -> Result<(u16, Option<Protocol>), Fault> {
        match port {
            PortReference::Number(number) => Ok((*number, None)),
            PortReference::Name(name) => {
                let number = self
                    .scope
                    .get(&["port", name])
                    .and_then(Json::as_u64)
                    .and_then(|n| u16::try_from(n).ok());
                let declared = self
                    .plan
                    .and_then(|plan| plan.ports.get(name))
                    .map(|port| port.protocol);
                let number =
                    number.ok_or_else(|| Fault::errored(format!("there is no port `{name}` here")))?;
                Ok((number, declared))
            }
        }
    }

    /// The part that whatever listens on a port belongs to, if a request to it is in vain without that part. A port that
    /// nobody declared is taken for one of the step's own part.
    pub(crate) fn part_behind(&self, port: u16) -> Option<&'a Part> {
        match self.ports.iter().find(|(number, _)| *number == port) {
            Some((_, part)) => *part,
            None => self.part,
        }
    }
}

/// Why a step did not do what it should.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The target is not as expected.
    Failed(Box<Failure>),
    /// The environment, or the case file, is at fault.
    Errored(Box<Failure>),
}

impl Fault {
    /// The environment, or the case file, is at fault, and this is what is wrong.
    pub(crate) fn errored(message: impl Into<String>) -> Self {
        Self::Errored(Box::new(Failure::new(message)))
    }

    /// The same with its failure changed.
    pub(crate) fn map(self, change: impl FnOnce(Failure) -> Failure) -> Self {
        match self {
            Self::Failed(failure) => Self::Failed(Box::new(change(*failure))),
            Self::Errored(failure) => Self::Errored(Box::new(change(*failure))),
        }
    }

    /// What went wrong.
    pub(crate) fn failure(&self) -> &Failure {
        match self {
            Self::Failed(failure) | Self::Errored(failure) => failure,
        }
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

impl From<RenderError> for Fault {
    fn from(error: RenderError) -> Self {
        let location = Some(location(&error.origin));
        Self::Errored(Box::new(Failure {
            location,
            ..Failure::new(error.message)
        }))
    }
}

impl From<Fault> for seatrial_engine::TestError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Failed(failure) => Self::failed(*failure),
            Fault::Errored(failure) => Self::errored(*failure),
        }
    }
}

/// An error and its causes on a line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// How a part ended, as it reads after its name: `exited with code 3`, `was killed by SIGSEGV`.
pub(crate) fn ended(status: ExitStatus) -> String {
    match status.signal() {
        Some(_) => format!("was {status}"),
        None => status.to_string(),
    }
}

/// Where something was written, for people.
pub(crate) fn location(origin: &Origin) -> SourceLocation {
    SourceLocation {
        file: origin.file.path.clone(),
        line: u32::try_from(origin.line()).unwrap_or(u32::MAX),
    }
}

/// What a step gives, for `save:`.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// What a JSON path looks into: a body, a standard output, a reply, a file.
    main: Option<String>,
    /// By name.
    named: Map<String, Json>,
    /// What a pattern matched: the groups by number and name, `0` is all of it.
    groups: Vec<(String, String)>,
}

impl Output {
    /// Nothing to save.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// A text that a JSON path can look into, also under a name.
    pub(crate) fn main(name: &str, text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            main: Some(text.clone()),
            ..Self::default()
        }
        .with(name, text)
    }

    /// Adds an output.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.named.insert(name.to_owned(), value.into());
        self
    }

    /// Adds what a pattern matched.
    pub(crate) fn with_groups(mut self, groups: Vec<(String, String)>) -> Self {
        self.groups = groups;
        self
    }

    /// What was selected of it.
    ///
    /// # Errors
    ///
    /// Why there is no such thing, as it reads after "save `name`:".
    pub(crate) fn select(&self, selector: &Selector) -> Result<Json, String> {
        match selector {
            Selector::Json(path) => {
                let text = self
                    .main
                    .as_deref()
                    .ok_or("this step gives nothing that could be JSON")?;
                let document: Json = serde_json::from_str(text).map_err(|error| {
                    format!(
                        "{path} of what is no JSON ({error}): `{}`",
                        crate::http::shortened(text.trim_end())
                    )
                })?;
                path.find(&document)
                    .cloned()
                    .map_err(|not_there| not_there.to_string())
            }
            Selector::Output(name) => {
                let found = match name.as_slice() {
                    [first, rest @ ..] if first == "match" => {
                        let wanted = rest.first().map_or("0", String::as_str);
                        let group = self.groups.iter().find(|(name, _)| name == wanted);
                        group.map(|(_, text)| Json::from(text.as_str()))
                    }
                    [first, rest @ ..] => self
                        .named
                        .get(first)
                        .and_then(|value| rest.iter().try_fold(value, |value, segment| value.get(segment)))
                        .cloned(),
                    [] => None,
                };
                found.ok_or_else(|| format!("this step gave no `{}`", name.join(".")))
            }
        }
    }
}
