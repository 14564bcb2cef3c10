//! JSON patch (with the library's leniencies that upstream's clients rely on) and merge patch.

use serde_json::{Map, Value};

use crate::meta::go_kind;

/// The operations of a JSON patch document. The error is the decoder's text.
pub(crate) fn read_operations(document: &Value) -> Result<Vec<&Map<String, Value>>, String> {
    let Value::Array(items) = document else {
        return Err(format!(
            "json: cannot unmarshal {} into Go value of type []handlers.jsonPatchOp",
            go_kind(document)
        ));
    };
    items
        .iter()
        .map(|item| {
            item.as_object().ok_or_else(|| {
                format!(
                    "json: cannot unmarshal {} into Go value of type handlers.jsonPatchOp",
                    go_kind(item)
                )
            })
        })
        .collect()
}

/// Why a patch cannot be applied; upstream tells all of them alike.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unappliable;

fn tokens(path: &str) -> Result<Vec<String>, Unappliable> {
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let rest = path.strip_prefix('/').ok_or(Unappliable)?;
    Ok(rest
        .split('/')
        .map(|token| token.replace("~1", "/").replace("~0", "~"))
        .collect())
}

fn index(token: &str, len: usize, adding: bool) -> Result<usize, Unappliable> {
    let number: i64 = token.parse().map_err(|_| Unappliable)?;
    let len_signed = i64::try_from(len).map_err(|_| Unappliable)?;
    // An index from the end: -1 is the last place.
    let at = if number < 0 {
        number + len_signed + i64::from(adding)
    } else {
        number
    };
    let max = if adding { len_signed } else { len_signed - 1 };
    if (0..=max).contains(&at) {
        usize::try_from(at).map_err(|_| Unappliable)
    } else {
        Err(Unappliable)
    }
}

fn find<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |at, token| match at {
        Value::Object(map) => map.get(token),
        Value::Array(items) => items.get(index(token, items.len(), false).ok()?),
        _ => None,
    })
}

fn find_mut<'a>(value: &'a mut Value, path: &[String]) -> Result<&'a mut Value, Unappliable> {
    let mut at = value;
    for token in path {
        at = match at {
            Value::Object(map) => map.get_mut(token).ok_or(Unappliable)?,
            Value::Array(items) => {
                let place = index(token, items.len(), false)?;
                &mut items[place]
            }
            _ => return Err(Unappliable),
        };
    }
    Ok(at)
}

fn add(value: &mut Value, path: &[String], new: Value) -> Result<(), Unappliable> {
    let Some((last, parent)) = path.split_last() else {
        *value = new;
        return Ok(());
    };
    match find_mut(value, parent)? {
        Value::Object(map) => {
            map.insert(last.clone(), new);
        }
        Value::Array(items) if last == "-" => items.push(new),
        Value::Array(items) => {
            let place = index(last, items.len(), true)?;
            items.insert(place, new);
        }
        _ => return Err(Unappliable),
    }
    Ok(())
}

fn remove(value: &mut Value, path: &[String]) -> Result<Value, Unappliable> {
    let (last, parent) = path.split_last().ok_or(Unappliable)?;
    match find_mut(value, parent)? {
        Value::Object(map) => map.shift_remove(last).ok_or(Unappliable),
        Value::Array(items) => {
            let place = index(last, items.len(), false)?;
            Ok(items.remove(place))
        }
        _ => Err(Unappliable),
    }
}

fn replace(value: &mut Value, path: &[String], new: Value) -> Result<(), Unappliable> {
    let Some((last, parent)) = path.split_last() else {
        *value = new;
        return Ok(());
    };
    match find_mut(value, parent)? {
        // Upstream's library replaces what is absent.
        Value::Object(map) => {
            map.insert(last.clone(), new);
        }
        Value::Array(items) => {
            let place = index(last, items.len(), false)?;
            items[place] = new;
        }
        _ => return Err(Unappliable),
    }
    Ok(())
}

/// Applies a JSON patch.
pub(crate) fn apply_json_patch(
    value: &mut Value,
    operations: &[&Map<String, Value>],
) -> Result<(), Unappliable> {
    for operation in operations {
        let text = |key: &str| operation.get(key).and_then(Value::as_str);
        let path = tokens(text("path").ok_or(Unappliable)?)?;
        let given = operation.get("value").cloned().unwrap_or(Value::Null);
        let from = || tokens(text("from").ok_or(Unappliable)?);
        match text("op").unwrap_or("") {
            "add" => add(value, &path, given)?,
            "remove" => {
                remove(value, &path)?;
            }
            "replace" => replace(value, &path, given)?,
            "move" => {
                let moved = remove(value, &from()?)?;
                add(value, &path, moved)?;
            }
            "copy" => {
                let from = from()?;
                if let Some((_, parent)) = from.split_last()
                    && find(value, parent).is_none()
                {
                    return Err(Unappliable);
                }
                let copied = find(value, &from).cloned().unwrap_or(Value::Null);
                add(value, &path, copied)?;
            }
            "test" => {
                let found = find(value, &path).unwrap_or(&Value::Null);
                if *found != given {
                    return Err(Unappliable);
                }
            }
            _ => return Err(Unappliable),
        }
    }
    Ok(())
}

/// RFC 7386.
pub(crate) fn apply_merge_patch(value: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let Value::Object(map) = value else { return };
    for (key, change) in patch {
        if change.is_null() {
            map.shift_remove(key);
        } else {
            apply_merge_patch(map.entry(key.clone()).or_insert(Value::Null), change);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(mut value: Value, patch: Value, expected: Option<Value>) {
        let result = apply_json_patch(&mut value, &read_operations(&patch).unwrap());
        assert_eq!(result.ok().map(|()| value), expected, "{patch}");
    }

    #[test]
    fn json_patches() {
        let object = || json!({"a": {"b/c": 1}, "l": [1, 2]});
        check(
            object(),
            json!([{"op": "add", "path": "/l/-", "value": 3}]),
            Some(json!({"a": {"b/c": 1}, "l": [1, 2, 3]})),
        );
        check(
            object(),
            json!([{"op": "remove", "path": "/l/-1"}]),
            Some(json!({"a": {"b/c": 1}, "l": [1]})),
        );
        check(
            object(),
            json!([{"op": "replace", "path": "/a/none", "value": 5}]),
            Some(json!({"a": {"b/c": 1, "none": 5}, "l": [1, 2]})),
        );
        check(
            object(),
            json!([{"op": "move", "from": "/a/b~1c", "path": "/z"}]),
            Some(json!({"a": {}, "l": [1, 2], "z": 1})),
        );
        check(
            object(),
            json!([{"op": "test", "path": "/l/0", "value": 2}]),
            None,
        );
        check(
            object(),
            json!([{"op": "add", "path": "/none/x", "value": 2}]),
            None,
        );
        check(
            object(),
            json!([{"op": "add", "path": "/l/50", "value": 2}]),
            None,
        );
        check(object(), json!([{"op": "frob", "path": "/l/0"}]), None);
    }

    #[test]
    fn merge_patches() {
        let mut value = json!({"a": {"b": 1, "c": [1]}, "d": 1});
        apply_merge_patch(
            &mut value,
            &json!({"a": {"b": null, "c": [2]}, "d": {"e": null, "f": 1}}),
        );
        assert_eq!(value, json!({"a": {"c": [2]}, "d": {"f": 1}}));
    }
}
