//! Value validation with the words of upstream's `kube-openapi` validators.

use std::collections::HashSet;

use serde_json::Value;

use super::{
    format,
    structural::{Additional, JsonType, ListKind, Schema},
};
use crate::{
    json,
    status::{FaultKind, FieldError, go_syntax, quote, show},
};

/// The name of a value's type as the messages say it.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn fits(kind: JsonType, value: &Value) -> bool {
    match kind {
        JsonType::Any => true,
        JsonType::Number => value.is_number(),
        kind => kind.name() == type_of(value),
    }
}

pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// Adds the faults of `value`. Returns nothing: what is in `out` afterwards is wrong.
pub(crate) fn check(value: &Value, schema: &Schema, path: &str, out: &mut Vec<FieldError>) {
    if value.is_null() && (schema.nullable || schema.kind == JsonType::Any && !schema.int_or_string) {
        return;
    }
    let body = |text: String| format!("{path} in body {text}");
    let wanted = if schema.int_or_string {
        "integer,string"
    } else {
        schema.kind.name()
    };
    let right_type = if schema.int_or_string {
        matches!(type_of(value), "integer" | "string")
    } else {
        fits(schema.kind, value)
    };
    if !right_type {
        let shown = quote(type_of(value));
        out.push(FieldError::type_invalid(
            path,
            &shown,
            body(format!("must be of type {wanted}: {shown}")),
        ));
    }
    combinations(value, schema, path, out);
    if !schema.allowed.is_empty() && !schema.allowed.contains(value) {
        let supported: Vec<String> = schema
            .allowed
            .iter()
            .map(|one| one.as_str().map_or_else(|| json::to_string(one), str::to_owned))
            .collect();
        let supported: Vec<&str> = supported.iter().map(String::as_str).collect();
        out.push(FieldError::not_supported(path, show(value), &supported));
    }
    match value {
        Value::String(text) => check_text(text, schema, path, out),
        Value::Number(_) => check_number(value, schema, path, out),
        Value::Array(items) => {
            let invalid = |detail: String| FieldError::invalid(path, items.len().to_string(), body(detail));
            if let Some(min) = schema.min_items.filter(|min| (items.len() as u64) < *min) {
                out.push(invalid(format!("should have at least {min} items")));
            }
            if let Some(max) = schema.max_items.filter(|max| items.len() as u64 > *max) {
                out.push(too_many(path, items.len(), max));
            }
            if let Some(schema) = &schema.items {
                for (index, item) in items.iter().enumerate() {
                    check(item, schema, &format!("{path}[{index}]"), out);
                }
            }
        }
        Value::Object(map) => {
            if let Some(min) = schema.min_properties.filter(|min| (map.len() as u64) < *min) {
                let detail = body(format!("should have at least {min} properties"));
                out.push(FieldError::invalid(path, map.len().to_string(), detail));
            }
            if let Some(max) = schema.max_properties.filter(|max| map.len() as u64 > *max) {
                out.push(too_many(path, map.len(), max));
            }
            for key in &schema.required {
                if !map.contains_key(key) {
                    out.push(FieldError::required(join(path, key), ""));
                }
            }
            for (key, value) in map {
                let child = match (schema.properties.get(key), &schema.additional) {
                    (Some(child), _) => child,
                    (None, Some(Additional::Schema(child))) => child,
                    _ => continue,
                };
                check(value, child, &join(path, key), out);
            }
        }
        _ => {}
    }
}

fn too_many(path: &str, have: usize, max: u64) -> FieldError {
    FieldError {
        kind: FaultKind::TooMany,
        field: path.to_owned(),
        value: have.to_string(),
        detail: format!("must have at most {max} items"),
    }
}

fn check_text(text: &str, schema: &Schema, path: &str, out: &mut Vec<FieldError>) {
    let length = text.chars().count() as u64;
    let shown = quote(text);
    if let Some(max) = schema.max_length.filter(|max| length > *max) {
        out.push(FieldError::too_long(
            path,
            usize::try_from(max).unwrap_or(usize::MAX),
        ));
    }
    if let Some(min) = schema.min_length.filter(|min| length < *min) {
        out.push(FieldError::invalid(
            path,
            &shown,
            format!("{path} in body should be at least {min} chars long"),
        ));
    }
    if let Some((pattern, Some(regex))) = &schema.pattern
        && !regex.is_match(text)
    {
        out.push(FieldError::invalid(
            path,
            &shown,
            format!("{path} in body should match '{pattern}'"),
        ));
    }
    if !schema.format.is_empty() && !format::holds(&schema.format, text) {
        let detail = format!("{path} in body must be of type {}: {shown}", schema.format);
        out.push(FieldError::type_invalid(path, &shown, detail));
    }
}

