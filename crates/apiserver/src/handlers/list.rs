//! `list`: which revision, which part of the collection, in which shape.

use std::{collections::VecDeque, ops::Bound, sync::Arc};

use base64::Engine as _;
use bytes::Bytes;
use serde_json::{Value, json};

use super::call::{Call, parse_revision};
use crate::{
    api, json,
    media::{Accepted, Encoding, Shape},
    registry::{Origin, Resource},
    reply::{self, Body, Reply},
    selector::{FieldSelector, LabelSelector},
    status::{FieldError, Status, quote},
    store::{Object, Objects},
    table,
};

/// Pieces of a list's body are about this long: long enough for few frames, short enough to begin early.
const CHUNK_BYTES: usize = 256 << 10;

/// Both selectors of a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    labels: LabelSelector,
    fields: FieldSelector,
    /// For each term of `fields`, what it reads.
    sources: Vec<Source>,
}

#[derive(Debug, Clone, Copy)]
enum Source {
    Name,
    Namespace,
    Selectable(usize),
}

impl Selection {
    pub(crate) fn parse(call: &Call) -> Result<Self, Status> {
        let fields = FieldSelector::parse(call.query.get("fieldSelector").unwrap_or(""))
            .map_err(Status::bad_request)?;
        let resource = &call.resource;
        let sources = fields
            .terms
            .iter()
            .map(|(field, ..)| match field.as_str() {
                "metadata.name" => Ok(Source::Name),
                "metadata.namespace" => Ok(Source::Namespace),
                other => match resource.selectable.iter().position(|path| path == other) {
                    Some(index) => Ok(Source::Selectable(index)),
                    None if resource.is_custom() => Err(Status::bad_request(format!("field label not supported: {other}"))),
                    None if resource.origin == Origin::Definition || resource.selectable.is_empty() => Err(Status::bad_request(format!(
                        "{} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
                        quote(other)
                    ))),
                    None => Err(Status::bad_request(format!("field label not supported: {other}"))),
                },
            })
            .collect::<Result<_, _>>()?;
        let labels = LabelSelector::parse(call.query.get("labelSelector").unwrap_or(""))
            .map_err(Status::bad_request)?;
        Ok(Self {
            labels,
            fields,
            sources,
        })
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(crate) fn matches(&self, key: &str, object: &Object, resource: &Resource) -> bool {
        if self.is_everything() {
            return true;
        }
        if !self.labels.matches(&object.labels) {
            return false;
        }
        let (namespace, name) = if resource.namespaced {
            key.split_once('/').unwrap_or(("", key))
        } else {
            ("", key)
        };
        let stale = (object.encoding != resource.encoding
            && !resource.selectable.is_empty()
            && !self.fields.is_empty())
        .then(|| api::selectable_values(&api::decode(object, resource), resource));
        let values: &[Box<str>] = stale.as_deref().unwrap_or(&object.fields);
        self.fields
            .terms
            .iter()
            .zip(&self.sources)
            .all(|((_, equal, wanted), source)| {
                let value = match source {
                    Source::Name => name,
                    Source::Namespace => namespace,
                    Source::Selectable(index) => values.get(*index).map_or("", |value| value),
                };
                (value == wanted) == *equal
            })
    }
}

/// A continue token: which revision, and the key after which to go on.
fn token(revision: u64, after: &str) -> String {
    let text = json!({"v": "meta.k8s.io/v1", "rv": revision, "start": format!("{after}\u{0}")});
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json::to_vec(&text))
}

fn read_token(text: &str) -> Result<(i64, String), Status> {
    let bad = |why: &str| {
        Status::bad_request(format!(
            "invalid continue token: continue key is not valid: {why}"
        ))
    };
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(text.trim_end_matches('='))
        .map_err(|error| {
            let at = match error {
                base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => at,
                _ => text.len() - text.len() % 4,
            };
            bad(&format!("illegal base64 data at input byte {at}"))
        })?;
    let value = json::parse(&bytes).map_err(|error| bad(&error))?.value;
    let version = value.get("v").and_then(Value::as_str).unwrap_or("");
    if version != "meta.k8s.io/v1" {
        return Err(bad(&format!(
            "server does not recognize this encoded version {}",
            quote(version)
        )));
    }
    let revision = value.get("rv").and_then(Value::as_i64).unwrap_or(0);
    if revision == 0 {
        return Err(bad(
            "incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
        ));
    }
    let start = value.get("start").and_then(Value::as_str).unwrap_or("");
    if start.is_empty() {
        return Err(bad("encoded start key empty (version meta.k8s.io/v1)"));
    }
    Ok((revision, start.to_owned()))
}

