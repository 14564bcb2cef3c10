//! Steps about a part's process: `process_stable_for`, `exits`, `signal`, `restart`.

use std::time::Duration;

use seatrial_engine::{Deadline, Failure};
use seatrial_environment::{ExitStatus, Part, Signal};
use tokio::time::Instant;

use super::context::{Fault, Output, StepContext, causes, ended};
use super::wait::tails;
use crate::{
    scalar,
    vocabulary::{Exits, ProcessStableFor, Restart, SendSignal},
};

/// Watches the part for the whole time.
///
/// # Errors
///
/// When it ends before.
pub(crate) async fn stable_for(step: &ProcessStableFor, context: &StepContext<'_>) -> Result<Output, Fault> {
    let part = context.part()?;
    let span = step.duration.render(context.scope)?;
    let began = Instant::now();
    let process = part.main_pid();
    match Deadline::after(span).bound(part.wait()).await {
        // A step beside this one may have restarted it between two looks.
        Err(_) if part.main_pid() != process => Err(Failure {
            waited: Some(began.elapsed()),
            logs: tails(part),
            ..Failure::new(format!(
                "`{}` was restarted before the time was over",
                part.name()
            ))
        }
        .into()),
        Err(_) => Ok(Output::none()),
        Ok(status) => {
            let after = began.elapsed();
            Err(Failure {
                waited: Some(after),
                logs: tails(part),
                ..Failure::new(match after < Duration::from_millis(1) {
                    true => format!("`{}` had already ended: it {}", part.name(), ended(status)),
                    false => format!("`{}` {} before the time was over", part.name(), ended(status)),
                })
                .mismatch("", format!("running for {span:?}"), status.to_string())
            }
            .into())
        }
    }
}

/// Waits for the part to end.
///
/// # Errors
///
/// When it is still running after the time, or ended in another way.
pub(crate) async fn exits(step: &Exits, context: &StepContext<'_>) -> Result<Output, Fault> {
    let part = context.part()?;
    let code = step
        .code
        .as_ref()
        .map(|code| code.render(context.scope))
        .transpose()?;
    let signal = step
        .signal
        .as_ref()
        .map(|signal| signal.render(context.scope))
        .transpose()?;
    let wanted = match (code, signal) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => format!("killed by {signal}"),
        (None, None) => "ended in any way".to_owned(),
    };
    let began = Instant::now();
    context.report.saw("still running");
    let failure = match Deadline::after(context.timeout).bound(part.wait()).await {
        Ok(status) if as_wanted(status, code, signal) => return Ok(output(status)),
        Ok(status) => Failure::new(format!("`{}` {}", part.name(), ended(status))).mismatch(
            "",
            wanted,
            status.to_string(),
        ),
        Err(_) => {
            Failure::new(format!("`{}` has not ended", part.name())).mismatch("", wanted, "still running")
        }
    };
    Err(Failure {
        waited: Some(began.elapsed()),
        logs: tails(part),
        ..failure
    }
    .into())
}

fn as_wanted(status: ExitStatus, code: Option<i32>, signal: Option<scalar::Signal>) -> bool {
    code.is_none_or(|code| status.code() == Some(code))
        && signal.is_none_or(|signal| status.signal().map(Signal::number) == Some(signal.0))
}

fn output(status: ExitStatus) -> Output {
    let mut output = Output::none();
    if let Some(code) = status.code() {
        output = output.with("code", code);
    }
    if let Some(signal) = status.signal() {
        output = output.with("signal", signal.to_string());
    }
    output
}

/// Sends a signal to the part's first process.
///
/// # Errors
///
/// When it is not running.
pub(crate) async fn signal(step: &SendSignal, context: &StepContext<'_>) -> Result<Output, Fault> {
    let part = context.part()?;
    let signal = step.signal.render(context.scope)?;
    match part.try_status() {
        Some(status) => {
            let (name, how) = (part.name(), ended(status));
            let failure = Failure::new(format!("`{name}` cannot be sent {signal}: it {how}"));
            Err(Failure {
                logs: tails(part),
                ..failure
            }
            .into())
        }
        None => part
            .signal(known(signal)?)
            .await
            .map(|()| Output::none())
            .map_err(|error| Fault::errored(causes(&error))),
    }
}

fn known(signal: scalar::Signal) -> Result<Signal, Fault> {
    Signal::from_number(signal.0)
        .ok_or_else(|| Fault::errored(format!("{signal} is no signal of this system")))
}

/// Stops the part, with another signal than its own if one is given, and starts it again. The part's `ready:` is for
/// the caller.
///
/// # Errors
///
/// *Errored* when it cannot be stopped or started.
pub(crate) async fn restart(step: &Restart, context: &StepContext<'_>) -> Result<Output, Fault> {
    let part: &Part = context.part()?;
    let errored = |error: &dyn std::error::Error| Fault::errored(causes(error));
    if let Some(signal) = &step.signal {
        let signal = known(signal.render(context.scope)?)?;
        // It may have ended by itself: then there is nothing to stop.
        if part.try_status().is_none() && part.signal(signal).await.is_ok() {
            let grace = Deadline::after(context.timeout);
            if grace.bound(part.wait()).await.is_err() {
                let message = format!("`{}` did not end after {signal}", part.name());
                let failure = Failure {
                    waited: Some(context.timeout),
                    logs: tails(part),
                    ..Failure::new(message)
                };
                return Err(failure.into());
            }
        }
    }
    match Deadline::after(context.timeout).bound(part.restart()).await {
        Ok(restarted) => restarted
            .map(|()| Output::none())
            .map_err(|error| errored(&error)),
        Err(_) => {
            let failure = Failure::new(format!("`{}` was not stopped and started in time", part.name()));
            Err(Failure {
                waited: Some(context.timeout),
                logs: tails(part),
                ..failure
            }
            .into())
        }
    }
}
