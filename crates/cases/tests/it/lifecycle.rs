//! What surrounds the steps: parts, blocks, conditions, retries, defined steps, dynamic variables, the end.

use std::time::{Duration, Instant};

use seatrial_engine::{EventKind, Verdict};

use crate::harness::{Files, passes, run};

#[tokio::test]
async fn steps_of_a_block_run_side_by_side_and_end_with_the_first_that_fails() {
    let began = Instant::now();
    let outcome = run(r#"
        target: echo up; sleep 100
        procedure:
          - parallel:
              - log_contains: {pattern: never, timeout: 60s}
              - log_contains: up
              - exec: exit 4
        "#)
    .await;
    assert!(began.elapsed() < Duration::from_secs(30));
    insta::assert_snapshot!(outcome.steps(), @"
    start target: done
    parallel: failed
      log_contains never: interrupted
      log_contains up: done
      exec exit 4: failed
    ");
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: the command exited with code 4
      step: parallel > exec exit 4
      at: DIR/case.yaml:8
      mismatch: exit code: expected 0, saw 4
      log: target: up
    ");
}

#[tokio::test]
async fn conditions_and_retries() {
    let outcome = passes(
        r#"
        values: {tls: false, tries: 3}
        target: sleep 100
        procedure:
          - exec: exit 1
            when: values.tls
          - exec: echo x >> tries; test $(wc -l < tries) = {{ values.tries }}
            retry: {times: 5, every: 10ms}
            save: {last: stdout}
          - exec: test -z '{{ saved.last }}'
            when: not values.tls
        "#,
    )
    .await;
    insta::assert_snapshot!(outcome.steps(), @"
    start target: done
    exec exit 1: not needed
    exec echo x >> tries; test $(wc -l < tries) = 3: done
    exec test -z '': done
    ");
    let outcome =
        run("{target: sleep 100, procedure: [{exec: exit 1, retry: {times: 3, every: 10ms}}]}").await;
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: the command exited with code 1
      step: exec exit 1
      at: DIR/case.yaml:3
      mismatch: exit code: expected 0, saw 1
      note: tried 3 times, 10ms apart
    ");
}

#[tokio::test]
async fn values_speak_of_the_target() {
    passes(
        r#"
        values: {url: "http://127.0.0.1:{{ port.http }}", file: "{{ dir }}/x", both: "{{ values.url }} {{ values.file }}"}
        parts:
          side: {command: sleep 100, ports: [http]}
          target: {command: "echo {{ values.both }}; sleep 100", ports: [http]}
        procedure:
          - log_contains: "http://127.0.0.1:{{ part.target.port.http }} {{ part.target.dir }}/x"
        "#,
    )
    .await;
}

#[tokio::test]
async fn steps_of_the_suites_own_are_shown_nested() {
    let suite = r#"
name: it
steps:
  remembers:
    short: word
    parameters:
      word: text
      times: {type: integer, default: 1}
    procedure:
      - exec: for i in $(seq {{ parameters.times }}); do echo {{ parameters.word }} >> memory; done
      - file_contains: {path: memory, pattern: "{{ parameters.word }}"}
        save: {found: match}
  remembers_both:
    parameters: {one: text, other: text}
    procedure:
      - remembers: "{{ parameters.one }}"
      - remembers: {word: "{{ parameters.other }}", times: 2}
"#;
    let case = r#"
target: sleep 100
procedure:
  - remembers_both: {one: salt, other: tar}
  - exec: {command: "cat memory; echo {{ saved.found }}", output_equals: "salt\ntar\ntar\ntar"}
  - exec: exit {{ saved.found | length }}
"#;
    let outcome = Files::new(&[("seatrial.yaml", suite), ("memory.yaml", case)])
        .run(|_| ())
        .await;
    insta::assert_snapshot!(outcome.steps(), @"
    start target: done
    remembers_both: done
      remembers salt: done
        exec for i in $(seq 1); do echo salt >> memory; done: done
        file_contains memory: done
      remembers tar: done
        exec for i in $(seq 2); do echo tar >> memory; done: done
        file_contains memory: done
    exec cat memory; echo tar: done
    exec exit 3: failed
    ");
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: the command exited with code 3
      step: exec exit 3
      at: DIR/memory.yaml:6
      mismatch: exit code: expected 0, saw 3
    ");
}

#[tokio::test]
async fn parts_start_in_order_and_find_each_other() {
    passes(
        r#"
        parts:
          seed:
            command: echo "{{ uuid }}" > seed.txt
          db:
            command: cat {{ part.seed.dir }}/seed.txt; exec sleep 100
            depends_on: {seed: completed}
            ports: [main]
          target:
            command: [sh, -c, 'cat addr; exec sleep 100']
            depends_on: [db]
            files: {addr: "{{ part.db.host }}:{{ part.db.port.main }}\n"}
            ready:
              - log_contains: "127.0.0.1:{{ part.db.port.main }}"
        procedure:
          - log_contains: {pattern: "{{ uuid }}"}
            part: db
          - exec: {command: pwd, output_equals: "{{ part.db.dir }}"}
            part: db
        "#,
    )
    .await;
}

#[tokio::test]
async fn a_part_that_does_not_become_ready_fails_the_test() {
    let outcome = run(r#"
        target:
          command: echo "no space left" >&2; exit 28
          ready: [{log_contains: ready}]
        procedure: [{process_stable_for: 10s}]
        "#)
    .await;
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: `target` exited with code 28 while waiting for a line that contains `ready` in the log of `target`
      step: start target > log_contains ready
      at: DIR/case.yaml:5
      mismatch: matching lines: expected at least 1, saw 0
      history: 0 matching lines
      log: target: no space left
    ");
}

#[tokio::test]
async fn a_part_that_cannot_be_started_is_an_error() {
    let outcome = run("{target: [seatrial-no-such-program, --flag], procedure: [{exits: 0}]}").await;
    insta::assert_snapshot!(outcome.told(), @"
    errored
      message: failed to start `target`: there is no program `seatrial-no-such-program`
      step: start target
      at: DIR/case.yaml:2
      note: it was looked for in PATH (...)
    ");
}

#[tokio::test]
async fn a_dependency_that_did_not_end_well_fails_the_test() {
    let outcome = run(r#"
        parts:
          migrate: echo "relation exists" >&2; exit 1
          target: {command: sleep 100, depends_on: {migrate: completed}}
        procedure: [{process_stable_for: 1s}]
        "#)
    .await;
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: `migrate` exited with code 1, and this part waits for it to end well
      step: start target
      at: DIR/case.yaml:5
      mismatch: : expected exited with code 0, saw exited with code 1
      log: migrate: relation exists
    ");
}

#[tokio::test]
async fn dynamic_variables_are_asked_for_where_the_part_runs() {
    passes(
        r#"
        env:
          NAME: agent
          PANORAMIC_DYNAMIC_ID: echo "$NAME-$(( 6 * 7 ))"
          WHO: "{{PANORAMIC_DYNAMIC_ID}}"
        target: echo "I am $WHO"; sleep 100
        procedure:
          - log_contains: "I am {{PANORAMIC_DYNAMIC_ID}}"
          - log_contains: I am agent-42
        "#,
    )
    .await;
    let outcome = run(r#"
        env: {PANORAMIC_DYNAMIC_ID: "echo broken >&2"}
        target: echo "{{PANORAMIC_DYNAMIC_ID}}"
        procedure: [{exits: 0}]
        "#)
    .await;
    insta::assert_snapshot!(outcome.told(), @"
    errored
      message: the dynamic variable PANORAMIC_DYNAMIC_ID has no value: `echo broken >&2` printed nothing
      step: start target
      at: DIR/case.yaml:4
      log: target.PANORAMIC_DYNAMIC_ID: broken
    ");
}

#[tokio::test]
async fn what_runs_at_the_end_runs_whatever_happened() {
    let outcome = run(r#"
        target: echo up; sleep 100
        procedure:
          - log_contains: up
          - exec: exit 1
          - exec: "true"
        on_failure:
          - exec: echo gathered
        finally:
          - exec: exit 2
          - exec: echo cleaned
        "#)
    .await;
    insta::assert_snapshot!(outcome.steps(), @"
    start target: done
    log_contains up: done
    exec exit 1: failed
    on_failure: done
      exec echo gathered: done
    finally: failed
      exec exit 2: failed
      exec echo cleaned: done
    ");
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: the command exited with code 1
      step: exec exit 1
      at: DIR/case.yaml:6
      mismatch: exit code: expected 0, saw 1
      log: target: up
      note: besides, finally › exec exit 2: the command exited with code 2
    ");
    let outcome = run(r#"
        target: sleep 100
        procedure: [{exec: "true"}]
        on_failure: [{exec: echo gathered}]
        finally: [{exec: exit 2}]
        "#)
    .await;
    insta::assert_snapshot!(outcome.steps(), @"
    start target: done
    exec true: done
    finally: failed
      exec exit 2: failed
    ");
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: the command exited with code 2
      step: finally > exec exit 2
      at: DIR/case.yaml:6
      mismatch: exit code: expected 0, saw 2
    ");
}

#[tokio::test]
async fn a_deadline_names_the_step_and_what_it_last_saw() {
    let outcome = run(r#"
        timeout: 1s
        target: echo thinking hard; sleep 100
        procedure:
          - parallel:
              - log_contains: {pattern: done, timeout: 60s}
              - process_stable_for: 60s
        finally:
          - exec: echo cleaned
        "#)
    .await;
    assert_eq!(outcome.verdicts(), [Verdict::TimedOut]);
    insta::assert_snapshot!(outcome.told(), @"
    timed out
      message: its deadline of 1s struck in this step
      step: parallel > log_contains done
      at: DIR/case.yaml:7
      mismatch: last seen: expected , saw 0 matching lines
      log: target: thinking hard
      note: also waiting, for N s: parallel > process_stable_for 60s
    ");
    insta::assert_snapshot!(outcome.steps(), @"
    start target: done
    parallel: interrupted
      log_contains done: interrupted
      process_stable_for 60s: interrupted
    finally: done
      exec echo cleaned: done
    ");
}

#[tokio::test]
async fn a_placeholder_that_only_the_run_can_fill_is_an_error_where_it_stands() {
    let outcome = run(r#"
        target: sleep 100
        procedure:
          - exec: 'true'
            save: {code: code}
          - send:
              port: "{{ saved.code - 1 }}"
              payload: x
        "#)
    .await;
    insta::assert_snapshot!(outcome.told(), @"
    errored
      message: there is no port `-1` here
      step: send
      at: DIR/case.yaml:7
    ");
}

#[tokio::test]
async fn parts_tell_how_they_ended_and_what_they_used() {
    let outcome = passes(r#"{target: exit 3, procedure: [{exits: 3}]}"#).await;
    let used: Vec<_> = outcome
        .events()
        .iter()
        .filter_map(|event| match event {
            EventKind::PartEnded { usage, .. } => Some(usage.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(used.len(), 1);
    assert_eq!(
        (used[0].part.as_str(), used[0].exit.as_str()),
        ("target", "exited with code 3")
    );
    assert!(
        used[0].rss_bytes_max.is_some_and(|bytes| bytes > 1000),
        "{used:?}"
    );
}

#[tokio::test]
async fn parts_of_one_test_share_a_network_of_their_own() {
    let case = r#"
requires: [network-namespaces]
parts:
  target:
    isolate: network
    command: [python3, -uc, 'import socket, time; u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 8125)); print(u.recv(100).decode()); time.sleep(100)']
    ports: {statsd: 8125/udp}
procedure:
  - port_listening: statsd
  - send: {port: statsd, payload: "in here"}
  - log_contains: in here
"#;
    let files = [
        ("seatrial.yaml", "name: it"),
        ("one.yaml", case),
        ("two.yaml", case),
    ];
    let outcome = Files::new(&files).run(|_| ()).await;
    let verdicts = outcome.verdicts();
    let without_rights = verdicts == [Verdict::Skipped; 2];
    assert!(
        without_rights || verdicts == [Verdict::Passed; 2],
        "{}",
        outcome.told()
    );
}
