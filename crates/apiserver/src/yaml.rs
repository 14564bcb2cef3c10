//! YAML in and out, as `sigs.k8s.io/yaml` does it: through JSON.

use serde_json::{Map, Value};

use crate::json;

/// Reads one YAML document into a JSON tree. YAML 1.1: `y` is true.
pub(crate) fn parse(text: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(text).map_err(|_| "yaml: invalid UTF-8".to_owned())?;
    // JSON is YAML, and most bodies that say YAML are JSON.
    if text.trim_start().starts_with('{')
        && let Ok(parsed) = json::parse(text.as_bytes())
    {
        return Ok(parsed.value);
    }
    let mut value: Value = serde_saphyr::from_str(text).map_err(|error| explain(&error.to_string()))?;
    settle(&mut value);
    Ok(value)
}

/// The part of the parser's text that upstream's has too.
fn explain(error: &str) -> String {
    let line: u32 = error
        .split("line ")
        .nth(1)
        .and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next())
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(1);
    format!(
        "yaml: line {}: did not find expected node content",
        line.saturating_sub(1).max(1)
    )
}

/// Whole floats become integers, as they do on the way through Go's JSON.
fn settle(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            *value = json::number_value(number.as_f64().unwrap_or(0.0))
        }
        Value::Array(items) => items.iter_mut().for_each(settle),
        Value::Object(map) => map.values_mut().for_each(settle),
        _ => {}
    }
}

/// Writes a tree, keys sorted, lists not indented.
pub(crate) fn to_string(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => write_map(map, 0, &mut out),
        Value::Array(items) if !items.is_empty() => write_list(items, 0, &mut out),
        scalar => {
            write_scalar(scalar, 0, &mut out);
            out.push('\n');
        }
    }
    out
}

fn write_map(map: &Map<String, Value>, indent: usize, out: &mut String) {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_by(|a, b| a.0.cmp(b.0));
    for (index, (key, value)) in entries.into_iter().enumerate() {
        if index > 0 {
            out.push_str(&" ".repeat(indent));
        }
        out.push_str(&plain_or_quoted(key));
        out.push(':');
        match value {
            Value::Object(map) if !map.is_empty() => {
                out.push('\n');
                out.push_str(&" ".repeat(indent + 2));
                write_map(map, indent + 2, out);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                out.push_str(&" ".repeat(indent));
                write_list(items, indent, out);
            }
            scalar => {
                out.push(' ');
                write_scalar(scalar, indent + 2, out);
                out.push('\n');
            }
        }
    }
}

fn write_list(items: &[Value], indent: usize, out: &mut String) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(&" ".repeat(indent));
        }
        out.push_str("- ");
        match item {
            Value::Object(map) if !map.is_empty() => write_map(map, indent + 2, out),
            Value::Array(items) if !items.is_empty() => write_list(items, indent + 2, out),
            scalar => {
                write_scalar(scalar, indent + 2, out);
                out.push('\n');
            }
        }
    }
}

fn write_scalar(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&json::number_text(number)),
        Value::String(text)
            if text.contains('\n') && !text.starts_with([' ', '\n']) && !text.contains('\r') =>
        {
            let (mark, body) = match text.strip_suffix('\n') {
                Some(body) if !body.ends_with('\n') => ("|", body),
                Some(_) => ("|+", text.trim_end_matches('\n')),
                None => ("|-", text.as_str()),
            };
            out.push_str(mark);
            for line in body.split('\n') {
                out.push('\n');
                if !line.is_empty() {
                    out.push_str(&" ".repeat(indent));
                    out.push_str(line);
                }
            }
        }
        Value::String(text) => out.push_str(&plain_or_quoted(text)),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
}

fn plain_or_quoted(text: &str) -> String {
    const WORDS: [&str; 14] = [
        "", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n", ".inf", ".nan", "-",
    ];
    let reserved = WORDS.contains(&text.to_ascii_lowercase().as_str());
    let numeric = text.parse::<f64>().is_ok()
        || text
            .bytes()
            .next()
            .is_some_and(|c| c.is_ascii_digit() || b"+-.".contains(&c))
            && text
                .bytes()
                .all(|c| c.is_ascii_digit() || b"+-._:eExXoabcdefABCDEF".contains(&c));
    let timelike =
        text.len() >= 10 && text.as_bytes()[4] == b'-' && text.bytes().take(4).all(|c| c.is_ascii_digit());
    let odd_start = text.starts_with(|c: char| "!&*-?{}[]|>@`\"'#%,: ".contains(c))
        && !(text.starts_with('-') && text.len() > 1 && !text.starts_with("- "));
    let odd_inside = text.contains(": ")
        || text.contains(" #")
        || text.ends_with([':', ' '])
        || text.contains(['\n', '\t', '\r']);
    if text.chars().any(|c| c.is_control()) {
        return crate::status::quote(text);
    }
    if reserved || numeric || timelike {
        return format!("\"{text}\"");
    }
    if odd_start || odd_inside {
        return format!("'{}'", text.replace('\'', "''"));
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn yaml_1_1_in() {
        let value = parse(b"a: y\nb: 3\nc: \"7\"\nd: 1.0\n").unwrap();
        assert_eq!(value, json!({"a": true, "b": 3, "c": "7", "d": 1}));
    }

    #[test]
    fn out_as_upstream_writes_it() {
        let value =
            json!({"b": [{"x": 1, "a": "t"}, []], "a": {"k": "yes", "n": null, "text": "l1\nl2\n"}, "c": {}});
        assert_eq!(
            to_string(&value),
            "a:\n  k: \"yes\"\n  \"n\": null\n  text: |\n    l1\n    l2\nb:\n- a: t\n  x: 1\n- []\nc: {}\n"
        );
        assert_eq!(parse(to_string(&value).as_bytes()).unwrap(), value);
    }
}
