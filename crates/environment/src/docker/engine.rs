//! The connection to a container engine, and the four ways in which there is none.
//!
//! Each of them is something else to do for the user, so each has its own words: no socket, no permission, an API
//! that is too old, a daemon that does not answer.

use std::{fmt, io, sync::Arc, time::Duration};

use bollard::{API_DEFAULT_VERSION, ClientVersion, Docker};
use seatrial_engine::Unmet;
use tokio::net::UnixStream;

use super::address::{Address, Flavor, Host, NotFound, Surroundings};

/// The oldest API that is spoken: 1.40, of Docker 19.03, the first whose networks and mounts do all that is needed.
const API_VERSION_MIN: ClientVersion = ClientVersion {
    major_version: 1,
    minor_version: 40,
};

/// How long an engine may take to answer when it is first asked.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// How long a request may take; pulls and logs have their own bounds.
const REQUEST_SECONDS_MAX: u64 = 120;

/// A container engine that answers. Clones share its connections.
#[derive(Clone)]
pub struct Engine {
    pub(crate) client: Docker,
    flavor: Flavor,
    description: Arc<str>,
}

/// Why no engine can be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// It is not known where it is.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// This user may not speak to it.
    #[error("{place} may not be opened by this user")]
    NoPermission {
        /// Where it is.
        place: String,
    },
    /// It is too old.
    #[error("{} at {place} speaks API {found}, and {API_VERSION_MIN} is the oldest that will do", flavor.name())]
    TooOld {
        /// Which engine.
        flavor: Flavor,
        /// Where it is.
        place: String,
        /// The version it speaks.
        found: String,
    },
    /// Nobody answers.
    #[error("{} at {place} does not answer{}", flavor.name(), within(*waited))]
    NoAnswer {
        /// Which engine.
        flavor: Flavor,
        /// Where it is.
        place: String,
        /// For how long it was waited, where it was.
        waited: Option<Duration>,
        /// What was said.
        #[source]
        source: Option<bollard::errors::Error>,
    },
}

fn within(waited: Option<Duration>) -> String {
    waited.map_or(String::new(), |waited| format!(" within {} s", waited.as_secs()))
}

impl Engine {
    /// Connects to the engine that the `docker` command would use, or to Podman.
    ///
    /// # Errors
    /// When there is none, this user may not use it, it is too old, or it does not answer within two seconds.
    pub async fn connect(flavor: Flavor) -> Result<Self, ConnectError> {
        Self::connect_to(flavor, Surroundings::of_this_process().find(flavor)?).await
    }

    /// Connects to the engine at this address.
    ///
    /// # Errors
    /// As [`Engine::connect`].
    pub async fn connect_to(flavor: Flavor, address: Address) -> Result<Self, ConnectError> {
        let place = address.host.to_string();
        let answering = async {
            if let Host::Unix(path) = &address.host {
                // What the client says of a socket that it cannot open does not tell the reasons apart.
                match UnixStream::connect(path).await {
                    Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                        return Err(ConnectError::NoPermission { place: place.clone() });
                    }
                    Err(error) => return Err(no_answer(flavor, &place, error.into())),
                    Ok(_) => {}
                }
            }
            let client = client(&address.host).map_err(|error| no_answer(flavor, &place, error))?;
            // Asked without a version, which every daemon answers.
            let version = client
                .version()
                .await
                .map_err(|error| no_answer(flavor, &place, error))?;
            let spoken = version.api_version.unwrap_or_default();
            if parse_version(&spoken).is_none_or(|spoken| spoken < API_VERSION_MIN) {
                return Err(ConnectError::TooOld {
                    flavor,
                    place: place.clone(),
                    found: spoken,
                });
            }
            let client = client
                .negotiate_version()
                .await
                .map_err(|error| no_answer(flavor, &place, error))?;
            let description = format!(
                "{} {}, API {spoken}, at {place} ({})",
                flavor.name(),
                version.version.unwrap_or_default(),
                address.source
            );
            Ok(Self {
                client,
                flavor,
                description: description.into(),
            })
        };
        match tokio::time::timeout(ANSWER_MAX, answering).await {
            Ok(connected) => connected,
            Err(_) => Err(ConnectError::NoAnswer {
                flavor,
                place,
                waited: Some(ANSWER_MAX),
                source: None,
            }),
        }
    }

    /// Which engine it is.
    pub fn flavor(&self) -> Flavor {
        self.flavor
    }

    /// Its name, version and place, in a line.
    pub fn description(&self) -> &str {
        &self.description
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Engine").field(&self.description).finish()
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Unix(path) => path.display().fmt(f),
            Host::Tcp { authority, .. } => f.write_str(authority),
        }
    }
}

