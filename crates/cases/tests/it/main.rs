//! Case files, run against real processes of this machine.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test tells what went wrong by panicking"
)]

mod harness;
mod lifecycle;
mod shared;
mod steps;
mod tour;
