//! Volumes that the parts of a group share.

use std::sync::Arc;

use bollard::{errors::Error, models::VolumeCreateRequest, query_parameters::RemoveVolumeOptions};
use seatrial_engine::journal::{EntryId, Journal};

use super::{
    engine::Engine,
    network::{self, NetworkError},
};

/// The kind of journal entry that a volume is.
pub(super) const VOLUME: &str = "container-volume";

/// A volume of a group.
pub(crate) struct GroupVolume {
    engine: Engine,
    name: String,
    entry: EntryId,
    journal: Arc<Journal>,
}

impl GroupVolume {
    pub(super) async fn create(
        engine: &Engine,
        journal: &Arc<Journal>,
        group: &str,
        name: &str,
    ) -> Result<Self, NetworkError> {
        let name = network::name_in_group(group, name);
        let entry = journal.will_create(group, VOLUME, network::entry(engine, &name, group))?;
        let request = VolumeCreateRequest {
            name: Some(name.clone()),
            labels: Some(network::labels(journal.run(), group)),
            ..VolumeCreateRequest::default()
        };
        match engine.client.create_volume(request).await {
            Ok(_) => Ok(Self {
                engine: engine.clone(),
                name,
                entry,
                journal: journal.clone(),
            }),
            Err(source) => {
                journal.gone(entry);
                Err(NetworkError::Engine {
                    doing: "create",
                    name,
                    source,
                })
            }
        }
    }

    pub(super) async fn remove(&self) -> Result<(), NetworkError> {
        match self
            .engine
            .client
            .remove_volume(&self.name, None::<RemoveVolumeOptions>)
            .await
        {
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