fn plain(number: f64) -> String {
    json::to_string(&json::number_value(number))
}

fn check_number(value: &Value, schema: &Schema, path: &str, out: &mut Vec<FieldError>) {
    let Some(number) = value.as_f64() else { return };
    let shown = json::to_string(value);
    let mut invalid = |detail: String| {
        out.push(FieldError::invalid(
            path,
            &shown,
            format!("{path} in body {detail}"),
        ))
    };
    if let Some(step) = schema.multiple_of {
        let quotient = number / step;
        if (quotient - quotient.round()).abs() > 1e-9 {
            invalid(format!("should be a multiple of {}", plain(step)));
        }
    }
    if let Some(max) = schema.maximum {
        if schema.exclusive_maximum && number >= max {
            invalid(format!("should be less than {}", plain(max)));
        } else if number > max {
            invalid(format!("should be less than or equal to {}", plain(max)));
        }
    }
    if let Some(min) = schema.minimum {
        if schema.exclusive_minimum && number <= min {
            invalid(format!("should be greater than {}", plain(min)));
        } else if number < min {
            invalid(format!("should be greater than or equal to {}", plain(min)));
        }
    }
}

fn faults_of(value: &Value, schema: &Schema, path: &str) -> Vec<FieldError> {
    let mut out = Vec::new();
    check(value, schema, path, &mut out);
    out
}

fn combinations(value: &Value, schema: &Schema, path: &str, out: &mut Vec<FieldError>) {
    let nil = |detail: String| FieldError::invalid("<nil>", "\"\"", detail);
    let shown = quote(path);
    if !schema.any_of.is_empty() && !schema.int_or_string {
        let all: Vec<_> = schema
            .any_of
            .iter()
            .map(|one| faults_of(value, one, path))
            .collect();
        if !all.iter().any(Vec::is_empty) {
            out.push(nil(format!("{shown} must validate at least one schema (anyOf)")));
            out.extend(best(all));
        }
    }
    if !schema.one_of.is_empty() {
        let all: Vec<_> = schema
            .one_of
            .iter()
            .map(|one| faults_of(value, one, path))
            .collect();
        let valid = all.iter().filter(|faults| faults.is_empty()).count();
        let must = format!("{shown} must validate one and only one schema (oneOf).");
        if valid == 0 {
            out.push(nil(format!("{must} Found none valid")));
            out.extend(best(all));
        } else if valid > 1 {
            out.push(nil(format!("{must} Found {valid} valid alternatives")));
        }
    }
    if !schema.all_of.is_empty() {
        let all: Vec<_> = schema
            .all_of
            .iter()
            .map(|one| faults_of(value, one, path))
            .collect();
        let valid = all.iter().filter(|faults| faults.is_empty()).count();
        if valid < all.len() {
            let none = if valid == 0 { ". None validated" } else { "" };
            out.extend(all.into_iter().flatten());
            out.push(nil(format!(
                "{shown} must validate all the schemas (allOf){none}"
            )));
        }
    }
    if let Some(not) = &schema.not
        && faults_of(value, not, path).is_empty()
    {
        out.push(nil(format!("{shown} must not validate the schema (not)")));
    }
}

/// The faults of the alternative that came closest; of equals the first.
fn best(all: Vec<Vec<FieldError>>) -> Vec<FieldError> {
    all.into_iter().min_by_key(Vec::len).unwrap_or_default()
}

/// Duplicates in sets and maps.
pub(crate) fn check_list_types(value: &Value, schema: &Schema, path: &str, out: &mut Vec<FieldError>) {
    match value {
        Value::Array(items) => {
            let mut seen = HashSet::new();
            for (index, item) in items.iter().enumerate() {
                let at = format!("{path}[{index}]");
                match schema.list_kind {
                    ListKind::Set if !seen.insert(json::to_string(item)) => {
                        out.push(FieldError::duplicate(&at, show_duplicate(item)));
                    }
                    ListKind::Map => {
                        let key: serde_json::Map<String, Value> = schema
                            .list_keys
                            .iter()
                            .filter_map(|key| item.get(key).map(|value| (key.clone(), value.clone())))
                            .collect();
                        let key = Value::Object(key);
                        if !seen.insert(json::to_string(&key)) {
                            out.push(FieldError::duplicate(&at, go_syntax(&key)));
                        }
                    }
                    _ => {}
                }
                if let Some(schema) = &schema.items {
                    check_list_types(item, schema, &at, out);
                }
            }
        }
        Value::Object(map) => {
            for (key, value) in map {
                if let Some(child) = schema.child(key) {
                    check_list_types(value, child, &join(path, key), out);
                }
            }
        }
        _ => {}
    }
}

fn show_duplicate(item: &Value) -> String {
    match item {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => show(item),
        other => go_syntax(other),
    }
}
