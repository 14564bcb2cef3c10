//! The JSONPath of printer columns: `.spec.x`, `.status.conditions[?(@.type=="Ready")].status`, `[0]`, `['a.b']`, `[*]`.

use serde_json::Value;

use crate::json;

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    Filter {
        path: Vec<String>,
        equal: bool,
        value: Value,
    },
}

/// A parsed path.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct JsonPath {
    steps: Vec<Step>,
}

impl JsonPath {
    /// Reads a path; `None` if it is not one this dialect knows.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim().trim_start_matches('{').trim_end_matches('}');
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(tail) = rest.strip_prefix('.') {
                if tail.starts_with('[') || tail.is_empty() {
                    rest = tail;
                    continue;
                }
                let mut name = String::new();
                let mut chars = tail.char_indices();
                let mut end = tail.len();
                while let Some((at, c)) = chars.next() {
                    match c {
                        '\\' => {
                            if let Some((_, c)) = chars.next() {
                                name.push(c);
                            }
                        }
                        '.' | '[' => {
                            end = at;
                            break;
                        }
                        c => name.push(c),
                    }
                }
                rest = &tail[end..];
                steps.push(if name == "*" { Step::All } else { Step::Field(name) });
            } else if let Some(tail) = rest.strip_prefix("[?(") {
                let end = tail.find(")]")?;
                steps.push(filter(&tail[..end])?);
                rest = &tail[end + 2..];
            } else if let Some(tail) = rest.strip_prefix('[') {
                let end = tail.find(']')?;
                let inside = tail[..end].trim();
                steps.push(match inside {
                    "*" => Step::All,
                    quoted if quoted.starts_with(['\'', '"']) => {
                        Step::Field(quoted.trim_matches(['\'', '"']).to_owned())
                    }
                    index => Step::Index(index.parse().ok()?),
                });
                rest = &tail[end + 1..];
            } else {
                return None;
            }
        }
        Some(Self { steps })
    }

    /// Everything the path leads to.
    pub(crate) fn find<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        let mut now = vec![value];
        for step in &self.steps {
            now = now
                .into_iter()
                .flat_map(|value| -> Vec<&Value> {
                    match (step, value) {
                        (Step::Field(name), Value::Object(map)) => map.get(name).into_iter().collect(),
                        (Step::Index(index), Value::Array(items)) => {
                            let at = if *index < 0 {
                                items.len() as i64 + index
                            } else {
                                *index
                            };
                            usize::try_from(at)
                                .ok()
                                .and_then(|at| items.get(at))
                                .into_iter()
                                .collect()
                        }
                        (Step::All, Value::Array(items)) => items.iter().collect(),
                        (Step::All, Value::Object(map)) => map.values().collect(),
                        (
                            Step::Filter {
                                path,
                                equal,
                                value: wanted,
                            },
                            Value::Array(items),
                        ) => items
                            .iter()
                            .filter(|item| {
                                let found = path.iter().try_fold(*item, |at, key| at.get(key));
                                found.is_some_and(|found| (found == wanted) == *equal)
                            })
                            .collect(),
                        _ => Vec::new(),
                    }
                })
                .collect();
        }
        now
    }
}

fn filter(text: &str) -> Option<Step> {
    let (left, right, equal) = match text.split_once("==") {
        Some((left, right)) => (left, right, true),
        None => {
            let (left, right) = text.split_once("!=")?;
            (left, right, false)
        }
    };
    let path = left
        .trim()
        .strip_prefix("@.")?
        .split('.')
        .map(str::to_owned)
        .collect();
    let right = right.trim();
    let value = match right.strip_prefix(['\'', '"']) {
        Some(_) => Value::String(right.trim_matches(['\'', '"']).to_owned()),
        None => json::parse(right.as_bytes()).ok()?.value,
    };
    Some(Step::Filter { path, equal, value })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(path: &str, expected: &[Value]) {
        let value = json!({"a": {"b.c": 1, "l": [{"t": "x", "v": 1}, {"t": "y", "v": 2}]}});
        let found: Vec<Value> = JsonPath::parse(path)
            .unwrap()
            .find(&value)
            .into_iter()
            .cloned()
            .collect();
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn paths() {
        check(".a.l[1].v", &[json!(2)]);
        check(".a.l[-1].t", &[json!("y")]);
        check(".a.l[*].t", &[json!("x"), json!("y")]);
        check(r#".a.l[?(@.t=="y")].v"#, &[json!(2)]);
        check(r".a.b\.c", &[json!(1)]);
        check(".a['b.c']", &[json!(1)]);
        check(".nope.x", &[]);
        assert!(JsonPath::parse("spec.x").is_none());
    }
}
