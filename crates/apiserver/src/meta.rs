//! `ObjectMeta`: how it is decoded, what it may hold, and what of it may change.
//!
//! Upstream decodes the metadata of every kind into one Go struct. That drops unknown fields, empty texts and
//! nulls, and refuses wrong types with the decoder's message, so the tree is put through the same here.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{
    names::{NameRule, label_value, qualified_name},
    status::{FieldError, quote},
};

const ANNOTATIONS_BYTES_MAX: usize = 256 << 10;

/// A time as upstream writes it.
pub(crate) fn time_text(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The name of a JSON value's type in the messages of Go's decoder.
pub(crate) fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

enum Shape {
    Text,
    Integer,
    Time,
    Texts,
    TextMap,
    Owners,
    Managers,
}

const FIELDS: [(&str, Shape); 15] = [
    ("name", Shape::Text),
    ("generateName", Shape::Text),
    ("namespace", Shape::Text),
    ("selfLink", Shape::Text),
    ("uid", Shape::Text),
    ("resourceVersion", Shape::Text),
    ("generation", Shape::Integer),
    ("creationTimestamp", Shape::Time),
    ("deletionTimestamp", Shape::Time),
    ("deletionGracePeriodSeconds", Shape::Integer),
    ("labels", Shape::TextMap),
    ("annotations", Shape::TextMap),
    ("ownerReferences", Shape::Owners),
    ("finalizers", Shape::Texts),
    ("managedFields", Shape::Managers),
];

fn mismatch(value: &Value, field: &str, wanted: &str) -> String {
    format!(
        "json: cannot unmarshal {} into Go struct field {field} of type {wanted}",
        go_kind(value)
    )
}

/// Puts the `metadata` of `object` into the form that a decode into `ObjectMeta` gives. Unknown fields are dropped
/// and named, with `path` before them. The error is the decoder's text.
pub(crate) fn coerce(
    object: &mut Map<String, Value>,
    path: &str,
    unknown: &mut Vec<String>,
) -> Result<(), String> {
    let metadata = match object.get_mut("metadata") {
        None => return Ok(()),
        Some(Value::Null) => {
            object.shift_remove("metadata");
            return Ok(());
        }
        Some(Value::Object(metadata)) => metadata,
        Some(other) => {
            return Err(format!(
                "json: cannot unmarshal {} into Go value of type v1.ObjectMeta",
                go_kind(other)
            ));
        }
    };
    let taken = std::mem::take(metadata);
    for (key, value) in taken {
        let Some((_, shape)) = FIELDS.iter().find(|(name, _)| *name == key) else {
            unknown.push(format!("{path}.{key}"));
            continue;
        };
        if let Some(value) = decode(&key, value, shape)? {
            metadata.insert(key, value);
        }
    }
    Ok(())
}

/// One field; `None` is Go's zero value, which is not written.
fn decode(key: &str, value: Value, shape: &Shape) -> Result<Option<Value>, String> {
    let field = || format!("ObjectMeta.{key}");
    Ok(match (shape, value) {
        (_, Value::Null) => None,
        (Shape::Text, Value::String(text)) => (!text.is_empty()).then_some(Value::String(text)),
        (Shape::Text, other) => return Err(mismatch(&other, &field(), "string")),
        (Shape::Integer, value @ Value::Number(_)) => match value.as_i64() {
            Some(0) if key == "generation" => None,
            Some(_) => Some(value),
            None => {
                return Err(format!(
                    "json: cannot unmarshal number {value} into Go struct field {} of type int64",
                    field()
                ));
            }
        },
        (Shape::Integer, other) => return Err(mismatch(&other, &field(), "int64")),
        (Shape::Time, Value::String(text)) => Some(match text.parse::<Timestamp>() {
            Ok(time) if text.len() > 10 => time_text(time).into(),
            _ => {
                let layout = "2006-01-02T15:04:05Z07:00";
                return Err(format!(
                    "parsing time {} as {}: cannot parse {} as \"2006\"",
                    quote(&text),
                    quote(layout),
                    quote(&text)
                ));
            }
        }),
        (Shape::Time, other) => return Err(mismatch(&other, &field(), "string")),
        (Shape::Texts, Value::Array(items)) => {
            let texts = items
                .into_iter()
                .map(|item| match item {
                    Value::String(_) => Ok(item),
                    Value::Null => Ok("".into()),
                    other => Err(mismatch(&other, &field(), "string")),
                })
                .collect::<Result<Vec<_>, _>>()?;
            (!texts.is_empty()).then_some(Value::Array(texts))
        }
        (Shape::Texts, other) => return Err(mismatch(&other, &field(), "[]string")),
        (Shape::TextMap, Value::Object(map)) => {
            let mut out = Map::new();
            for (name, value) in map {
                match value {
                    Value::String(_) => out.insert(name, value),
                    Value::Null => out.insert(name, "".into()),
                    other => return Err(mismatch(&other, &field(), "string")),
                };
            }
            (!out.is_empty()).then_some(Value::Object(out))
        }
        (Shape::TextMap, other) => return Err(mismatch(&other, &field(), "map[string]string")),
        (Shape::Owners, Value::Array(items)) => {
            let owners = items.into_iter().map(owner).collect::<Result<Vec<_>, _>>()?;
            (!owners.is_empty()).then_some(Value::Array(owners))
        }
        (Shape::Owners, other) => return Err(mismatch(&other, &field(), "[]v1.OwnerReference")),
        (Shape::Managers, Value::Array(items)) => {
            let entries = items.into_iter().map(manager).collect::<Result<Vec<_>, _>>()?;
            Some(Value::Array(entries))
        }
        (Shape::Managers, other) => return Err(mismatch(&other, &field(), "[]v1.ManagedFieldsEntry")),
    })
}

fn owner(value: Value) -> Result<Value, String> {
    let map = match value {
        Value::Object(map) => map,
        Value::Null => Map::new(),
        other => {
            return Err(mismatch(
                &other,
                "ObjectMeta.ownerReferences",
                "v1.OwnerReference",
            ));
        }
    };
    let mut out = Map::new();
    for key in ["apiVersion", "kind", "name", "uid"] {
        match map.get(key) {
            Some(Value::String(text)) => out.insert(key.to_owned(), text.clone().into()),
            None | Some(Value::Null) => out.insert(key.to_owned(), "".into()),
            Some(other) => {
                return Err(mismatch(
                    other,
                    &format!("OwnerReference.ownerReferences.{key}"),
                    "string",
                ));
            }
        };
    }
    for key in ["controller", "blockOwnerDeletion"] {
        match map.get(key) {
            Some(Value::Bool(flag)) => {
                out.insert(key.to_owned(), (*flag).into());
            }
            None | Some(Value::Null) => {}
            Some(other) => {
                return Err(mismatch(
                    other,
                    &format!("OwnerReference.ownerReferences.{key}"),
                    "bool",
                ));
            }
        }
    }
    Ok(Value::Object(out))
}

fn manager(value: Value) -> Result<Value, String> {
    let map = match value {
        Value::Object(map) => map,
        Value::Null => Map::new(),
        other => {
            return Err(mismatch(
                &other,
                "ObjectMeta.managedFields",
                "v1.ManagedFieldsEntry",
            ));
        }
    };
    let mut out = Map::new();
    for (key, value) in map {
        match key.as_str() {
            "manager" | "operation" | "apiVersion" | "time" | "fieldsType" | "subresource" => match value {
                Value::String(text) if text.is_empty() => {}
                Value::String(_) => {
                    out.insert(key, value);
                }
                Value::Null => {}
                other => {
                    return Err(mismatch(
                        &other,
                        &format!("ManagedFieldsEntry.managedFields.{key}"),
                        "string",
                    ));
                }
            },
            "fieldsV1" if !value.is_null() => {
                out.insert(key, value);
            }
            _ => {}
        }
    }
    Ok(Value::Object(out))
}

/// Shorthand reads of an object's metadata. Absent and wrong are both empty.
pub(crate) trait Meta {
    fn meta(&self) -> Option<&Map<String, Value>>;
    fn meta_mut(&mut self) -> &mut Map<String, Value>;

    fn meta_str(&self, key: &str) -> &str {
        self.meta()
            .and_then(|m| m.get(key))
            .and_then(Value::as_str)
            .unwrap_or("")
    }

    fn name(&self) -> &str {
        self.meta_str("name")
    }

    fn finalizers(&self) -> Vec<&str> {
        let list = self
            .meta()
            .and_then(|m| m.get("finalizers"))
            .and_then(Value::as_array);
        list.map(|items| items.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default()
    }

    fn set_meta(&mut self, key: &str, value: impl Into<Value>) {
        self.meta_mut().insert(key.to_owned(), value.into());
    }

    fn drop_meta(&mut self, key: &str) {
        self.meta_mut().shift_remove(key);
    }

    fn copy_meta(&mut self, from: &Value, key: &str) {
        match from.meta().and_then(|m| m.get(key)) {
            Some(value) => self.set_meta(key, value.clone()),
            None => self.drop_meta(key),
        }
    }

    fn generation(&self) -> i64 {
        self.meta()
            .and_then(|m| m.get("generation"))
            .and_then(Value::as_i64)
            .unwrap_or(0)
    }
}

impl Meta for Value {
    fn meta(&self) -> Option<&Map<String, Value>> {
        self.get("metadata").and_then(Value::as_object)
    }

    fn meta_mut(&mut self) -> &mut Map<String, Value> {
        if !self.is_object() {
            *self = json!({});
        }
        let Value::Object(map) = self else {
            unreachable!("made an object above")
        };
        let metadata = map.entry("metadata").or_insert_with(|| json!({}));
        if !metadata.is_object() {
            *metadata = json!({});
        }
        let Value::Object(metadata) = metadata else {
            unreachable!("made an object above")
        };
        metadata
    }
}

/// Faults of labels, annotations, owners and finalizers: the part that creates and updates share.
fn common_faults(object: &Value, path: &str, out: &mut Vec<FieldError>) {
    let Some(meta) = object.meta() else { return };
    if let Some(Value::Object(labels)) = meta.get("labels") {
        let field = format!("{path}.labels");
        for (key, value) in labels {
            let value = value.as_str().unwrap_or("");
            out.extend(
                qualified_name(key)
                    .into_iter()
                    .map(|fault| FieldError::invalid(&field, quote(key), fault)),
            );
            out.extend(
                label_value(value)
                    .into_iter()
                    .map(|fault| FieldError::invalid(&field, quote(value), fault)),
            );
        }
    }
    if let Some(Value::Object(annotations)) = meta.get("annotations") {
        let field = format!("{path}.annotations");
        let mut bytes = 0;
        for (key, value) in annotations {
            let faults = qualified_name(&key.to_lowercase());
            out.extend(
                faults
                    .into_iter()
                    .map(|fault| FieldError::invalid(&field, quote(key), fault)),
            );
            bytes += key.len() + value.as_str().map_or(0, str::len);
        }
        if bytes > ANNOTATIONS_BYTES_MAX {
            out.push(FieldError::too_long(&field, ANNOTATIONS_BYTES_MAX));
        }
    }
    if let Some(Value::Array(owners)) = meta.get("ownerReferences") {
        owner_faults(owners, &format!("{path}.ownerReferences"), out);
    }
    let finalizers = object.finalizers();
    let field = format!("{path}.finalizers");
    for finalizer in &finalizers {
        let faults = qualified_name(finalizer);
        out.extend(
            faults
                .into_iter()
                .map(|fault| FieldError::invalid(&field, quote(finalizer), fault)),
        );
    }
    if finalizers.contains(&"orphan") && finalizers.contains(&"foregroundDeletion") {
        let all: Vec<String> = finalizers.iter().map(|one| quote(one)).collect();
        let shown = format!("[]string{{{}}}", all.join(", "));
        out.push(FieldError::invalid(
            &field,
            shown,
            "finalizer orphan and foregroundDeletion cannot be both set",
        ));
    }
}

fn owner_text(owner: &Value) -> String {
    let text = |key: &str| quote(owner[key].as_str().unwrap_or(""));
    let flag = |key: &str| {
        if owner.get(key).is_some() {
            "0xc000a1b2c3"
        } else {
            "nil"
        }
    };
    format!(
        "v1.OwnerReference{{APIVersion:{}, Kind:{}, Name:{}, UID:{}, Controller:(*bool)({}), BlockOwnerDeletion:(*bool)({})}}",
        text("apiVersion"),
        text("kind"),
        text("name"),
        text("uid"),
        flag("controller"),
        flag("blockOwnerDeletion"),
    )
}

fn owner_faults(owners: &[Value], field: &str, out: &mut Vec<FieldError>) {
    let mut controllers: Vec<String> = Vec::new();
    for owner in owners {
        let text = |key: &str| owner[key].as_str().unwrap_or("");
        let api_version = text("apiVersion");
        if api_version.is_empty() || api_version.matches('/').count() > 1 || api_version.ends_with('/') {
            out.push(FieldError::invalid(
                format!("{field}.apiVersion"),
                quote(api_version),
                "version must not be empty",
            ));
        }
        for key in ["kind", "name", "uid"] {
            if text(key).is_empty() {
                out.push(FieldError::invalid(
                    format!("{field}.{key}"),
                    "\"\"",
                    format!("{key} must not be empty"),
                ));
            }
        }
        if api_version == "v1" && text("kind") == "Event" {
            out.push(FieldError::invalid(
                field,
                owner_text(owner),
                "/v1, Kind=Event is disallowed from being an owner",
            ));
        }
        if owner.get("controller") == Some(&Value::Bool(true)) {
            controllers.push(format!("{}/{}", text("kind"), text("name")));
        }
    }
    if let [first, others @ ..] = controllers.as_slice()
        && let Some(second) = others.last()
    {
        let all: Vec<String> = owners.iter().map(owner_text).collect();
        let shown = format!("[]v1.OwnerReference{{{}}}", all.join(", "));
        out.push(FieldError::invalid(
            field,
            shown,
            format!(
                "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {second}"
            ),
        ));
    }
}

/// Faults of a new object's metadata at `path`.
pub(crate) fn create_faults(object: &Value, path: &str, rule: NameRule, namespaced: bool) -> Vec<FieldError> {
    let mut out = Vec::new();
    let prefix = object.meta_str("generateName");
    if !prefix.is_empty() {
        let field = format!("{path}.generateName");
        out.extend(
            rule.faults(prefix, true)
                .into_iter()
                .map(|fault| FieldError::invalid(&field, quote(prefix), fault)),
        );
    }
    let name = object.name();
    let field = format!("{path}.name");
    if name.is_empty() {
        out.push(FieldError::required(&field, "name or generateName is required"));
    } else {
        out.extend(
            rule.faults(name, false)
                .into_iter()
                .map(|fault| FieldError::invalid(&field, quote(name), fault)),
        );
    }
    let namespace = object.meta_str("namespace");
    let field = format!("{path}.namespace");
    if namespaced {
        if namespace.is_empty() {
            out.push(FieldError::required(&field, ""));
        } else {
            let faults = NameRule::Label.faults(namespace, false);
            out.extend(
                faults
                    .into_iter()
                    .map(|fault| FieldError::invalid(&field, quote(namespace), fault)),
            );
        }
    } else if !namespace.is_empty() {
        out.push(FieldError::forbidden(&field, "not allowed on this type"));
    }
    if object.generation() < 0 {
        out.push(FieldError::invalid(
            format!("{path}.generation"),
            object.generation().to_string(),
            "must be greater than or equal to 0",
        ));
    }
    common_faults(object, path, &mut out);
    out
}

/// Faults of the metadata of a resource that is embedded in another: only what is there is looked at.
pub(crate) fn embedded_faults(object: &Value, path: &str) -> Vec<FieldError> {
    let mut out = Vec::new();
    common_faults(object, path, &mut out);
    out
}

/// Faults of a change of metadata. Upstream runs this twice for custom resources, and says everything twice.
pub(crate) fn update_faults(new: &Value, old: &Value, path: &str) -> Vec<FieldError> {
    let mut out = Vec::new();
    let field = |key: &str| format!("{path}.{key}");
    if new.get("metadata").is_some()
        && old
            .meta()
            .is_some_and(|meta| meta.contains_key("deletionTimestamp"))
    {
        let had = old.finalizers();
        let added: Vec<String> = new
            .finalizers()
            .iter()
            .filter(|f| !had.contains(f))
            .map(|f| quote(f))
            .collect();
        if !added.is_empty() {
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.join(", ")
            );
            out.push(FieldError::forbidden(field("finalizers"), why));
        }
    }
    if new.meta_str("resourceVersion").is_empty() {
        out.push(FieldError::invalid(
            field("resourceVersion"),
            "\"\"",
            "must be specified for an update",
        ));
    }
    if new.generation() < old.generation() {
        out.push(FieldError::invalid(
            field("generation"),
            new.generation().to_string(),
            "must not be decremented",
        ));
    }
    for key in ["name", "namespace", "uid"] {
        let value = new.meta_str(key);
        if value != old.meta_str(key) {
            out.push(FieldError::invalid(
                field(key),
                quote(value),
                "field is immutable",
            ));
        }
    }
    for key in [
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        let get = |object: &Value| {
            object
                .meta()
                .and_then(|meta| meta.get(key))
                .cloned()
                .unwrap_or(Value::Null)
        };
        let value = get(new);
        if value != get(old) {
            let shown = match (&value, key) {
                (Value::Null, _) => "null".to_owned(),
                (Value::String(text), _) => text.clone(),
                (other, _) => other.to_string(),
            };
            out.push(FieldError::invalid(field(key), shown, "field is immutable"));
        }
    }
    common_faults(new, path, &mut out);
    out
}

/// Finalizers that upstream warns about.
pub(crate) fn finalizer_warnings(object: &Value) -> Vec<String> {
    let known = ["orphan", "foregroundDeletion", "kubernetes"];
    let odd = object
        .finalizers()
        .into_iter()
        .filter(|f| !f.contains('/') && !known.contains(f));
    odd.map(|f| {
        format!(
            "metadata.finalizers: {}: prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers",
            quote(f)
        )
    })
    .collect()
}

/// Removes equal owners and says which.
pub(crate) fn dedup_owners(object: &mut Value) -> Option<String> {
    let Some(Value::Array(owners)) = object.meta().and_then(|meta| meta.get("ownerReferences")) else {
        return None;
    };
    let mut kept: Vec<Value> = Vec::new();
    let mut twice: Vec<String> = Vec::new();
    for owner in owners {
        if kept.contains(owner) {
            let uid = owner["uid"].as_str().unwrap_or("").to_owned();
            if !twice.contains(&uid) {
                twice.push(uid);
            }
        } else {
            kept.push(owner.clone());
        }
    }
    if twice.is_empty() {
        return None;
    }
    object.set_meta("ownerReferences", Value::Array(kept));
    Some(format!(
        ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
        twice.join(", ")
    ))
}
