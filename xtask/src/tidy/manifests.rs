//! Rules about packages: the arrows between crates, who may have which dependency, and under what licences.

use super::{
    repository::{Package, Repository},
    rule::{Finding, Rule},
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "arrows",
        reason: "arrows between crates point one way; a new arrow is the rarest change there is",
        check: arrows,
    },
    Rule {
        name: "owner",
        reason: "a crate exists to keep such a dependency away from the others",
        check: owner,
    },
    Rule {
        name: "crate-name",
        reason: "folder `engine` is package `seatrial-engine`; folder `cli` is package `seatrial`",
        check: crate_name,
    },
    Rule {
        name: "manifest",
        reason: "what is published says what it is and under which licence; nothing else is published",
        check: manifest,
    },
    Rule {
        name: "licence",
        reason: "seatrial is Apache-2.0 OR MIT, and what it links must allow that",
        check: licence,
    },
    Rule {
        name: "source",
        reason: "every dependency comes from crates.io: what others can fetch, and nothing patched in passing",
        check: source,
    },
];

/// The arrows of ARCHITECTURE.md: who may depend on whom, besides third parties. Dev-dependencies are not arrows.
const ARROWS: &[(&str, &[&str])] = &[
    ("seatrial-engine", &[]),
    ("seatrial-apiserver", &[]),
    ("seatrial-report", &["seatrial-engine"]),
    ("seatrial-environment", &["seatrial-engine"]),
    ("seatrial-cases", &["seatrial-engine", "seatrial-environment"]),
    (
        "seatrial",
        &[
            "seatrial-cases",
            "seatrial-engine",
            "seatrial-environment",
            "seatrial-report",
        ],
    ),
];

/// Dependencies that belong to some, and what for. A name that ends in `*` stands for all that begin so.
const OWNERS: &[(&str, &[&str], &str)] = &[
    ("granit-parser", &["seatrial-cases"], "knows YAML"),
    (
        "serde-saphyr",
        &["seatrial-apiserver"],
        "takes YAML for JSON, as the Kubernetes API does",
    ),
    ("serde_yaml*", &["seatrial-cases"], "knows YAML"),
    ("saphyr*", &["seatrial-cases"], "knows YAML"),
    ("minijinja*", &["seatrial-cases"], "knows templates"),
    ("miette*", &["seatrial-report"], "renders diagnostics"),
    ("ratatui*", &["seatrial-report"], "draws"),
    (
        "crossterm",
        &["seatrial-report", "seatrial"],
        "draws; `cli` reads keys",
    ),
    ("quick-junit", &["seatrial-report"], "writes JUnit XML"),
    ("clap*", &["seatrial"], "reads the command line"),
    (
        "anyhow",
        &["seatrial", "xtask"],
        "ends in a message; the crates below return errors that can be matched",
    ),
];

/// Permissive licences, and those that ask only for their text to be kept.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn arrows(repository: &Repository) -> Vec<Finding> {
    let mut found = Vec::new();
    for package in ours(repository) {
        let allowed = ARROWS.iter().find(|(name, _)| *name == package.name);
        let Some((_, allowed)) = allowed else {
            found.push(about(package, "is not in the table of arrows"));
            continue;
        };
        for name in normal_dependencies(package) {
            let is_ours = ARROWS.iter().any(|(ours, _)| *ours == name);
            if is_ours && !allowed.contains(&name) {
                found.push(about(package, format!("must not depend on {name}")));
            }
        }
    }
    found
}

fn owner(repository: &Repository) -> Vec<Finding> {
    let mut found = Vec::new();
    for package in repository.metadata.members() {
        if package.manifest().starts_with("examples/") {
            continue;
        }
        for name in normal_dependencies(package) {
            let owned = OWNERS.iter().find(|(pattern, ..)| {
                pattern
                    .strip_suffix('*')
                    .map_or(*pattern == name, |prefix| name.starts_with(prefix))
            });
            if let Some((_, owners, what)) = owned
                && !owners.contains(&package.name.as_str())
            {
                let owners = owners.join(" and ");
                found.push(about(package, format!("{name} is for {owners}, which {what}")));
            }
        }
    }
    found
}

