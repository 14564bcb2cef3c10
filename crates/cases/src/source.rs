//! Where a value was written: a file's text, and byte spans into it.
//!
//! Every decoded value that can be wrong later (when a template is rendered, when a step fails) keeps an [`Origin`], so
//! that an error at run time points at the same place as one at load. An origin is an `Arc` and eight bytes: it is
//! cheap enough to keep everywhere, which spares a second table that could get out of step.

use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A file as it was read.
#[derive(Debug)]
pub struct SourceFile {
    /// The path under which it was found.
    pub path: PathBuf,
    /// Its text, shared with the diagnostics about it.
    pub text: Arc<str>,
}

impl SourceFile {
    /// Keeps a file's text under its path.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<Arc<str>>) -> Arc<Self> {
        Arc::new(Self {
            path: path.into(),
            text: text.into(),
        })
    }

    /// The directory that the file lies in.
    pub fn directory(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    /// Line and column of a byte offset, both counted from 1; columns are characters.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let offset = (0..=offset.min(self.text.len()))
            .rev()
            .find(|at| self.text.is_char_boundary(*at))
            .unwrap_or(0);
        let before = &self.text[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        )
    }
}

/// A range of bytes of a [`SourceFile`]. Four bytes each: a case file is far smaller than 4 GiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The range as `usize`, for slicing.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        let clamp = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            start: clamp(range.start),
            end: clamp(range.end),
        }
    }
}

/// A file and the span in it that a value came from.
#[derive(Clone)]
pub struct Origin {
    /// The file.
    pub file: Arc<SourceFile>,
    /// The bytes of the value.
    pub span: Span,
}

impl Origin {
    /// The text at the origin.
    pub fn text(&self) -> &str {
        self.file.text.get(self.span.range()).unwrap_or_default()
    }

    /// The origin of a text within this one, where it stands there as it is.
    pub fn narrowed(&self, text: &str) -> Self {
        let start = self
            .text()
            .find(text)
            .map(|offset| self.span.start as usize + offset);
        let span = start.map_or(self.span, |start| Span::from(start..start + text.len()));
        Self {
            file: self.file.clone(),
            span,
        }
    }

    /// The line it starts in, from 1.
    pub fn line(&self) -> usize {
        self.file.line_column(self.span.start as usize).0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.file.line_column(self.span.start as usize);
        write!(f, "{}:{line}:{column}", self.file.path.display())
    }
}

/// Short, since plans are full of origins.
impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{self}")
    }
}
