//! How a text is compared in a selection: the four matchers of nextest's filter expressions, same spelling.

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};
use regex::Regex;

/// Compares a text. Two matchers are equal when they are written the same.
#[derive(Clone, Debug)]
pub enum Matcher {
    /// `=text`: the whole text.
    Exact(String),
    /// `~text`: somewhere in it.
    Contains(String),
    /// `/regex/`: found somewhere in it.
    Regex(Regex),
    /// `#glob`: the whole text; `*` goes across `/`, since names are not paths.
    Glob(GlobMatcher),
}

impl Matcher {
    /// A regular expression, found anywhere.
    ///
    /// # Errors
    /// Why it is none.
    pub fn regex(pattern: &str) -> Result<Self, String> {
        Regex::new(pattern)
            .map(Matcher::Regex)
            .map_err(|error| match error {
                // The library draws the pattern with a caret below it; what is needed here is its last line.
                regex::Error::Syntax(text) => text
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim_start_matches("error: ")
                    .to_owned(),
                other => other.to_string(),
            })
    }

    /// A glob over the whole text.
    ///
    /// # Errors
    /// Why it is none.
    pub fn glob(pattern: &str) -> Result<Self, String> {
        GlobBuilder::new(pattern)
            .backslash_escape(true)
            .build()
            .map(|glob| Matcher::Glob(glob.compile_matcher()))
            .map_err(|error| error.kind().to_string())
    }

    /// A glob where the text has wildcards, else the exact text.
    ///
    /// # Errors
    /// Why it is no glob.
    pub fn glob_or_exact(text: &str) -> Result<Self, String> {
        if has_wildcards(text) {
            Self::glob(text)
        } else {
            Ok(Matcher::Exact(text.to_owned()))
        }
    }

    /// Whether the text is as wanted.
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Matcher::Exact(wanted) => text == wanted,
            Matcher::Contains(wanted) => text.contains(wanted.as_str()),
            Matcher::Regex(regex) => regex.is_match(text),
            Matcher::Glob(glob) => glob.is_match(text),
        }
    }

    /// What is looked for, without its sign.
    pub fn text(&self) -> &str {
        match self {
            Matcher::Exact(text) | Matcher::Contains(text) => text,
            Matcher::Regex(regex) => regex.as_str(),
            Matcher::Glob(glob) => glob.glob().glob(),
        }
    }
}

pub(super) fn has_wildcards(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other) && self.text() == other.text()
    }
}

impl Eq for Matcher {}

/// As it is written in a filter expression.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, end, escaped): (_, _, &[char]) = match self {
            Matcher::Exact(_) => ("=", "", &['(', ')', '\\']),
            Matcher::Contains(_) => ("~", "", &['(', ')', '\\']),
            Matcher::Glob(_) => ("#", "", &['(', ')', '\\']),
            Matcher::Regex(_) => ("/", "/", &['/']),
        };
        f.write_str(sign)?;
        for c in self.text().chars() {
            if escaped.contains(&c) {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        f.write_str(end)
    }
}
