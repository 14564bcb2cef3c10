//! The lines of libtest, which `cargo test`'s readers (people, nextest, editors, CI systems) know.
//!
//! What libtest has no word for is told with the words that it has: errored and timed out are `FAILED`, flaky is
//! `ok`, a skip is `ignored` with its reason. Captured output is replaced by what the failure tells.

use std::{collections::BTreeMap, io::Write, sync::Arc};

use seatrial_engine::{Event, EventKind, NoticeLevel, ReportError, Reporter, RunInfo, TestOutcome, Verdict};

use crate::{
    failure::{self, Around},
    foreign::{clean, in_a_line},
    ink::{Color, Ink},
    page::{Page, counted},
    state::quoted_for_shell,
};

/// How many characters stand in a line of the terse form.
const TERSE_LINE: usize = 88;

/// How libtest's lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LibtestOptions {
    /// Coloured or not.
    pub color: Color,
    /// A character per test, as with `--quiet`.
    pub is_terse: bool,
}

/// Writes what libtest would write.
pub struct LibtestReporter<W> {
    options: LibtestOptions,
    info: Arc<RunInfo>,
    failed: Vec<TestOutcome>,
    counts: BTreeMap<Outcome, usize>,
    done: usize,
    /// The last line consists of characters for tests, and has no end yet.
    in_signs: bool,
    pending: String,
    out: W,
}

/// The words of libtest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Passed,
    Failed,
    Ignored,
}

impl<W: Write + Send> LibtestReporter<W> {
    /// Writes to `out`, which needs no buffer of its own.
    pub fn new(out: W, options: LibtestOptions) -> Self {
        Self {
            options,
            info: Arc::default(),
            failed: Vec::new(),
            counts: BTreeMap::new(),
            done: 0,
            in_signs: false,
            pending: String::new(),
            out,
        }
    }

    /// A line of its own, also where characters for tests stand already.
    fn line(&mut self, text: &str) {
        if self.in_signs {
            self.in_signs = false;
            self.pending.push('\n');
        }
        self.pending.push_str(text);
        self.pending.push('\n');
    }

    fn name(&self, outcome: &TestOutcome) -> String {
        let test = self.info.tests.get(outcome.test.0 as usize);
        test.map_or_else(String::new, |test| match test.iteration {
            0 => clean(&test.name).into_owned(),
            iteration => format!("{} (iteration {iteration})", clean(&test.name)),
        })
    }

    fn test_finished(&mut self, outcome: &TestOutcome) {
        let (kind, ink, word, sign) = match outcome.verdict {
            Verdict::Passed | Verdict::Flaky => (Outcome::Passed, Ink::Good, "ok", '.'),
            Verdict::Skipped => (Outcome::Ignored, Ink::Warning, "ignored", 'i'),
            Verdict::Failed | Verdict::Errored | Verdict::TimedOut | Verdict::Cancelled => {
                (Outcome::Failed, Ink::Bad, "FAILED", 'F')
            }
        };
        *self.counts.entry(kind).or_default() += 1;
        self.done += 1;
        if kind == Outcome::Failed {
            self.failed.push(outcome.clone());
        }
        let color = self.options.color;
        if self.options.is_terse {
            self.pending.push_str(&color.paint(ink, sign).to_string());
            self.in_signs = true;
            if self.done.is_multiple_of(TERSE_LINE) {
                self.in_signs = false;
                self.line(&format!(" {}/{}", self.done, self.info.tests.len()));
            }
            return;
        }
        let reason = match (&outcome.reason, outcome.verdict) {
            (Some(reason), Verdict::Skipped) => {
                // Here the word for it stands before the comma already.
                let reason = reason.strip_prefix("ignored: ").unwrap_or(reason);
                format!(", {}", in_a_line(reason))
            }
            (_, Verdict::Flaky) => format!(" (flaky: passed at attempt {})", outcome.attempts),
            (_, Verdict::Errored | Verdict::TimedOut | Verdict::Cancelled) => {
                format!(" ({})", outcome.verdict)
            }
            _ => String::new(),
        };
        let word = color.paint(ink, word);
        self.line(&format!("test {} ... {word}{reason}", self.name(outcome)));
    }

