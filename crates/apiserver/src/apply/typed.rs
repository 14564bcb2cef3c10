//! Comparing, merging and pruning trees under a schema, as upstream's `typed` package does.
//!
//! A node without a schema is treated as upstream's "deduced" type: maps by key, lists and scalars as a whole.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::fields::{Element, FieldSet};
use crate::{
    json,
    meta::go_kind,
    schema::{JsonType, ListKind, Schema},
};

/// What two trees differ in.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) added: FieldSet,
    pub(super) modified: FieldSet,
    pub(super) removed: FieldSet,
}

impl Comparison {
    pub(super) fn each(&mut self, change: impl Fn(&mut FieldSet)) {
        change(&mut self.added);
        change(&mut self.modified);
        change(&mut self.removed);
    }
}

fn is_granular_map(value: &Value, schema: Option<&Schema>) -> bool {
    value.is_object() && !schema.is_some_and(|schema| schema.map_atomic)
}

fn list_kind(schema: Option<&Schema>) -> ListKind {
    schema.map_or(ListKind::Atomic, |schema| schema.list_kind)
}

fn items_of(schema: Option<&Schema>) -> Option<&Schema> {
    schema.and_then(|schema| schema.items.as_deref())
}

fn child_of<'a>(schema: Option<&'a Schema>, key: &str) -> Option<&'a Schema> {
    schema.and_then(|schema| schema.child(key))
}

/// The path element of an item of a set or map list. The error is upstream's text.
fn element_of(item: &Value, index: usize, schema: &Schema) -> Result<Element, String> {
    if schema.list_kind == ListKind::Set {
        return Ok(Element::Item(json::to_string(item)));
    }
    let Some(map) = item.as_object() else {
        return Err(format!(
            "element {index}: associative list with keys may not have non-map elements"
        ));
    };
    let mut keys = Map::new();
    for key in &schema.list_keys {
        let default = || child_of(schema.items.as_deref(), key).and_then(|child| child.default.clone());
        match map.get(key).cloned().or_else(default) {
            Some(value) => {
                keys.insert(key.clone(), value);
            }
            None => {
                return Err(format!(
                    "element {index}: associative list with keys has an element that omits key field \"{key}\" (and doesn't have default value)"
                ));
            }
        }
    }
    Ok(Element::Key(json::to_string(&Value::Object(keys))))
}

/// The items of a list by element; `None` if it is to be treated as a whole.
fn elements<'a>(items: &'a [Value], schema: Option<&Schema>) -> Option<Vec<(Element, &'a Value)>> {
    let schema = schema.filter(|schema| schema.list_kind != ListKind::Atomic)?;
    items
        .iter()
        .enumerate()
        .map(|(index, item)| Some((element_of(item, index, schema).ok()?, item)))
        .collect()
}

/// Every path of a tree, as an applied configuration owns it.
pub(super) fn to_set(value: &Value, schema: Option<&Schema>) -> FieldSet {
    let mut out = FieldSet::default();
    collect(value, schema, &mut out);
    out
}

fn collect(value: &Value, schema: Option<&Schema>, out: &mut FieldSet) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let child = child_of(schema, key);
                let named = schema.is_some_and(|schema| schema.properties.contains_key(key));
                let element = Element::Field(key.clone());
                let whole = is_whole(value, child);
                if !whole {
                    collect(value, child, out.below_mut(element.clone()));
                }
                let empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
                if whole || empty || !named {
                    out.insert(element);
                }
            }
        }
        Value::Array(items) => {
            for (element, item) in elements(items, schema).unwrap_or_default() {
                let child = items_of(schema);
                if !is_whole(item, child) {
                    collect(item, child, out.below_mut(element.clone()));
                }
                out.insert(element);
            }
        }
        _ => {}
    }
}

/// Whether a value is owned as one: scalars, atomic maps, atomic lists.
fn is_whole(value: &Value, schema: Option<&Schema>) -> bool {
    match value {
        Value::Object(_) => !is_granular_map(value, schema),
        Value::Array(items) => list_kind(schema) == ListKind::Atomic || elements(items, schema).is_none(),
        _ => true,
    }
}

/// What changes from `old` to `new`.
pub(super) fn compare(old: &Value, new: &Value, schema: Option<&Schema>) -> Comparison {
    let mut out = Comparison::default();
    compare_below(Some(old), Some(new), schema, &mut out);
    out
}

