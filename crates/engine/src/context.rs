//! What a running test, or a fixture being built, can ask of the runner.
//!
//! The context is the only way back from a test to the runner: it reports steps, hands out fixtures and
//! carries the cancellation token. It is cheap to clone, so a test can give it to the tasks it spawns.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    deadline::{Deadline, Hold},
    event::{EventKind, NoticeLevel, PartUsage, StepIndex, StepOutcome, TestIndex, TestInfo},
    fixture::FixtureValue,
    journal::Journal,
    masker::Masker,
    runner::Input,
    settings::Settings,
    test::SourceLocation,
    verdict::{Failure, TestResult},
};

/// What all contexts of a run share.
pub(crate) struct RunShared {
    pub(crate) settings: Settings,
    pub(crate) journal: Arc<Journal>,
    pub(crate) masker: Masker,
    pub(crate) inputs: mpsc::UnboundedSender<Input>,
}

impl RunShared {
    pub(crate) fn event(&self, kind: EventKind) {
        // The runner has gone only when the run is over; then nobody listens.
        let _ = self.inputs.send(Input::Event(kind));
    }
}

/// What a running test can ask of the runner.
#[derive(Clone)]
pub struct TestContext {
    inner: Arc<TestInner>,
}

struct TestInner {
    shared: Arc<RunShared>,
    index: TestIndex,
    info: Arc<TestInfo>,
    attempt: u32,
    token: CancellationToken,
    judgement: CancellationToken,
    deadline: Deadline,
    fixtures: HashMap<Arc<str>, FixtureValue>,
    group: String,
    log_dir: PathBuf,
    log_dir_made: AtomicBool,
    steps: StepLog,
    keep: Mutex<Vec<String>>,
}

pub(crate) struct NewContext {
    pub(crate) shared: Arc<RunShared>,
    pub(crate) index: TestIndex,
    pub(crate) info: Arc<TestInfo>,
    pub(crate) attempt: u32,
    pub(crate) token: CancellationToken,
    pub(crate) deadline: Deadline,
    pub(crate) fixtures: HashMap<Arc<str>, FixtureValue>,
}

impl TestContext {
    pub(crate) fn new(new: NewContext) -> Self {
        let NewContext {
            shared,
            index,
            info,
            attempt,
            token,
            deadline,
            fixtures,
        } = new;
        let group = format!("{}-{}.{attempt}", shared.settings.run_id, index.0);
        let mut log_dir = shared.settings.run_dir.join("logs").join(path_of(&info.name));
        if info.iteration > 0 {
            log_dir.push(format!("iteration-{}", info.iteration));
        }
        if attempt > 1 {
            log_dir.push(format!("attempt-{attempt}"));
        }
        Self {
            inner: Arc::new(TestInner {
                shared,
                index,
                info,
                attempt,
                token,
                judgement: CancellationToken::new(),
                deadline,
                fixtures,
                group,
                log_dir,
                log_dir_made: AtomicBool::new(false),
                steps: StepLog::default(),
                keep: Mutex::default(),
            }),
        }
    }

    /// The test's full name.
    pub fn name(&self) -> &str {
        &self.inner.info.name
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.inner.attempt
    }

    /// Cancelled when the deadline strikes or the run is stopped.
    pub fn token(&self) -> &CancellationToken {
        &self.inner.token
    }

    /// When this attempt is too late.
    pub fn deadline(&self) -> Deadline {
        self.inner.deadline
    }

    /// The run's settings.
    pub fn settings(&self) -> &Settings {
        &self.inner.shared.settings
    }

    /// The id of this attempt's isolation group, unique on the machine: everything that the test creates is
    /// journaled under it and named or labelled with it.
    pub fn group(&self) -> &str {
        &self.inner.group
    }

    /// The journal: what the test is about to create goes there first.
    pub fn journal(&self) -> &Arc<Journal> {
        &self.inner.shared.journal
    }

