//! seatrial's end of a supervisor's socket.

use super::protocol::{self, LENGTH_BYTES, Message, NumberedRequest, Reply, Request, Setup, SocketKind};
use crate::{reexec, signal::Signal};
use seatrial_engine::journal::ProcessIdentity;
use std::{
    collections::HashMap,
    fs, io,
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
        unix::net::UnixStream as StdUnixStream,
    },
    process::Child,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::Interest,
    net::UnixStream,
    sync::{mpsc, oneshot, watch},
    task::AbortHandle,
};

/// A supervisor is there within milliseconds, or something is very wrong.
const READY_TIMEOUT: Duration = Duration::from_secs(20);

/// Nothing that is asked for takes longer than killing a tree, for which the supervisor has its own deadline.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// From the end of its socket to its own end, with all that it holds.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(12);

/// A running supervisor. Letting go of it closes the socket, and with it ends all that the supervisor holds.
pub(super) struct Supervisor {
    socket: Arc<UnixStream>,
    /// Held while a frame is being sent, so that frames do not mix.
    sending: tokio::sync::Mutex<()>,
    /// Replaced by nothing when the supervisor is gone: whoever waits then is told.
    replies: Arc<Mutex<Option<Replies>>>,
    last_number: AtomicU64,
    /// Becomes true when it is gone and was waited for.
    gone: watch::Receiver<bool>,
    reader: AbortHandle,
    pub(super) pid: u32,
    pidfd: OwnedFd,
}

type Replies = HashMap<u64, oneshot::Sender<(Reply, Vec<OwnedFd>)>>;

/// Why there is no supervisor.
#[derive(Debug)]
pub(super) struct LaunchError {
    pub(super) doing: String,
    pub(super) source: io::Error,
    /// The hold itself was refused, so a weaker one may do.
    pub(super) is_refusal: bool,
}

impl LaunchError {
    fn broken(doing: &str) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.to_owned();
        move |source| Self {
            doing,
            source,
            is_refusal: false,
        }
    }
}

impl LaunchError {
    /// The hold is not to be had.
    pub(super) fn refused(doing: &str, source: io::Error) -> Self {
        Self {
            doing: doing.to_owned(),
            source,
            is_refusal: true,
        }
    }
}

impl Supervisor {
    /// Starts one and waits until it holds. Messages that are no replies go to `messages`.
    pub(super) async fn launch(
        name: &str,
        setup: &Setup,
        fds: &[BorrowedFd<'_>],
        messages: mpsc::UnboundedSender<Message>,
    ) -> Result<Self, LaunchError> {
        let broken = LaunchError::broken;
        let (ours, theirs) = StdUnixStream::pair().map_err(broken("make a socket pair"))?;
        ours.set_nonblocking(true).map_err(broken("make a socket pair"))?;
        let socket = UnixStream::from_std(ours).map_err(broken("watch a socket"))?;
        let child = reexec::supervise(name, theirs.into()).map_err(broken("start a supervisor"))?;
        let mut child = Reaped(Some(child));
        let socket = Arc::new(socket);
        let frame = protocol::encode(setup).map_err(broken("describe the part"))?;
        let ready = async {
            send(&socket, &frame, fds).await?;
            receive(&socket).await
        };
        let ready = tokio::time::timeout(READY_TIMEOUT, ready).await;
        let ready = ready.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)));
        let pidfd = match ready.map_err(broken("hear from the supervisor"))? {
            Some((Message::Ready, mut fds)) if fds.len() == 1 => fds.remove(0),
            Some((Message::SetupFailed { doing, errno }, fds)) => {
                tokio::task::spawn_blocking(move || fds.iter().for_each(wait_for));
                return Err(LaunchError {
                    doing,
                    source: io::Error::from_raw_os_error(errno),
                    is_refusal: true,
                });
            }
            _ => {
                return Err(broken("hear from the supervisor")(
                    io::ErrorKind::UnexpectedEof.into(),
                ));
            }
        };
        let pid = pid_of(&pidfd).map_err(broken("find the supervisor's PID"))?;
        child.is_now(pid);
        let waited_for = pidfd.try_clone().map_err(broken("watch the supervisor"))?;
        let replies = Arc::new(Mutex::new(Some(HashMap::new())));
        let (gone_sender, gone) = watch::channel(false);
        let reader = {
            let (socket, replies) = (Arc::clone(&socket), Arc::clone(&replies));
            tokio::spawn(async move {
                read(&socket, &replies, &messages).await;
                // Answers that will not come.
                drop(lock(&replies).take());
                drop(messages);
                // Its socket is closed, so it is about to end; what it held may take a moment.
                let waited = tokio::task::spawn_blocking(move || {
                    drop(child);
                    wait_for(&waited_for);
                });
                drop(waited.await);
                gone_sender.send_replace(true);
            })
        };
        Ok(Self {
            socket,
            sending: tokio::sync::Mutex::new(()),
            replies,
            last_number: AtomicU64::new(0),
            gone,
            reader: reader.abort_handle(),
            pid,
            pidfd,
        })
    }

    /// Who it is, for the journal.
    pub(super) fn identity(&self) -> io::Result<Option<ProcessIdentity>> {
        ProcessIdentity::of(self.pid)
    }

    /// Asks for something and waits for the answer.
    pub(super) async fn ask(
        &self,
        request: Request,
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<(Reply, Vec<OwnedFd>)> {
        let number = self.last_number.fetch_add(1, Ordering::Relaxed);
        let frame = protocol::encode(&NumberedRequest { number, request })?;
        let (sender, receiver) = oneshot::channel();
        match lock(&self.replies).as_mut() {
            Some(replies) => replies.insert(number, sender),
            None => return Err(gone()),
        };
        {
            let _sending = self.sending.lock().await;
            send(&self.socket, &frame, fds).await?;
        }
        match tokio::time::timeout(ANSWER_TIMEOUT, receiver).await {
            Ok(Ok((Reply::Failed { errno }, _))) => Err(io::Error::from_raw_os_error(errno)),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(gone()),
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "its supervisor does not answer",
            )),
        }
    }

    /// Has a socket made in there.
    pub(super) async fn socket(&self, kind: SocketKind) -> io::Result<OwnedFd> {
        let (_, fds) = self.ask(Request::Socket(kind), &[]).await?;
        fds.into_iter()
            .next()
            .ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
    }

    /// Closes the socket: it ends all that it holds, and itself. Waits for that.
    pub(super) async fn close(&self) {
        // Both ways: it sees the end of the stream, and so does the reader here. An error says that this has happened.
        let _ = rustix::net::shutdown(&*self.socket, rustix::net::Shutdown::Both);
        if tokio::time::timeout(CLOSE_TIMEOUT, self.wait_gone())
            .await
            .is_err()
        {
            // Somebody has stopped it. What it held is ended by whoever reads the journal's entry.
            let _ = rustix::process::pidfd_send_signal(&self.pidfd, rustix::process::Signal::KILL);
            self.wait_gone().await;
        }
    }

    /// Waits until it is gone, however that comes.
    pub(super) async fn wait_gone(&self) {
        let mut gone = self.gone.clone();
        // An error says that its reader was aborted; then nobody is left to know.
        drop(gone.wait_for(|gone| *gone).await);
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // The reader sees the end of the stream, waits for the process, and is done by itself.
        if rustix::net::shutdown(&*self.socket, rustix::net::Shutdown::Both).is_err() {
            self.reader.abort();
        }
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "its supervisor is gone")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The process that was started. With a PID namespace it ends at once, and the supervisor is another one; otherwise it
/// is the supervisor. Waited for in either case.
struct Reaped(Option<Child>);

