//! Where a seatrial test's parts run.

pub mod requirement;
