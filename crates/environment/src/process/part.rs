//! A part as a process tree: what [`Part`](crate::Part) does, by asking its supervisor.

use super::{
    cgroup,
    client::{self, LaunchError, Supervisor},
    files,
    hold::{Hold, HoldKind},
    network::Network,
    procfs,
    program::{self, LookupError},
    protocol::{Command, LogSetup, Message, NetworkSetup, RawEnd, Reply, Request, Setup},
    reaper::{PROCESS_TREE, TreeData},
};
use crate::{
    group::IsolationGroup,
    logs::{LogState, Logs},
    part::{End, EndedBy, ExitStatus, PartError, PartSpec, StartError, Usage},
    signal::Signal,
    sockets::{self, Endpoint, Listening, SocketTables},
};
use seatrial_engine::journal::{EntryId, Journal, ProcessIdentity};
use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    fs, io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::unix::pipe,
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

/// SIGKILL takes effect at once but for what sleeps in the kernel.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// A target that prints often wakes its followers at most this often.
const LOG_NEWS_PAUSE: Duration = Duration::from_millis(1);

/// Tells the cgroups of one group apart.
static LAST_CGROUP: AtomicU64 = AtomicU64::new(0);

/// A part that runs as processes of this machine.
#[derive(Clone)]
pub(crate) struct ProcessPart(pub(super) Arc<Inner>);

pub(super) struct Inner {
    spec: PartSpec,
    pub(super) command: Command,
    pub(super) environment: BTreeMap<OsString, OsString>,
    working_dir: PathBuf,
    journal: Arc<Journal>,
    entry: EntryId,
    data: Mutex<TreeData>,
    pub(super) supervisor: Supervisor,
    state: watch::Sender<State>,
    log_state: watch::Sender<LogState>,
    logs: Logs,
    /// Of the network namespace it is in.
    tables: Arc<SocketTables>,
    usage: Mutex<Usage>,
    pub(super) execs: Mutex<HashMap<i32, Exec>>,
    /// Why the main process ends next, if it was seatrial's doing.
    is_stopping: AtomicBool,
    /// Some process can still write to the main process's streams.
    logs_open: AtomicBool,
    /// How many main processes were asked for.
    spawns: AtomicU64,
    /// Only one start, stop or restart at a time.
    turn: tokio::sync::Mutex<()>,
}

/// The end of a command, which may be told before anybody asks.
pub(super) enum Exec {
    Awaited(oneshot::Sender<RawEnd>),
    Ended(RawEnd),
}

#[derive(Default)]
struct State {
    main: Option<Main>,
    status: Option<ExitStatus>,
}

struct Main {
    pid: u32,
    pidfd: OwnedFd,
}

impl ProcessPart {
    pub(crate) async fn start(group: &IsolationGroup, spec: PartSpec) -> Result<Self, StartError> {
        let part = || spec.name.clone();
        let dir = part_dir(group.dir(), &spec.name);
        let (home, temporary) = (dir.join("home"), dir.join("tmp"));
        let working_dir = group.working_dir(&spec.name, spec.working_dir.as_deref());
        let unusable = |dir: &Path| {
            let (part, dir) = (part(), dir.to_owned());
            move |source| StartError::WorkingDirectory { part, dir, source }
        };
        for own in [&home, &temporary] {
            fs::create_dir_all(own).map_err(unusable(own))?;
        }
        if working_dir.starts_with(group.dir()) {
            fs::create_dir_all(&working_dir).map_err(unusable(&working_dir))?;
        }
        fs::read_dir(&working_dir).map_err(unusable(&working_dir))?;
        for file in &spec.files {
            files::place(file, &working_dir, group.dir()).map_err(|source| StartError::File {
                part: part(),
                path: file.path.clone(),
                source,
            })?;
        }
        let environment = program::environment(&home, &temporary, &spec.inherit_env, &spec.env);
        let command = command(&spec, &environment, &working_dir)?;

        let (state, _) = watch::channel(State::default());
        let (log_state, log_reader) = watch::channel(LogState::default());
        // A supervisor says little: how its main process ended, and each command that it was asked to run.
        let (messages, received) = mpsc::unbounded_channel();
        let written = io::pipe().and_then(|(read, write)| {
            Ok((pipe::Receiver::from_owned_fd(read.into())?, OwnedFd::from(write)))
        });
        let (written, written_theirs) = written.map_err(|source| StartError::Hold {
            part: part(),
            doing: "watch its logs",
            source,
        })?;
        let held = hold(group, &spec, &written_theirs, &messages).await?;
        // The other senders are the supervisor's: its messages end when it does.
        drop(messages);
        let inner = Arc::new(Inner {
            command,
            environment,
            working_dir,
            journal: Arc::clone(group.journal()),
            entry: held.entry,
            data: Mutex::new(held.data),
            supervisor: held.supervisor,
            state,
            log_state,
            logs: Logs::live(group.log_dir(), &file_name(&spec.name), log_reader),
            tables: group
                .network()
                .map_or_else(SocketTables::of_machine, Network::tables),
            usage: Mutex::default(),
            execs: Mutex::default(),
            is_stopping: AtomicBool::new(false),
            logs_open: AtomicBool::new(false),
            spawns: AtomicU64::new(0),
            turn: tokio::sync::Mutex::new(()),
            spec,
        });
        // Neither keeps the part alive, so that letting go of its last handle ends it.
        tokio::spawn(listen(Arc::downgrade(&inner), inner.log_state.clone(), received));
        tokio::spawn(tell_log_news(inner.log_state.clone(), written));
        let part = Self(inner);
        if let Err(error) = part.spawn().await {
            // It holds nothing yet; if something is left anyway the journal keeps it.
            drop(part.tear_down(Instant::now()).await);
            return Err(error);
        }
        Ok(part)
    }

