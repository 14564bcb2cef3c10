//! Whole-binary tests: `seatrial` as people start it, and a test binary as cargo and nextest start it.
//!
//! This binary is a test binary of that kind itself. With a variable in its environment it has other tests: those
//! of [`sample`], that are there to be run and to fail.

mod binary;
mod libtest;
mod sample;

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::var_os(sample::VARIABLE).is_some() {
        return seatrial::main(sample::tests());
    }
    seatrial::main(libtest::tests())
}
