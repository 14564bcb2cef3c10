//! The `seatrial` command, and the way to give test binaries the same command line.
//!
//! This is the only crate that exits the process, installs signal handlers or reads the command line. It resolves
//! flags, files and environment variables once into what the engine understands, and wires what the other crates
//! offer: tests from case files, environments to run them in, reports.

mod args;
mod catalog;
mod command;
mod entry;
mod exit;
mod history;
mod libtest;
mod panics;
mod project;
mod resolve;
mod run;
mod rust_test;
mod screen;
mod shell;
mod signals;
mod state_dir;
mod stop;

pub use entry::{command_line, main};
pub use rust_test::{IntoTestResult, RustTest, blocking_test, test};
pub use seatrial_engine as engine;
pub use seatrial_engine::{TestContext, TestError, TestResult};
