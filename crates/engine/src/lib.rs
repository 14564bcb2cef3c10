//! The test runner of seatrial, usable alone by anyone who writes tests in Rust.
//!
//! A [`Test`] is one unit with one verdict. A [`Runner`] takes tests and gives each a slot when its
//! [requirements](Requirement) are met and its [fixtures](Fixture) are ready; it owns scheduling, deadlines and
//! cancellation, the same for every kind of test. What happens becomes [events](Event), and every report is made
//! from those. What a test creates is in the [`journal`] before it exists, so that nothing is lost track of.

mod context;
mod deadline;
mod diagnostic;
mod event;
mod eventually;
mod fixture;
pub mod journal;
mod masker;
mod requirement;
pub mod run_id;
mod runner;
pub mod selection;
mod settings;
mod test;
mod verdict;

pub use context::{FixtureContext, Step, TestContext};
pub use deadline::{Deadline, Passed, stopped_for};
pub use diagnostic::{Diagnostic, Place, Severity};
pub use event::{
    Event, EventKind, NoticeLevel, PartUsage, ReportError, Reporter, RunInfo, RunSummary, StepIndex,
    StepOutcome, StopReason, TestIndex, TestInfo, TestOutcome,
};
pub use eventually::{
    EventSource, Every, Fields, History, Look, Observation, Wait, consistently, consistently_on, eventually,
    eventually_on,
};
pub use fixture::{Fixture, FixtureValue};
pub use masker::Masker;
pub use requirement::{Requirement, Unmet};
pub use runner::{Control, Runner};
pub use settings::{Ignored, Keep, Order, Repeat, Settings};
pub use test::{BoxFuture, SourceLocation, Test, TestSpec, Weight};
pub use tokio_util::sync::CancellationToken;
pub use verdict::{Failure, LogTail, Mismatch, TestError, TestResult, Verdict};
