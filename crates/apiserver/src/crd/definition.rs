//! The kind CustomResourceDefinition itself: its facts, its defaults, what a write may set.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{
    meta::{Meta, time_text},
    names::NameRule,
    registry::{Origin, Resource},
    schema::Schema,
    table::Column,
};

pub(super) const GROUP: &str = "apiextensions.k8s.io";
pub(super) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// The collection that definitions are stored in.
pub(super) const COLLECTION: &str = "apiextensions.k8s.io/customresourcedefinitions";

fn schema_json() -> Value {
    let text = json!({"type": "string"});
    let texts = json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "atomic"});
    let names = json!({"type": "object", "properties": {
        "plural": text, "singular": text, "shortNames": texts, "kind": text, "listKind": text, "categories": texts}});
    let client_config = json!({"type": "object", "properties": {
        "url": text, "caBundle": text,
        "service": {"type": "object", "properties": {"namespace": text, "name": text, "path": text, "port": {"type": "integer"}}}}});
    let version = json!({"type": "object", "properties": {
        "name": text, "served": {"type": "boolean"}, "storage": {"type": "boolean"}, "deprecated": {"type": "boolean"},
        "deprecationWarning": {"type": "string"},
        "schema": {"type": "object", "properties": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}},
        "subresources": {"type": "object", "properties": {
            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "scale": {"type": "object", "properties": {
                "specReplicasPath": text, "statusReplicasPath": text, "labelSelectorPath": text}}}},
        "additionalPrinterColumns": {"type": "array", "x-kubernetes-list-type": "atomic", "items": {"type": "object", "properties": {
            "name": text, "type": text, "format": text, "description": text, "priority": {"type": "integer"}, "jsonPath": text}}},
        "selectableFields": {"type": "array", "x-kubernetes-list-type": "atomic", "items": {"type": "object", "properties": {"jsonPath": text}}}}});
    json!({"type": "object", "properties": {
        "apiVersion": text, "kind": text, "metadata": {"type": "object"},
        "spec": {"type": "object", "properties": {
            "group": text, "names": names, "scope": text, "preserveUnknownFields": {"type": "boolean"},
            "versions": {"type": "array", "items": version, "x-kubernetes-list-type": "atomic"},
            "conversion": {"type": "object", "properties": {
                "strategy": text,
                "webhook": {"type": "object", "properties": {"clientConfig": client_config, "conversionReviewVersions": texts}}}}}},
        "status": {"type": "object", "properties": {
            "conditions": {"type": "array", "nullable": true, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
                "items": {"type": "object", "properties": {
                    "type": text, "status": text, "lastTransitionTime": text, "reason": text, "message": text}}},
            "acceptedNames": names,
            "storedVersions": texts}}}})
}

