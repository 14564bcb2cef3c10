//! What is wrong with something that a user wrote, as plain data.
//!
//! Whoever reads a file makes diagnostics, `report` renders them. Keeping them free of any rendering
//! library lets a reader collect all of them in one go, and lets the same diagnostic become a terminal
//! message, an annotation in a CI system, or a line of JSON.

use std::{ops::Range, path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};

/// How bad a [`Diagnostic`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing is refused.
    Warning,
    /// The file is refused; nothing runs.
    Error,
}

/// One finding about a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong, in one line, without the place.
    pub message: String,
    /// Where: absent for a finding that has no file, such as a flag.
    pub place: Option<Place>,
    /// What to do about it, such as the nearest known key.
    pub help: Option<String>,
}

/// A span of a file, with the text that it refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file, as the user named it.
    pub file: PathBuf,
    /// Bytes of the offending text in `source`; empty where the place is a point.
    pub span: Range<usize>,
    /// A few words put under the span, such as "not a duration".
    pub label: Option<String>,
    /// The file's text, shared by all its diagnostics. Not serialized: the file has it.
    #[serde(skip)]
    pub source: Arc<str>,
}

impl Diagnostic {
    /// An error without a place or help.
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            place: None,
            help: None,
        }
    }

    /// A warning without a place or help.
    pub fn warning(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(message)
        }
    }

    /// Says where it is.
    pub fn at(mut self, file: impl Into<PathBuf>, source: &Arc<str>, span: Range<usize>) -> Self {
        self.place = Some(Place {
            file: file.into(),
            span,
            label: None,
            source: source.clone(),
        });
        self
    }

    /// Puts a few words under the span; without a place there is nothing to put them under.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        if let Some(place) = &mut self.place {
            place.label = Some(label.into());
        }
        self
    }

    /// Says what to do about it.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Place {
    /// Line and column of the span's start, both from 1; columns count characters.
    pub fn line_column(&self) -> (usize, usize) {
        let mut start = self.span.start.min(self.source.len());
        while !self.source.is_char_boundary(start) {
            start -= 1;
        }
        let before = &self.source[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        )
    }

    /// The offending text itself.
    pub fn text(&self) -> &str {
        self.source.get(self.span.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        let source: Arc<str> = "name: é\nsteps: oops\n".into();
        let start = source.find("oops").unwrap();
        let diagnostic = Diagnostic::error("wrong type").at("case.yaml", &source, start..start + 4);
        let place = diagnostic.place.unwrap();
        assert_eq!((place.line_column(), place.text()), ((2, 8), "oops"));
        let accent = Place {
            span: source.find('é').unwrap()..8,
            ..place
        };
        assert_eq!(accent.line_column(), (1, 7));
    }
}
