//! What is going on right now, for `t` and SIGUSR1: what runs, in which step, for how long, what it saw last.

use std::time::Duration;

use crate::{
    foreign::in_a_line,
    ink::Ink,
    page::{Page, counted},
    span::Span,
    state::{Running, State},
};

/// Writes what is going on.
pub(crate) fn write(page: &mut Page<'_>, state: &State) {
    let total = state.info.tests.len();
    let text = format!("{} of {}", state.done, counted(total, "test"));
    page.line(Ink::Strong, "done", Some(state.elapsed), text);
    for building in &state.building {
        let took = state.elapsed.saturating_sub(building.since);
        let progress = building
            .progress
            .as_deref()
            .map(|text| format!(": {}", in_a_line(text)));
        let text = format!("fixture {}{}", building.fixture, progress.unwrap_or_default());
        page.line(Ink::Active, "building", Some(took), text);
    }
    for (test, running) in &state.running {
        let took = state.elapsed.saturating_sub(running.since);
        let text = format!(
            "{}{}",
            page.name(&state.name(*test)),
            steps(running, state.elapsed)
        );
        page.line(Ink::Active, "running", Some(took), text);
    }
    if state.building.is_empty() && state.running.is_empty() {
        page.below("", "nothing is running");
    }
}

/// Where a test stands: `: http_check /health, for 2.90s, last saw status = 503`.
pub(crate) fn steps(running: &Running, now: Duration) -> String {
    let mut text = String::new();
    if running.attempt > 1 {
        text.push_str(&format!(" (attempt {})", running.attempt));
    }
    if running.stopping.is_some() {
        text.push_str(": cleaning up");
    }
    if let Some(step) = &running.breakpoint {
        text.push_str(&format!(
            ": stands before {}, press Enter to go on",
            in_a_line(step)
        ));
    }
    for (index, step) in running.innermost().enumerate() {
        text.push_str(if index == 0 { ": " } else { "; " });
        text.push_str(&in_a_line(&running.path(step)));
        text.push_str(&format!(", for {}", Span(now.saturating_sub(step.since))));
        if let Some(seen) = &step.seen {
            text.push_str(&format!(", last saw {}", in_a_line(seen)));
        }
    }
    text
}
