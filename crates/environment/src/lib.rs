//! Where a seatrial test's parts run.

pub mod proxy;
pub mod requirement;
