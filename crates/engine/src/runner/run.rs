//! The run itself: a loop that feeds the dispatcher, gives its commands to the executor and its events to the
//! reporters.
//!
//! The loop runs on the thread that awaits it. With a multi-threaded runtime that is the main thread, which no
//! test can block.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{Control, Input, dispatcher::Dispatcher, executor::Executor, panics, plan::Plan};
use crate::{
    context::RunShared,
    event::{Event, EventKind, NoticeLevel, Reporter, RunInfo, RunSummary},
    journal::{Journal, Reapers},
    masker::Masker,
    settings::{Order, Settings},
    test::Test,
};

/// How many inputs are taken at once before the reporters hear of them.
const BATCH_MAX: usize = 256;

/// How long after an event the reporters are told to let it out. Too short for anybody to notice, long enough for
/// a thousand short tests to share one write.
const FLUSH_AFTER: Duration = Duration::from_millis(2);

/// Runs tests.
pub struct Runner {
    settings: Settings,
    reporters: Vec<Box<dyn Reporter>>,
    reapers: Reapers,
    journal: Option<Journal>,
    deselected: usize,
}

impl Runner {
    /// A runner that tells nobody and can reap nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            reporters: Vec::new(),
            reapers: Reapers::new(),
            journal: None,
            deselected: 0,
        }
    }

    /// Adds one that is told what happens.
    pub fn with_reporter(mut self, reporter: Box<dyn Reporter>) -> Self {
        self.reporters.push(reporter);
        self
    }

    /// Says how what tests create is reaped.
    pub fn with_reapers(mut self, reapers: Reapers) -> Self {
        self.reapers = reapers;
        self
    }

    /// Takes a journal, one with a guardian, in place of the plain one that the settings lead to.
    pub fn with_journal(mut self, journal: Journal) -> Self {
        self.journal = Some(journal);
        self
    }

    /// Says how many tests the selection has left out, for the reports.
    pub fn with_deselected(mut self, deselected: usize) -> Self {
        self.deselected = deselected;
        self
    }

    /// Runs the tests, in this order unless the settings say otherwise, until each has its verdict and nothing
    /// of them is left. `controls` is what comes from outside: signals and keys; it may be closed.
    ///
    /// Needs a multi-threaded tokio runtime with time and I/O.
    pub async fn run(
        self,
        tests: Vec<Arc<dyn Test>>,
        mut controls: mpsc::UnboundedReceiver<Control>,
    ) -> RunSummary {
        let Self {
            settings,
            reporters,
            reapers,
            journal,
            deselected,
        } = self;
        panics::install_hook();
        let start = Instant::now();
        let plan = Arc::new(Plan::new(tests, &settings));
        // Unbounded because events come from synchronous code, such as the drop of a step, that must not wait.
        // What bounds it: a test has few steps, what steps see is throttled, and this loop waits for nothing else.
        let (inputs, mut received) = mpsc::unbounded_channel();
        let masker = Masker::new(&settings.secrets);
        let mut reporters = Reporters {
            reporters,
            masker: masker.clone(),
            start,
            untold_since: None,
            internal_error: false,
        };
        let journal = journal.unwrap_or_else(|| Journal::create(&settings.state_dir, &settings.run_id));
        let journal = Arc::new(journal);
        let info = run_info(&settings, &plan, deselected);
        let shared = Arc::new(RunShared {
            settings,
            journal,
            inputs,
            masker,
        });
        let executor = Executor {
            plan: plan.clone(),
            shared: shared.clone(),
            reapers: Arc::new(reapers),
            skip_grace: CancellationToken::new(),
        };
        let mut dispatcher = Dispatcher::new(&plan, &shared.settings);

        reporters.tell(EventKind::RunStarted(Arc::new(info)));
        dispatcher.start();
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let mut ticks = interval(Duration::from_millis(100));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut controlled = true;
        loop {
            for event in dispatcher.events.drain(..) {
                reporters.tell(event);
            }
            for command in dispatcher.commands.drain(..) {
                executor.execute(command);
            }
            if dispatcher.is_over() {
                break;
            }
            let flush_at = reporters.untold_since.map(|since| since + FLUSH_AFTER);
            tokio::select! {
                biased;
                () = sleep_until(flush_at.unwrap_or(start)), if flush_at.is_some() => reporters.flush(),
                control = controls.recv(), if controlled => match control {
                    Some(control) => dispatcher.handle(Input::Control(control), start.elapsed()),
                    None => controlled = false,
                },
                _ = received.recv_many(&mut batch, BATCH_MAX) => {
                    for input in batch.drain(..) {
                        dispatcher.handle(input, start.elapsed());
                    }
                }
                _ = ticks.tick(), if reporters.want_ticks() => reporters.tick(),
            }
        }
        // What was said on the way out, such as why something could not be reaped.
        while let Ok(input) = received.try_recv() {
            dispatcher.handle(input, start.elapsed());
        }
        for event in dispatcher.events.drain(..) {
            reporters.tell(event);
        }
        let summary = RunSummary {
            internal_error: reporters.internal_error,
            ..dispatcher.summary(start.elapsed())
        };
        reporters.tell(EventKind::RunFinished(summary.clone()));
        reporters.flush();
        summary
    }
}

fn run_info(settings: &Settings, plan: &Plan, deselected: usize) -> RunInfo {
    RunInfo {
        id: settings.run_id.clone(),
        project: settings.project.clone(),
        dir: Some(settings.run_dir.clone()),
        args: settings.args.clone(),
        rerun: settings.rerun.clone(),
        tests: plan.tests.iter().map(|test| test.info.clone()).collect(),
        deselected,
        slots: settings.slots,
        seed: match settings.order {
            Order::AsFound => None,
            Order::Shuffled(seed) => Some(seed),
        },
    }
}

/// Those who are told what happens. One that fails is left out from then on, and the others are told so.
struct Reporters {
    reporters: Vec<Box<dyn Reporter>>,
    masker: Masker,
    start: Instant,
    /// Since when there is something to flush.
    untold_since: Option<Instant>,
    internal_error: bool,
}

impl Reporters {
    fn tell(&mut self, mut kind: EventKind) {
        self.masker.mask_event(&mut kind);
        self.internal_error |= matches!(kind, EventKind::InternalError { .. });
        let event = Event {
            at: Timestamp::now(),
            elapsed: self.start.elapsed(),
            kind,
        };
        self.untold_since.get_or_insert_with(Instant::now);
        self.each(|reporter| reporter.event(&event));
    }

    fn flush(&mut self) {
        self.untold_since = None;
        self.each(|reporter| reporter.flush());
    }

    fn tick(&mut self) {
        let elapsed = self.start.elapsed();
        self.each(|reporter| reporter.tick(elapsed));
    }

    fn want_ticks(&self) -> bool {
        self.reporters.iter().any(|reporter| reporter.wants_ticks())
    }

    fn each(&mut self, mut tell: impl FnMut(&mut Box<dyn Reporter>) -> Result<(), crate::ReportError>) {
        let mut failed = Vec::new();
        self.reporters.retain_mut(|reporter| match tell(reporter) {
            Ok(()) => true,
            Err(error) => {
                failed.push(format!("the {} report ends here: {error}", reporter.name()));
                false
            }
        });
        for text in failed {
            self.tell(EventKind::Notice {
                level: NoticeLevel::Warning,
                text,
            });
        }
    }
}
