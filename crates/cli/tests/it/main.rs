//! Whole-binary tests: `seatrial` as people start it, and a test binary as cargo and nextest start it.
//!
//! This binary is a test binary of that kind itself. With a variable in its environment it has other tests: those
//! of [`sample`], that are there to be run and to fail.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod binary;
mod commands;
mod examples;
mod exit_codes;
mod failures;
mod libtest;
mod sample;
mod selection;
mod signals;

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::var_os(sample::VARIABLE).is_some() {
        return seatrial::main(sample::tests());
    }
    let tests = [
        libtest::tests(),
        exit_codes::tests(),
        failures::tests(),
        selection::tests(),
        commands::tests(),
        examples::tests(),
        signals::tests(),
    ];
    seatrial::main(tests.concat())
}
