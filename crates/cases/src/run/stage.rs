//! Who is told of steps and progress: a test's reporter, or the fixture that is being built.
//!
//! A fixture's readiness steps are the same as a case's, but a fixture has one line on screen and no steps. Everything
//! that executes steps speaks to a [`Stage`] and does not know which it is.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use seatrial_engine::journal::Journal;
use seatrial_engine::{Failure, FixtureContext, NoticeLevel, Settings, SourceLocation, Step, TestContext};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Where parts are started and steps are executed.
#[derive(Clone)]
pub(crate) enum Stage {
    /// An attempt of a test.
    Test(TestContext),
    /// A fixture that is being built.
    Fixture(FixtureContext),
}

impl Stage {
    /// Cancelled at the deadline, or when the run is stopped.
    pub(crate) fn token(&self) -> &CancellationToken {
        match self {
            Self::Test(context) => context.token(),
            Self::Fixture(context) => context.token(),
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        match self {
            Self::Test(context) => context.settings(),
            Self::Fixture(context) => context.settings(),
        }
    }

    /// The isolation group's id.
    pub(crate) fn group(&self) -> &str {
        match self {
            Self::Test(context) => context.group(),
            Self::Fixture(context) => context.group(),
        }
    }

    pub(crate) fn journal(&self) -> &Arc<Journal> {
        match self {
            Self::Test(context) => context.journal(),
            Self::Fixture(context) => context.journal(),
        }
    }

    /// The directory for logs of parts.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub(crate) fn log_dir(&self) -> io::Result<PathBuf> {
        match self {
            Self::Test(context) => context.log_dir().map(ToOwned::to_owned),
            Self::Fixture(context) => context.log_dir(),
        }
    }

    /// What a fixture made.
    pub(crate) fn fixture<T: Send + Sync + 'static>(&self, key: &str) -> Option<Arc<T>> {
        match self {
            Self::Test(context) => context.fixture(key),
            Self::Fixture(context) => context.fixture(key),
        }
    }

    /// Tells something that somebody should do something about.
    pub(crate) fn warn(&self, text: String) {
        match self {
            Self::Test(context) => context.notice(NoticeLevel::Warning, text),
            Self::Fixture(context) => context.progress(text),
        }
    }

    /// Stops here until somebody presses Enter; a fixture does not stop.
    pub(crate) async fn breakpoint(&self, step: &str, look: Vec<String>) {
        if let Self::Test(context) = self {
            context.breakpoint(step, look).await;
        }
    }

    /// Begins a step.
    pub(crate) fn step(
        &self,
        name: String,
        location: Option<SourceLocation>,
        parent: Option<&StepReport>,
    ) -> StepReport {
        match self {
            Self::Test(context) => {
                let parent = match parent {
                    Some(StepReport::Test(parent)) => Some(parent),
                    Some(StepReport::Fixture(_)) | None => None,
                };
                StepReport::Test(context.step_at(name, location, parent))
            }
            Self::Fixture(context) => {
                let path = match parent {
                    Some(StepReport::Fixture(parent)) => [parent.path.as_slice(), &[name]].concat(),
                    Some(StepReport::Test(_)) | None => vec![name],
                };
                context.progress(path.join(" › "));
                let told = Mutex::new(Instant::now());
                StepReport::Fixture(FixtureStep {
                    context: context.clone(),
                    path,
                    location,
                    began: Instant::now(),
                    told,
                })
            }
        }
    }
}

/// A step that has begun; it ends by [`done`](Self::done) or [`failed`](Self::failed).
pub(crate) enum StepReport {
    Test(Step),
    Fixture(FixtureStep),
}

/// A step of a fixture's procedure, which is only a line of progress.
pub(crate) struct FixtureStep {
    context: FixtureContext,
    path: Vec<String>,
    location: Option<SourceLocation>,
    began: Instant,
    told: Mutex<Instant>,
}

impl StepReport {
    /// How often at most a fixture's line changes while it waits.
    const TELL_EVERY: Duration = Duration::from_millis(200);

    /// Tells what a waiting step saw last.
    pub(crate) fn saw(&self, seen: &str) {
        match self {
            Self::Test(step) => step.saw(seen),
            Self::Fixture(step) => {
                let mut told = step.told.lock().unwrap_or_else(PoisonError::into_inner);
                if told.elapsed() >= Self::TELL_EVERY {
                    *told = Instant::now();
                    step.context
                        .progress(format!("{}: {seen}", step.path.join(" › ")));
                }
            }
        }
    }

    /// How long it has taken so far.
    pub(crate) fn elapsed(&self) -> Duration {
        match self {
            Self::Test(step) => step.elapsed(),
            Self::Fixture(step) => step.began.elapsed(),
        }
    }

    /// It did what it should.
    pub(crate) fn done(self) {
        if let Self::Test(step) = self {
            step.done();
        }
    }

    /// Its condition was false.
    pub(crate) fn not_needed(self) {
        if let Self::Test(step) = self {
            step.not_needed();
        }
    }

    /// It did not do what it should; the failure learns where.
    pub(crate) fn failed(self, mut failure: Failure) -> Failure {
        match self {
            Self::Test(step) => step.failed(failure),
            Self::Fixture(step) => {
                if failure.step.is_empty() {
                    failure.step = step.path;
                }
                failure.location = failure.location.or(step.location);
                failure
            }
        }
    }
}