/// The resource `customresourcedefinitions`.
pub(crate) fn definition_resource(encoding: u64) -> Resource {
    let schema = schema_json();
    let zero = json!({
        "spec": {"group": "", "names": {"plural": "", "kind": ""}, "scope": "", "versions": null},
        "status": {"conditions": null, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": null}});
    Resource {
        group: GROUP.into(),
        version: "v1".into(),
        kind: "CustomResourceDefinition".into(),
        list_kind: "CustomResourceDefinitionList".into(),
        plural: "customresourcedefinitions".into(),
        singular: "customresourcedefinition".into(),
        short_names: vec!["crd".into(), "crds".into()],
        categories: vec!["api-extensions".into()],
        namespaced: false,
        verbs: vec![
            "create",
            "delete",
            "deletecollection",
            "get",
            "list",
            "patch",
            "update",
            "watch",
        ],
        origin: Origin::Definition,
        storage_version: "v1".into(),
        collection: COLLECTION.into(),
        encoding,
        apply_schema: Some(Arc::new(super::resources::with_metadata(&schema))),
        schema: Some(Arc::new(Schema::parse(&schema))),
        schema_json: None,
        status: true,
        scale: None,
        columns: vec![Column::name(), Column::created_at()],
        selectable: Vec::new(),
        name_rule: NameRule::Subdomain,
        deprecation: None,
        terminating: false,
        strategic: true,
        // Upstream shows none for it.
        storage_hash: String::new(),
        fingerprint: "".into(),
        retired: tokio::sync::watch::Sender::new(false),
        zero: Some(Arc::new(zero)),
        other_versions: std::collections::BTreeMap::new(),
    }
}

fn object<'a>(value: &'a mut Value, key: &str) -> &'a mut Map<String, Value> {
    if !value.get(key).is_some_and(Value::is_object) {
        value[key] = json!({});
    }
    match &mut value[key] {
        Value::Object(map) => map,
        _ => unreachable!("made an object above"),
    }
}

/// Upstream's defaults, set whenever a definition is decoded.
pub(crate) fn default_definition(definition: &mut Value) {
    let spec = object(definition, "spec");
    spec.entry("conversion")
        .or_insert_with(|| json!({"strategy": "None"}));
    let mut all = Value::Object(std::mem::take(spec));
    let names = object(&mut all, "names");
    let kind = names.get("kind").and_then(Value::as_str).unwrap_or("").to_owned();
    if !kind.is_empty() {
        let absent = |names: &Map<String, Value>, key: &str| {
            names.get(key).and_then(Value::as_str).unwrap_or("").is_empty()
        };
        if absent(names, "singular") {
            names.insert("singular".into(), kind.to_lowercase().into());
        }
        if absent(names, "listKind") {
            names.insert("listKind".into(), format!("{kind}List").into());
        }
    }
    if let Some(Value::Array(versions)) = all.get_mut("versions") {
        for version in versions {
            if let Some(schema) = version
                .get_mut("schema")
                .and_then(|s| s.get_mut("openAPIV3Schema"))
            {
                drop_empty(schema);
            }
        }
    }
    definition["spec"] = all;
    if definition.get("status").is_none() {
        definition["status"] =
            json!({"conditions": null, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": null});
    }
}

/// Go's `omitempty` on the fields of a schema.
fn drop_empty(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    map.retain(|key, value| match key.as_str() {
        "default" | "example" | "enum" => true,
        "nullable"
        | "exclusiveMinimum"
        | "exclusiveMaximum"
        | "uniqueItems"
        | "x-kubernetes-int-or-string"
        | "x-kubernetes-embedded-resource" => *value != Value::Bool(false),
        _ => {
            !(value.is_null()
                || value.as_str().is_some_and(str::is_empty)
                || value.as_array().is_some_and(Vec::is_empty))
        }
    });
    for (key, value) in map.iter_mut() {
        match (key.as_str(), value) {
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(drop_empty),
            ("items" | "additionalProperties" | "not", value) => drop_empty(value),
            ("allOf" | "anyOf" | "oneOf", Value::Array(all)) => all.iter_mut().for_each(drop_empty),
            _ => {}
        }
    }
}

fn storage_version(definition: &Value) -> Option<String> {
    let versions = definition["spec"]["versions"].as_array()?;
    let storage = versions.iter().rfind(|version| version["storage"] == true)?;
    Some(storage["name"].as_str()?.to_owned())
}

/// A new definition has no status but the version that will be stored.
pub(crate) fn prepare_create(definition: &mut Value) {
    definition.set_meta("generation", 1);
    let versions = definition["spec"]["versions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let stored = versions
        .iter()
        .find(|version| version["storage"] == true)
        .map(|version| version["name"].clone());
    let stored = stored.map_or(Value::Null, |name| json!([name]));
    definition["status"] =
        json!({"conditions": null, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored});
}

/// A change of the storage version adds to the stored ones.
pub(crate) fn prepare_update(new: &mut Value) {
    let Some(storage) = storage_version(new) else {
        return;
    };
    let stored = new["status"]["storedVersions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if !stored.iter().any(|one| *one == storage) {
        let mut stored = stored;
        stored.push(storage.into());
        new["status"]["storedVersions"] = stored.into();
    }
}

/// A deleted definition waits until its objects are gone.
pub(crate) fn prepare_delete(definition: &mut Value, finalizers: &mut Vec<String>, now: Timestamp) {
    if definition
        .meta()
        .is_some_and(|meta| meta.contains_key("deletionTimestamp"))
    {
        return;
    }
    if !finalizers.iter().any(|one| one == CLEANUP) {
        finalizers.push(CLEANUP.to_owned());
    }
    let condition = json!({
        "type": "Terminating", "status": "True", "lastTransitionTime": time_text(now),
        "reason": "InstanceDeletionPending",
        "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"});
    match &mut definition["status"]["conditions"] {
        Value::Array(all) => all.push(condition),
        other => *other = json!([condition]),
    }
}
