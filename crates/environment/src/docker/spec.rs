//! What to run in a container.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, time::Duration};

use super::image::Platform;
use crate::{part::PartSpec, sockets::Endpoint};

/// What to run in a container. `part` holds what it has in common with a process: its name, command, environment,
/// files, stop signal; of these only `inherit_env` means the same here, and a relative file is relative to `workdir`.
#[derive(Clone, Debug)]
pub struct ContainerSpec {
    /// Its name, which is also its host name for the other parts of the group; its command, empty for the image's own.
    pub part: PartSpec,
    /// The image. It has to be there: see [`ensure_image`](super::ensure_image).
    pub image: String,
    /// For which kind of machine, where an image has several.
    pub platform: Option<Platform>,
    /// Instead of the image's entrypoint; an empty one means none.
    pub entrypoint: Option<Vec<String>>,
    /// Other host names under which the parts of the group reach it.
    pub aliases: Vec<String>,
    /// Ports to be reached from this machine, each by a port of its own on loopback.
    pub ports: Vec<ContainerPort>,
    /// Where it runs; otherwise as the image says.
    pub workdir: Option<String>,
    /// As whom; otherwise as the image says.
    pub user: Option<String>,
    /// Directories in memory, with their mount options: `/run` → `size=16m`.
    pub tmpfs: BTreeMap<String, String>,
    /// Volumes, by their name in the group.
    pub volumes: Vec<VolumeMount>,
    /// Files and directories of this machine.
    pub binds: Vec<Bind>,
    /// Capabilities that it gets besides the default ones.
    pub cap_add: Vec<String>,
    /// Default capabilities that it does not get.
    pub cap_drop: Vec<String>,
    /// With all capabilities and devices.
    pub privileged: bool,
    /// Without the default seccomp profile.
    pub unconfined_seccomp: bool,
    /// In the machine's cgroup namespace.
    pub host_cgroup_namespace: bool,
    /// How much memory it may use, in bytes.
    pub memory_bytes_max: Option<u64>,
    /// How many processors it may use.
    pub cpus: Option<f64>,
    /// How many processes it may have.
    pub pids_max: Option<u64>,
    /// How its health is checked; otherwise as the image says.
    pub health: Option<HealthCheck>,
    /// Names that it resolves by its hosts file.
    pub extra_hosts: BTreeMap<String, IpAddr>,
}

/// A port inside a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ContainerPort {
    /// TCP.
    Tcp(u16),
    /// UDP.
    Udp(u16),
}

impl ContainerPort {
    /// As the engine writes it: `80/tcp`.
    pub(super) fn key(self) -> String {
        match self {
            ContainerPort::Tcp(port) => format!("{port}/tcp"),
            ContainerPort::Udp(port) => format!("{port}/udp"),
        }
    }
}

impl From<ContainerPort> for Endpoint {
    fn from(port: ContainerPort) -> Self {
        match port {
            ContainerPort::Tcp(port) => Endpoint::Tcp(port),
            ContainerPort::Udp(port) => Endpoint::Udp(port),
        }
    }
}

/// A volume of the group in a container. It is made when the first part uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeMount {
    /// Its name in the group.
    pub name: String,
    /// Where it appears.
    pub path: String,
    /// It cannot be written to here.
    pub read_only: bool,
}

/// Something of this machine in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// Where it is here.
    pub source: PathBuf,
    /// Where it appears.
    pub path: String,
    /// It cannot be written to there.
    pub read_only: bool,
}

/// How a container's health is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Run in the container; it is healthy when this exits with 0.
    pub command: Vec<String>,
    /// Between two checks. 1 s: the engine's own 30 s are made for production.
    pub interval: Duration,
    /// How long one may take. 10 s.
    pub timeout: Duration,
    /// How many may fail in a row. 3.
    pub retries: u32,
}

impl HealthCheck {
    /// A check by this command.
    pub fn new(command: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
            retries: 3,
        }
    }
}

impl ContainerSpec {
    /// A container of an image that runs what the image says.
    pub fn new(name: impl Into<String>, image: impl Into<String>) -> Self {
        Self {
            part: PartSpec::new(name, Vec::<String>::new()),
            image: image.into(),
            platform: None,
            entrypoint: None,
            aliases: Vec::new(),
            ports: Vec::new(),
            workdir: None,
            user: None,
            tmpfs: BTreeMap::new(),
            volumes: Vec::new(),
            binds: Vec::new(),
            cap_add: Vec::new(),
            cap_drop: Vec::new(),
            privileged: false,
            unconfined_seccomp: false,
            host_cgroup_namespace: false,
            memory_bytes_max: None,
            cpus: None,
            pids_max: None,
            health: None,
            extra_hosts: BTreeMap::new(),
        }
    }

    /// Runs this command instead of the image's.
    pub fn command(mut self, command: impl IntoIterator<Item = impl Into<std::ffi::OsString>>) -> Self {
        self.part.command = command.into_iter().map(Into::into).collect();
        self
    }

    /// Makes a port reachable from this machine.
    pub fn port(mut self, port: ContainerPort) -> Self {
        self.ports.push(port);
        self
    }

    /// Adds a variable.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<std::ffi::OsString>) -> Self {
        self.part = self.part.env(name, value);
        self
    }
}