    /// The directory for this attempt's logs; made on first use.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn log_dir(&self) -> io::Result<&Path> {
        std::fs::create_dir_all(&self.inner.log_dir)?;
        self.inner.log_dir_made.store(true, Ordering::Relaxed);
        Ok(&self.inner.log_dir)
    }

    pub(crate) fn log_dir_if_made(&self) -> Option<PathBuf> {
        self.inner
            .log_dir_made
            .load(Ordering::Relaxed)
            .then(|| self.inner.log_dir.clone())
    }

    /// What the fixture of this key made, if the test's spec names that fixture and `T` is its type.
    pub fn fixture<T: Send + Sync + 'static>(&self, key: &str) -> Option<Arc<T>> {
        self.inner.fixtures.get(key).cloned()?.downcast().ok()
    }

    /// Begins a step: the unit that a person follows on screen, and that a timeout names.
    pub fn step(&self, name: impl Into<String>) -> Step {
        self.step_at(name, None, None)
    }

    /// Begins a step that stands in a file, or inside another.
    pub fn step_at(
        &self,
        name: impl Into<String>,
        location: Option<SourceLocation>,
        parent: Option<&Step>,
    ) -> Step {
        let name = name.into();
        let parent = parent.map(|step| step.index);
        let index = self.inner.steps.begin(&name, location.clone(), parent);
        self.event(EventKind::StepStarted {
            test: self.inner.index,
            step: index,
            parent,
            name,
            location,
        });
        Step {
            context: self.clone(),
            index,
            began: Instant::now(),
            ended: false,
            told: Mutex::default(),
        }
    }

    /// Stops here until somebody presses Enter, or the test is told to end. `look` says how to look at what
    /// is running. The time spent here counts against no deadline.
    pub async fn breakpoint(&self, step: &str, look: Vec<String>) {
        let _hold = Hold::new();
        let (go_on, entered) = oneshot::channel();
        let request = Input::Breakpoint {
            test: self.inner.index,
            step: step.to_owned(),
            look,
            go_on,
        };
        if self.inner.shared.inputs.send(request).is_err() {
            return;
        }
        tokio::select! {
            _ = entered => {}
            () = self.inner.token.cancelled() => {}
        }
    }

    /// Tells what a part had used when it ended.
    pub fn part_ended(&self, usage: PartUsage) {
        self.event(EventKind::PartEnded {
            test: self.inner.index,
            usage,
        });
    }

    /// Tells something that belongs to no step.
    pub fn notice(&self, level: NoticeLevel, text: impl Into<String>) {
        self.event(EventKind::Notice {
            level,
            text: text.into(),
        });
    }

    /// Says that the body is done, with this result, and that what follows is only taking down what it started. That
    /// is no longer bound by the deadline, only by the grace; and the slots of a test that has passed go to the next.
    pub fn judged(&self, result: &TestResult) {
        if result.is_ok() {
            // The runner has gone only when the run is over.
            let _ = self.inner.shared.inputs.send(Input::BodyPassed {
                test: self.inner.index,
            });
        }
        // A result that comes after the test was told to end is not a judgement.
        if !self.inner.token.is_cancelled() {
            self.inner.judgement.cancel();
        }
    }

    /// Cancelled when [`TestContext::judged`] is called.
    pub(crate) fn judgement(&self) -> CancellationToken {
        self.inner.judgement.clone()
    }

    /// Whether what this attempt started should be left standing, given how its body ended.
    pub fn should_keep(&self, result: &TestResult) -> bool {
        use crate::settings::Keep;
        match self.settings().keep {
            Keep::Never => false,
            Keep::Always => true,
            Keep::OnFailure => result.is_err(),
        }
    }

    /// Says that the isolation group was left standing, and how to look at it, a line each. It is marked as
    /// kept in the journal; the command that removes it is added.
    pub fn kept(&self, look: Vec<String>) {
        self.inner.shared.journal.keep(self.group());
        lock(&self.inner.keep).extend(look);
    }

    pub(crate) fn take_kept(&self) -> Option<Vec<String>> {
        let look = std::mem::take(&mut *lock(&self.inner.keep));
        (!look.is_empty()).then_some(look)
    }

    pub(crate) fn open_steps(&self) -> Vec<OpenStep> {
        self.inner.steps.open()
    }

    fn event(&self, kind: EventKind) {
        self.inner.shared.event(kind);
    }
}

