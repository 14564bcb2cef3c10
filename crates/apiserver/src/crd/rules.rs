//! Validation of definitions, in upstream's words (`apiextensions/validation`).

use serde_json::Value;

use super::structural::{schema_faults, selectable_faults};
use crate::{
    meta::Meta,
    names::{label_1035, subdomain},
    status::{FieldError, quote},
};

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or("")
}

fn invalid_each(out: &mut Vec<FieldError>, field: &str, value: &str, faults: Vec<String>) {
    if !faults.is_empty() {
        out.push(FieldError::invalid(field, quote(value), faults.join(",")));
    }
}

/// Faults of the status alone: what `/status` checks.
pub(crate) fn status_faults(definition: &Value) -> Vec<FieldError> {
    let stored = definition["status"]["storedVersions"]
        .as_array()
        .map_or(0, Vec::len);
    if stored == 0 {
        let shown = "[]string(nil)";
        return vec![FieldError::invalid(
            "status.storedVersions",
            shown,
            "must have at least one stored version",
        )];
    }
    Vec::new()
}

/// Faults of a definition; `old` is what it was before, none on create.
pub(crate) fn definition_faults(definition: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut out = Vec::new();
    let spec = &definition["spec"];
    let names = &spec["names"];
    let group = text(spec, "group");
    let wanted = format!("{}.{group}", text(names, "plural"));
    if definition.name() != wanted {
        out.push(FieldError::invalid(
            "metadata.name",
            quote(definition.name()),
            "must be spec.names.plural+\".\"+spec.group",
        ));
    }
    if group.is_empty() {
        out.push(FieldError::required("spec.group", ""));
    } else {
        let faults = subdomain(group);
        if !faults.is_empty() {
            invalid_each(&mut out, "spec.group", group, faults);
        } else if !group.contains('.') {
            out.push(FieldError::invalid(
                "spec.group",
                quote(group),
                "should be a domain with at least one dot",
            ));
        }
    }
    let protected = ["k8s.io", "kubernetes.io"]
        .iter()
        .any(|one| group == *one || group.ends_with(&format!(".{one}")));
    let approval = definition["metadata"]["annotations"]["api-approved.kubernetes.io"]
        .as_str()
        .unwrap_or("");
    if protected && approval.is_empty() {
        const WHY: &str = "protected groups must have approval annotation \"api-approved.kubernetes.io\", see https://github.com/kubernetes/enhancements/pull/1111";
        out.push(FieldError::required(
            "metadata.annotations[api-approved.kubernetes.io]",
            WHY,
        ));
    }
    match text(spec, "scope") {
        "Cluster" | "Namespaced" => {}
        "" => out.push(FieldError::required("spec.scope", "")),
        other => out.push(FieldError::not_supported(
            "spec.scope",
            quote(other),
            &["Cluster", "Namespaced"],
        )),
    }
    version_faults(definition, old, &mut out);
    name_faults(names, "spec.names", &mut out);
    immutable_faults(definition, old, &mut out);
    out
}

fn name_faults(names: &Value, path: &str, out: &mut Vec<FieldError>) {
    for key in ["plural", "singular", "kind", "listKind"] {
        let field = format!("{path}.{key}");
        let value = text(names, key);
        if value.is_empty() {
            out.push(FieldError::required(&field, ""));
            continue;
        }
        let mixed = matches!(key, "kind" | "listKind");
        let faults = label_1035(&if mixed {
            value.to_lowercase()
        } else {
            value.to_owned()
        });
        if !faults.is_empty() {
            let faults = faults.join(",");
            let detail = if mixed {
                format!("may have mixed case, but should otherwise match: {faults}")
            } else {
                faults
            };
            out.push(FieldError::invalid(&field, quote(value), detail));
        }
    }
    if !text(names, "kind").is_empty() && text(names, "kind") == text(names, "listKind") {
        let detail = "kind and listKind may not be the same";
        out.push(FieldError::invalid(
            format!("{path}.listKind"),
            quote(text(names, "listKind")),
            detail,
        ));
    }
    for key in ["shortNames", "categories"] {
        for (index, one) in names[key].as_array().into_iter().flatten().enumerate() {
            let value = one.as_str().unwrap_or("");
            invalid_each(out, &format!("{path}.{key}[{index}]"), value, label_1035(value));
        }
    }
}

