//! `watch`: a stream that owns a cursor, not a queue.
//!
//! What a client has not read stays in the store's log, shared by all; a client that falls behind what the log
//! keeps is told that its version is too old, and cut off.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::Stream;
use serde_json::{Value, json};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    call::{Call, parse_revision},
    list::{Selection, check_options, range},
};
use crate::{
    api, json,
    media::{Encoding, Shape},
    registry::{Origin, Resource},
    reply::{self, Body, Reply},
    status::{Status, serde_json_ordered},
    store::{Change, Object, Objects, Watch},
    table::{self, Column, IncludeObject},
};

/// Objects of the initial state per step.
const INITIAL_BATCH: usize = 64;
/// Upstream sends a bookmark about once a minute.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);
/// Without a limit of the client, upstream ends a watch after 30 to 60 minutes.
const LIFETIME: Duration = Duration::from_secs(40 * 60);
const FAR_FUTURE: Duration = Duration::from_secs(30 * 86400);

/// Opens a watch.
pub(crate) fn watch(call: &Call) -> Result<Reply, Status> {
    let accepted = crate::media::negotiate(&call.accept, true)?;
    check_options(call, true)?;
    let selection = Selection::parse(call)?;
    let send_initial = call.query.flag("sendInitialEvents");
    if accepted.shape == Shape::Table && send_initial {
        return Err(Status::not_acceptable(
            "application/json, application/yaml, application/vnd.kubernetes.protobuf",
        ));
    }
    let version = match call.query.get("resourceVersion") {
        None => None,
        Some(text) => Some(parse_revision(text).map_err(Status::unclassified)?),
    };
    let timeout = call.query.integer("timeoutSeconds")?;
    let timeout = timeout
        .and_then(|seconds| u64::try_from(seconds).ok())
        .filter(|seconds| *seconds > 0);
    let resource = call.resource.clone();
    let store = call.api.store.clone();
    let from_now =
        send_initial || version.is_none_or(|version| version == 0) && !call.query.has("sendInitialEvents");
    let (initial, from) = if from_now {
        let (objects, revision) = store.objects(&resource.collection);
        (Some(objects), revision)
    } else {
        (
            None,
            version
                .filter(|version| *version > 0)
                .unwrap_or_else(|| store.revision()),
        )
    };
    let content_type = match accepted.encoding {
        Encoding::Json => "application/json",
        Encoding::Yaml => "application/yaml",
    };
    let now = Instant::now();
    let bookmarks = call.query.flag("allowWatchBookmarks");
    let watch = match Watch::after(store, resource.collection.clone(), from) {
        Ok(watch) => watch,
        Err(compacted) => {
            let status = Status::expired(format!("too old resource version: {from} ({})", compacted.oldest));
            let event = event_line("ERROR", &serde_json_ordered(&status.to_value()));
            return Ok(reply::bytes(200, content_type, Body::full(event)));
        }
    };
    let mut retired = resource.retired.subscribe();
    let retired = Box::pin(async move {
        // The sender lives as long as the resource, which the stream itself holds.
        let _ = retired.wait_for(|retired| *retired).await;
    });
    let stream = Events {
        retired,
        initial_bookmark: send_initial && bookmarks,
        initial: initial.map(|objects| Initial {
            objects,
            after: None,
            revision: from,
        }),
        namespace: call.namespace.clone(),
        selection,
        view: View {
            shape: accepted.shape,
            include: call.include_object()?,
            api: call.api.clone(),
            resource,
            headers_sent: false,
        },
        watch,
        end: Box::pin(sleep_until(now + timeout.map_or(LIFETIME, Duration::from_secs))),
        bookmark: Box::pin(sleep_until(
            now + if bookmarks { BOOKMARK_INTERVAL } else { FAR_FUTURE },
        )),
        over: false,
    };
    Ok(reply::bytes(200, content_type, Body::stream(stream)))
}

fn event_line(kind: &str, object: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(object.len() + 40);
    push_event(kind, object, &mut out);
    out
}

fn push_event(kind: &str, object: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"object\":");
    out.extend_from_slice(object);
    out.extend_from_slice(b"}\n");
}

struct Initial {
    objects: Objects,
    after: Option<Arc<str>>,
    revision: u64,
}

/// How objects look to this watcher.
struct View {
    shape: Shape,
    include: IncludeObject,
    api: Arc<api::Api>,
    resource: Arc<Resource>,
    headers_sent: bool,
}

impl View {
    fn shaped(&mut self, bytes: Bytes) -> Bytes {
        if self.shape == Shape::Object {
            return bytes;
        }
        let tree = json::parse(&bytes).map(|parsed| parsed.value).unwrap_or_default();
        let out = if self.shape == Shape::Partial {
            table::partial(&tree)
        } else {
            let columns: &[Column] = &self.resource.columns;
            let definitions = if self.headers_sent {
                Value::Null
            } else {
                table::definitions(columns)
            };
            self.headers_sent = true;
            json!({
                "kind": "Table",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": {"resourceVersion": tree["metadata"]["resourceVersion"]},
                "columnDefinitions": definitions,
                "rows": [table::row(&tree, columns, self.api.now(), self.include)],
            })
        };
        serde_json_ordered(&out).into()
    }

