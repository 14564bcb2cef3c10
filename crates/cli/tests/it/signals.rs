//! What signals do to a run.

use std::{process::Stdio, time::Duration};

use rustix::process::{Signal, WaitOptions, waitpid};
use seatrial::{RustTest, blocking_test};

use crate::binary::{Going, Scratch};

pub(crate) fn tests() -> Vec<RustTest> {
    vec![
        blocking_test("signals::interrupt_ends_tests_and_completes_the_record", |_| {
            interrupt_ends_tests_and_completes_the_record();
        }),
        blocking_test("signals::the_second_interrupt_skips_the_grace", |_| {
            the_second_interrupt_skips_the_grace();
        })
        .timeout(Duration::from_secs(50)),
        blocking_test("signals::usr1_tells_what_runs", |_| usr1_tells_what_runs()),
        blocking_test("signals::a_stopped_run_goes_on", |_| a_stopped_run_goes_on()),
        blocking_test("signals::a_reader_that_has_gone_is_no_error", |_| {
            a_reader_that_has_gone_is_no_error()
        }),
    ]
}

fn waiting(scratch: &Scratch) -> Going {
    let mut going = Going::start(&mut scratch.sample(&["run", "-t", "waits", "--ignored", "-o", "json"]));
    going.until("test_started");
    going
}

fn interrupt_ends_tests_and_completes_the_record() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let scratch = Scratch::new();
        let going = waiting(&scratch);
        going.signal(signal);
        let (code, rest) = going.end();
        assert_eq!(code, Some(4), "{signal:?}: {rest}");
        assert!(rest.contains("run_finished"), "{signal:?}: {rest}");
        let shown = crate::binary::said(&mut scratch.sample(&["show"]));
        assert_eq!(shown.code, Some(0));
        assert!(shown.out.contains("1 cancelled"), "{shown:?}");
    }
}

fn the_second_interrupt_skips_the_grace() {
    let scratch = Scratch::new();
    let args = [
        "run",
        "-t",
        "stubborn",
        "--ignored",
        "-o",
        "json",
        "--grace",
        "10m",
    ];
    let mut going = Going::start(&mut scratch.sample(&args));
    going.until("test_started");
    going.signal(Signal::INT);
    going.until("test_stopping");
    going.signal(Signal::INT);
    assert_eq!(going.end().0, Some(4));
}

fn usr1_tells_what_runs() {
    let scratch = Scratch::new();
    let mut going = Going::start(&mut scratch.sample(&["run", "-t", "waits", "--ignored", "-v"]));
    going.until("start");
    going.signal(Signal::USR1);
    going.until("0 of 1 test");
    going.signal(Signal::INT);
    assert_eq!(going.end().0, Some(4));
}

fn a_stopped_run_goes_on() {
    let scratch = Scratch::new();
    let mut going = waiting(&scratch);
    going.signal(Signal::TSTP);
    let (_, status) = waitpid(Some(going.pid()), WaitOptions::UNTRACED)
        .unwrap()
        .unwrap();
    assert!(status.stopped(), "{status:?}");
    going.signal(Signal::CONT);
    going.until("all deadlines moved on by as much");
    going.signal(Signal::INT);
    assert_eq!(going.end().0, Some(4));
}

fn a_reader_that_has_gone_is_no_error() {
    let scratch = Scratch::new();
    for args in [
        &["list"][..],
        &["run", "--help"],
        &["completions", "bash"],
        &["man"],
    ] {
        let mut child = scratch
            .sample(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
    }
}
