//! Lists of tests: for people, and as JSON for what generates pipelines from it.

use std::collections::BTreeSet;

use seatrial_engine::{TestSpec, Weight};
use serde_json::{Map, Value, json};
use unicode_width::UnicodeWidthStr;

use crate::{
    foreign::in_a_line,
    ink::Ink,
    page::{Page, counted},
    span::Span,
    text::{TextOptions, Verbosity},
};

/// Lists tests for people: a line each, the name first, so that other tools can cut it out; with `-q` nothing but
/// names, with `-v` everything.
pub fn list(specs: &[&TestSpec], options: TextOptions) -> String {
    let mut out = String::new();
    let page = Page {
        out: &mut out,
        color: options.color,
    };
    let names: Vec<String> = specs.iter().map(|spec| spec.full_name()).collect();
    // A few long names must not push the descriptions of all others out of sight.
    let column = names.iter().map(|name| name.width()).max().unwrap_or(0).min(48);
    for (spec, name) in specs.iter().zip(&names) {
        page.out.push_str(&page.name(name));
        if options.verbosity > Verbosity::Quiet {
            let about = about(spec, options.verbosity);
            if !about.is_empty() {
                page.out
                    .push_str(&" ".repeat(column.saturating_sub(name.width())));
                page.out
                    .push_str(&format!("  {}", options.color.paint(Ink::Dim, about)));
            }
        }
        page.out.push('\n');
    }
    if options.verbosity > Verbosity::Quiet {
        let suites: BTreeSet<&str> = specs.iter().map(|spec| spec.suite.as_str()).collect();
        let count = format!(
            "{} in {}",
            counted(specs.len(), "test"),
            counted(suites.len(), "suite")
        );
        page.out
            .push_str(&format!("{}\n", options.color.paint(Ink::Strong, count)));
    }
    out
}

fn about(spec: &TestSpec, verbosity: Verbosity) -> String {
    let mut parts = Vec::new();
    if let Some(description) = &spec.description {
        parts.push(in_a_line(description).into_owned());
    }
    let named = |word: &str, names: Vec<&str>| match names.as_slice() {
        [] => None,
        names => Some(format!("{word} {}", names.join(", "))),
    };
    parts.extend(named(
        "needs",
        spec.requirements.iter().map(|r| r.name()).collect(),
    ));
    if let Some(reason) = &spec.skip {
        parts.push(format!("skipped: {}", in_a_line(reason)));
    }
    match spec.ignored.as_deref() {
        Some("") => parts.push("ignored".into()),
        Some(reason) => parts.push(format!("ignored: {}", in_a_line(reason))),
        None => {}
    }
    if verbosity == Verbosity::Verbose {
        parts.extend(named("uses", spec.fixtures.iter().map(|f| f.key()).collect()));
        parts.extend(named("images", spec.images.iter().map(String::as_str).collect()));
        if let Some(timeout) = spec.timeout {
            parts.push(format!("timeout {}", Span(timeout)));
        }
        let labels: Vec<String> = spec.labels.iter().map(|(key, value)| label(key, value)).collect();
        parts.extend(named("labels", labels.iter().map(String::as_str).collect()));
        parts.extend(spec.location.as_ref().map(ToString::to_string));
    }
    parts.join("; ")
}

fn label(key: &str, value: &str) -> String {
    match value {
        "" => key.to_owned(),
        value => format!("{key}={value}"),
    }
}

