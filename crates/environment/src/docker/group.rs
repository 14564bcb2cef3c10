//! What an isolation group has at a container engine: a network, volumes, containers.
//!
//! The network is made with the first container, so a group of processes pays nothing for it.

use std::{path::Path, sync::Arc};

use seatrial_engine::journal::Journal;
use tokio::{sync::Mutex, task::JoinSet};

use super::{
    engine::Engine, network::GroupNetwork, part::ContainerPart, spec::ContainerSpec, volume::GroupVolume,
};
use crate::part::StartError;

/// What a group has at an engine so far.
#[derive(Default)]
pub(crate) struct Containers {
    made: Mutex<Option<Made>>,
}

struct Made {
    network: Arc<GroupNetwork>,
    volumes: Vec<(String, GroupVolume)>,
}

impl Containers {
    pub(crate) async fn start(
        &self,
        engine: &Engine,
        journal: &Arc<Journal>,
        group: &str,
        log_dir: &Path,
        spec: ContainerSpec,
    ) -> Result<ContainerPart, StartError> {
        let network = self
            .prepare(engine, journal, group, &spec)
            .await
            .map_err(|source| StartError::Hold {
                part: spec.part.name.clone(),
                doing: "make its group's network and volumes",
                source: std::io::Error::other(source),
            })?;
        ContainerPart::start(&network, journal, group, log_dir, spec).await
    }

    async fn prepare(
        &self,
        engine: &Engine,
        journal: &Arc<Journal>,
        group: &str,
        spec: &ContainerSpec,
    ) -> Result<Arc<GroupNetwork>, super::NetworkError> {
        let mut made = self.made.lock().await;
        let made = match &mut *made {
            Some(made) => made,
            none @ None => {
                let network = Arc::new(GroupNetwork::create(engine, journal, group).await?);
                none.insert(Made {
                    network,
                    volumes: Vec::new(),
                })
            }
        };
        for volume in &spec.volumes {
            if !made.volumes.iter().any(|(name, _)| *name == volume.name) {
                let created = GroupVolume::create(engine, journal, group, &volume.name).await?;
                made.volumes.push((volume.name.clone(), created));
            }
        }
        Ok(made.network.clone())
    }

    /// Removes volumes and network; the containers have to be gone. Says what is left.
    pub(crate) async fn remove(&self) -> Vec<String> {
        let Some(made) = self.made.lock().await.take() else {
            return Vec::new();
        };
        let mut removing = JoinSet::new();
        for (_, volume) in made.volumes {
            removing.spawn(async move { volume.remove().await });
        }
        removing.spawn(async move { made.network.remove().await });
        let mut left = Vec::new();
        while let Some(removed) = removing.join_next().await {
            match removed {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
                    left.push(format!("{error}{}", cause.unwrap_or_default()));
                }
                Err(error) => left.push(error.to_string()),
            }
        }
        left
    }
}
