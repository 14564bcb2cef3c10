//! A part as a container: what [`Part`](crate::Part) does, by asking the engine.
//!
//! The engine is asked to wait for the end before the container starts, and its output is attached to before that too,
//! so nothing that happens in the first millisecond is missed. Both are followed by one task for each start of the
//! container.

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bollard::{
    container::LogOutput,
    errors::Error,
    models::{
        ContainerCreateBody, ContainerInspectResponse, EndpointSettings, HealthConfig, HostConfig,
        HostConfigCgroupnsModeEnum, HostConfigLogConfig, Mount, MountType, NetworkingConfig, PortBinding,
    },
    query_parameters::{
        AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, KillContainerOptionsBuilder,
        RemoveContainerOptionsBuilder, StartContainerOptions, UploadToContainerOptionsBuilder,
        WaitContainerOptionsBuilder,
    },
};
use futures_util::StreamExt;
use seatrial_engine::journal::{EntryId, Journal};
use tokio::{
    sync::watch,
    task::AbortHandle,
    time::{Instant, timeout, timeout_at},
};

use super::{
    archive,
    engine::Engine,
    network::{self, GroupNetwork},
    spec::{ContainerPort, ContainerSpec},
};
use crate::{
    exec::{ExecError, ExecOutput, ExecSpec},
    logs::{LogState, LogWriter, Logs, Stream},
    part::{End, EndedBy, ExitStatus, PartError, StartError, Usage},
    signal::Signal,
    sockets::{self, Endpoint, Listening},
};

/// The kind of journal entry that a container is.
pub(super) const CONTAINER: &str = "container";

/// How long the engine may take to kill and remove a container.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(30);

/// The race in which the engine's `wait` returns before the exit code is written down lasts at most this long.
const EXIT_CODE_TIMEOUT: Duration = Duration::from_secs(2);

/// Between two looks for the exit code in that race: there is no event for it.
const EXIT_CODE_POLL: Duration = Duration::from_millis(10);

/// A part that runs in a container.
#[derive(Clone)]
pub(crate) struct ContainerPart(Arc<Inner>);

struct Inner {
    spec: ContainerSpec,
    engine: Engine,
    container: String,
    journal: Arc<Journal>,
    entry: EntryId,
    state: watch::Sender<State>,
    log_state: watch::Sender<LogState>,
    log_dir: std::path::PathBuf,
    logs: Logs,
    following: Mutex<Option<AbortHandle>>,
    /// It ends because seatrial wants it to.
    is_stopping: AtomicBool,
    /// Only one start, stop or restart at a time.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct State {
    pid: u32,
    address: Option<IpAddr>,
    ports: HashMap<ContainerPort, u16>,
    status: Option<ExitStatus>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(following) = lock(&self.following).take() {
            following.abort();
        }
    }
}

impl ContainerPart {
    pub(super) async fn start(
        network: &GroupNetwork,
        journal: &Arc<Journal>,
        group: &str,
        log_dir: &Path,
        spec: ContainerSpec,
    ) -> Result<Self, StartError> {
        let name = spec.part.name.clone();
        let engine = network.engine.clone();
        let container = network::name_in_group(group, &name);
        let entry = journal
            .will_create(group, CONTAINER, network::entry(&engine, &container, group))
            .map_err(|source| StartError::Journal {
                part: name.clone(),
                source,
            })?;
        let log_state = watch::Sender::new(LogState::default());
        let logs = Logs::live(log_dir, &name, log_state.subscribe());
        let part = Self(Arc::new(Inner {
            logs,
            log_dir: log_dir.to_owned(),
            log_state,
            state: watch::Sender::new(State::default()),
            following: Mutex::default(),
            is_stopping: AtomicBool::new(false),
            turn: tokio::sync::Mutex::default(),
            engine,
            container,
            journal: journal.clone(),
            entry,
            spec,
        }));
        let started = async {
            part.create(network, journal.run(), group).await?;
            part.place_files().await?;
            part.run().await
        };
        match started.await {
            Ok(()) => Ok(part),
            Err(error) => {
                // What is left of it stays in the journal.
                let _ = part.remove(Instant::now() + REMOVE_TIMEOUT).await;
                Err(error)
            }
        }
    }