/// A file name for a test's full name: what file systems and shells dislike becomes `-`.
fn path_of(name: &str) -> PathBuf {
    name.split('/')
        .map(|piece| {
            let piece: String = piece
                .chars()
                .map(|c| {
                    if c.is_alphanumeric() || "._-@=+".contains(c) {
                        c
                    } else {
                        '-'
                    }
                })
                .take(100)
                .collect();
            match piece.as_str() {
                "" | "." | ".." => "-".to_owned(),
                _ => piece,
            }
        })
        .collect()
}

/// A step that has begun. It ends by [`Step::done`] or [`Step::failed`]; dropped before, it was interrupted.
pub struct Step {
    context: TestContext,
    index: StepIndex,
    began: Instant,
    ended: bool,
    told: Mutex<Option<Instant>>,
}

impl Step {
    /// How often at most a step's observation becomes an event; all of them count for a timeout's message.
    const TELL_EVERY: Duration = Duration::from_millis(100);

    /// Tells what a waiting step saw last: shown beside it, and in the failure if the deadline strikes here.
    pub fn saw(&self, seen: impl Into<String>) {
        let seen = seen.into();
        let now = Instant::now();
        let mut told = lock(&self.told);
        if told.is_none_or(|last| now.duration_since(last) >= Self::TELL_EVERY) {
            *told = Some(now);
            self.context.event(EventKind::StepSaw {
                test: self.context.inner.index,
                step: self.index,
                seen: seen.clone(),
            });
        }
        self.context.inner.steps.saw(self.index, seen);
    }

    /// How long it has taken so far.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// It did what it should.
    pub fn done(self) {
        self.end(StepOutcome::Done);
    }

    /// Its condition was false.
    pub fn not_needed(self) {
        self.end(StepOutcome::NotNeeded);
    }

    /// It did not do what it should. Adds the step's name and place to a failure that has none.
    pub fn failed(self, mut failure: Failure) -> Failure {
        if failure.step.is_empty() {
            failure.step = self.context.inner.steps.path(self.index);
        }
        if failure.location.is_none() {
            failure.location = self.context.inner.steps.location(self.index);
        }
        self.end(StepOutcome::Failed {
            message: failure.message.clone(),
        });
        failure
    }

    fn end(mut self, outcome: StepOutcome) {
        self.tell_end(outcome);
    }

    fn tell_end(&mut self, outcome: StepOutcome) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        // A step that was interrupted stays open in the log: a timeout names it.
        if outcome != StepOutcome::Interrupted {
            self.context.inner.steps.end(self.index);
        }
        let (test, step, took) = (self.context.inner.index, self.index, self.began.elapsed());
        self.context.event(EventKind::StepFinished {
            test,
            step,
            outcome,
            took,
        });
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.tell_end(StepOutcome::Interrupted);
    }
}

/// The steps of an attempt, for the message of a timeout.
#[derive(Default)]
struct StepLog {
    next: AtomicU32,
    entries: Mutex<Vec<StepEntry>>,
}

struct StepEntry {
    name: String,
    location: Option<SourceLocation>,
    parent: Option<StepIndex>,
    began: Instant,
    seen: Option<String>,
    open: bool,
}

/// A step in which a deadline struck.
pub(crate) struct OpenStep {
    pub(crate) path: Vec<String>,
    pub(crate) location: Option<SourceLocation>,
    pub(crate) waited: Duration,
    pub(crate) seen: Option<String>,
}

