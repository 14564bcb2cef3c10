//! A part: one process tree (later: one container) of a test, described before it starts and handled while it runs.

#[cfg(feature = "docker")]
use crate::docker::{ContainerPart, ContainerPort, Engine};
use crate::{
    exec::{ExecError, ExecOutput, ExecSpec},
    logs::Logs,
    process::ProcessPart,
    signal::Signal,
    sockets::{Endpoint, Listening},
};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// From the stop signal to the end of the whole tree, unless the part says otherwise.
pub const STOP_GRACE: Duration = Duration::from_secs(10);

/// A part that has written this much of logs is taken for a runaway and ended, unless it says otherwise.
pub const LOG_BYTES_MAX: u64 = 1 << 30;

/// What to start.
#[derive(Debug, Clone)]
pub struct PartSpec {
    /// Unique within its isolation group.
    pub name: String,
    /// Program and arguments. A program without a slash is looked up in the part's `PATH`, one with a slash is relative
    /// to its working directory.
    pub command: Vec<OsString>,
    /// Variables on top of `PATH`, `HOME`, `TMPDIR` and `LANG`, which it may replace.
    pub env: BTreeMap<String, OsString>,
    /// Names of variables that are taken over from seatrial's own environment, where they are set there.
    pub inherit_env: Vec<String>,
    /// Where it runs; otherwise a new directory of its own. Relative to that directory.
    pub working_dir: Option<PathBuf>,
    /// What is put in place before it starts.
    pub files: Vec<FileSpec>,
    /// How it is asked to end; SIGTERM.
    pub stop_signal: Signal,
    /// How long it may take to; [`STOP_GRACE`].
    pub stop_grace: Duration,
    /// After this much of logs, both streams and all restarts together, it is killed; [`LOG_BYTES_MAX`].
    pub log_bytes_max: u64,
}

impl PartSpec {
    /// A part with defaults for everything else.
    #[must_use]
    pub fn new(name: impl Into<String>, command: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self {
            name: name.into(),
            command: command.into_iter().map(Into::into).collect(),
            env: BTreeMap::new(),
            inherit_env: Vec::new(),
            working_dir: None,
            files: Vec::new(),
            stop_signal: Signal::TERM,
            stop_grace: STOP_GRACE,
            log_bytes_max: LOG_BYTES_MAX,
        }
    }

    /// Adds a variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Adds a file.
    #[must_use]
    pub fn file(mut self, file: FileSpec) -> Self {
        self.files.push(file);
        self
    }
}

/// A file that is there when a part starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSpec {
    /// Relative to the part's working directory; an absolute one must lie in the group's directory.
    pub path: PathBuf,
    /// What is in it.
    pub content: FileContent,
    /// Its permission bits; 0o644 for written content, those of the source for a copy.
    pub mode: Option<u32>,
}

/// Where a file's content comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileContent {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A file, or a directory with all that is in it.
    CopyOf(PathBuf),
}

/// How a part's main process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitStatus {
    /// Exit code or signal.
    pub end: End,
    /// Why it was ended, where it did not end by itself.
    pub ended_by: Option<EndedBy>,
}

/// The two ways for a process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It exited.
    Code(i32),
    /// A signal ended it.
    Signal {
        /// Which.
        signal: Signal,
        /// A core was dumped.
        core_dumped: bool,
    },
    /// Nobody could see how, because what held the part was itself killed.
    Unknown,
}

/// Why a part was ended, where it did not end by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// It was asked to stop, kill or restart, or torn down.
    Stop,
    /// It wrote more logs than [`PartSpec::log_bytes_max`].
    LogLimit,
    /// It used more memory than it may; the kernel ended it, not seatrial.
    OutOfMemory,
}

impl ExitStatus {
    /// The exit code, if it exited.
    #[must_use]
    pub fn code(self) -> Option<i32> {
        match self.end {
            End::Code(code) => Some(code),
            End::Signal { .. } | End::Unknown => None,
        }
    }

    /// The signal that ended it.
    #[must_use]
    pub fn signal(self) -> Option<Signal> {
        match self.end {
            End::Signal { signal, .. } => Some(signal),
            End::Code(_) | End::Unknown => None,
        }
    }

    /// It exited with code 0.
    #[must_use]
    pub fn success(self) -> bool {
        self.end == End::Code(0)
    }
}

impl fmt::Display for ExitStatus {
    /// `exited with code 3`, `killed by SIGSEGV (core dumped)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.end {
            End::Code(code) => write!(f, "exited with code {code}")?,
            End::Signal { signal, core_dumped } => {
                write!(f, "killed by {signal}")?;
                if core_dumped {
                    f.write_str(" (core dumped)")?;
                }
            }
            End::Unknown => f.write_str("ended, nobody saw how")?,
        }
        match self.ended_by {
            Some(EndedBy::OutOfMemory) => f.write_str(", because it used more memory than its limit"),
            Some(EndedBy::LogLimit) => f.write_str(", because it wrote more logs than its limit"),
            Some(EndedBy::Stop) | None => Ok(()),
        }
    }
}

