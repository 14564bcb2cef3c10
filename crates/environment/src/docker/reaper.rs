//! Removing what a dead run left at a container engine: containers, then their volumes and networks.
//!
//! A name is ours only if the thing that has it bears our label with the group of the entry: a container of somebody
//! else that happens to be called the same is left alone.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use bollard::{
    errors::Error,
    query_parameters::{RemoveContainerOptionsBuilder, RemoveVolumeOptions},
};
use seatrial_engine::journal::{ReapError, Reaper, Reapers};
use serde::Deserialize;
use serde_json::Value;

use super::{
    address::Flavor,
    engine::Engine,
    network::NETWORK,
    part::{CONTAINER, words},
    volume::VOLUME,
};

/// A request to create something may still be on its way when its sender is dead: what is not there is looked for again
/// for this long. The engine has then either made it or never will.
const LATE_CREATION_MAX: Duration = Duration::from_secs(1);

/// Between two looks; the engine's events would need a stream of their own for each entry.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Adds the reapers of all that is created at container engines, in the order of reaping.
pub(crate) fn add_reapers(reapers: Reapers) -> Reapers {
    [CONTAINER, VOLUME, NETWORK]
        .into_iter()
        .fold(reapers, |reapers, kind| reapers.with(EngineReaper { kind }))
}

struct EngineReaper {
    kind: &'static str,
}

#[derive(Deserialize)]
struct Entry {
    engine: String,
    name: String,
    group: String,
}

impl Entry {
    fn read(data: &Value) -> Result<Self, ReapError> {
        Ok(Self::deserialize(data)?)
    }

    fn flavor(&self) -> Flavor {
        if self.engine == Flavor::Podman.name() {
            Flavor::Podman
        } else {
            Flavor::Docker
        }
    }
}

impl EngineReaper {
    /// Whether it is there, and ours.
    async fn is_ours(&self, engine: &Engine, entry: &Entry) -> Result<bool, Error> {
        let client = &engine.client;
        let labels = match self.kind {
            CONTAINER => {
                let found = client.inspect_container(&entry.name, None).await;
                found.map(|container| container.config.and_then(|config| config.labels))
            }
            VOLUME => client
                .inspect_volume(&entry.name)
                .await
                .map(|volume| Some(volume.labels)),
            _ => client
                .inspect_network(&entry.name, None)
                .await
                .map(|network| network.labels),
        };
        match labels {
            Ok(labels) => {
                let group = labels.and_then(|labels| labels.get("seatrial.group").cloned());
                Ok(group.as_deref() == Some(&entry.group))
            }
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn remove(&self, engine: &Engine, entry: &Entry) -> Result<(), Error> {
        let client = &engine.client;
        let removed = match self.kind {
            CONTAINER => {
                let options = RemoveContainerOptionsBuilder::default()
                    .force(true)
                    .v(true)
                    .build();
                client.remove_container(&entry.name, Some(options)).await
            }
            VOLUME => {
                client
                    .remove_volume(&entry.name, None::<RemoveVolumeOptions>)
                    .await
            }
            _ => client.remove_network(&entry.name).await,
        };
        match removed {
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
            removed => removed,
        }
    }
}

impl Reaper for EngineReaper {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn describe(&self, data: &Value) -> String {
        match Entry::read(data) {
            Ok(entry) => {
                let what = self.kind.strip_prefix("container-").unwrap_or(self.kind);
                format!("{} {what} {}", entry.engine, entry.name)
            }
            Err(_) => format!("a {} whose entry is not understood", self.kind),
        }
    }

    fn is_there(&self, data: &Value) -> bool {
        let Ok(entry) = Entry::read(data) else { return true };
        // Where nobody can say, it is taken to be there: trying to reap it tells why.
        let asked = ask(async {
            let engine = connect(&entry).await?;
            self.is_ours(&engine, &entry)
                .await
                .map_err(|error| refused(&entry, error))
        });
        asked.unwrap_or(true)
    }

    fn reap(&self, data: &Value, deadline: Instant) -> Result<(), ReapError> {
        let entry = Entry::read(data)?;
        ask(async {
            let engine = connect(&entry).await?;
            let late = Instant::now() + LATE_CREATION_MAX;
            while !self
                .is_ours(&engine, &entry)
                .await
                .map_err(|error| refused(&entry, error))?
            {
                if Instant::now() > late.min(deadline) {
                    return Ok(());
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            self.remove(&engine, &entry)
                .await
                .map_err(|error| refused(&entry, error))
        })
    }
}

async fn connect(entry: &Entry) -> Result<Engine, ReapError> {
    Engine::connect(entry.flavor())
        .await
        .map_err(|error| failed(entry, error.to_string()))
}

fn refused(entry: &Entry, error: Error) -> ReapError {
    failed(entry, words(error))
}

fn failed(entry: &Entry, why: String) -> ReapError {
    ReapError::Io {
        doing: format!("remove {} from {}", entry.name, entry.engine),
        source: io::Error::other(why),
    }
}

/// Reaping is synchronous, as it has to work in a process that has no runtime, and may be called by one that has: on a
/// thread of its own it makes no difference.
fn ask<T: Send>(asking: impl Future<Output = Result<T, ReapError>> + Send) -> Result<T, ReapError> {
    let asked = thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|source| ReapError::Io {
                doing: "ask the engine".into(),
                source,
            })?;
            runtime.block_on(asking)
        });
        asking.join()
    });
    asked.unwrap_or_else(|_| {
        Err(ReapError::Io {
            doing: "ask the engine".into(),
            source: io::Error::other("its client panicked"),
        })
    })
}
