//! Strategic merge patch: merge patch that knows which lists are merged by key, with its directives.
//!
//! `$patch: delete|replace|merge`, `$deleteFromPrimitiveList/x`, `$setElementOrder/x`, `$retainKeys`, as upstream's
//! `apimachinery/pkg/util/strategicpatch` applies them.

use serde_json::{Map, Value};

use crate::{json, schema::Schema};

/// Applies `patch` to `original`. The error is upstream's text.
pub(crate) fn merge(original: &Value, patch: &Value, schema: Option<&Schema>) -> Result<Value, String> {
    match (original, patch) {
        (Value::Object(original), Value::Object(patch)) => {
            merge_maps(original, patch, schema).map(Value::Object)
        }
        _ => Ok(patch.clone()),
    }
}

fn directive(map: &Map<String, Value>) -> Option<&str> {
    map.get("$patch").and_then(Value::as_str)
}

fn merge_maps(
    original: &Map<String, Value>,
    patch: &Map<String, Value>,
    schema: Option<&Schema>,
) -> Result<Map<String, Value>, String> {
    match directive(patch) {
        Some("replace") => {
            let mut out = patch.clone();
            out.shift_remove("$patch");
            return Ok(strip(out));
        }
        Some("delete") => return Ok(Map::new()),
        Some("merge") | None => {}
        Some(other) => return Err(format!("Unknown patch type found: {other}")),
    }
    let mut out = original.clone();
    if let Some(Value::Array(keys)) = patch.get("$retainKeys") {
        out.retain(|key, _| keys.iter().any(|one| one == key));
    }
    for (key, value) in patch {
        if key == "$patch" || key == "$retainKeys" || key.starts_with("$setElementOrder/") {
            continue;
        }
        if let Some(field) = key.strip_prefix("$deleteFromPrimitiveList/") {
            if let (Some(Value::Array(items)), Value::Array(gone)) = (out.get_mut(field), value) {
                items.retain(|item| !gone.contains(item));
            }
            continue;
        }
        let child = schema.and_then(|schema| schema.child(key));
        let order = patch
            .get(&format!("$setElementOrder/{key}"))
            .and_then(Value::as_array);
        match (out.get(key), value) {
            (_, Value::Null) => {
                out.shift_remove(key);
            }
            (Some(Value::Object(old)), Value::Object(new)) => {
                if directive(new) == Some("delete") {
                    out.shift_remove(key);
                    continue;
                }
                let merged = merge_maps(old, new, child)?;
                out.insert(key.clone(), Value::Object(merged));
            }
            (Some(Value::Array(old)), Value::Array(new)) if child.is_some_and(|child| child.patch_merge) => {
                let merged = merge_lists(old, new, order, child)?;
                out.insert(key.clone(), Value::Array(merged));
            }
            (None, Value::Object(new)) => {
                if directive(new) != Some("delete") {
                    out.insert(key.clone(), Value::Object(merge_maps(&Map::new(), new, child)?));
                }
            }
            (None, Value::Array(new)) if child.is_some_and(|child| child.patch_merge) => {
                out.insert(key.clone(), Value::Array(merge_lists(&[], new, order, child)?));
            }
            (_, value) => {
                out.insert(key.clone(), value.clone());
            }
        }
    }
    // An order can come without a change of items.
    for (key, order) in patch {
        let Some(field) = key.strip_prefix("$setElementOrder/") else {
            continue;
        };
        if patch.contains_key(field) {
            continue;
        }
        let child = schema.and_then(|schema| schema.child(field));
        if let (Some(Value::Array(items)), Value::Array(order)) = (out.get(field), order) {
            let sorted = in_order(
                items.clone(),
                order,
                child.and_then(|child| child.patch_merge_key.as_deref()),
            );
            out.insert(field.to_owned(), Value::Array(sorted));
        }
    }
    Ok(out)
}

/// Removes directives from what is taken over as it is.
fn strip(map: Map<String, Value>) -> Map<String, Value> {
    map.into_iter().filter(|(key, _)| !key.starts_with('$')).collect()
}

