//! The table of exit codes, each shown.

use rustix::process::Signal;
use seatrial::{RustTest, blocking_test};

use crate::binary::{Going, Said, Scratch, said};

pub(crate) fn tests() -> Vec<RustTest> {
    vec![
        blocking_test("exit_codes::table", |_| table()),
        blocking_test("exit_codes::an_interruption_is_4_even_if_tests_failed", |_| {
            an_interruption_is_4_even_if_tests_failed();
        }),
        blocking_test("exit_codes::what_is_wrong_is_told_before_anything_runs", |_| {
            what_is_wrong_is_told_before_anything_runs();
        }),
    ]
}

#[track_caller]
fn check(said: &Said, code: i32, told: &str) {
    assert_eq!(said.code, Some(code), "{said:#?}");
    assert!(
        said.out.contains(told) || said.err.contains(told),
        "no {told:?} in {said:#?}"
    );
}

fn table() {
    let scratch = Scratch::new();
    let run = |args: &[&str]| said(&mut scratch.sample(&[&["run"], args].concat()));
    // 0: all passed; skips are allowed, flaky counts as passed.
    check(&run(&["-t", "passes"]), 0, "1 passed");
    check(
        &run(&["-t", "passes,needs,flaky"]),
        0,
        "1 passed, 1 flaky, 1 skipped",
    );
    // 1: a test failed, errored or timed out; fail-fast alone; an unmet requirement that is required.
    check(&run(&["-t", "fails::by_panic"]), 1, "1 failed");
    check(&run(&["-t", "errs"]), 1, "1 errored");
    check(
        &run(&["-t", "slow,waits", "--ignored", "--timeout-multiplier", "0.0001"]),
        1,
        "1 timed out",
    );
    check(
        &run(&["-p1", "-t", "fails::by_panic,errs", "--fail-fast"]),
        1,
        "1 failed, 1 cancelled",
    );
    check(
        &run(&["-t", "needs", "--require", "no-such-program"]),
        1,
        "1 errored",
    );
    // 2: a flag or a file is wrong, nothing ran.
    check(&run(&["--no-such-flag"]), 2, "--no-such-flag");
    check(&run(&["--timeout", "30"]), 2, "write `30s`");
    check(
        &run(&["--require", "no-such-programm"]),
        2,
        "did you mean `no-such-program`?",
    );
    check(&run(&["-E", "tset(x)"]), 2, "did you mean `test`?");
    check(&run(&["--profile", "ci"]), 2, "there is no profile `ci`");
    check(&run(&["no-such-directory"]), 2, "no-such-directory");
    check(&said(&mut scratch.seatrial(&["run"])), 2, "neither a suite");
    // 3: nothing matched.
    check(&run(&["-t", "pases"]), 3, "passes");
    check(&run(&["-t", "passes,pases"]), 3, "no test is named `pases`");
    check(&run(&["--label", "speed=fsat"]), 3, "speed=fast");
    // 4: interrupted.
    let mut going = Going::start(&mut scratch.sample(&["run", "-t", "waits", "--ignored", "-o", "json"]));
    going.until("test_started");
    going.signal(Signal::INT);
    assert_eq!(going.end().0, Some(4));
    // 5: seatrial itself failed; here, to find any place for its state.
    let mut nowhere = scratch.sample(&["run", "-t", "passes"]);
    for variable in ["XDG_STATE_HOME", "HOME", "TMPDIR"] {
        nowhere.env(variable, "/proc/nowhere");
    }
    check(&said(&mut nowhere), 5, "seatrial itself failed");
}

fn an_interruption_is_4_even_if_tests_failed() {
    let scratch = Scratch::new();
    let args = [
        "run",
        "-t",
        "waits,errs",
        "--include-ignored",
        "-o",
        "json",
        "-p2",
    ];
    let mut going = Going::start(&mut scratch.sample(&args));
    going.until(r#""verdict":"errored""#);
    going.signal(Signal::TERM);
    let (code, rest) = going.end();
    assert_eq!(code, Some(4), "{rest}");
    assert!(rest.contains(r#""verdict":"cancelled""#), "{rest}");
}

fn what_is_wrong_is_told_before_anything_runs() {
    let scratch = Scratch::new();
    let wrong = said(&mut scratch.sample(&["run", "-E", "tset(x) & lable(y)"]));
    assert_eq!(wrong.code, Some(2));
    assert!(
        wrong.err.contains("there is no predicate `tset`"),
        "{}",
        wrong.err
    );
    assert!(
        wrong.err.contains("there is no predicate `lable`"),
        "{}",
        wrong.err
    );
    assert_eq!(wrong.out, "");
}