/// A version as Go's `%#v` prints it. Schema and the like are shared by all versions then, and so nil here.
fn go_version(version: &Value, shared: bool) -> String {
    let schema = if shared || version.get("schema").is_none() {
        "nil"
    } else {
        "0xc000a1b2c3"
    };
    format!(
        "apiextensions.CustomResourceDefinitionVersion{{Name:{}, Served:{}, Storage:{}, Deprecated:{}, DeprecationWarning:(*string)(nil), Schema:(*apiextensions.CustomResourceValidation)({schema}), Subresources:(*apiextensions.CustomResourceSubresources)(nil), AdditionalPrinterColumns:[]apiextensions.CustomResourceColumnDefinition(nil), SelectableFields:[]apiextensions.SelectableField(nil)}}",
        quote(text(version, "name")),
        version["served"] == true,
        version["storage"] == true,
        version["deprecated"] == true,
    )
}

fn version_faults(definition: &Value, old: Option<&Value>, out: &mut Vec<FieldError>) {
    let spec = &definition["spec"];
    let versions = spec["versions"].as_array().cloned().unwrap_or_default();
    // Upstream's internal form keeps what all versions share once, at the top.
    let shared = |key: &str| {
        versions
            .iter()
            .all(|version| version.get(key) == versions[0].get(key))
    };
    let shown = || {
        let all: Vec<String> = versions
            .iter()
            .map(|version| go_version(version, versions.is_empty() || shared("schema")))
            .collect();
        format!(
            "[]apiextensions.CustomResourceDefinitionVersion{{{}}}",
            all.join(", ")
        )
    };
    let mut seen = Vec::new();
    let mut unique = true;
    for (index, version) in versions.iter().enumerate() {
        let name = text(version, "name");
        unique &= !seen.contains(&name);
        seen.push(name);
        invalid_each(
            out,
            &format!("spec.versions[{index}].name"),
            name,
            label_1035(name),
        );
        if index == 0 {
            invalid_each(out, "spec.version", name, label_1035(name));
        }
    }
    if !unique {
        out.push(FieldError::invalid(
            "spec.versions",
            shown(),
            "must contain unique version names",
        ));
    }
    let storage: Vec<&str> = versions
        .iter()
        .filter(|v| v["storage"] == true)
        .map(|v| text(v, "name"))
        .collect();
    if storage.len() != 1 {
        out.push(FieldError::invalid(
            "spec.versions",
            shown(),
            "must have exactly one version marked as storage version",
        ));
    }
    let stored: Vec<&str> = definition["status"]["storedVersions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if stored.is_empty() {
        out.push(FieldError::invalid(
            "status.storedVersions",
            "[]string(nil)",
            "must have at least one stored version",
        ));
    } else {
        if let Some(last) = storage.last().filter(|last| !stored.contains(last)) {
            let all: Vec<String> = stored.iter().map(|one| quote(one)).collect();
            let shown = format!("[]string{{{}}}", all.join(", "));
            out.push(FieldError::invalid(
                "status.storedVersions",
                shown,
                format!("must have the storage version {last}"),
            ));
        }
        for (index, one) in stored.iter().enumerate().filter(|(_, one)| !seen.contains(one)) {
            let detail = format!(
                "missing from spec.versions; {one} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {one} and removes {one} from status.storedVersions"
            );
            out.push(FieldError::invalid(
                format!("status.storedVersions[{index}]"),
                quote(one),
                detail,
            ));
        }
    }
    for (index, version) in versions.iter().enumerate() {
        let top = |key: &str| versions.len() == 1 || shared(key);
        let schema = &version["schema"]["openAPIV3Schema"];
        let schema_path = if top("schema") {
            "spec.validation.openAPIV3Schema".to_owned()
        } else {
            format!("spec.versions[{index}].schema.openAPIV3Schema")
        };
        let first = |key: &str| index == 0 || !top(key);
        if !schema.is_object() {
            out.push(FieldError::required(
                format!("spec.versions[{index}].schema.openAPIV3Schema"),
                "schemas are required",
            ));
        } else if first("schema") {
            let unchanged = old.is_some_and(|old| {
                old["spec"]["versions"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .any(|v| v["schema"] == version["schema"])
            });
            if !unchanged {
                schema_faults(schema, &schema_path, out);
            }
        }
        let prefix = |key: &str| {
            if top(key) {
                format!("spec.{key}")
            } else {
                format!("spec.versions[{index}].{key}")
            }
        };
        if first("selectableFields") {
            selectable_faults(version, &prefix("selectableFields"), out);
        }
        if first("additionalPrinterColumns") {
            column_faults(version, &prefix("additionalPrinterColumns"), out);
        }
        if first("subresources") {
            scale_path_faults(version, &prefix("subresources"), out);
        }
    }
}

fn column_faults(version: &Value, path: &str, out: &mut Vec<FieldError>) {
    const TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
    const FORMATS: [&str; 8] = [
        "byte",
        "date",
        "date-time",
        "double",
        "float",
        "int32",
        "int64",
        "password",
    ];
    for (index, column) in version["additionalPrinterColumns"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let field = |key: &str| format!("{path}[{index}].{key}");
        if text(column, "name").is_empty() {
            out.push(FieldError::required(field("name"), ""));
        }
        match text(column, "type") {
            "" => out.push(FieldError::required(
                field("type"),
                format!("must be one of {}", TYPES.join(",")),
            )),
            kind if !TYPES.contains(&kind) => {
                out.push(FieldError::invalid(
                    field("type"),
                    quote(kind),
                    format!("must be one of {}", TYPES.join(",")),
                ));
            }
            _ => {}
        }
        let format = text(column, "format");
        if !format.is_empty() && !FORMATS.contains(&format) {
            out.push(FieldError::invalid(
                field("format"),
                quote(format),
                format!("must be one of {}", FORMATS.join(",")),
            ));
        }
        match text(column, "jsonPath") {
            "" => out.push(FieldError::required(field("JSONPath"), "")),
            path if !path.starts_with('.') => {
                out.push(FieldError::invalid(
                    field("JSONPath"),
                    quote(path),
                    "must be a simple json path starting with .",
                ));
            }
            _ => {}
        }
    }
}

fn scale_path_faults(version: &Value, path: &str, out: &mut Vec<FieldError>) {
    let Some(scale) = version["subresources"].get("scale") else {
        return;
    };
    for (key, under) in [("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")] {
        let field = format!("{path}.scale.{key}");
        match text(scale, key) {
            "" => out.push(FieldError::required(field, "")),
            value if !value.starts_with(under) => {
                let detail = format!("should be a json path under {}", under.trim_end_matches('.'));
                out.push(FieldError::invalid(field, quote(value), detail));
            }
            _ => {}
        }
    }
    let selector = text(scale, "labelSelectorPath");
    if !selector.is_empty() && !selector.starts_with(".spec.") && !selector.starts_with(".status.") {
        let detail = "should be a json path under either .spec or .status";
        out.push(FieldError::invalid(
            format!("{path}.scale.labelSelectorPath"),
            quote(selector),
            detail,
        ));
    }
}

fn immutable_faults(definition: &Value, old: Option<&Value>, out: &mut Vec<FieldError>) {
    let Some(old) = old else { return };
    let established = old["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|one| one["type"] == "Established" && one["status"] == "True");
    let mut same = |path: &[&str]| {
        let find = |value: &Value| {
            path.iter()
                .try_fold(value, |at, key| at.get(key))
                .cloned()
                .unwrap_or_default()
        };
        let (new, old) = (find(definition), find(old));
        if new != old {
            out.push(FieldError::invalid(
                path.join("."),
                crate::status::show(&new),
                "field is immutable",
            ));
        }
    };
    same(&["spec", "group"]);
    same(&["spec", "names", "plural"]);
    if established {
        same(&["spec", "scope"]);
        same(&["spec", "names", "kind"]);
    }
}
