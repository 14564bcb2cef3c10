//! What people read when something fails: cases built to fail, each for one reason, and what is said of each.
//!
//! The cases are in `tests/failures`, what is said in `tests/failures/said`, and the reasons in its ANSWERS.md.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use regex::Regex;
use seatrial::{RustTest, blocking_test};

use crate::binary::{Said, Scratch, said};

pub(crate) fn tests() -> Vec<RustTest> {
    vec![
        blocking_test("failures::each_case_says_why", |_| each_case_says_why())
            .requires("python3")
            .timeout(std::time::Duration::from_secs(120)),
        blocking_test("failures::every_case_has_an_answer", |_| {
            every_case_has_an_answer()
        }),
    ]
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/failures")
}

fn each_case_says_why() {
    let scratch = Scratch::new();
    let cases = directory();
    let run = said(&mut scratch.seatrial(&["run", cases.to_str().unwrap(), "--color", "never"]));
    assert_eq!(run.code, Some(1), "{run:?}");
    let panic = said(&mut scratch.sample(&["run", "-t", "fails::by_panic", "--color", "never"]));
    let mut told = told(&run);
    told.insert("panic".to_owned(), told_of_panic(&panic));
    // Which of them are there is compared, too: one that passes has not failed as it should.
    told.insert(
        "all".to_owned(),
        told.keys().map(|name| format!("{name}\n")).collect(),
    );
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path(cases.join("said"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (name, told) in told {
            insta::assert_snapshot!(name, told);
        }
    });
}

fn every_case_has_an_answer() {
    let answers = std::fs::read_to_string(directory().join("ANSWERS.md")).unwrap();
    let answered: Vec<&str> = answers
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .skip(1)
        .collect();
    let mut cases: Vec<String> = std::fs::read_dir(directory().join("cases"))
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    cases.push("panic".to_owned());
    cases.sort();
    assert_eq!(answered, cases);
}

/// The block of each test and each fixture, by name.
fn told(run: &Said) -> BTreeMap<String, String> {
    static HEAD: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^ *(?:failed|errored|timed out|flaky|skipped|passed) +(?:[\d.ms]+ +)?(fixture |failures/)(?:failures/)?([\w.]+)(?:$|:| \()")
            .unwrap()
    });
    let mut told: BTreeMap<String, String> = BTreeMap::new();
    let mut at = None;
    for line in run.out.lines() {
        if line.is_empty() {
            // The summary repeats it all.
            break;
        }
        if let Some(head) = HEAD.captures(line) {
            let kind = if &head[1] == "fixture " { "fixture " } else { "" };
            at = Some(format!("{kind}{}", &head[2]));
        } else if !line.starts_with("        ") {
            at = None;
        }
        if let Some(name) = &at {
            let block = told.entry(name.clone()).or_default();
            block.push_str(&normal(line));
            block.push('\n');
        }
    }
    // What is said of a fixture explains its test.
    let merge = [("fixture broker", "fixture"), ("fixture build.tool", "build")];
    for (fixture, test) in merge {
        if let Some(block) = told.remove(fixture) {
            told.entry(test.to_owned()).or_default().insert_str(0, &block);
        }
    }
    told
}

fn told_of_panic(run: &Said) -> String {
    let lines = run
        .out
        .lines()
        .skip_while(|line| !line.contains("failed"))
        .take_while(|line| !line.is_empty());
    lines.map(|line| normal(line) + "\n").collect()
}

/// Without what differs from one run to the next.
fn normal(line: &str) -> String {
    static VARYING: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        [
            (r"\d+\.\d+s\b", "0.00s"),
            // A machine that is busy looks less often.
            (r" \(\d+ times, until 0\.00s\)", ""),
            (r"/\S*/runs/\S*/logs/", "LOGS/"),
            (r"/\S*/crates/cli/tests/", "tests/"),
            (r"/tmp/seatrial-\d+/[^/ ]+", "GROUP"),
            (r"\b(127\.0\.0\.1:|port )\d{5}\b", "${1}PORT"),
            (r"\bprocess \d+ \(python[\d.]*\)", "process N (python3)"),
            (r"in PATH \(.*\)", "in PATH (...)"),
            (r"(again +)\S+", "${1}seatrial"),
        ]
        .map(|(pattern, instead)| (Regex::new(pattern).unwrap(), instead))
        .into()
    });
    let mut text = line.to_owned();
    for (pattern, instead) in VARYING.iter() {
        text = pattern.replace_all(&text, *instead).into_owned();
    }
    text.trim_end().to_owned()
}
