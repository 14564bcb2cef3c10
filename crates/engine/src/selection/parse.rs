//! Reads filter expressions, by recursive descent.
//!
//! Written by hand for its messages: an unknown predicate or a bad pattern is noted and reading goes on, so that
//! one run tells all of them; only where the structure itself is broken does it stop.

use std::{ops::Range, sync::Arc};

use super::{
    filter::{Filter, Predicate},
    matcher::Matcher,
};
use crate::Diagnostic;

/// Parentheses and negations deeper than this are refused: nobody writes them, and reading them uses the stack.
const DEPTH_MAX: usize = 100;

pub(super) fn parse(expression: &str, origin: &str) -> Result<Filter, Vec<Diagnostic>> {
    let mut parser = Parser {
        text: expression,
        source: expression.into(),
        origin,
        at: 0,
        depth: 0,
        found: Vec::new(),
    };
    let filter = parser.or().and_then(|filter| parser.end().map(|()| filter));
    match filter {
        Ok(filter) if parser.found.is_empty() => Ok(filter),
        Ok(_) => Err(parser.found),
        Err(Broken) => Err(parser.found),
    }
}

/// The structure is broken; why has been noted.
struct Broken;

struct Parser<'a> {
    text: &'a str,
    source: Arc<str>,
    origin: &'a str,
    at: usize,
    depth: usize,
    found: Vec<Diagnostic>,
}

impl<'a> Parser<'a> {
    fn or(&mut self) -> Result<Filter, Broken> {
        let mut left = self.and()?;
        while self.operator(&["||", "|"], "or") {
            left = Filter::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Filter, Broken> {
        let mut left = self.not()?;
        while self.operator(&["&&", "&"], "and") {
            left = Filter::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Filter, Broken> {
        if self.operator(&["!"], "not") {
            return self.deeper(|parser| Ok(Filter::Not(Box::new(parser.not()?))));
        }
        if self.operator(&["("], "") {
            let open = self.at - 1;
            let inner = self.deeper(Self::or)?;
            if !self.operator(&[")"], "") {
                return self.broken(open..open + 1, "this parenthesis is never closed", None);
            }
            return Ok(inner);
        }
        self.predicate()
    }

    fn deeper(&mut self, read: impl FnOnce(&mut Self) -> Result<Filter, Broken>) -> Result<Filter, Broken> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.broken(self.at..self.at, "nested too deeply", None);
        }
        let inner = read(self);
        self.depth -= 1;
        inner
    }

    fn predicate(&mut self) -> Result<Filter, Broken> {
        self.skip_blanks();
        let rest = self.rest();
        let length = rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))
            .unwrap_or(rest.len());
        let (word, span) = (&rest[..length], self.at..self.at + length);
        if word.is_empty() {
            let span = self.at..self.at + rest.chars().next().map_or(0, char::len_utf8);
            let help = "such as `test(~part-of-a-name)` or `label(key=value)`";
            return self.broken(span, "expected a predicate", Some(help));
        }
        self.at += length;
        if !self.operator(&["("], "") {
            let help = format!("to look for it in names, write `test({word})`");
            return self.broken(span, "expected a predicate with parentheses", Some(&help));
        }
        let (argument, argument_span) = self.argument()?;
        Ok(self
            .judge(word, span, &argument, argument_span)
            .unwrap_or(Filter::None))
    }

    /// What a predicate with its argument means; `None` if that has been noted as wrong.
    fn judge(
        &mut self,
        word: &str,
        span: Range<usize>,
        argument: &Argument<'_>,
        argument_span: Range<usize>,
    ) -> Option<Filter> {
        let empty = matches!(argument, Argument::Text(text) if text.is_empty());
        match word {
            "all" | "none" if !empty => {
                self.note(argument_span, &format!("`{word}()` takes nothing"), None);
                None
            }
            "all" => Some(Filter::All),
            "none" => Some(Filter::None),
            _ if empty => {
                self.note(
                    span,
                    &format!("`{word}` of what?"),
                    Some("write what to look for in the parentheses"),
                );
                None
            }
            "label" => self.label(argument, argument_span),
            _ => {
                let Some(predicate) = Predicate::ALL.into_iter().find(|one| one.as_str() == word) else {
                    self.unknown(word, span);
                    return None;
                };
                let matcher = match argument {
                    Argument::Regex(pattern) => Matcher::regex(pattern),
                    Argument::Text(text) => signed(text).unwrap_or_else(|| predicate.matcher(text)),
                };
                self.good(matcher, argument_span)
                    .map(|matcher| Filter::Is(predicate, matcher))
            }
        }
    }

