//! Starting the parts of a test or a fixture: dependencies, dynamic variables, files, readiness.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use seatrial_engine::{Deadline, Failure};
use seatrial_environment::{self as environment, FileSpec, PartSpec, Signal, StartError};
use serde_json::Value as Json;

use super::world::{Frame, World};
use crate::{
    plan::{DependencyCondition, FileContent, FilePlan, PartPlan},
    source::{Origin, SourceFile, Span},
    step::{Fault, causes, ended, location, tails, words},
    template::Scope,
};

/// A dynamic variable's command is a look at the surroundings, not work.
const DYNAMIC_TIMEOUT: Duration = Duration::from_secs(30);

impl World<'_> {
    /// Starts all parts, each after those it depends on, and waits until each is ready.
    ///
    /// # Errors
    ///
    /// *Errored* when one cannot be started; whatever its readiness steps say when it does not become ready.
    pub(crate) async fn start_parts(&self) -> Result<(), Fault> {
        for (index, plan) in self.plans.iter().enumerate() {
            let report = self
                .stage
                .step(format!("start {}", plan.name), Some(location(&plan.origin)), None);
            match self.start(index, plan).await {
                Ok(()) => {}
                Err(fault) => return Err(fault.map(|failure| report.failed(failure))),
            }
            let frame = Frame {
                part: Some(index),
                parameters: None,
            };
            match self.steps(&plan.ready, &frame, Some(&report)).await {
                Ok(()) => report.done(),
                Err(fault) => return Err(fault.map(|failure| report.failed(failure))),
            }
        }
        Ok(())
    }

    async fn start(&self, index: usize, plan: &PartPlan) -> Result<(), Fault> {
        for dependency in &plan.depends_on {
            // Parts start in an order in which those depended on come first, each ready before the next is started.
            if dependency.condition == DependencyCondition::Completed {
                self.wait_completed(&dependency.part).await?;
            }
        }
        for (name, command) in &plan.dynamic {
            let value = self.dynamic_variable(index, plan, name, command).await?;
            self.define(&[name], value);
        }
        let scope = self.scope(Some(index), &Frame::default());
        let spec = spec(plan, &scope)?;
        let part = self
            .group
            .start(spec)
            .await
            .map_err(|error| not_started(&error))?;
        self.started(index, part);
        Ok(())
    }

    async fn wait_completed(&self, name: &str) -> Result<(), Fault> {
        let found = self
            .plans
            .iter()
            .position(|plan| plan.name == name)
            .and_then(|index| self.part(index));
        let Some(part) = found else {
            return Err(Fault::errored(format!(
                "`{name}` has not been started, and this part waits for its end"
            )));
        };
        // The test's deadline bounds it: it cancels the whole attempt.
        let status = part.wait().await;
        if status.success() {
            return Ok(());
        }
        let failure = Failure::new(format!(
            "`{name}` {}, and this part waits for it to end well",
            ended(status)
        ))
        .mismatch("", "exited with code 0", status.to_string());
        Err(Failure {
            logs: tails(part),
            ..failure
        }
        .into())
    }

    /// Runs a dynamic variable's command where the part is going to run, and takes what it prints.
    async fn dynamic_variable(
        &self,
        index: usize,
        plan: &PartPlan,
        name: &str,
        command: &str,
    ) -> Result<Json, Fault> {
        let mut spec = PartSpec::new(format!("{}.{name}", plan.name), ["sh", "-c", command]);
        spec.inherit_env.clone_from(&plan.inherit_env);
        let scope = self.scope(Some(index), &Frame::default());
        for (variable, value) in &plan.env {
            // A variable that is made of dynamic ones is not known to their commands.
            if let Ok(value) = value.render(&scope) {
                spec.env.insert(variable.clone(), value.into());
            }
        }
        let errored = |what: String| Fault::errored(format!("the dynamic variable {name} {what}"));
        let part = self
            .group
            .start(spec)
            .await
            .map_err(|error| errored(format!("cannot be had: {}", causes(&error))))?;
        let ended = Deadline::after(self.stage.settings().scaled(DYNAMIC_TIMEOUT))
            .bound(part.wait())
            .await;
        let with_logs = |fault: Fault| {
            fault.map(|failure| Failure {
                logs: tails(&part),
                ..failure
            })
        };
        match ended {
            Ok(status) if status.success() => {}
            Ok(status) => return Err(with_logs(errored(format!("has no value: its command {status}")))),
            Err(_) => {
                return Err(with_logs(errored(
                    "has no value: its command does not end".to_owned(),
                )));
            }
        }
        let output = std::fs::read(part.logs().path(environment::Stream::Stdout))
            .map_err(|error| errored(format!("cannot be read: {error}")))?;
        match String::from_utf8_lossy(&output).trim() {
            "" => Err(with_logs(errored(format!(
                "has no value: `{command}` printed nothing"
            )))),
            value => Ok(value.into()),
        }
    }
}

