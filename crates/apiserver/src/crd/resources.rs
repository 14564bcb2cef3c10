//! From a definition to the resources that are served because of it, one per served version.

use std::{collections::BTreeMap, sync::Arc};

use base64::Engine as _;
use serde_json::{Value, json};

use crate::{
    json,
    meta::Meta,
    names::NameRule,
    registry::{CUSTOM_VERBS, Origin, Resource, ScalePaths, compare_versions, join_version},
    schema::Schema,
    table::Column,
};

/// The metadata's part of every schema for comparing and applying.
pub(crate) fn metadata_schema() -> Value {
    let text = json!({"type": "string"});
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    json!({"type": "object", "properties": {
        "name": text, "generateName": text, "namespace": text, "selfLink": text, "uid": text, "resourceVersion": text,
        "generation": {"type": "integer"}, "creationTimestamp": text, "deletionTimestamp": text,
        "deletionGracePeriodSeconds": {"type": "integer"}, "labels": texts, "annotations": texts,
        "ownerReferences": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["uid"],
            "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "uid",
            "items": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {
                "apiVersion": text, "kind": text, "name": text, "uid": text,
                "controller": {"type": "boolean"}, "blockOwnerDeletion": {"type": "boolean"}}}},
        "finalizers": {"type": "array", "items": text, "x-kubernetes-list-type": "set", "x-kubernetes-patch-strategy": "merge"},
        "managedFields": {"type": "array", "items": {"type": "object"}}}})
}

/// A schema with `apiVersion`, `kind` and `metadata` as they are for every kind.
pub(crate) fn with_metadata(schema: &Value) -> Schema {
    let mut schema = schema.clone();
    if !schema.is_object() {
        schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    }
    if !schema.get("properties").is_some_and(Value::is_object) {
        schema["properties"] = json!({});
    }
    schema["properties"]["apiVersion"] = json!({"type": "string"});
    schema["properties"]["kind"] = json!({"type": "string"});
    schema["properties"]["metadata"] = metadata_schema();
    Schema::parse(&schema)
}

/// What discovery shows as `storageVersionHash`: the start of a SHA-256 of the stored kind.
pub(crate) fn storage_hash(group: &str, version: &str, kind: &str) -> String {
    let hash = ring::digest::digest(
        &ring::digest::SHA256,
        format!("{group}/{version}/{kind}").as_bytes(),
    );
    base64::engine::general_purpose::STANDARD.encode(&hash.as_ref()[..8])
}

fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items.filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

fn path(value: &Value) -> Vec<String> {
    value
        .as_str()
        .unwrap_or("")
        .trim_start_matches('.')
        .split('.')
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The warning of a deprecated version.
fn deprecation(group: &str, kind: &str, version: &Value, versions: &[Value]) -> Option<String> {
    if version["deprecated"] != true {
        return None;
    }
    if let Some(own) = version["deprecationWarning"].as_str() {
        return Some(own.to_owned());
    }
    let name = version["name"].as_str().unwrap_or("");
    let mut text = format!("{} {kind} is deprecated", join_version(group, name));
    let better = versions
        .iter()
        .filter(|other| other["served"] == true && other["deprecated"] != true)
        .filter_map(|other| other["name"].as_str())
        .filter(|other| compare_versions(other, name).is_gt())
        .max_by(|a, b| compare_versions(a, b));
    if let Some(better) = better {
        text += &format!("; use {} {kind}", join_version(group, better));
    }
    Some(text)
}

/// Everything of a definition that its resources depend on.
pub(super) fn fingerprint(definition: &Value) -> Arc<str> {
    let parts = json!([
        definition["spec"],
        definition["status"]["acceptedNames"],
        definition.meta_str("uid"),
        definition.meta_str("deletionTimestamp"),
    ]);
    json::to_string(&parts).into()
}

/// The resources of an accepted definition.
pub(super) fn resources(
    definition: &Value,
    fingerprint: &Arc<str>,
    new_encoding: &mut dyn FnMut() -> u64,
) -> Vec<Arc<Resource>> {
    let spec = &definition["spec"];
    let names = &definition["status"]["acceptedNames"];
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let group = text(&spec["group"]);
    let versions = spec["versions"].as_array().cloned().unwrap_or_default();
    let storage = versions
        .iter()
        .find(|version| version["storage"] == true)
        .map_or(String::new(), |v| text(&v["name"]));
    let (plural, kind) = (text(&names["plural"]), text(&names["kind"]));
    let schemas: BTreeMap<String, Arc<Schema>> = versions
        .iter()
        .map(|version| {
            (
                text(&version["name"]),
                Arc::new(with_metadata(&version["schema"]["openAPIV3Schema"])),
            )
        })
        .collect();
    versions
        .iter()
        .filter(|version| version["served"] == true)
        .map(|version| {
            let name = text(&version["name"]);
            let raw = &version["schema"]["openAPIV3Schema"];
            let sub = &version["subresources"];
            let own: Vec<Column> = version["additionalPrinterColumns"]
                .as_array()
                .into_iter()
                .flatten()
                .map(Column::custom)
                .collect();
            let columns =
                std::iter::once(Column::name()).chain(if own.is_empty() { vec![Column::age()] } else { own });
            Arc::new(Resource {
                list_kind: text(&names["listKind"]),
                singular: text(&names["singular"]),
                short_names: texts(&names["shortNames"]),
                categories: texts(&names["categories"]),
                namespaced: spec["scope"] == "Namespaced",
                verbs: CUSTOM_VERBS.to_vec(),
                origin: Origin::Custom,
                storage_version: storage.clone(),
                collection: format!("{group}/{plural}").into(),
                encoding: new_encoding(),
                schema: Some(Arc::new(Schema::parse(raw))),
                apply_schema: schemas.get(&name).cloned(),
                schema_json: Some(Arc::new(raw.clone())),
                status: sub["status"].is_object(),
                scale: sub["scale"].is_object().then(|| ScalePaths {
                    spec: path(&sub["scale"]["specReplicasPath"]),
                    status: path(&sub["scale"]["statusReplicasPath"]),
                    selector: Some(path(&sub["scale"]["labelSelectorPath"])).filter(|path| !path.is_empty()),
                    api_version: "autoscaling/v1",
                }),
                columns: columns.collect(),
                selectable: version["selectableFields"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|field| path(&field["jsonPath"]).join("."))
                    .collect(),
                name_rule: NameRule::Subdomain,
                deprecation: deprecation(&group, &kind, version, &versions),
                terminating: definition
                    .meta()
                    .is_some_and(|meta| meta.contains_key("deletionTimestamp")),
                strategic: false,
                storage_hash: storage_hash(&group, &storage, &kind),
                fingerprint: fingerprint.clone(),
                retired: tokio::sync::watch::Sender::new(false),
                zero: None,
                other_versions: schemas.clone(),
                group: group.clone(),
                version: name,
                kind: kind.clone(),
                plural: plural.clone(),
            })
        })
        .collect()
}
