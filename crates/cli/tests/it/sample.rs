//! Tests that are there to be run and looked at from outside: one of every kind of ending.

use std::time::Duration;

use seatrial::{RustTest, TestError, TestResult, test};

/// With this in its environment, the binary has these tests instead of its own.
pub(crate) const VARIABLE: &str = "SEATRIAL_IT_SAMPLE";

pub(crate) fn tests() -> Vec<RustTest> {
    vec![
        test("passes", async |_| {}).label("speed", "fast"),
        test("fails::by_panic", async |_| assert_eq!(1 + 1, 3, "sums")),
        test("fails::by_error", async |_| -> TestResult {
            Ok("x".parse::<u32>().map(drop)?)
        }),
        test("errs", async |_| -> TestResult {
            Err(TestError::errored("the environment is broken"))
        }),
        test("needs", async |_| {}).requires("no-such-program"),
        test("slow", async |_| {})
            .label("speed", "slow")
            .ignored("takes an hour"),
        test("waits", async |context| context.token().cancelled().await)
            .ignored("ends when it is told to")
            .timeout(Duration::from_secs(600)),
        test("stubborn", async |_| std::future::pending::<()>().await)
            .ignored("does not end when it is told to")
            .timeout(Duration::from_secs(600)),
        test("flaky", async |context| assert!(context.attempt() > 1)).retries(1),
    ]
}
