//! Parts as real processes of this machine.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod fixture;
mod group;
mod leftovers;
mod logs;
mod network;
mod part;
mod targets;
