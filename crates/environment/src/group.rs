//! An isolation group: everything that one test started, and that dies together.
//!
//! A group has a directory (the parts' working directories, homes and temporary files), ports, perhaps a network
//! namespace, and parts. Each is in the journal before it exists. [`tear_down`](IsolationGroup::tear_down) is awaited
//! and bounded; dropping a group that was not torn down kills its parts, too, but nobody waits for it, and the journal
//! keeps listing what nobody saw gone.

#[cfg(feature = "docker")]
use crate::docker;
use crate::{
    part::{Kind, Part, PartSpec, StartError},
    ports::PortClaim,
    process::{self, Network},
};
use seatrial_engine::journal::{EntryId, Journal, JournalError};
use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    net::{TcpStream, UdpSocket},
    time::Instant,
};

/// What a group is for.
#[derive(Debug, Clone)]
pub struct GroupSpec {
    /// Unique on the machine; a file name.
    pub id: String,
    /// Where the parts' logs go.
    pub log_dir: PathBuf,
    /// Where the group's directory is made; otherwise `seatrial-<uid>` in the system's temporary directory, since the
    /// paths of Unix sockets have to be short.
    pub parent_dir: Option<PathBuf>,
    /// Gives the group a network namespace of its own, so that fixed ports cannot clash.
    pub isolate_network: bool,
}

impl GroupSpec {
    /// A group that shares the machine's network.
    #[must_use]
    pub fn new(id: impl Into<String>, log_dir: impl Into<PathBuf>) -> Self {
        Self {
            id: id.into(),
            log_dir: log_dir.into(),
            parent_dir: None,
            isolate_network: false,
        }
    }
}

