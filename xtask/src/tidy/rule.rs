//! The table of rules, and what runs it.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Result, bail};

use super::{manifests, repository::Repository, rust_files, texts};

/// One invariant.
pub(super) struct Rule {
    /// What a comment `// tidy: NAME: why` calls it.
    pub(super) name: &'static str,
    /// Why it exists; told with its findings.
    pub(super) reason: &'static str,
    pub(super) check: fn(&Repository) -> Vec<Finding>,
}

/// One place that breaks a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    pub(super) path: String,
    /// From 1; 0 for the file as a whole.
    pub(super) line: usize,
    pub(super) what: String,
}

impl Finding {
    pub(super) fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            what: what.into(),
        }
    }
}

/// Checks the repository, and tells all that is wrong with it.
pub(crate) fn run(root: &Path) -> Result<()> {
    let repository = Repository::read(root)?;
    let rules: Vec<&Rule> = [rust_files::RULES, manifests::RULES, texts::RULES]
        .into_iter()
        .flatten()
        .collect();
    let mut found = 0_usize;
    for rule in &rules {
        let findings = findings(rule, &repository);
        if findings.is_empty() {
            continue;
        }
        println!("{}: {}", rule.name, rule.reason);
        for Finding { path, line, what } in &findings {
            println!("  {path}:{line}: {what}");
        }
        found += findings.len();
    }
    for unknown in exceptions_to_nothing(&repository, &rules) {
        println!("  {}:{}: {}", unknown.path, unknown.line, unknown.what);
        found += 1;
    }
    if found > 0 {
        bail!("tidy: {found} findings");
    }
    println!(
        "tidy: {} rules hold over {} files and {} packages",
        rules.len(),
        repository.texts.len(),
        repository.metadata.packages.len()
    );
    Ok(())
}

/// What breaks a rule, in order, without what is excepted.
pub(super) fn findings(rule: &Rule, repository: &Repository) -> Vec<Finding> {
    let found: BTreeSet<_> = (rule.check)(repository)
        .into_iter()
        .filter(|finding| !is_excepted(rule, repository, finding))
        .collect();
    found.into_iter().collect()
}

/// On the line itself, or in the comment right above it.
fn is_excepted(rule: &Rule, repository: &Repository, finding: &Finding) -> bool {
    let Some(text) = repository.text(&finding.path).filter(|_| finding.line > 0) else {
        return false;
    };
    let lines: Vec<_> = text.split('\n').take(finding.line).collect();
    let Some((own, above)) = lines.split_last() else {
        return false;
    };
    let mark = format!("tidy: {}: ", rule.name);
    let comment = above
        .iter()
        .rev()
        .take_while(|line| line.trim_start().starts_with(['/', '#']));
    std::iter::once(own)
        .chain(comment)
        .any(|line| line.contains(&mark))
}

/// An exception whose rule was renamed would silently except nothing, or be taken for one that still holds.
fn exceptions_to_nothing(repository: &Repository, rules: &[&Rule]) -> Vec<Finding> {
    let mut unknown = Vec::new();
    for file in &repository.rust {
        for (at, comment) in file.masked.comments.iter().enumerate() {
            let Some((_, rest)) = comment.split_once("// tidy: ") else {
                continue;
            };
            let name = rest.split(':').next().unwrap_or_default();
            let is_name = name.chars().all(|char| char.is_ascii_lowercase() || char == '-');
            if is_name && !rules.iter().any(|rule| rule.name == name) {
                unknown.push(Finding::new(
                    &file.path,
                    at + 1,
                    format!("there is no rule {name:?}"),
                ));
            }
        }
    }
    unknown
}

#[cfg(test)]
#[track_caller]
pub(super) fn check(rules: &[Rule], name: &str, files: &[(&str, &str)], expected: &[&str]) {
    check_repository(rules, name, &Repository::of(files), expected);
}

#[cfg(test)]
#[track_caller]
pub(super) fn check_repository(rules: &[Rule], name: &str, repository: &Repository, expected: &[&str]) {
    let rule = rules.iter().find(|rule| rule.name == name);
    let rule = rule.expect("the table has this rule");
    let found: Vec<_> = findings(rule, repository)
        .into_iter()
        .map(|Finding { path, line, what }| format!("{path}:{line}: {what}"))
        .collect();
    assert_eq!(found, expected);
}
