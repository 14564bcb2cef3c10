//! Rules about all text: documents that must be there and be true, and what must not leak in.

use std::sync::LazyLock;

use regex::Regex;

use super::{
    repository::Repository,
    rule::{Finding, Rule},
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "machine-path",
        reason: "a clone works anywhere: no path of one machine, no mirror of a registry",
        check: machine_path,
    },
    Rule {
        name: "changelog",
        reason: "CHANGELOG.md is in Keep a Changelog form, for users",
        check: changelog,
    },
    Rule {
        name: "link",
        reason: "a link in a document leads somewhere",
        check: link,
    },
    Rule {
        name: "map",
        reason: "ARCHITECTURE.md is the map: a crate that is not on it cannot be found",
        check: map,
    },
    Rule {
        name: "pending",
        reason: "a snapshot that nobody has looked at is not a test",
        check: pending,
    },
];

static MACHINE_PATH: LazyLock<Regex> = LazyLock::new(|| {
    #[expect(clippy::unwrap_used, reason = "a constant, compiled by the rule's tests")]
    Regex::new(
        r#"(?:^|[\s"'`=(:@])(/(?:work|root|Users)/[\w.-]+|/home/\w[\w.-]*/[\w.-]+)|(https?://[^/\s"']*(?:mirror|proxy|artifactory|nexus)[^/\s"']*)"#,
    )
    .unwrap()
});

static LINK: LazyLock<Regex> = LazyLock::new(|| {
    #[expect(clippy::unwrap_used, reason = "a constant, compiled by the rule's tests")]
    Regex::new(r"\]\(([^)\s]+)\)").unwrap()
});

fn machine_path(repository: &Repository) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in &repository.texts {
        for (at, line) in file.text.lines().enumerate() {
            for captures in MACHINE_PATH.captures_iter(line) {
                let path = captures.get(1).or_else(|| captures.get(2));
                let path = path.map_or("", |path| path.as_str());
                found.push(Finding::new(&file.path, at + 1, path));
            }
        }
    }
    found
}

fn changelog(repository: &Repository) -> Vec<Finding> {
    const PATH: &str = "CHANGELOG.md";
    let Some(text) = repository.text(PATH) else {
        return vec![Finding::new(PATH, 0, "is not there")];
    };
    let mut found = Vec::new();
    if !text.starts_with("# Changelog\n") {
        found.push(Finding::new(PATH, 1, "does not begin with `# Changelog`"));
    }
    if !text.contains("keepachangelog.com") {
        found.push(Finding::new(PATH, 0, "does not name Keep a Changelog"));
    }
    if !text.contains("\n## [Unreleased]\n") {
        found.push(Finding::new(PATH, 0, "has no `## [Unreleased]`"));
    }
    for (at, line) in text.lines().enumerate() {
        let known = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];
        if let Some(section) = line.strip_prefix("### ")
            && !known.contains(&section)
        {
            found.push(Finding::new(
                PATH,
                at + 1,
                format!("{section:?} is no section of a changelog"),
            ));
        }
    }
    found
}

/// Links to files; those to places within a document and to the world are not followed.
fn link(repository: &Repository) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in repository.texts.iter().filter(|file| file.path.ends_with(".md")) {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (at, line) in file.text.lines().enumerate() {
            for captures in LINK.captures_iter(line) {
                let to = captures[1].split('#').next().unwrap_or_default();
                if to.is_empty() || to.contains("://") || to.starts_with("mailto:") {
                    continue;
                }
                let path = joined(folder, to);
                let is_there = repository
                    .texts
                    .iter()
                    .any(|other| other.path == path || other.path.starts_with(&format!("{path}/")));
                if !is_there {
                    found.push(Finding::new(
                        &file.path,
                        at + 1,
                        format!("leads to nothing: {to}"),
                    ));
                }
            }
        }
    }
    found
}

fn joined(folder: &str, to: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in to.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn map(repository: &Repository) -> Vec<Finding> {
    const PATH: &str = "ARCHITECTURE.md";
    let text = repository.text(PATH).unwrap_or_default();
    let manifests = repository
        .texts
        .iter()
        .filter_map(|file| file.path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml"));
    manifests
        .filter(|folder| !text.contains(&format!("`crates/{folder}`")))
        .map(|folder| Finding::new(PATH, 0, format!("says nothing of `crates/{folder}`")))
        .collect()
}

fn pending(repository: &Repository) -> Vec<Finding> {
    let new = repository
        .texts
        .iter()
        .filter(|file| file.path.ends_with(".snap.new") || file.path.ends_with(".pending-snap"));
    new.map(|file| Finding::new(&file.path, 0, "is not accepted"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::RULES;
    use crate::tidy::rule::check;

    #[test]
    fn paths_of_one_machine_are_found() {
        let at = |folder: &str| format!("see \"/{folder}/me/notes\"\n");
        let (work, home) = (at("work"), at("home"));
        let files = [
            ("a.md", work.as_str()),
            ("b.sh", home.as_str()),
            ("c.md", "a /homework/a framework/b\n"),
        ];
        check(
            RULES,
            "machine-path",
            &files,
            &[
                &format!("a.md:1: /{}/me", "work"),
                &format!("b.sh:1: /{}/me/notes", "home"),
            ],
        );
        let mirror = format!("index = \"https://crates-{}.example.org/index\"", "mirror");
        let expected = format!("a.toml:1: https://crates-{}.example.org", "mirror");
        check(RULES, "machine-path", &[("a.toml", &mirror)], &[&expected]);
    }

    #[test]
    fn the_changelog_has_its_form() {
        check(RULES, "changelog", &[], &["CHANGELOG.md:0: is not there"]);
        let good = "# Changelog\n\nhttps://keepachangelog.com/\n\n## [Unreleased]\n\n### Added\n";
        check(RULES, "changelog", &[("CHANGELOG.md", good)], &[]);
        let bad = "# Changes\n### New\n";
        let expected = [
            "CHANGELOG.md:0: does not name Keep a Changelog",
            "CHANGELOG.md:0: has no `## [Unreleased]`",
            "CHANGELOG.md:1: does not begin with `# Changelog`",
            "CHANGELOG.md:2: \"New\" is no section of a changelog",
        ];
        check(RULES, "changelog", &[("CHANGELOG.md", bad)], &expected);
    }

    #[test]
    fn links_lead_somewhere() {
        let page = "[a](../a.md#b) [b](b.md) [c](https://example.org) [d](#e) [f](../crates)";
        let files = [("docs/page.md", page), ("a.md", ""), ("crates/x/Cargo.toml", "")];
        check(RULES, "link", &files, &["docs/page.md:1: leads to nothing: b.md"]);
    }

    #[test]
    fn every_crate_is_on_the_map() {
        let files = [
            ("ARCHITECTURE.md", "`crates/engine` runs"),
            ("crates/engine/Cargo.toml", ""),
            ("crates/lab/Cargo.toml", ""),
        ];
        check(
            RULES,
            "map",
            &files,
            &["ARCHITECTURE.md:0: says nothing of `crates/lab`"],
        );
    }

    #[test]
    fn snapshots_are_looked_at() {
        check(
            RULES,
            "pending",
            &[("a.snap.new", "")],
            &["a.snap.new:0: is not accepted"],
        );
    }
}