    fn label(&mut self, argument: &Argument<'_>, span: Range<usize>) -> Option<Filter> {
        let Argument::Text(text) = argument else {
            self.note(
                span,
                "a label's key is written out",
                Some("`label(key/regex/)` compares its value"),
            );
            return None;
        };
        let end = text.find(['=', '~', '#']).or_else(|| {
            // A key may hold a slash, as in Kubernetes; what also ends in one is a regex.
            text.ends_with('/')
                .then(|| text.find('/').filter(|at| at + 1 < text.len()))
                .flatten()
        });
        let Some(end) = end else {
            return Some(Filter::Label(text.clone(), None));
        };
        let (key, value) = text.split_at(end);
        if let Some(key) = key.strip_suffix('!') {
            let help = format!("`!label({key}{value})`");
            self.note(
                span,
                "a label is compared with `=`, `~`, `#` or a regex",
                Some(&help),
            );
            return None;
        }
        let matcher = match value.strip_prefix('/').and_then(|value| value.strip_suffix('/')) {
            Some(pattern) => Matcher::regex(&pattern.replace("\\/", "/")),
            None => signed(value).unwrap_or_else(|| Ok(Matcher::Exact(value.to_owned()))),
        };
        self.good(matcher, span)
            .map(|matcher| Filter::Label(key.trim_end().to_owned(), Some(matcher)))
    }

    /// What stands between a predicate's parentheses; the closing one is consumed.
    fn argument(&mut self) -> Result<(Argument<'a>, Range<usize>), Broken> {
        let open = self.at - 1;
        self.skip_blanks();
        let start = self.at;
        if self.rest().starts_with('/') {
            let regex_end = unescaped(&self.text[start + 1..], '/').map(|length| start + 1 + length);
            let Some(end) = regex_end else {
                return self.broken(
                    start..self.text.len(),
                    "this regex is never closed",
                    Some("it ends with `/`"),
                );
            };
            self.at = end + 1;
            if self.operator(&[")"], "") {
                let pattern = self.text[start + 1..end].replace("\\/", "/");
                return Ok((Argument::Regex(pattern.into()), start..end + 1));
            }
            return self.broken(
                end..end + 1,
                "expected `)` after the regex",
                Some("write `\\/` for a slash in it"),
            );
        }
        let mut text = String::new();
        let mut depth = 0_usize;
        let mut chars = self.rest().char_indices();
        while let Some((offset, c)) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some((_, escaped @ ('(' | ')' | '\\'))) => text.push(escaped),
                    Some((_, other)) => text.extend(['\\', other]),
                    None => text.push('\\'),
                },
                ')' if depth == 0 => {
                    self.at = start + offset + 1;
                    let trimmed = text.trim_end().to_owned();
                    let end = start + self.text[start..start + offset].trim_end().len();
                    return Ok((Argument::Text(trimmed), start..end));
                }
                ')' => {
                    depth -= 1;
                    text.push(c);
                }
                '(' => {
                    depth += 1;
                    text.push(c);
                }
                _ => text.push(c),
            }
        }
        self.broken(open..open + 1, "this parenthesis is never closed", None)
    }

    /// Consumes one of these signs, or this word.
    fn operator(&mut self, signs: &[&str], word: &str) -> bool {
        self.skip_blanks();
        let rest = self.rest();
        let length = signs
            .iter()
            .find(|sign| rest.starts_with(**sign))
            .map(|sign| sign.len())
            .or_else(|| {
                let after = rest.strip_prefix(word).filter(|_| !word.is_empty())?;
                let ends = after.starts_with(|c: char| c.is_whitespace() || c == '(' || c == '!');
                ends.then_some(word.len())
            });
        self.at += length.unwrap_or_default();
        length.is_some()
    }

    fn end(&mut self) -> Result<(), Broken> {
        self.skip_blanks();
        let rest = self.rest();
        if rest.is_empty() {
            return Ok(());
        }
        let word = rest.split_whitespace().next().unwrap_or(rest);
        let span = self.at..self.at + word.len();
        if rest.starts_with(')') {
            return self.broken(self.at..self.at + 1, "this parenthesis was never opened", None);
        }
        self.broken(
            span,
            "expected an operator",
            Some("join predicates with `&` or `|`"),
        )
    }

    fn unknown(&mut self, word: &str, span: Range<usize>) {
        let known = || {
            Predicate::ALL
                .into_iter()
                .map(Predicate::as_str)
                .chain(["label", "all", "none"])
        };
        let nearest = known().max_by(|a, b| strsim::jaro(a, word).total_cmp(&strsim::jaro(b, word)));
        let help = match nearest.filter(|near| strsim::jaro(near, word) > 0.75) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", known().collect::<Vec<_>>().join(", ")),
        };
        self.note(span, &format!("there is no predicate `{word}`"), Some(&help));
    }

    fn good(&mut self, matcher: Result<Matcher, String>, span: Range<usize>) -> Option<Matcher> {
        matcher
            .map_err(|why| self.note(span, &format!("this pattern is not valid: {why}"), None))
            .ok()
    }

    fn note(&mut self, span: Range<usize>, message: &str, help: Option<&str>) {
        let mut diagnostic = Diagnostic::error(message).at(self.origin, &self.source, span);
        diagnostic.help = help.map(str::to_owned);
        self.found.push(diagnostic);
    }

    fn broken<T>(&mut self, span: Range<usize>, message: &str, help: Option<&str>) -> Result<T, Broken> {
        self.note(span, message, help);
        Err(Broken)
    }

    fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }
}

