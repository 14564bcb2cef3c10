//! The runner: a dispatcher that owns what the user sees, and an executor that runs what it is told to.

mod input;

pub use input::Control;
pub(crate) use input::Input;

/// Runs tests.
pub struct Runner;
