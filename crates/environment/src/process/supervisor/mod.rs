//! The supervisor: the process that holds one part. Everything in here runs in a process of its own, single-threaded,
//! before any `main`; see [`reexec`](crate::reexec).

mod pump;
mod serve;
mod setup;
mod spawn;
mod tree;

pub(crate) use serve::main;
pub(crate) use setup::detach;