fn no_answer(flavor: Flavor, place: &str, source: bollard::errors::Error) -> ConnectError {
    ConnectError::NoAnswer {
        flavor,
        place: place.to_owned(),
        waited: None,
        source: Some(source),
    }
}

fn client(host: &Host) -> Result<Docker, bollard::errors::Error> {
    match host {
        Host::Unix(path) => Docker::connect_with_unix(
            &path.display().to_string(),
            REQUEST_SECONDS_MAX,
            API_DEFAULT_VERSION,
        ),
        Host::Tcp { authority, tls: None } => Docker::connect_with_http(
            &format!("tcp://{authority}"),
            REQUEST_SECONDS_MAX,
            API_DEFAULT_VERSION,
        ),
        Host::Tcp {
            authority,
            tls: Some(tls),
        } => Docker::connect_with_ssl(
            &format!("tcp://{authority}"),
            &tls.key,
            &tls.cert,
            &tls.ca,
            REQUEST_SECONDS_MAX,
            API_DEFAULT_VERSION,
        ),
    }
}

fn parse_version(text: &str) -> Option<ClientVersion> {
    let (major, minor) = text.split_once('.')?;
    Some(ClientVersion {
        major_version: major.parse().ok()?,
        minor_version: minor.parse().ok()?,
    })
}

/// Looks whether an engine can be used, and says which; for requirements, which are checked where nothing is async.
///
/// # Errors
/// Why not, and what to do.
pub fn check(flavor: Flavor) -> Result<String, Unmet> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Unmet::because(format!("no runtime to ask with: {error}")))?;
    match runtime.block_on(Engine::connect(flavor)) {
        Ok(engine) => Ok(engine.description().to_owned()),
        Err(error) => Err(unmet(flavor, &error)),
    }
}

fn unmet(flavor: Flavor, error: &ConnectError) -> Unmet {
    let cause = std::error::Error::source(error)
        .map(|cause| format!(": {cause}"))
        .unwrap_or_default();
    let start = match flavor {
        Flavor::Docker => "start it: `systemctl start docker`, or `dockerd`",
        Flavor::Podman => {
            "start its service: `systemctl --user start podman.socket`, or `podman system service`"
        }
    };
    let help = match error {
        ConnectError::NotFound(NotFound::NoSocket { .. }) => match flavor {
            Flavor::Docker => "install Docker and start its daemon, or set DOCKER_HOST".to_owned(),
            Flavor::Podman => format!("install Podman and {start}, or set CONTAINER_HOST"),
        },
        ConnectError::NotFound(NotFound::NoContext { .. }) => {
            "`docker context ls` lists those that there are; `docker context use default` chooses the usual one".into()
        }
        ConnectError::NotFound(_) => "correct it, or set DOCKER_HOST".into(),
        ConnectError::NoPermission { .. } => {
            "add this user to the group `docker` (and log in again), or run as root".into()
        }
        ConnectError::TooOld { .. } => "upgrade the engine".into(),
        ConnectError::NoAnswer { .. } => start.into(),
    };
    Unmet::because(format!("{error}{cause}")).help(help)
}
