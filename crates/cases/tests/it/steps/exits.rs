//! `exits`, `signal`.

use crate::harness::{passes, run};

#[tokio::test]
async fn codes_and_signals() {
    passes("{target: exit 3, procedure: [{exits: 3}]}").await;
    passes("{target: sleep 100, procedure: [{signal: KILL}, {exits: {signal: KILL}}]}").await;
    passes(
        r#"
        target: |
          trap 'echo reloading' HUP
          echo ready
          while :; do sleep 0.05; done
        procedure:
          - log_contains: ready
          - signal: HUP
          - log_contains: reloading
          - signal: TERM
          - exits: {signal: SIGTERM}
            save: {signal: signal}
          - exec: {command: "echo {{ saved.signal }}", output_equals: SIGTERM}
        "#,
    )
    .await;
}

#[tokio::test]
async fn another_end_is_told() {
    let outcome = run(r#"
        target: echo "config error in line 3" >&2; exit 2
        procedure:
          - exits: 0
        "#)
    .await;
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: `target` exited with code 2
      step: exits 0
      at: DIR/case.yaml:5
      mismatch: : expected exited with code 0, saw exited with code 2
      log: target: config error in line 3
    ");
    let outcome = run("{target: kill -SEGV $$, procedure: [{exits: 0}]}").await;
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: `target` was killed by SIGSEGV
      step: exits 0
      at: DIR/case.yaml:3
      mismatch: : expected exited with code 0, saw killed by SIGSEGV
    ");
}

#[tokio::test]
async fn no_end_is_told() {
    let outcome =
        run("{target: echo hi; sleep 100, procedure: [{log_contains: hi}, {exits: 0, timeout: 200ms}]}")
            .await;
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: `target` has not ended
      step: exits 0
      at: DIR/case.yaml:3
      mismatch: : expected exited with code 0, saw still running
      log: target: hi
    ");
}

#[tokio::test]
async fn what_has_ended_takes_no_signal() {
    let outcome = run("{target: exit 1, procedure: [{exits: 1}, {signal: HUP}]}").await;
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: `target` cannot be sent SIGHUP: it exited with code 1
      step: signal HUP
      at: DIR/case.yaml:3
    ");
}