    pub(crate) fn name(&self) -> &str {
        &self.0.spec.name
    }

    pub(crate) fn working_dir(&self) -> &Path {
        &self.0.working_dir
    }

    pub(crate) fn main_pid(&self) -> u32 {
        self.0.state.borrow().main.as_ref().map_or(0, |main| main.pid)
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        let pids = match &lock(&self.0.data).hold {
            Hold::Cgroup(leaf) => cgroup::pids(leaf),
            Hold::PidNamespace { .. } | Hold::Subreaper => procfs::descendants(self.0.supervisor.pid),
        };
        pids.into_iter()
            .filter(|pid| procfs::stat(*pid).is_some_and(|stat| !stat.is_zombie))
            .collect()
    }

    pub(crate) async fn wait(&self) -> ExitStatus {
        let mut state = self.0.state.subscribe();
        let status = state
            .wait_for(|state| state.status.is_some())
            .await
            .ok()
            .and_then(|state| state.status);
        status.unwrap_or(UNSEEN)
    }

    pub(crate) fn try_status(&self) -> Option<ExitStatus> {
        self.0.state.borrow().status
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<(), PartError> {
        let part = self.name().to_owned();
        let state = self.0.state.borrow();
        let Some(main) = state.main.as_ref().filter(|_| state.status.is_none()) else {
            return Err(PartError::NotRunning { part });
        };
        match client::send_signal(&main.pidfd, signal) {
            Ok(()) => Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Err(PartError::NotRunning { part }),
            Err(source) => Err(PartError::Io {
                part,
                doing: "signal",
                source,
            }),
        }
    }

    pub(crate) async fn stop(&self) -> Result<ExitStatus, PartError> {
        let _turn = self.0.turn.lock().await;
        self.stop_within(self.0.spec.stop_grace).await
    }

    pub(crate) async fn kill(&self) -> Result<ExitStatus, PartError> {
        let _turn = self.0.turn.lock().await;
        self.stop_within(Duration::ZERO).await
    }

    pub(crate) async fn restart(&self) -> Result<(), StartError> {
        let _turn = self.0.turn.lock().await;
        self.stop_within(self.0.spec.stop_grace)
            .await
            .map_err(|error| StartError::Hold {
                part: self.name().to_owned(),
                doing: "stop it before",
                source: io::Error::other(error),
            })?;
        self.spawn().await
    }

    async fn stop_within(&self, grace: Duration) -> Result<ExitStatus, PartError> {
        self.0.is_stopping.store(true, Ordering::Relaxed);
        if !grace.is_zero() && self.try_status().is_none() {
            // If it ended meanwhile, that is what was wanted.
            drop(self.signal(self.0.spec.stop_signal));
            // Too slow or not, what is left of the tree is killed.
            drop(tokio::time::timeout(grace, self.wait()).await);
        }
        let timeout = KILL_TIMEOUT;
        match self.0.supervisor.ask(Request::KillTree { timeout }, &[]).await {
            Ok((Reply::Killed { usage }, _)) => *lock(&self.0.usage) = usage,
            Ok(_) => {}
            Err(source) => {
                return Err(PartError::Io {
                    part: self.name().to_owned(),
                    doing: "kill",
                    source,
                });
            }
        }
        // The supervisor said so before it said that the tree is dead; only the news may be on its way.
        Ok(tokio::time::timeout(KILL_TIMEOUT, self.wait())
            .await
            .unwrap_or(UNSEEN))
    }

    async fn spawn(&self) -> Result<(), StartError> {
        let part = || self.name().to_owned();
        let inner = &self.0;
        inner.spawns.fetch_add(1, Ordering::Relaxed);
        inner.is_stopping.store(false, Ordering::Relaxed);
        inner.logs_open.store(true, Ordering::Relaxed);
        inner.state.send_modify(|state| state.status = None);
        inner.log_state.send_modify(|state| state.ended = false);
        let spawned = inner
            .supervisor
            .ask(Request::Spawn(inner.command.clone()), &[])
            .await;
        let pidfd = spawned.and_then(|(_, fds)| {
            fds.into_iter()
                .next()
                .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
        });
        if pidfd.is_err() {
            // Or whoever waits for its end would wait for one that never began.
            inner.log_state.send_modify(|state| state.ended = true);
            inner.state.send_modify(|state| state.status = Some(UNSEEN));
        }
        let pidfd = pidfd.map_err(|source| match source.kind() {
            io::ErrorKind::BrokenPipe => StartError::Gone { part: part() },
            // What it is was looked at before; the rest only exec can tell.
            _ => StartError::NotExecutable {
                part: part(),
                program: inner.command.program.clone(),
                source: explain_exec_error(source),
            },
        })?;
        // A process that is dead already has no number any more.
        let pid = client::pid_of(&pidfd).unwrap_or_default();
        {
            let mut data = lock(&inner.data);
            if data.hold == Hold::Subreaper
                && let Ok(Some(leader)) = ProcessIdentity::of(pid)
            {
                data.sessions.push(leader);
                inner.journal.update(inner.entry, data.to_json());
            }
        }
        inner
            .state
            .send_modify(|state| state.main = Some(Main { pid, pidfd }));
        Ok(())
    }

    pub(crate) fn usage(&self) -> Usage {
        let ended = *lock(&self.0.usage);
        let ticks_per_second = rustix::param::clock_ticks_per_second().max(1);
        self.pids().into_iter().fold(ended, |usage, pid| Usage {
            peak_rss_bytes: usage.peak_rss_bytes.max(procfs::peak_rss_bytes(pid).unwrap_or(0)),
            cpu_time: usage.cpu_time
                + Duration::from_millis(
                    procfs::stat(pid).map_or(0, |stat| stat.cpu_ticks) * 1000 / ticks_per_second,
                ),
        })
    }

    pub(crate) fn logs(&self) -> &Logs {
        &self.0.logs
    }

    pub(crate) fn listening(&self, endpoint: &Endpoint) -> io::Result<Listening> {
        sockets::listening(&self.0.tables, endpoint, &self.0.working_dir, || self.pids())
    }

    pub(crate) async fn keep(&self) -> io::Result<()> {
        self.0.supervisor.ask(Request::Keep, &[]).await.map(drop)
    }

    /// Stops it, with its grace as far as the deadline allows, and removes all that held it.
    pub(crate) async fn tear_down(&self, deadline: Instant) -> io::Result<()> {
        let inner = &self.0;
        let _turn = inner.turn.lock().await;
        let grace = inner
            .spec
            .stop_grace
            .min(deadline.saturating_duration_since(Instant::now()));
        // If the supervisor is gone, what it held is ended below.
        let stopped = self.stop_within(grace).await;
        inner.supervisor.close().await;
        let data = lock(&inner.data).clone();
        let ended = tokio::task::spawn_blocking(move || {
            super::reaper::end_tree(&data, std::time::Instant::now() + KILL_TIMEOUT)
        });
        match ended.await.map_err(io::Error::from)? {
            Ok(()) => {
                inner.journal.gone(inner.entry);
                Ok(())
            }
            Err(error) => Err(stopped
                .err()
                .map_or_else(|| io::Error::other(error), io::Error::other)),
        }
    }
}

const UNSEEN: ExitStatus = ExitStatus {
    end: End::Unknown,
    ended_by: None,
};

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is a part's own of its group's directory.
pub(crate) fn part_dir(group_dir: &Path, part: &str) -> PathBuf {
    group_dir.join(file_name(part))
}

/// A part's name as the name of a file.
fn file_name(part: &str) -> String {
    let is_plain = |character: char| character.is_alphanumeric() || matches!(character, '-' | '_' | '.');
    let name: String = part
        .chars()
        .map(|character| if is_plain(character) { character } else { '_' })
        .collect();
    if name.starts_with('.') {
        format!("_{name}")
    } else {
        name
    }
}

fn command(
    spec: &PartSpec,
    environment: &BTreeMap<OsString, OsString>,
    working_dir: &Path,
) -> Result<Command, StartError> {
    let part = || spec.name.clone();
    let Some((name, args)) = spec.command.split_first() else {
        return Err(StartError::Empty { part: part() });
    };
    let program = program::find(name, working_dir, environment.get(std::ffi::OsStr::new("PATH")));
    let program = program.map_err(|error| match error {
        LookupError::NotFound(where_looked) => StartError::ProgramNotFound {
            part: part(),
            program: name.to_string_lossy().into_owned(),
            where_looked,
        },
        LookupError::NotExecutable(program, source) => StartError::NotExecutable {
            part: part(),
            program,
            source,
        },
    })?;
    Ok(Command {
        name: name.clone(),
        program,
        args: args.to_vec(),
        env: environment.clone().into_iter().collect(),
        dir: working_dir.to_owned(),
    })
}

/// A file that is there and "not found" lacks its interpreter.
pub(super) fn explain_exec_error(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(libc::ENOENT) => io::Error::new(
            error.kind(),
            "the interpreter or loader that it names is not there",
        ),
        Some(libc::ENOEXEC) => io::Error::new(
            error.kind(),
            "it is neither a program for this machine nor a script with #!",
        ),
        _ => error,
    }
}

