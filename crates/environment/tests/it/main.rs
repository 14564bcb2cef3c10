//! Parts as real processes of this machine.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it skips"
)]

mod fixture;
mod group;
mod leftovers;
mod logs;
mod network;
mod part;
mod targets;
