//! What makes a schema structural, and what else upstream refuses in one.

use serde_json::Value;

use crate::{
    schema::{Schema, check, cost_has_no_bound, rule_fault},
    status::{FieldError, quote},
};

const TOO_DEAR: &str = "exceeds budget by factor of more than 100x (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)";

/// Faults of a whole schema.
pub(super) fn schema_faults(schema: &Value, path: &str, out: &mut Vec<FieldError>) {
    if schema["type"] != "object" {
        if schema.get("type").is_none() || schema["type"] == "" {
            out.push(FieldError::required(
                format!("{path}.type"),
                "must not be empty at the root",
            ));
        } else {
            let shown = crate::status::show(&schema["type"]);
            out.push(FieldError::invalid(
                format!("{path}.type"),
                shown,
                "must be object at the root",
            ));
        }
    }
    node_faults(schema, path, Place::Root, out);
    let dear: Vec<String> = out
        .iter()
        .filter(|fault| fault.detail.starts_with("estimated rule cost"))
        .map(|fault| fault.field.clone())
        .collect();
    for field in &dear {
        const WHY: &str =
            "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
        out.push(FieldError::forbidden(field, WHY));
    }
    if !dear.is_empty() {
        let why = format!(
            "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema {TOO_DEAR}"
        );
        out.push(FieldError::forbidden(path, why));
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Field,
    Item,
    /// Inside `allOf` and its like, where only value validation may stand.
    Logic,
}

fn is(schema: &Value, key: &str) -> bool {
    schema.get(key) == Some(&Value::Bool(true))
}

fn node_faults(schema: &Value, path: &str, place: Place, out: &mut Vec<FieldError>) {
    let Some(map) = schema.as_object() else { return };
    let kind = schema.get("type").and_then(Value::as_str).unwrap_or("");
    let int_or_string = is(schema, "x-kubernetes-int-or-string");
    let preserve = is(schema, "x-kubernetes-preserve-unknown-fields");
    if place == Place::Logic {
        for key in [
            "type",
            "additionalProperties",
            "default",
            "nullable",
            "description",
            "title",
        ] {
            if map.contains_key(key) {
                out.push(FieldError::forbidden(
                    format!("{path}.{key}"),
                    forbidden_in_logic(key),
                ));
            }
        }
    } else {
        if kind.is_empty() && !int_or_string && !preserve {
            match place {
                Place::Field => out.push(FieldError::required(
                    format!("{path}.type"),
                    "must not be empty for specified object fields",
                )),
                Place::Item => out.push(FieldError::required(
                    format!("{path}.type"),
                    "must not be empty for specified array items",
                )),
                _ => {}
            }
        }
        if !matches!(
            kind,
            "" | "object" | "array" | "string" | "integer" | "number" | "boolean"
        ) {
            let supported = ["array", "boolean", "integer", "number", "object", "string"];
            out.push(FieldError::not_supported(
                format!("{path}.type"),
                quote(kind),
                &supported,
            ));
        }
        if kind == "array" && !schema.get("items").is_some_and(Value::is_object) {
            out.push(FieldError::required(format!("{path}.items"), "must be specified"));
        }
    }
    if map.contains_key("properties")
        && map
            .get("additionalProperties")
            .is_some_and(|v| *v != Value::Bool(false))
    {
        out.push(FieldError::forbidden(
            format!("{path}.additionalProperties"),
            "must not be used together with properties",
        ));
    }
    if map.get("additionalProperties") == Some(&Value::Bool(false)) {
        out.push(FieldError::forbidden(
            format!("{path}.additionalProperties"),
            "additionalProperties cannot be set to false",
        ));
    }
    for key in [
        "$ref",
        "definitions",
        "dependencies",
        "patternProperties",
        "additionalItems",
    ] {
        if map.contains_key(key) {
            out.push(FieldError::forbidden(
                format!("{path}.{key}"),
                format!("{key} is not supported"),
            ));
        }
    }
    if is(schema, "uniqueItems") {
        out.push(FieldError::forbidden(
            format!("{path}.uniqueItems"),
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        ));
    }
    if let Some(pattern) = map.get("pattern").and_then(Value::as_str)
        && regex::Regex::new(pattern).is_err()
    {
        let detail =
            format!("must be a valid regular expression, but isn't: error parsing regexp: {pattern}");
        out.push(FieldError::invalid(
            format!("{path}.pattern"),
            quote(pattern),
            detail,
        ));
    }
    if preserve && kind != "object" && !kind.is_empty() {
        out.push(FieldError::invalid(
            format!("{path}.type"),
            quote(kind),
            "must be object if x-kubernetes-preserve-unknown-fields is true",
        ));
    }
    if is(schema, "x-kubernetes-embedded-resource") {
        if kind != "object" {
            let shown = quote(kind);
            out.push(FieldError::invalid(
                format!("{path}.type"),
                shown,
                "must be object if x-kubernetes-embedded-resource is true",
            ));
        }
        if !preserve && !map.contains_key("properties") {
            out.push(FieldError::required(
                format!("{path}.properties"),
                "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields",
            ));
        }
    }
    list_faults(schema, path, kind, out);
    default_faults(schema, path, out);
    rule_faults(schema, path, out);
    let next = if place == Place::Logic {
        Place::Logic
    } else {
        Place::Field
    };
    for (name, child) in schema["properties"].as_object().into_iter().flatten() {
        if place == Place::Root && matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
            continue;
        }
        node_faults(child, &format!("{path}.properties[{name}]"), next, out);
    }
    if schema["additionalProperties"].is_object() {
        node_faults(
            &schema["additionalProperties"],
            &format!("{path}.additionalProperties"),
            next,
            out,
        );
    }
    if schema["items"].is_object() {
        let next = if place == Place::Logic {
            Place::Logic
        } else {
            Place::Item
        };
        node_faults(&schema["items"], &format!("{path}.items"), next, out);
    }
    if !int_or_string {
        for key in ["allOf", "anyOf", "oneOf"] {
            for (index, child) in schema[key].as_array().into_iter().flatten().enumerate() {
                node_faults(child, &format!("{path}.{key}[{index}]"), Place::Logic, out);
            }
        }
    }
    if schema["not"].is_object() {
        node_faults(&schema["not"], &format!("{path}.not"), Place::Logic, out);
    }
}

