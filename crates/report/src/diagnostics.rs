//! What is wrong with files: each finding with the lines around it, and how many there are.
//!
//! Every finding is rendered by itself, even where several are in one file: a message stays beside its own span,
//! which is what one reads while repairing.

use std::{borrow::Cow, collections::BTreeSet, fmt, ops::Range, sync::Arc};

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use seatrial_engine::{Diagnostic, Place, Severity};

use crate::{
    foreign::clean,
    ink::{Color, Ink},
    page::counted,
};

/// Renders findings for people, with the text that they are about and a last line that counts them; empty where
/// there are none.
pub fn diagnostics(found: &[Diagnostic], color: Color) -> String {
    if found.is_empty() {
        return String::new();
    }
    let theme = match color {
        Color::Always => GraphicalTheme::unicode(),
        Color::Never => GraphicalTheme::unicode_nocolor(),
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_links(false)
        .with_width(100)
        .with_context_lines(1);
    let mut out = String::new();
    for diagnostic in found {
        let rendered = handler.render_report(&mut out, &Shown::new(diagnostic));
        if rendered.is_err() {
            // Nothing that a user wrote can bring this about, but a finding must not be lost to it.
            out.push_str(&in_a_line(diagnostic));
            out.push('\n');
        }
        out.push('\n');
    }
    out.push_str(&count(found, color));
    out
}

/// Renders findings a line each, as compilers do: `case.yaml:3:7: error: not a duration (help)`.
pub fn diagnostics_in_lines(found: &[Diagnostic]) -> String {
    found
        .iter()
        .map(|diagnostic| in_a_line(diagnostic) + "\n")
        .collect()
}

fn in_a_line(diagnostic: &Diagnostic) -> String {
    let mut line = String::new();
    if let Some(place) = &diagnostic.place {
        let (row, column) = place.line_column();
        line.push_str(&format!("{}:{row}:{column}: ", place.file.display()));
    }
    line.push_str(match diagnostic.severity {
        Severity::Error => "error: ",
        Severity::Warning => "warning: ",
    });
    line.push_str(&crate::foreign::in_a_line(&diagnostic.message));
    if let Some(help) = &diagnostic.help {
        line.push_str(&format!(" ({})", crate::foreign::in_a_line(help)));
    }
    line
}

/// `2 errors, 1 warning in 2 files`
fn count(found: &[Diagnostic], color: Color) -> String {
    let of = |severity| {
        found
            .iter()
            .filter(|diagnostic| diagnostic.severity == severity)
            .count()
    };
    let mut parts = Vec::new();
    for (severity, ink, word) in [
        (Severity::Error, Ink::Bad, "error"),
        (Severity::Warning, Ink::Warning, "warning"),
    ] {
        if of(severity) > 0 {
            parts.push(color.paint(ink, counted(of(severity), word)).to_string());
        }
    }
    let files: BTreeSet<_> = found
        .iter()
        .filter_map(|diagnostic| diagnostic.place.as_ref())
        .map(|place| &place.file)
        .collect();
    let mut line = parts.join(", ");
    if !files.is_empty() {
        line.push_str(&format!(" in {}", counted(files.len(), "file")));
    }
    line.push('\n');
    line
}

/// A finding as miette wants it.
#[derive(Debug)]
struct Shown<'a> {
    diagnostic: &'a Diagnostic,
    message: Cow<'a, str>,
    source: Option<NamedSource<Arc<str>>>,
}

impl<'a> Shown<'a> {
    fn new(diagnostic: &'a Diagnostic) -> Self {
        Self {
            diagnostic,
            message: clean(&diagnostic.message),
            source: diagnostic
                .place
                .as_ref()
                .map(|place| NamedSource::new(place.file.display().to_string(), place.source.clone())),
        }
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl miette::Diagnostic for Shown<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        let help = self.diagnostic.help.as_deref()?;
        Some(Box::new(clean(help)))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.diagnostic.place.as_ref()?;
        let label = place.label.as_deref().map(|label| clean(label).into_owned());
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(
            label,
            span_within(place),
        ))))
    }
}

/// The span, cut to what the source has: a place that is out of step with its file still shows the file.
fn span_within(place: &Place) -> Range<usize> {
    let end = place.source.len();
    let span = place.span.start.min(end)..place.span.end.min(end);
    // Of a span over several lines, such as a whole step, its first line says where it is.
    match place.source.get(span.clone()).and_then(|text| text.find('\n')) {
        Some(line_end) => span.start..span.start + line_end,
        None => span.start..span.end.max(span.start),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Vec<Diagnostic> {
        let source: Arc<str> =
            "name: http\ntimeout: soon\nsteps:\n  - port_listenning:\n      port: 1\n".into();
        let span = |text: &str| {
            let start = source.find(text).unwrap();
            start..start + text.len()
        };
        vec![
            Diagnostic::error("`soon` is not a span of time")
                .at("tour/http.yaml", &source, span("soon"))
                .label("such as 1m30s"),
            Diagnostic::error("no step is named `port_listenning`")
                .at("tour/http.yaml", &source, span("port_listenning:\n      port: 1"))
                .help("did you mean `port_listening`?"),
            Diagnostic::warning("nothing uses the fixture `broker`").at(
                "tour/seatrial.yaml",
                &"".into(),
                5..9,
            ),
            Diagnostic::error("no profile is named `cii`"),
        ]
    }

    #[test]
    fn each_finding_shows_its_text_and_the_last_line_counts() {
        insta::assert_snapshot!(diagnostics(&found(), Color::Never), @r"
          × `soon` is not a span of time
           ╭─[tour/http.yaml:2:10]
         1 │ name: http
         2 │ timeout: soon
           ·          ──┬─
           ·            ╰── such as 1m30s
         3 │ steps:
           ╰────

          × no step is named `port_listenning`
           ╭─[tour/http.yaml:4:5]
         3 │ steps:
         4 │   - port_listenning:
           ·     ────────────────
         5 │       port: 1
           ╰────
          help: did you mean `port_listening`?

          ⚠ nothing uses the fixture `broker`
           ╭─[tour/seatrial.yaml:1:1]
           ╰────

          × no profile is named `cii`

        3 errors, 1 warning in 2 files
        ");
        assert!(diagnostics(&[], Color::Never).is_empty());
        assert!(!diagnostics(&found(), Color::Never).contains('\x1b'));
        assert!(diagnostics(&found(), Color::Always).contains('\x1b'));
    }

    #[test]
    fn a_finding_fits_a_line() {
        insta::assert_snapshot!(diagnostics_in_lines(&found()), @r"
        tour/http.yaml:2:10: error: `soon` is not a span of time
        tour/http.yaml:4:5: error: no step is named `port_listenning` (did you mean `port_listening`?)
        tour/seatrial.yaml:1:1: warning: nothing uses the fixture `broker`
        error: no profile is named `cii`
        ");
    }
}
