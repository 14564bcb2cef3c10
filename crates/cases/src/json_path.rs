//! Paths into JSON documents, and readable differences between two of them.
//!
//! The syntax is what people type into jq: `.items[0].name`, `.labels["app.kubernetes.io/name"]`, a leading `$` is
//! allowed, `.` is the whole document, a negative index counts from the end. It names one place on purpose: a test
//! that needs a query is better served by `exec` and jq itself.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

/// More differences than this say nothing more.
const DIFFERENCES_MAX: usize = 20;

/// One place in a JSON document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Key(String),
    Index(i64),
}

/// A path that does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at character {at} of `{path}`")]
pub struct JsonPathError {
    reason: &'static str,
    at: usize,
    path: String,
}

/// Why a path leads nowhere in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotThere {
    /// How far the path leads.
    pub reached: String,
    /// What is there, and why it does not go on.
    pub reason: String,
}

/// One place where two documents differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The place.
    pub path: String,
    /// What was expected there; `None` when nothing was.
    pub expected: Option<Value>,
    /// What is there; `None` when nothing is.
    pub seen: Option<Value>,
}

impl JsonPath {
    /// The value at this place.
    ///
    /// # Errors
    ///
    /// When the document has no such place: how far the path leads and what is there.
    pub fn find<'v>(&self, document: &'v Value) -> Result<&'v Value, NotThere> {
        let mut value = document;
        for (depth, segment) in self.segments.iter().enumerate() {
            let next = match (segment, value) {
                (Segment::Key(key), Value::Object(map)) => map.get(key).ok_or_else(|| {
                    let mut keys = map
                        .keys()
                        .take(8)
                        .map(|key| format!("`{key}`"))
                        .collect::<Vec<_>>();
                    if map.len() > keys.len() {
                        keys.push("…".to_owned());
                    }
                    match keys.is_empty() {
                        true => format!("an empty object, without `{key}`"),
                        false => format!("an object without `{key}` (it has {})", keys.join(", ")),
                    }
                }),
                (Segment::Index(index), Value::Array(items)) => usize::try_from(*index)
                    .ok()
                    .or_else(|| {
                        items
                            .len()
                            .checked_sub(usize::try_from(index.unsigned_abs()).ok()?)
                    })
                    .and_then(|index| items.get(index))
                    .ok_or_else(|| format!("an array of {}, without [{index}]", items.len())),
                (_, other) => Err(format!("{}, not {}", kind(other), segment.container())),
            };
            value = next.map_err(|reason| NotThere {
                reached: Self::display(&self.segments[..depth]),
                reason,
            })?;
        }
        Ok(value)
    }

    /// This path, then one within what stands there, as a [`Difference`] has it.
    #[must_use]
    pub fn join(&self, within: &str) -> String {
        match (self.segments.is_empty(), within) {
            (true, within) => within.to_owned(),
            (false, ".") => self.to_string(),
            (false, within) => {
                // `.` followed by an index is only the spelling of a bracket at the start.
                let within = if within.starts_with(".[") {
                    &within[1..]
                } else {
                    within
                };
                format!("{self}{within}")
            }
        }
    }

    fn display(segments: &[Segment]) -> String {
        use fmt::Write as _;
        let mut text = String::new();
        for segment in segments {
            let written = match segment {
                Segment::Index(index) => write!(text, "[{index}]"),
                Segment::Key(key) if is_plain(key) => write!(text, ".{key}"),
                Segment::Key(key) => write!(text, "[{}]", Value::from(key.as_str())),
            };
            debug_assert!(written.is_ok(), "a String can always be written to");
        }
        if text.starts_with('.') {
            text
        } else {
            format!(".{text}")
        }
    }
}

impl Segment {
    fn container(&self) -> &'static str {
        match self {
            Self::Key(_) => "an object",
            Self::Index(_) => "an array",
        }
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Self::display(&self.segments))
    }
}

impl fmt::Display for NotThere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}", self.reached, self.reason)
    }
}

impl FromStr for JsonPath {
    type Err = JsonPathError;

    fn from_str(path: &str) -> Result<Self, JsonPathError> {
        let error = |reason, rest: &str| JsonPathError {
            reason,
            at: path[..path.len() - rest.len()].chars().count() + 1,
            path: path.to_owned(),
        };
        let mut segments = Vec::new();
        let mut rest = path.strip_prefix('$').unwrap_or(path);
        if path.is_empty() {
            return Err(error("nothing stands", rest));
        }
        if rest == "." {
            rest = "";
        }
        while !rest.is_empty() {
            // `.["a b"]` and `.[0]` are jq's spelling of a bracket at the start.
            let bracket = rest.strip_prefix('[').or_else(|| rest.strip_prefix(".["));
            if let Some(inside) = bracket {
                let (segment, after) = match inside.strip_prefix('"') {
                    Some(_) => {
                        let mut keys = serde_json::Deserializer::from_str(inside).into_iter::<String>();
                        match keys.next() {
                            Some(Ok(key)) => (Segment::Key(key), &inside[keys.byte_offset()..]),
                            _ => return Err(error("a quoted key does not end", inside)),
                        }
                    }
                    None => {
                        let end = inside
                            .find(']')
                            .ok_or_else(|| error("a bracket is not closed", rest))?;
                        let index = inside[..end]
                            .parse()
                            .map_err(|_| error("an index is not a number", inside))?;
                        (Segment::Index(index), &inside[end..])
                    }
                };
                segments.push(segment);
                rest = after
                    .strip_prefix(']')
                    .ok_or_else(|| error("a bracket is not closed", after))?;
            } else if let Some(after) = rest.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                if end == 0 {
                    return Err(error("a key is missing", after));
                }
                segments.push(Segment::Key(after[..end].to_owned()));
                rest = &after[end..];
            } else {
                return Err(error(
                    "a path starts with `.`, and a key follows a `.`: not so",
                    rest,
                ));
            }
        }
        Ok(Self { segments })
    }
}

