//! The examples, as somebody runs them who has just cloned the repository.
//!
//! The metrics agent can be broken on purpose in many ways, each of which one case is about. A case that does not
//! notice is a case that says nothing, so every one of them is broken here.

use std::{
    env,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use seatrial::{RustTest, blocking_test};

use crate::binary::{Said, Scratch, said};

/// So many runs at a time: they mostly wait.
const RUNS_MAX: usize = 4;

/// What is waited for in vain when the agent is broken is waited for no longer than this share of the usual time.
const MULTIPLIER: &str = "0.2";

pub(crate) fn tests() -> Vec<RustTest> {
    vec![
        blocking_test("examples::are_valid", |_| are_valid()),
        blocking_test("examples::every_defect_of_the_agent_is_noticed", |_| {
            every_defect_is_noticed()
        })
        .requires("cargo")
        .timeout(Duration::from_secs(900)),
    ]
}

fn are_valid() {
    let said = said(&mut in_repository(&Scratch::new(), &["check", "examples"]));
    assert_eq!(said.code, Some(0), "{said:?}");
}

fn every_defect_is_noticed() {
    // In no more time than the broken ones get, the sound agent passes; this also builds it.
    let sound = run_cases("", "*", "2");
    assert_eq!(sound.code, Some(0), "{}{}", sound.out, sound.err);

    let defects = defects();
    assert!(defects.len() >= 25, "{} defects", defects.len());
    let next = AtomicUsize::new(0);
    let unnoticed: Vec<String> = thread::scope(|scope| {
        let work = || {
            let mut unnoticed = Vec::new();
            while let Some((name, case)) = defects.get(next.fetch_add(1, Ordering::Relaxed)) {
                let broken = run_cases(name, case, "0");
                if !is_noticed(&broken, case) {
                    unnoticed.push(format!("{name}, by {case}: {}{}", broken.out, broken.err));
                }
            }
            unnoticed
        };
        let workers: Vec<_> = (0..RUNS_MAX).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    assert!(unnoticed.is_empty(), "not noticed:\n{}", unnoticed.join("\n"));
}

/// Whether the case, or a variant of it, did not pass; *errored* would say that it was not even tried.
fn is_noticed(said: &Said, case: &str) -> bool {
    let name = format!("metrics-agent/{case}");
    said.code == Some(1)
        && said.out.lines().any(|line| {
            let line = line.trim_start();
            (line.starts_with("failed") || line.starts_with("timed out"))
                && line
                    .split_whitespace()
                    .any(|word| word == name || word.starts_with(&format!("{name}/")))
        })
}

/// The agent's defects, and the case that is about each.
fn defects() -> Vec<(String, String)> {
    let mut cargo = Command::new("cargo");
    cargo
        .args(["run", "--quiet", "--package", "metrics-agent", "--", "defects"])
        .current_dir(repository());
    let listed = said(&mut cargo);
    assert_eq!(listed.code, Some(0), "{listed:?}");
    listed
        .out
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().map(str::to_owned);
            Some((words.next()?, words.next()?))
        })
        .collect()
}

fn run_cases(defect: &str, cases: &str, retries: &str) -> Said {
    let scratch = Scratch::new();
    let tests = format!("metrics-agent/{cases}");
    let arguments = [
        "run",
        "examples/metrics-agent",
        "--tests",
        &tests,
        "--timeout-multiplier",
        MULTIPLIER,
        "--retries",
        retries,
    ];
    let mut command = in_repository(&scratch, &arguments);
    command.env("METRICS_AGENT_BREAK", defect);
    said(&mut command)
}

/// The command in the repository, with what cargo needs to build the examples' programs there.
fn in_repository(scratch: &Scratch, arguments: &[&str]) -> Command {
    let mut command = scratch.seatrial(arguments);
    command.current_dir(repository());
    let inherited = [
        "HOME",
        "CARGO_HOME",
        "CARGO_TARGET_DIR",
        "RUSTUP_HOME",
        "RUSTUP_TOOLCHAIN",
    ];
    command.envs(
        inherited
            .iter()
            .filter_map(|name| Some((*name, env::var_os(name)?))),
    );
    command
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
