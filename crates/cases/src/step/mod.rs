//! What each kind of step does, a file per family.
//!
//! A step is given a [`StepContext`]: its part, the names in scope, its time, and where to tell what it sees. It gives an
//! [`Output`] that `save:` can select from, or a [`Fault`]. Nothing here knows whether the part is a process or a
//! container, or whether the steps belong to a test or make a fixture ready.

mod context;
mod delivery;
mod exec;
mod execute;
mod file;
mod http;
mod log;
mod port;
mod process;
mod send;
mod sleep;
mod wait;

pub(crate) use context::{Fault, Output, StepContext, causes, ended, location};
pub(crate) use exec::words;
pub(crate) use execute::execute;
pub(crate) use process::restart;
pub(crate) use wait::tails;