    fn bookmark(&mut self, revision: u64, end_of_initial: bool) -> Bytes {
        let mut meta = serde_json::Map::new();
        meta.insert("resourceVersion".into(), revision.to_string().into());
        if self.resource.origin != Origin::Custom {
            meta.insert("creationTimestamp".into(), Value::Null);
        }
        if end_of_initial {
            let mut annotations = json!({"k8s.io/initial-events-end": "true"});
            if self.shape == Shape::Object {
                annotations["kubernetes.io/initial-events-list-blueprint"] = self.blueprint().into();
            }
            meta.insert("annotations".into(), annotations);
        }
        if self.shape == Shape::Table {
            let object =
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": meta});
            let columns: &[Column] = &self.resource.columns;
            let out = json!({
                "kind": "Table",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": {"resourceVersion": revision.to_string()},
                "columnDefinitions": if self.headers_sent { Value::Null } else { table::definitions(columns) },
                "rows": [{"cells": columns.iter().map(|_| Value::Null).collect::<Vec<_>>(), "object": object}],
            });
            self.headers_sent = true;
            return serde_json_ordered(&out).into();
        }
        let (kind, version) = match self.shape {
            Shape::Partial => ("PartialObjectMetadata".to_owned(), "meta.k8s.io/v1".to_owned()),
            _ => (self.resource.kind.clone(), self.resource.api_version()),
        };
        serde_json_ordered(&json!({"kind": kind, "apiVersion": version, "metadata": meta})).into()
    }

    /// An empty list, as the closing bookmark carries it.
    fn blueprint(&self) -> String {
        use base64::Engine as _;
        let list = if self.resource.is_custom() {
            format!(
                "{{\"apiVersion\":\"{}\",\"items\":[],\"kind\":\"{}\",\"metadata\":{{\"continue\":\"\",\"resourceVersion\":\"\"}}}}\n",
                self.resource.api_version(),
                self.resource.list_kind
            )
        } else {
            format!(
                "{{\"kind\":\"{}\",\"apiVersion\":\"{}\",\"metadata\":{{}},\"items\":null}}\n",
                self.resource.list_kind,
                self.resource.api_version()
            )
        };
        base64::engine::general_purpose::STANDARD.encode(list)
    }
}

struct Events {
    initial: Option<Initial>,
    initial_bookmark: bool,
    namespace: Option<String>,
    selection: Selection,
    view: View,
    watch: Watch,
    /// Ready when the resource is no longer served.
    retired: Pin<Box<dyn Future<Output = ()> + Send>>,
    end: Pin<Box<Sleep>>,
    bookmark: Pin<Box<Sleep>>,
    over: bool,
}

impl Events {
    fn wants(&self, key: &str, object: &Object) -> bool {
        self.selection.matches(key, object, &self.view.resource)
    }

    fn initial_batch(&mut self) -> Option<Bytes> {
        let initial = self.initial.as_mut()?;
        let bounds = range(self.namespace.as_deref(), initial.after.as_deref());
        let mut out = Vec::new();
        let mut last = None;
        let mut count = 0;
        let objects = initial.objects.clone();
        let skip = initial.after.clone();
        let revision = initial.revision;
        for (key, object) in objects.range::<Arc<str>, _>(bounds) {
            if skip.as_ref() == Some(key) {
                continue;
            }
            if count == INITIAL_BATCH {
                break;
            }
            count += 1;
            last = Some(key.clone());
            if self.wants(key, object) {
                let bytes = api::render(object, &self.view.resource);
                push_event("ADDED", &self.view.shaped(bytes), &mut out);
            }
        }
        if count < INITIAL_BATCH {
            self.initial = None;
            if std::mem::take(&mut self.initial_bookmark) {
                push_event("BOOKMARK", &self.view.bookmark(revision, true), &mut out);
            }
        } else if let Some(initial) = self.initial.as_mut() {
            initial.after = last;
        }
        Some(out.into())
    }

    fn push_change(&mut self, change: &Change, out: &mut Vec<u8>) {
        if let Some(namespace) = &self.namespace
            && !change
                .key
                .strip_prefix(namespace.as_str())
                .is_some_and(|rest| rest.starts_with('/'))
        {
            return;
        }
        let was = change
            .old
            .as_ref()
            .is_some_and(|old| self.wants(&change.key, old));
        let is = change
            .new
            .as_ref()
            .is_some_and(|new| self.wants(&change.key, new));
        let (kind, bytes) = match (was, is, &change.old, &change.new) {
            (false, true, _, Some(new)) => ("ADDED", api::render(new, &self.view.resource)),
            (true, true, _, Some(new)) => ("MODIFIED", api::render(new, &self.view.resource)),
            (true, false, Some(old), _) => (
                "DELETED",
                api::render_at(old, change.revision, &self.view.resource),
            ),
            _ => return,
        };
        push_event(kind, &self.view.shaped(bytes), out);
    }
}

impl Stream for Events {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let this = &mut *self;
        loop {
            if this.over || this.end.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            if let Some(bytes) = this.initial_batch() {
                if bytes.is_empty() {
                    continue;
                }
                return Poll::Ready(Some(bytes));
            }
            match this.watch.poll_changes(cx) {
                Poll::Ready(Ok(changes)) => {
                    let mut out = Vec::new();
                    for change in &changes {
                        this.push_change(change, &mut out);
                    }
                    if !out.is_empty() {
                        return Poll::Ready(Some(out.into()));
                    }
                }
                Poll::Ready(Err(compacted)) => {
                    this.over = true;
                    let why = format!(
                        "too old resource version: {} ({})",
                        this.watch.seen(),
                        compacted.oldest
                    );
                    let status = Status::expired(why).to_value();
                    return Poll::Ready(Some(event_line("ERROR", &serde_json_ordered(&status)).into()));
                }
                Poll::Pending => {
                    // What happened before the end is told first.
                    if this.retired.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(None);
                    }
                    if this.bookmark.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    this.bookmark.as_mut().reset(Instant::now() + BOOKMARK_INTERVAL);
                    let bookmark = this.view.bookmark(this.watch.seen(), false);
                    return Poll::Ready(Some(event_line("BOOKMARK", &bookmark).into()));
                }
            }
        }
    }
}
