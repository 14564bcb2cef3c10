//! What seatrial and a supervisor say to each other over their socket.
//!
//! A frame is the length of what follows (four bytes, little endian) and JSON. File descriptors travel with the length.
//! Both ends are the same binary, so the format has no version.

use super::hold::Hold;
use crate::part::Usage;
use serde::{Deserialize, Serialize};
use std::{
    ffi::OsString,
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
    time::Duration,
};

/// More than any environment that the kernel takes, less than could hurt.
const FRAME_BYTES_MAX: usize = 16 << 20;

/// With one message: three streams of a command, or two namespaces and a pipe.
const FDS_MAX: usize = 4;

/// The length in front of a frame.
pub(super) const LENGTH_BYTES: usize = 4;

/// Said once, first.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Setup {
    /// What the part is held by.
    pub(super) hold: Hold,
    /// Which network it gets.
    pub(super) network: NetworkSetup,
    /// Where its logs go; a holder of a network has none. With it comes a pipe, written to when something was logged.
    pub(super) logs: Option<LogSetup>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum NetworkSetup {
    /// That of seatrial.
    Machine,
    /// A new one, with its loopback up.
    New,
    /// One that is there: with the setup come its network namespace and, when it has one, its user namespace.
    Join { user_namespace: bool },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LogSetup {
    pub(super) dir: PathBuf,
    pub(super) part: String,
    pub(super) bytes_max: u64,
}

/// What seatrial asks for; each is answered by one [`Reply`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// Start the main process, of which there is at most one. Answered with a pidfd.
    Spawn(Command),
    /// Start a command beside it; its standard streams come along. Answered with a pidfd.
    Exec(Command),
    /// Kill a command and what it started, as far as that is still below it.
    KillExec { pid: i32 },
    /// Kill every process that is held, and wait for their ends.
    KillTree { timeout: Duration },
    /// Make a socket here, unbound. Answered with it.
    Socket(SocketKind),
    /// Outlive seatrial.
    Keep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum SocketKind {
    Tcp {
        ipv6: bool,
    },
    Udp {
        ipv6: bool,
    },
    /// To ask for the socket tables over.
    Diag,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Command {
    /// As its `argv[0]`.
    pub(super) name: OsString,
    /// Absolute, or relative to the directory.
    pub(super) program: PathBuf,
    pub(super) args: Vec<OsString>,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) dir: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct NumberedRequest {
    pub(super) number: u64,
    pub(super) request: Request,
}

/// What a supervisor says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Message {
    /// The part is held; said once, first. With a pidfd of the supervisor that stays.
    Ready,
    /// It could not be set up; nothing else follows. With a pidfd of the supervisor, which ends.
    SetupFailed { doing: String, errno: i32 },
    /// The answer to a request.
    Reply { number: u64, reply: Reply },
    /// The main process ended; all that it wrote is in the logs.
    Ended {
        pid: i32,
        end: RawEnd,
        usage: Usage,
        log_limit: bool,
    },
    /// A command ended.
    ExecEnded { pid: i32, end: RawEnd },
    /// What was written since could not be kept.
    LogsLost { errno: i32 },
    /// No process has the other end of the main process's streams any more; `spawns` main processes had been asked for.
    LogsClosed { spawns: u64 },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    Done,
    /// A process was started: its PID as the supervisor sees it.
    Spawned {
        pid: i32,
    },
    /// The tree is dead.
    Killed {
        usage: Usage,
    },
    /// It did not work.
    Failed {
        errno: i32,
    },
}

/// An end as `wait` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum RawEnd {
    Code(i32),
    Signal { number: i32, core_dumped: bool },
}

/// A message as it goes over the socket.
pub(super) fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; LENGTH_BYTES];
    serde_json::to_writer(&mut frame, message)?;
    let length = frame.len() - LENGTH_BYTES;
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::ArgumentListTooLong,
            "the command and its environment are too large",
        ));
    }
    frame[..LENGTH_BYTES].copy_from_slice(&(u32::try_from(length).unwrap_or(u32::MAX)).to_le_bytes());
    Ok(frame)
}

/// The length of the frame that follows.
pub(super) fn decode_length(bytes: [u8; LENGTH_BYTES]) -> io::Result<usize> {
    let length = usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX);
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a frame is longer than any message",
        ));
    }
    Ok(length)
}

/// One `sendmsg`; returns how much of the bytes was taken. The descriptors go with the first byte.
pub(super) fn send(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "too many descriptors for one message",
        ));
    }
    Ok(sendmsg(
        socket,
        &[IoSlice::new(bytes)],
        &mut control,
        SendFlags::NOSIGNAL,
    )?)
}

/// One `recvmsg`; returns how much was read and adds the descriptors that came along.
pub(super) fn receive(socket: impl AsFd, bytes: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<usize> {
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        socket,
        &mut [IoSliceMut::new(bytes)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    Ok(received.bytes)
}
