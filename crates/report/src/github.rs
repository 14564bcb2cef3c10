//! GitHub Actions: an annotation at the line of each test that did not pass, and a summary of the job.
//!
//! The runner of GitHub reads commands (`::error file=...`) from the output, and a target's log that is shown in a
//! failure could hold some. So commands are switched off for the length of the run, with a word that nobody
//! can guess, and all annotations come at its end.
//!
//! Rules: <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>.

use std::{
    collections::BTreeMap,
    fs::File,
    hash::{BuildHasher, RandomState},
    io::Write,
    path::{Path, PathBuf},
};

use seatrial_engine::{
    Diagnostic, Event, EventKind, ReportError, Reporter, RunSummary, Severity, SourceLocation, TestOutcome,
    Verdict,
};

use crate::{
    failure::{self, Around},
    foreign::{clean, in_a_line},
    page::counted,
    span::Span,
    state::State,
};

/// Where things are in a job.
#[derive(Clone, Debug, Default)]
pub struct GithubOptions {
    /// The checkout, `GITHUB_WORKSPACE`: files are named relative to it.
    pub workspace: Option<PathBuf>,
    /// The directory that seatrial runs in: locations are relative to it.
    pub directory: PathBuf,
    /// The file for the summary, `GITHUB_STEP_SUMMARY`; it is appended to.
    pub summary: Option<PathBuf>,
}

/// Writes annotations to the output, and the summary to its file.
pub struct GithubReporter<W: Write> {
    options: GithubOptions,
    state: State,
    fixtures: Vec<String>,
    /// Switches commands on again.
    word: String,
    /// The end of the run, until it is told.
    ended: Option<RunSummary>,
    is_over: bool,
    out: W,
}

/// So many failures are spelled out in the summary: GitHub shows 1 MiB of it.
const SPELLED_OUT_MAX: usize = 50;

impl<W: Write + Send> GithubReporter<W> {
    /// Writes to `out`, the standard output of the step.
    pub fn new(out: W, options: GithubOptions) -> Self {
        // The standard library seeds it from the system's random numbers.
        let random = || RandomState::new().hash_one(0_u8);
        Self {
            options,
            state: State::default(),
            fixtures: Vec::new(),
            word: format!("seatrial-{:016x}{:016x}", random(), random()),
            ended: None,
            is_over: false,
            out,
        }
    }

    fn annotations(&self) -> String {
        let mut out = String::new();
        for fixture in &self.fixtures {
            out.push_str(fixture);
        }
        for outcome in &self.state.notable {
            let name = self.state.name(outcome.test);
            let failure = outcome.failure.as_deref();
            let location = failure
                .and_then(|failure| failure.location.as_ref())
                .or_else(|| self.state.test(outcome.test)?.location.as_ref());
            let level = if outcome.verdict.is_bad() {
                "error"
            } else {
                "warning"
            };
            let title = format!("{name} {}", outcome.verdict);
            let text = failure.map_or_else(|| title.clone(), |f| failure::in_text(f, &Around::default()));
            out.push_str(&command(level, self.options.place(location), &title, &text));
        }
        out
    }

    fn summary(&self, run: &RunSummary) -> String {
        let counts: Vec<String> = Verdict::ALL
            .into_iter()
            .filter(|verdict| run.count(*verdict) > 0)
            .map(|verdict| format!("{} {verdict}", run.count(verdict)))
            .collect();
        let sign = match (run.has_bad() || run.internal_error, run.interrupted) {
            (true, _) => "❌",
            (false, true) => "⚠️",
            (false, false) => "✅",
        };
        let mut out = format!(
            "### {sign} seatrial: {} in {}\n\n{}\n\n",
            counted(run.total(), "test"),
            Span(run.took),
            counts.join(", ")
        );
        for outcome in self.state.notable.iter().take(SPELLED_OUT_MAX) {
            out.push_str(&self.details(outcome));
        }
        let left_out = self.state.notable.len().saturating_sub(SPELLED_OUT_MAX);
        if left_out > 0 {
            out.push_str(&format!("... and {left_out} more\n\n"));
        }
        let skipped = self.state.skipped.by_count();
        if !skipped.is_empty() {
            out.push_str("| skipped | because |\n|---:|---|\n");
            for (reason, count) in skipped {
                out.push_str(&format!("| {count} | {} |\n", in_markdown(reason)));
            }
            out.push('\n');
        }
        out
    }

    fn details(&self, outcome: &TestOutcome) -> String {
        let name = in_markdown(&self.state.name(outcome.test));
        let head = format!("{name}: {}, {}", outcome.verdict, Span(outcome.took));
        let Some(failure) = &outcome.failure else {
            return format!("- {head}\n\n");
        };
        let around = Around {
            log_dir: None,
            rerun: self.state.rerun(outcome.test),
        };
        let text = failure::in_text(failure, &around);
        let fence = "`".repeat(longest_run_of_backticks(&text).max(2) + 1);
        format!("<details><summary>{head}</summary>\n\n{fence}text\n{text}{fence}\n</details>\n\n")
    }

