//! What a group has dies together.

use crate::fixture::{Fixture, SOON, sh, soon, wait_for_text};
use seatrial_engine::journal::Outcome;
use seatrial_environment::{PartSpec, StartError, reapers};
use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

fn alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test]
async fn parts_stop_at_the_same_time() {
    let fixture = Fixture::new().await;
    for name in ["a", "b", "c", "d"] {
        let mut spec = PartSpec::new(
            name,
            [
                "sh",
                "-c",
                "trap '' TERM; echo ready; while :; do sleep 0.05; done",
            ],
        );
        spec.stop_grace = Duration::from_millis(500);
        let part = fixture.group.start(spec).await.unwrap();
        wait_for_text(&part, "ready").await;
    }
    let started = Instant::now();
    let group = fixture.group.clone();
    fixture.end().await;
    assert!(
        started.elapsed() < Duration::from_millis(1800),
        "{:?}",
        started.elapsed()
    );
    let late = group.start(sh("true")).await.unwrap_err();
    assert!(matches!(late, StartError::Gone { .. }));
}

#[tokio::test]
async fn the_deadline_cuts_the_grace_short() {
    let fixture = Fixture::new().await;
    let part = fixture
        .sh("trap '' TERM; echo ready; while :; do sleep 0.05; done")
        .await;
    wait_for_text(&part, "ready").await;
    let started = Instant::now();
    fixture.group.tear_down(Duration::from_millis(100)).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(fixture.journal.close(), 0);
}

#[tokio::test]
async fn dropping_it_kills_too() {
    let Fixture { dir, journal, group } = Fixture::new().await;
    let part = group
        .start(sh("trap '' TERM; setsid sleep 1000 & echo ready; sleep 1000"))
        .await
        .unwrap();
    wait_for_text(&part, "ready").await;
    let pids = part.pids();
    let group_dir = group.dir().to_owned();
    let id = group.id().to_owned();
    drop((part, group));
    // Orphans end without a word to anybody here.
    soon(async {
        while pids.iter().any(|pid| alive(*pid)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    // Nobody waited for it, so the journal lists it until somebody looks.
    assert!(group_dir.exists());
    let report = tokio::task::spawn_blocking(move || {
        let report = journal.reap_group(&id, &reapers(), SOON);
        assert_eq!(journal.close(), 0);
        report
    });
    let report = report.await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert!(!group_dir.exists());
    drop(dir);
}

#[tokio::test]
async fn an_abandoned_group_is_reaped_beside_others() {
    let fixture = Fixture::new().await;
    let part = fixture
        .sh("trap '' TERM; setsid sleep 1000 & echo ready; sleep 1000")
        .await;
    wait_for_text(&part, "ready").await;
    let other = {
        let mut spec = crate::fixture::spec(fixture.dir.path());
        spec.id = format!("{}-other", spec.id);
        seatrial_environment::IsolationGroup::open(&fixture.journal, spec)
            .await
            .unwrap()
    };
    let spared = other.start(sh("sleep 1000")).await.unwrap();
    let pids = part.pids();
    let (journal, id) = (fixture.journal.clone(), fixture.group.id().to_owned());
    let report = tokio::task::spawn_blocking(move || journal.reap_group(&id, &reapers(), SOON))
        .await
        .unwrap();
    let outcomes: Vec<_> = report
        .leftovers
        .iter()
        .map(|left| (left.kind.as_str(), &left.outcome))
        .collect();
    assert_eq!(
        outcomes,
        [
            ("process-tree", &Outcome::Reaped),
            ("directory", &Outcome::Reaped)
        ]
    );
    assert!(pids.iter().all(|pid| !alive(*pid)));
    soon(part.wait()).await;
    assert_eq!(spared.try_status(), None);
    other.tear_down(SOON).await.unwrap();
    assert_eq!(fixture.journal.close(), 0);
}

#[tokio::test]
async fn ports_differ_while_they_are_held() {
    let fixture = Fixture::new().await;
    let ports: BTreeSet<_> = (0..20).map(|_| fixture.group.claim_port().unwrap()).collect();
    assert_eq!(ports.len(), 20);
    fixture.end().await;
}
