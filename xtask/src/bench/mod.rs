//! `cargo xtask bench NAME`: the figures that the project promises, measured beside what others do in the same run.
//!
//! A figure alone says more about the machine than about seatrial. So each stands beside its target and, where there
//! is one, a peer that did the same work a moment ago: the ratio survives a change of machine.

mod command;
mod engine;
mod figure;
mod measured;

pub(crate) use command::{NAMES, run};
pub(crate) use measured::measure_into;
