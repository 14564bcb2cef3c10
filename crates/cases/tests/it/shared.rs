//! What several tests share: fixtures and builds.

use seatrial_engine::{EventKind, Verdict};

use crate::harness::{Files, Outcome};

const USES_BROKER: &str = r#"
uses: [broker]
target: echo "{{ fixture.broker.url }}"; sleep 100
procedure:
  - log_contains: "tcp://127.0.0.1:{{ fixture.broker.port.client }}"
  - file_contains: "{{ fixture.broker.part.target.dir }}/started"
"#;

const BROKER: &str = r#"
    target:
      command: echo up; touch started; exec sleep 100
      ports: [client]
    ready:
      - log_contains: up
      - file_contains: started
    outputs: {url: "tcp://{{ part.target.host }}:{{ port.client }}"}
"#;

fn started(outcome: &Outcome) -> Vec<String> {
    let key = |event: &EventKind| match event {
        EventKind::FixtureStarted { fixture, .. } => Some(fixture.to_string()),
        _ => None,
    };
    outcome.events().iter().filter_map(key).collect()
}

#[tokio::test]
async fn a_fixture_is_made_once_and_shared() {
    let suite = format!("name: it\nfixtures:\n  broker:{BROKER}");
    let files = [
        ("seatrial.yaml", suite.as_str()),
        ("one.yaml", USES_BROKER),
        ("two.yaml", USES_BROKER),
    ];
    let outcome = Files::new(&files).run(|_| ()).await;
    assert_eq!(outcome.verdicts(), [Verdict::Passed; 2], "{}", outcome.told());
    assert_eq!(started(&outcome), ["broker"]);
}

#[tokio::test]
async fn suites_share_what_they_define_alike() {
    let suite =
        |name: &str, scope: &str| format!("name: {name}\nfixtures:\n  broker:\n    scope: {scope}{BROKER}");
    let files = |scope: &str| {
        [
            ("a/seatrial.yaml".to_owned(), suite("a", scope)),
            ("a/one.yaml".to_owned(), USES_BROKER.to_owned()),
            ("b/seatrial.yaml".to_owned(), suite("b", scope)),
            ("b/one.yaml".to_owned(), USES_BROKER.to_owned()),
        ]
    };
    for (scope, expected) in [("run", vec!["broker"]), ("suite", vec!["a/broker", "b/broker"])] {
        let files = files(scope);
        let files: Vec<_> = files
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        let outcome = Files::new(&files).run(|_| ()).await;
        assert_eq!(outcome.verdicts(), [Verdict::Passed; 2], "{}", outcome.told());
        let mut started = started(&outcome);
        started.sort();
        assert_eq!(started, expected);
    }
}

