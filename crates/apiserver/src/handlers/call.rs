//! One request for one resource, as the handlers see it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    api::{self, Api},
    media::{self, Accepted, Shape},
    meta::Meta,
    query::Query,
    registry::Resource,
    reply::{self, Reply},
    status::Status,
    store::Object,
    table::{self, IncludeObject},
};

/// How long a read waits for a revision that has not been reached: upstream's limit.
const FUTURE_REVISION_WAIT: Duration = Duration::from_secs(3);

/// See the [module](self).
pub(crate) struct Call {
    pub(crate) api: Arc<Api>,
    pub(crate) resource: Arc<Resource>,
    /// `None` for cluster-scoped resources, and for lists of all namespaces.
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) query: Query,
    pub(crate) accept: String,
    pub(crate) content_type: String,
    pub(crate) user_agent: String,
    pub(crate) body: Bytes,
    /// What the decoder warned of; a refusal that comes later carries it too.
    pub(crate) noted: Mutex<Vec<String>>,
}

impl Call {
    pub(crate) fn now(&self) -> Timestamp {
        self.api.now()
    }

    /// The name in the path. Only called on routes that have one.
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("")
    }

    pub(crate) fn key(&self) -> String {
        api::key(self.namespace.as_deref(), self.name())
    }

    /// Keeps the decoder's warnings for a refusal.
    pub(crate) fn note(&self, warnings: &[String]) {
        *self.noted.lock().unwrap_or_else(PoisonError::into_inner) = warnings.to_vec();
    }

    /// What was noted.
    pub(crate) fn noted(&self) -> Vec<String> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn not_found(&self) -> Status {
        Status::not_found(self.resource.group_resource(), self.name())
    }

    pub(crate) fn stored(&self) -> Result<Arc<Object>, Status> {
        self.api
            .store
            .get(&self.resource.collection, &self.key())
            .ok_or_else(|| self.not_found())
    }

    pub(crate) fn negotiate(&self) -> Result<Accepted, Status> {
        media::negotiate(&self.accept, true)
    }

    /// The `includeObject` parameter.
    pub(crate) fn include_object(&self) -> Result<IncludeObject, Status> {
        Ok(match self.query.get("includeObject") {
            None | Some("Metadata") => IncludeObject::Metadata,
            Some("None") => IncludeObject::None,
            Some("Object") => IncludeObject::Object,
            Some(other) => {
                return Err(Status::bad_request(format!(
                    "includeObject: Unsupported value: {}: supported values: \"None\", \"Metadata\", \"Object\"",
                    crate::status::quote(other)
                )));
            }
        })
    }

    /// One object, in the shape that was asked for.
    pub(crate) fn object_reply(&self, code: u16, accepted: &Accepted, bytes: Bytes) -> Result<Reply, Status> {
        match accepted.shape {
            Shape::Object => Ok(reply::object(code, accepted, bytes)),
            shape => {
                let value = crate::json::parse(&bytes)
                    .map(|parsed| parsed.value)
                    .unwrap_or_default();
                self.shaped_reply(code, accepted, shape, &value)
            }
        }
    }

    /// [`Self::object_reply`] of a tree.
    pub(crate) fn tree_reply(&self, code: u16, accepted: &Accepted, value: &Value) -> Result<Reply, Status> {
        match accepted.shape {
            Shape::Object => Ok(reply::object(
                code,
                accepted,
                api::tree_bytes(value, &self.resource),
            )),
            shape => self.shaped_reply(code, accepted, shape, value),
        }
    }

    fn shaped_reply(
        &self,
        code: u16,
        accepted: &Accepted,
        shape: Shape,
        value: &Value,
    ) -> Result<Reply, Status> {
        if shape == Shape::Partial {
            return Ok(reply::tree(code, accepted, &table::partial(value)));
        }
        let columns = &self.resource.columns;
        let row = table::row(value, columns, self.now(), self.include_object()?);
        let out = serde_json::json!({
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": {"resourceVersion": value.meta_str("resourceVersion")},
            "columnDefinitions": table::definitions(columns),
            "rows": [row],
        });
        Ok(reply::tree(code, accepted, &out))
    }

    /// Waits until the store has reached `revision`; 504 if that takes too long.
    pub(crate) async fn wait_for(&self, revision: u64) -> Result<(), Status> {
        let deadline = tokio::time::Instant::now() + FUTURE_REVISION_WAIT;
        // Polled: revisions rise with writes of any collection, and nobody else waits for all of them.
        while self.api.store.revision() < revision {
            if tokio::time::Instant::now() >= deadline {
                return Err(Status::too_large_version(revision, self.api.store.revision()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

/// A revision in a query. The error is the parser's text.
pub(crate) fn parse_revision(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| {
        let quoted = crate::status::quote(text);
        format!(
            "resourceVersion: Invalid value: {quoted}: strconv.ParseUint: parsing {quoted}: invalid syntax"
        )
    })
}
