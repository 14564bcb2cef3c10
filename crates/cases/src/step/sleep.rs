//! `sleep`: nothing happens, for a stated reason.

use seatrial_engine::Deadline;

use super::{Fault, Output, StepContext};
use crate::vocabulary::Sleep;

/// Lets time pass. The timeout multiplier does not stretch it: it is an action, not a deadline.
///
/// # Errors
///
/// When its duration or its reason cannot be rendered.
pub(crate) async fn sleep(step: &Sleep, context: &StepContext<'_>) -> Result<Output, Fault> {
    context.report.saw(&step.reason.render(context.scope)?);
    Deadline::after(step.duration.render(context.scope)?)
        .passed()
        .await;
    Ok(Output::none())
}
