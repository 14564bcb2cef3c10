//! The supervisor's life: one loop over requests, ends of children and output.

use super::{
    super::{
        cgroup,
        hold::Hold,
        protocol::{
            self, Command, LENGTH_BYTES, Message, NetworkSetup, NumberedRequest, RawEnd, Reply, Request,
            Setup, SocketKind,
        },
    },
    pump::Pump,
    setup::{self, SetupError},
    spawn::{self, Cgroup},
    tree,
};
use crate::{
    logs::{LogWriter, Stream},
    part::Usage,
    sockets,
};
use nix::sys::{
    resource::{UsageWho, getrusage},
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{PidfdFlags, WaitOptions, pidfd_open},
};
use std::{
    collections::HashSet,
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

/// Between two kills of a tree that does not die at once.
const KILL_AGAIN_AFTER: Duration = Duration::from_millis(5);

/// For the tree to die when seatrial is gone and nobody asks how long it takes.
const ORPHANED_KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs as the supervisor that speaks over descriptor 0; returns when it has nothing left to hold.
pub(crate) fn main() {
    setup::detach("seatrial-part");
    // Without a socket there is nobody to tell.
    if let Ok(mut socket) = Socket::take_over() {
        drop(serve(&mut socket));
    }
}

fn serve(socket: &mut Socket) -> io::Result<()> {
    let Some((setup, mut fds)) = socket.receive_blocking::<Setup>()? else {
        return Ok(());
    };
    let namespaces = match setup.network {
        NetworkSetup::Machine | NetworkSetup::New => 0,
        NetworkSetup::Join { user_namespace } => 1 + usize::from(user_namespace),
    };
    let events = fds.split_off(namespaces.min(fds.len()));
    let supervisor = setup::enter(&setup, &fds).and_then(|cgroup| {
        Supervisor::new(setup, cgroup, events).map_err(|error| SetupError {
            doing: "open the logs",
            errno: errno(&error),
        })
    });
    drop(fds);
    // Not before: with a PID namespace this is another process now.
    let own = pidfd_open(rustix::process::getpid(), PidfdFlags::empty())?;
    match supervisor {
        Ok(mut supervisor) => {
            socket.send(&Message::Ready, &[own.as_fd()])?;
            supervisor.run(socket)
        }
        Err(SetupError { doing, errno }) => {
            let doing = doing.to_owned();
            socket.send(&Message::SetupFailed { doing, errno }, &[own.as_fd()])
        }
    }
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

struct Supervisor {
    hold: Hold,
    /// Where new processes are born.
    cgroup: Option<Cgroup>,
    pump: Option<Pump>,
    signals: SignalFd,
    main: Option<i32>,
    execs: HashSet<i32>,
    has_children: bool,
    is_kept: bool,
    said_logs_closed: bool,
    /// How many main processes were asked for.
    spawns: u64,
}

/// Whether to go on.
#[derive(PartialEq, Eq)]
enum Next {
    GoOn,
    End,
}

impl Supervisor {
    fn new(setup: Setup, cgroup: Option<Cgroup>, events: Vec<OwnedFd>) -> io::Result<Self> {
        let pump = match (setup.logs, events.into_iter().next()) {
            (Some(logs), Some(event)) => Some(Pump::new(
                LogWriter::open(&logs.dir, &logs.part)?,
                event,
                logs.bytes_max,
            )?),
            _ => None,
        };
        let mut watched = SigSet::empty();
        watched.add(Signal::SIGCHLD);
        watched.add(Signal::SIGTERM);
        Ok(Self {
            hold: setup.hold,
            cgroup,
            pump,
            signals: SignalFd::with_flags(&watched, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?,
            main: None,
            execs: HashSet::new(),
            has_children: false,
            is_kept: false,
            said_logs_closed: true,
            spawns: 0,
        })
    }

    /// Holds the part until there is nobody to hold it for; then ends it, whatever happened.
    fn run(&mut self, socket: &mut Socket) -> io::Result<()> {
        let served = self.serve(socket);
        self.kill_tree(socket, ORPHANED_KILL_TIMEOUT);
        if let Hold::Cgroup(leaf) = &self.hold {
            // Seatrial is gone or does the same; the journal has it.
            drop(cgroup::remove(leaf, Instant::now() + KILL_AGAIN_AFTER));
        }
        served
    }

    fn serve(&mut self, socket: &mut Socket) -> io::Result<()> {
        loop {
            self.wait(socket)?;
            let next = self.handle_signals();
            self.collect(socket);
            if let Some(pump) = &mut self.pump {
                pump.move_some()?;
            }
            self.look_at_logs(socket);
            if socket.is_open {
                while let Some((request, fds)) = socket.receive::<NumberedRequest>()? {
                    self.answer(socket, request, fds);
                }
            }
            let is_orphan = !socket.is_open && !self.is_kept;
            let is_left_behind = !socket.is_open && !self.has_children;
            if next == Next::End || is_orphan || is_left_behind {
                return Ok(());
            }
        }
    }

    /// Waits until there is something to do.
    fn wait(&self, socket: &Socket) -> io::Result<()> {
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        if socket.is_open {
            fds.push(PollFd::new(&socket.fd, PollFlags::IN));
        }
        if let Some(pump) = &self.pump {
            fds.extend(pump.fds().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        }
        match poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn handle_signals(&mut self) -> Next {
        let mut next = Next::GoOn;
        while let Ok(Some(signal)) = self.signals.read_signal() {
            if signal.ssi_signo == Signal::SIGTERM as u32 {
                next = Next::End;
            }
        }
        next
    }

    /// Waits for every child that has ended, orphans too.
    fn collect(&mut self, socket: &mut Socket) {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    let pid = pid.as_raw_nonzero().get();
                    let end = match status.terminating_signal() {
                        Some(number) => RawEnd::Signal {
                            number,
                            // WCOREDUMP
                            core_dumped: status.as_raw() & 0x80 != 0,
                        },
                        None => RawEnd::Code(status.exit_status().unwrap_or_default()),
                    };
                    self.child_ended(socket, pid, end);
                }
                Ok(None) => return,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => {
                    self.has_children = false;
                    return;
                }
            }
        }
    }

    fn child_ended(&mut self, socket: &mut Socket, pid: i32, end: RawEnd) {
        if self.main == Some(pid) {
            self.main = None;
            let mut log_limit = false;
            if let Some(pump) = &mut self.pump {
                // What it wrote before its end is in the pipes, and goes before the news.
                drop(pump.drain());
                log_limit = pump.is_over_limit();
            }
            let usage = usage();
            socket.tell(&Message::Ended {
                pid,
                end,
                usage,
                log_limit,
            });
        } else if self.execs.remove(&pid) {
            socket.tell(&Message::ExecEnded { pid, end });
        }
    }

    fn look_at_logs(&mut self, socket: &mut Socket) {
        let Some(pump) = &mut self.pump else {
            return;
        };
        if let Some(error) = pump.lost.take() {
            socket.tell(&Message::LogsLost { errno: errno(&error) });
        }
        let (is_over_limit, is_closed) = (pump.is_over_limit(), pump.is_closed());
        if is_over_limit && self.has_children {
            self.kill_tree(socket, ORPHANED_KILL_TIMEOUT);
        }
        if is_closed && self.main.is_none() && !self.said_logs_closed {
            self.said_logs_closed = true;
            let spawns = self.spawns;
            socket.tell(&Message::LogsClosed { spawns });
        }
    }

    fn answer(&mut self, socket: &mut Socket, request: NumberedRequest, fds: Vec<OwnedFd>) {
        let NumberedRequest { number, request } = request;
        let (reply, fd) = match self.act(socket, request, fds) {
            Ok(done) => done,
            Err(error) => (Reply::Failed { errno: errno(&error) }, None),
        };
        let fds: Vec<BorrowedFd<'_>> = fd.iter().map(AsFd::as_fd).collect();
        // If nobody listens any more, the next look at the socket ends all this.
        drop(socket.send(&Message::Reply { number, reply }, &fds));
    }

    fn act(
        &mut self,
        socket: &mut Socket,
        request: Request,
        fds: Vec<OwnedFd>,
    ) -> io::Result<(Reply, Option<OwnedFd>)> {
        match request {
            Request::Spawn(command) => {
                self.spawns += 1;
                let Some(pump) = self.pump.as_mut().filter(|_| self.main.is_none()) else {
                    return Err(io::Error::from_raw_os_error(libc::EBUSY));
                };
                let stdout = pump.open(Stream::Stdout)?;
                let stderr = pump.open(Stream::Stderr)?;
                let streams = [File::open("/dev/null")?.into(), stdout, stderr];
                let (pid, pidfd) = self.start(command, streams)?;
                self.main = Some(pid);
                self.said_logs_closed = false;
                Ok((Reply::Spawned { pid }, Some(pidfd)))
            }
            Request::Exec(command) => {
                let mut fds = fds.into_iter();
                let (Some(stdin), Some(stdout), Some(stderr)) = (fds.next(), fds.next(), fds.next()) else {
                    return Err(io::Error::from_raw_os_error(libc::EBADF));
                };
                let (pid, pidfd) = self.start(command, [stdin, stdout, stderr])?;
                self.execs.insert(pid);
                Ok((Reply::Spawned { pid }, Some(pidfd)))
            }
            Request::KillExec { pid } => {
                if self.execs.contains(&pid) {
                    tree::kill_child(pid);
                }
                Ok((Reply::Done, None))
            }
            Request::KillTree { timeout } => {
                if self.kill_tree(socket, timeout) {
                    Ok((Reply::Killed { usage: usage() }, None))
                } else {
                    Err(io::Error::from_raw_os_error(libc::ETIMEDOUT))
                }
            }
            Request::Socket(kind) => Ok((Reply::Done, Some(new_socket(kind)?))),
            Request::Keep => {
                self.is_kept = true;
                Ok((Reply::Done, None))
            }
        }
    }

    fn start(&mut self, command: Command, streams: [OwnedFd; 3]) -> io::Result<(i32, OwnedFd)> {
        let started = spawn::spawn(command, streams, self.cgroup.as_ref())?;
        self.has_children = true;
        Ok(started)
    }

    /// Kills until nothing is left; false if the time is not enough.
    fn kill_tree(&mut self, socket: &mut Socket, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        self.collect(socket);
        while self.has_children {
            if Instant::now() >= deadline {
                return false;
            }
            tree::kill_all(&self.hold);
            if let Some(cgroup) = &mut self.cgroup {
                cgroup.was_killed();
            }
            self.collect(socket);
            if self.has_children {
                // An error would come again, and the time is bounded.
                drop(self.wait_for_signal(KILL_AGAIN_AFTER));
                self.handle_signals();
                self.collect(socket);
            }
        }
        if let Some(pump) = &mut self.pump {
            drop(pump.drain());
        }
        true
    }

    fn wait_for_signal(&self, timeout: Duration) -> io::Result<()> {
        let mut fds = [PollFd::new(&self.signals, PollFlags::IN)];
        poll(&mut fds, Timespec::try_from(timeout).ok().as_ref())?;
        Ok(())
    }
}

/// Of all children that were waited for, and all that they waited for.
fn usage() -> Usage {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else {
        return Usage::default();
    };
    let time = |time: nix::sys::time::TimeVal| {
        use nix::sys::time::TimeValLike as _;
        Duration::from_micros(time.num_microseconds().unsigned_abs())
    };
    Usage {
        peak_rss_bytes: usage.max_rss().unsigned_abs() * 1024,
        cpu_time: time(usage.user_time()) + time(usage.system_time()),
    }
}

fn new_socket(kind: SocketKind) -> io::Result<OwnedFd> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    let (kind, ipv6) = match kind {
        SocketKind::Tcp { ipv6 } => (SocketType::STREAM, ipv6),
        SocketKind::Udp { ipv6 } => (SocketType::DGRAM, ipv6),
        SocketKind::Diag => return sockets::diag_socket(),
    };
    let family = if ipv6 {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    };
    Ok(socket_with(
        family,
        kind,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?)
}

/// The supervisor's end of the socket.
struct Socket {
    fd: OwnedFd,
    is_open: bool,
    received: Vec<u8>,
    fds: Vec<OwnedFd>,
}

impl Socket {
    /// It comes as standard input, which becomes `/dev/null`.
    fn take_over() -> io::Result<Self> {
        let fd = io::stdin().as_fd().try_clone_to_owned()?;
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        rustix::fs::fcntl_setfl(&fd, rustix::fs::OFlags::NONBLOCK)?;
        Ok(Self {
            fd,
            is_open: true,
            received: Vec::new(),
            fds: Vec::new(),
        })
    }

    /// Sends a message, waiting for room.
    fn send(&mut self, message: &Message, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        if !self.is_open {
            return Ok(());
        }
        let frame = protocol::encode(message)?;
        let mut sent = 0;
        while sent < frame.len() {
            let with_first = if sent == 0 { fds } else { &[] };
            match protocol::send(&self.fd, &frame[sent..], with_first) {
                Ok(length) => sent += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut writable = [PollFd::new(&self.fd, PollFlags::OUT)];
                    poll(&mut writable, None)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends what nobody has to get.
    fn tell(&mut self, message: &Message) {
        drop(self.send(message, &[]));
    }

    fn receive_blocking<T: serde::de::DeserializeOwned>(&mut self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        while self.is_open {
            if let Some(message) = self.receive()? {
                return Ok(Some(message));
            }
            let mut readable = [PollFd::new(&self.fd, PollFlags::IN)];
            match poll(&mut readable, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// The next message, if it is there as a whole, with the descriptors that came by then.
    fn receive<T: serde::de::DeserializeOwned>(&mut self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        loop {
            let end = match self.received.first_chunk::<LENGTH_BYTES>() {
                Some(length) => LENGTH_BYTES + protocol::decode_length(*length)?,
                None => LENGTH_BYTES,
            };
            if end > LENGTH_BYTES && self.received.len() == end {
                let message = serde_json::from_slice(&self.received[LENGTH_BYTES..])?;
                self.received.clear();
                return Ok(Some((message, std::mem::take(&mut self.fds))));
            }
            // Never beyond this message, or the descriptors of the next would be taken for this one's.
            let mut chunk = [0; 16 * 1024];
            let wanted = (end - self.received.len()).min(chunk.len());
            match protocol::receive(&self.fd, &mut chunk[..wanted], &mut self.fds) {
                Ok(0) => {
                    self.is_open = false;
                    return Ok(None);
                }
                Ok(length) => self.received.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // ECONNRESET: it ended with something of ours unread.
                Err(_) => {
                    self.is_open = false;
                    return Ok(None);
                }
            }
        }
    }
}
