//! Steps of other harnesses' case files, by the names that they have there.
//!
//! The files of DataDog/saluki (`test/integration/cases/*/config.yaml`) load as they are. Most of their steps are the vocabulary's, some
//! under another name. What only their own target can serve is known by name: a suite that defines a step of that name
//! serves it, else the case is skipped and says which step it was.

use crate::node::{Entry, Node, Value};

/// Steps that are known by name only.
pub(crate) const UNSERVED: &[&str] = &[
    "adp_cli",
    "adp_config_key_equals",
    "core_agent_cli",
    "core_agent_config_set",
    "dogstatsd_named_pipe_send",
    "dogstatsd_replay",
    "intake_has_metric",
    "tls_client_certificate_required",
];

/// Environment variables with this prefix are commands, run in the target; what they print is the placeholder of the
/// variable's name.
pub(crate) const DYNAMIC_PREFIX: &str = "PANORAMIC_DYNAMIC_";

/// A step of a dialect in the vocabulary's words. What no dialect knows is returned as it is.
pub(crate) fn translate(name: &str, mut entries: Vec<Entry>) -> (String, Vec<Entry>) {
    let has = |entries: &[Entry], keys: &[&str]| entries.iter().any(|entry| keys.contains(&&*entry.key));
    match name {
        "dogstatsd_send" => {
            if !has(&entries, &["protocol", "to"]) {
                let span = entries
                    .first()
                    .map_or_else(Default::default, |entry| entry.key_span);
                entries.push(Entry {
                    key: "protocol".into(),
                    key_span: span,
                    node: Node::scalar("udp", span),
                });
            }
            ("send".to_owned(), entries)
        }
        // There, `body` is what is answered; here, what is sent.
        "http_check" if !has(&entries, &["method"]) => {
            let entries = entries.into_iter().flat_map(expected_body).collect();
            (name.to_owned(), entries)
        }
        _ => (name.to_owned(), entries),
    }
}

/// `body: {equal: OK}` as the vocabulary says it.
fn expected_body(entry: Entry) -> Vec<Entry> {
    let Value::Mapping(rules) = &entry.node.value else {
        return vec![entry];
    };
    let known = |rule: &Entry| matches!(&*rule.key, "equal" | "contains" | "matches" | "regex");
    if &*entry.key != "body" || rules.is_empty() || !rules.iter().all(known) {
        return vec![entry];
    }
    rules
        .iter()
        .map(|rule| {
            let (key, node) = match (&*rule.key, rule.node.text()) {
                ("equal", Some(text)) => {
                    let pattern = format!(r"\A{}\z", regex::escape(text));
                    ("body_regex", Node::scalar(&pattern, rule.node.span))
                }
                ("contains", _) => ("body_contains", rule.node.clone()),
                _ => ("body_regex", rule.node.clone()),
            };
            Entry {
                key: key.into(),
                key_span: rule.key_span,
                node,
            }
        })
        .collect()
}
