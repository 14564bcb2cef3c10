//! `file_contains`, `write_file`.

use crate::harness::{passes, run};

#[tokio::test]
async fn waits_for_a_file_and_saves_what_matched() {
    passes(
        r#"
        target: sleep 0.1; echo '{"pid":17,"state":"up"}' > state.json; sleep 100
        procedure:
          - file_contains: state.json
          - file_contains: {path: state.json, pattern: '"pid":(\d+)', regex: true}
            save: {pid: match.1, state: .state}
          - exec: {command: "echo {{ saved.pid }} {{ saved.state }}", output_equals: 17 up}
        "#,
    )
    .await;
}

#[tokio::test]
async fn writes_replaces_and_appends() {
    passes(
        r#"
        target: sleep 100
        procedure:
          - write_file: {path: conf.d/a.json, content: {port: 1, tags: [x]}, mode: "0600"}
          - exec: {command: stat -c %a conf.d/a.json, output_equals: "600"}
          - file_contains: {path: conf.d/a.json, pattern: '"port": 1'}
          - write_file: {path: conf.d/a.json, content: "one\n"}
          - write_file: {path: conf.d/a.json, content: "two\n", append: true}
          - exec: {command: "cat conf.d/a.json; ls -A conf.d", output_equals: "one\ntwo\na.json"}
        "#,
    )
    .await;
}

#[tokio::test]
async fn says_what_is_in_the_file() {
    let outcome = run(r#"
        files: {status: starting}
        target: sleep 100
        procedure:
          - file_contains: {path: status, pattern: ready, timeout: 200ms}
        "#)
    .await;
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: gave up waiting for `status` to contain `ready`
      step: file_contains status
      at: DIR/case.yaml:6
      mismatch: status: expected contains `ready`, saw `starting`
      history: status `starting`
    ");
}

#[tokio::test]
async fn says_that_there_is_no_file() {
    let outcome = run("{target: sleep 100, procedure: [{file_contains: status, timeout: 200ms}]}").await;
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: gave up waiting for `status` to be there
      step: file_contains status
      at: DIR/case.yaml:3
      mismatch: status: expected is there, saw no such file
      history: status no such file
    ");
}

#[tokio::test]
async fn cannot_be_written() {
    let outcome = run(
        "{target: sleep 100, procedure: [{exec: mkdir status}, {write_file: {path: status, content: x}}]}",
    )
    .await;
    insta::assert_snapshot!(outcome.told(), @"
    errored
      message: `status` cannot be written: is a directory
      step: write_file status
      at: DIR/case.yaml:3
    ");
}
