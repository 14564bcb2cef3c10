//! The other commands, each once.

use std::{fs, process::Stdio};

use seatrial::{RustTest, blocking_test};

use crate::binary::{Going, Scratch, said};

pub(crate) fn tests() -> Vec<RustTest> {
    vec![
        blocking_test("commands::a_case_file_is_run_listed_and_shown", |_| {
            a_case_file_is_run_listed_and_shown()
        }),
        blocking_test("commands::check_tells_all_that_is_wrong", |_| {
            check_tells_all_that_is_wrong()
        }),
        blocking_test("commands::doctor_says_what_is_there_and_what_to_do", |_| {
            doctor_says_what_is_there_and_what_to_do();
        }),
        blocking_test("commands::reap_has_nothing_to_do", |_| reap_has_nothing_to_do()),
        blocking_test("commands::schema_completions_and_manual_are_printed", |_| {
            schema_completions_and_manual_are_printed();
        }),
        blocking_test("commands::log_dir_holds_the_runs", |_| log_dir_holds_the_runs()),
        blocking_test("commands::a_profile_and_overrides_hold_and_flags_win", |_| {
            a_profile_and_overrides_hold_and_flags_win();
        }),
        blocking_test("commands::a_breakpoint_waits_for_enter", |_| {
            a_breakpoint_waits_for_enter()
        }),
        blocking_test("commands::github_gets_annotations", |_| github_gets_annotations()),
        blocking_test("commands::help_is_grouped", |_| help_is_grouped()),
    ]
}

const HELLO: &str = "\
description: Says hello
target: echo hello; exit 3
procedure:
  - log_contains: hello
  - exits: 3
";

fn a_case_file_is_run_listed_and_shown() {
    let scratch = Scratch::new();
    fs::write(scratch.dir().join("hello.yaml"), HELLO).unwrap();
    let run = said(&mut scratch.seatrial(&["run"]));
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(
        run.out.contains("work/hello") && run.out.contains("1 passed"),
        "{run:?}"
    );
    assert_eq!(
        said(&mut scratch.seatrial(&["run", "hello.yaml", "-q"])).code,
        Some(0)
    );
    let listed = said(&mut scratch.seatrial(&["list"]));
    assert!(
        listed.out.contains("work/hello") || listed.out.contains("hello"),
        "{listed:?}"
    );
    let shown = said(&mut scratch.seatrial(&["show", "--junit", "junit.xml"]));
    assert!(shown.out.contains("1 passed"), "{shown:?}");
    assert!(
        fs::read_to_string(scratch.dir().join("junit.xml"))
            .unwrap()
            .contains("<testcase")
    );
    assert_eq!(
        said(&mut scratch.seatrial(&["show", "--runs"]))
            .out
            .lines()
            .count(),
        2
    );
    assert_eq!(said(&mut scratch.seatrial(&["show", "nope"])).code, Some(1));
}

fn check_tells_all_that_is_wrong() {
    let scratch = Scratch::new();
    fs::write(scratch.dir().join("hello.yaml"), HELLO).unwrap();
    let good = said(&mut scratch.seatrial(&["check", "-v"]));
    assert_eq!(good.code, Some(0), "{good:?}");
    for part in [
        "hello.yaml",
        "work/hello",
        "log_contains",
        "exits",
        "nothing is wrong",
    ] {
        assert!(good.out.contains(part), "no {part} in {}", good.out);
    }
    fs::write(
        scratch.dir().join("bad.yaml"),
        HELLO.replace("exits", "exist").replace("target", "tragte"),
    )
    .unwrap();
    for command in ["check", "run", "list"] {
        let bad = said(&mut scratch.seatrial(&[command]));
        assert_eq!(bad.code, Some(2), "{bad:?}");
        assert!(
            bad.err.contains("exist") && bad.err.contains("tragte"),
            "{}",
            bad.err
        );
        assert!(bad.err.contains("bad.yaml"), "{}", bad.err);
        assert!(!bad.out.contains("passed"), "{}", bad.out);
    }
}

fn doctor_says_what_is_there_and_what_to_do() {
    let scratch = Scratch::new();
    let all = said(&mut scratch.seatrial(&["doctor"]));
    assert_eq!(all.code, Some(0), "{all:?}");
    for name in ["root", "docker", "cgroup-kill", "user-namespaces", "kvm"] {
        assert!(all.out.contains(name), "no {name} in {}", all.out);
    }
    let some = said(&mut scratch.seatrial(&["doctor", "sh", "no-such-program"]));
    assert_eq!(some.code, Some(0), "{some:?}");
    assert!(
        some.out.contains("no no-such-program on the PATH"),
        "{}",
        some.out
    );
    let required = said(&mut scratch.seatrial(&["doctor", "sh", "--require", "no-such-program"]));
    assert_eq!(required.code, Some(1), "{required:?}");
}

fn reap_has_nothing_to_do() {
    let scratch = Scratch::new();
    for args in [&["reap"][..], &["reap", "--dry-run"], &["reap", "--kept"]] {
        let reaped = said(&mut scratch.seatrial(args));
        assert_eq!(reaped.code, Some(0), "{reaped:?}");
        assert!(!reaped.out.is_empty());
    }
}