    async fn create(&self, network: &GroupNetwork, run: &str, group: &str) -> Result<(), StartError> {
        let spec = &self.0.spec;
        let options = CreateContainerOptionsBuilder::default().name(&self.0.container);
        let options = match &spec.platform {
            Some(platform) => options.platform(platform.as_str()),
            None => options,
        };
        let endpoint = EndpointSettings {
            aliases: Some(
                [spec.part.name.clone()]
                    .into_iter()
                    .chain(spec.aliases.iter().cloned())
                    .collect(),
            ),
            ..EndpointSettings::default()
        };
        let lossy = |text: &std::ffi::OsString| text.to_string_lossy().into_owned();
        let inherited = spec
            .part
            .inherit_env
            .iter()
            .filter_map(|name| Some((name.clone(), std::env::var_os(name)?)));
        let env = inherited
            .chain(spec.part.env.clone())
            .map(|(name, value)| format!("{name}={}", lossy(&value)));
        let body = ContainerCreateBody {
            image: Some(spec.image.clone()),
            hostname: Some(spec.part.name.clone()),
            cmd: (!spec.part.command.is_empty()).then(|| spec.part.command.iter().map(lossy).collect()),
            entrypoint: spec.entrypoint.clone(),
            env: Some(env.collect()),
            working_dir: spec.workdir.clone(),
            user: spec.user.clone(),
            exposed_ports: Some(spec.ports.iter().map(|port| port.key()).collect()),
            labels: Some(network::labels(run, group)),
            stop_signal: Some(spec.part.stop_signal.to_string()),
            healthcheck: spec.health.as_ref().map(|health| HealthConfig {
                test: Some(
                    ["CMD".to_owned()]
                        .into_iter()
                        .chain(health.command.iter().cloned())
                        .collect(),
                ),
                interval: Some(nanoseconds(health.interval)),
                timeout: Some(nanoseconds(health.timeout)),
                retries: Some(i64::from(health.retries)),
                ..HealthConfig::default()
            }),
            host_config: Some(self.host_config(network, group)),
            networking_config: Some(NetworkingConfig {
                endpoints_config: Some(HashMap::from([(network.name.clone(), endpoint)])),
            }),
            ..ContainerCreateBody::default()
        };
        let created = self
            .0
            .engine
            .client
            .create_container(Some(options.build()), body)
            .await;
        created
            .map(drop)
            .map_err(|source| self.refused("create its container", source))
    }

    fn host_config(&self, network: &GroupNetwork, group: &str) -> HostConfig {
        let spec = &self.0.spec;
        let loopback = || {
            Some(vec![PortBinding {
                host_ip: Some("127.0.0.1".into()),
                host_port: Some("0".into()),
            }])
        };
        let volumes = spec.volumes.iter().map(|volume| Mount {
            typ: Some(MountType::VOLUME),
            source: Some(network::name_in_group(group, &volume.name)),
            target: Some(volume.path.clone()),
            read_only: Some(volume.read_only),
            ..Mount::default()
        });
        let binds = spec.binds.iter().map(|bind| Mount {
            typ: Some(MountType::BIND),
            source: Some(bind.source.display().to_string()),
            target: Some(bind.path.clone()),
            read_only: Some(bind.read_only),
            ..Mount::default()
        });
        let bytes = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        HostConfig {
            network_mode: Some(network.name.clone()),
            port_bindings: Some(spec.ports.iter().map(|port| (port.key(), loopback())).collect()),
            mounts: Some(volumes.chain(binds).collect()),
            tmpfs: (!spec.tmpfs.is_empty()).then(|| spec.tmpfs.clone().into_iter().collect()),
            cap_add: Some(spec.cap_add.clone()),
            cap_drop: Some(spec.cap_drop.clone()),
            privileged: Some(spec.privileged),
            security_opt: spec.unconfined_seccomp.then(|| vec!["seccomp=unconfined".into()]),
            cgroupns_mode: spec
                .host_cgroup_namespace
                .then_some(HostConfigCgroupnsModeEnum::HOST),
            memory: spec.memory_bytes_max.map(bytes),
            // Without this a container may use as much swap again, and is not killed where the test expects it.
            memory_swap: spec.memory_bytes_max.map(bytes),
            nano_cpus: spec.cpus.map(|cpus| (cpus * 1e9) as i64),
            pids_limit: spec.pids_max.map(bytes),
            extra_hosts: Some(
                spec.extra_hosts
                    .iter()
                    .map(|(name, address)| format!("{name}:{address}"))
                    .collect(),
            ),
            // seatrial has the log itself, in full; the engine's copy is only for who looks at a kept container.
            log_config: Some(HostConfigLogConfig {
                typ: Some("local".into()),
                config: Some(HashMap::from([
                    ("max-size".into(), "10m".into()),
                    ("max-file".into(), "1".into()),
                    ("compress".into(), "false".into()),
                ])),
            }),
            ..HostConfig::default()
        }
    }

