//! Counting the lines of a log that match a pattern, at the speed of the pattern's search rather than of its lines.
//!
//! Logs reach hundreds of megabytes, so text is searched a whole chunk at a time, as grep does, and a line is looked
//! for only around a match. Only the line that a chunk breaks off in is copied. A pattern is matched against bytes: a
//! target may print anything.

use memchr::{memchr, memmem, memrchr};
use regex::bytes::{Regex, RegexBuilder};

/// A line longer than this is searched in pieces, so that a target that never ends a line cannot grow memory.
const LINE_BYTES_MAX: usize = 1 << 20;

/// What of a matching line is kept to be shown.
const SHOWN_BYTES_MAX: usize = 500;

/// What to look for in a line.
#[derive(Debug, Clone)]
pub enum LinePattern {
    /// These bytes, anywhere in a line.
    Literal(Box<memmem::Finder<'static>>),
    /// A regular expression; `^` and `$` are the ends of a line.
    Regex(Regex),
}

impl LinePattern {
    /// Looks for this text as it stands.
    #[must_use]
    pub fn literal(text: &str) -> Self {
        Self::Literal(Box::new(memmem::Finder::new(text.as_bytes()).into_owned()))
    }

    /// Looks for a regular expression.
    ///
    /// # Errors
    ///
    /// When the expression does not parse, or is too large to compile.
    pub fn regex(expression: &str) -> Result<Self, regex::Error> {
        Ok(Self::Regex(
            RegexBuilder::new(expression).multi_line(true).build()?,
        ))
    }

    /// The range of the first match in the text.
    fn find(&self, text: &[u8]) -> Option<(usize, usize)> {
        match self {
            Self::Literal(finder) => {
                let start = finder.find(text)?;
                Some((start, start + finder.needle().len()))
            }
            Self::Regex(regex) => regex.find(text).map(|found| (found.start(), found.end())),
        }
    }

    /// Whether a single line, without its newline, matches.
    #[must_use]
    pub fn is_match(&self, line: &[u8]) -> bool {
        self.find(line).is_some()
    }

    /// What the pattern captures in a matching line: groups by number, then by name where they have one; `0` is the
    /// whole match.
    #[must_use]
    pub fn groups(&self, line: &[u8]) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match self {
            Self::Literal(finder) => vec![("0".to_owned(), text(finder.needle()))],
            Self::Regex(regex) => {
                let Some(captures) = regex.captures(line) else {
                    return Vec::new();
                };
                let mut groups = Vec::new();
                for (number, name) in regex.capture_names().enumerate() {
                    let Some(found) = captures.get(number) else {
                        continue;
                    };
                    groups.push((number.to_string(), text(found.as_bytes())));
                    groups.extend(name.map(|name| (name.to_owned(), text(found.as_bytes()))));
                }
                groups
            }
        }
    }
}

/// Counts matching lines of one stream that arrives in chunks.
#[derive(Debug)]
pub struct LineCounter {
    pattern: LinePattern,
    /// The line the last chunk broke off in.
    unfinished: Vec<u8>,
    complete: u64,
    first: Option<Vec<u8>>,
}

impl LineCounter {
    /// A counter that has seen nothing.
    #[must_use]
    pub fn new(pattern: LinePattern) -> Self {
        Self {
            pattern,
            unfinished: Vec::new(),
            complete: 0,
            first: None,
        }
    }

    /// Takes the next bytes of the stream.
    pub fn feed(&mut self, mut chunk: &[u8]) {
        if !self.unfinished.is_empty() {
            let end = memchr(b'\n', chunk).map_or(chunk.len(), |newline| newline + 1);
            self.unfinished.extend_from_slice(&chunk[..end]);
            chunk = &chunk[end..];
            if self.unfinished.ends_with(b"\n") || self.unfinished.len() > LINE_BYTES_MAX {
                let lines = std::mem::take(&mut self.unfinished);
                self.count(&lines);
                self.unfinished = lines;
                self.unfinished.clear();
            }
        }
        let whole = memrchr(b'\n', chunk).map_or(0, |newline| newline + 1);
        self.count(&chunk[..whole]);
        self.unfinished.extend_from_slice(&chunk[whole..]);
    }

    /// Lines that matched so far. The unfinished last line counts as it is now: a prompt without a newline is a line
    /// too, and it is counted anew once it has grown.
    #[must_use]
    pub fn matches(&self) -> u64 {
        self.complete + u64::from(self.unfinished_matches())
    }

    /// The first line that matched, shortened for display.
    #[must_use]
    pub fn first_match(&self) -> Option<String> {
        let line = match &self.first {
            Some(line) => line,
            None => self.unfinished_matches().then_some(&self.unfinished)?,
        };
        Some(shown(line))
    }