/// A group could not be opened or torn down.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// The journal could not be written, so nothing was created.
    #[error("journal the isolation group")]
    Journal(#[from] JournalError),
    /// Its directory.
    #[error("{doing} the isolation group's directory {}", dir.display())]
    Directory {
        /// What was tried.
        doing: &'static str,
        /// The directory.
        dir: PathBuf,
        /// Why it went wrong.
        #[source]
        source: io::Error,
    },
    /// There can be no network namespace.
    #[error("make a network namespace")]
    Network(#[source] io::Error),
    /// Not everything was gone in time. It stays in the journal.
    #[error("see the end of {}", what.join(", "))]
    Left {
        /// What is left, or was when the deadline struck.
        what: Vec<String>,
    },
}

/// Everything that one test started. Clones are the same group.
#[derive(Clone)]
pub struct IsolationGroup {
    inner: Arc<Inner>,
}

struct Inner {
    id: String,
    journal: Arc<Journal>,
    log_dir: PathBuf,
    dir: PathBuf,
    dir_entry: EntryId,
    network: Option<Network>,
    #[cfg(feature = "docker")]
    containers: docker::Containers,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    parts: Vec<Part>,
    /// Names that are being started or are parts already.
    names: Vec<String>,
    ports: Vec<PortClaim>,
    is_torn_down: bool,
}

impl IsolationGroup {
    /// Makes the group's directory and, if asked for, its network namespace.
    ///
    /// # Errors
    ///
    /// When one of them cannot be made; what was made by then is gone again.
    pub async fn open(journal: &Arc<Journal>, spec: GroupSpec) -> Result<Self, GroupError> {
        let parent = match spec.parent_dir {
            Some(parent) => parent,
            None => own_temporary_dir()?,
        };
        let dir = parent.join(&spec.id);
        let directory = |doing, dir: &Path| {
            let dir = dir.to_owned();
            move |source| GroupError::Directory { doing, dir, source }
        };
        fs::create_dir_all(&spec.log_dir).map_err(directory("make", &spec.log_dir))?;
        let dir_entry = journal.will_create(&spec.id, process::DIRECTORY, process::directory_entry(&dir))?;
        if let Err(error) = fs::create_dir(&dir) {
            journal.gone(dir_entry);
            return Err(directory("make", &dir)(error));
        }
        let network = if spec.isolate_network {
            match Network::create(journal, &spec.id).await {
                Ok(network) => Some(network),
                Err(error) => {
                    if fs::remove_dir(&dir).is_ok() {
                        journal.gone(dir_entry);
                    }
                    return Err(error);
                }
            }
        } else {
            None
        };
        Ok(Self {
            inner: Arc::new(Inner {
                id: spec.id,
                journal: Arc::clone(journal),
                log_dir: spec.log_dir,
                dir,
                dir_entry,
                network,
                #[cfg(feature = "docker")]
                containers: docker::Containers::default(),
                state: Mutex::default(),
            }),
        })
    }

    /// Its id, unique on the machine.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// Its directory, which goes with it.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// Where the part of that name runs, or will: `chosen`, relative to the group's directory, or one of its own.
    #[must_use]
    pub fn working_dir(&self, part: &str, chosen: Option<&Path>) -> PathBuf {
        match chosen {
            Some(chosen) => self.dir().join(chosen),
            None => process::part_dir(self.dir(), part).join("work"),
        }
    }

    /// Where the parts' logs go, and stay.
    #[must_use]
    pub fn log_dir(&self) -> &Path {
        &self.inner.log_dir
    }

    /// The journal that lists what it creates.
    #[must_use]
    pub fn journal(&self) -> &Arc<Journal> {
        &self.inner.journal
    }

    pub(crate) fn network(&self) -> Option<&Network> {
        self.inner.network.as_ref()
    }

    /// Starts a part as processes of this machine. When this returns, its program is running.
    ///
    /// # Errors
    ///
    /// When it cannot be started; the test's environment is at fault then, not the target.
    pub async fn start(&self, spec: PartSpec) -> Result<Part, StartError> {
        let name = spec.name.clone();
        let starting = async {
            let part = process::ProcessPart::start(self, spec).await?;
            Ok(Part(Kind::Process(part)))
        };
        self.start_named(name, starting).await
    }

    /// Starts a part as a container. When this returns, its program is running.
    ///
    /// # Errors
    ///
    /// When it cannot be started; the test's environment is at fault then, not the target.
    #[cfg(feature = "docker")]
    pub async fn start_container(
        &self,
        engine: &docker::Engine,
        spec: docker::ContainerSpec,
    ) -> Result<Part, StartError> {
        let name = spec.part.name.clone();
        let inner = &self.inner;
        let starting = async {
            let part = inner
                .containers
                .start(engine, &inner.journal, &inner.id, &inner.log_dir, spec)
                .await?;
            Ok(Part(Kind::Container(part)))
        };
        self.start_named(name, starting).await
    }

    async fn start_named(
        &self,
        name: String,
        starting: impl Future<Output = Result<Part, StartError>>,
    ) -> Result<Part, StartError> {
        {
            let mut state = self.state();
            if state.is_torn_down {
                return Err(StartError::Gone { part: name });
            }
            if state.names.contains(&name) {
                return Err(StartError::DuplicateName { part: name });
            }
            state.names.push(name.clone());
        }
        match starting.await {
            Ok(part) => {
                let too_late = {
                    let mut state = self.state();
                    if !state.is_torn_down {
                        state.parts.push(part.clone());
                    }
                    state.is_torn_down
                };
                if too_late {
                    let _ = remove_part(&part, Instant::now()).await;
                    return Err(StartError::Gone { part: name });
                }
                Ok(part)
            }
            Err(error) => {
                self.state().names.retain(|known| *known != name);
                Err(error)
            }
        }
    }

    /// Its parts, in the order in which they started.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        self.state().parts.clone()
    }

    /// The part of that name.
    #[must_use]
    pub fn part(&self, name: &str) -> Option<Part> {
        self.state()
            .parts
            .iter()
            .find(|part| part.name() == name)
            .cloned()
    }

    /// Finds a port that is free for TCP and UDP and stays this group's until it is torn down.
    ///
    /// # Errors
    ///
    /// When none is free.
    pub fn claim_port(&self) -> io::Result<u16> {
        let claim = PortClaim::any()?;
        let port = claim.port();
        self.state().ports.push(claim);
        Ok(port)
    }

    /// Connects as if from inside the group's network.
    ///
    /// # Errors
    ///
    /// As for any connection.
    pub async fn connect_tcp(&self, address: SocketAddr) -> io::Result<TcpStream> {
        match &self.inner.network {
            Some(network) => {
                network
                    .tcp_socket(address.is_ipv6())
                    .await?
                    .connect(address)
                    .await
            }
            None => TcpStream::connect(address).await,
        }
    }

    /// A UDP socket inside the group's network, bound there; to port 0 for any.
    ///
    /// # Errors
    ///
    /// As for any socket.
    pub async fn udp_socket(&self, bind: SocketAddr) -> io::Result<UdpSocket> {
        match &self.inner.network {
            Some(network) => network.udp_socket(bind).await,
            None => UdpSocket::bind(bind).await,
        }
    }

    /// Leaves everything standing: the parts outlive seatrial, and only `reap --kept` ends them.
    ///
    /// # Errors
    ///
    /// When a part could not be told.
    pub async fn keep(&self) -> io::Result<()> {
        self.inner.journal.keep(&self.inner.id);
        for part in self.parts() {
            match &part.0 {
                Kind::Process(part) => part.keep().await?,
                // A container stays by itself.
                #[cfg(feature = "docker")]
                Kind::Container(_) => {}
            }
        }
        if let Some(network) = &self.inner.network {
            network.keep().await?;
        }
        Ok(())
    }

    /// Stops all parts, at the same time and each with its grace, then removes what the group had. Whatever is still
    /// there after `timeout` is killed without grace.
    ///
    /// # Errors
    ///
    /// When something could not be removed. It stays in the journal.
    pub async fn tear_down(&self, timeout: Duration) -> Result<(), GroupError> {
        let deadline = Instant::now() + timeout;
        let parts = {
            let mut state = self.state();
            state.is_torn_down = true;
            std::mem::take(&mut state.parts)
        };
        let mut ends = tokio::task::JoinSet::new();
        for part in parts {
            ends.spawn(async move {
                let left = remove_part(&part, deadline).await.err();
                left.map(|error| format!("part `{}` ({error})", part.name()))
            });
        }
        let mut what = Vec::new();
        while let Some(end) = ends.join_next().await {
            match end {
                Ok(left) => what.extend(left),
                Err(error) => what.push(format!("a part ({error})")),
            }
        }
        if let Some(network) = &self.inner.network
            && let Err(error) = network.tear_down().await
        {
            what.push(format!("the network namespace ({error})"));
        }
        #[cfg(feature = "docker")]
        what.extend(self.inner.containers.remove().await);
        self.state().ports.clear();
        if what.is_empty() {
            let dir = self.inner.dir.clone();
            let removed = tokio::task::spawn_blocking(move || process::remove_dir(&dir)).await;
            match removed.map_err(io::Error::from).flatten() {
                Ok(()) => self.inner.journal.gone(self.inner.dir_entry),
                Err(error) => what.push(format!("the directory {} ({error})", self.inner.dir.display())),
            }
        }
        if what.is_empty() {
            Ok(())
        } else {
            Err(GroupError::Left { what })
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn remove_part(part: &Part, deadline: Instant) -> io::Result<()> {
    match &part.0 {
        Kind::Process(part) => part.tear_down(deadline).await,
        #[cfg(feature = "docker")]
        Kind::Container(part) => part.remove(deadline).await.map_err(io::Error::other),
    }
}

/// `/tmp/seatrial-<uid>`, which nobody else may write to.
fn own_temporary_dir() -> Result<PathBuf, GroupError> {
    let uid = rustix::process::getuid().as_raw();
    let dir = std::env::temp_dir().join(format!("seatrial-{uid}"));
    let made = match fs::DirBuilder::new().mode(0o700).create(&dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::symlink_metadata(&dir).and_then(|found| {
                let is_ours = found.is_dir() && found.uid() == uid && found.mode() & 0o022 == 0;
                is_ours
                    .then_some(())
                    .ok_or_else(|| io::Error::other("it is not a directory that only this user can write"))
            })
        }
        other => other,
    };
    match made {
        Ok(()) => Ok(dir),
        Err(source) => Err(GroupError::Directory {
            doing: "make",
            dir,
            source,
        }),
    }
}
