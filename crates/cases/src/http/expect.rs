//! What an answer should be, and all the ways in which it is not.
//!
//! Every part of an answer is compared, not only the first that differs: a wrong status with a body that says why is
//! one look for the reader instead of two runs.

use regex::Regex;
use seatrial_engine::Mismatch;
use serde_json::Value;

use super::Response;
use crate::json_path::{JsonPath, differences};
use crate::vocabulary::StatusExpectation;

/// What is shown of a body or a value.
const SHOWN_CHARS_MAX: usize = 400;

/// What an answer should be.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    /// The status.
    pub(crate) status: StatusExpectation,
    /// Headers, by lowercase name, and the exact values.
    pub(crate) headers: Vec<(String, String)>,
    /// Texts that the body contains.
    pub(crate) contains: Vec<String>,
    /// Regular expressions that match somewhere in the body.
    pub(crate) matches: Vec<Regex>,
    /// Values at places of a JSON body.
    pub(crate) json: Vec<(JsonPath, Value)>,
}

impl Expected {
    /// Every way in which the answer differs.
    pub(crate) fn mismatches(&self, answer: &Response) -> Vec<Mismatch> {
        let mut found = Vec::new();
        let mut differs = |field: String, expected: String, seen: String| {
            found.push(Mismatch {
                field,
                expected,
                seen,
            });
        };
        let status = answer.status;
        if !self.status.matches(status) {
            differs("status".into(), self.status.to_string(), status.to_string());
        }
        for (name, wanted) in &self.headers {
            let seen: Vec<_> = answer
                .headers
                .get_all(name)
                .iter()
                .map(|value| String::from_utf8_lossy(value.as_bytes()))
                .collect();
            if !seen.iter().any(|value| value == wanted) {
                let seen = if seen.is_empty() {
                    "none".to_owned()
                } else {
                    seen.join(", ")
                };
                differs(format!("header {name}"), wanted.clone(), seen);
            }
        }
        let body = String::from_utf8_lossy(&answer.body);
        for wanted in self
            .contains
            .iter()
            .filter(|wanted| !body.contains(wanted.as_str()))
        {
            differs("body".into(), format!("contains `{wanted}`"), body_shown(&body));
        }
        for wanted in self.matches.iter().filter(|wanted| !wanted.is_match(&body)) {
            differs("body".into(), format!("matches `{wanted}`"), body_shown(&body));
        }
        if self.json.is_empty() {
            return found;
        }
        match serde_json::from_slice::<Value>(&answer.body) {
            Ok(document) => found.extend(
                self.json
                    .iter()
                    .flat_map(|(path, wanted)| at_path(&document, path, wanted)),
            ),
            Err(error) => found.push(Mismatch {
                field: "body".into(),
                expected: "a JSON document".into(),
                seen: format!("{} ({error})", body_shown(&body)),
            }),
        }
        found
    }
}

/// How what stands at one place of a document differs from what was expected there.
pub(crate) fn at_path(document: &Value, path: &JsonPath, wanted: &Value) -> Vec<Mismatch> {
    let seen = match path.find(document) {
        Ok(seen) => seen,
        Err(not_there) => {
            return vec![Mismatch {
                field: path.to_string(),
                expected: value_shown(wanted),
                seen: not_there.to_string(),
            }];
        }
    };
    let nothing_or = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), value_shown);
    differences(wanted, seen)
        .into_iter()
        .map(|difference| Mismatch {
            field: path.join(&difference.path),
            expected: nothing_or(difference.expected.as_ref()),
            seen: nothing_or(difference.seen.as_ref()),
        })
        .collect()
}

/// A JSON value on one line, not too long.
pub(crate) fn value_shown(value: &Value) -> String {
    shortened(&value.to_string())
}

fn body_shown(body: &str) -> String {
    if body.is_empty() {
        "empty".to_owned()
    } else {
        format!("`{}`", shortened(body.trim_end()))
    }
}

/// Not longer than what is worth showing.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}… ({} bytes in all)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use hyper::body::Bytes;
    use hyper::header::{HeaderMap, HeaderValue};
    use serde_json::json;

    use super::*;
    use crate::vocabulary::StatusPattern;

    fn any() -> Expected {
        Expected {
            status: StatusExpectation::NotIn(Vec::new()),
            headers: Vec::new(),
            contains: Vec::new(),
            matches: Vec::new(),
            json: Vec::new(),
        }
    }

    fn answer(status: u16, body: &str) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("text/plain"));
        Response {
            status,
            headers,
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    fn said(expected: &Expected, answer: &Response) -> String {
        let lines = expected.mismatches(answer);
        lines
            .iter()
            .map(|m| format!("{}: expected {}, saw {}\n", m.field, m.expected, m.seen))
            .collect()
    }

    #[test]
    fn everything_that_differs_is_told_at_once() {
        let expected = Expected {
            status: StatusExpectation::In(vec![StatusPattern::Code(200)]),
            headers: vec![
                ("content-type".into(), "application/json".into()),
                ("x-id".into(), "7".into()),
            ],
            contains: vec!["ready".into()],
            matches: vec![Regex::new("^ok").unwrap()],
            json: vec![
                (".status".parse().unwrap(), json!("up")),
                (".checks".parse().unwrap(), json!([{"name": "db", "ok": true}])),
                (".version.major".parse().unwrap(), json!(2)),
            ],
        };
        let seen = answer(
            503,
            r#"{"status": "down", "checks": [{"name": "db", "ok": false}]}"#,
        );
        insta::assert_snapshot!(said(&expected, &seen), @r#"
        status: expected 200, saw 503
        header content-type: expected application/json, saw text/plain
        header x-id: expected 7, saw none
        body: expected contains `ready`, saw `{"status": "down", "checks": [{"name": "db", "ok": false}]}`
        body: expected matches `^ok`, saw `{"status": "down", "checks": [{"name": "db", "ok": false}]}`
        .status: expected "up", saw "down"
        .checks[0].ok: expected true, saw false
        .version.major: expected 2, saw . is an object without `version` (it has `status`, `checks`)
        "#);
    }

    #[test]
    fn a_body_that_is_no_json_is_shown() {
        let expected = Expected {
            json: vec![(".a".parse().unwrap(), json!(1))],
            ..any()
        };
        insta::assert_snapshot!(
            said(&expected, &answer(200, "not yet")),
            @"body: expected a JSON document, saw `not yet` (expected ident at line 1 column 2)"
        );
        insta::assert_snapshot!(
            said(&expected, &answer(200, "")),
            @"body: expected a JSON document, saw empty (EOF while parsing a value at line 1 column 0)"
        );
    }

    #[test]
    fn statuses() {
        let said = |status, seen| said(&Expected { status, ..any() }, &answer(seen, ""));
        let (ok, none) = (StatusPattern::Class(2), StatusPattern::Code(404));
        assert_eq!(said(StatusExpectation::In(vec![ok]), 204), "");
        assert_eq!(said(StatusExpectation::NotIn(vec![none]), 200), "");
        insta::assert_snapshot!(said(StatusExpectation::NotIn(vec![none]), 404), @"status: expected not 404, saw 404");
        insta::assert_snapshot!(said(StatusExpectation::In(vec![ok, none]), 500), @"status: expected 2xx or 404, saw 500");
    }
}
