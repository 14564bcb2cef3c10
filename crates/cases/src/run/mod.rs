//! Case files as tests: what a plan says is started, executed step by step, and taken down.
//!
//! [`tests`] makes [`engine::Test`](seatrial_engine::Test)s of planned suites. One attempt of a test is a world: an
//! isolation group with its parts, and the names that templates can use in it. Fixtures are worlds, too, that outlive
//! the steps which made them ready.

mod assemble;
mod build;
mod cargo_report;
mod case;
mod fixture;
mod names;
mod parts;
mod procedure;
mod stage;
mod world;

pub use assemble::tests;
pub(crate) use stage::{Stage, StepReport};
