//! `exec`.

use crate::harness::{passes, run};

#[tokio::test]
async fn runs_in_the_parts_environment() {
    passes(
        r#"
        env: {COLOR: blue}
        target: sleep 100
        procedure:
          - exec: {command: 'printf "$COLOR $SIZE"; basename "$PWD" >&2; exit 3', env: {SIZE: XL}, code: 3, output_equals: blue XL, stderr_contains: work}
            save: {out: stdout, code: code}
          - exec: {command: [cat], stdin: '{"a": {"b": ["{{ saved.out }}", {{ saved.code }}]}}', output_regex: '^\{'}
            save: {deep: '.a.b[0]'}
          - exec: {command: [echo, "{{ saved.deep }}"], output_contains: blue}
        "#,
    )
    .await;
}

#[tokio::test]
async fn everything_that_differs_is_told_at_once() {
    let outcome = run(
        r#"
        target: sleep 100
        procedure:
          - exec: {command: 'echo out; echo "no such key" >&2; exit 4', output_contains: key, stderr_contains: warning}
        "#,
    )
    .await;
    insta::assert_snapshot!(outcome.told(), @r#"
    failed
      message: the command exited with code 4
      step: exec echo out; echo "no such key" >&2; exit 4
      at: DIR/case.yaml:5
      mismatch: exit code: expected 0, saw 4
      mismatch: stdout: expected contains `key`, saw `out`
      mismatch: stderr: expected contains `warning`, saw `no such key`
      log: the command's stdout: out
      log: the command's stderr: no such key
    "#);
}

#[tokio::test]
async fn output_alone_differs() {
    let outcome =
        run("{target: sleep 100, procedure: [{exec: {command: echo 41, output_equals: 42}}]}").await;
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: the command's output is not as expected
      step: exec echo 41
      at: DIR/case.yaml:3
      mismatch: stdout: expected `42`, saw `41`
      log: the command's stdout: 41
    ");
}

#[tokio::test]
async fn is_not_done_in_time() {
    let outcome = run("{target: sleep 100, procedure: [{exec: echo busy; sleep 100, timeout: 1s}]}").await;
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: `sh -c echo busy; sleep 100` was not done in time and was killed
      step: exec echo busy; sleep 100
      at: DIR/case.yaml:3
      log: the command's stdout: busy
    ");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_an_error() {
    let outcome = run("{target: sleep 100, procedure: [{exec: [seatrial-no-such-program]}]}").await;
    insta::assert_snapshot!(outcome.told(), @"
    errored
      message: failed to find the program `seatrial-no-such-program`
      step: exec seatrial-no-such-program
      at: DIR/case.yaml:3
    ");
}

#[tokio::test]
async fn there_is_nothing_to_save() {
    let outcome = run(r#"
        target: sleep 100
        procedure:
          - exec: echo '{"token":null,"user":{"id":7}}'
            save: {id: .user.name}
        "#)
    .await;
    insta::assert_snapshot!(outcome.told(), @r#"
    failed
      message: there is nothing to save as `id`
      step: exec echo '{"token":null,"user":{"id":7}}'
      at: DIR/case.yaml:5
      mismatch: : expected something to save, saw .user is an object without `name` (it has `id`)
    "#);
}
