//! Removes what the schema does not name, and puts embedded resources' metadata into shape.

use serde_json::{Map, Value};

use super::{
    check::join,
    structural::{Additional, Schema},
};
use crate::{
    meta,
    names::label_1035,
    status::{FieldError, go_syntax, quote},
};

/// Removes unknown fields and names them. `root` is true for a whole resource: its type and metadata stay.
pub(crate) fn prune(value: &mut Value, schema: &Schema, path: &str, root: bool, unknown: &mut Vec<String>) {
    match value {
        Value::Object(map) => prune_object(map, schema, path, root || schema.embedded, unknown),
        Value::Array(items) => {
            if let Some(schema) = &schema.items {
                for (index, item) in items.iter_mut().enumerate() {
                    prune(item, schema, &format!("{path}[{index}]"), false, unknown);
                }
            }
        }
        _ => {}
    }
}

fn prune_object(
    map: &mut Map<String, Value>,
    schema: &Schema,
    path: &str,
    resource: bool,
    unknown: &mut Vec<String>,
) {
    let mut gone = Vec::new();
    for (key, value) in map.iter_mut() {
        if resource && matches!(key.as_str(), "apiVersion" | "kind" | "metadata") {
            continue;
        }
        match (schema.properties.get(key), &schema.additional) {
            (Some(child), _) | (None, Some(Additional::Schema(child))) => {
                prune(value, child, &join(path, key), false, unknown);
            }
            (None, Some(Additional::Any)) => {}
            (None, None) if schema.preserve_unknown => {}
            (None, None) => {
                unknown.push(join(path, key));
                gone.push(key.clone());
            }
        }
    }
    for key in gone {
        map.shift_remove(&key);
    }
}

/// Decodes the metadata of embedded resources, as upstream does when it reads a request. The error is upstream's text.
pub(crate) fn coerce_embedded(
    value: &mut Value,
    schema: &Schema,
    path: &str,
    root: bool,
    unknown: &mut Vec<String>,
) -> Result<(), String> {
    match value {
        Value::Object(map) => {
            if schema.embedded && !root {
                let before = map.get("metadata").cloned();
                let at = join(path, "metadata");
                if let Err(error) = meta::coerce(map, &at, unknown) {
                    let shown = before.as_ref().map(go_syntax).unwrap_or_default();
                    return Err(format!("{at}: Invalid value: {shown}: {error}"));
                }
            }
            for (key, value) in map.iter_mut() {
                if let Some(child) = schema.child(key) {
                    coerce_embedded(value, child, &join(path, key), false, unknown)?;
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = &schema.items {
                for (index, item) in items.iter_mut().enumerate() {
                    coerce_embedded(item, schema, &format!("{path}[{index}]"), false, unknown)?;
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// Faults of embedded resources' type and metadata.
pub(crate) fn embedded_resource_faults(
    value: &Value,
    schema: &Schema,
    path: &str,
    root: bool,
    out: &mut Vec<FieldError>,
) {
    match value {
        Value::Object(map) => {
            if schema.embedded && !root {
                let text = |key: &str| map.get(key).and_then(Value::as_str).unwrap_or("");
                let (version, kind) = (text("apiVersion"), text("kind"));
                if version.is_empty() {
                    out.push(FieldError::required(
                        join(path, "apiVersion"),
                        "must not be empty",
                    ));
                } else if version.matches('/').count() > 1 {
                    let detail = format!("unexpected GroupVersion string: {version}");
                    out.push(FieldError::invalid(
                        join(path, "apiVersion"),
                        quote(version),
                        detail,
                    ));
                }
                if kind.is_empty() {
                    out.push(FieldError::required(join(path, "kind"), "must not be empty"));
                } else if let Some(fault) = label_1035(&kind.to_lowercase()).into_iter().next() {
                    let detail = format!("may have mixed case, but should otherwise match: {fault}");
                    out.push(FieldError::invalid(join(path, "kind"), quote(kind), detail));
                }
                out.extend(meta::embedded_faults(value, &join(path, "metadata")));
            }
            for (key, value) in map {
                if let Some(child) = schema.child(key) {
                    embedded_resource_faults(value, child, &join(path, key), false, out);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = &schema.items {
                for (index, item) in items.iter().enumerate() {
                    embedded_resource_faults(item, schema, &format!("{path}[{index}]"), false, out);
                }
            }
        }
        _ => {}
    }
}
