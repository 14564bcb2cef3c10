//! From a step's kind to what does it.

use seatrial_engine::BoxFuture;

use super::{Fault, Output, StepContext, exec, file, http, log, port, process, send, sleep};
use crate::vocabulary::StepKind;

/// Executes a step that has no steps of its own.
///
/// # Errors
///
/// What the step says.
pub(crate) fn execute<'a>(
    kind: &'a StepKind,
    context: &'a StepContext<'a>,
) -> BoxFuture<'a, Result<Output, Fault>> {
    match kind {
        StepKind::ProcessStableFor(step) => Box::pin(process::stable_for(step, context)),
        StepKind::Exits(step) => Box::pin(process::exits(step, context)),
        StepKind::PortListening(step) => Box::pin(port::listening(step, context)),
        StepKind::LogContains(step) => Box::pin(log::contains(step, context)),
        StepKind::LogNotContains(step) => Box::pin(log::not_contains(step, context)),
        StepKind::HttpCheck(step) => Box::pin(http::check(step, context)),
        StepKind::FileContains(step) => Box::pin(file::contains(step, context)),
        StepKind::Exec(step) => Box::pin(exec::exec(step, context)),
        StepKind::Send(step) => Box::pin(send::send(step, context)),
        StepKind::SendSignal(step) => Box::pin(process::signal(step, context)),
        StepKind::Restart(step) => Box::pin(process::restart(step, context)),
        StepKind::WriteFile(step) => Box::pin(file::write(step, context)),
        StepKind::Sleep(step) => Box::pin(sleep::sleep(step, context)),
        StepKind::Parallel(_) | StepKind::Defined(_) | StepKind::Unserved(_) => Box::pin(async {
            Err(Fault::errored(format!(
                "`{}` is made of other steps",
                kind.name()
            )))
        }),
    }
}
