//! Where a test's parts run.
//!
//! A test opens an [`IsolationGroup`], starts [`Part`]s in it, looks at them (logs, ports, exit status), and tears the
//! group down; everything that it started dies together. What a part *is* (a process tree now, a container later) is
//! known to one module each; [`part`], [`logs`], [`exec`] and [`group`] are the words that they have in common.
//!
//! Whoever creates a [`Journal`](seatrial_engine::journal::Journal) for a run registers [`reapers`] and
//! [`guard`](reexec::guard), so that what a dead run left is found and ended.

#[cfg(feature = "docker")]
pub mod docker;
pub mod exec;
pub mod group;
pub mod logs;
pub mod part;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod reexec;
pub mod requirement;
pub mod signal;
pub mod sockets;

pub use exec::{ExecError, ExecOutput, ExecSpec};
pub use group::{GroupError, GroupSpec, IsolationGroup};
pub use logs::{LogLine, LogReader, Logs, Stream};
pub use part::{ExitStatus, FileContent, FileSpec, Part, PartError, PartSpec, StartError, Usage};
pub use process::reapers;
pub use signal::Signal;
pub use sockets::{Endpoint, Listening};