/// Refuses combinations that upstream refuses. `watching` is upstream's second set of rules.
pub(crate) fn check_options(call: &Call, watching: bool) -> Result<(), Status> {
    let mut faults = Vec::new();
    let query = &call.query;
    let matching = query.get("resourceVersionMatch").unwrap_or("");
    let version = query.get("resourceVersion").unwrap_or("");
    let forbidden = |detail: &str| FieldError::forbidden("resourceVersionMatch", detail);
    if watching && query.has("sendInitialEvents") {
        if matching != "NotOlderThan" {
            faults.push(forbidden(
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ));
        }
        if query.get("continue").is_some() {
            faults.push(forbidden(
                "resourceVersionMatch is forbidden when continue is provided",
            ));
        }
    } else if watching {
        if !matching.is_empty() {
            faults.push(forbidden(
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ));
        }
    } else {
        if !matching.is_empty() {
            if version.is_empty() {
                faults.push(forbidden(
                    "resourceVersionMatch is forbidden unless resourceVersion is provided",
                ));
            }
            if query.get("continue").is_some() {
                faults.push(forbidden(
                    "resourceVersionMatch is forbidden when continue is provided",
                ));
            }
            if !matches!(matching, "Exact" | "NotOlderThan") {
                faults.push(FieldError::not_supported(
                    "resourceVersionMatch",
                    quote(matching),
                    &["Exact", "NotOlderThan", ""],
                ));
            }
            if matching == "Exact" && version == "0" {
                faults.push(forbidden(
                    "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
                ));
            }
        }
        if query.has("sendInitialEvents") {
            faults.push(FieldError::forbidden(
                "sendInitialEvents",
                "sendInitialEvents is forbidden for list",
            ));
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Status::invalid("meta.k8s.io", "ListOptions", "", &faults))
    }
}

/// The keys of one namespace, or all.
pub(crate) fn range(namespace: Option<&str>, after: Option<&str>) -> (Bound<Arc<str>>, Bound<Arc<str>>) {
    let end = match namespace {
        // '0' is the character after '/'.
        Some(namespace) => Bound::Excluded(Arc::from(format!("{namespace}0"))),
        None => Bound::Unbounded,
    };
    let start = match (after, namespace) {
        (Some(after), _) => Bound::Included(Arc::from(after)),
        (None, Some(namespace)) => Bound::Included(Arc::from(format!("{namespace}/"))),
        (None, None) => Bound::Unbounded,
    };
    (start, end)
}

/// One page.
struct Page {
    objects: Vec<Arc<Object>>,
    revision: u64,
    next: Option<String>,
    remaining: Option<u64>,
}

fn expired() -> Status {
    Status::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    )
}