fn compare_below(old: Option<&Value>, new: Option<&Value>, schema: Option<&Schema>, out: &mut Comparison) {
    let empty = Map::new();
    match (old, new) {
        (Some(Value::Object(_)) | None, Some(Value::Object(_)) | None) => {
            let old = old.and_then(Value::as_object).unwrap_or(&empty);
            let new = new.and_then(Value::as_object).unwrap_or(&empty);
            for key in old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))) {
                compare_entry(
                    Element::Field(key.clone()),
                    old.get(key),
                    new.get(key),
                    child_of(schema, key),
                    out,
                );
            }
        }
        (Some(Value::Array(_)) | None, Some(Value::Array(_)) | None) => {
            let list = |value: Option<&Value>| -> BTreeMap<Element, Vec<Value>> {
                let mut out: BTreeMap<Element, Vec<Value>> = BTreeMap::new();
                if let Some(Value::Array(items)) = value {
                    for (element, item) in elements(items, schema).unwrap_or_default() {
                        out.entry(element).or_default().push(item.clone());
                    }
                }
                out
            };
            let (old, new) = (list(old), list(new));
            let all: BTreeSet<&Element> = old.keys().chain(new.keys()).collect();
            for element in all {
                let (a, b) = (old.get(element), new.get(element));
                if a.is_some_and(|a| a.len() > 1) || b.is_some_and(|b| b.len() > 1) {
                    match (a, b) {
                        (None, _) => out.added.insert(element.clone()),
                        (_, None) => out.removed.insert(element.clone()),
                        (a, b) if a != b => out.modified.insert(element.clone()),
                        _ => {}
                    }
                    continue;
                }
                let first = |items: Option<&Vec<Value>>| items.and_then(|items| items.first().cloned());
                let (a, b) = (first(a), first(b));
                compare_entry(element.clone(), a.as_ref(), b.as_ref(), items_of(schema), out);
            }
        }
        _ => {}
    }
}

fn compare_entry(
    element: Element,
    old: Option<&Value>,
    new: Option<&Value>,
    schema: Option<&Schema>,
    out: &mut Comparison,
) {
    if old == new {
        return;
    }
    match (old, new) {
        (None, Some(_)) => out.added.insert(element.clone()),
        (Some(_), None) => out.removed.insert(element.clone()),
        (Some(a), Some(b)) => {
            let hollow = |value: &Value| match value {
                Value::Null => true,
                Value::Object(map) => map.is_empty(),
                Value::Array(items) => items.is_empty(),
                _ => false,
            };
            let whole = is_whole(a, schema) || is_whole(b, schema);
            // Null takes the form of what it is compared with, so a null list that gets items is a list that gets items.
            let from_null = a.is_null() && !is_whole(b, schema) || b.is_null() && !is_whole(a, schema);
            let kinds_differ = std::mem::discriminant(a) != std::mem::discriminant(b);
            if (hollow(a) && hollow(b)) || !from_null && (whole || kinds_differ) {
                out.modified.insert(element.clone());
            }
        }
        (None, None) => return,
    }
    let granular = |value: Option<&Value>| value.is_some_and(|value| !is_whole(value, schema));
    if granular(old) || granular(new) {
        let old = old.filter(|value| !is_whole(value, schema));
        let new = new.filter(|value| !is_whole(value, schema));
        let mut below = Comparison::default();
        compare_below(old, new, schema, &mut below);
        for (into, from) in [
            (&mut out.added, below.added),
            (&mut out.modified, below.modified),
            (&mut out.removed, below.removed),
        ] {
            if !from.is_empty() {
                *into.below_mut(element.clone()) = from;
            }
        }
    }
}

/// Removes the members of `set` from a tree. `None`: nothing is left of a list or map that had something.
pub(super) fn remove(value: &Value, set: &FieldSet, schema: Option<&Schema>) -> Value {
    match value {
        Value::Object(map) if is_granular_map(value, schema) => {
            let mut out = Map::new();
            for (key, value) in map {
                let element = Element::Field(key.clone());
                if set.has(&element) {
                    continue;
                }
                let value = match set.below(&element) {
                    Some(below) => remove(value, below, child_of(schema, key)),
                    None => value.clone(),
                };
                out.insert(key.clone(), value);
            }
            if out.is_empty() && !map.is_empty() {
                Value::Null
            } else {
                Value::Object(out)
            }
        }
        Value::Array(items) => {
            let Some(all) = elements(items, schema) else {
                return value.clone();
            };
            let mut out = Vec::new();
            for (element, item) in all {
                if set.has(&element) {
                    continue;
                }
                out.push(match set.below(&element) {
                    Some(below) => remove(item, below, items_of(schema)),
                    None => item.clone(),
                });
            }
            if out.is_empty() && !items.is_empty() {
                Value::Null
            } else {
                Value::Array(out)
            }
        }
        other => other.clone(),
    }
}

