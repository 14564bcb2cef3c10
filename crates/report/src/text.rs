//! Lines of text, one per passing test, everything about those that did not pass.
//!
//! [`Lines`] makes the text and knows no terminal; [`TextReporter`] sends it somewhere, and so does the
//! terminal's reporter, which keeps its live lines below. Text is gathered and written when no further event
//! waits: ten thousand tests are some hundred writes, and a person sees each line at once.

use std::{collections::HashMap, io::Write, sync::Arc, time::Duration};

use seatrial_engine::{
    Event, EventKind, NoticeLevel, ReportError, Reporter, StepOutcome, StopReason, TestOutcome, Verdict,
};

use crate::{
    failure::{self, Around},
    foreign::{clean, in_a_line},
    ink::{Color, Ink},
    page::{Page, counted, ink_of},
    span::Span,
    state::State,
    status, summary,
};

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// `-q`: what is bad, and the summary.
    Quiet,
    /// A line per test.
    #[default]
    Normal,
    /// `-v`: steps as they happen.
    Verbose,
}

/// How text looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextOptions {
    /// Coloured or not.
    pub color: Color,
    /// How much is told.
    pub verbosity: Verbosity,
}

/// Writes lines of text: for files, pipes, CI systems and terminals that can do no more.
pub struct TextReporter<W> {
    state: State,
    lines: Lines,
    pending: String,
    out: W,
}

impl<W: Write + Send> TextReporter<W> {
    /// Enough to be worth a write while further events wait.
    const PENDING_MAX: usize = 64 * 1024;

