//! `examples/tour` is where users look for how a thing is written, so everything that can be written has to be there.
//!
//! What can be written is read from the schema, and searched for as a key in the text of the tour: coarse, but nothing
//! new can be added to the format without being shown.

use std::{collections::BTreeSet, fs, path::Path};

use seatrial_cases::{schema, vocabulary::VOCABULARY};
use serde_json::Value as Json;

/// What a tour on host processes cannot show, or shows without a key.
const ELSEWHERE: &[(&str, &str)] = &[
    ("container", "for files of other harnesses"),
    ("runtimes", "for files of other harnesses"),
    ("intake", "for files of other harnesses"),
    ("enabled", "for files of other harnesses"),
    ("exposed_ports", "for files of other harnesses"),
    ("unconfined_seccomp", "for files of other harnesses"),
    ("host_cgroup_namespace", "for files of other harnesses"),
    ("variants", "a list of them says the same"),
    ("image", "for containers"),
    ("entrypoint", "for containers"),
];

#[test]
fn shows_every_step_and_every_key() {
    let tour = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/tour");
    let mut text = fs::read_to_string(tour.join("seatrial.yaml")).unwrap();
    for entry in fs::read_dir(tour.join("cases")).unwrap() {
        text.push('\n');
        text.push_str(&fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    let mut keys = BTreeSet::new();
    for document in [schema::case(), schema::suite()] {
        collect_keys(&document, &mut keys);
    }
    keys.extend(VOCABULARY.iter().map(|step| step.name.to_owned()));
    let missing: Vec<&String> = keys
        .iter()
        .filter(|key| ELSEWHERE.iter().all(|(elsewhere, _)| elsewhere != key))
        .filter(|key| !shows(&text, key))
        .collect();
    assert!(missing.is_empty(), "the tour does not show {missing:?}");
}

/// All keys of the schema, without those that are other names of one.
fn collect_keys(schema: &Json, keys: &mut BTreeSet<String>) {
    match schema {
        Json::Object(members) => {
            if let Some(Json::Object(properties)) = members.get("properties") {
                let own = properties.iter().filter(|(_, property)| {
                    let description = property["description"].as_str().unwrap_or_default();
                    !description.starts_with("Another name of")
                });
                keys.extend(own.map(|(key, _)| key.clone()));
            }
            members.values().for_each(|member| collect_keys(member, keys));
        }
        Json::Array(items) => items.iter().for_each(|item| collect_keys(item, keys)),
        _ => {}
    }
}

/// Whether `key:` is there as a key, or a step's name alone.
fn shows(text: &str, key: &str) -> bool {
    text.match_indices(key).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + key.len()..].chars().next();
        matches!(before, Some(' ' | '{' | '\n') | None) && matches!(after, Some(':' | '\n'))
    })
}
