//! What colours mean, and the one place that knows how a terminal is told.

use std::fmt;

/// Whether output is coloured, decided by whoever opens it: no environment variable is read here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// No control codes at all.
    #[default]
    Never,
    /// Coloured.
    Always,
}

/// What a text is, from which its colour follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    /// Went well.
    Good,
    /// Went wrong.
    Bad,
    /// Needs a look.
    Warning,
    /// Goes on.
    Active,
    /// Less important than what stands beside it.
    Dim,
    /// More important.
    Strong,
    /// A file, a command.
    Place,
}

impl Ink {
    fn code(self) -> &'static str {
        match self {
            Ink::Good => "32",
            Ink::Bad => "1;31",
            Ink::Warning => "33",
            Ink::Active => "36",
            Ink::Dim => "2",
            Ink::Strong => "1",
            Ink::Place => "36",
        }
    }
}

impl Color {
    /// A text in its colour.
    pub(crate) fn paint<T: fmt::Display>(self, ink: Ink, text: T) -> Painted<T> {
        Painted {
            color: self,
            ink,
            text,
        }
    }
}

/// A text with its colour; width and alignment of a format string apply to the text alone.
pub(crate) struct Painted<T> {
    color: Color,
    ink: Ink,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.color {
            Color::Never => self.text.fmt(f),
            Color::Always => {
                write!(f, "\x1b[{}m", self.ink.code())?;
                self.text.fmt(f)?;
                f.write_str("\x1b[0m")
            }
        }
    }
}