    /// The groups of the first line that matched; see [`LinePattern::groups`].
    #[must_use]
    pub fn groups(&self) -> Vec<(String, String)> {
        match &self.first {
            Some(line) => self.pattern.groups(line),
            None if self.unfinished_matches() => self.pattern.groups(&self.unfinished),
            None => Vec::new(),
        }
    }

    fn unfinished_matches(&self) -> bool {
        !self.unfinished.is_empty() && self.pattern.is_match(&self.unfinished)
    }

    /// Counts the matching lines in text that ends with a line.
    fn count(&mut self, text: &[u8]) {
        let mut at = 0;
        while at < text.len() {
            let Some((start, end)) = self.pattern.find(&text[at..]) else {
                return;
            };
            let (start, end) = (at + start, at + end);
            if start == text.len() {
                // An empty match behind the last newline is on a line that has not begun.
                return;
            }
            let line_start = memrchr(b'\n', &text[at..start]).map_or(at, |newline| at + newline + 1);
            let line_end = memchr(b'\n', &text[start..]).map_or(text.len(), |newline| start + newline);
            let line = &text[line_start..line_end];
            // A pattern such as `a\s+b` can run over the end of a line; the line alone has to match.
            if end <= line_end || self.pattern.is_match(line) {
                self.complete += 1;
                if self.first.is_none() {
                    self.first = Some(line.to_vec());
                }
            }
            at = line_end + 1;
        }
    }
}

/// A line as it is shown: valid text, not longer than a screen can use.
fn shown(line: &[u8]) -> String {
    let cut = line.len() > SHOWN_BYTES_MAX;
    let mut text = String::from_utf8_lossy(&line[..line.len().min(SHOWN_BYTES_MAX)]).into_owned();
    if cut {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: LinePattern, text: &str, matches: u64) {
        // However the text is cut, the count is the same.
        for size in [1, 2, 3, 7, text.len().max(1)] {
            let mut counter = LineCounter::new(pattern.clone());
            for chunk in text.as_bytes().chunks(size) {
                counter.feed(chunk);
            }
            assert_eq!(counter.matches(), matches, "in chunks of {size}");
        }
    }

    #[test]
    fn counts_lines_not_occurrences() {
        check(LinePattern::literal("err"), "err err\nok\nerr\n", 2);
        check(LinePattern::literal("err"), "ok\n", 0);
        check(LinePattern::literal("err"), "", 0);
    }

    #[test]
    fn an_unfinished_line_counts_as_it_is() {
        check(LinePattern::literal("login:"), "welcome\nlogin: ", 1);
        let mut counter = LineCounter::new(LinePattern::regex("^ready$").unwrap());
        counter.feed(b"ready");
        assert_eq!(counter.matches(), 1);
        counter.feed(b" or not\n");
        assert_eq!(counter.matches(), 0);
    }

    #[test]
    fn anchors_are_the_ends_of_a_line() {
        let pattern = LinePattern::regex("^b.*d$").unwrap();
        check(pattern, "a b d\nb c d\nbd\nb d e\n", 2);
    }

    #[test]
    fn a_match_does_not_span_lines() {
        check(LinePattern::regex(r"a\s+b").unwrap(), "a\nb\na  b\n", 1);
        check(LinePattern::regex("a.b").unwrap(), "a\nb\n", 0);
    }

    #[test]
    fn an_empty_match_counts_every_line_once() {
        check(LinePattern::regex("x*").unwrap(), "a\nb\n", 2);
        check(LinePattern::regex("^$").unwrap(), "a\n\nb\n", 1);
    }

    #[test]
    fn captures_come_from_the_first_match() {
        let mut counter = LineCounter::new(LinePattern::regex(r"port (?<port>\d+)(?: on (\w+))?").unwrap());
        counter.feed(b"starting\nport 80 on lo\nport 81\n");
        let groups = counter.groups();
        let group = |name: &str| {
            groups
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, text)| text.as_str())
        };
        assert_eq!(group("port"), Some("80"));
        assert_eq!(group("2"), Some("lo"));
        assert_eq!(group("0"), Some("port 80 on lo"));
        assert_eq!(group("nothing"), None);
        assert_eq!(counter.first_match().as_deref(), Some("port 80 on lo"));
    }

    #[test]
    fn bytes_that_are_no_text_are_searched_too() {
        let mut counter = LineCounter::new(LinePattern::literal("ok"));
        counter.feed(b"\xff\xfe ok \xff\n");
        assert_eq!(
            counter.first_match().as_deref(),
            Some("\u{fffd}\u{fffd} ok \u{fffd}")
        );
    }

    #[test]
    fn a_line_without_end_stays_in_bounds() {
        let mut counter = LineCounter::new(LinePattern::literal("needle"));
        for _ in 0..64 {
            counter.feed(&[b'x'; 64 * 1024]);
        }
        assert!(counter.unfinished.len() <= LINE_BYTES_MAX + 64 * 1024);
        counter.feed(b"needle\n");
        assert_eq!(counter.matches(), 1);
    }
}
