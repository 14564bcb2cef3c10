//! libtest's command line, for test binaries: what `cargo test` and nextest speak.
//!
//! A binary made with [`seatrial::main`](crate::main) and `harness = false` is called by both as if it were one of
//! libtest's. So without one of our subcommands it takes libtest's flags, lists as libtest lists, prints lines
//! that tools know how to read, and ends with libtest's exit codes.

mod args;
mod list;
mod main;

pub(crate) use args::{LibtestArgs, ListFormat};
pub(crate) use list::list;
pub(crate) use main::main;
