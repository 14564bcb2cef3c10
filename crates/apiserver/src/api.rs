//! What all requests share: the store, what is served, the clock.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, RwLock,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    clock::Clock,
    json::{self, TopOrder},
    meta::Meta,
    registry::{Registry, Resource},
    schema,
    store::{Draft, Object, Store},
};

/// See the [module](self).
pub(crate) struct Api {
    pub(crate) store: Arc<Store>,
    registry: RwLock<Arc<Registry>>,
    clock: Arc<dyn Clock>,
    next_encoding: AtomicU64,
    /// Held while the definitions are brought in line with what is served: one at a time, in order.
    definitions: Mutex<()>,
    pub(crate) openapi: Mutex<Option<Arc<crate::openapi::Documents>>>,
}

impl Api {
    pub(crate) fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self {
            store: Arc::new(store),
            registry: RwLock::default(),
            clock,
            next_encoding: AtomicU64::new(1),
            definitions: Mutex::default(),
            openapi: Mutex::default(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn registry(&self) -> Arc<Registry> {
        self.registry
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set_registry(&self, registry: Registry) {
        let registry = Arc::new(registry);
        let before = std::mem::replace(
            &mut *self.registry.write().unwrap_or_else(PoisonError::into_inner),
            registry.clone(),
        );
        for gone in before
            .all()
            .filter(|one| registry.find(&one.group, &one.version, &one.plural).is_none())
        {
            gone.retired.send_replace(true);
        }
        *self.openapi.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(crate) fn new_encoding(&self) -> u64 {
        self.next_encoding.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn definitions(&self) -> MutexGuard<'_, ()> {
        self.definitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The store's key of an object.
pub(crate) fn key(namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    }
}

/// Whether stored bytes can be sent as they are.
pub(crate) fn is_current(object: &Object, resource: &Resource) -> bool {
    object.encoding == resource.encoding && resource.version == resource.storage_version
}

/// A stored object as a tree in the resource's version, defaults included.
pub(crate) fn decode(object: &Object, resource: &Resource) -> Value {
    decode_bytes(&object.bytes, is_current(object, resource), resource)
}

fn decode_bytes(bytes: &Bytes, current: bool, resource: &Resource) -> Value {
    let mut value = json::parse(bytes).map(|parsed| parsed.value).unwrap_or_default();
    if !current {
        if let Value::Object(map) = &mut value {
            map.insert("apiVersion".to_owned(), resource.api_version().into());
        }
        if let Some(schema) = resource.schema.as_ref().filter(|_| resource.is_custom()) {
            schema::prune(&mut value, schema, "", true, &mut Vec::new());
            schema::drop_nulls(&mut value, schema);
            schema::apply_defaults(&mut value, schema);
        }
    }
    value
}

fn order(resource: &Resource) -> TopOrder {
    if resource.is_custom() {
        TopOrder::Sorted
    } else {
        TopOrder::KindFirst
    }
}

/// A tree as bytes.
pub(crate) fn tree_bytes(value: &Value, resource: &Resource) -> Bytes {
    json::write_object(value, order(resource)).0.into()
}

/// What a client gets for a stored object.
pub(crate) fn render(object: &Object, resource: &Resource) -> Bytes {
    if is_current(object, resource) {
        return object.bytes.clone();
    }
    tree_bytes(&decode(object, resource), resource)
}

/// [`render`] of what was there when another revision replaced or deleted it.
pub(crate) fn render_at(object: &Object, revision: u64, resource: &Resource) -> Bytes {
    let bytes = object.bytes_at(revision);
    let current = is_current(object, resource);
    if current {
        bytes
    } else {
        tree_bytes(&decode_bytes(&bytes, current, resource), resource)
    }
}

/// A tree as the store takes it.
pub(crate) fn draft(value: &Value, resource: &Resource) -> Draft {
    let mut value = std::borrow::Cow::Borrowed(value);
    if !value.meta_str("resourceVersion").is_empty()
        || !value
            .meta()
            .is_some_and(|meta| meta.contains_key("resourceVersion"))
    {
        value.to_mut().set_meta("resourceVersion", "");
    }
    if resource.version != resource.storage_version
        && let Value::Object(map) = value.to_mut()
    {
        map.insert("apiVersion".to_owned(), resource.storage_api_version().into());
    }
    let (bytes, version_at) = json::write_object(&value, order(resource));
    let labels = value
        .meta()
        .and_then(|meta| meta.get("labels"))
        .and_then(Value::as_object);
    let labels = labels.map(|map| {
        map.iter()
            .map(|(k, v)| (k.as_str().into(), v.as_str().unwrap_or("").into()))
            .collect()
    });
    Draft {
        bytes,
        version_at,
        encoding: resource.encoding,
        labels: labels.unwrap_or_default(),
        fields: selectable_values(&value, resource).into(),
    }
}

/// Values of the selectable fields, as selectors compare them.
pub(crate) fn selectable_values(value: &Value, resource: &Resource) -> Vec<Box<str>> {
    resource
        .selectable
        .iter()
        .map(|path| {
            let found = path.split('.').try_fold(value, |at, key| at.get(key));
            match found {
                None | Some(Value::Null) => "".into(),
                Some(Value::String(text)) => text.as_str().into(),
                Some(other) => json::to_string(other).into(),
            }
        })
        .collect()
}