impl StepLog {
    fn begin(&self, name: &str, location: Option<SourceLocation>, parent: Option<StepIndex>) -> StepIndex {
        let mut entries = lock(&self.entries);
        entries.push(StepEntry {
            name: name.to_owned(),
            location,
            parent,
            began: Instant::now(),
            seen: None,
            open: true,
        });
        StepIndex(self.next.fetch_add(1, Ordering::SeqCst))
    }

    fn saw(&self, step: StepIndex, seen: String) {
        if let Some(entry) = lock(&self.entries).get_mut(step.0 as usize) {
            entry.seen = Some(seen);
        }
    }

    fn end(&self, step: StepIndex) {
        if let Some(entry) = lock(&self.entries).get_mut(step.0 as usize) {
            entry.open = false;
        }
    }

    fn path(&self, step: StepIndex) -> Vec<String> {
        path(&lock(&self.entries), step)
    }

    fn location(&self, step: StepIndex) -> Option<SourceLocation> {
        lock(&self.entries).get(step.0 as usize)?.location.clone()
    }

    /// The innermost steps that are open: those that no other open step stands in.
    fn open(&self) -> Vec<OpenStep> {
        let entries = lock(&self.entries);
        let is_parent = |index: usize| {
            entries
                .iter()
                .any(|e| e.open && e.parent.is_some_and(|parent| parent.0 as usize == index))
        };
        (0..entries.len())
            .filter(|index| entries[*index].open && !is_parent(*index))
            .map(|index| {
                let entry = &entries[index];
                OpenStep {
                    path: path(&entries, StepIndex(u32::try_from(index).unwrap_or(u32::MAX))),
                    location: entry.location.clone(),
                    waited: entry.began.elapsed(),
                    seen: entry.seen.clone(),
                }
            })
            .collect()
    }
}

fn path(entries: &[StepEntry], step: StepIndex) -> Vec<String> {
    let mut names = Vec::new();
    let mut at = Some(step);
    while let Some(entry) = at.and_then(|step| entries.get(step.0 as usize)) {
        names.push(entry.name.clone());
        at = entry.parent;
    }
    names.reverse();
    names
}

/// What a fixture being built, or taken down, can ask of the runner.
#[derive(Clone)]
pub struct FixtureContext {
    pub(crate) shared: Arc<RunShared>,
    pub(crate) key: Arc<str>,
    pub(crate) token: CancellationToken,
    pub(crate) deadline: Deadline,
    pub(crate) fixtures: HashMap<Arc<str>, FixtureValue>,
    pub(crate) group: String,
}

impl FixtureContext {
    /// Cancelled when the deadline strikes or the run is stopped.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// When it is too late.
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// The run's settings.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// The id of the fixture's isolation group, unique on the machine.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The journal: what the fixture is about to create goes there first.
    pub fn journal(&self) -> &Arc<Journal> {
        &self.shared.journal
    }

    /// What another fixture made, if this one stands on it and `T` is its type.
    pub fn fixture<T: Send + Sync + 'static>(&self, key: &str) -> Option<Arc<T>> {
        self.fixtures.get(key).cloned()?.downcast().ok()
    }

    /// The directory for the fixture's logs; made on first use.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn log_dir(&self) -> io::Result<PathBuf> {
        let dir = self.log_dir_path();
        std::fs::create_dir_all(&dir)?;
        Ok(dir)
    }

    pub(crate) fn log_dir_path(&self) -> PathBuf {
        self.settings().run_dir.join("fixtures").join(path_of(&self.key))
    }

    /// Tells how far it is, in a line.
    pub fn progress(&self, text: impl Into<String>) {
        self.shared.event(EventKind::FixtureProgress {
            fixture: self.key.clone(),
            text: text.into(),
        });
    }
}

/// A lock whose holder panicked still guards plain data that is whole: every critical section here is a push,
/// a store or a read.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
