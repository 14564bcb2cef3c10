//! The runner: a dispatcher that decides and owns what the user sees, and an executor that runs what it is told
//! to.

mod dispatcher;
mod executor;
mod input;
mod panics;
mod plan;
mod run;

pub use input::Control;
pub(crate) use input::Input;
pub use run::Runner;