    async fn place_files(&self) -> Result<(), StartError> {
        let spec = &self.0.spec;
        if spec.part.files.is_empty() {
            return Ok(());
        }
        let base = match &spec.workdir {
            Some(workdir) => workdir.clone(),
            None => self.image_workdir().await?,
        };
        let archive = archive::of_files(&spec.part.files, Path::new(&base)).map_err(|(path, source)| {
            StartError::File {
                part: self.name().to_owned(),
                path,
                source,
            }
        })?;
        let options = UploadToContainerOptionsBuilder::default().path("/").build();
        let body = bollard::body_full(archive.into());
        let uploaded = self
            .0
            .engine
            .client
            .upload_to_container(&self.0.container, Some(options), body)
            .await;
        uploaded.map_err(|source| self.refused("copy files into its container", source))
    }

    async fn image_workdir(&self) -> Result<String, StartError> {
        let image = self.0.engine.client.inspect_image(&self.0.spec.image).await;
        let image = image.map_err(|source| self.refused("inspect its image", source))?;
        let workdir = image
            .config
            .and_then(|config| config.working_dir)
            .filter(|dir| !dir.is_empty());
        Ok(workdir.unwrap_or_else(|| "/".into()))
    }

    /// Starts the container, which exists, and follows it.
    async fn run(&self) -> Result<(), StartError> {
        let inner = &self.0;
        let writer = LogWriter::open(&inner.log_dir, self.name()).map_err(|source| StartError::File {
            part: self.name().to_owned(),
            path: inner.log_dir.clone(),
            source,
        })?;
        let attach = AttachContainerOptionsBuilder::default()
            .stream(true)
            .stdout(true)
            .stderr(true)
            .build();
        let attached = inner
            .engine
            .client
            .attach_container(&inner.container, Some(attach))
            .await;
        let attached = attached.map_err(|source| self.refused("attach to its container", source))?;
        inner.is_stopping.store(false, Ordering::SeqCst);
        inner.log_state.send_modify(|state| state.ended = false);
        inner.state.send_modify(|state| state.status = None);
        let started = inner
            .engine
            .client
            .start_container(&inner.container, None::<StartContainerOptions>)
            .await;
        started.map_err(|source| self.refused("start its container", source))?;
        let inspected = self
            .inspect()
            .await
            .map_err(|source| self.refused("inspect its container", source))?;
        inner
            .state
            .send_modify(|state| seen(&inner.spec, &inspected, state));
        let following = tokio::spawn(follow(
            inner.engine.clone(),
            inner.container.clone(),
            attached.output,
            writer,
            inner.spec.part.log_bytes_max,
            Followers {
                state: inner.state.clone(),
                log_state: inner.log_state.clone(),
            },
        ));
        *lock(&inner.following) = Some(following.abort_handle());
        Ok(())
    }

    async fn inspect(&self) -> Result<ContainerInspectResponse, Error> {
        self.0
            .engine
            .client
            .inspect_container(&self.0.container, None)
            .await
    }

    pub(crate) fn name(&self) -> &str {
        &self.0.spec.part.name
    }

    /// The container's name at the engine.
    pub(crate) fn container(&self) -> &str {
        &self.0.container
    }