async fn page(call: &Call, selection: &Selection) -> Result<Page, Status> {
    let store = &call.api.store;
    let collection = &call.resource.collection;
    let limit = call
        .query
        .integer("limit")?
        .filter(|limit| *limit > 0)
        .and_then(|limit| usize::try_from(limit).ok());
    let version = call.query.get("resourceVersion");
    let mut after = None;
    let (objects, revision): (Objects, u64) = if let Some(text) = call.query.get("continue") {
        let (revision, start) = read_token(text)?;
        if version.is_some_and(|version| version != "0") {
            return Err(Status::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        after = Some(start);
        match u64::try_from(revision) {
            Ok(revision) => {
                let found = store.objects_at(collection, revision);
                (found.map_err(|_| expired())?, revision)
            }
            // A negative revision is the inconsistent continuation: whatever is there now.
            Err(_) => store.objects(collection),
        }
    } else {
        let wanted = match version {
            None => 0,
            Some(text) => parse_revision(text)
                .map_err(|why| Status::bad_request(format!("invalid resource version: {why}")))?,
        };
        call.wait_for(wanted).await?;
        let matching = call.query.get("resourceVersionMatch");
        let exact = wanted > 0 && (matching == Some("Exact") || matching.is_none() && limit.is_some());
        if exact {
            let found = store.objects_at(collection, wanted);
            let compacted = |_| Status::expired("The resourceVersion for the provided list is too old.");
            (found.map_err(compacted)?, wanted)
        } else {
            store.objects(collection)
        }
    };
    // A list of "any" version comes whole, as from upstream's cache.
    let limit = if version == Some("0") && after.is_none() {
        None
    } else {
        limit
    };
    let mut found = Vec::new();
    let mut next = None;
    let mut remaining = 0;
    let namespace = call.namespace.as_deref();
    for (key, object) in objects.range::<Arc<str>, _>(range(namespace, after.as_deref())) {
        if limit.is_some_and(|limit| found.len() >= limit) {
            if !selection.is_everything() {
                if selection.matches(key, object, &call.resource) {
                    remaining = 1;
                    break;
                }
                continue;
            }
            remaining += 1;
            continue;
        }
        if selection.matches(key, object, &call.resource) {
            found.push(object.clone());
            if limit.is_some_and(|limit| found.len() == limit) {
                next = Some(token(revision, key));
            }
        }
    }
    if remaining == 0 {
        next = None;
    }
    let remaining = (next.is_some() && selection.is_everything()).then_some(remaining);
    Ok(Page {
        objects: found,
        revision,
        next,
        remaining,
    })
}

/// A page of the collection.
pub(crate) async fn list(call: &Call) -> Result<Reply, Status> {
    let accepted = call.negotiate()?;
    check_options(call, false)?;
    let selection = Selection::parse(call)?;
    let page = page(call, &selection).await?;
    match accepted.shape {
        Shape::Object => Ok(objects_reply(call, &accepted, &page)),
        shape => shaped_reply(call, &accepted, shape, &page),
    }
}

/// An object and its key.
type Keyed = (Arc<str>, Arc<Object>);

/// Objects to be deleted together, and the revision at which they were found.
pub(crate) fn selected(call: &Call) -> Result<(Vec<Keyed>, u64), Status> {
    let selection = Selection::parse(call)?;
    let (objects, revision) = call.api.store.objects(&call.resource.collection);
    let all = objects.range::<Arc<str>, _>(range(call.namespace.as_deref(), None));
    let found = all
        .filter(|(key, object)| selection.matches(key, object, &call.resource))
        .map(|(key, object)| (key.clone(), object.clone()))
        .collect();
    Ok((found, revision))
}

fn list_meta(page: &Page, always_continue: bool) -> Value {
    let mut meta = serde_json::Map::new();
    meta.insert("resourceVersion".into(), page.revision.to_string().into());
    match &page.next {
        Some(next) => {
            meta.insert("continue".into(), next.clone().into());
        }
        None if always_continue => {
            meta.insert("continue".into(), "".into());
        }
        None => {}
    }
    if let Some(remaining) = page.remaining {
        meta.insert("remainingItemCount".into(), remaining.into());
    }
    Value::Object(meta)
}

fn objects_reply(call: &Call, accepted: &Accepted, page: &Page) -> Reply {
    let resource = &call.resource;
    let rendered = page.objects.iter().map(|object| api::render(object, resource));
    list_reply(
        accepted,
        resource,
        list_meta(page, resource.is_custom()),
        rendered,
    )
}

/// A list of objects that are bytes already.
pub(crate) fn list_reply(
    accepted: &Accepted,
    resource: &Resource,
    meta: Value,
    rendered: impl Iterator<Item = Bytes>,
) -> Reply {
    let meta = json::to_string(&meta);
    let (head, tail) = if resource.is_custom() {
        (
            format!("{{\"apiVersion\":{},\"items\":[", quote(&resource.api_version())),
            format!(
                "],\"kind\":{},\"metadata\":{meta}}}\n",
                quote(&resource.list_kind)
            ),
        )
    } else {
        (
            format!(
                "{{\"kind\":{},\"apiVersion\":{},\"metadata\":{meta},\"items\":[",
                quote(&resource.list_kind),
                quote(&resource.api_version())
            ),
            "]}\n".to_owned(),
        )
    };
    let mut chunks = VecDeque::new();
    let mut chunk = Vec::with_capacity(CHUNK_BYTES / 8);
    chunk.extend_from_slice(head.as_bytes());
    // Items of Go structs do not say their type; ours begin with it.
    let own_type = format!(
        "{{\"kind\":{},\"apiVersion\":{},",
        quote(&resource.kind),
        quote(&resource.api_version())
    );
    for (index, bytes) in rendered.enumerate() {
        if index > 0 {
            chunk.push(b',');
        }
        let bytes = match bytes
            .strip_prefix(own_type.as_bytes())
            .filter(|_| !resource.is_custom())
        {
            Some(rest) => {
                chunk.push(b'{');
                rest
            }
            None => &bytes[..],
        };
        if chunk.len() + bytes.len() > CHUNK_BYTES {
            chunks.push_back(Bytes::from(std::mem::replace(
                &mut chunk,
                Vec::with_capacity(CHUNK_BYTES),
            )));
        }
        chunk.extend_from_slice(bytes);
    }
    chunk.extend_from_slice(tail.as_bytes());
    chunks.push_back(chunk.into());
    match accepted.encoding {
        Encoding::Json => reply::bytes(200, &accepted.content_type, Body::chunks(chunks)),
        Encoding::Yaml => {
            let all: Vec<u8> = chunks.into_iter().flatten().collect();
            let value = json::parse(&all).map(|parsed| parsed.value).unwrap_or_default();
            reply::tree(200, accepted, &value)
        }
    }
}

fn shaped_reply(call: &Call, accepted: &Accepted, shape: Shape, page: &Page) -> Result<Reply, Status> {
    let trees = page
        .objects
        .iter()
        .map(|object| api::decode(object, &call.resource));
    let meta = list_meta(page, false);
    let out = if shape == Shape::Partial {
        let partial = |tree: Value| {
            let mut item = table::partial(&tree);
            if let Value::Object(map) = &mut item
                && !call.resource.is_custom()
            {
                map.retain(|key, _| key == "metadata");
            }
            item
        };
        let items: Vec<Value> = trees.map(partial).collect();
        let items = if items.is_empty() {
            Value::Null
        } else {
            Value::Array(items)
        };
        json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": meta, "items": items})
    } else {
        let include = call.include_object()?;
        let now = call.now();
        let columns = &call.resource.columns;
        let rows: Vec<Value> = trees
            .map(|tree| table::row(&tree, columns, now, include))
            .collect();
        json!({
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": meta,
            "columnDefinitions": table::definitions(columns),
            "rows": rows,
        })
    };
    Ok(reply::tree(200, accepted, &out))
}
