//! The network of an isolation group, and the names and labels of all that belongs to one.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use bollard::{
    errors::Error,
    models::{Ipam, IpamConfig, NetworkCreateRequest},
};
use seatrial_engine::journal::{EntryId, Journal};
use serde_json::{Value, json};

use super::{
    engine::Engine,
    subnet::{Subnet, SubnetError, Subnets},
};

/// The kind of journal entry that a network is.
pub(super) const NETWORK: &str = "container-network";

/// How often a subnet that somebody else took first is replaced by another.
const SUBNET_TRIES_MAX: u32 = 20;

/// Labels of everything that seatrial creates: to find it by, and to tell it from what is not ours.
pub(super) fn labels(run: &str, group: &str) -> HashMap<String, String> {
    let created = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |span| span.as_secs());
    HashMap::from([
        ("seatrial.run".to_owned(), run.to_owned()),
        ("seatrial.group".to_owned(), group.to_owned()),
        ("seatrial.created".to_owned(), created.to_string()),
    ])
}

/// The name of something that belongs to a group.
pub(super) fn name_in_group(group: &str, name: &str) -> String {
    format!("seatrial-{group}-{name}")
}

/// What the journal says of something that an engine has: where, and under which name.
pub(super) fn entry(engine: &Engine, name: &str, group: &str) -> Value {
    json!({"engine": engine.flavor().name(), "name": name, "group": group})
}

/// A group's network.
pub(crate) struct GroupNetwork {
    pub(super) engine: Engine,
    pub(super) name: String,
    entry: EntryId,
    journal: Arc<Journal>,
}

/// There can be no network.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The journal could not be written, so nothing was created.
    #[error("journal the network")]
    Journal(#[from] seatrial_engine::journal::JournalError),
    /// No subnet is free.
    #[error(transparent)]
    Subnet(#[from] SubnetError),
    /// The engine refuses.
    #[error("{doing} the network {name}")]
    Engine {
        /// What was tried.
        doing: &'static str,
        /// The network.
        name: String,
        /// Its words.
        #[source]
        source: Error,
    },
}

impl GroupNetwork {
    pub(super) async fn create(
        engine: &Engine,
        journal: &Arc<Journal>,
        group: &str,
    ) -> Result<Self, NetworkError> {
        let name = format!("seatrial-{group}");
        let entry = journal.will_create(group, NETWORK, entry(engine, &name, group))?;
        match create(engine, journal.run(), group, &name).await {
            Ok(()) => Ok(Self {
                engine: engine.clone(),
                name,
                entry,
                journal: journal.clone(),
            }),
            Err(error) => {
                journal.gone(entry);
                Err(error)
            }
        }
    }

    pub(super) async fn remove(&self) -> Result<(), NetworkError> {
        match self.engine.client.remove_network(&self.name).await {
            Ok(()) | Err(Error::DockerResponseServerError { status_code: 404, .. }) => {
                self.journal.gone(self.entry);
                Ok(())
            }
            Err(source) => Err(NetworkError::Engine {
                doing: "remove",
                name: self.name.clone(),
                source,
            }),
        }
    }
}

async fn create(engine: &Engine, run: &str, group: &str, name: &str) -> Result<(), NetworkError> {
    let failed = |doing| {
        let name = name.to_owned();
        move |source| NetworkError::Engine { doing, name, source }
    };
    let mut taken = taken(engine).await.map_err(failed("find a subnet for"))?;
    let mut tries = 0;
    loop {
        let subnet = Subnets::default().free(&taken, random())?;
        let request = NetworkCreateRequest {
            name: name.to_owned(),
            driver: Some("bridge".into()),
            labels: Some(labels(run, group)),
            ipam: Some(Ipam {
                config: Some(vec![IpamConfig {
                    subnet: Some(subnet.to_string()),
                    ..IpamConfig::default()
                }]),
                ..Ipam::default()
            }),
            ..NetworkCreateRequest::default()
        };
        match engine.client.create_network(request).await {
            Ok(_) => return Ok(()),
            // Somebody else took the subnet in between; Docker and Podman have no code for that, only words.
            Err(error) if tries < SUBNET_TRIES_MAX && is_overlap(&error) => {
                tries += 1;
                taken.insert(subnet);
            }
            Err(error) => return Err(failed("create")(error)),
        }
    }
}

async fn taken(engine: &Engine) -> Result<HashSet<Subnet>, Error> {
    let networks = engine.client.list_networks(None).await?;
    let configs = networks
        .into_iter()
        .filter_map(|network| network.ipam?.config)
        .flatten();
    Ok(configs.filter_map(|config| config.subnet?.parse().ok()).collect())
}

fn is_overlap(error: &Error) -> bool {
    let Error::DockerResponseServerError { message, .. } = error else {
        return false;
    };
    let message = message.to_lowercase();
    ["overlap", "already used", "is being used"]
        .iter()
        .any(|words| message.contains(words))
}

/// The standard library's hasher keys are random, which is all that is asked for here.
fn random() -> u32 {
    use std::hash::{BuildHasher, RandomState};
    (RandomState::new().hash_one(0) >> 32) as u32
}