    /// The engine that runs it.
    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn main_pid(&self) -> u32 {
        self.0.state.borrow().pid
    }

    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.0.state.borrow().address
    }

    /// The port on this machine's loopback that leads to a port of the container.
    pub(crate) fn published(&self, port: ContainerPort) -> Option<u16> {
        self.0.state.borrow().ports.get(&port).copied()
    }

    pub(crate) fn logs(&self) -> &Logs {
        &self.0.logs
    }

    pub(crate) async fn wait(&self) -> ExitStatus {
        let mut state = self.0.state.subscribe();
        let ended = state.wait_for(|state| state.status.is_some()).await;
        let status = ended.ok().and_then(|state| state.status);
        self.with_reason(status.unwrap_or(ExitStatus {
            end: End::Unknown,
            ended_by: None,
        }))
    }

    pub(crate) fn try_status(&self) -> Option<ExitStatus> {
        let status = self.0.state.borrow().status?;
        Some(self.with_reason(status))
    }

    fn with_reason(&self, status: ExitStatus) -> ExitStatus {
        let stopped = self.0.is_stopping.load(Ordering::SeqCst).then_some(EndedBy::Stop);
        ExitStatus {
            ended_by: status.ended_by.or(stopped),
            ..status
        }
    }

    pub(crate) async fn signal(&self, signal: Signal) -> Result<(), PartError> {
        let options = KillContainerOptionsBuilder::default()
            .signal(&signal.to_string())
            .build();
        let sent = self
            .0
            .engine
            .client
            .kill_container(&self.0.container, Some(options))
            .await;
        match sent {
            // What Docker says of a container that has ended.
            Err(Error::DockerResponseServerError {
                status_code: 409 | 404,
                ..
            }) => Err(PartError::NotRunning {
                part: self.name().to_owned(),
            }),
            sent => sent.map_err(|error| self.failed("signal", error)),
        }
    }

    pub(crate) async fn stop(&self) -> Result<ExitStatus, PartError> {
        let _turn = self.0.turn.lock().await;
        self.stop_in_turn(Instant::now() + self.0.spec.part.stop_grace)
            .await
    }

    pub(crate) async fn kill(&self) -> Result<ExitStatus, PartError> {
        let _turn = self.0.turn.lock().await;
        self.stop_in_turn(Instant::now()).await
    }

    async fn stop_in_turn(&self, deadline: Instant) -> Result<ExitStatus, PartError> {
        if let Some(status) = self.try_status() {
            return Ok(status);
        }
        self.0.is_stopping.store(true, Ordering::SeqCst);
        if deadline > Instant::now() {
            self.tolerant(self.signal(self.0.spec.part.stop_signal).await)?;
            if let Ok(status) = timeout_at(deadline, self.wait()).await {
                return Ok(status);
            }
        }
        self.tolerant(self.signal(Signal::KILL).await)?;
        timeout(REMOVE_TIMEOUT, self.wait())
            .await
            .map_err(|_| PartError::Io {
                part: self.name().to_owned(),
                doing: "see the end of",
                source: io::ErrorKind::TimedOut.into(),
            })
    }

    /// That it ended by itself meanwhile is as good.
    fn tolerant(&self, sent: Result<(), PartError>) -> Result<(), PartError> {
        match sent {
            Err(PartError::NotRunning { .. }) => Ok(()),
            other => other,
        }
    }

    pub(crate) async fn restart(&self) -> Result<(), StartError> {
        let _turn = self.0.turn.lock().await;
        let deadline = Instant::now() + self.0.spec.part.stop_grace;
        if let Err(error) = self.stop_in_turn(deadline).await {
            return Err(StartError::Hold {
                part: self.name().to_owned(),
                doing: "stop its container before starting it again",
                source: io::Error::other(error),
            });
        }
        self.run().await
    }

    /// Not told by the engine once a container has ended.
    pub(crate) fn usage(&self) -> Usage {
        Usage::default()
    }

    pub(crate) async fn exec(&self, spec: ExecSpec) -> Result<ExecOutput, ExecError> {
        super::exec::run(&self.0.engine, &self.0.container, self.name(), spec).await
    }

    /// By the socket tables of the container's network namespace. All in there is the container's own, so nobody need be
    /// asked who holds a socket, which only root may see.
    pub(crate) fn listening(&self, endpoint: &Endpoint) -> io::Result<Listening> {
        if self.try_status().is_some() {
            return Ok(Listening::No);
        }
        sockets::anybody_listening(self.main_pid(), endpoint, Path::new("/"))
    }

    pub(crate) async fn read_file(&self, path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
        archive::read(&self.0.engine, &self.0.container, path, bytes_max).await
    }

    /// Kills the container and removes it.
    pub(crate) async fn remove(&self, deadline: Instant) -> Result<(), PartError> {
        self.0.is_stopping.store(true, Ordering::SeqCst);
        let options = RemoveContainerOptionsBuilder::default()
            .force(true)
            .v(true)
            .build();
        let removing = self
            .0
            .engine
            .client
            .remove_container(&self.0.container, Some(options));
        let removed = timeout_at(deadline.max(Instant::now() + REMOVE_TIMEOUT), removing).await;
        match removed {
            Ok(Ok(()) | Err(Error::DockerResponseServerError { status_code: 404, .. })) => {
                self.0.journal.gone(self.0.entry);
                Ok(())
            }
            Ok(Err(error)) => Err(self.failed("remove", error)),
            Err(_) => Err(PartError::Io {
                part: self.name().to_owned(),
                doing: "remove",
                source: io::ErrorKind::TimedOut.into(),
            }),
        }
    }

    fn refused(&self, doing: &'static str, source: Error) -> StartError {
        StartError::Hold {
            part: self.name().to_owned(),
            doing,
            source: io::Error::other(words(source)),
        }
    }

    fn failed(&self, doing: &'static str, source: Error) -> PartError {
        PartError::Io {
            part: self.name().to_owned(),
            doing,
            source: io::Error::other(words(source)),
        }
    }
}

