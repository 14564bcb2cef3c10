//! A group with a journal, and a look at whether all of it is gone.

use seatrial_engine::journal::Journal;
use seatrial_environment::{ExitStatus, GroupSpec, IsolationGroup, Part, PartSpec, Stream, reexec};
use std::{future::Future, path::Path, sync::Arc, time::Duration};

/// Long enough for a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);

pub(crate) struct Fixture {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) journal: Arc<Journal>,
    pub(crate) group: IsolationGroup,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut GroupSpec)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = Arc::new(Journal::create(dir.path(), "run").guarded_by(reexec::guard));
        let mut spec = spec(dir.path());
        change(&mut spec);
        let group = IsolationGroup::open(&journal, spec).await.unwrap();
        Self { dir, journal, group }
    }

    pub(crate) async fn sh(&self, script: &str) -> Part {
        self.group.start(sh(script)).await.unwrap()
    }

    /// Everything is gone, and the journal knows.
    pub(crate) async fn end(self) {
        let pids: Vec<_> = self.group.parts().iter().flat_map(Part::pids).collect();
        self.group.tear_down(SOON).await.unwrap();
        assert!(!self.group.dir().exists());
        for pid in pids {
            assert!(
                !Path::new(&format!("/proc/{pid}")).exists(),
                "process {pid} is left"
            );
        }
        assert_eq!(self.journal.unwritten(), None);
        assert_eq!(self.journal.close(), 0);
        let left: Vec<_> = std::fs::read_dir(self.dir.path().join("journal"))
            .unwrap()
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// A group named after its directory, which is unique.
pub(crate) fn spec(dir: &Path) -> GroupSpec {
    let mut spec = GroupSpec::new(dir.file_name().unwrap().to_str().unwrap(), dir.join("logs"));
    spec.parent_dir = Some(dir.to_owned());
    spec
}

pub(crate) fn sh(script: &str) -> PartSpec {
    PartSpec::new("part", ["sh", "-c", script])
}

#[track_caller]
pub(crate) fn soon<T>(what: impl Future<Output = T>) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(SOON, what).await {
            Ok(done) => done,
            Err(_) => panic!("not done in time, at {caller}"),
        }
    }
}

pub(crate) async fn wait(part: &Part) -> ExitStatus {
    soon(part.wait()).await
}

/// Waits until the part has written this, to either stream.
pub(crate) async fn wait_for_text(part: &Part, wanted: &str) {
    let mut reader = part.logs().reader(Stream::Stdout).unwrap();
    let mut text = String::new();
    while !text.contains(wanted) {
        let chunk = soon(reader.next_chunk()).await.unwrap();
        let chunk = chunk.unwrap_or_else(|| panic!("the part ended before it wrote `{wanted}`: {text}"));
        text.push_str(std::str::from_utf8(chunk).unwrap());
    }
}

/// All that a part writes to a stream until it ends.
pub(crate) async fn text(part: &Part, stream: Stream) -> String {
    let mut reader = part.logs().reader(stream).unwrap();
    let mut bytes = Vec::new();
    while let Some(chunk) = soon(reader.next_chunk()).await.unwrap() {
        bytes.extend_from_slice(chunk);
    }
    String::from_utf8(bytes).unwrap()
}
