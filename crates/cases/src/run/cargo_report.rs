//! What cargo says of a build in its own words: `--message-format=json`, one object a line.
//!
//! Guessing `target/debug/NAME` breaks with profiles, `--target`, `CARGO_TARGET_DIR` and workspaces; cargo knows.
//! See <https://doc.rust-lang.org/cargo/reference/external-tools.html#json-messages>.

use std::path::PathBuf;

use serde::Deserialize;

/// The executables that a build made, and what the compiler had against it.
#[derive(Debug, Default)]
pub(crate) struct CargoReport {
    /// In the order in which they were made.
    pub(crate) executables: Vec<Executable>,
    /// The compiler's errors, as it would have printed them.
    pub(crate) errors: Vec<String>,
}

/// One executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Executable {
    /// The target's name: that of a binary, an example or a test.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) path: PathBuf,
}

#[derive(Deserialize)]
#[serde(tag = "reason")]
enum Message {
    #[serde(rename = "compiler-artifact")]
    Artifact {
        target: Target,
        executable: Option<PathBuf>,
    },
    #[serde(rename = "compiler-message")]
    Diagnosed { message: Diagnostic },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

#[derive(Deserialize)]
struct Diagnostic {
    level: String,
    rendered: Option<String>,
}

impl CargoReport {
    /// Takes in a line of the build's standard output. One that is no message of cargo's is a build script's or a
    /// wrapper's own affair.
    pub(crate) fn line(&mut self, line: &str) {
        match serde_json::from_str(line) {
            Ok(Message::Artifact {
                target,
                executable: Some(path),
            }) => {
                self.executables.push(Executable {
                    name: target.name,
                    path,
                });
            }
            Ok(Message::Diagnosed { message }) if message.level.starts_with("error") => {
                self.errors.extend(message.rendered);
            }
            Ok(_) | Err(_) => {}
        }
    }

    /// The executable of this name, or the only one there is.
    pub(crate) fn executable(&self, name: &str) -> Option<&Executable> {
        let normal = |name: &str| name.replace('-', "_");
        let named = self
            .executables
            .iter()
            .rev()
            .find(|executable| normal(&executable.name) == normal(name));
        match self.executables.as_slice() {
            [only] => named.or(Some(only)),
            _ => named,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: &str = r#"
        {"reason":"compiler-artifact","package_id":"x","target":{"kind":["lib"],"name":"serde"},"executable":null,"fresh":true}
        {"reason":"build-script-executed","package_id":"x","linked_libs":[]}
        a line of something else
        {"reason":"compiler-message","message":{"level":"warning","rendered":"warning: unused\n"}}
        {"reason":"compiler-message","message":{"level":"error","rendered":"error[E0308]: mismatched types\n"}}
        {"reason":"compiler-artifact","target":{"kind":["bin"],"name":"metrics-agent"},"executable":"/t/release/metrics-agent"}
        {"reason":"build-finished","success":true}
    "#;

    #[test]
    fn finds_what_was_made_and_what_was_wrong() {
        let mut report = CargoReport::default();
        MESSAGES.lines().for_each(|line| report.line(line.trim()));
        let agent = Executable {
            name: "metrics-agent".into(),
            path: "/t/release/metrics-agent".into(),
        };
        assert_eq!(report.executable("metrics_agent"), Some(&agent));
        assert_eq!(
            report.executable("agent"),
            Some(&agent),
            "the only one needs no name"
        );
        assert_eq!(report.errors, ["error[E0308]: mismatched types\n"]);
        report.executables.push(Executable {
            name: "other".into(),
            path: "/t/other".into(),
        });
        assert_eq!(report.executable("agent"), None, "one of two has to be named");
    }
}
