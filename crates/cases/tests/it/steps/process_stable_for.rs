//! `process_stable_for`.

use crate::harness::{passes, run};

#[tokio::test]
async fn keeps_running() {
    passes("{target: sleep 100, procedure: [{process_stable_for: 200ms}]}").await;
}

#[tokio::test]
async fn ends_too_early() {
    let outcome =
        run("{target: echo out of memory; sleep 0.1; exit 137, procedure: [{process_stable_for: 60s}]}")
            .await;
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: `target` exited with code 137 before the time was over
      step: process_stable_for 60s
      at: DIR/case.yaml:3
      mismatch: : expected running for 60s, saw exited with code 137
      log: target: out of memory
    ");
}

#[tokio::test]
async fn has_ended_before() {
    let outcome = run("{target: exit 0, procedure: [{exits: 0}, {process_stable_for: 60s}]}").await;
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: `target` had already ended: it exited with code 0
      step: process_stable_for 60s
      at: DIR/case.yaml:3
      mismatch: : expected running for 60s, saw exited with code 0
    ");
}