fn crate_name(repository: &Repository) -> Vec<Finding> {
    let mut found = Vec::new();
    for package in ours(repository) {
        let folder = package.manifest().split('/').nth(1).unwrap_or_default();
        let expected = match folder {
            "cli" => "seatrial".to_owned(),
            folder => format!("seatrial-{folder}"),
        };
        if package.name != expected {
            found.push(about(
                package,
                format!("is called {}, not {expected}", package.name),
            ));
        }
    }
    found
}

fn manifest(repository: &Repository) -> Vec<Finding> {
    let mut found = Vec::new();
    for package in repository.metadata.members() {
        let is_ours = package.manifest().starts_with("crates/");
        if package.license.as_deref() != Some("Apache-2.0 OR MIT") {
            found.push(about(package, "is not licensed as the workspace is"));
        }
        if is_ours && package.description.is_none() {
            found.push(about(package, "has no description"));
        }
        if !is_ours && package.publish.as_ref().is_none_or(|to| !to.is_empty()) {
            found.push(about(package, "could be published by mistake"));
        }
        let inherits = repository
            .text(package.manifest())
            .is_none_or(|text| text.contains("[lints]\nworkspace = true"));
        if !inherits {
            found.push(about(package, "does not take the lints of the workspace"));
        }
    }
    found
}

fn licence(repository: &Repository) -> Vec<Finding> {
    let mut found = Vec::new();
    for package in &repository.metadata.packages {
        let expression = package.license.as_deref().unwrap_or("no licence");
        if !is_allowed(expression) {
            found.push(Finding::new(
                "Cargo.lock",
                0,
                format!("{}: {expression}", package.name),
            ));
        }
    }
    found
}

/// An SPDX expression, and the older `A/B` for `A OR B`. Nested parentheses do not occur.
fn is_allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    // `AND` binds tighter, unless parentheses say otherwise: then it stands outside of them.
    if let Some((group, rest)) = expression
        .strip_prefix('(')
        .and_then(|tail| tail.split_once(") AND "))
    {
        return is_allowed(group) && is_allowed(rest);
    }
    expression.split(" OR ").any(|choice| {
        choice
            .split(" AND ")
            .all(|licence| LICENCES.contains(&licence.trim_matches(['(', ')', ' '])))
    })
}

fn source(repository: &Repository) -> Vec<Finding> {
    let foreign = repository.metadata.packages.iter().filter(|package| {
        let is_member = repository.metadata.workspace_members.contains(&package.id);
        !is_member && package.source.as_deref() != Some(CRATES_IO)
    });
    foreign
        .map(|package| {
            let from = package.source.as_deref().unwrap_or("a path");
            Finding::new("Cargo.lock", 0, format!("{} comes from {from}", package.name))
        })
        .collect()
}

fn ours(repository: &Repository) -> impl Iterator<Item = &Package> {
    let members = repository.metadata.members();
    members.filter(|package| package.manifest().starts_with("crates/"))
}

fn normal_dependencies(package: &Package) -> impl Iterator<Item = &str> {
    let normal = package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind.is_none());
    normal.map(|dependency| dependency.name.as_str())
}

