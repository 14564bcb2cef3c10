//! `log_contains`, `log_not_contains`.

use crate::harness::{passes, run};

#[tokio::test]
async fn finds_lines_of_either_stream_and_saves_what_matched() {
    passes(
        r#"
        target: |
          echo starting; echo "listening on port 8125" >&2; sleep 100
        procedure:
          - log_contains: starting
          - log_contains: {pattern: 'port (?<port>\d+)$', regex: true, stream: stderr}
            save: {port: match.port, all: match, line: line}
          - exec:
              command: printf '%s|%s|%s' '{{ saved.port }}' '{{ saved.all }}' '{{ saved.line }}'
              output_equals: 8125|port 8125|listening on port 8125
        "#,
    )
    .await;
}

#[tokio::test]
async fn counts_lines() {
    passes(
        r#"
        target: for i in 1 2 3; do echo tick; done
        procedure:
          - exits: 0
          - log_contains: {pattern: tick, count: 3}
          - log_contains: {pattern: tick, count: {at_most: 3}}
          - log_contains: {pattern: tick, count: {at_least: 2, at_most: 5}}
          - log_contains: {pattern: tock, count: 0}
        "#,
    )
    .await;
}

#[tokio::test]
async fn an_upper_bound_is_exceeded_at_once() {
    let outcome = run(r#"
        target: for i in 1 2 3; do echo tick $i; done; sleep 100
        procedure:
          - log_contains: {pattern: tick, count: {at_most: 2}, timeout: 60s}
        "#)
    .await;
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: 3 lines of the log of `target` contain `tick`
      step: log_contains tick
      at: DIR/case.yaml:5
      mismatch: matching lines: expected at most 2, saw 3
      history: 3 matching lines
      log: target: tick 1 | tick 2 | tick 3
      note: the first is: tick 1
    ");
}

#[tokio::test]
async fn says_what_was_logged_instead() {
    let outcome = run(r#"
        target: echo starting; echo "cannot bind" >&2; sleep 100
        procedure:
          - log_contains: bind
          - log_contains: {pattern: ready, timeout: 300ms}
        "#)
    .await;
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: gave up waiting for a line that contains `ready` in the log of `target`
      step: log_contains ready
      at: DIR/case.yaml:6
      mismatch: matching lines: expected at least 1, saw 0
      history: 0 matching lines
      log: target: starting | cannot bind
    ");
}

#[tokio::test]
async fn ends_at_once_with_the_part() {
    let outcome = run(r#"
        target: echo starting; echo "no such file agent.toml" >&2; exit 78
        procedure:
          - log_contains: {pattern: 'ready on \d+', regex: true, timeout: 60s}
        "#)
    .await;
    insta::assert_snapshot!(outcome.told(), @r#"
    failed
      message: `target` exited with code 78 while waiting for a line that matches `ready on \d+` in the log of `target`
      step: log_contains ready on \d+
      at: DIR/case.yaml:5
      mismatch: matching lines: expected at least 1, saw 0
      history: 0 matching lines
      log: target: starting | no such file agent.toml
    "#);
}

#[tokio::test]
async fn only_what_comes_since_a_restart() {
    passes(
        r#"
        target: echo "started in $PWD" | tail -c 8; sleep 100
        procedure:
          - log_contains: /work
          - restart: {}
          - log_contains: {pattern: /work, since: restart}
          - log_contains: {pattern: /work, count: {at_least: 2}}
        "#,
    )
    .await;
}

#[tokio::test]
async fn absence_holds_while_the_part_runs() {
    passes(
        r#"
        target: echo fine; sleep 100
        procedure:
          - log_not_contains: {pattern: panic, during: 200ms}
        "#,
    )
    .await;
}

#[tokio::test]
async fn absence_is_not_shown_by_a_part_that_ended() {
    let outcome = run(r#"
        target: sleep 0.1; echo "segfault at 0"; exit 139
        procedure:
          - log_not_contains: {pattern: panic, during: 60s}
        "#)
    .await;
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: `target` exited with code 139 while its log was watched: nobody can say what it would have logged
      step: log_not_contains panic
      at: DIR/case.yaml:5
      mismatch: : expected running for 60s, saw exited with code 139
      log: target: segfault at 0
    ");
    passes(
        r#"
        target: echo done
        procedure:
          - log_not_contains: {pattern: panic, during: 60s, may_exit: true}
        "#,
    )
    .await;
}

#[tokio::test]
async fn absence_ends_with_the_line() {
    let outcome = run(r#"
        target: sleep 0.1; echo "thread main panicked at src/main.rs:1"; sleep 100
        procedure:
          - log_not_contains: {pattern: panicked, during: 60s}
        "#)
    .await;
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: a line that contains `panicked` is in the log of `target`
      step: log_not_contains panicked
      at: DIR/case.yaml:5
      mismatch: : expected no line that contains `panicked`, saw thread main panicked at src/main.rs:1
      log: target: thread main panicked at src/main.rs:1
    ");
}
