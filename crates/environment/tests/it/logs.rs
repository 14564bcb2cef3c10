//! Logs of parts that write a lot, or oddly.

use crate::{
    fixture::{Fixture, sh, soon, text, wait, wait_for_text},
    targets::target,
};
use seatrial_environment::{PartSpec, Stream, part::EndedBy};
use std::fs;

/// Of this process, now, without what is only mapped.
fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .unwrap();
    line.trim()
        .strip_suffix("kB")
        .unwrap()
        .trim()
        .parse::<u64>()
        .unwrap()
        * 1024
}

#[tokio::test]
async fn much_is_kept_whole_and_in_bounds() {
    const MEGABYTES: u64 = 300;
    let fixture = Fixture::new().await;
    let before = resident_bytes();
    let spec = target("part", "targets::write_much").env("MEGABYTES", MEGABYTES.to_string());
    let part = fixture.group.start(spec).await.unwrap();
    let follow = |part: seatrial_environment::Part| async move {
        let mut reader = part.logs().reader(Stream::Stdout).unwrap();
        let (mut bytes, mut end) = (0, Vec::new());
        while let Some(chunk) = soon(reader.next_chunk()).await.unwrap() {
            bytes += chunk.len() as u64;
            end.extend_from_slice(&chunk[chunk.len().saturating_sub(10)..]);
            end.drain(..end.len().saturating_sub(10));
        }
        (bytes, end.ends_with(b"needle\n"))
    };
    let (first, second) = tokio::join!(follow(part.clone()), follow(part.clone()));
    assert!(wait(&part).await.success());
    assert_eq!(first, second);
    assert!(first.1, "the last line is missing");
    assert!(first.0 >= MEGABYTES * 1_000_000);
    assert_eq!(part.logs().bytes(Stream::Stdout).unwrap(), first.0);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 32 << 20, "grown by {grown} bytes");
    assert_eq!(part.logs().lost().map(|error| error.to_string()), None);
    fixture.end().await;
}

#[tokio::test]
async fn a_runaway_is_ended_by_its_limit() {
    let fixture = Fixture::new().await;
    let mut spec = PartSpec::new("part", ["yes"]);
    spec.log_bytes_max = 1_000_000;
    let part = fixture.group.start(spec).await.unwrap();
    let status = wait(&part).await;
    assert_eq!(status.ended_by, Some(EndedBy::LogLimit));
    assert_eq!(
        status.to_string(),
        "killed by SIGKILL, because it wrote more logs than its limit"
    );
    let bytes = part.logs().bytes(Stream::Stdout).unwrap();
    assert!((1_000_000..50_000_000).contains(&bytes), "{bytes}");
    fixture.end().await;
}

#[tokio::test]
async fn a_daemon_goes_on_after_its_launcher() {
    let fixture = Fixture::new().await;
    let part = fixture
        .sh("(while [ ! -e go ]; do sleep 0.01; done; echo from the daemon) & echo from the launcher")
        .await;
    assert!(wait(&part).await.success());
    fs::write(part.working_dir().join("go"), "").unwrap();
    wait_for_text(&part, "from the daemon").await;
    assert_eq!(
        text(&part, Stream::Stdout).await,
        "from the launcher\nfrom the daemon\n"
    );
    fixture.end().await;
}

#[tokio::test]
async fn a_crash_ends_the_logs_though_a_child_is_left() {
    let fixture = Fixture::new().await;
    let part = fixture.sh("sleep 1000 & echo crash; exit 1").await;
    assert_eq!(text(&part, Stream::Stdout).await, "crash\n");
    assert_eq!(part.pids().len(), 1);
    fixture.end().await;
}

#[tokio::test]
async fn lines_have_times_in_both_streams() {
    let fixture = Fixture::new().await;
    let spec = sh(
        "echo one; until [ -e 1 ]; do sleep 0.01; done; echo two >&2; until [ -e 2 ]; do sleep 0.01; done; printf three",
    );
    let part = fixture.group.start(spec).await.unwrap();
    wait_for_text(&part, "one").await;
    fs::write(part.working_dir().join("1"), "").unwrap();
    let mut errors = part.logs().reader(Stream::Stderr).unwrap();
    assert_eq!(soon(errors.next_chunk()).await.unwrap(), Some(&b"two\n"[..]));
    fs::write(part.working_dir().join("2"), "").unwrap();
    wait(&part).await;
    let lines: Vec<_> = part.logs().lines().unwrap().map(Result::unwrap).collect();
    let texts: Vec<_> = lines
        .iter()
        .map(|line| (line.stream, line.text.as_str()))
        .collect();
    assert_eq!(
        texts,
        [
            (Stream::Stdout, "one"),
            (Stream::Stderr, "two"),
            (Stream::Stdout, "three")
        ]
    );
    assert!(lines.windows(2).all(|pair| pair[0].time < pair[1].time));
    fixture.end().await;
}
