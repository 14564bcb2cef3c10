//! The runner as those see it who write tests in Rust: tests go in, events and a summary come out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test tells what went wrong by panicking"
)]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use seatrial_engine::{
    BoxFuture, Control, Event, EventKind, Failure, Fixture, FixtureContext, FixtureValue, Keep, Order,
    Repeat, ReportError, Reporter, Requirement, RunSummary, Runner, Settings, Test, TestContext, TestError,
    TestResult, TestSpec, Unmet, Verdict, Weight,
};
use tokio::sync::{Barrier, mpsc};

type Body = dyn for<'a> Fn(&'a TestContext) -> BoxFuture<'a, TestResult> + Send + Sync;

struct Plain {
    spec: TestSpec,
    body: Box<Body>,
}

impl Test for Plain {
    fn spec(&self) -> &TestSpec {
        &self.spec
    }

    fn run<'a>(&'a self, context: &'a TestContext) -> BoxFuture<'a, TestResult> {
        (self.body)(context)
    }
}

fn test(
    spec: TestSpec,
    body: impl for<'a> Fn(&'a TestContext) -> BoxFuture<'a, TestResult> + Send + Sync + 'static,
) -> Arc<dyn Test> {
    Arc::new(Plain {
        spec,
        body: Box::new(body),
    })
}

fn named(name: &str) -> TestSpec {
    TestSpec::new("suite", name)
}

fn passing(name: &str) -> Arc<dyn Test> {
    test(named(name), |_| Box::pin(async { Ok(()) }))
}

/// Keeps all events.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<EventKind>>>);

impl Reporter for Seen {
    fn name(&self) -> &str {
        "seen"
    }

    fn event(&mut self, event: &Event) -> Result<(), ReportError> {
        self.0.lock().unwrap().push(event.kind.clone());
        Ok(())
    }
}

impl Seen {
    fn failure(&self) -> Arc<Failure> {
        let failures = self.each(|kind| match kind {
            EventKind::TestFinished(outcome) => outcome.failure.clone(),
            _ => None,
        });
        failures.into_iter().next().expect("a failure")
    }

    fn verdicts(&self) -> Vec<Verdict> {
        self.each(|kind| match kind {
            EventKind::TestFinished(outcome) => Some(outcome.verdict),
            _ => None,
        })
    }

    fn each<T>(&self, pick: impl Fn(&EventKind) -> Option<T>) -> Vec<T> {
        self.0.lock().unwrap().iter().filter_map(pick).collect()
    }
}

struct Run {
    summary: RunSummary,
    seen: Seen,
}

fn settings() -> Settings {
    let dir = tempfile::tempdir().expect("a temporary directory").keep();
    Settings {
        run_dir: dir.join("run"),
        state_dir: dir,
        slots: 4,
        ..Settings::default()
    }
}

async fn run(settings: Settings, tests: Vec<Arc<dyn Test>>) -> Run {
    let (_controls, receiver) = mpsc::unbounded_channel();
    run_controlled(settings, tests, receiver).await
}