/// What the engine said, without what the client library puts around it.
pub(super) fn words(error: Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message,
        Error::DockerStreamError { error } => error,
        other => other.to_string(),
    }
}

fn nanoseconds(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

fn seen(spec: &ContainerSpec, inspected: &ContainerInspectResponse, state: &mut State) {
    let pid = inspected
        .state
        .as_ref()
        .and_then(|state| state.pid)
        .unwrap_or_default();
    state.pid = u32::try_from(pid).unwrap_or_default();
    let Some(settings) = &inspected.network_settings else {
        return;
    };
    state.address = settings
        .networks
        .iter()
        .flat_map(HashMap::values)
        .find_map(|network| network.ip_address.as_ref()?.parse().ok());
    let published = |port: &ContainerPort| -> Option<u16> {
        let bindings = settings.ports.as_ref()?.get(&port.key())?.as_ref()?;
        bindings
            .iter()
            .find_map(|binding| binding.host_port.as_ref()?.parse().ok())
    };
    state.ports = spec
        .ports
        .iter()
        .filter_map(|port| Some((*port, published(port)?)))
        .collect();
}

/// Those who want to know what becomes of a container.
struct Followers {
    state: watch::Sender<State>,
    log_state: watch::Sender<LogState>,
}

/// Writes down what a container says, then how it ended.
async fn follow(
    engine: Engine,
    container: String,
    mut output: impl futures_util::Stream<Item = Result<LogOutput, Error>> + Unpin,
    mut writer: LogWriter,
    bytes_max: u64,
    followers: Followers,
) {
    let mut written = 0;
    let mut ended_by = None;
    // An error ends the stream as its end does: how the container ended is asked for below.
    while let Some(Ok(piece)) = output.next().await {
        let (stream, bytes) = match piece {
            LogOutput::StdErr { message } => (Stream::Stderr, message),
            LogOutput::StdOut { message } | LogOutput::Console { message } => (Stream::Stdout, message),
            LogOutput::StdIn { .. } => continue,
        };
        let lost = writer
            .write(stream, &bytes)
            .err()
            .and_then(|error| error.raw_os_error());
        followers.log_state.send_modify(|state| {
            state.version += 1;
            state.lost = state.lost.or(lost);
        });
        written += bytes.len() as u64;
        if written > bytes_max && ended_by.is_none() {
            ended_by = Some(EndedBy::LogLimit);
            // Whether that succeeds is seen below.
            let _ = engine.client.kill_container(&container, None).await;
        }
    }
    let end = end_of(&engine, &container).await;
    followers.log_state.send_modify(|state| {
        state.version += 1;
        state.ended = true;
    });
    followers.state.send_modify(|state| {
        state.status = Some(ExitStatus {
            ended_by: ended_by.or(end.ended_by),
            ..end
        });
    });
}

/// How a container ended, as soon as it has.
async fn end_of(engine: &Engine, container: &str) -> ExitStatus {
    let options = WaitContainerOptionsBuilder::default()
        .condition("not-running")
        .build();
    // Its own answer is not looked at: it may come before the exit code is known, and says nothing of memory.
    let _ = engine
        .client
        .wait_container(container, Some(options))
        .next()
        .await;
    let deadline = Instant::now() + EXIT_CODE_TIMEOUT;
    loop {
        let state = engine
            .client
            .inspect_container(container, None)
            .await
            .ok()
            .and_then(|found| found.state);
        let Some(state) = state else {
            return ExitStatus {
                end: End::Unknown,
                ended_by: None,
            };
        };
        let is_over = state.running == Some(false) && state.pid.unwrap_or_default() == 0;
        if is_over || Instant::now() > deadline {
            let out_of_memory = state.oom_killed == Some(true);
            return ExitStatus {
                end: state.exit_code.map_or(End::Unknown, end_from_code),
                ended_by: out_of_memory.then_some(EndedBy::OutOfMemory),
            };
        }
        tokio::time::sleep(EXIT_CODE_POLL).await;
    }
}

/// The engine adds 128 to the number of a signal that ended the main process. A program that exits with such a code
/// itself cannot be told from one, and the signal is by far more frequent.
fn end_from_code(code: i64) -> End {
    match i32::try_from(code) {
        Ok(code @ 129..=192) => match Signal::from_number(code - 128) {
            Some(signal) => End::Signal {
                signal,
                core_dumped: false,
            },
            None => End::Code(code),
        },
        Ok(code) => End::Code(code),
        Err(_) => End::Unknown,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