impl Reaped {
    /// The supervisor has this PID: what was started, if it is another one, ended when it had forked.
    fn is_now(&mut self, supervisor: u32) {
        if let Some(mut child) = self.0.take_if(|child| child.id() != supervisor) {
            // It has nothing left to do, so this does not block, nor can it fail.
            drop(child.wait());
        }
    }
}

impl Drop for Reaped {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            if child.try_wait().is_ok_and(|status| status.is_some()) {
                return;
            }
            // It ends as soon as it sees its socket closed. Not on this thread, which may be one of the runtime's.
            std::thread::spawn(move || child.wait());
        }
    }
}

/// Waits for a supervisor in a PID namespace, which is a child of this process, too. One that is not was waited for
/// already.
fn wait_for(pidfd: &OwnedFd) {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
}

async fn read(
    socket: &UnixStream,
    replies: &Mutex<Option<Replies>>,
    messages: &mpsc::UnboundedSender<Message>,
) {
    // An error, too, means that there is nobody to talk to.
    while let Ok(Some((message, fds))) = receive(socket).await {
        match message {
            Message::Reply { number, reply } => {
                let waiting = lock(replies).as_mut().and_then(|replies| replies.remove(&number));
                if let Some(waiting) = waiting {
                    // Whoever asked may have given up.
                    drop(waiting.send((reply, fds)));
                }
            }
            other => drop(messages.send(other)),
        }
    }
}

async fn send(socket: &UnixStream, frame: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut sent = 0;
    while sent < frame.len() {
        let with_first = if sent == 0 { fds } else { &[] };
        let write = || protocol::send(socket.as_fd(), &frame[sent..], with_first);
        sent += socket.async_io(Interest::WRITABLE, write).await?;
    }
    Ok(())
}

async fn receive(socket: &UnixStream) -> io::Result<Option<(Message, Vec<OwnedFd>)>> {
    let mut fds = Vec::new();
    let mut length = [0; LENGTH_BYTES];
    if !fill(socket, &mut length, &mut fds).await? {
        return Ok(None);
    }
    let mut frame = vec![0; protocol::decode_length(length)?];
    if !fill(socket, &mut frame, &mut fds).await? {
        return Ok(None);
    }
    Ok(Some((serde_json::from_slice(&frame)?, fds)))
}

/// False at the end of the stream.
async fn fill(socket: &UnixStream, bytes: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<bool> {
    let mut filled = 0;
    while filled < bytes.len() {
        let read = || protocol::receive(socket.as_fd(), &mut bytes[filled..], fds);
        match socket.async_io(Interest::READABLE, read).await? {
            0 => return Ok(false),
            length => filled += length,
        }
    }
    Ok(true)
}

/// The PID of a process as this machine sees it, which is not what the process sees in a namespace of its own.
pub(super) fn pid_of(pidfd: &OwnedFd) -> io::Result<u32> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    info.lines()
        .find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok())
        .ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))
}

/// Sends any signal, real-time ones too.
pub(super) fn send_signal(pidfd: &OwnedFd, signal: Signal) -> io::Result<()> {
    let signal = match rustix::process::Signal::from_named_raw(signal.number()) {
        Some(signal) => signal,
        // SAFETY: a `Signal` of this crate is between 1 and 64; which numbers the C library has taken for itself is for
        // the kernel no difference.
        #[allow(unsafe_code)]
        None => unsafe { rustix::process::Signal::from_raw_unchecked(signal.number()) },
    };
    Ok(rustix::process::pidfd_send_signal(pidfd, signal)?)
}
