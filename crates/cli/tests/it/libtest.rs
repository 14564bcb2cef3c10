//! A test binary as `cargo test` and nextest see it.

use seatrial::{RustTest, blocking_test};

use crate::binary::{Scratch, said};

pub(crate) fn tests() -> Vec<RustTest> {
    vec![
        blocking_test("libtest::lists_as_libtest_does", |_| lists_as_libtest_does()),
        blocking_test("libtest::prints_as_libtest_does", |_| prints_as_libtest_does()),
        blocking_test("libtest::runs_one_test_for_nextest", |_| {
            runs_one_test_for_nextest()
        }),
        blocking_test("libtest::no_match_is_success", |_| no_match_is_success()),
        blocking_test("libtest::a_required_skip_is_a_failure", |_| {
            a_required_skip_is_a_failure()
        }),
    ]
}

fn lists_as_libtest_does() {
    let scratch = Scratch::new();
    let all = said(&mut scratch.sample(&["--list", "--format", "terse"]));
    assert_eq!(all.code, Some(0));
    assert_eq!(
        all.out,
        "passes: test\nfails::by_panic: test\nfails::by_error: test\nerrs: test\nneeds: test\nslow: test\n\
         waits: test\nstubborn: test\nflaky: test\n"
    );
    let ignored = said(&mut scratch.sample(&["--list", "--format", "terse", "--ignored"]));
    assert_eq!(ignored.out, "slow: test\nwaits: test\nstubborn: test\n");
    let some = said(&mut scratch.sample(&["--list", "fails", "--skip", "panic"]));
    assert_eq!(some.out, "fails::by_error: test\n\n1 test, 0 benchmarks\n");
}

fn prints_as_libtest_does() {
    let said = said(&mut Scratch::new().sample(&["--test-threads=1"]));
    assert_eq!(said.code, Some(101), "{said:?}");
    for line in [
        "running 9 tests",
        "test passes ... ok",
        "test fails::by_panic ... FAILED",
        "test errs ... FAILED (errored)",
        "test slow ... ignored, takes an hour",
        "test flaky ... ok (flaky: passed at attempt 2)",
        "---- fails::by_panic stdout ----",
        "    fails::by_error",
    ] {
        assert!(said.out.lines().any(|said| said == line), "{line}\n{}", said.out);
    }
    assert!(said.out.contains("test needs ... ignored, "), "{}", said.out);
    assert!(said.out.contains("tests/it/sample.rs:"), "{}", said.out);
    let last = said.out.trim_end().lines().last().unwrap();
    assert!(
        last.starts_with(
            "test result: FAILED. 2 passed; 3 failed; 4 ignored; 0 measured; 0 filtered out; finished in"
        ),
        "{last}"
    );
}

fn runs_one_test_for_nextest() {
    let scratch = Scratch::new();
    let good = said(&mut scratch.sample(&["--exact", "passes", "--nocapture"]));
    assert_eq!(good.code, Some(0), "{good:?}");
    assert!(
        good.out
            .contains("1 passed; 0 failed; 0 ignored; 0 measured; 8 filtered out"),
        "{}",
        good.out
    );
    let ignored = said(&mut scratch.sample(&["--exact", "slow", "--nocapture", "--ignored"]));
    assert_eq!(ignored.code, Some(0));
    assert!(ignored.out.contains("test slow ... ok"), "{}", ignored.out);
    assert_eq!(
        said(&mut scratch.sample(&["--exact", "errs", "--nocapture"])).code,
        Some(101)
    );
}

fn no_match_is_success() {
    let scratch = Scratch::new();
    let none = said(&mut scratch.sample(&["no-such-test"]));
    assert_eq!(none.code, Some(0), "{none:?}");
    assert!(
        none.out
            .contains("test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out")
    );
}

fn a_required_skip_is_a_failure() {
    let scratch = Scratch::new();
    let mut needs = scratch.sample(&["--exact", "needs"]);
    assert_eq!(said(&mut needs).code, Some(0));
    // A name that this binary does not know may be another's, when all of them are run with one environment.
    let required = said(needs.env("SEATRIAL_REQUIRE", "no-such-program,nats-server"));
    assert_eq!(required.code, Some(101), "{required:?}");
    assert!(
        required.out.contains("test needs ... FAILED (errored)"),
        "{}",
        required.out
    );
}