fn forbidden_in_logic(key: &str) -> &'static str {
    match key {
        "type" => "must be empty to be structural",
        "additionalProperties" => "must be undefined to be structural",
        "default" => "must be undefined to be structural",
        "nullable" => "must be false to be structural",
        _ => "must be empty to be structural",
    }
}

fn list_faults(schema: &Value, path: &str, kind: &str, out: &mut Vec<FieldError>) {
    let list_type = schema.get("x-kubernetes-list-type").and_then(Value::as_str);
    let keys: Vec<&str> = schema["x-kubernetes-list-map-keys"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let Some(list_type) = list_type else {
        if !keys.is_empty() {
            out.push(FieldError::required(
                format!("{path}.x-kubernetes-list-type"),
                "must be map if x-kubernetes-list-map-keys is non-empty",
            ));
        }
        return;
    };
    let field = format!("{path}.x-kubernetes-list-type");
    if kind != "array" {
        let detail = "must be array if x-kubernetes-list-type is specified";
        if kind.is_empty() {
            out.push(FieldError::required(format!("{path}.type"), detail));
        } else {
            out.push(FieldError::invalid(format!("{path}.type"), quote(kind), detail));
        }
    }
    if !matches!(list_type, "atomic" | "set" | "map") {
        out.push(FieldError::not_supported(
            &field,
            quote(list_type),
            &["atomic", "map", "set"],
        ));
    }
    if list_type == "map" {
        if keys.is_empty() {
            out.push(FieldError::required(
                format!("{path}.x-kubernetes-list-map-keys"),
                "must not be empty if x-kubernetes-list-type is map",
            ));
        }
        let items = &schema["items"];
        if items["type"] != "object" {
            let shown = quote(items["type"].as_str().unwrap_or(""));
            out.push(FieldError::invalid(
                format!("{path}.items.type"),
                shown,
                "must be object if parent array's x-kubernetes-list-type is map",
            ));
        }
        for (index, key) in keys.iter().enumerate() {
            let Some(child) = items["properties"].get(*key) else {
                let detail = "entries must all be names of item properties";
                out.push(FieldError::invalid(
                    format!("{path}.x-kubernetes-list-map-keys[{index}]"),
                    quote(key),
                    detail,
                ));
                continue;
            };
            let required = items["required"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|one| one == key);
            if !required && child.get("default").is_none() {
                let detail = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
                out.push(FieldError::required(
                    format!("{path}.items.properties[{key}].default"),
                    detail,
                ));
            }
        }
    }
}

fn default_faults(schema: &Value, path: &str, out: &mut Vec<FieldError>) {
    let Some(default) = schema.get("default") else {
        return;
    };
    let mut faults = Vec::new();
    check(default, &Schema::parse(schema), "", &mut faults);
    for fault in faults {
        let field = if fault.field.is_empty() {
            format!("{path}.default")
        } else {
            format!("{path}.default.{}", fault.field)
        };
        let detail = fault
            .detail
            .strip_prefix(" in body")
            .map_or_else(|| fault.detail.clone(), |rest| format!("{field} in body{rest}"));
        out.push(FieldError {
            field,
            detail,
            ..fault
        });
    }
}

fn rule_faults(schema: &Value, path: &str, out: &mut Vec<FieldError>) {
    for (index, rule) in schema["x-kubernetes-validations"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let field = |key: &str| format!("{path}.x-kubernetes-validations[{index}].{key}");
        let text = rule["rule"].as_str().unwrap_or("");
        if text.trim().is_empty() {
            out.push(FieldError::required(field("rule"), "rule is not specified"));
            continue;
        }
        if let Some(fault) = rule_fault(text) {
            let detail = format!("compilation failed: {fault}");
            out.push(FieldError::invalid(field("rule"), go_rule(rule), detail));
        } else if cost_has_no_bound(text) {
            out.push(FieldError::forbidden(
                field("rule"),
                format!("estimated rule cost {TOO_DEAR}"),
            ));
        }
        let message = rule["message"].as_str().unwrap_or("");
        if message.contains('\n') {
            out.push(FieldError::invalid(
                field("message"),
                quote(message),
                "message must not contain line breaks",
            ));
        }
    }
}

/// A rule as Go's `%#v` prints it.
fn go_rule(rule: &Value) -> String {
    let text = |key: &str| quote(rule[key].as_str().unwrap_or(""));
    format!(
        "apiextensions.ValidationRule{{Rule:{}, Message:{}, MessageExpression:{}, Reason:(*apiextensions.FieldValueErrorReason)(nil), FieldPath:{}, OptionalOldSelf:(*bool)(nil)}}",
        text("rule"),
        text("message"),
        text("messageExpression"),
        text("fieldPath"),
    )
}

/// Faults of `selectableFields`.
pub(super) fn selectable_faults(version: &Value, path: &str, out: &mut Vec<FieldError>) {
    let schema = &version["schema"]["openAPIV3Schema"];
    let mut seen: Vec<&str> = Vec::new();
    for (index, one) in version["selectableFields"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let field = format!("{path}[{index}].jsonPath");
        let text = one["jsonPath"].as_str().unwrap_or("");
        if text.is_empty() {
            out.push(FieldError::required(&field, ""));
            continue;
        }
        if seen.contains(&text) {
            out.push(FieldError::duplicate(&field, quote(text)));
        }
        seen.push(text);
        let Some(rest) = text.strip_prefix('.') else {
            let detail = format!("is an invalid path: expected [ or . but got: {text}");
            out.push(FieldError::invalid(&field, quote(text), detail));
            continue;
        };
        let found = rest
            .split('.')
            .try_fold(schema, |at, key| at["properties"].get(key));
        match found {
            None => {
                let detail = "is an invalid path: does not refer to a valid field";
                out.push(FieldError::invalid(&field, quote(text), detail));
            }
            Some(_) if rest.starts_with("metadata") => {
                out.push(FieldError::invalid(
                    &field,
                    quote(text),
                    "must not point to fields in metadata",
                ));
            }
            Some(schema) if !matches!(schema["type"].as_str(), Some("string" | "boolean" | "integer")) => {
                let detail = "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.";
                out.push(FieldError::invalid(&field, quote(text), detail));
            }
            Some(_) => {}
        }
    }
}