#[tokio::test]
async fn a_fixture_that_does_not_become_ready_errors_its_tests() {
    let suite = r#"
name: it
fixtures:
  broker:
    target: echo "port 4222 is taken" >&2; exit 1
    ready: [{log_contains: ready}]
"#;
    let case = "{uses: [broker], target: sleep 100, procedure: [{process_stable_for: 1s}]}";
    let outcome = Files::new(&[("seatrial.yaml", suite), ("one.yaml", case)])
        .run(|_| ())
        .await;
    insta::assert_snapshot!(outcome.told(), @"
    fixture broker
      message: `target` exited with code 1 while waiting for a line that contains `ready` in the log of `target`
      step: log_contains ready
      at: DIR/seatrial.yaml:6
      mismatch: matching lines: expected at least 1, saw 0
      history: 0 matching lines
      log: target: port 4222 is taken
    errored
      message: its fixture broker could not be built
    ");
}

#[tokio::test]
async fn a_fixture_that_broke_is_named_by_the_test_that_noticed() {
    let suite = r#"
name: it
fixtures:
  broker:
    target: echo up; sleep 0.1; exit 9
    ready: [{log_contains: up}]
"#;
    let case = "{uses: [broker], target: sleep 100, procedure: [{exec: sleep 0.3; exit 1}]}";
    let outcome = Files::new(&[("seatrial.yaml", suite), ("one.yaml", case)])
        .run(|_| ())
        .await;
    insta::assert_snapshot!(outcome.told(), @"
    failed
      message: the command exited with code 1
      step: exec sleep 0.3; exit 1
      at: DIR/one.yaml:1
      mismatch: exit code: expected 0, saw 1
      note: the fixture `broker` is broken: its part `target` exited with code 9
    ");
}

#[tokio::test]
async fn builds_are_found_by_path_and_by_what_they_print() {
    let suite = r##"
name: it
build:
  tool: {command: 'printf "#!/bin/sh\necho built $WITH" > tool; chmod +x tool', env: {WITH: care}, find: {path: tool}}
  other: {command: 'mkdir -p out; echo x > out/other; echo "out/other"', find: {last_line: true}}
"##;
    let case = r#"
target: '{{ build.tool }}; cat {{ build.other }}; sleep 100'
procedure: [{log_contains: built care}, {log_contains: x}]
"#;
    let none = "{target: sleep 100, procedure: [{process_stable_for: 1ms}]}";
    let files = [("seatrial.yaml", suite), ("one.yaml", case), ("none.yaml", none)];
    let outcome = Files::new(&files).run(|_| ()).await;
    assert_eq!(outcome.verdicts(), [Verdict::Passed; 2], "{}", outcome.told());
    let mut started = started(&outcome);
    started.sort();
    assert_eq!(started, ["it/build.other", "it/build.tool"]);
}

#[tokio::test]
async fn a_failed_build_says_what_the_tool_said() {
    let suite = r#"
name: it
build:
  printed: {command: 'echo linking; echo "undefined symbol: frob" >&2; exit 2', find: {path: tool}}
  nothing: {command: 'echo done', find: {path: tool}}
  cargo:
    command:
      - echo
      - '{"reason":"compiler-artifact","target":{"name":"other"},"executable":"/bin/sh"}'
    find: {cargo: agent}
  two:
    command:
      - printf
      - '%s\n'
      - '{"reason":"compiler-artifact","target":{"name":"a"},"executable":"/bin/sh"}'
      - '{"reason":"compiler-artifact","target":{"name":"b"},"executable":"/bin/sh"}'
    find: {cargo: agent}
  compiler:
    command:
      - sh
      - -c
      - printf '%s\n' "$0"; exit 101
      - '{"reason":"compiler-message","message":{"level":"error","rendered":"error[E0425]: cannot find value `x`\n --> src/main.rs:1\n"}}'
    find: {cargo: agent}
"#;
    let case =
        |name: &str| format!("{{target: '{{{{ build.{name} }}}} -c true', procedure: [{{exits: 0}}]}}");
    let mut told = String::new();
    for name in ["printed", "nothing", "cargo", "two", "compiler"] {
        let outcome = Files::new(&[("seatrial.yaml", suite), ("one.yaml", &case(name))])
            .run(|_| ())
            .await;
        told.push_str(&format!("{name}: {}", outcome.told()));
    }
    insta::assert_snapshot!(told, @r#"
    printed: fixture it/build.printed
      message: `echo linking; echo "undefined symbol: frob" >&2; exit 2` exited with code 2
      at: DIR/seatrial.yaml:4
      log: the build: linking | undefined symbol: frob
    errored
      message: its fixture it/build.printed could not be built
    nothing: fixture it/build.nothing
      message: the build made no `DIR/tool`
      at: DIR/seatrial.yaml:5
      log: the build: done
    errored
      message: its fixture it/build.nothing could not be built
    cargo: passed
    two: fixture it/build.two
      message: cargo reported no executable `agent`
      at: DIR/seatrial.yaml:12
      note: it reported a, b
    errored
      message: its fixture it/build.two could not be built
    compiler: fixture it/build.compiler
      message: `sh -c printf '%s\n' "$0"; exit 101 {"reason":"compiler-message","message":{"level":"error","rendered":"error[E0425]: cannot find value `x`\n --> src/main.rs:1\n"}}` exited with code 101
      at: DIR/seatrial.yaml:19
      log: the compiler: error[E0425]: cannot find value `x` |  --> src/main.rs:1
    errored
      message: its fixture it/build.compiler could not be built
    "#);
}
