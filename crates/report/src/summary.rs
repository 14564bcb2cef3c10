//! The end of a run: the bad ones by name again, why others were skipped, and the counts in the last line,
//! where people look first.

use seatrial_engine::{RunSummary, TestOutcome, Verdict};

use crate::{
    foreign::in_a_line,
    ink::Ink,
    page::{Page, counted, ink_of},
    state::State,
};

/// Writes the summary.
pub(crate) fn write(page: &mut Page<'_>, state: &State, run: &RunSummary) {
    page.gap();
    for (reason, count) in state.skipped.by_count() {
        let reason = in_a_line(reason);
        let text = format!("{}: {reason}", counted(*count, "test"));
        page.line(Ink::Warning, "skipped", None, text);
    }
    let (flaky, bad): (Vec<_>, Vec<_>) = state.notable.iter().partition(|o| o.verdict == Verdict::Flaky);
    for outcome in flaky.into_iter().chain(bad) {
        notable(page, state, outcome);
    }
    let mut text = format!("{}:", counted(run.total(), "test"));
    let mut separator = " ";
    for verdict in Verdict::ALL {
        let count = run.count(verdict);
        if count > 0 {
            let count = page.color.paint(ink_of(verdict), format!("{count} {verdict}"));
            text.push_str(&format!("{separator}{count}"));
            separator = ", ";
        }
    }
    if run.total() == 0 {
        text = "no tests".into();
    }
    let word = if run.interrupted { "stopped" } else { "finished" };
    let ink = if run.has_bad() || run.internal_error {
        Ink::Bad
    } else if run.interrupted {
        Ink::Warning
    } else {
        Ink::Good
    };
    page.line(ink, word, Some(run.took), text);
    if run.internal_error {
        page.line(Ink::Bad, "errored", None, "seatrial itself failed, see above");
    }
}

fn notable(page: &mut Page<'_>, state: &State, outcome: &TestOutcome) {
    let mut text = page.name(&state.name(outcome.test));
    if outcome.verdict == Verdict::Flaky {
        text.push_str(&format!(": passed at attempt {}", outcome.attempts));
    } else if let Some(failure) = &outcome.failure {
        text.push_str(&format!(": {}", shortened(&failure.message)));
    }
    let took = (outcome.attempts > 0).then_some(outcome.took);
    page.line(ink_of(outcome.verdict), &outcome.verdict.to_string(), took, text);
}

/// Enough of a message to recognize it; the whole of it stands above.
fn shortened(message: &str) -> String {
    const CHARS_MAX: usize = 100;
    let line = in_a_line(message.lines().next().unwrap_or_default());
    match line.char_indices().nth(CHARS_MAX) {
        Some((at, _)) => format!("{}...", line[..at].trim_end()),
        None => line.into_owned(),
    }
}
