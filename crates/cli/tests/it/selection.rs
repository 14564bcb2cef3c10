//! Selection from the command line, through `list` and `run`.

use seatrial::{RustTest, blocking_test};

use crate::binary::{Scratch, said};

pub(crate) fn tests() -> Vec<RustTest> {
    vec![
        blocking_test("selection::list_shows_what_run_would_run", |_| {
            list_shows_what_run_would_run()
        }),
        blocking_test("selection::failed_remembers_across_runs", |_| {
            failed_remembers_across_runs()
        }),
        blocking_test("selection::shards_cover_every_test_once", |_| {
            shards_cover_every_test_once()
        }),
        blocking_test("selection::flags_are_variables_too", |_| {
            flags_are_variables_too()
        }),
    ]
}

/// The names that `list` shows, in order.
#[track_caller]
fn listed(scratch: &Scratch, args: &[&str]) -> Vec<String> {
    let said = said(&mut scratch.sample(&[&["list", "--json"], args].concat()));
    assert_eq!(said.code, Some(0), "{said:?}");
    let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    json.as_object().unwrap().keys().cloned().collect()
}

fn list_shows_what_run_would_run() {
    let scratch = Scratch::new();
    assert_eq!(listed(&scratch, &[]).len(), 9);
    assert_eq!(
        listed(&scratch, &["-t", "fails*"]),
        ["fails::by_panic", "fails::by_error"]
    );
    assert_eq!(
        listed(&scratch, &["-t", "passes", "-t", "errs"]),
        ["passes", "errs"]
    );
    assert_eq!(listed(&scratch, &["--label", "speed"]), ["passes", "slow"]);
    assert_eq!(listed(&scratch, &["--label", "speed,speed!=fast"]), ["slow"]);
    assert_eq!(
        listed(&scratch, &["-E", "requires(no-such-program) | test(=errs)"]),
        ["errs", "needs"]
    );
    assert_eq!(
        listed(&scratch, &["-E", "name(errs)", "-E", "name(passes)"]),
        ["passes", "errs"]
    );
    assert_eq!(listed(&scratch, &["--on", "process", "-t", "passes"]), ["passes"]);
}

fn failed_remembers_across_runs() {
    let scratch = Scratch::new();
    let run = |args: &[&str]| said(&mut scratch.sample(&[&["run"], args].concat()));
    assert_eq!(run(&["--failed"]).code, Some(3));
    assert_eq!(run(&[]).code, Some(1));
    let failed = ["fails::by_panic", "fails::by_error", "errs"];
    assert_eq!(listed(&scratch, &["--failed"]), failed);
    // A run of something else forgets nothing.
    assert_eq!(run(&["-t", "passes"]).code, Some(0));
    assert_eq!(listed(&scratch, &["--failed"]), failed);
    assert_eq!(listed(&scratch, &["--failed-first"])[..3], failed);
    assert_eq!(listed(&scratch, &["--failed-first"]).len(), 9);
}

fn shards_cover_every_test_once() {
    let scratch = Scratch::new();
    for with_durations in [false, true] {
        let mut all: Vec<String> = (1..=3)
            .flat_map(|index| {
                let shard = format!("--shard={index}/3");
                // Each shard runs, so that the second would see what the first has recorded.
                let ran = said(&mut scratch.sample(&["run", &shard]));
                assert!(matches!(ran.code, Some(0 | 1)), "{ran:?}");
                listed(&scratch, &[&shard]).into_iter().collect::<Vec<_>>()
            })
            .collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 9, "with durations: {with_durations}");
        said(&mut scratch.sample(&["run"]));
    }
}

fn flags_are_variables_too() {
    let scratch = Scratch::new();
    let mut list = scratch.sample(&["list", "--json"]);
    list.env("SEATRIAL_TESTS", "passes,errs")
        .env("SEATRIAL_FILTER", "!test(errs)");
    let said = said(&mut list);
    assert!(
        said.out.contains("passes") && !said.out.contains("errs"),
        "{said:?}"
    );
}
