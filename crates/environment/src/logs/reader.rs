//! Following one stream of a log at one's own position.

use super::LogState;
use std::{fs::File, io, os::unix::fs::FileExt as _};
use tokio::sync::watch;

/// Read at a time: large enough that searching dominates, small enough to stay in the cache.
const CHUNK_BYTES: usize = 256 * 1024;

/// Reads one stream of a part's logs, at the speed of the one who reads.
#[derive(Debug)]
pub struct LogReader {
    file: File,
    position: u64,
    state: watch::Receiver<LogState>,
    chunk: Vec<u8>,
}

impl LogReader {
    pub(super) fn new(file: File, position: u64, state: watch::Receiver<LogState>) -> Self {
        Self {
            file,
            position,
            state,
            chunk: Vec::new(),
        }
    }

    /// The next bytes, at most 256 KiB; waits for them. None when nothing more can come: the part has ended and all is
    /// read. After a restart it goes on. Cancel safe: what was not returned is not lost.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub async fn next_chunk(&mut self) -> io::Result<Option<&[u8]>> {
        let length = loop {
            // Looked at before reading: what was written before the end is then read before the end is believed.
            let ended = self.state.borrow_and_update().ended;
            let length = self.read()?;
            if length > 0 {
                break length;
            }
            if ended || self.state.changed().await.is_err() {
                break self.read()?;
            }
        };
        Ok((length > 0).then(|| &self.chunk[..length]))
    }

    /// The next bytes if there are any now; empty otherwise.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn available(&mut self) -> io::Result<&[u8]> {
        let length = self.read()?;
        Ok(&self.chunk[..length])
    }

    /// How far it has read.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Waits until no more can come, without reading on: the part has ended.
    pub async fn ended(&mut self) {
        // An error says that whoever could write more is gone.
        drop(self.state.wait_for(|state| state.ended).await);
    }

    fn read(&mut self) -> io::Result<usize> {
        if self.chunk.is_empty() {
            self.chunk = vec![0; CHUNK_BYTES];
        }
        let length = self.file.read_at(&mut self.chunk, self.position)?;
        self.position += length as u64;
        Ok(length)
    }
}