/// What a part has used so far, over all its restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Usage {
    /// The largest resident set that any one of its processes had.
    pub peak_rss_bytes: u64,
    /// Processor time in user and kernel mode, of all its processes.
    pub cpu_time: Duration,
}

/// A part could not be started: the test's environment is at fault, not the target.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no program in the command.
    #[error("start `{part}`: its command is empty")]
    Empty {
        /// The part's name.
        part: String,
    },
    /// The group has a part of that name already.
    #[error("start a second part with the name `{part}`")]
    DuplicateName {
        /// The part's name.
        part: String,
    },
    /// No such program.
    #[error("start `{part}`: there is no program `{program}` {where_looked}")]
    ProgramNotFound {
        /// The part's name.
        part: String,
        /// As it was asked for.
        program: String,
        /// `in PATH (...)` or nothing.
        where_looked: String,
    },
    /// The program is there and could not be executed.
    #[error("start `{part}`: `{}` cannot be executed", program.display())]
    NotExecutable {
        /// The part's name.
        part: String,
        /// The file.
        program: PathBuf,
        /// Why: no permission, wrong format, missing interpreter.
        #[source]
        source: io::Error,
    },
    /// It cannot run where it should.
    #[error("start `{part}`: `{}` cannot be its working directory", dir.display())]
    WorkingDirectory {
        /// The part's name.
        part: String,
        /// The directory.
        dir: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// One of its files could not be put in place.
    #[error("start `{part}`: its file `{}` cannot be put in place", path.display())]
    File {
        /// The part's name.
        part: String,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What should hold its processes could not be made.
    #[error("start `{part}`: {doing}")]
    Hold {
        /// The part's name.
        part: String,
        /// What was tried.
        doing: &'static str,
        /// Why it went wrong.
        #[source]
        source: io::Error,
    },
    /// The journal could not be written, so nothing was created.
    #[error("start `{part}`: the journal cannot be written")]
    Journal {
        /// The part's name.
        part: String,
        /// Why.
        #[source]
        source: seatrial_engine::journal::JournalError,
    },
    /// The group is being torn down, or the part is gone.
    #[error("start `{part}`: it has been torn down")]
    Gone {
        /// The part's name.
        part: String,
    },
}

/// A part did not do as it was told.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    /// Its main process is not running.
    #[error("reach `{part}`, which is not running")]
    NotRunning {
        /// The part's name.
        part: String,
    },
    /// The system refused.
    #[error("{doing} `{part}`")]
    Io {
        /// The part's name.
        part: String,
        /// What was tried.
        doing: &'static str,
        /// Why it went wrong.
        #[source]
        source: io::Error,
    },
}

/// A handle to a part. Clones are the same part; dropping the last one ends nothing, the isolation group does.
#[derive(Clone)]
pub struct Part(pub(crate) Kind);

/// Where a part runs.
#[derive(Clone)]
pub(crate) enum Kind {
    /// As processes of this machine.
    Process(ProcessPart),
    /// In a container.
    #[cfg(feature = "docker")]
    Container(ContainerPart),
}

