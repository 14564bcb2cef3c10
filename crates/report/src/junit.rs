//! JUnit XML, which every CI system reads: a test suite per suite, a test case per test.
//!
//! The file is written in one go when the run ends, however it ends, and renamed into place, so that no reader
//! finds half of one. What JUnit has no word for: timed out is a failure of that type, cancelled is skipped, flaky
//! is a success with its failed attempts beside it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestRerun, TestSuite};
use seatrial_engine::{
    Event, EventKind, Failure, ReportError, Reporter, RunInfo, TestIndex, TestOutcome, Verdict,
};

use crate::failure::{self, Around};

/// Writes a JUnit XML file.
pub struct JunitReporter {
    path: PathBuf,
    run: Arc<RunInfo>,
    outcomes: BTreeMap<TestIndex, TestOutcome>,
    attempts: BTreeMap<TestIndex, Vec<Attempt>>,
    fixtures: Vec<(Arc<str>, Arc<Failure>)>,
    elapsed: Duration,
    is_written: bool,
}

/// An attempt that was followed by another.
struct Attempt {
    verdict: Verdict,
    failure: Arc<Failure>,
    took: Duration,
}

impl JunitReporter {
    /// Will write this file; its directory is made with it.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            run: Arc::default(),
            outcomes: BTreeMap::new(),
            attempts: BTreeMap::new(),
            fixtures: Vec::new(),
            elapsed: Duration::ZERO,
            is_written: false,
        }
    }

    fn write(&mut self) -> Result<(), ReportError> {
        self.is_written = true;
        if let Some(dir) = self.path.parent() {
            fs::create_dir_all(dir)?;
        }
        let mut unfinished = self.path.clone().into_os_string();
        unfinished.push(".tmp");
        let unfinished = Path::new(&unfinished);
        let written = fs::write(unfinished, self.report().to_string()?)
            .and_then(|()| fs::rename(unfinished, &self.path));
        if written.is_err() {
            let _ = fs::remove_file(unfinished);
        }
        Ok(written?)
    }

    fn report(&self) -> Report {
        let mut suites: Vec<TestSuite> = Vec::new();
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        let mut times: Vec<Duration> = Vec::new();
        for (test, outcome) in &self.outcomes {
            let Some(info) = self.run.tests.get(test.0 as usize) else {
                continue;
            };
            let place = *places.entry(info.suite.as_str()).or_insert_with(|| {
                suites.push(TestSuite::new(info.suite.as_str()));
                times.push(Duration::ZERO);
                suites.len() - 1
            });
            times[place] += outcome.took;
            suites[place].add_test_case(self.case(outcome, info));
        }
        for (suite, time) in suites.iter_mut().zip(times) {
            suite.set_time(time);
        }
        let mut report = Report::new(format!("seatrial {}", self.run.id));
        report.set_time(self.elapsed);
        report.add_test_suites(suites);
        report
    }

    fn case(&self, outcome: &TestOutcome, info: &seatrial_engine::TestInfo) -> TestCase {
        let attempts = self
            .attempts
            .get(&outcome.test)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let mut status = match outcome.verdict {
            Verdict::Passed | Verdict::Flaky => TestCaseStatus::success(),
            Verdict::Failed | Verdict::TimedOut => TestCaseStatus::non_success(NonSuccessKind::Failure),
            Verdict::Errored => TestCaseStatus::non_success(NonSuccessKind::Error),
            Verdict::Cancelled | Verdict::Skipped => TestCaseStatus::skipped(),
        };
        match (outcome.verdict, &outcome.reason, &outcome.failure) {
            (Verdict::Passed | Verdict::Flaky, ..) => {}
            (Verdict::Skipped, Some(reason), _) => {
                status.set_message(reason);
            }
            (verdict, _, Some(failure)) => {
                status.set_type(verdict.as_str());
                status.set_message(&failure.message);
                status.set_description(self.description(failure));
            }
            (verdict, ..) => {
                status.set_type(verdict.as_str());
                status.set_message(verdict.to_string());
            }
        }
        for attempt in attempts {
            let mut rerun = TestRerun::new(match attempt.verdict {
                Verdict::Errored => NonSuccessKind::Error,
                _ => NonSuccessKind::Failure,
            });
            rerun.set_type(attempt.verdict.as_str());
            rerun.set_message(&attempt.failure.message);
            rerun.set_description(self.description(&attempt.failure));
            rerun.set_time(attempt.took);
            if let Some(logs) = logs(&attempt.failure) {
                rerun.set_system_out(logs);
            }
            status.add_rerun(rerun);
        }
        let name = info.name.strip_prefix(info.suite.as_str()).unwrap_or(&info.name);
        let name = name.strip_prefix('/').unwrap_or(name);
        let mut case = match info.iteration {
            0 => TestCase::new(name, status),
            iteration => TestCase::new(format!("{name} #{iteration}"), status),
        };
        case.set_classname(info.suite.as_str());
        case.set_time(outcome.took);
        if let Some(location) = &info.location {
            let file = location.file.display().to_string();
            case.extra.insert("file".into(), file.as_str().into());
            case.extra.insert("line".into(), location.line.to_string().into());
        }
        for (key, value) in &info.labels {
            case.add_property((key.as_str(), value.as_str()));
        }
        let bad = outcome.failure.as_ref().filter(|_| outcome.verdict.is_bad());
        if let Some(logs) = bad.and_then(|failure| logs(failure)) {
            case.set_system_out(logs);
        }
        case
    }

    /// The whole failure; where it is its fixture's, that one's too, because here nothing else tells of it.
    fn description(&self, failure: &Failure) -> String {
        let mut text = failure::in_text(failure, &Around::default());
        if failure::is_bare(failure) {
            for (fixture, why) in &self.fixtures {
                if failure.message.contains(&**fixture) {
                    text.push_str(&format!("\nfixture {fixture}\n"));
                    text.push_str(&failure::in_text(why, &Around::default()));
                }
            }
        }
        text
    }
}