    fn finish(&mut self, run: &seatrial_engine::RunSummary) {
        let failed = std::mem::take(&mut self.failed);
        if !failed.is_empty() {
            self.line("\nfailures:\n");
            for outcome in &failed {
                self.failure(outcome);
            }
            self.line("failures:");
            for outcome in &failed {
                self.line(&format!("    {}", self.name(outcome)));
            }
        }
        let color = self.options.color;
        let is_good = failed.is_empty() && !run.interrupted && !run.internal_error;
        let word = if is_good {
            color.paint(Ink::Good, "ok")
        } else {
            color.paint(Ink::Bad, "FAILED")
        };
        let count = |outcome| self.counts.get(&outcome).copied().unwrap_or_default();
        let text = format!(
            "\ntest result: {word}. {} passed; {} failed; {} ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
            count(Outcome::Passed),
            count(Outcome::Failed),
            count(Outcome::Ignored),
            self.info.deselected,
            run.took.as_secs_f64(),
        );
        self.line(&text);
    }

    fn failure(&mut self, outcome: &TestOutcome) {
        let name = self.name(outcome);
        self.line(&format!("---- {name} stdout ----"));
        match &outcome.failure {
            Some(failure) => {
                let rerun = self.info.rerun.as_ref();
                let around = Around {
                    log_dir: outcome.log_dir.as_deref(),
                    rerun: rerun.map(|command| format!("{command} {}", quoted_for_shell(&name))),
                };
                let page = &mut Page {
                    out: &mut self.pending,
                    color: self.options.color,
                };
                failure::write(page, failure, &around);
            }
            None => self.line(&outcome.verdict.to_string()),
        }
        self.line("");
    }

    fn write(&mut self) -> Result<(), ReportError> {
        if !self.pending.is_empty() {
            let written = self.out.write_all(self.pending.as_bytes());
            self.pending.clear();
            written?;
            self.out.flush()?;
        }
        Ok(())
    }
}

impl<W: Write + Send> Reporter for LibtestReporter<W> {
    fn name(&self) -> &str {
        "libtest"
    }

    fn event(&mut self, event: &Event) -> Result<(), ReportError> {
        match &event.kind {
            EventKind::RunStarted(info) => {
                self.info = info.clone();
                let text = format!("\nrunning {}", counted(info.tests.len(), "test"));
                self.line(&text);
            }
            EventKind::TestFinished(outcome) => self.test_finished(outcome),
            EventKind::FixtureFailed { fixture, failure, .. } => {
                self.line(&format!("fixture {fixture} failed"));
                let page = &mut Page {
                    out: &mut self.pending,
                    color: self.options.color,
                };
                failure::write(page, failure, &Around::default());
            }
            EventKind::Notice {
                level: NoticeLevel::Warning,
                text,
            }
            | EventKind::InternalError { text } => self.line(&format!("note: {}", clean(text))),
            EventKind::Kept { test: _, how } => {
                for line in how {
                    self.line(&format!("note: {}", clean(line)));
                }
            }
            EventKind::RunFinished(run) => {
                self.finish(run);
                self.write()?;
            }
            _ => {}
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ReportError> {
        self.write()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{everything, play};

    #[track_caller]
    fn shown(is_terse: bool) -> String {
        let mut out = Vec::new();
        let options = LibtestOptions {
            color: Color::Never,
            is_terse,
        };
        play(&mut LibtestReporter::new(&mut out, options), &everything());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_lines_are_libtests() {
        insta::assert_snapshot!(shown(false));
    }

    #[test]
    fn quiet_is_a_character_per_test() {
        let text = shown(true);
        let signs: Vec<&str> = text
            .lines()
            .filter(|line| !line.is_empty() && line.chars().all(|sign| ".Fi".contains(sign)))
            .collect();
        assert_eq!(signs, ["iii..F", "FFFF"], "{text}");
    }
}