/// Lays `config` over `live`.
pub(super) fn merge(live: &Value, config: &Value, schema: Option<&Schema>) -> Value {
    match (live, config) {
        (Value::Object(a), Value::Object(b)) if is_granular_map(config, schema) => {
            let mut out = a.clone();
            for (key, value) in b {
                let merged = match a.get(key) {
                    Some(old) => merge(old, value, child_of(schema, key)),
                    None => value.clone(),
                };
                out.insert(key.clone(), merged);
            }
            Value::Object(out)
        }
        (Value::Array(a), Value::Array(b)) => match (elements(a, schema), elements(b, schema)) {
            (Some(a), Some(b)) => Value::Array(merge_lists(&a, &b, schema)),
            _ => config.clone(),
        },
        _ => config.clone(),
    }
}

/// Items of both lists: those of the configuration in its order, those of the live list where they stood.
fn merge_lists(
    live: &[(Element, &Value)],
    config: &[(Element, &Value)],
    schema: Option<&Schema>,
) -> Vec<Value> {
    let in_config: BTreeSet<&Element> = config.iter().map(|(element, _)| element).collect();
    let in_live: BTreeMap<&Element, &Value> = live
        .iter()
        .rev()
        .map(|(element, item)| (element, *item))
        .collect();
    let mut shared = config
        .iter()
        .map(|(element, _)| element)
        .filter(|element| in_live.contains_key(element));
    let mut next_shared = shared.next();
    let mut out = Vec::new();
    let merged = |element: &Element, item: &Value, out: &mut Vec<Value>| {
        out.push(match in_live.get(element) {
            Some(old) => merge(old, item, items_of(schema)),
            None => item.clone(),
        });
    };
    let (mut l, mut r) = (0, 0);
    while l < live.len() || r < config.len() {
        if l < live.len() && r < config.len() && live[l].0 == config[r].0 {
            merged(&config[r].0, config[r].1, &mut out);
            l += 1;
            r += 1;
            next_shared = shared.next();
            continue;
        }
        if l < live.len() {
            let element = &live[l].0;
            if !in_config.contains(element) {
                out.push(live[l].1.clone());
                l += 1;
                continue;
            }
            // It stands elsewhere in the configuration.
            if next_shared != Some(element) {
                l += 1;
                continue;
            }
        }
        if r < config.len() {
            let element = &config[r].0;
            merged(element, config[r].1, &mut out);
            if next_shared == Some(element) {
                next_shared = shared.next();
            }
            r += 1;
        } else {
            l += 1;
        }
    }
    out
}

/// Faults of an applied configuration, in the words of the typed parser.
pub(super) fn faults(value: &Value, schema: Option<&Schema>, path: &str, out: &mut Vec<String>) {
    let Some(schema) = schema else { return };
    if value.is_null() {
        return;
    }
    let got = |value: &Value| match value {
        Value::Object(_) | Value::Array(_) => {
            go_kind(value).replace("object", "map").replace("array", "list")
        }
        Value::Bool(_) => "boolean".to_owned(),
        Value::Number(number) if number.is_f64() => "float".to_owned(),
        Value::Number(_) => "int".to_owned(),
        other => go_kind(other).to_owned(),
    };
    if schema.int_or_string {
        return;
    }
    let mut fault = |text: String| out.push(format!("{path}: {text}"));
    match (schema.kind, value) {
        (JsonType::Integer | JsonType::Number, value) if !value.is_number() => {
            fault(format!("expected numeric (int or float), got {}", got(value)));
        }
        (JsonType::Text, value) if !value.is_string() => {
            fault(format!("expected string, got {}", shown(value)))
        }
        (JsonType::Boolean, value) if !value.is_boolean() => {
            fault(format!("expected boolean, got {}", shown(value)))
        }
        (JsonType::Object, value) if !value.is_object() => {
            fault(format!("expected map, got {}", shown(value)))
        }
        (JsonType::Array, value) if !value.is_array() => {
            fault(format!("expected list, got {}", shown(value)))
        }
        (_, Value::Object(map)) => {
            let open = schema.preserve_unknown
                || schema.additional.is_some()
                || schema.properties.is_empty()
                || schema.kind == JsonType::Any;
            for (key, value) in map {
                let at = format!("{path}.{key}");
                match schema.child(key) {
                    Some(child) => faults(value, Some(child), &at, out),
                    None if open => {}
                    None => out.push(format!("{at}: field not declared in schema")),
                }
            }
        }
        (_, Value::Array(items)) => {
            let mut seen = BTreeSet::new();
            for (index, item) in items.iter().enumerate() {
                let mut at = format!("{path}[{index}]");
                if schema.list_kind != ListKind::Atomic {
                    match element_of(item, index, schema) {
                        Ok(element) => {
                            at = format!("{path}{element}");
                            if !seen.insert(element.clone()) {
                                out.push(format!("{path}: duplicate entries for key {element}"));
                            }
                        }
                        Err(text) => out.push(format!("{path}: {text}")),
                    }
                }
                faults(item, schema.items.as_deref(), &at, out);
            }
        }
        _ => {}
    }
}

