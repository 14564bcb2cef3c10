//! Lines of text, one per passing test, everything about those that did not pass.
//!
//! [`Lines`] makes the text and knows no terminal; [`TextReporter`] sends it somewhere, and so does the
//! terminal's reporter, which keeps its live lines below. Text is gathered for some milliseconds:
//! ten thousand tests are a hundred writes, and a person sees each line at once.

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
                let text = format!("{name}: attempt {attempt} {verdict}, {why}");
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
                    text.push_str("; once more ends them at once");
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
        let verdict = outcome.verdict;
        let is_told = match self.options.verbosity {
            Verbosity::Quiet => verdict.is_bad(),
            // What was kept from starting is only counted: after Ctrl-C that may be thousands.
            Verbosity::Normal => verdict != Verdict::Cancelled || outcome.attempts > 0,
            Verbosity::Verbose => true,
        };
        if !is_told {
            return;
        }
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
        // Of a test that never started there is no more than why: its fixture's failure was told already.
        let (in_line, below) = match &outcome.failure {
            Some(failure) if failure::is_bare(failure) && outcome.attempts == 0 => (Some(failure), None),
            Some(failure) if failure::is_bare(failure) && verdict == Verdict::Cancelled => (None, None),
            other => (None, other.as_deref()),
        };
        if let Some(failure) = in_line {
            text.push_str(&format!(": {}", in_a_line(&failure.message)));
        }
        page.line(ink_of(verdict), &verdict.to_string(), took, text);
        if let Some(failure) = below {
            let around = Around {
                log_dir: outcome.log_dir.as_deref(),
                rerun: state.rerun(outcome.test),
            };
            failure::write(page, failure, &around);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{Script, everything, ms, play};

    #[track_caller]
    fn shown(events: &[Event], verbosity: Verbosity) -> String {
        let mut out = Vec::new();
        let options = TextOptions {
            color: Color::Never,
            verbosity,
        };
        play(&mut TextReporter::new(&mut out, options), events);
        let shown = String::from_utf8(out).unwrap();
        assert!(!shown.contains('\x1b'), "{shown}");
        assert!(!shown.lines().any(|line| line.ends_with(' ')), "{shown}");
        shown
    }

    #[test]
    fn a_run_with_every_kind_of_ending() {
        insta::assert_snapshot!(shown(&everything(), Verbosity::Normal), @r#"
          running          10 tests in 2 suites, 2 slots
          skipped          tour/docker: needs docker: no daemon answers (install docker.io)
          skipped          tour/image: needs docker: no daemon answers (install docker.io)
          skipped          tour/root: needs root: this is user 1000
         building          fixture nats/broker
           passed   0.12s  tour/exec
         building          fixture nats/broker: compiling 12/80
            retry   0.50s  tour/flaky: attempt 1 failed, the port is not open
            flaky   0.90s  tour/flaky (passed at attempt 2)
                      why  the port is not open
                     logs  /state/runs/default/run1/logs/tour/flaky
                    again  seatrial run examples -t tour/flaky
           failed   0.01s  tour/panic
                      why  it panicked: assertion `left == right` failed
                             left: 1
                            right: 2
                       at  tests/it/main.rs:40
                     logs  /state/runs/default/run1/logs/tour/panic
                    again  seatrial run examples -t tour/panic
           failed   2.03s  fixture nats/broker
                      why  nats-server did not listen
                   waited  1.00s
          errored          nats/publish: its fixture nats/broker could not be built
          errored          nats/subscribe: its fixture nats/broker could not be built
           failed   3.04s  tour/http
                      why  gave up waiting for the answer to be as expected
                     step  parallel > http_check /health
                       at  tour/http.yaml:14
                 expected  status: 200
                     seen  status: 503
                 expected  body .state: "ready"
                     seen  body .state: "starting"
                   waited  3.00s
                  history   0.00s  connection refused (12 times, until 0.55s)
                            0.60s  status = 503, body .state = "starting"
            target stdout  listening on 127.0.0.1:4321
                           GET /health 503
                      log  the-sidecar-that-collects stderr:
                           (empty)
                     note  the target still runs
                     logs  /state/runs/default/run1/logs/tour/http
                    again  seatrial run examples -t tour/http
             slow  30.00s  tour/slow: parallel > log_contains started, for 31.01s, last saw 120 lines, none matches
        timed out   1m01s  tour/slow
                      why  its deadline of 60s struck in this step
                     step  parallel > log_contains started
                last seen  120 lines, none matches
                   waited  59.90s
                     logs  /state/runs/default/run1/logs/tour/slow
                    again  seatrial run examples -t tour/slow

          skipped          2 tests: needs docker: no daemon answers (install docker.io)
          skipped          1 test: needs root: this is user 1000
            flaky   0.90s  tour/flaky: passed at attempt 2
           failed   0.01s  tour/panic: it panicked: assertion `left == right` failed
          errored          nats/publish: its fixture nats/broker could not be built
          errored          nats/subscribe: its fixture nats/broker could not be built
           failed   3.04s  tour/http: gave up waiting for the answer to be as expected
        timed out   1m01s  tour/slow: its deadline of 60s struck in this step
         finished   1m03s  10 tests: 1 passed, 1 flaky, 2 failed, 2 errored, 1 timed out, 3 skipped
        "#);
    }

    #[test]
    fn quiet_is_what_is_bad_and_the_summary() {
        insta::assert_snapshot!(shown(&everything(), Verbosity::Quiet), @r#"
           failed   0.01s  tour/panic
                      why  it panicked: assertion `left == right` failed
                             left: 1
                            right: 2
                       at  tests/it/main.rs:40
                     logs  /state/runs/default/run1/logs/tour/panic
                    again  seatrial run examples -t tour/panic
           failed   2.03s  fixture nats/broker
                      why  nats-server did not listen
                   waited  1.00s
          errored          nats/publish: its fixture nats/broker could not be built
          errored          nats/subscribe: its fixture nats/broker could not be built
           failed   3.04s  tour/http
                      why  gave up waiting for the answer to be as expected
                     step  parallel > http_check /health
                       at  tour/http.yaml:14
                 expected  status: 200
                     seen  status: 503
                 expected  body .state: "ready"
                     seen  body .state: "starting"
                   waited  3.00s
                  history   0.00s  connection refused (12 times, until 0.55s)
                            0.60s  status = 503, body .state = "starting"
            target stdout  listening on 127.0.0.1:4321
                           GET /health 503
                      log  the-sidecar-that-collects stderr:
                           (empty)
                     note  the target still runs
                     logs  /state/runs/default/run1/logs/tour/http
                    again  seatrial run examples -t tour/http
        timed out   1m01s  tour/slow
                      why  its deadline of 60s struck in this step
                     step  parallel > log_contains started
                last seen  120 lines, none matches
                   waited  59.90s
                     logs  /state/runs/default/run1/logs/tour/slow
                    again  seatrial run examples -t tour/slow

          skipped          2 tests: needs docker: no daemon answers (install docker.io)
          skipped          1 test: needs root: this is user 1000
            flaky   0.90s  tour/flaky: passed at attempt 2
           failed   0.01s  tour/panic: it panicked: assertion `left == right` failed
          errored          nats/publish: its fixture nats/broker could not be built
          errored          nats/subscribe: its fixture nats/broker could not be built
           failed   3.04s  tour/http: gave up waiting for the answer to be as expected
        timed out   1m01s  tour/slow: its deadline of 60s struck in this step
         finished   1m03s  10 tests: 1 passed, 1 flaky, 2 failed, 2 errored, 1 timed out, 3 skipped
        "#);
    }

    #[test]
    fn verbose_is_steps_as_they_happen() {
        let mut script = Script::of(&["tour/http"]);
        script.start("tour/http").step("tour/http", 0, None, "parallel");
        script
            .step("tour/http", 1, Some(0), "port_listening 80/tcp")
            .after(50);
        script.step_done("tour/http", 1, StepOutcome::Done, 50);
        script.step("tour/http", 2, Some(0), "exec ls");
        let message = "exit code 1".to_owned();
        script.step_done("tour/http", 2, StepOutcome::Failed { message }, 10);
        script.step_done("tour/http", 0, StepOutcome::Interrupted, 60);
        let test = script.index("tour/http");
        script.tell(EventKind::PartEnded {
            test,
            usage: seatrial_engine::PartUsage {
                part: "target".into(),
                exit: "signal SIGTERM".into(),
                rss_bytes_max: Some(3 << 20),
                cpu_time: Some(ms(20)),
            },
        });
        script.finish("tour/http", Verdict::Failed, None);
        insta::assert_snapshot!(shown(&script.end(), Verbosity::Verbose), @r"
         running          1 test in 1 suite, 2 slots
           start          tour/http
            step          tour/http: parallel
            step          tour/http: parallel > port_listening 80/tcp
            done   0.05s  tour/http: parallel > port_listening 80/tcp
            step          tour/http: parallel > exec ls
          failed   0.01s  tour/http: parallel > exec ls: exit code 1
         cut off   0.06s  tour/http: parallel
            part          tour/http: part target ended, signal SIGTERM, 0.02s CPU, 3.0 MiB
          failed   0.05s  tour/http

          failed   0.05s  tour/http
        finished   0.05s  1 test: 1 failed
        ");
    }

    #[test]
    fn status_breakpoint_kept_and_an_end_by_ctrl_c() {
        let mut script = Script::of(&["tour/http", "tour/exec", "tour/late"]);
        script.tell(EventKind::FixtureStarted {
            fixture: "tour/broker".into(),
        });
        script.tell(EventKind::FixtureProgress {
            fixture: "tour/broker".into(),
            text: "pulling\tlayers".into(),
        });
        script
            .start("tour/http")
            .after(100)
            .step("tour/http", 0, None, "parallel");
        script.step("tour/http", 1, Some(0), "http_check /health");
        script.step("tour/http", 2, Some(0), "log_contains up");
        script
            .saw("tour/http", 1, "status = 503")
            .start("tour/exec")
            .after(2_900);
        script.tell(EventKind::StatusAsked);
        let (http, exec) = (script.index("tour/http"), script.index("tour/exec"));
        script.tell(EventKind::Breakpoint {
            test: exec,
            step: "exec true".into(),
            look: vec!["cd /tmp/tour-exec".into(), "curl 127.0.0.1:4321".into()],
        });
        script.tell(EventKind::Stopping {
            why: StopReason::Interrupted,
            running: 2,
        });
        script.tell(EventKind::Kept {
            test: http,
            how: vec![
                "ls /tmp/tour-http".into(),
                "seatrial reap --kept x   # removes it".into(),
            ],
        });
        let cancelled = || Some(seatrial_engine::Failure::new("it was cancelled"));
        script.finish("tour/http", Verdict::Cancelled, cancelled());
        script.finish("tour/exec", Verdict::Cancelled, cancelled());
        script.finish("tour/late", Verdict::Cancelled, None);
        insta::assert_snapshot!(shown(&script.end(), Verbosity::Normal), @r"
          running          3 tests in 1 suite, 2 slots
         building          fixture tour/broker
         building          fixture tour/broker: pulling	layers
             done   3.00s  0 of 3 tests
         building   3.00s  fixture tour/broker: pulling layers
          running   3.00s  tour/http: parallel > http_check /health, for 2.90s, last saw status = 503; parallel > log_contains up, for 2.90s
          running   2.90s  tour/exec
            break          tour/exec stands before exec true
                           cd /tmp/tour-exec
                           curl 127.0.0.1:4321
                           press Enter to go on
         stopping          interrupted; waiting for 2 tests to clean up; once more ends them at once
             kept          tour/http
                           ls /tmp/tour-http
                           seatrial reap --kept x   # removes it
        cancelled   3.00s  tour/http
        cancelled   2.90s  tour/exec

          stopped   3.00s  3 tests: 3 cancelled
        ");
    }

    #[test]
    fn text_waits_for_the_flush_and_then_goes_out_in_one_write() {
        struct Counting(Vec<usize>);
        impl Write for &mut Counting {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.push(bytes.len());
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut out = Counting(Vec::new());
        let mut script = Script::of(&["a/b"]);
        script.start("a/b").finish("a/b", Verdict::Passed, None);
        play(
            &mut TextReporter::new(&mut out, TextOptions::default()),
            &script.events,
        );
        assert_eq!(out.0.len(), 1);
    }
}