/// Where two documents differ, by depth and order; at most 20 places. Numbers are compared as numbers: `1` is `1.0`.
#[must_use]
pub fn differences(expected: &Value, seen: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(&mut Vec::new(), expected, seen, &mut found);
    found.truncate(DIFFERENCES_MAX);
    found
}

fn compare(at: &mut Vec<Segment>, expected: &Value, seen: &Value, found: &mut Vec<Difference>) {
    if found.len() >= DIFFERENCES_MAX {
        return;
    }
    let differs = |at: &[Segment], expected: Option<&Value>, seen: Option<&Value>| Difference {
        path: JsonPath::display(at),
        expected: expected.cloned(),
        seen: seen.cloned(),
    };
    match (expected, seen) {
        (Value::Object(expected), Value::Object(seen)) => {
            let added = seen.keys().filter(|key| !expected.contains_key(*key));
            for key in expected.keys().chain(added) {
                at.push(Segment::Key(key.clone()));
                match (expected.get(key), seen.get(key)) {
                    (Some(expected), Some(seen)) => compare(at, expected, seen, found),
                    (expected, seen) => found.push(differs(at, expected, seen)),
                }
                at.pop();
            }
        }
        (Value::Array(expected), Value::Array(seen)) => {
            for index in 0..expected.len().max(seen.len()) {
                at.push(Segment::Index(index.try_into().unwrap_or(i64::MAX)));
                match (expected.get(index), seen.get(index)) {
                    (Some(expected), Some(seen)) => compare(at, expected, seen, found),
                    (expected, seen) => found.push(differs(at, expected, seen)),
                }
                at.pop();
            }
        }
        (Value::Number(a), Value::Number(b)) if a == b || a.as_f64() == b.as_f64() => {}
        (expected, seen) if expected == seen => {}
        (expected, seen) => found.push(differs(at, Some(expected), Some(seen))),
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(path: &str, expected: &Value) {
        let document = json!({
            "items": [{"name": "a"}, {"name": "b"}],
            "labels": {"app.kubernetes.io/name": "web", "say \"hi\"": 1},
            "n": 3,
        });
        let path: JsonPath = path.parse().unwrap();
        assert_eq!(path.find(&document), Ok(expected));
        // What is displayed parses as the same path.
        assert_eq!(path.to_string().parse(), Ok(path));
    }

    #[test]
    fn finds() {
        check(".items[0].name", &json!("a"));
        check("$.items[-1].name", &json!("b"));
        check(".items.[1].name", &json!("b"));
        check(r#".labels["app.kubernetes.io/name"]"#, &json!("web"));
        check(r#".labels["say \"hi\""]"#, &json!(1));
        check(r#"["n"]"#, &json!(3));
        check(".n", &json!(3));
    }

    #[test]
    fn the_whole_document() {
        for path in [".", "$"] {
            assert_eq!(path.parse::<JsonPath>().unwrap().find(&json!(7)), Ok(&json!(7)));
        }
    }

    #[test]
    fn says_how_far_a_path_leads() {
        let document = json!({"items": [{"name": "a", "age": 4}], "none": {}});
        let why = |path: &str| {
            path.parse::<JsonPath>()
                .unwrap()
                .find(&document)
                .unwrap_err()
                .to_string()
        };
        insta::assert_snapshot!(why(".items[0].color"), @".items[0] is an object without `color` (it has `name`, `age`)");
        insta::assert_snapshot!(why(".items[3].name"), @".items is an array of 1, without [3]");
        insta::assert_snapshot!(why(".items[-2]"), @".items is an array of 1, without [-2]");
        insta::assert_snapshot!(why(".items.name"), @".items is an array, not an object");
        insta::assert_snapshot!(why(".none.x"), @".none is an empty object, without `x`");
        insta::assert_snapshot!(why("[0]"), @". is an object, not an array");
    }

    #[test]
    fn refuses_what_is_no_path() {
        let why = |path: &str| path.parse::<JsonPath>().unwrap_err().to_string();
        insta::assert_snapshot!(why(""), @"nothing stands at character 1 of ``");
        insta::assert_snapshot!(why("a.b"), @"a path starts with `.`, and a key follows a `.`: not so at character 1 of `a.b`");
        insta::assert_snapshot!(why(".a..b"), @"a key is missing at character 4 of `.a..b`");
        insta::assert_snapshot!(why(".a[x]"), @"an index is not a number at character 4 of `.a[x]`");
        insta::assert_snapshot!(why(".a[0"), @"a bracket is not closed at character 3 of `.a[0`");
        insta::assert_snapshot!(why(r#".a["x"#), @r#"a quoted key does not end at character 4 of `.a["x`"#);
    }

    #[test]
    fn differences_are_all_there_at_once() {
        let found = differences(
            &json!({"a": 1, "b": [1, 2], "c": {"d": "x"}, "same": 1}),
            &json!({"a": 2, "b": [1, 3, 4], "c": {"e": null}, "same": 1.0}),
        );
        let text: Vec<String> = found
            .iter()
            .map(|d| {
                let show = |v: &Option<Value>| v.as_ref().map_or("nothing".to_owned(), Value::to_string);
                format!("{}: {} / {}", d.path, show(&d.expected), show(&d.seen))
            })
            .collect();
        insta::assert_snapshot!(text.join("\n"), @r#"
        .a: 1 / 2
        .b[1]: 2 / 3
        .b[2]: nothing / 4
        .c.d: "x" / nothing
        .c.e: nothing / null
        "#);
    }
}
