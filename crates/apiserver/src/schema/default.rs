//! Defaults from the schema, and the nulls that they or nothing replace.

use serde_json::Value;

use super::structural::{Additional, Schema};

/// Inserts defaults for what is absent, and for nulls that may not be.
pub(crate) fn apply_defaults(value: &mut Value, schema: &Schema) {
    if !schema.has_defaults {
        return;
    }
    match value {
        Value::Object(map) => {
            for (key, child) in &schema.properties {
                if let Some(default) = &child.default {
                    match map.get(key) {
                        None => {
                            map.insert(key.clone(), default.clone());
                        }
                        Some(Value::Null) if !child.nullable => {
                            map.insert(key.clone(), default.clone());
                        }
                        Some(_) => {}
                    }
                }
            }
            for (key, value) in map.iter_mut() {
                match (schema.properties.get(key), &schema.additional) {
                    (Some(child), _) => apply_defaults(value, child),
                    (None, Some(Additional::Schema(child))) => {
                        if value.is_null()
                            && !child.nullable
                            && let Some(default) = &child.default
                        {
                            *value = default.clone();
                        }
                        apply_defaults(value, child);
                    }
                    _ => {}
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = &schema.items {
                for item in items {
                    if item.is_null()
                        && !schema.nullable
                        && let Some(default) = &schema.default
                    {
                        *item = default.clone();
                    }
                    apply_defaults(item, schema);
                }
            }
        }
        _ => {}
    }
}

/// Removes nulls of fields that are not nullable and have no default. Items of lists stay, and fail later.
pub(crate) fn drop_nulls(value: &mut Value, schema: &Schema) {
    match value {
        Value::Object(map) => map.retain(|key, value| {
            let Some(child) = schema.child(key) else {
                return true;
            };
            if value.is_null() && !child.nullable && child.default.is_none() {
                return false;
            }
            drop_nulls(value, child);
            true
        }),
        Value::Array(items) => {
            if let Some(schema) = &schema.items {
                for item in items {
                    drop_nulls(item, schema);
                }
            }
        }
        _ => {}
    }
}
