//! The API server through its `Service`: no socket but where the socket is what is tested.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what surprises a test is its failure"
)]

mod client;
mod scenarios;
mod sockets;
mod watches;
mod writers;