impl Part {
    /// Its name, unique within the isolation group.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.0 {
            Kind::Process(part) => part.name(),
            #[cfg(feature = "docker")]
            Kind::Container(part) => part.name(),
        }
    }

    /// Where it runs, as this machine sees it.
    #[must_use]
    pub fn working_dir(&self) -> &Path {
        match &self.0 {
            Kind::Process(part) => part.working_dir(),
            #[cfg(feature = "docker")]
            Kind::Container(_) => Path::new("/"),
        }
    }

    /// The process that was started last, running or not.
    #[must_use]
    pub fn main_pid(&self) -> u32 {
        match &self.0 {
            Kind::Process(part) => part.main_pid(),
            #[cfg(feature = "docker")]
            Kind::Container(part) => part.main_pid(),
        }
    }

    /// Every process of its tree, as this machine sees them.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        match &self.0 {
            Kind::Process(part) => part.pids(),
            #[cfg(feature = "docker")]
            Kind::Container(part) => vec![part.main_pid()],
        }
    }

    /// Waits until its main process has ended and what that wrote is in the logs. Returns at once when it has already.
    pub async fn wait(&self) -> ExitStatus {
        match &self.0 {
            Kind::Process(part) => part.wait().await,
            #[cfg(feature = "docker")]
            Kind::Container(part) => part.wait().await,
        }
    }

    /// How its main process ended; none while it runs.
    #[must_use]
    pub fn try_status(&self) -> Option<ExitStatus> {
        match &self.0 {
            Kind::Process(part) => part.try_status(),
            #[cfg(feature = "docker")]
            Kind::Container(part) => part.try_status(),
        }
    }

    /// Sends a signal to its main process.
    ///
    /// # Errors
    ///
    /// When it is not running.
    pub async fn signal(&self, signal: Signal) -> Result<(), PartError> {
        match &self.0 {
            Kind::Process(part) => part.signal(signal),
            #[cfg(feature = "docker")]
            Kind::Container(part) => part.signal(signal).await,
        }
    }

    /// Sends the stop signal, waits for its grace time, and kills what is left of the whole tree.
    ///
    /// # Errors
    ///
    /// When processes are left that cannot be killed.
    pub async fn stop(&self) -> Result<ExitStatus, PartError> {
        match &self.0 {
            Kind::Process(part) => part.stop().await,
            #[cfg(feature = "docker")]
            Kind::Container(part) => part.stop().await,
        }
    }

    /// Kills the whole tree at once.
    ///
    /// # Errors
    ///
    /// When processes are left that cannot be killed.
    pub async fn kill(&self) -> Result<ExitStatus, PartError> {
        match &self.0 {
            Kind::Process(part) => part.kill().await,
            #[cfg(feature = "docker")]
            Kind::Container(part) => part.kill().await,
        }
    }

    /// Stops it, if it runs, and starts the same command in the same place. Logs go on.
    ///
    /// # Errors
    ///
    /// As for starting.
    pub async fn restart(&self) -> Result<(), StartError> {
        match &self.0 {
            Kind::Process(part) => part.restart().await,
            #[cfg(feature = "docker")]
            Kind::Container(part) => part.restart().await,
        }
    }

    /// What it has used so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        match &self.0 {
            Kind::Process(part) => part.usage(),
            #[cfg(feature = "docker")]
            Kind::Container(part) => part.usage(),
        }
    }

    /// Runs a command in its environment, whether or not its main process is still running.
    ///
    /// # Errors
    ///
    /// When the command cannot be started or is not done in time. That it fails is no error, see
    /// [`ExecOutput::status`].
    pub async fn exec(&self, spec: ExecSpec) -> Result<ExecOutput, ExecError> {
        match &self.0 {
            Kind::Process(part) => part.exec(spec).await,
            #[cfg(feature = "docker")]
            Kind::Container(part) => part.exec(spec).await,
        }
    }

    /// All that it has written and will write.
    #[must_use]
    pub fn logs(&self) -> &Logs {
        match &self.0 {
            Kind::Process(part) => part.logs(),
            #[cfg(feature = "docker")]
            Kind::Container(part) => part.logs(),
        }
    }

    /// Whether one of its processes listens there, from the kernel's socket tables as they were a few milliseconds ago at
    /// most.
    ///
    /// # Errors
    ///
    /// When the tables cannot be read.
    pub fn listening(&self, endpoint: &Endpoint) -> io::Result<Listening> {
        match &self.0 {
            Kind::Process(part) => part.listening(endpoint),
            #[cfg(feature = "docker")]
            Kind::Container(part) => part.listening(endpoint),
        }
    }

    /// Waits until one of its processes listens there. Never returns if that never comes true: give it a deadline, and
    /// watch [`wait`](Self::wait) beside it.
    ///
    /// # Errors
    ///
    /// When the tables cannot be read.
    pub async fn wait_listening(&self, endpoint: &Endpoint) -> io::Result<()> {
        match &self.0 {
            Kind::Process(part) => crate::sockets::wait(|| part.listening(endpoint)).await,
            #[cfg(feature = "docker")]
            Kind::Container(part) => crate::sockets::wait(|| part.listening(endpoint)).await,
        }
    }
}

#[cfg(feature = "docker")]
impl Part {
    /// The engine and the container's name there, for a part that runs in one.
    #[must_use]
    pub fn container(&self) -> Option<(&Engine, &str)> {
        match &self.0 {
            Kind::Process(_) => None,
            Kind::Container(part) => Some((part.engine(), part.container())),
        }
    }

    /// The port on this machine's loopback that leads to a port of its container. Another one after a restart.
    #[must_use]
    pub fn published(&self, port: ContainerPort) -> Option<u16> {
        match &self.0 {
            Kind::Process(_) => None,
            Kind::Container(part) => part.published(port),
        }
    }

    /// Its address in the group's network, for a part that runs in a container.
    #[must_use]
    pub fn address(&self) -> Option<std::net::IpAddr> {
        match &self.0 {
            Kind::Process(_) => None,
            Kind::Container(part) => part.address(),
        }
    }
}

impl Part {
    /// A file of it, at most so many bytes of that. A relative path is in its working directory. Needs nothing in an image.
    ///
    /// # Errors
    ///
    /// When there is no such file, or it cannot be read.
    pub async fn read_file(&self, path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
        match &self.0 {
            Kind::Process(part) => {
                let file = std::fs::File::open(part.working_dir().join(path))?;
                let mut bytes = Vec::new();
                io::Read::read_to_end(&mut io::Read::take(file, bytes_max as u64), &mut bytes)?;
                Ok(bytes)
            }
            #[cfg(feature = "docker")]
            Kind::Container(part) => part.read_file(path, bytes_max).await,
        }
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Part").field(&self.name()).finish()
    }
}