fn merge_lists(
    old: &[Value],
    new: &[Value],
    order: Option<&Vec<Value>>,
    schema: Option<&Schema>,
) -> Result<Vec<Value>, String> {
    let Some(key) = schema.and_then(|schema| schema.patch_merge_key.as_deref()) else {
        let mut out = old.to_vec();
        out.extend(new.iter().filter(|item| !old.contains(item)).cloned());
        return Ok(match order {
            Some(order) => in_order(out, order, None),
            None => out,
        });
    };
    let items = schema.and_then(|schema| schema.items.as_deref());
    let directive_of = |item: &Value| item.as_object().and_then(directive).map(str::to_owned);
    if new
        .iter()
        .any(|item| directive_of(item).as_deref() == Some("replace"))
    {
        let kept = new.iter().filter(|item| directive_of(item).is_none());
        return Ok(kept.cloned().collect());
    }
    let mut out = old.to_vec();
    for item in new {
        let Value::Object(map) = item else {
            return Err("expected an object in a list with a merge key".to_owned());
        };
        let Some(id) = map.get(key) else {
            return Err(format!(
                "map: {} does not contain declared merge key: {key}",
                go_map(item)
            ));
        };
        let at = out.iter().position(|old| old.get(key) == Some(id));
        if directive(map) == Some("delete") {
            out.retain(|old| old.get(key) != Some(id));
            continue;
        }
        match at {
            Some(at) => out[at] = merge(&out[at], item, items)?,
            None => out.push(merge(&Value::Object(Map::new()), item, items)?),
        }
    }
    Ok(match order {
        Some(order) => in_order(out, order, Some(key)),
        None => out,
    })
}

fn go_map(value: &Value) -> String {
    let text = json::to_string(value);
    text.replace(['{', '}'], "").replace('"', "")
}

/// Items in the order that the patch gives; those it does not name stay behind what they followed.
fn in_order(items: Vec<Value>, order: &[Value], key: Option<&str>) -> Vec<Value> {
    let id = |item: &Value| match key {
        Some(key) => item.get(key).cloned().unwrap_or_default(),
        None => item.clone(),
    };
    let place = |item: &Value| order.iter().position(|one| id(one) == id(item));
    let (mut named, others): (Vec<_>, Vec<_>) = items
        .into_iter()
        .enumerate()
        .partition(|(_, item)| place(item).is_some());
    named.sort_by_key(|(_, item)| place(item));
    let mut out: Vec<Value> = Vec::new();
    let mut others = others.into_iter().peekable();
    for (at, item) in named {
        while let Some((_, other)) = others.next_if(|(before, _)| *before < at) {
            out.push(other);
        }
        out.push(item);
    }
    out.extend(others.map(|(_, item)| item));
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        Schema::parse(&json!({"type": "object", "properties": {
            "c": {"type": "array", "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "name",
                  "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
            "f": {"type": "array", "x-kubernetes-patch-strategy": "merge", "items": {"type": "string"}},
            "plain": {"type": "array", "items": {"type": "string"}}}}))
    }

    #[track_caller]
    fn check(original: Value, patch: Value, expected: Value) {
        assert_eq!(merge(&original, &patch, Some(&schema())).unwrap(), expected);
    }

    #[test]
    fn lists_with_keys_merge() {
        check(
            json!({"c": [{"name": "a", "v": 1}, {"name": "b"}]}),
            json!({"c": [{"name": "a", "w": 2}, {"name": "c"}]}),
            json!({"c": [{"name": "a", "v": 1, "w": 2}, {"name": "b"}, {"name": "c"}]}),
        );
        check(
            json!({"c": [{"name": "a"}, {"name": "b"}]}),
            json!({"c": [{"name": "a", "$patch": "delete"}]}),
            json!({"c": [{"name": "b"}]}),
        );
        check(
            json!({"c": [{"name": "a"}]}),
            json!({"c": [{"$patch": "replace"}, {"name": "z"}]}),
            json!({"c": [{"name": "z"}]}),
        );
        check(
            json!({"plain": ["a"]}),
            json!({"plain": ["b"]}),
            json!({"plain": ["b"]}),
        );
        check(
            json!({"f": ["a"]}),
            json!({"f": ["a", "b"]}),
            json!({"f": ["a", "b"]}),
        );
    }

    #[test]
    fn directives() {
        check(
            json!({"f": ["a", "b"]}),
            json!({"$deleteFromPrimitiveList/f": ["a"]}),
            json!({"f": ["b"]}),
        );
        check(
            json!({"c": [{"name": "a"}, {"name": "b"}]}),
            json!({"$setElementOrder/c": [{"name": "b"}, {"name": "a"}], "c": [{"name": "a", "v": 1}]}),
            json!({"c": [{"name": "b"}, {"name": "a", "v": 1}]}),
        );
        check(
            json!({"m": {"x": 1, "y": 2}}),
            json!({"m": {"$retainKeys": ["y", "z"], "z": 3}}),
            json!({"m": {"y": 2, "z": 3}}),
        );
        check(
            json!({"m": {"x": 1}}),
            json!({"m": {"$patch": "replace", "y": 2}}),
            json!({"m": {"y": 2}}),
        );
        check(
            json!({"m": {"x": 1}, "n": 1}),
            json!({"m": {"$patch": "delete"}, "n": null}),
            json!({}),
        );
    }
}
