//! From the target's pipes to the files of its logs.

use crate::logs::{LogWriter, Stream};
use rustix::{
    fs::{OFlags, fcntl_setfl},
    pipe::{PipeFlags, fcntl_setpipe_size, pipe_with},
};
use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

/// What an unprivileged pipe may hold. A target that writes a lot is woken less often.
const PIPE_BYTES: usize = 1 << 20;

/// Read at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// The read ends of all pipes that processes of the part may still write to, and the files.
pub(super) struct Pump {
    writer: LogWriter,
    pipes: Vec<(Stream, OwnedFd)>,
    /// A pipe that seatrial watches.
    written: OwnedFd,
    chunk: Vec<u8>,
    bytes_left: u64,
    /// The first error of writing; from then on what comes is dropped, since a blocked target would be worse.
    pub(super) lost: Option<io::Error>,
}

impl Pump {
    pub(super) fn new(writer: LogWriter, written: OwnedFd, bytes_max: u64) -> io::Result<Self> {
        fcntl_setfl(&written, OFlags::NONBLOCK)?;
        Ok(Self {
            writer,
            pipes: Vec::new(),
            written,
            chunk: vec![0; CHUNK_BYTES],
            bytes_left: bytes_max,
            lost: None,
        })
    }

    /// The write end of a new pipe.
    pub(super) fn open(&mut self, stream: Stream) -> io::Result<OwnedFd> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        // Only this end: the target's should block.
        fcntl_setfl(&read, OFlags::NONBLOCK)?;
        // A user has only so many large pipes; a smaller one does, too.
        let _ = fcntl_setpipe_size(&write, PIPE_BYTES);
        self.pipes.push((stream, read));
        Ok(write)
    }

    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.pipes.iter().map(|(_, pipe)| pipe.as_fd())
    }

    /// No process can write any more.
    pub(super) fn is_closed(&self) -> bool {
        self.pipes.is_empty()
    }

    /// More was written than may be.
    pub(super) fn is_over_limit(&self) -> bool {
        self.bytes_left == 0
    }

    /// Moves at most one chunk of each pipe, so that none of the part's streams waits for long.
    pub(super) fn move_some(&mut self) -> io::Result<Moved> {
        let mut moved = Moved::Nothing;
        let mut index = 0;
        while let Some((stream, pipe)) = self.pipes.get(index) {
            match rustix::io::read(pipe, &mut self.chunk) {
                Ok(0) => {
                    self.pipes.remove(index);
                    continue;
                }
                Ok(length) => {
                    moved = Moved::Some;
                    self.bytes_left = self.bytes_left.saturating_sub(length as u64);
                    if self.lost.is_none()
                        && let Err(error) = self.writer.write(*stream, &self.chunk[..length])
                    {
                        self.lost = Some(error);
                    }
                }
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            index += 1;
        }
        if moved == Moved::Some {
            // When it is full, seatrial has yet to read what it was told before.
            let _ = rustix::io::write(&self.written, &[1]);
        }
        Ok(moved)
    }

    /// Moves all that is there, as long as that is not more than pipes can hold.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        let chunks_max = 2 * PIPE_BYTES / 4096;
        for _ in 0..chunks_max {
            if self.move_some()? == Moved::Nothing {
                break;
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    Nothing,
    Some,
}
