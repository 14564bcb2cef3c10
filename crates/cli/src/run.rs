//! A run: the engine, the reporters, the signals and what dead runs left, put together.
//!
//! Both command lines end here, seatrial's own and libtest's; they differ in the settings and in the reporter for
//! the screen.

use std::{fs, path::Path, sync::Arc, thread};

use anyhow::Context as _;
use seatrial_engine::{
    Control, NoticeLevel, Reporter, RunSummary, Runner, Settings, Test,
    journal::{Journal, Outcome, ReapOptions, ReapReport, reap},
};
use seatrial_environment::{reapers, reexec};
use seatrial_report::{RUNS_KEPT, RecordWriter, TuiHandle, link_latest, prune_runs};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::signals;

/// What a run is made of.
pub(crate) struct Run {
    /// How it is run.
    pub(crate) settings: Settings,
    /// The selected tests, in order.
    pub(crate) tests: Vec<Arc<dyn Test>>,
    /// How many tests the selection left out.
    pub(crate) deselected: usize,
    /// What is told before anything else.
    pub(crate) notices: Vec<(NoticeLevel, String)>,
}

/// Who is told what happens, besides the record.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) reporters: Vec<Box<dyn Reporter>>,
    /// The terminal, if one of them draws on it: it is given back while seatrial is stopped.
    pub(crate) terminal: Option<TuiHandle>,
}

impl Run {
    /// Runs the tests and waits until nothing of them is left. `tell` makes the reporters, and is given the way to
    /// control the run for whoever reads keys.
    ///
    /// # Errors
    /// When it could not even begin.
    pub(crate) fn start(
        self,
        tell: impl FnOnce(&UnboundedSender<Control>) -> Told,
    ) -> anyhow::Result<RunSummary> {
        let record = RecordWriter::create(&self.settings.run_dir)
            .with_context(|| format!("create a record in {}", self.settings.run_dir.display()))?;
        tidy(&self.settings.run_dir);
        // What comes from outside is what a person does, and a few notices.
        let (sender, controls) = unbounded_channel();
        for (level, text) in self.notices {
            // The receiver is right here.
            let _ = sender.send(Control::Notice(level, text));
        }
        let journal =
            Journal::create(&self.settings.state_dir, &self.settings.run_id).guarded_by(reexec::guard);
        reap_in_background(&self.settings.state_dir, sender.clone());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("start the runtime")?;
        let mut runner = Runner::new(self.settings)
            .with_reapers(reapers())
            .with_journal(journal)
            .with_deselected(self.deselected)
            .with_reporter(Box::new(record));
        let Told { reporters, terminal } = tell(&sender);
        for reporter in reporters {
            runner = runner.with_reporter(reporter);
        }
        let summary = runtime.block_on(async {
            let signals = signals::listen(sender, terminal).context("install signal handlers")?;
            let summary = runner.run(self.tests, controls).await;
            signals.abort();
            anyhow::Ok(summary)
        });
        // A test that was abandoned may block a thread for ever; the process ends all the same.
        runtime.shutdown_background();
        summary
    }
}

/// Keeps the directory of runs in order. None of it is worth a word when it fails: the run itself is written.
fn tidy(run_dir: &Path) {
    let _ = link_latest(run_dir);
    if let Some(runs_dir) = run_dir.parent() {
        let _ = prune_runs(runs_dir, RUNS_KEPT);
    }
}

/// Ends what dead runs of this user left, beside the run. Without a journal there is nothing to look at.
fn reap_in_background(state_dir: &Path, tell: UnboundedSender<Control>) {
    let has_journals =
        fs::read_dir(state_dir.join("journal")).is_ok_and(|mut entries| entries.next().is_some());
    if !has_journals {
        return;
    }
    let state_dir = state_dir.to_owned();
    // Not awaited: a run is not held up by the leftovers of another, and what is not done when it ends stays in
    // the journal.
    thread::spawn(move || {
        let report = reap(&state_dir, &reapers(), &ReapOptions::default());
        for notice in notices(&report) {
            // The run may be over already.
            let _ = tell.send(notice);
        }
    });
}

fn notices(report: &ReapReport) -> Vec<Control> {
    let count = |wanted: fn(&Outcome) -> bool| {
        let matching = report.leftovers.iter().filter(|left| wanted(&left.outcome));
        matching.count()
    };
    let mut notices = Vec::new();
    match count(|outcome| *outcome == Outcome::Reaped) {
        0 => {}
        1 => notices.push(Control::Notice(
            NoticeLevel::Info,
            "ended one thing that a dead run had left".into(),
        )),
        ended => notices.push(Control::Notice(
            NoticeLevel::Info,
            format!("ended {ended} things that dead runs had left"),
        )),
    }
    match count(|outcome| matches!(outcome, Outcome::Failed(_))) + report.problems.len() {
        0 => {}
        _ => notices.push(Control::Notice(
            NoticeLevel::Warning,
            "something that a dead run left could not be ended; `seatrial reap` tells what".into(),
        )),
    }
    notices
}