    /// Writes to `out`, which needs no buffer of its own.
    pub fn new(out: W, options: TextOptions) -> Self {
        Self {
            state: State::default(),
            lines: Lines::new(options),
            pending: String::new(),
            out,
        }
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

impl<W: Write + Send> Reporter for TextReporter<W> {
    fn name(&self) -> &str {
        "text"
    }

    fn event(&mut self, event: &Event) -> Result<(), ReportError> {
        self.state.on(event);
        self.lines.on(event, &self.state, &mut self.pending);
        if self.pending.len() >= Self::PENDING_MAX || self.state.finished {
            self.write()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ReportError> {
        self.write()
    }
}

/// Makes the text of each event.
pub(crate) struct Lines {
    options: TextOptions,
    /// Where fixtures are built without live lines below, they give a sign of life now and then.
    tells_progress: bool,
    progress_told: HashMap<Arc<str>, Duration>,
}

impl Lines {
    /// The pause between two lines about the progress of one fixture.
    const PROGRESS_EVERY: Duration = Duration::from_secs(5);

    pub(crate) fn new(options: TextOptions) -> Self {
        Self {
            options,
            tells_progress: true,
            progress_told: HashMap::new(),
        }
    }

    /// For where progress is seen in live lines.
    pub(crate) fn without_progress(mut self) -> Self {
        self.tells_progress = false;
        self
    }

    /// Adds what there is to say about an event; `state` has taken note of it already.
    pub(crate) fn on(&mut self, event: &Event, state: &State, out: &mut String) {
        let color = self.options.color;
        let page = &mut Page { out, color };
        let (normal, verbose) = (
            self.options.verbosity >= Verbosity::Normal,
            self.options.verbosity >= Verbosity::Verbose,
        );
        match &event.kind {
            EventKind::RunStarted(info) if normal => {
                let mut suites: Vec<&str> = info.tests.iter().map(|test| test.suite.as_str()).collect();
                suites.sort_unstable();
                suites.dedup();
                let mut text = format!(
                    "{} in {}, {}",
                    counted(info.tests.len(), "test"),
                    counted(suites.len(), "suite"),
                    counted(info.slots, "slot"),
                );
                if let Some(seed) = info.seed {
                    text.push_str(&format!(", shuffled with seed {seed}"));
                }
                if info.deselected > 0 {
                    text.push_str(&format!(" ({} not selected)", info.deselected));
                }
                page.line(Ink::Strong, "running", None, text);
            }
            EventKind::Notice { level, text } => match level {
                NoticeLevel::Warning => page.line(Ink::Warning, "warning", None, clean(text)),
                NoticeLevel::Info if normal => page.line(Ink::Dim, "note", None, clean(text)),
                NoticeLevel::Detail if verbose => page.line(Ink::Dim, "note", None, clean(text)),
                NoticeLevel::Info | NoticeLevel::Detail => {}
            },
            EventKind::RequirementUnmet { name, unmet } if verbose => {
                let help = unmet
                    .help
                    .iter()
                    .map(|help| format!(" ({help})"))
                    .collect::<String>();
                page.line(
                    Ink::Dim,
                    "unmet",
                    None,
                    clean(&format!("{name}: {}{help}", unmet.reason)),
                );
            }
            EventKind::FixtureStarted { fixture } if normal && self.tells_progress => {
                page.line(Ink::Active, "building", None, format_args!("fixture {fixture}"));
            }
            EventKind::FixtureProgress { fixture, text } if normal && self.tells_progress => {
                let told = self.progress_told.get(fixture);
                if verbose || told.is_none_or(|at| event.elapsed.saturating_sub(*at) >= Self::PROGRESS_EVERY)
                {
                    self.progress_told.insert(fixture.clone(), event.elapsed);
                    let text = format!("fixture {fixture}: {}", clean(text));
                    page.line(Ink::Active, "building", None, text);
                }
            }
            EventKind::FixtureReady { fixture, took } if normal => {
                page.line(Ink::Good, "ready", Some(*took), format_args!("fixture {fixture}"));
            }
            EventKind::FixtureFailed {
                fixture,
                took,
                failure,
            } => {
                page.line(Ink::Bad, "failed", Some(*took), format_args!("fixture {fixture}"));
                failure::write(page, failure, &Around::default());
            }
            EventKind::FixtureStopped { fixture, took } if verbose => {
                page.line(
                    Ink::Dim,
                    "stopped",
                    Some(*took),
                    format_args!("fixture {fixture}"),
                );
            }
            EventKind::TestStarted { test, attempt } if verbose => {
                let again = match attempt {
                    0 | 1 => String::new(),
                    _ => format!(" (attempt {attempt})"),
                };
                let name = page.name(&state.name(*test));
                page.line(Ink::Dim, "start", None, format_args!("{name}{again}"));
            }
            EventKind::StepStarted {
                test, parent, name, ..
            } if verbose => {
                let around = parent.and_then(|parent| {
                    let running = state.running.get(test)?;
                    let step = running.steps.iter().find(|step| step.index == parent)?;
                    Some(format!("{} > ", clean(&running.path(step))))
                });
                let (test, around) = (page.name(&state.name(*test)), around.unwrap_or_default());
                page.line(
                    Ink::Dim,
                    "step",
                    None,
                    format_args!("{test}: {around}{}", clean(name)),
                );
            }
            EventKind::StepFinished {
                test, outcome, took, ..
            } if verbose => {
                let (ink, word, message) = match outcome {
                    StepOutcome::Done => (Ink::Dim, "done", None),
                    StepOutcome::NotNeeded => (Ink::Dim, "left out", None),
                    StepOutcome::Failed { message } => (Ink::Bad, "failed", Some(message)),
                    StepOutcome::Interrupted => (Ink::Warning, "cut off", None),
                };
                let test = page.name(&state.name(*test));
                let message = message
                    .map(|text| format!(": {}", in_a_line(text)))
                    .unwrap_or_default();
                let text = format!("{test}: {}{message}", clean(&state.ended_step));
                page.line(ink, word, Some(*took), text);
            }
            EventKind::PartEnded { test, usage } if verbose => {
                let mut text = format!(
                    "{}: part {} ended, {}",
                    page.name(&state.name(*test)),
                    usage.part,
                    usage.exit
                );
                if let Some(cpu) = usage.cpu_time {
                    text.push_str(&format!(", {} CPU", Span(cpu)));
                }
                if let Some(bytes) = usage.rss_bytes_max {
                    text.push_str(&format!(", {:.1} MiB", bytes as f64 / f64::from(1 << 20)));
                }
                page.line(Ink::Dim, "part", None, text);
            }
            EventKind::TestSlow { test, elapsed } if normal => {
                let mut text = page.name(&state.name(*test));
                if let Some(running) = state.running.get(test) {
                    text.push_str(&status::steps(running, state.elapsed));
                }
                page.line(Ink::Warning, "slow", Some(*elapsed), text);
            }
            EventKind::TestStopping { test, why, grace } if verbose => {
                let why = match why {
                    StopReason::Deadline => "its deadline struck",
                    StopReason::Interrupted => "interrupted",
                    StopReason::FailFast => "another one failed",
                };
                let name = page.name(&state.name(*test));
                let text = format!("{name}: {why}, it has {} to clean up", Span(*grace));
                page.line(Ink::Warning, "stopping", None, text);
            }
            EventKind::Breakpoint { test, step, look } => {
                let name = page.name(&state.name(*test));
                let text = format!("{name} stands before {}", clean(step));
                page.line(Ink::Strong, "break", None, text);
                for line in look {
                    page.below("", clean(line));
                }
                page.below_in(Some(Ink::Strong), "", "press Enter to go on");
            }
            EventKind::AttemptFailed {
                test,
                attempt,
                verdict,
                failure,
                took,
            } if normal => {
                let name = page.name(&state.name(*test));
                let why = in_a_line(&failure.message);
                let text = format!("{name}: attempt {attempt} {}, {why}", was(*verdict));
                page.line(Ink::Warning, "retry", Some(*took), text);
            }
            EventKind::TestFinished(outcome) => self.test_finished(page, outcome, state),
            EventKind::Kept { test, how } => {
                page.line(Ink::Warning, "kept", None, page.name(&state.name(*test)));
                for line in how {
                    page.below("", clean(line));
                }
            }
            EventKind::Stopping { why, running } => {
                let why = match why {
                    StopReason::Deadline => "the deadline struck",
                    StopReason::Interrupted => "interrupted",
                    StopReason::FailFast => "fail-fast",
                };
                let mut text = why.to_owned();
                if *running > 0 {
                    text.push_str(&format!(
                        "; waiting for {} to clean up",
                        counted(*running, "test")
                    ));
                    text.push_str(", Ctrl-C ends them at once");
                }
                page.line(Ink::Warning, "stopping", None, text);
            }
            EventKind::StatusAsked => status::write(page, state),
            EventKind::InternalError { text } => {
                page.line(
                    Ink::Bad,
                    "errored",
                    None,
                    format_args!("seatrial itself: {}", clean(text)),
                );
            }
            EventKind::RunFinished(run) => summary::write(page, state, run),
            _ => {}
        }
    }

    fn test_finished(&self, page: &mut Page<'_>, outcome: &TestOutcome, state: &State) {
        let quiet = self.options.verbosity == Verbosity::Quiet;
        if quiet && !outcome.verdict.is_bad() {
            return;
        }
        let verdict = outcome.verdict;
        let mut text = page.name(&state.name(outcome.test));
        let took = (outcome.attempts > 0).then_some(outcome.took);
        if outcome.attempts > 1 {
            text.push_str(&match verdict {
                Verdict::Flaky => format!(" (passed at attempt {})", outcome.attempts),
                _ => format!(" ({} attempts)", outcome.attempts),
            });
        }
        if let Some(reason) = &outcome.reason {
            text.push_str(&format!(": {}", in_a_line(reason)));
        }
        let word = verdict.to_string();
        let Some(failure) = &outcome.failure else {
            page.line(ink_of(verdict), &word, took, text);
            return;
        };
        if let Some(fixture) = state.fixture_of(failure) {
            text.push_str(&format!(": fixture {fixture} failed"));
            page.line(ink_of(verdict), &word, took, text);
            return;
        }
        page.line(ink_of(verdict), &word, took, text);
        let around = Around {
            log_dir: outcome.log_dir.as_deref(),
            rerun: state.rerun(outcome.test),
        };
        failure::write(page, failure, &around);
    }
}

/// A verdict in a sentence about what came before.
fn was(verdict: Verdict) -> String {
    match verdict {
        Verdict::Failed => "failed".into(),
        other => other.to_string(),
    }
}