/// Why a part was not started. Where its program was looked for is long, and so a note.
fn not_started(error: &StartError) -> Fault {
    match error {
        StartError::ProgramNotFound {
            part,
            program,
            where_looked,
        } => {
            let failure = Failure::new(format!(
                "failed to start `{part}`: there is no program `{program}`"
            ));
            let note = (!where_looked.is_empty()).then(|| format!("it was looked for {where_looked}"));
            Fault::Errored(Box::new(Failure {
                notes: note.into_iter().collect(),
                ..failure
            }))
        }
        error => Fault::errored(format!("failed to {}", causes(error))),
    }
}

fn spec(plan: &PartPlan, scope: &Scope) -> Result<PartSpec, Fault> {
    let Some(command) = &plan.command else {
        return Err(Fault::errored(format!(
            "`{}` has no `command`, which a host process needs",
            plan.name
        )));
    };
    let mut spec = PartSpec::new(&plan.name, words(command, scope)?);
    spec.env = variables(plan, scope)?;
    spec.inherit_env.clone_from(&plan.inherit_env);
    spec.working_dir = plan
        .working_dir
        .as_ref()
        .map(|dir| dir.render(scope))
        .transpose()?
        .map(PathBuf::from);
    for file in &plan.files {
        spec.files.push(self::file(file, scope)?);
    }
    if let Some(signal) = Signal::from_number(plan.stop_signal.0) {
        spec.stop_signal = signal;
    }
    spec.stop_grace = plan.grace;
    spec.log_bytes_max = plan.log_limit.0;
    Ok(spec)
}

fn variables(plan: &PartPlan, scope: &Scope) -> Result<BTreeMap<String, OsString>, Fault> {
    let render = |(name, value): (&String, &crate::template::Templated<String>)| {
        Ok((name.clone(), value.render(scope)?.into()))
    };
    plan.env.iter().map(render).collect()
}

fn file(file: &FilePlan, scope: &Scope) -> Result<FileSpec, Fault> {
    let content = match &file.content {
        FileContent::Inline(text) => environment::FileContent::Bytes(text.render(scope)?.into_bytes()),
        FileContent::Json(data) => {
            let text = serde_json::to_vec_pretty(&data.render(scope)?);
            environment::FileContent::Bytes(text.map_err(|error| Fault::errored(error.to_string()))?)
        }
        FileContent::Copy(path) => environment::FileContent::CopyOf(path.clone()),
        FileContent::Render(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Fault::errored(format!("`{}` cannot be read: {error}", path.display())))?;
            let origin = Origin {
                file: SourceFile::new(path, text.clone()),
                span: Span::default(),
            };
            environment::FileContent::Bytes(scope.render(&text, &origin)?.into_bytes())
        }
    };
    Ok(FileSpec {
        path: file.path.render(scope)?.into(),
        content,
        mode: file.mode.map(|mode| mode.0),
    })
}
