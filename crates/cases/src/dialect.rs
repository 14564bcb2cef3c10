//! Steps of other harnesses' case files, by the names that they have there.
//!
//! The files of DataDog/saluki (`test/integration/cases/*/config.yaml`) load as they are. Most of their steps are the vocabulary's, some
//! under another name. What only their own target can serve is known by name: a suite that defines a step of that name
//! serves it, else the case is skipped and says which step it was.

use std::sync::Arc;

use crate::node::{Entry, Node};

/// Steps that are known by name only.
pub const UNSERVED: &[&str] = &[
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
pub const DYNAMIC_PREFIX: &str = "PANORAMIC_DYNAMIC_";

/// A step of a dialect in the vocabulary's words. A name that no dialect knows is returned as it is.
pub(crate) fn translate(name: &str, mut entries: Vec<Entry>) -> (String, Vec<Entry>) {
    let name = match name {
        // The exit of the target itself, however its supervisor reports it.
        "adp_exits_with" => "exits",
        "dogstatsd_send" => {
            let first = entries
                .first()
                .map_or_else(Default::default, |entry| entry.key_span);
            if entries
                .iter()
                .all(|entry| !matches!(&*entry.key, "protocol" | "to"))
            {
                entries.push(Entry {
                    key: Arc::from("protocol"),
                    key_span: first,
                    node: Node::scalar("udp", first),
                });
            }
            "send"
        }
        other => other,
    };
    (name.to_owned(), entries)
}