fn schema_completions_and_manual_are_printed() {
    let scratch = Scratch::new();
    for of in ["case", "suite"] {
        let schema = said(&mut scratch.seatrial(&["schema", of]));
        let schema: serde_json::Value = serde_json::from_str(&schema.out).unwrap();
        assert!(schema["$schema"].is_string(), "{schema}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = said(&mut scratch.seatrial(&["completions", shell]));
        assert_eq!(script.code, Some(0), "{script:?}");
        assert!(script.out.contains("timeout-multiplier"), "{shell}");
    }
    assert!(said(&mut scratch.seatrial(&["man"])).out.contains(".TH seatrial"));
    assert_eq!(said(&mut scratch.seatrial(&["man", "pages"])).code, Some(0));
    for page in ["seatrial.1", "seatrial-run.1", "seatrial-reap.1"] {
        assert!(scratch.dir().join("pages").join(page).is_file(), "{page}");
    }
}

fn log_dir_holds_the_runs() {
    let scratch = Scratch::new();
    let run = said(&mut scratch.sample(&["run", "-t", "passes", "-l", "logs", "--junit", "out/junit.xml"]));
    assert_eq!(run.code, Some(0), "{run:?}");
    let logs = scratch.dir().join("logs");
    assert!(logs.join("latest/record.jsonl").is_file());
    assert!(logs.join("latest/junit.xml").is_file());
    assert!(scratch.dir().join("out/junit.xml").is_file());
    assert_eq!(said(&mut scratch.sample(&["show", "-l", "logs"])).code, Some(0));
    assert_eq!(said(&mut scratch.sample(&["show"])).code, Some(1));
}

fn help_is_grouped() {
    let help = said(&mut Scratch::new().seatrial(&["run", "--help"]));
    assert_eq!(help.code, Some(0));
    for heading in [
        "Selection:",
        "Running:",
        "Time:",
        "Looking closer:",
        "Output:",
        "Configuration:",
    ] {
        assert!(
            help.out.lines().any(|line| line == heading),
            "no {heading} in {}",
            help.out
        );
    }
}

fn a_profile_and_overrides_hold_and_flags_win() {
    let scratch = Scratch::new();
    let suite = "\
name: sea
profiles:
  ci: {timeout: 1ms, retries: 2, require: [no-such-program]}
overrides:
  - {filter: test(hello), profile: ci, retries: 1}
";
    fs::write(scratch.dir().join("seatrial.yaml"), suite).unwrap();
    fs::write(
        scratch.dir().join("hello.yaml"),
        HELLO.replace("exits: 3", "exits: 4"),
    )
    .unwrap();
    fs::write(
        scratch.dir().join("need.yaml"),
        format!("requires: [no-such-program]\n{HELLO}"),
    )
    .unwrap();
    let run = |args: &[&str]| said(&mut scratch.seatrial(&[&["run"], args].concat()));
    let plain = run(&[]);
    assert!(plain.out.contains("1 failed, 1 skipped"), "{plain:?}");
    let ci = run(&["--profile", "ci"]);
    assert_eq!(ci.code, Some(1));
    assert!(
        ci.out.contains("1 errored, 1 timed out") && ci.out.contains("(2 attempts)"),
        "{ci:?}"
    );
    let flags = run(&["--profile", "ci", "--timeout", "30s"]);
    assert!(flags.out.contains("1 failed, 1 errored"), "{flags:?}");
    let unknown = run(&["--profile", "cli"]);
    assert!(unknown.err.contains("there are ci"), "{unknown:?}");
}

fn a_breakpoint_waits_for_enter() {
    let scratch = Scratch::new();
    fs::write(scratch.dir().join("hello.yaml"), HELLO).unwrap();
    let args = ["run", "--breakpoint", "exits", "-o", "json"];
    assert_eq!(
        said(&mut scratch.seatrial(&args)).code,
        Some(2),
        "nobody can press Enter there"
    );
    let mut command = scratch.seatrial(&args);
    let mut going = Going::start(command.stdin(Stdio::piped()));
    going.until(r#""event":"breakpoint""#);
    going.type_text("\n");
    going.until(r#""verdict":"passed""#);
    assert_eq!(going.end().0, Some(0));
}

fn github_gets_annotations() {
    let scratch = Scratch::new();
    fs::write(
        scratch.dir().join("hello.yaml"),
        HELLO.replace("exits: 3", "exits: 4"),
    )
    .unwrap();
    let mut run = scratch.seatrial(&["run"]);
    let summary = scratch.dir().join("summary.md");
    run.env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", &summary);
    let failed = said(&mut run);
    assert!(
        failed.out.contains("::error file=hello.yaml,line=5"),
        "{}",
        failed.out
    );
    assert!(fs::read_to_string(summary).unwrap().contains("work/hello"));
    fs::write(
        scratch.dir().join("hello.yaml"),
        HELLO.replace("target", "targte"),
    )
    .unwrap();
    let wrong = said(&mut run);
    assert!(
        wrong
            .err
            .contains("file=hello.yaml,line=2,title=seatrial::unknown key"),
        "{}",
        wrong.err
    );
}