async fn run_controlled(
    settings: Settings,
    tests: Vec<Arc<dyn Test>>,
    controls: mpsc::UnboundedReceiver<Control>,
) -> Run {
    let seen = Seen::default();
    let state_dir = settings.state_dir.clone();
    let runner = Runner::new(settings).with_reporter(Box::new(seen.clone()));
    let summary = runner.run(tests, controls).await;
    std::fs::remove_dir_all(state_dir).expect("the state directory can be removed");
    Run { summary, seen }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_failure_with_its_place_and_nobody_elses() {
    let tests = vec![
        test(named("panics"), |context| {
            Box::pin(async move {
                let _step = context.step("look at the answer");
                assert_eq!(6 * 7, 41, "the answer");
                Ok(())
            })
        }),
        passing("passes"),
    ];
    let run = run(settings(), tests).await;
    assert_eq!(
        (
            run.summary.count(Verdict::Failed),
            run.summary.count(Verdict::Passed)
        ),
        (1, 1)
    );
    let failure = run.seen.failure();
    assert!(failure.message.contains("the answer"), "{}", failure.message);
    assert_eq!(
        failure.location.as_ref().unwrap().file,
        std::path::Path::new(file!())
    );
    assert_eq!(failure.step, ["look at the answer"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_names_the_step_how_long_it_waited_and_what_it_saw_last() {
    let slow = TestSpec {
        timeout: Some(Duration::from_millis(60)),
        ..named("slow")
    };
    let tests = vec![test(slow, |context| {
        Box::pin(async move {
            context.step("start").done();
            let block = context.step("parallel");
            let waiting = context.step_at("port_listening 8125/udp", None, Some(&block));
            waiting.saw("nothing listens");
            waiting.saw("somebody else listens");
            context.token().cancelled().await;
            Ok(())
        })
    })];
    let run = run(settings(), tests).await;
    assert_eq!(run.seen.verdicts(), [Verdict::TimedOut]);
    let failure = run.seen.failure();
    assert_eq!(failure.step, ["parallel", "port_listening 8125/udp"]);
    assert_eq!(failure.mismatches[0].seen, "somebody else listens");
    assert!(failure.waited.unwrap() >= Duration::from_millis(50));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_strikes_while_a_test_takes_down_changes_nothing_of_its_verdict() {
    let tests = ["fails", "passes"].map(|name| {
        let spec = TestSpec {
            timeout: Some(Duration::from_millis(30)),
            ..named(name)
        };
        let passes = name == "passes";
        test(spec, move |context| {
            Box::pin(async move {
                let result = if passes {
                    Ok(())
                } else {
                    Err(Failure::new("its own reason").into())
                };
                context.judged(&result);
                // Taking down takes longer than the deadline allows, which is what is tested.
                tokio::time::sleep(Duration::from_millis(80)).await;
                result
            })
        })
    });
    let run = run(settings(), tests.into()).await;
    assert_eq!(
        (
            run.summary.count(Verdict::Failed),
            run.summary.count(Verdict::Passed)
        ),
        (1, 1)
    );
    let reasons = run.seen.each(|kind| match kind {
        EventKind::TestFinished(outcome) => outcome.failure.as_ref().map(|failure| failure.message.clone()),
        _ => None,
    });
    assert_eq!(reasons, ["its own reason"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_that_ignores_its_cancellation_is_abandoned_after_the_grace() {
    let stubborn = TestSpec {
        timeout: Some(Duration::from_millis(10)),
        ..named("stubborn")
    };
    let tests = vec![
        test(stubborn, |_| {
            Box::pin(async {
                std::future::pending::<()>().await;
                Ok(())
            })
        }),
        passing("other"),
    ];
    let settings = Settings {
        grace: Duration::from_millis(20),
        ..settings()
    };
    let run = run(settings, tests).await;
    assert_eq!(run.summary.count(Verdict::TimedOut), 1);
    assert!(
        run.seen
            .failure()
            .notes
            .iter()
            .any(|note| note.contains("abandoned"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_that_passes_at_the_second_try_is_flaky_and_keeps_its_first_failure() {
    let tries = Arc::new(AtomicUsize::new(0));
    let tests = vec![test(named("flaky"), move |_| {
        let first = tries.fetch_add(1, Ordering::SeqCst) == 0;
        Box::pin(async move {
            if first {
                Err(Failure::new("not yet").into())
            } else {
                Ok(())
            }
        })
    })];
    let run = run(
        Settings {
            retries: 2,
            ..settings()
        },
        tests,
    )
    .await;
    assert_eq!(run.seen.verdicts(), [Verdict::Flaky]);
    assert_eq!(run.seen.failure().message, "not yet");
    assert!(!run.summary.has_bad());
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_test_groups_and_alone_are_kept() {
    let running = Arc::new(AtomicUsize::new(0));
    let grouped = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let tests = (0..60)
        .map(|number| {
            let alone = number % 20 == 7;
            let group = number % 3 == 0;
            let spec = TestSpec {
                weight: if alone {
                    Weight::Alone
                } else {
                    Weight::Slots(1 + number % 2)
                },
                test_group: group.then(|| "db".to_owned()),
                ..named(&number.to_string())
            };
            let (running, grouped, most) = (running.clone(), grouped.clone(), most.clone());
            test(spec, move |_| {
                let (running, grouped, most) = (running.clone(), grouped.clone(), most.clone());
                Box::pin(async move {
                    let before = running.fetch_add(1, Ordering::SeqCst);
                    most.fetch_max(before + 1, Ordering::SeqCst);
                    let in_group = if group {
                        grouped.fetch_add(1, Ordering::SeqCst)
                    } else {
                        0
                    };
                    for _ in 0..10 {
                        tokio::task::yield_now().await;
                    }
                    let after = running.fetch_sub(1, Ordering::SeqCst);
                    if group {
                        grouped.fetch_sub(1, Ordering::SeqCst);
                    }
                    assert!(before < 4 && in_group < 2);
                    assert!(!alone || (before == 0 && after == 1), "somebody else ran");
                    Ok(())
                })
            })
        })
        .collect();
    let groups = [("db".to_owned(), 2)].into();
    let run = run(
        Settings {
            test_groups: groups,
            ..settings()
        },
        tests,
    )
    .await;
    assert_eq!(
        run.summary.count(Verdict::Passed),
        60,
        "{:?}",
        run.seen.verdicts()
    );
    assert!(most.load(Ordering::SeqCst) > 1, "nothing ran side by side");
}

struct Broker {
    key: &'static str,
    below: Vec<Arc<dyn Fixture>>,
    log: Arc<Mutex<Vec<String>>>,
    fails: bool,
}

impl Fixture for Broker {
    fn key(&self) -> &str {
        self.key
    }

    fn fixtures(&self) -> &[Arc<dyn Fixture>] {
        &self.below
    }

    fn build<'a>(&'a self, context: &'a FixtureContext) -> BoxFuture<'a, Result<FixtureValue, TestError>> {
        Box::pin(async move {
            for below in &self.below {
                assert!(
                    context.fixture::<String>(below.key()).is_some(),
                    "it stands on nothing"
                );
            }
            self.log.lock().unwrap().push(format!("build {}", self.key));
            if self.fails {
                return Err(TestError::errored("the broker does not start"));
            }
            Ok(Arc::new(format!("address of {}", self.key)) as FixtureValue)
        })
    }

    fn tear_down<'a>(&'a self, value: FixtureValue, _: &'a FixtureContext) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            assert!(value.downcast::<String>().is_ok());
            self.log.lock().unwrap().push(format!("tear down {}", self.key));
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fixture_is_built_once_and_gone_when_its_last_test_is_done() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let broker = |key, below, fails| -> Arc<dyn Fixture> {
        Arc::new(Broker {
            key,
            below,
            log: log.clone(),
            fails,
        })
    };
    let build = broker("build", vec![], false);
    let upper = broker("broker", vec![build], false);
    let mut tests: Vec<Arc<dyn Test>> = Vec::new();
    for number in 0..3 {
        let spec = TestSpec {
            fixtures: vec![upper.clone()],
            ..named(&format!("uses {number}"))
        };
        tests.push(test(spec, |context| {
            Box::pin(async move {
                assert_eq!(*context.fixture::<String>("broker").unwrap(), "address of broker");
                Ok(())
            })
        }));
    }
    let gone = log.clone();
    let after = named("after");
    tests.push(test(after, move |_| {
        let gone = gone.clone();
        Box::pin(async move {
            let torn_down = || {
                gone.lock()
                    .unwrap()
                    .iter()
                    .any(|line: &String| line == "tear down build")
            };
            while !torn_down() {
                // What is asked is a plain list, which tells nobody of a change.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Ok(())
        })
    }));
    let run = run(settings(), tests).await;
    assert_eq!(run.summary.count(Verdict::Passed), 4);
    assert_eq!(
        *log.lock().unwrap(),
        [
            "build build",
            "build broker",
            "tear down broker",
            "tear down build"
        ],
        "and the fourth test saw them gone while it ran"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_fixture_errors_its_tests_and_is_told_once() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let lower: Arc<dyn Fixture> = Arc::new(Broker {
        key: "lower",
        below: vec![],
        log: log.clone(),
        fails: true,
    });
    let upper: Arc<dyn Fixture> = Arc::new(Broker {
        key: "upper",
        below: vec![lower],
        log: log.clone(),
        fails: false,
    });
    let mut tests: Vec<Arc<dyn Test>> = (0..3)
        .map(|number| {
            let spec = TestSpec {
                fixtures: vec![upper.clone()],
                ..named(&number.to_string())
            };
            test(spec, |_| Box::pin(async { panic!("it must not run") }))
        })
        .collect();
    tests.push(passing("other"));
    let run = run(settings(), tests).await;
    assert_eq!(
        (
            run.summary.count(Verdict::Errored),
            run.summary.count(Verdict::Passed)
        ),
        (3, 1)
    );
    let told = run.seen.each(|kind| match kind {
        EventKind::FixtureFailed { failure, .. } => Some(failure.message.clone()),
        _ => None,
    });
    assert_eq!(told, ["the broker does not start"]);
    assert_eq!(*log.lock().unwrap(), ["build lower"]);
}

struct Absent;

impl Requirement for Absent {
    fn name(&self) -> &str {
        "docker"
    }

    fn check(&self) -> Result<String, Unmet> {
        Err(Unmet::because("no socket").help("start the daemon"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unmet_requirement_skips_with_its_reason_and_errors_where_it_is_required() {
    let tests = || -> Vec<Arc<dyn Test>> {
        let spec = TestSpec {
            requirements: vec![Arc::new(Absent)],
            ..named("needs docker")
        };
        vec![
            test(spec, |_| Box::pin(async { panic!("it must not run") })),
            passing("other"),
        ]
    };
    let skipped = run(settings(), tests()).await;
    let reasons = skipped.seen.each(|kind| match kind {
        EventKind::TestFinished(outcome) => outcome.reason.clone(),
        _ => None,
    });
    assert_eq!(reasons, ["needs docker: no socket (start the daemon)"]);
    let required = run(
        Settings {
            require: ["docker".to_owned()].into(),
            ..settings()
        },
        tests(),
    )
    .await;
    assert_eq!(required.summary.count(Verdict::Errored), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_cancels_what_runs_and_what_has_not_started() {
    let started = Arc::new(Barrier::new(2));
    let waits = started.clone();
    let mut tests = vec![test(named("runs"), move |context| {
        let waits = waits.clone();
        Box::pin(async move {
            waits.wait().await;
            context.token().cancelled().await;
            Ok(())
        })
    })];
    tests.extend((0..3).map(|number| passing(&number.to_string())));
    let (controls, receiver) = mpsc::unbounded_channel();
    let interrupting = async {
        started.wait().await;
        controls.send(Control::Interrupt).unwrap();
    };
    let settings = Settings {
        slots: 1,
        ..settings()
    };
    let (run, ()) = tokio::join!(run_controlled(settings, tests, receiver), interrupting);
    assert_eq!(run.seen.verdicts(), [Verdict::Cancelled; 4]);
    assert!(run.summary.interrupted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_interrupt_skips_the_grace() {
    let started = Arc::new(Barrier::new(2));
    let waits = started.clone();
    let tests = vec![test(named("stubborn"), move |_| {
        let waits = waits.clone();
        Box::pin(async move {
            waits.wait().await;
            std::future::pending().await
        })
    })];
    let (controls, receiver) = mpsc::unbounded_channel();
    let interrupting = async {
        started.wait().await;
        controls.send(Control::Interrupt).unwrap();
        controls.send(Control::Interrupt).unwrap();
    };
    let settings = Settings {
        grace: Duration::from_secs(3600),
        ..settings()
    };
    let (run, ()) = tokio::join!(run_controlled(settings, tests, receiver), interrupting);
    assert_eq!(run.seen.verdicts(), [Verdict::Cancelled]);
}

#[tokio::test(flavor = "multi_thread")]
async fn fail_fast_counts_bad_verdicts_and_is_no_interrupt() {
    let tests = (0..10)
        .map(|number| {
            test(named(&number.to_string()), |_| {
                Box::pin(async { Err(Failure::new("no").into()) })
            })
        })
        .collect();
    let run = run(
        Settings {
            slots: 1,
            fail_fast: Some(2),
            ..settings()
        },
        tests,
    )
    .await;
    assert_eq!(
        (
            run.summary.count(Verdict::Failed),
            run.summary.count(Verdict::Cancelled)
        ),
        (2, 8)
    );
    assert!(!run.summary.interrupted);
}

#[tokio::test(flavor = "multi_thread")]
async fn repeating_until_failure_ends_with_the_first_and_counts_only_what_ran() {
    let count = Arc::new(AtomicUsize::new(0));
    let tests = vec![test(named("rare"), move |_| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            if number == 4 {
                Err(Failure::new("the rare one").into())
            } else {
                Ok(())
            }
        })
    })];
    let settings = Settings {
        slots: 1,
        repeat: Repeat::UntilFailure(1000),
        ..settings()
    };
    let run = run(settings, tests).await;
    assert_eq!((run.summary.count(Verdict::Passed), run.summary.total()), (4, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shuffle_is_the_same_for_the_same_seed() {
    let order = async |seed| {
        let tests = (0..20).map(|number| passing(&number.to_string())).collect();
        let run = run(
            Settings {
                slots: 1,
                order: Order::Shuffled(seed),
                ..settings()
            },
            tests,
        )
        .await;
        run.seen.each(|kind| match kind {
            EventKind::RunStarted(info) => {
                Some(info.tests.iter().map(|t| t.name.clone()).collect::<Vec<_>>())
            }
            _ => None,
        })
    };
    assert_eq!(order(7).await, order(7).await);
    assert_ne!(order(7).await, order(8).await);
}

struct Broken;

impl Reporter for Broken {
    fn name(&self) -> &str {
        "broken"
    }

    fn event(&mut self, _: &Event) -> Result<(), ReportError> {
        Err("the disk is full".into())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_reporter_silences_no_other_and_fails_no_test() {
    let settings = settings();
    let seen = Seen::default();
    let (_controls, receiver) = mpsc::unbounded_channel();
    let runner = Runner::new(settings)
        .with_reporter(Box::new(Broken))
        .with_reporter(Box::new(seen.clone()));
    let summary = runner.run(vec![passing("one")], receiver).await;
    assert_eq!(summary.count(Verdict::Passed), 1);
    let notices = seen.each(|kind| match kind {
        EventKind::Notice { text, .. } => Some(text.clone()),
        _ => None,
    });
    assert_eq!(notices, ["the broken report ends here: the disk is full"]);
    assert_eq!(seen.verdicts(), [Verdict::Passed]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_breakpoint_holds_the_deadline_until_somebody_goes_on() {
    let spec = TestSpec {
        timeout: Some(Duration::from_millis(80)),
        ..named("looked at")
    };
    let tests = vec![test(spec, |context| {
        Box::pin(async move {
            context.breakpoint("http_check", vec!["ps".into()]).await;
            Ok(())
        })
    })];
    let (controls, receiver) = mpsc::unbounded_channel();
    let going_on = async {
        // Longer than the test's deadline: time is what this is about.
        tokio::time::sleep(Duration::from_millis(200)).await;
        controls.send(Control::GoOn).unwrap();
    };
    let settings = Settings {
        keep: Keep::Never,
        ..settings()
    };
    let (run, ()) = tokio::join!(run_controlled(settings, tests, receiver), going_on);
    assert_eq!(run.seen.verdicts(), [Verdict::Passed]);
}