struct Held {
    entry: EntryId,
    data: TreeData,
    supervisor: Supervisor,
}

/// Starts a supervisor with the strongest hold that works here.
async fn hold(
    group: &IsolationGroup,
    spec: &PartSpec,
    written: &OwnedFd,
    messages: &mpsc::UnboundedSender<Message>,
) -> Result<Held, StartError> {
    let failed = |doing| {
        let part = spec.name.clone();
        move |source| StartError::Hold { part, doing, source }
    };
    let journal = group.journal();
    let mut kind = HoldKind::strongest();
    loop {
        let hold = match kind {
            HoldKind::Cgroup => cgroup::own().map(|own| {
                let number = LAST_CGROUP.fetch_add(1, Ordering::Relaxed);
                Hold::Cgroup(own.join(format!("seatrial-{}-{}-{number}", group.id(), std::process::id())))
            }),
            HoldKind::PidNamespace => Some(Hold::PidNamespace {
                user_namespace: !rustix::process::geteuid().is_root(),
            }),
            HoldKind::Subreaper => Some(Hold::Subreaper),
        };
        let Some(hold) = hold else {
            kind = kind.refused().unwrap_or(HoldKind::Subreaper);
            continue;
        };
        let mut data = TreeData::new(hold.clone()).map_err(failed("read the boot's id"))?;
        data.dir = Some(group.dir().to_owned());
        let entry = journal
            .will_create(group.id(), PROCESS_TREE, data.to_json())
            .map_err(|source| StartError::Journal {
                part: spec.name.clone(),
                source,
            })?;
        let launched = match &hold {
            Hold::Cgroup(leaf) => match cgroup::create(leaf) {
                Ok(()) => launch(group, spec, hold.clone(), written, messages).await,
                Err(source) => Err(LaunchError::refused("make a cgroup", source)),
            },
            Hold::PidNamespace { .. } | Hold::Subreaper => {
                launch(group, spec, hold.clone(), written, messages).await
            }
        };
        match launched {
            Ok(supervisor) => {
                data.supervisor = supervisor
                    .identity()
                    .map_err(failed("read its supervisor's identity"))?;
                journal.update(entry, data.to_json());
                return Ok(Held {
                    entry,
                    data,
                    supervisor,
                });
            }
            Err(LaunchError {
                doing,
                source,
                is_refusal,
            }) => {
                let is_gone = match &hold {
                    Hold::Cgroup(leaf) => cgroup::remove(leaf, std::time::Instant::now()).is_ok(),
                    Hold::PidNamespace { .. } | Hold::Subreaper => true,
                };
                if is_gone {
                    journal.gone(entry);
                }
                match kind.refused().filter(|_| is_refusal) {
                    Some(weaker) => kind = weaker,
                    None => {
                        let source = io::Error::new(source.kind(), format!("{doing}: {source}"));
                        return Err(failed("hold its processes")(source));
                    }
                }
            }
        }
    }
}

