//! The form of all text output: a gutter with a word and a time, aligned to the right, then what it is about.
//!
//! ```text
//!    failed   3.04s  tour/http
//!               why  the status is not as expected
//!          expected  status: 200
//! ```
//!
//! One column for everything lets the eye run down the names, and a failure hangs below its test without boxes
//! or rules.

use std::{
    fmt::{Display, Write},
    time::Duration,
};

use seatrial_engine::Verdict;

use crate::{
    foreign::clean,
    ink::{Color, Ink},
    span::Span,
};

/// Width of the word at the start of a line: `cancelled`, `timed out`.
const WORD: usize = 9;
/// Width of the time beside it: `1h00m05s` is the first that stands out.
const TIME: usize = 7;
/// Width of both, where lines below a test have their label.
const LABEL: usize = WORD + 1 + TIME;
/// Where the text begins.
const INDENT: &str = "                   ";

/// Text in the making.
pub(crate) struct Page<'a> {
    pub(crate) out: &'a mut String,
    pub(crate) color: Color,
}

impl Page<'_> {
    /// A line with a word and a time. Further lines of the text are indented.
    pub(crate) fn line(&mut self, ink: Ink, word: &str, took: Option<Duration>, text: impl Display) {
        let word = self.color.paint(ink, format_args!("{word:>WORD$}")).to_string();
        match took {
            Some(took) => {
                let took = self.color.paint(Ink::Dim, format!("{:>TIME$}", Span(took)));
                self.push(format_args!("{word} {took}  "));
            }
            None => self.push(format_args!("{word} {:TIME$}  ", "")),
        }
        self.text(None, &text.to_string());
    }

    /// A line below such a one, with a label. Further lines of the text are indented.
    pub(crate) fn below(&mut self, label: &str, text: impl Display) {
        self.below_in(None, label, text);
    }

    /// A line below such a one, its text coloured.
    pub(crate) fn below_in(&mut self, ink: Option<Ink>, label: &str, text: impl Display) {
        let label = self.color.paint(Ink::Dim, format!("{label:>LABEL$}"));
        self.push(format_args!("{label}  "));
        self.text(ink, &text.to_string());
    }

    /// An empty line.
    pub(crate) fn gap(&mut self) {
        self.out.push('\n');
    }

    fn text(&mut self, ink: Option<Ink>, text: &str) {
        for (index, line) in text.lines().enumerate() {
            if index > 0 {
                self.out.push_str(INDENT);
            }
            match ink {
                Some(ink) if !line.is_empty() => self.push(format_args!("{}", self.color.paint(ink, line))),
                _ => self.out.push_str(line),
            }
            // A space at the end of a value may be what is wrong with it; those of an empty column are not.
            if line.is_empty() {
                self.trim_line();
            }
            self.out.push('\n');
        }
        if text.is_empty() {
            self.trim_line();
            self.out.push('\n');
        }
    }

    fn trim_line(&mut self) {
        let length = self.out.trim_end_matches(' ').len();
        self.out.truncate(length);
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.out.write_fmt(text);
    }

    /// A test's name, its suite less prominent than the rest.
    pub(crate) fn name(&self, name: &str) -> String {
        let name = clean(name);
        match name.split_once('/') {
            Some((suite, rest)) if self.color == Color::Always => {
                format!("{}{rest}", self.color.paint(Ink::Dim, format_args!("{suite}/")))
            }
            _ => name.into_owned(),
        }
    }
}

/// The colour of a verdict.
pub(crate) fn ink_of(verdict: Verdict) -> Ink {
    match verdict {
        Verdict::Passed => Ink::Good,
        Verdict::Failed | Verdict::Errored | Verdict::TimedOut => Ink::Bad,
        Verdict::Flaky | Verdict::Cancelled | Verdict::Skipped => Ink::Warning,
    }
}

/// `1 test`, `2 tests`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}
