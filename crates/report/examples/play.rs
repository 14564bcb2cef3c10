//! Plays a run of tests that only pretend, to look at the reporters: `play [tui|text|json|all] [COUNT]`.
//!
//! With a count it runs so many tests that do nothing, to see a burst. `all` is text, and a record and a JUnit file
//! in a directory of their own among the temporary ones.

use std::{io, sync::Arc, time::Duration};

use seatrial_engine::{
    BoxFuture, Control, Failure, Fixture, FixtureContext, FixtureValue, Runner, Settings, Test, TestContext,
    TestError, TestResult, TestSpec,
};
use seatrial_report::{
    Color, JsonReporter, JunitReporter, RecordWriter, TextOptions, TextReporter, TuiReporter, Verbosity,
    restore_terminal,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

type Body = fn(&TestContext) -> BoxFuture<'_, TestResult>;

struct Pretend {
    spec: TestSpec,
    body: Body,
}

impl Test for Pretend {
    fn spec(&self) -> &TestSpec {
        &self.spec
    }

    fn run<'a>(&'a self, context: &'a TestContext) -> BoxFuture<'a, TestResult> {
        (self.body)(context)
    }
}

struct Broker;

impl Fixture for Broker {
    fn key(&self) -> &str {
        "play/broker"
    }

    fn build<'a>(&'a self, context: &'a FixtureContext) -> BoxFuture<'a, Result<FixtureValue, TestError>> {
        Box::pin(async move {
            for crate_number in 1..=40 {
                context.progress(format!("compiling {crate_number}/40"));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Ok(Arc::new(()) as FixtureValue)
        })
    }
}

fn passes(context: &TestContext) -> BoxFuture<'_, TestResult> {
    Box::pin(async move {
        for name in [
            "port_listening 8125/udp",
            "send 10 packets",
            "http_check /metrics",
        ] {
            let step = context.step(name);
            for look in 0..8 {
                step.saw(format!("{look} of 8"));
                tokio::time::sleep(Duration::from_millis(60)).await;
            }
            step.done();
        }
        Ok(())
    })
}

fn fails(context: &TestContext) -> BoxFuture<'_, TestResult> {
    Box::pin(async move {
        let step = context.step("http_check /health");
        step.saw("status = 503");
        tokio::time::sleep(Duration::from_secs(2)).await;
        let failure = Failure::new("gave up waiting for the answer").mismatch("status", "200", "503");
        Err(step.failed(failure).into())
    })
}

fn flakes(context: &TestContext) -> BoxFuture<'_, TestResult> {
    Box::pin(async move {
        tokio::time::sleep(Duration::from_millis(700)).await;
        match context.attempt() {
            1 => Err(Failure::new("the port is not open").into()),
            _ => Ok(()),
        }
    })
}

fn does_nothing(_: &TestContext) -> BoxFuture<'_, TestResult> {
    Box::pin(async { Ok(()) })
}

fn waits(context: &TestContext) -> BoxFuture<'_, TestResult> {
    Box::pin(async move {
        let step = context
            .step("log_contains a line that is very long and does not come at all, however long one waits");
        step.saw("120 lines, none matches");
        context.token().cancelled().await;
        drop(step);
        Ok(())
    })
}

fn tests(count: Option<usize>) -> Vec<Arc<dyn Test>> {
    let pretend = |name: String, body: Body| Pretend {
        spec: TestSpec {
            timeout: Some(Duration::from_secs(8)),
            ..TestSpec::new("play", name)
        },
        body,
    };
    if let Some(count) = count {
        return (0..count)
            .map(|number| Arc::new(pretend(format!("nothing-{number}"), does_nothing)) as Arc<dyn Test>)
            .collect();
    }
    let mut tests = Vec::new();
    for (number, body) in [passes, fails, flakes, passes, passes, waits, passes]
        .into_iter()
        .enumerate()
    {
        tests.push(pretend(format!("number-{number}"), body));
    }
    let mut with_broker = pretend("with-a-broker".into(), passes);
    with_broker.spec.fixtures.push(Arc::new(Broker));
    tests.push(with_broker);
    let mut skipped = pretend("elsewhere".into(), passes);
    skipped.spec.skip = Some("needs a moon".into());
    tests.push(skipped);
    tests
        .into_iter()
        .map(|test| Arc::new(test) as Arc<dyn Test>)
        .collect()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let format = arguments.next().unwrap_or_else(|| "tui".into());
    let count = arguments.next().map(|count| count.parse()).transpose()?;
    let (controls, controlled) = mpsc::unbounded_channel();
    let settings = Settings {
        retries: 1,
        slots: 4,
        rerun: Some("play -t".into()),
        ..Settings::default()
    };
    let options = TextOptions {
        color: Color::Always,
        verbosity: Verbosity::Normal,
    };
    let run_dir = settings.run_dir.join(&settings.run_id);
    let mut runner = Runner::new(settings);
    match format.as_str() {
        "text" => {
            runner = runner.with_reporter(Box::new(TextReporter::new(io::stdout(), TextOptions::default())))
        }
        "all" => {
            runner = runner
                .with_reporter(Box::new(TextReporter::new(io::stdout(), TextOptions::default())))
                .with_reporter(Box::new(RecordWriter::create(&run_dir)?))
                .with_reporter(Box::new(JunitReporter::new(run_dir.join("junit.xml"))));
        }
        "json" => runner = runner.with_reporter(Box::new(JsonReporter::new(io::stdout()))),
        _ => {
            let term = std::env::var("TERM").ok();
            let on_key = {
                let controls = controls.clone();
                move |control| {
                    let _ = controls.send(control);
                }
            };
            let reporter = TuiReporter::open(Box::new(io::stdout()), term.as_deref(), options, on_key)?;
            let handle = reporter.handle();
            runner = runner.with_reporter(Box::new(reporter));
            let hook = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore_terminal();
                hook(panic);
            }));
            let mut stops = signal(SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw()))?;
            let mut continues = signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?;
            tokio::spawn(async move {
                while stops.recv().await.is_some() {
                    handle.suspend();
                    let _ = rustix::process::kill_process(
                        rustix::process::getpid(),
                        rustix::process::Signal::STOP,
                    );
                    continues.recv().await;
                    handle.resume();
                }
            });
        }
    }
    let mut interrupts = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        while interrupts.recv().await.is_some() && controls.send(Control::Interrupt).is_ok() {}
    });
    let summary = runner.run(tests(count), controlled).await;
    if summary.has_bad() {
        return Err("a test did not pass".into());
    }
    Ok(())
}