enum Argument<'a> {
    Text(String),
    Regex(std::borrow::Cow<'a, str>),
}

/// A text that begins with a matcher's sign.
fn signed(text: &str) -> Option<Result<Matcher, String>> {
    let mut chars = text.chars();
    let sign = chars.next()?;
    let rest = chars.as_str();
    match sign {
        '=' => Some(Ok(Matcher::Exact(rest.to_owned()))),
        '~' => Some(Ok(Matcher::Contains(rest.to_owned()))),
        '#' => Some(Matcher::glob(rest)),
        _ => None,
    }
}

/// Where a character first stands without a backslash before it.
fn unescaped(text: &str, wanted: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == wanted => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each finding as `text under the span: message (help)`.
    #[track_caller]
    fn check(expression: &str, expected: &[&str]) {
        let found = parse(expression, "-E").expect_err(expression);
        let found: Vec<String> = found
            .into_iter()
            .map(|diagnostic| {
                let text = diagnostic
                    .place
                    .map(|place| place.text().to_owned())
                    .unwrap_or_default();
                let help = diagnostic
                    .help
                    .map(|help| format!(" ({help})"))
                    .unwrap_or_default();
                format!("{text}: {}{help}", diagnostic.message)
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn all_bad_predicates_are_told_at_once_with_their_place() {
        check(
            "tset(a) & lable(k) | test(/(/) & name(#[) & frob(x)",
            &[
                "tset: there is no predicate `tset` (did you mean `test`?)",
                "lable: there is no predicate `lable` (did you mean `label`?)",
                "/(/: this pattern is not valid: unclosed group",
                "#[: this pattern is not valid: unclosed character class; missing ']'",
                "frob: there is no predicate `frob` (there are test, suite, name, variant, kind, on, requires, \
                 group, fixture, image, file, label, all, none)",
            ],
        );
    }

    #[test]
    fn broken_structure_is_told_where_it_breaks() {
        check("(test(a)", &["(: this parenthesis is never closed"]);
        check("test(a))", &["): this parenthesis was never opened"]);
        check("test(a", &["(: this parenthesis is never closed"]);
        check(
            "test(/a)",
            &["/a): this regex is never closed (it ends with `/`)"],
        );
        check(
            "test(/a/b)",
            &["/: expected `)` after the regex (write `\\/` for a slash in it)"],
        );
        check(
            "test(a) test(b)",
            &["test(b): expected an operator (join predicates with `&` or `|`)"],
        );
        check(
            "restart",
            &[
                "restart: expected a predicate with parentheses (to look for it in names, write `test(restart)`)",
            ],
        );
        check(
            "test(a) &",
            &[": expected a predicate (such as `test(~part-of-a-name)` or `label(key=value)`)"],
        );
        check(
            "test()",
            &["test: `test` of what? (write what to look for in the parentheses)"],
        );
        check("all(x)", &["x: `all()` takes nothing"]);
        check(
            "label(k!=v)",
            &["k!=v: a label is compared with `=`, `~`, `#` or a regex (`!label(k=v)`)"],
        );
    }

    #[test]
    fn nesting_has_a_limit() {
        let deep = format!("{}all(){}", "(".repeat(5000), ")".repeat(5000));
        check(&deep, &[": nested too deeply"]);
        assert!(parse(&format!("{}all()", "!".repeat(99)), "-E").is_ok());
    }
}
