//! The journal: what a run is about to create is on disk before it exists.
//!
//! Tests clean up after themselves. The journal is for when they cannot: a test that was abandoned at its deadline, a
//! panic, a SIGKILL of seatrial. One file per run lists what was created and what is gone again. An entry is a kind and
//! plain data; this crate knows no kind, whoever creates things brings a [`Reaper`] for them. The [`guardian`], a
//! process of its own, reaps a run's journal as soon as its owner is dead; every later run and `seatrial reap` do the
//! same for what even that missed.
//!
//! # The file
//!
//! `<state directory>/journal/<run>.jsonl`, one JSON object a line, only ever appended to, written but not fsynced: a
//! process may die, not the machine. The first line is the owner, the others are what happened:
//!
//! ```text
//! {"journal":1,"run":"20261120-1","uid":1000,"owner":{"pid":812,"start_ticks":55120,"boot":"5f3c…"}}
//! {"op":"create","id":1,"group":"tour/hello","kind":"directory","data":{"path":"/tmp/seatrial/…"}}
//! {"op":"update","id":1,"data":{"path":"/tmp/seatrial/…"}}
//! {"op":"gone","id":1}
//! {"op":"keep","group":"tour/hello"}
//! ```
//!
//! A last line without its newline was being written when the owner died; what it announced never came to be. The owner
//! holds an exclusive `flock` on the file for as long as it lives, and so does whoever reaps it.

mod file;
pub mod guardian;
mod identity;
mod reap;
mod reaper;
mod writer;

pub use file::JournalError;
pub use identity::{ProcessIdentity, boot_id};
pub use reap::{Leftover, Outcome, ReapOptions, ReapReport, reap};
pub use reaper::{ReapError, Reaper, Reapers};
pub use writer::{EntryId, Journal, LaunchGuardian};
