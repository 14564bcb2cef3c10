//! Runs `scenarios/*.yaml`: steps with the answers that upstream gives, each with where that is known from.
//!
//! A file is a list of `scenario`s: `name`, `source`, and `steps` of `request` (method and path), `type` (content type),
//! `body`, `status`, `body_has` (a part of the answer; a list must be equal) and `message`. Every scenario has its own server.

use seatrial_apiserver::ApiServer;
use serde_json::Value;

use crate::client::{read, send};

/// Where `part` is not in `whole`.
fn missing(part: &Value, whole: &Value, path: &str, out: &mut Vec<String>) {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            for (key, value) in part {
                let path = format!("{path}.{key}");
                match whole.get(key) {
                    Some(found) => missing(value, found, &path, out),
                    None if value.is_null() => {}
                    None => out.push(format!("{path}: absent")),
                }
            }
        }
        (Value::Array(part), Value::Array(whole)) if part.len() == whole.len() => {
            for (index, (part, whole)) in part.iter().zip(whole).enumerate() {
                missing(part, whole, &format!("{path}[{index}]"), out);
            }
        }
        (part, whole) if part == whole => {}
        (part, whole) => out.push(format!("{path}: expected {part}, got {whole}")),
    }
}

async fn run(scenario: &Value) -> Vec<String> {
    let server = ApiServer::builder().start();
    let mut out = Vec::new();
    for (index, step) in scenario["steps"].as_array().unwrap().iter().enumerate() {
        let text = |key: &str| step[key].as_str().unwrap_or("").to_owned();
        let request = text("request");
        let (method, path) = request.split_once(' ').unwrap();
        let content_type = match (method, text("type")) {
            ("PATCH", empty) if empty.is_empty() => "application/merge-patch+json".to_owned(),
            (_, empty) if empty.is_empty() => "application/json".to_owned(),
            (_, given) => given,
        };
        let body = match &step["body"] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            tree => tree.to_string(),
        };
        let (status, answer) = read(send(&server, method, path, &content_type, body).await).await;
        let at = format!("step {index} ({request})");
        if let Some(expected) = step["status"]
            .as_u64()
            .filter(|expected| *expected != u64::from(status))
        {
            out.push(format!("{at}: status {status}, expected {expected}: {answer}"));
        }
        if let Some(expected) = step["message"]
            .as_str()
            .filter(|expected| answer["message"] != *expected)
        {
            out.push(format!(
                "{at}: message {}, expected {expected:?}",
                answer["message"]
            ));
        }
        let mut lacks = Vec::new();
        if !step["body_has"].is_null() {
            missing(&step["body_has"], &answer, "", &mut lacks);
        }
        out.extend(lacks.into_iter().map(|one| format!("{at}: {one}")));
    }
    out
}

#[tokio::test]
async fn every_scenario_holds() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
    let mut problems = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let scenarios: Vec<Value> = serde_saphyr::from_str(&text).unwrap();
        for scenario in &scenarios {
            count += 1;
            assert!(
                scenario["source"].is_string(),
                "{}: {} has no source",
                path.display(),
                scenario["name"]
            );
            problems.extend(
                run(scenario)
                    .await
                    .into_iter()
                    .map(|one| format!("{}: {one}", scenario["name"])),
            );
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(count >= 20, "only {count} scenarios were found");
}
