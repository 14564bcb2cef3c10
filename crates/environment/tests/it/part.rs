//! One part: started, looked at, ended.

use seatrial_engine::journal::Journal;
use seatrial_environment::{
    Endpoint, ExecError, ExecSpec, ExitStatus, FileContent, FileSpec, GroupSpec, IsolationGroup, Part,
    PartSpec, Signal, StartError, Stream, reexec,
};
use std::{sync::Arc, time::Duration};

/// Long enough for a busy machine, short enough to wait for.
const SOON: Duration = Duration::from_secs(20);

struct Fixture {
    dir: tempfile::TempDir,
    journal: Arc<Journal>,
    group: IsolationGroup,
}

impl Fixture {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = Arc::new(Journal::create(dir.path(), "run").guarded_by(reexec::guard));
        let group = IsolationGroup::open(&journal, Self::spec(&dir)).await.unwrap();
        Self { dir, journal, group }
    }

    fn spec(dir: &tempfile::TempDir) -> GroupSpec {
        let mut spec = GroupSpec::new(
            dir.path().file_name().unwrap().to_str().unwrap(),
            dir.path().join("logs"),
        );
        spec.parent_dir = Some(dir.path().to_owned());
        spec
    }

    async fn sh(&self, script: &str) -> Part {
        self.group.start(sh(script)).await.unwrap()
    }

    /// Everything is gone, and the journal knows.
    async fn end(self) {
        self.group.tear_down(SOON).await.unwrap();
        assert!(!self.group.dir().exists());
        drop(self.group);
        assert_eq!(self.journal.unwritten(), None);
        drop(self.journal);
        let left: Vec<_> = std::fs::read_dir(self.dir.path().join("journal"))
            .unwrap()
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

fn sh(script: &str) -> PartSpec {
    PartSpec::new("part", ["sh", "-c", script])
}

async fn wait(part: &Part) -> ExitStatus {
    tokio::time::timeout(SOON, part.wait())
        .await
        .expect("it does not end")
}

async fn text(part: &Part, stream: Stream) -> String {
    let mut reader = part.logs().reader(stream).unwrap();
    let mut bytes = Vec::new();
    while let Some(chunk) = tokio::time::timeout(SOON, reader.next_chunk())
        .await
        .expect("the log does not end")
        .unwrap()
    {
        bytes.extend_from_slice(chunk);
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn exits_with_its_code_and_all_its_logs() {
    let fixture = Fixture::new().await;
    let part = fixture.sh("echo out; echo err >&2; exit 7").await;
    let status = wait(&part).await;
    assert_eq!(status.to_string(), "exited with code 7");
    assert_eq!(text(&part, Stream::Stdout).await, "out\n");
    assert_eq!(text(&part, Stream::Stderr).await, "err\n");
    assert_eq!(part.logs().tail(10).unwrap().len(), 2);
    assert!(part.usage().peak_rss_bytes > 100_000);
    fixture.end().await;
}