/// Lists tests as one JSON object, by full name. `type`, `runtime`, `timeout` (`secs` and `nanos`) and `images` are
/// those of the listing that existing generators of pipelines read; the other keys are more of the same.
pub fn list_json(specs: &[&TestSpec]) -> String {
    let mut tests = Map::new();
    for spec in specs {
        let mut test = json!({
            "type": spec.kind,
            "runtime": spec.environment.as_deref().unwrap_or("process"),
            "timeout": spec.timeout,
            "images": spec.images,
            "suite": spec.suite,
            "name": spec.name,
            "variant": spec.variant,
            "description": spec.description,
            "labels": spec.labels,
            "requirements": spec.requirements.iter().map(|r| r.name()).collect::<Vec<_>>(),
            "fixtures": spec.fixtures.iter().map(|f| f.key()).collect::<Vec<_>>(),
            "slots": match spec.weight {
                Weight::Slots(slots) => json!(slots),
                Weight::Alone => json!("alone"),
            },
            "test_group": spec.test_group,
            "retries": spec.retries,
            "ignored": spec.ignored,
            "skip": spec.skip,
            "file": spec.location.as_ref().map(|location| location.file.to_string_lossy()),
            "line": spec.location.as_ref().map(|location| location.line),
        });
        if let Value::Object(keys) = &mut test {
            keys.retain(|_, value| !value.is_null());
        }
        tests.insert(spec.full_name(), test);
    }
    // Numbers, texts and lists always have a form in JSON.
    serde_json::to_string_pretty(&tests).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use seatrial_engine::{Requirement, Unmet};

    use super::*;
    use crate::script::place;

    struct Docker;

    impl Requirement for Docker {
        fn name(&self) -> &str {
            "docker"
        }
        fn check(&self) -> Result<String, Unmet> {
            Err(Unmet::because("not here"))
        }
    }

    fn specs() -> Vec<TestSpec> {
        let mut http = TestSpec::new("tour", "http");
        http.kind = "procedure";
        http.variant = Some("tls".into());
        http.environment = Some("docker".into());
        http.description = Some("GET /health\nanswers".into());
        http.timeout = Some(Duration::from_secs(90));
        http.requirements = vec![Arc::new(Docker)];
        http.images = vec!["nats:2".into()];
        http.labels = [("speed".into(), "slow".into()), ("smoke".into(), String::new())].into();
        http.location = Some(place("tour/http.yaml", 3));
        let mut later = TestSpec::new("own", "later");
        later.ignored = Some("takes an hour".into());
        vec![http, TestSpec::new("tour", "exec"), later]
    }

    fn shown(verbosity: Verbosity) -> String {
        let specs = specs();
        let options = TextOptions {
            verbosity,
            ..TextOptions::default()
        };
        list(&specs.iter().collect::<Vec<_>>(), options)
    }

    #[test]
    fn for_people() {
        insta::assert_snapshot!(shown(Verbosity::Normal), @r"
        tour/http/tls@docker  GET /health answers; needs docker
        tour/exec
        own/later             ignored: takes an hour
        3 tests in 2 suites
        ");
        insta::assert_snapshot!(shown(Verbosity::Quiet), @r"
        tour/http/tls@docker
        tour/exec
        own/later
        ");
        insta::assert_snapshot!(shown(Verbosity::Verbose), @r"
        tour/http/tls@docker  GET /health answers; needs docker; images nats:2; timeout 1m30s; labels smoke, speed=slow; tour/http.yaml:3
        tour/exec
        own/later             ignored: takes an hour
        3 tests in 2 suites
        ");
    }

    #[test]
    fn for_machines() {
        let specs = specs();
        insta::assert_snapshot!(list_json(&[&specs[0], &specs[2]]), @r#"
        {
          "tour/http/tls@docker": {
            "type": "procedure",
            "runtime": "docker",
            "timeout": {
              "secs": 90,
              "nanos": 0
            },
            "images": [
              "nats:2"
            ],
            "suite": "tour",
            "name": "http",
            "variant": "tls",
            "description": "GET /health\nanswers",
            "labels": {
              "smoke": "",
              "speed": "slow"
            },
            "requirements": [
              "docker"
            ],
            "fixtures": [],
            "slots": 1,
            "file": "tour/http.yaml",
            "line": 3
          },
          "own/later": {
            "type": "rust",
            "runtime": "process",
            "images": [],
            "suite": "own",
            "name": "later",
            "labels": {},
            "requirements": [],
            "fixtures": [],
            "slots": 1,
            "ignored": "takes an hour"
          }
        }
        "#);
    }
}
