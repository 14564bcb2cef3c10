//! The scale subresource: a view of three paths of the object.

use serde_json::{Map, Value, json};

use super::{
    call::Call,
    input,
    patch::Patch,
    update::{Wanted, write_existing},
};
use crate::{
    api,
    apply::Subresource,
    json,
    meta::Meta,
    query::WriteOptions,
    registry::{Resource, ScalePaths},
    reply::{self, Reply},
    status::{FieldError, Status},
};

fn find<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |at, key| at.get(key))
}

fn paths(resource: &Resource) -> Result<&ScalePaths, Status> {
    resource
        .scale
        .as_ref()
        .ok_or_else(|| Status::internal("the resource has no scale"))
}

/// The Scale of an object.
fn scale_of(object: &Value, resource: &Resource) -> Result<Value, Status> {
    let paths = paths(resource)?;
    let spec = find(object, &paths.spec).and_then(Value::as_i64);
    if spec.is_none() && resource.is_custom() {
        return Err(Status::internal(format!(
            "the spec replicas field \".{}\" does not exist",
            paths.spec.join(".")
        )));
    }
    Ok(view(object, paths, spec.unwrap_or(0)))
}

fn view(object: &Value, paths: &ScalePaths, replicas: i64) -> Value {
    let mut meta = Map::new();
    for key in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object.meta().and_then(|meta| meta.get(key)) {
            meta.insert(key.to_owned(), value.clone());
        }
    }
    let mut spec = Map::new();
    if replicas != 0 {
        spec.insert("replicas".into(), replicas.into());
    }
    let mut status = Map::new();
    status.insert(
        "replicas".into(),
        find(object, &paths.status)
            .and_then(Value::as_i64)
            .unwrap_or(0)
            .into(),
    );
    if let Some(path) = &paths.selector {
        let text = match find(object, path) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Object(labels)) => {
                let labels = labels
                    .get("matchLabels")
                    .and_then(Value::as_object)
                    .unwrap_or(labels);
                let all: Vec<String> = labels
                    .iter()
                    .filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)))
                    .collect();
                all.join(",")
            }
            _ => String::new(),
        };
        if !text.is_empty() {
            status.insert("selector".into(), text.into());
        }
    }
    json!({"kind": "Scale", "apiVersion": paths.api_version, "metadata": meta, "spec": spec, "status": status})
}

fn set(object: &mut Value, path: &[String], value: Option<Value>) {
    let [first, rest @ ..] = path else { return };
    let Value::Object(map) = object else { return };
    if rest.is_empty() {
        match value {
            Some(value) => {
                map.insert(first.clone(), value);
            }
            None => {
                map.shift_remove(first);
            }
        }
        return;
    }
    set(map.entry(first.clone()).or_insert_with(|| json!({})), rest, value);
}

/// Faults of the fields that scale reads.
pub(crate) fn scale_faults(object: &Value, paths: &ScalePaths, out: &mut Vec<FieldError>) {
    for path in [&paths.spec, &paths.status] {
        if let Some(number) = find(object, path)
            .and_then(Value::as_i64)
            .filter(|number| *number < 0)
        {
            let field = format!(".{}", path.join("."));
            out.push(FieldError::invalid(
                field,
                number.to_string(),
                "should be a non-negative integer",
            ));
        }
    }
}

pub(crate) fn get_scale(call: &Call) -> Result<Reply, Status> {
    let accepted = crate::media::negotiate(&call.accept, false)?;
    let object = api::decode(&*call.stored()?, &call.resource);
    Ok(reply::tree(200, &accepted, &scale_of(&object, &call.resource)?))
}

fn scaled(old: &Value, scale: &Value, resource: &Resource) -> Result<Value, Status> {
    let paths = paths(resource)?;
    let replicas = scale
        .get("spec")
        .and_then(|spec| spec.get("replicas"))
        .and_then(Value::as_i64);
    let mut new = old.clone();
    match replicas {
        Some(0) | None if resource.is_custom() => set(&mut new, &paths.spec, replicas.map(Value::from)),
        replicas => set(&mut new, &paths.spec, Some(replicas.unwrap_or(0).into())),
    }
    match scale.meta_str("resourceVersion") {
        "" => {}
        version => new.set_meta("resourceVersion", version),
    }
    Ok(new)
}

fn reply_of(call: &Call, object: &Value, accepted: &crate::media::Accepted) -> Result<Reply, Status> {
    let paths = paths(&call.resource)?;
    let replicas = find(object, &paths.spec).and_then(Value::as_i64).unwrap_or(0);
    Ok(reply::tree(200, accepted, &view(object, paths, replicas)))
}

pub(crate) fn put_scale(call: &Call) -> Result<Reply, Status> {
    let accepted = crate::media::negotiate(&call.accept, false)?;
    let options = WriteOptions::parse(&call.query, &call.user_agent, "UpdateOptions", false)?;
    let parsed = json::parse(&call.body).map_err(Status::bad_request)?;
    let mut scale = parsed.value;
    let kind = scale.get("kind").and_then(Value::as_str).unwrap_or("Scale");
    if kind != "Scale" {
        return Err(Status::bad_request(
            "no kind is registered for the type v1.Scale in scheme \"pkg/runtime/scheme.go:110\"",
        ));
    }
    input::check_namespace(call, &mut scale)?;
    input::check_name(call, &scale)?;
    let (object, _) = write_existing(call, Subresource::Other("scale"), &options, &mut |old| {
        let uid = Some(scale.meta_str("uid").to_owned()).filter(|uid| !uid.is_empty());
        Ok(Wanted {
            object: scaled(old, &scale, &call.resource)?,
            managed: false,
            uid,
            warnings: Vec::new(),
        })
    })?;
    reply_of(call, &object, &accepted)
}

pub(crate) fn patch_scale(call: &Call) -> Result<Reply, Status> {
    let accepted = crate::media::negotiate(&call.accept, false)?;
    let (patch, _) = Patch::parse(call)?;
    let options = WriteOptions::parse(&call.query, &call.user_agent, "PatchOptions", patch.is_apply())?;
    let (object, _) = write_existing(call, Subresource::Other("scale"), &options, &mut |old| {
        let before = scale_of(old, &call.resource)?;
        let after = match &patch {
            Patch::Apply(config) => {
                let mut merged = before.clone();
                crate::patching::apply_merge_patch(&mut merged, config);
                merged
            }
            other => other.applied(&before, &call.resource)?,
        };
        input::check_name(call, &after)?;
        Ok(Wanted {
            object: scaled(old, &after, &call.resource)?,
            managed: false,
            uid: None,
            warnings: Vec::new(),
        })
    })?;
    reply_of(call, &object, &accepted)
}
