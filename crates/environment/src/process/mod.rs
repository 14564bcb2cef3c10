//! Parts as processes of this machine.
//!
//! Each part is held by a *supervisor*: this very binary, executed again and caught by [`reexec`](crate::reexec) before
//! `main`, single-threaded and in a session of its own. It starts the part's processes, writes their logs, collects
//! every orphan they leave, and ends them all when it is told to, or when seatrial is gone. What it holds them by is the
//! strongest that rights allow; see [`hold`].
//!
//! ```text
//! seatrial ──socket──► supervisor (one a part) ──► main process ──► …
//!    │                     ├──► commands run beside it       all of it in a cgroup, or a PID namespace,
//!    └──pipe──► guardian   └──► orphans                      or below the supervisor as their subreaper
//! ```
//!
//! So there are three nets: the supervisor, which sees seatrial's socket close; the guardian, which reaps the journal;
//! and the next `reap`, which needs neither of the two.

mod cgroup;
mod client;
mod directory;
mod exec;
mod files;
pub mod hold;
mod network;
mod part;
mod procfs;
mod program;
mod protocol;
mod reaper;
pub(crate) mod supervisor;

pub(crate) use directory::{DIRECTORY, entry as directory_entry, remove as remove_dir};
pub(crate) use network::Network;
pub use network::network_isolation;
pub(crate) use part::{ProcessPart, part_dir};
pub use reaper::reapers;