fn about(package: &Package, what: impl Into<String>) -> Finding {
    Finding::new(package.manifest(), 0, what)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{RULES, is_allowed};
    use crate::tidy::{
        repository::{Repository, TextFile},
        rule,
    };

    fn package(folder: &str, name: &str, dependencies: Value) -> Value {
        json!({
            "id": name,
            "name": name,
            "license": "Apache-2.0 OR MIT",
            "description": "a crate",
            "manifest_path": format!("/anywhere/{folder}/Cargo.toml"),
            "source": null,
            "publish": null,
            "dependencies": dependencies,
        })
    }

    #[track_caller]
    fn check(name: &str, package: Value, expected: &[&str]) {
        let manifest = TextFile {
            path: "crates/engine/Cargo.toml".to_owned(),
            text: "[lints]\nworkspace = true".to_owned(),
        };
        let metadata = json!({ "workspace_members": [package["id"]], "packages": [package] });
        let metadata = serde_json::from_value(metadata).expect("metadata as cargo writes it");
        let repository = Repository::new(vec![manifest], metadata);
        rule::check_repository(RULES, name, &repository, expected);
    }

    #[test]
    fn arrows_point_one_way() {
        let normal = json!([{ "name": "seatrial-cases", "kind": null }, { "name": "tokio", "kind": null }]);
        let expected = ["crates/engine/Cargo.toml:0: must not depend on seatrial-cases"];
        check(
            "arrows",
            package("crates/engine", "seatrial-engine", normal),
            &expected,
        );
        let dev = json!([{ "name": "seatrial-cases", "kind": "dev" }]);
        check("arrows", package("crates/engine", "seatrial-engine", dev), &[]);
        let unknown = ["crates/more/Cargo.toml:0: is not in the table of arrows"];
        check(
            "arrows",
            package("crates/more", "seatrial-more", json!([])),
            &unknown,
        );
    }

    #[test]
    fn heavy_dependencies_have_an_owner() {
        let dependencies =
            json!([{ "name": "clap_complete", "kind": null }, { "name": "miette", "kind": null }]);
        let expected = [
            "crates/engine/Cargo.toml:0: clap_complete is for seatrial, which reads the command line",
            "crates/engine/Cargo.toml:0: miette is for seatrial-report, which renders diagnostics",
        ];
        check(
            "owner",
            package("crates/engine", "seatrial-engine", dependencies.clone()),
            &expected,
        );
        check(
            "owner",
            package("examples/nats", "nats-example", dependencies),
            &[],
        );
    }

    #[test]
    fn folders_and_packages_agree() {
        let expected = ["crates/engine/Cargo.toml:0: is called motor, not seatrial-engine"];
        check(
            "crate-name",
            package("crates/engine", "motor", json!([])),
            &expected,
        );
        check("crate-name", package("crates/cli", "seatrial", json!([])), &[]);
    }

    #[test]
    fn manifests_say_what_is_needed() {
        check(
            "manifest",
            package("crates/engine", "seatrial-engine", json!([])),
            &[],
        );
        let mut bare = package("crates/engine", "seatrial-engine", json!([]));
        bare["description"] = Value::Null;
        bare["license"] = json!("MIT");
        let expected = [
            "crates/engine/Cargo.toml:0: has no description",
            "crates/engine/Cargo.toml:0: is not licensed as the workspace is",
        ];
        check("manifest", bare, &expected);
        let example = package("examples/tour", "tour", json!([]));
        check(
            "manifest",
            example,
            &["examples/tour/Cargo.toml:0: could be published by mistake"],
        );
    }

    #[test]
    fn dependencies_come_from_crates_io() {
        let mut foreign = package("crates/engine", "seatrial-engine", json!([]));
        foreign["id"] = json!("ours");
        let metadata = json!({
            "workspace_members": [],
            "packages": [foreign],
        });
        let metadata = serde_json::from_value(metadata).expect("metadata as cargo writes it");
        let repository = Repository::new(Vec::new(), metadata);
        let expected = ["Cargo.lock:0: seatrial-engine comes from a path"];
        rule::check_repository(RULES, "source", &repository, &expected);
    }

    #[test]
    fn licences_are_permissive() {
        let allowed = [
            "MIT",
            "MIT/Apache-2.0",
            "Apache-2.0 WITH LLVM-exception OR MIT",
            "MIT OR Apache-2.0 OR LGPL-2.1-or-later",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
        ];
        for expression in allowed {
            assert!(is_allowed(expression), "{expression}");
        }
        for expression in [
            "GPL-3.0",
            "MIT AND GPL-2.0",
            "(MIT OR ISC) AND AGPL-3.0",
            "no licence",
        ] {
            assert!(!is_allowed(expression), "{expression}");
        }
        let mut copyleft = package("crates/engine", "seatrial-engine", json!([]));
        copyleft["license"] = json!("GPL-3.0-only");
        check(
            "licence",
            copyleft,
            &["Cargo.lock:0: seatrial-engine: GPL-3.0-only"],
        );
    }
}
