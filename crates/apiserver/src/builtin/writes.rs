//! What built-in kinds do beyond being stored: upstream's `pkg/registry/*/strategy.go` and `pkg/apis/core/validation`.

use serde_json::{Value, json};

use super::facts::counts_generations;
use crate::{
    meta::Meta,
    names::config_key,
    registry::{Origin, Resource},
    status::{FieldError, quote},
};

/// The most that the values of a config map or secret may hold.
const DATA_BYTES_MAX: usize = 1 << 20;

fn is(resource: &Resource, plural: &str) -> bool {
    resource.group.is_empty() && resource.plural == plural
}

pub(crate) fn prepare_create(object: &mut Value, resource: &Resource) {
    if counts_generations(resource) {
        object.set_meta("generation", 1);
    }
    if resource.status
        && let Value::Object(map) = object
    {
        map.shift_remove("status");
    }
    if is(resource, "namespaces") {
        let finalizers = object["spec"]["finalizers"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        if !finalizers.iter().any(|one| one == "kubernetes") {
            let mut finalizers = finalizers;
            finalizers.push("kubernetes".into());
            object["spec"]["finalizers"] = finalizers.into();
        }
        object["status"] = json!({"phase": "Active"});
        let name = object.name().to_owned();
        let labels = object.meta_mut().entry("labels").or_insert_with(|| json!({}));
        labels["kubernetes.io/metadata.name"] = name.into();
    }
    if is(resource, "pods") {
        object["status"] = json!({"phase": "Pending", "qosClass": "BestEffort"});
    }
}

/// Defaults that a table cannot say.
pub(crate) fn apply_defaults(object: &mut Value, resource: &Resource) {
    if is(resource, "services") {
        for port in object["spec"]["ports"].as_array_mut().into_iter().flatten() {
            if port.get("targetPort").is_none() {
                port["targetPort"] = port["port"].clone();
            }
        }
        return;
    }
    let pod = match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "pods") => object.get_mut("spec"),
        ("batch", "cronjobs") => object.pointer_mut("/spec/jobTemplate/spec/template/spec"),
        ("apps" | "batch", _) | ("", "replicationcontrollers") => object.pointer_mut("/spec/template/spec"),
        _ => None,
    };
    let Some(Value::Object(pod)) = pod else { return };
    for list in ["containers", "initContainers"] {
        for container in pod
            .get_mut(list)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            if container.get("imagePullPolicy").is_none() && container.is_object() {
                let image = container["image"].as_str().unwrap_or("");
                let last = image.rsplit('/').next().unwrap_or("");
                let latest =
                    !image.contains('@') && last.split_once(':').is_none_or(|(_, tag)| tag == "latest");
                container["imagePullPolicy"] = if latest { "Always" } else { "IfNotPresent" }.into();
            }
        }
    }
}

pub(crate) fn prepare_update(new: &mut Value, old: &Value, resource: &Resource) {
    if is(resource, "namespaces") && new["spec"]["finalizers"] != old["spec"]["finalizers"] {
        // Only /finalize changes them.
        new["spec"]["finalizers"] = old["spec"]["finalizers"].clone();
    }
}

/// Whether nothing but finalizers keeps a deleted object.
pub(crate) fn goes_with_finalizers(resource: &Resource, object: &Value) -> bool {
    !(is(resource, "namespaces")
        && object["spec"]["finalizers"]
            .as_array()
            .is_some_and(|all| !all.is_empty()))
}

/// How long a deleted object stays for whoever runs it.
pub(crate) fn grace_s(resource: &Resource, object: &Value, asked: Option<i64>) -> i64 {
    if resource.origin != Origin::BuiltIn || !is(resource, "pods") {
        return 0;
    }
    let scheduled = object["spec"]["nodeName"]
        .as_str()
        .is_some_and(|node| !node.is_empty());
    let over = matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    if !scheduled || over {
        return 0;
    }
    asked
        .or_else(|| object["spec"]["terminationGracePeriodSeconds"].as_i64())
        .unwrap_or(30)
        .max(0)
}

pub(crate) fn prepare_delete(object: &mut Value, resource: &Resource) {
    if resource.origin == Origin::BuiltIn && is(resource, "namespaces") {
        object["status"]["phase"] = "Terminating".into();
    }
}

/// Whether a delete answers with what was deleted.
pub(crate) fn delete_returns_object(resource: &Resource) -> bool {
    match resource.origin {
        Origin::Definition => true,
        Origin::Custom => false,
        Origin::BuiltIn => {
            matches!(
                (resource.group.as_str(), resource.plural.as_str()),
                (
                    "",
                    "pods"
                        | "namespaces"
                        | "services"
                        | "persistentvolumeclaims"
                        | "persistentvolumes"
                        | "serviceaccounts"
                        | "resourcequotas"
                        | "podtemplates"
                ) | ("storage.k8s.io", _)
            )
        }
    }
}

/// Faults of a built-in object beyond its metadata.
pub(crate) fn faults(new: &Value, old: Option<&Value>, resource: &Resource) -> Vec<FieldError> {
    let mut out = Vec::new();
    if let Some(old) = old
        && matches!(
            (resource.group.as_str(), resource.plural.as_str()),
            ("apps", "deployments" | "replicasets" | "daemonsets")
        )
        && new["spec"]["selector"] != old["spec"]["selector"]
    {
        let selector = &new["spec"]["selector"];
        out.push(FieldError::invalid(
            "spec.selector",
            crate::status::show(selector),
            "field is immutable",
        ));
    }
    if is(resource, "configmaps") || is(resource, "secrets") {
        data_faults(new, &mut out);
        if let Some(old) = old.filter(|old| old["immutable"] == true) {
            immutable_data_faults(new, old, &mut out);
        }
    }
    if is(resource, "secrets")
        && let Some(old) = old
        && new["type"] != old["type"]
    {
        out.push(FieldError::invalid(
            "type",
            crate::status::show(&new["type"]),
            "field is immutable",
        ));
    }
    out
}

fn data_faults(object: &Value, out: &mut Vec<FieldError>) {
    let mut bytes = 0;
    for part in ["data", "binaryData"] {
        for (key, value) in object[part].as_object().into_iter().flatten() {
            let field = format!("{part}[{key}]");
            out.extend(
                config_key(key)
                    .into_iter()
                    .map(|fault| FieldError::invalid(&field, quote(key), fault)),
            );
            bytes += value.as_str().map_or(0, str::len);
            if part == "binaryData" && object["data"].get(key).is_some() {
                out.push(FieldError::invalid(
                    &field,
                    quote(key),
                    "duplicate of key present in data",
                ));
            }
        }
    }
    if bytes > DATA_BYTES_MAX {
        out.push(FieldError::too_long("", DATA_BYTES_MAX));
    }
}

fn immutable_data_faults(new: &Value, old: &Value, out: &mut Vec<FieldError>) {
    if new["immutable"] != true {
        out.push(FieldError::forbidden(
            "immutable",
            "field is immutable when `immutable` is set",
        ));
    }
    for part in ["data", "binaryData"] {
        if new.get(part) != old.get(part) {
            out.push(FieldError::forbidden(
                part,
                "field is immutable when `immutable` is set",
            ));
        }
    }
}