async fn launch(
    group: &IsolationGroup,
    spec: &PartSpec,
    hold: Hold,
    written: &OwnedFd,
    messages: &mpsc::UnboundedSender<Message>,
) -> Result<Supervisor, LaunchError> {
    let mut network = NetworkSetup::Machine;
    let mut fds: Vec<BorrowedFd<'_>> = Vec::new();
    if let Some(joined) = group.network() {
        let (setup, namespaces) = joined.join();
        network = setup;
        fds.extend(namespaces);
    }
    fds.push(written.as_fd());
    let setup = Setup {
        hold,
        network,
        logs: Some(LogSetup {
            dir: group.log_dir().to_owned(),
            part: file_name(&spec.name),
            bytes_max: spec.log_bytes_max,
        }),
    };
    Supervisor::launch(&spec.name, &setup, &fds, messages.clone()).await
}

/// Takes in what the supervisor has to say, until it is gone.
async fn listen(
    inner: Weak<Inner>,
    log_state: watch::Sender<LogState>,
    mut messages: mpsc::UnboundedReceiver<Message>,
) {
    while let Some(message) = messages.recv().await {
        let Some(inner) = inner.upgrade() else {
            break;
        };
        match message {
            Message::Ended {
                end,
                usage,
                log_limit,
                ..
            } => {
                *lock(&inner.usage) = usage;
                let stopped = inner.is_stopping.load(Ordering::Relaxed).then_some(EndedBy::Stop);
                let status = ExitStatus {
                    end: end_of(end),
                    ended_by: if log_limit {
                        Some(EndedBy::LogLimit)
                    } else {
                        stopped
                    },
                };
                // A program that went into the background exits with 0, and what it left goes on writing.
                let more_to_come = inner.logs_open.load(Ordering::Relaxed) && status.success();
                inner.log_state.send_modify(|state| state.ended = !more_to_come);
                inner.state.send_modify(|state| state.status = Some(status));
            }
            Message::ExecEnded { pid, end } => {
                let mut execs = lock(&inner.execs);
                match execs.remove(&pid) {
                    // Whoever waited may have given up.
                    Some(Exec::Awaited(waiting)) => drop(waiting.send(end)),
                    Some(Exec::Ended(_)) | None => drop(execs.insert(pid, Exec::Ended(end))),
                }
            }
            // Of a main process before the present one it says nothing: it may come after a restart.
            Message::LogsClosed { spawns } if spawns != inner.spawns.load(Ordering::Relaxed) => {}
            Message::LogsClosed { .. } => {
                inner.logs_open.store(false, Ordering::Relaxed);
                inner.log_state.send_modify(|state| state.ended = true);
            }
            Message::LogsLost { errno } => {
                inner.log_state.send_modify(|state| state.lost = Some(errno));
            }
            Message::Ready | Message::SetupFailed { .. } | Message::Reply { .. } => {}
        }
    }
    log_state.send_modify(|state| state.ended = true);
    if let Some(inner) = inner.upgrade() {
        inner.state.send_modify(|state| {
            state.status.get_or_insert(UNSEEN);
        });
        lock(&inner.execs).clear();
    }
}

pub(super) fn end_of(end: RawEnd) -> End {
    match end {
        RawEnd::Code(code) => End::Code(code),
        RawEnd::Signal { number, core_dumped } => match Signal::from_number(number) {
            Some(signal) => End::Signal { signal, core_dumped },
            None => End::Unknown,
        },
    }
}

/// Passes on that something was written, until nobody can write or is interested.
async fn tell_log_news(news: watch::Sender<LogState>, written: pipe::Receiver) {
    // One read takes all that came since the last.
    let mut bytes = [0; 4096];
    loop {
        let readable = tokio::select! {
            readable = written.readable() => readable,
            () = news.closed() => return,
        };
        match readable.and_then(|()| written.try_read(&mut bytes)) {
            Ok(1..) => {
                news.send_modify(|state| state.version += 1);
                tokio::time::sleep(LOG_NEWS_PAUSE).await;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => return,
        }
    }
}
