//! A failure spelled out below its test: what is wrong, where, what was expected and seen, for how long it
//! waited, what the target said last, and how to run just this test again.
//!
//! Whoever reads it has nothing else at hand, so everything is there; what could be endless is cut, and says
//! so, because the whole of it is in the log directory.

use std::{borrow::Cow, path::Path};

use seatrial_engine::{Failure, LogTail, Observation};

use crate::{
    foreign::clean,
    ink::{Color, Ink},
    page::Page,
    span::Span,
};

/// How many lines of one value or one log are shown.
const LINES_MAX: usize = 40;
/// How many characters of one line are shown.
const LINE_CHARS_MAX: usize = 2_000;

/// What is told with a failure but is not part of it.
#[derive(Debug, Default)]
pub(crate) struct Around<'a> {
    /// Where the test's logs lie.
    pub(crate) log_dir: Option<&'a Path>,
    /// The command that runs it again.
    pub(crate) rerun: Option<String>,
}

/// Writes a failure below its test.
pub(crate) fn write(page: &mut Page<'_>, failure: &Failure, around: &Around<'_>) {
    page.below_in(Some(Ink::Strong), "why", cut(&failure.message));
    if !failure.step.is_empty() {
        page.below("step", clean(&failure.step.join(" > ")));
    }
    if let Some(location) = &failure.location {
        page.below_in(Some(Ink::Place), "at", location);
    }
    for mismatch in &failure.mismatches {
        let with_field = |value: &str| match mismatch.field.as_str() {
            "" => cut(value).into_owned(),
            field if value.contains('\n') => format!("{}:\n{}", clean(field), cut(value)),
            field => format!("{}: {}", clean(field), cut(value)),
        };
        if mismatch.expected.is_empty() {
            let label = if mismatch.field.is_empty() {
                "seen"
            } else {
                mismatch.field.as_str()
            };
            page.below_in(Some(Ink::Bad), &clean(label), cut(&mismatch.seen));
        } else {
            page.below_in(Some(Ink::Good), "expected", with_field(&mismatch.expected));
            page.below_in(Some(Ink::Bad), "seen", with_field(&mismatch.seen));
        }
    }
    if let Some(waited) = failure.waited {
        page.below("waited", Span(waited));
    }
    let history: Vec<String> = failure.history.iter().map(observation).collect();
    if !history.is_empty() {
        page.below("history", history.join("\n"));
    }
    for log in &failure.logs {
        log_tail(page, log);
    }
    for note in &failure.notes {
        page.below("note", cut(note));
    }
    if let Some(dir) = around.log_dir {
        page.below_in(Some(Ink::Place), "logs", dir.display());
    }
    if let Some(rerun) = &around.rerun {
        page.below_in(Some(Ink::Place), "again", rerun);
    }
}

/// A failure as a text of its own, without colours.
pub(crate) fn in_text(failure: &Failure, around: &Around<'_>) -> String {
    let mut text = String::new();
    let color = Color::Never;
    write(
        &mut Page {
            out: &mut text,
            color,
        },
        failure,
        around,
    );
    let indent = text
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| line.len() - line.trim_start_matches(' ').len())
        .min()
        .unwrap_or(0);
    text.lines()
        .map(|line| format!("{}\n", line.get(indent..).unwrap_or_default()))
        .collect()
}

/// Whether there is no more to it than its message, in one line.
pub(crate) fn is_bare(failure: &Failure) -> bool {
    let Failure {
        message,
        step,
        location,
        mismatches,
        waited,
        history,
        logs,
        notes,
    } = failure;
    !message.contains('\n')
        && step.is_empty()
        && location.is_none()
        && mismatches.is_empty()
        && waited.is_none()
        && history.is_empty()
        && logs.is_empty()
        && notes.is_empty()
}

/// `0.60s  status = 503 (48 times, until 2.95s)`
fn observation(entry: &Observation) -> String {
    let seen = cut(&entry.seen);
    let mut line = format!("{:>6}  {}", Span(entry.first), seen.replace('\n', "\n        "));
    if entry.times > 1 {
        line.push_str(&format!(" ({} times, until {})", entry.times, Span(entry.last)));
    }
    line
}

fn log_tail(page: &mut Page<'_>, log: &LogTail) {
    let source = clean(&log.source);
    let mut lines = String::new();
    // Of a log the end counts.
    let left_out = log.lines.len().saturating_sub(LINES_MAX);
    if left_out > 0 {
        lines.push_str(&format!("... {left_out} lines before\n"));
    }
    for line in &log.lines[left_out..] {
        lines.push_str(&cut(line));
        lines.push('\n');
    }
    if log.lines.is_empty() {
        lines.push_str("(empty)");
    }
    if source.chars().count() <= "stderr of sidecar".len() {
        page.below(&source, lines);
    } else {
        page.below("log", format_args!("{source}:\n{lines}"));
    }
}

/// What can be shown of a text from outside: no control codes, not too many lines, none too long.
pub(crate) fn cut(text: &str) -> Cow<'_, str> {
    let text = clean(text);
    let too_long = |line: &str| line.len() > LINE_CHARS_MAX && line.chars().count() > LINE_CHARS_MAX;
    if text.lines().count() <= LINES_MAX && !text.lines().any(too_long) {
        return text;
    }
    let mut shown = Vec::new();
    for line in text.lines().take(LINES_MAX) {
        shown.push(if too_long(line) {
            let start: String = line.chars().take(LINE_CHARS_MAX).collect();
            format!(
                "{start}... {} more characters",
                line.chars().count() - LINE_CHARS_MAX
            )
        } else {
            line.to_owned()
        });
    }
    let left_out = text.lines().count().saturating_sub(LINES_MAX);
    if left_out > 0 {
        shown.push(format!("... {left_out} more lines"));
    }
    Cow::Owned(shown.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_endless_is_cut_and_says_so() {
        let many = "line\n".repeat(100);
        assert!(cut(&many).ends_with("line\n... 60 more lines"));
        let long = "é".repeat(3_000);
        assert!(cut(&long).ends_with("é... 1000 more characters"));
        assert!(matches!(cut("short"), Cow::Borrowed("short")));
    }
}
