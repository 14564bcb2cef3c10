//! The repository as the rules see it: text files, Rust files, packages. Read from disk for real, made of a few
//! strings in tests.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::masked::{Masked, mask};
use crate::cargo;

pub(super) struct Repository {
    /// Every file of the repository that is text, Rust files included.
    pub(super) texts: Vec<TextFile>,
    pub(super) rust: Vec<RustFile>,
    pub(super) metadata: Metadata,
}

pub(super) struct TextFile {
    /// From the repository's root, with slashes.
    pub(super) path: String,
    pub(super) text: String,
}

pub(super) struct RustFile {
    pub(super) path: String,
    pub(super) lines: Vec<String>,
    pub(super) masked: Masked,
    /// Which lines are only compiled for tests.
    pub(super) is_test: Vec<bool>,
}

/// What `cargo metadata` says, as far as rules ask for it.
#[derive(Default, Deserialize)]
pub(super) struct Metadata {
    pub(super) packages: Vec<Package>,
    pub(super) workspace_members: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Package {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) license: Option<String>,
    pub(super) description: Option<String>,
    pub(super) manifest_path: String,
    /// Where it comes from; nothing for a member of the workspace.
    pub(super) source: Option<String>,
    /// The registries it may go to; nothing stands for all.
    pub(super) publish: Option<Vec<String>>,
    pub(super) dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// Nothing for a normal one.
    pub(super) kind: Option<String>,
}

impl Repository {
    /// The repository around `root`: what git tracks and what it would track.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let listed = succeeded(
            "git ls-files",
            Command::new("git")
                .args(["-c", "safe.directory=*", "ls-files", "-z"])
                .args(["--cached", "--others", "--exclude-standard"])
                .current_dir(root)
                .output(),
        )?;
        let mut texts = Vec::new();
        for path in String::from_utf8(listed.stdout)?
            .split('\0')
            .filter(|path| !path.is_empty())
        {
            // Deleted, and not yet committed as such; or not text.
            let Ok(text) = fs::read_to_string(root.join(path)) else {
                continue;
            };
            texts.push(TextFile {
                path: path.to_owned(),
                text,
            });
        }
        let metadata = succeeded(
            "cargo metadata",
            cargo::command()
                .args(["metadata", "--format-version", "1", "--locked"])
                .current_dir(root)
                .output(),
        )?;
        let metadata = serde_json::from_slice(&metadata.stdout).context("the answer of cargo metadata")?;
        Ok(Self::new(texts, metadata))
    }

    pub(super) fn new(texts: Vec<TextFile>, metadata: Metadata) -> Self {
        let rust = texts
            .iter()
            .filter(|file| file.path.ends_with(".rs"))
            .map(RustFile::new)
            .collect();
        Self {
            texts,
            rust,
            metadata,
        }
    }

    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let texts = files.iter().map(|(path, text)| TextFile {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        });
        Self::new(texts.collect(), Metadata::default())
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        let file = self.texts.iter().find(|file| file.path == path)?;
        Some(&file.text)
    }
}

impl Metadata {
    pub(super) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| self.workspace_members.contains(&package.id))
    }
}

impl Package {
    /// The path of its manifest, from the repository's root as far as that can be told from the path alone.
    pub(super) fn manifest(&self) -> &str {
        ["crates/", "examples/", "xtask/"]
            .iter()
            .find_map(|folder| self.manifest_path.rfind(&format!("/{folder}")))
            .map_or(self.manifest_path.as_str(), |at| &self.manifest_path[at + 1..])
    }
}

impl RustFile {
    fn new(file: &TextFile) -> Self {
        let masked = mask(&file.text);
        let is_test = test_lines(&file.path, &masked.code);
        Self {
            path: file.path.clone(),
            lines: file.text.split('\n').map(str::to_owned).collect(),
            masked,
            is_test,
        }
    }

    /// Whether a comment stands on the line, above the statement that it belongs to, or above a block around it, up to
    /// the function.
    pub(super) fn has_comment_at(&self, line: usize) -> bool {
        let mut at = Some(line);
        while let Some(line) = at {
            if self.has_own_comment(line) {
                return true;
            }
            at = self
                .block_around(line)
                .filter(|opener| !self.masked.code[*opener].contains("fn "));
        }
        false
    }

    fn has_own_comment(&self, line: usize) -> bool {
        let is_comment = |at: usize| {
            let comment = &self.masked.comments[at];
            comment.contains("//") && !comment.trim_start_matches('/').is_empty()
        };
        let is_finished = |at: usize| {
            let code = self.masked.code[at].trim();
            code.is_empty() || code.ends_with([';', '}', '{'])
        };
        is_comment(line) || {
            let above = (0..line).rev();
            let first_finished = above.clone().find(|at| is_comment(*at) || is_finished(*at));
            first_finished.is_some_and(is_comment)
        }
    }

    /// The line that opens the block around a line, told by its indentation.
    fn block_around(&self, line: usize) -> Option<usize> {
        let indentation = |code: &str| code.len() - code.trim_start().len();
        let own = indentation(&self.masked.code[line]);
        (0..line).rev().find(|above| {
            let code = &self.masked.code[*above];
            code.trim_end().ends_with('{') && indentation(code) < own
        })
    }
}

/// Lines that only tests see: whole files by their place, and items behind `#[cfg(test)]`.
fn test_lines(path: &str, code: &[String]) -> Vec<bool> {
    let is_whole = path
        .split('/')
        .any(|part| matches!(part, "tests" | "benches" | "tests.rs"));
    let mut is_test = vec![is_whole; code.len()];
    let mut depth = 0_usize;
    // The depth at which the item behind the attribute began, once its attribute was seen.
    let mut item: Option<usize> = None;
    for (at, line) in code.iter().enumerate() {
        if item.is_none() && line.trim_start().starts_with("#[cfg(test)]") {
            item = Some(depth);
        }
        is_test[at] |= item.is_some();
        let mut closed = false;
        for char in line.chars() {
            match char {
                '{' => depth += 1,
                '}' => {
                    depth = depth.saturating_sub(1);
                    closed = true;
                }
                _ => {}
            }
        }
        let ended = closed || line.trim_end().ends_with(';');
        if item == Some(depth) && ended {
            item = None;
        }
    }
    is_test
}

fn succeeded(what: &str, output: std::io::Result<Output>) -> Result<Output> {
    let output = output.with_context(|| format!("cannot run {what}"))?;
    if !output.status.success() {
        bail!(
            "{what} failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::Repository;

    #[track_caller]
    fn check(path: &str, text: &str, tests: &[usize]) {
        let repository = Repository::of(&[(path, text)]);
        let is_test = &repository.rust[0].is_test;
        let found: Vec<_> = (1..)
            .zip(is_test)
            .filter(|(_, is)| **is)
            .map(|(line, _)| line)
            .collect();
        assert_eq!(found, tests);
    }

    #[test]
    fn test_code_is_told_from_the_rest() {
        check(
            "src/a.rs",
            "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {\n  }\n}\nfn c() {}",
            &[2, 3, 4, 5, 6],
        );
        check("src/a.rs", "#[cfg(test)]\nmod tests;\nfn c() {}", &[1, 2]);
        check("tests/it/a.rs", "fn a() {}", &[1]);
    }
}