/// A value as Go's `%v` prints it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => json::number_text(number),
        Value::Bool(flag) => flag.to_string(),
        Value::Null => "<nil>".to_owned(),
        Value::Array(items) => {
            let all: Vec<String> = items.iter().map(shown).collect();
            format!("&{{[{}]}}", all.join(" "))
        }
        Value::Object(map) => {
            let all: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{key}:{}", shown(value)))
                .collect();
            format!("&{{map[{}]}}", all.join(" "))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        Schema::parse(&json!({"type": "object", "properties": {
            "n": {"type": "integer"},
            "m": {"type": "object", "additionalProperties": {"type": "string"}},
            "s": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            "l": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k", "p"],
                  "items": {"type": "object", "properties": {
                      "k": {"type": "string"}, "p": {"type": "string", "default": "TCP"}, "v": {"type": "integer"}}}},
            "a": {"type": "array", "items": {"type": "string"}}}}))
    }

    #[track_caller]
    fn check_merge(live: Value, config: Value, expected: Value) {
        assert_eq!(merge(&live, &config, Some(&schema())), expected);
    }

    #[test]
    fn lists_merge_by_key_and_keep_their_order() {
        check_merge(
            json!({"s": ["a", "b"]}),
            json!({"s": ["c", "a"]}),
            json!({"s": ["c", "a", "b"]}),
        );
        check_merge(
            json!({"s": ["x", "a", "y", "b"]}),
            json!({"s": ["b", "a"]}),
            json!({"s": ["x", "y", "b", "a"]}),
        );
        check_merge(json!({"a": ["x"]}), json!({"a": ["y"]}), json!({"a": ["y"]}));
        check_merge(
            json!({"l": [{"k": "a", "p": "TCP", "v": 1}, {"k": "b"}]}),
            json!({"l": [{"k": "a", "v": 2}]}),
            json!({"l": [{"k": "a", "p": "TCP", "v": 2}, {"k": "b"}]}),
        );
    }

    #[test]
    fn a_comparison_names_containers_and_leaves() {
        let made = compare(
            &json!({}),
            &json!({"m": {"x": "1"}, "n": 1, "a": ["q"]}),
            Some(&schema()),
        );
        assert_eq!(made.added.paths(), [".a", ".m", ".m.x", ".n"]);
        let changed = compare(
            &json!({"n": 1, "s": ["a"], "m": {"x": "1", "y": "2"}}),
            &json!({"n": 2, "s": ["b"], "m": {"x": "1"}}),
            Some(&schema()),
        );
        assert_eq!(changed.modified.paths(), [".n"]);
        assert_eq!(changed.added.paths(), [".s[=\"b\"]"]);
        assert_eq!(changed.removed.paths(), [".m.y", ".s[=\"a\"]"]);
    }

    #[test]
    fn an_applied_configuration_owns_leaves_and_keyed_items() {
        let set = to_set(
            &json!({"m": {"x": "1"}, "l": [{"k": "a", "v": 1}], "a": ["q"]}),
            Some(&schema()),
        );
        assert_eq!(
            set.paths(),
            [
                ".a",
                ".l[k=\"a\",p=\"TCP\"]",
                ".l[k=\"a\",p=\"TCP\"].k",
                ".l[k=\"a\",p=\"TCP\"].v",
                ".m.x"
            ]
        );
    }

    #[test]
    fn typed_faults() {
        let mut out = Vec::new();
        faults(
            &json!({"n": "x", "z": 1, "s": ["q", "q"], "l": [{"p": "UDP"}]}),
            Some(&schema()),
            "",
            &mut out,
        );
        assert_eq!(
            out,
            [
                ".n: expected numeric (int or float), got string",
                ".z: field not declared in schema",
                ".s: duplicate entries for key [=\"q\"]",
                ".l: element 0: associative list with keys has an element that omits key field \"k\" (and doesn't have default value)",
            ]
        );
    }
}