    fn finish(&mut self, run: &RunSummary) -> Result<(), ReportError> {
        self.is_over = true;
        let annotations = format!("::{}::\n{}", self.word, self.annotations());
        self.out.write_all(annotations.as_bytes())?;
        self.out.flush()?;
        if let Some(path) = &self.options.summary {
            let mut file = File::options().create(true).append(true).open(path)?;
            file.write_all(self.summary(run).as_bytes())?;
        }
        Ok(())
    }
}

impl<W: Write + Send> Reporter for GithubReporter<W> {
    fn name(&self) -> &str {
        "github"
    }

    fn event(&mut self, event: &Event) -> Result<(), ReportError> {
        self.state.on(event);
        match &event.kind {
            EventKind::RunStarted(_) => {
                writeln!(self.out, "::stop-commands::{}", self.word)?;
                self.out.flush()?;
            }
            EventKind::FixtureFailed { fixture, failure, .. } => {
                let place = self.options.place(failure.location.as_ref());
                let title = format!("fixture {fixture} failed");
                let text = failure::in_text(failure, &Around::default());
                self.fixtures.push(command("error", place, &title, &text));
            }
            // Told with the flush: until then others may write what a target has said.
            EventKind::RunFinished(run) => self.ended = Some(run.clone()),
            _ => {}
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ReportError> {
        match self.ended.take() {
            Some(run) => self.finish(&run),
            None => Ok(()),
        }
    }
}

/// The steps that follow must be able to use commands, however this one ended.
impl<W: Write> Drop for GithubReporter<W> {
    fn drop(&mut self) {
        if !self.is_over && !self.state.info.tests.is_empty() {
            let _ = writeln!(self.out, "::{}::", self.word);
        }
    }
}

/// Annotations for findings about files.
pub fn github_diagnostics(found: &[Diagnostic], options: &GithubOptions) -> String {
    let mut out = String::new();
    for diagnostic in found {
        let level = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let mut properties = BTreeMap::new();
        if let Some(place) = &diagnostic.place {
            let (line, column) = place.line_column();
            properties.insert("file", options.file(&place.file));
            properties.insert("line", line.to_string());
            properties.insert("col", column.to_string());
        }
        let help = diagnostic
            .help
            .iter()
            .map(|help| format!("\n{help}"))
            .collect::<String>();
        out.push_str(&command(
            level,
            properties,
            "seatrial",
            &format!("{}{help}", diagnostic.message),
        ));
    }
    out
}

impl GithubOptions {
    fn place(&self, location: Option<&SourceLocation>) -> BTreeMap<&'static str, String> {
        let mut properties = BTreeMap::new();
        if let Some(location) = location {
            properties.insert("file", self.file(&location.file));
            properties.insert("line", location.line.to_string());
        }
        properties
    }

    fn file(&self, file: &Path) -> String {
        let absolute = self.directory.join(file);
        let workspace = self.workspace.as_deref();
        match workspace.and_then(|workspace| absolute.strip_prefix(workspace).ok()) {
            Some(inside) => inside.display().to_string(),
            None => file.display().to_string(),
        }
    }
}

/// `::error file=a.yaml,line=3,title=a::text`
fn command(level: &str, mut properties: BTreeMap<&'static str, String>, title: &str, text: &str) -> String {
    properties.insert("title", in_a_line(title).into_owned());
    let properties: Vec<String> = properties
        .iter()
        .map(|(key, value)| format!("{key}={}", escaped(value).replace(':', "%3A").replace(',', "%2C")))
        .collect();
    // Shown in a proportional font, which knows no columns.
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let text = escaped(&clean(&lines.join("\n")));
    format!("::{level} {}::{text}\n", properties.join(","))
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A text in a cell or a line of Markdown, where nothing of it means anything.
fn in_markdown(text: &str) -> String {
    let mut out = String::new();
    for c in in_a_line(text).chars() {
        match c {
            // Entities mean the same inside HTML, where Markdown's backslash would be shown.
            '&' | '<' | '>' | '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '~' => {
                out.push_str(&format!("&#{};", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

fn longest_run_of_backticks(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use seatrial_engine::Failure;

    use super::*;
    use crate::script::{Script, everything, play};

    fn reported(events: &[Event]) -> (String, String) {
        let dir = tempfile::tempdir().unwrap();
        let summary = dir.path().join("summary.md");
        std::fs::write(&summary, "what was there\n\n").unwrap();
        let options = GithubOptions {
            workspace: Some("/repo".into()),
            directory: "/repo/examples".into(),
            summary: Some(summary.clone()),
        };
        let mut out = Vec::new();
        let mut reporter = GithubReporter::new(&mut out, options);
        let word = reporter.word.clone();
        play(&mut reporter, events);
        drop(reporter);
        let out = String::from_utf8(out).unwrap().replace(&word, "WORD");
        (out, std::fs::read_to_string(summary).unwrap())
    }

    #[test]
    fn annotations_stand_at_the_line_and_the_summary_tells_the_rest() {
        let (out, summary) = reported(&everything());
        insta::assert_snapshot!(out, @r#"
        ::stop-commands::WORD
        ::WORD::
        ::error title=fixture nats/broker failed::why  nats-server did not listen%0Awaited  1.00s
        ::warning file=examples/tour/flaky.yaml,line=3,title=tour/flaky flaky::why  the port is not open
        ::error file=examples/tests/it/main.rs,line=40,title=tour/panic failed::why  it panicked: assertion `left == right` failed%0Aleft: 1%0Aright: 2%0Aat  tests/it/main.rs:40
        ::error file=examples/nats/publish.yaml,line=6,title=nats/publish errored::why  its fixture nats/broker could not be built
        ::error file=examples/nats/subscribe.yaml,line=7,title=nats/subscribe errored::why  its fixture nats/broker could not be built
        ::error file=examples/tour/http.yaml,line=14,title=tour/http failed::why  gave up waiting for the answer to be as expected%0Astep  parallel > http_check /health%0Aat  tour/http.yaml:14%0Aexpected  status: 200%0Aseen  status: 503%0Aexpected  body .state: "ready"%0Aseen  body .state: "starting"%0Awaited  3.00s%0Ahistory   0.00s  connection refused (12 times, until 0.55s)%0A0.60s  status = 503, body .state = "starting"%0Atarget stdout  listening on 127.0.0.1:4321%0AGET /health 503%0Alog  the-sidecar-that-collects stderr:%0A(empty)%0Anote  the target still runs
        ::error file=examples/tour/slow.yaml,line=4,title=tour/slow timed out::why  its deadline of 60s struck in this step%0Astep  parallel > log_contains started%0Alast seen  120 lines, none matches%0Awaited  59.90s
        "#);
        insta::assert_snapshot!(summary, @r#"
        what was there

        ### ❌ seatrial: 10 tests in 1m03s

        1 passed, 1 flaky, 2 failed, 2 errored, 1 timed out, 3 skipped

        <details><summary>tour/flaky: flaky, 0.90s</summary>

        ```text
          why  the port is not open
        again  seatrial run examples -t tour/flaky
        ```
        </details>

        <details><summary>tour/panic: failed, 0.01s</summary>

        ```text
          why  it panicked: assertion `left == right` failed
                 left: 1
                right: 2
           at  tests/it/main.rs:40
        again  seatrial run examples -t tour/panic
        ```
        </details>

        <details><summary>nats/publish: errored, 0.00s</summary>

        ```text
          why  its fixture nats/broker could not be built
        again  seatrial run examples -t nats/publish
        ```
        </details>

        <details><summary>nats/subscribe: errored, 0.00s</summary>

        ```text
          why  its fixture nats/broker could not be built
        again  seatrial run examples -t nats/subscribe
        ```
        </details>

        <details><summary>tour/http: failed, 3.04s</summary>

        ```text
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
                again  seatrial run examples -t tour/http
        ```
        </details>

        <details><summary>tour/slow: timed out, 1m01s</summary>

        ```text
              why  its deadline of 60s struck in this step
             step  parallel > log_contains started
        last seen  120 lines, none matches
           waited  59.90s
            again  seatrial run examples -t tour/slow
        ```
        </details>

        | skipped | because |
        |---:|---|
        | 2 | needs docker: no daemon answers (install docker.io) |
        | 1 | needs root: this is user 1000 |
        "#);
    }

    #[test]
    fn no_text_ends_an_annotation_or_a_fence_early() {
        let mut script = Script::of(&["a/b,c: 100%"]);
        let failure = Failure::new("::set-env::x\n````\n</details>").mismatch("", "a|b", "<b>");
        script
            .start("a/b,c: 100%")
            .finish("a/b,c: 100%", Verdict::Failed, Some(failure));
        let (out, summary) = reported(&script.end());
        insta::assert_snapshot!(out, @r"
        ::stop-commands::WORD
        ::WORD::
        ::error file=examples/a/b%2Cc%3A 100%25.yaml,line=1,title=a/b%2Cc%3A 100%25 failed::why  ::set-env::x%0A````%0A</details>%0Aexpected  a|b%0Aseen  <b>
        ");
        insta::assert_snapshot!(summary, @r"
        what was there

        ### ❌ seatrial: 1 test in 0.00s

        1 failed

        <details><summary>a/b,c: 100%: failed, 0.00s</summary>

        `````text
             why  ::set-env::x
                  ````
                  </details>
        expected  a|b
            seen  <b>
           again  seatrial run examples -t 'a/b,c: 100%'
        `````
        </details>
        ");
    }

    #[test]
    fn a_run_that_breaks_off_gives_commands_back() {
        assert_eq!(
            reported(&Script::of(&["a/b"]).events).0,
            "::stop-commands::WORD\n::WORD::\n"
        );
    }

    #[test]
    fn findings_stand_at_their_column() {
        let source: Arc<str> = "name: x\ntimeout: soon\n".into();
        let found = [Diagnostic::error("not a span of time")
            .at("a.yaml", &source, 17..21)
            .help("such as 1m")];
        let options = GithubOptions::default();
        insta::assert_snapshot!(github_diagnostics(&found, &options), @"::error col=10,file=a.yaml,line=2,title=seatrial::not a span of time%0Asuch as 1m");
    }
}