/// The last lines of all logs.
fn logs(failure: &Failure) -> Option<String> {
    let logs: Vec<String> = failure
        .logs
        .iter()
        .map(|log| format!("[{}]\n{}\n", log.source, log.lines.join("\n")))
        .collect();
    (!logs.is_empty()).then(|| logs.concat())
}

impl Reporter for JunitReporter {
    fn name(&self) -> &str {
        "junit"
    }

    fn event(&mut self, event: &Event) -> Result<(), ReportError> {
        self.elapsed = event.elapsed;
        match &event.kind {
            EventKind::RunStarted(run) => self.run = run.clone(),
            EventKind::FixtureFailed { fixture, failure, .. } => {
                self.fixtures.push((fixture.clone(), failure.clone()));
            }
            EventKind::AttemptFailed {
                test,
                attempt: _,
                verdict,
                failure,
                took,
            } => self.attempts.entry(*test).or_default().push(Attempt {
                verdict: *verdict,
                failure: failure.clone(),
                took: *took,
            }),
            EventKind::TestFinished(outcome) => {
                self.outcomes.insert(outcome.test, outcome.clone());
            }
            EventKind::RunFinished(_) => self.write()?,
            _ => {}
        }
        Ok(())
    }
}

/// A run that broke off is told as far as it came.
impl Drop for JunitReporter {
    fn drop(&mut self) {
        if !self.is_written && !self.run.tests.is_empty() {
            // Nobody is left to tell.
            let _ = self.write();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{Script, everything, play};

    fn written(events: &[Event]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reports/junit.xml");
        play(&mut JunitReporter::new(&path), events);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_run_with_every_kind_of_ending() {
        insta::assert_snapshot!(written(&everything()), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="seatrial run1" tests="10" skipped="3" failures="3" errors="2" time="63.040">
            <testsuite name="tour" tests="8" skipped="3" errors="0" failures="3" time="65.080">
                <testcase name="exec" classname="tour" time="0.120" file="tour/exec.yaml" line="1">
                    <properties>
                        <property name="speed" value="fast"/>
                    </properties>
                </testcase>
                <testcase name="http" classname="tour" time="3.040" file="tour/http.yaml" line="2">
                    <properties>
                        <property name="speed" value="fast"/>
                    </properties>
                    <failure message="gave up waiting for the answer to be as expected" type="failed">          why  gave up waiting for the answer to be as expected
                 step  parallel &gt; http_check /health
                   at  tour/http.yaml:14
             expected  status: 200
                 seen  status: 503
             expected  body .state: &quot;ready&quot;
                 seen  body .state: &quot;starting&quot;
               waited  3.00s
              history   0.00s  connection refused (12 times, until 0.55s)
                        0.60s  status = 503, body .state = &quot;starting&quot;
        target stdout  listening on 127.0.0.1:4321
                       GET /health 503
                  log  the-sidecar-that-collects stderr:
                       (empty)
                 note  the target still runs
        </failure>
                    <system-out>[target stdout]
        listening on 127.0.0.1:4321
        GET /health 503
        [the-sidecar-that-collects stderr]

        </system-out>
                </testcase>
                <testcase name="flaky" classname="tour" time="0.900" file="tour/flaky.yaml" line="3">
                    <properties>
                        <property name="speed" value="fast"/>
                    </properties>
                    <flakyFailure time="0.500" message="the port is not open" type="failed">why  the port is not open
        </flakyFailure>
                </testcase>
                <testcase name="slow" classname="tour" time="61.010" file="tour/slow.yaml" line="4">
                    <properties>
                        <property name="speed" value="fast"/>
                    </properties>
                    <failure message="its deadline of 60s struck in this step" type="timed_out">      why  its deadline of 60s struck in this step
             step  parallel &gt; log_contains started
        last seen  120 lines, none matches
           waited  59.90s
        </failure>
                </testcase>
                <testcase name="panic" classname="tour" time="0.010" file="tour/panic.yaml" line="5">
                    <properties>
                        <property name="speed" value="fast"/>
                    </properties>
                    <failure message="it panicked: assertion `left == right` failed
          left: 1
         right: 2" type="failed">why  it panicked: assertion `left == right` failed
               left: 1
              right: 2
         at  tests/it/main.rs:40
        </failure>
                </testcase>
                <testcase name="docker" classname="tour" time="0.000" file="tour/docker.yaml" line="8">
                    <properties>
                        <property name="speed" value="fast"/>
                    </properties>
                    <skipped message="needs docker: no daemon answers (install docker.io)"/>
                </testcase>
                <testcase name="image" classname="tour" time="0.000" file="tour/image.yaml" line="9">
                    <properties>
                        <property name="speed" value="fast"/>
                    </properties>
                    <skipped message="needs docker: no daemon answers (install docker.io)"/>
                </testcase>
                <testcase name="root" classname="tour" time="0.000" file="tour/root.yaml" line="10">
                    <properties>
                        <property name="speed" value="fast"/>
                    </properties>
                    <skipped message="needs root: this is user 1000"/>
                </testcase>
            </testsuite>
            <testsuite name="nats" tests="2" skipped="0" errors="2" failures="0" time="0.000">
                <testcase name="publish" classname="nats" time="0.000" file="nats/publish.yaml" line="6">
                    <properties>
                        <property name="speed" value="fast"/>
                    </properties>
                    <error message="its fixture nats/broker could not be built" type="errored">why  its fixture nats/broker could not be built

        fixture nats/broker
           why  nats-server did not listen
        waited  1.00s
        </error>
                </testcase>
                <testcase name="subscribe" classname="nats" time="0.000" file="nats/subscribe.yaml" line="7">
                    <properties>
                        <property name="speed" value="fast"/>
                    </properties>
                    <error message="its fixture nats/broker could not be built" type="errored">why  its fixture nats/broker could not be built

        fixture nats/broker
           why  nats-server did not listen
        waited  1.00s
        </error>
                </testcase>
            </testsuite>
        </testsuites>
        "#);
    }

    #[test]
    fn what_is_written_is_junit_for_its_own_reader() {
        let report = Report::deserialize_from_str(&written(&everything())).unwrap();
        assert_eq!(
            (report.tests, report.failures, report.errors, report.skipped),
            (10, 3, 2, 3)
        );
    }

    #[test]
    fn a_run_that_breaks_off_is_written_as_far_as_it_came() {
        let mut script = Script::of(&["a/one", "a/two"]);
        script
            .start("a/one")
            .finish("a/one", Verdict::Passed, None)
            .start("a/two");
        let report = Report::deserialize_from_str(&written(&script.events)).unwrap();
        assert_eq!(report.tests, 1);
    }
}
