//! JSON as Go's decoder reads and writes it, on [`serde_json::Value`] trees.
//!
//! Clients compare error texts, duplicate keys must be reported (`fieldValidation`), and numbers change their
//! form on the way through upstream (`1e3` becomes `1000`). `serde_json`'s own reader and writer do none of that,
//! so the tree is theirs and the text is ours.

use serde_json::{Map, Number, Value};

/// Deeper documents are refused: every later pass over a tree recurses. Upstream stops at 10,000.
const DEPTH_MAX: usize = 400;

/// A parsed document and what a strict reader would complain about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parsed {
    /// The tree. Of duplicate keys the last value wins.
    pub(crate) value: Value,
    /// Paths of keys that appeared more than once (`spec.size`).
    pub(crate) duplicates: Vec<String>,
}

/// Reads one JSON document. The error is the text that Go's decoder gives.
pub(crate) fn parse(text: &[u8]) -> Result<Parsed, String> {
    let mut reader = Reader {
        text,
        at: 0,
        depth: 0,
        duplicates: Vec::new(),
    };
    reader.space();
    let value = reader.value(None)?;
    reader.space();
    if let Some(c) = reader.peek() {
        return Err(format!("invalid character {} after top-level value", quoted(c)));
    }
    Ok(Parsed {
        value,
        duplicates: reader.duplicates,
    })
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
    duplicates: Vec<String>,
}

/// Where the reader is, as a list on the stack: a path costs nothing until a duplicate is found.
struct Frame<'a> {
    parent: Option<&'a Frame<'a>>,
    part: Part<'a>,
}

enum Part<'a> {
    Key(&'a str),
    Index(usize),
}

impl Frame<'_> {
    fn show(&self, out: &mut String) {
        if let Some(parent) = self.parent {
            parent.show(out);
        }
        match &self.part {
            Part::Key(key) => {
                if !out.is_empty() {
                    out.push('.');
                }
                out.push_str(key);
            }
            Part::Index(index) => out.push_str(&format!("[{index}]")),
        }
    }
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn unexpected(&self, wanted: &str) -> String {
        match self.peek() {
            None => "unexpected end of JSON input".to_owned(),
            Some(c) => format!("invalid character {} {wanted}", quoted(c)),
        }
    }

    fn value(&mut self, at: Option<&Frame<'_>>) -> Result<Value, String> {
        match self.peek() {
            Some(b'{') => self.object(at),
            Some(b'[') => self.array(at),
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(b't') => self.literal("true", Value::Bool(true)),
            Some(b'f') => self.literal("false", Value::Bool(false)),
            Some(b'n') => self.literal("null", Value::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.unexpected("looking for beginning of value")),
        }
    }

    fn literal(&mut self, word: &str, value: Value) -> Result<Value, String> {
        for (index, expected) in word.bytes().enumerate() {
            if self.peek() != Some(expected) {
                let wanted = if index == 0 {
                    "looking for beginning of value".to_owned()
                } else {
                    format!("in literal {word} (expecting {})", quoted(expected))
                };
                return Err(self.unexpected(&wanted));
            }
            self.at += 1;
        }
        Ok(value)
    }

    fn enter(&mut self) -> Result<(), String> {
        self.at += 1;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("exceeded max depth".to_owned());
        }
        self.space();
        Ok(())
    }

    fn leave(&mut self) {
        self.at += 1;
        self.depth -= 1;
    }

    fn object(&mut self, at: Option<&Frame<'_>>) -> Result<Value, String> {
        self.enter()?;
        let mut map = Map::new();
        if self.peek() == Some(b'}') {
            self.leave();
            return Ok(Value::Object(map));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("looking for beginning of object key string"));
            }
            let key = self.string()?;
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.unexpected("after object key"));
            }
            self.at += 1;
            self.space();
            let frame = Frame {
                parent: at,
                part: Part::Key(&key),
            };
            let value = self.value(Some(&frame))?;
            if map.contains_key(&key) {
                let mut path = String::new();
                frame.show(&mut path);
                if !self.duplicates.contains(&path) && self.duplicates.len() < 100 {
                    self.duplicates.push(path);
                }
            }
            map.insert(key, value);
            self.space();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.space();
                }
                Some(b'}') => {
                    self.leave();
                    return Ok(Value::Object(map));
                }
                _ => return Err(self.unexpected("after object key:value pair")),
            }
        }
    }

    fn array(&mut self, at: Option<&Frame<'_>>) -> Result<Value, String> {
        self.enter()?;
        let mut items = Vec::new();
        if self.peek() == Some(b']') {
            self.leave();
            return Ok(Value::Array(items));
        }
        loop {
            let frame = Frame {
                parent: at,
                part: Part::Index(items.len()),
            };
            items.push(self.value(Some(&frame))?);
            self.space();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.space();
                }
                Some(b']') => {
                    self.leave();
                    return Ok(Value::Array(items));
                }
                _ => return Err(self.unexpected("after array element")),
            }
        }
    }

    fn string(&mut self) -> Result<String, String> {
        self.at += 1;
        let start = self.at;
        let mut plain = true;
        loop {
            match self.peek() {
                None => return Err(self.unexpected("")),
                Some(b'"') => break,
                Some(b'\\') => {
                    plain = false;
                    self.at += 1;
                    self.escape_checked()?;
                }
                Some(0..=0x1f) => return Err(self.unexpected("in string literal")),
                Some(_) => self.at += 1,
            }
        }
        let raw = &self.text[start..self.at];
        self.at += 1;
        let text = String::from_utf8_lossy(raw);
        Ok(if plain { text.into_owned() } else { unescape(&text) })
    }

    /// Moves past one escape, the reader standing after its backslash.
    fn escape_checked(&mut self) -> Result<(), String> {
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|c| c.is_ascii_hexdigit()) {
                        return Err(self.unexpected("in \\u hexadecimal character escape"));
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.unexpected("in string escape code")),
        }
        Ok(())
    }

    fn digits(&mut self, wanted: &str) -> Result<(), String> {
        if !self.peek().is_some_and(|c| c.is_ascii_digit()) {
            return Err(self.unexpected(wanted));
        }
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Value, String> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits("in numeric literal")?;
        }
        let mut integer = true;
        if self.peek() == Some(b'.') {
            integer = false;
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            integer = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        let text = std::str::from_utf8(&self.text[start..self.at]).unwrap_or("0");
        if integer && let Ok(number) = text.parse::<i64>() {
            return Ok(Value::Number(number.into()));
        }
        let number: f64 = text.parse().unwrap_or(f64::INFINITY);
        if !number.is_finite() {
            return Err(format!(
                "json: cannot unmarshal number {text} into Go value of type float64"
            ));
        }
        Ok(number_value(number))
    }
}

/// A float as upstream keeps it after a round trip: whole numbers become integers.
pub(crate) fn number_value(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9.2e18 {
        Value::Number((number as i64).into())
    } else {
        Number::from_f64(number).map_or(Value::Null, Value::Number)
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = rest.as_bytes()[at + 1];
        rest = &rest[at + 2..];
        match escape {
            b'b' => out.push('\u{8}'),
            b'f' => out.push('\u{c}'),
            b'n' => out.push('\n'),
            b'r' => out.push('\r'),
            b't' => out.push('\t'),
            b'u' => {
                let high = hex4(rest);
                rest = &rest[4..];
                let mut code = high;
                if (0xd800..0xdc00).contains(&high) && rest.starts_with("\\u") {
                    let low = hex4(&rest[2..]);
                    if (0xdc00..0xe000).contains(&low) {
                        code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                        rest = &rest[6..];
                    }
                }
                out.push(char::from_u32(code).unwrap_or('\u{fffd}'));
            }
            other => out.push(char::from(other)),
        }
    }
    out.push_str(rest);
    out
}

fn hex4(text: &str) -> u32 {
    text.get(..4)
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .unwrap_or(0xfffd)
}

/// A byte as Go's `quoteChar` shows it.
fn quoted(c: u8) -> String {
    match c {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        0x20..=0x7e => format!("'{}'", char::from(c)),
        b'\n' => r"'\n'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        0 => r"'\x00'".to_owned(),
        c if c < 0x20 || c == 0x7f => format!("'\\x{c:02x}'"),
        c => format!("'{}'", char::from(c)),
    }
}

/// How the keys of the outermost object are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TopOrder {
    /// By name, as upstream writes custom resources.
    Sorted,
    /// `kind`, `apiVersion`, `metadata`, then by name, as upstream writes Go structs.
    KindFirst,
}

/// Compact JSON, keys sorted.
pub(crate) fn to_vec(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write_value(value, &mut out);
    out
}

/// [`to_vec`] as text.
pub(crate) fn to_string(value: &Value) -> String {
    String::from_utf8_lossy(&to_vec(value)).into_owned()
}

/// An object's bytes, and where in them the text of `metadata.resourceVersion` begins, if there is one.
pub(crate) fn write_object(value: &Value, order: TopOrder) -> (Vec<u8>, Option<usize>) {
    let mut out = Vec::with_capacity(1024);
    let Value::Object(map) = value else {
        write_value(value, &mut out);
        return (out, None);
    };
    let mut version_at = None;
    let mut first = true;
    let mut entry = |key: &str, value: &Value, out: &mut Vec<u8>| {
        out.push(if first { b'{' } else { b',' });
        first = false;
        write_string(key, out);
        out.push(b':');
        match value {
            Value::Object(metadata) if key == "metadata" => {
                out.push(b'{');
                for (index, (key, value)) in sorted(metadata).enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    write_string(key, out);
                    out.push(b':');
                    if key == "resourceVersion" && value.is_string() {
                        version_at = Some(out.len() + 1);
                    }
                    write_value(value, out);
                }
                out.push(b'}');
            }
            value => write_value(value, out),
        }
    };
    if order == TopOrder::KindFirst {
        const HEAD: [&str; 3] = ["kind", "apiVersion", "metadata"];
        for key in HEAD {
            if let Some(value) = map.get(key) {
                entry(key, value, &mut out);
            }
        }
        for (key, value) in sorted(map).filter(|(key, _)| !HEAD.contains(&key.as_str())) {
            entry(key, value, &mut out);
        }
    } else {
        for (key, value) in sorted(map) {
            entry(key, value, &mut out);
        }
    }
    if out.is_empty() {
        out.push(b'{');
    }
    out.push(b'}');
    (out, version_at)
}

fn sorted(map: &Map<String, Value>) -> Box<dyn Iterator<Item = (&String, &Value)> + '_> {
    if map.keys().is_sorted() {
        return Box::new(map.iter());
    }
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_by(|a, b| a.0.cmp(b.0));
    Box::new(entries.into_iter())
}

/// Appends compact JSON, keys sorted.
pub(crate) fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => out.extend_from_slice(number_text(number).as_bytes()),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_value(item, out);
            }
            out.push(b']');
        }
        Value::Object(map) => {
            out.push(b'{');
            for (index, (key, value)) in sorted(map).enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_string(key, out);
                out.push(b':');
                write_value(value, out);
            }
            out.push(b'}');
        }
    }
}

/// A number as Go's encoder writes it.
pub(crate) fn number_text(number: &Number) -> String {
    if let Some(whole) = number.as_i64() {
        return whole.to_string();
    }
    if let Some(whole) = number.as_u64() {
        return go_float(whole as f64);
    }
    go_float(number.as_f64().unwrap_or(0.0))
}

fn go_float(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{number:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return match exponent.strip_prefix('-') {
            Some(digits) => format!("{mantissa}e-{digits:0>2}"),
            None => format!("{mantissa}e+{exponent:0>2}"),
        };
    }
    format!("{number}")
}

/// Appends a quoted string, escaped as Go's encoder does (HTML characters too).
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut done = 0;
    let mut at = 0;
    while at < bytes.len() {
        let c = bytes[at];
        let escaped: Option<(&[u8], usize)> = match c {
            b'"' => Some((b"\\\"", 1)),
            b'\\' => Some((b"\\\\", 1)),
            b'\n' => Some((b"\\n", 1)),
            b'\r' => Some((b"\\r", 1)),
            b'\t' => Some((b"\\t", 1)),
            0x08 => Some((b"\\b", 1)),
            0x0c => Some((b"\\f", 1)),
            b'<' => Some((b"\\u003c", 1)),
            b'>' => Some((b"\\u003e", 1)),
            b'&' => Some((b"\\u0026", 1)),
            0xe2 if bytes[at..].starts_with("\u{2028}".as_bytes()) => Some((b"\\u2028", 3)),
            0xe2 if bytes[at..].starts_with("\u{2029}".as_bytes()) => Some((b"\\u2029", 3)),
            0..=0x1f => Some((b"", 1)),
            _ => None,
        };
        if let Some((escape, width)) = escaped {
            out.extend_from_slice(&bytes[done..at]);
            if escape.is_empty() {
                out.extend_from_slice(format!("\\u{c:04x}").as_bytes());
            } else {
                out.extend_from_slice(escape);
            }
            at += width;
            done = at;
        } else {
            at += 1;
        }
    }
    out.extend_from_slice(&bytes[done..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        assert_eq!(parse(text.as_bytes()).unwrap_err(), expected);
    }

    #[test]
    fn errors_are_those_of_go() {
        check_error("", "unexpected end of JSON input");
        check_error("{\"a\":", "unexpected end of JSON input");
        check_error(
            "{\"a\":1,}",
            "invalid character '}' looking for beginning of object key string",
        );
        check_error("[1 2]", "invalid character '2' after array element");
        check_error("{} x", "invalid character 'x' after top-level value");
        check_error("nul", "unexpected end of JSON input");
        check_error(
            "1e999",
            "json: cannot unmarshal number 1e999 into Go value of type float64",
        );
        check_error(&"[".repeat(100_000), "exceeded max depth");
    }

    #[test]
    fn numbers_and_escapes_leave_in_upstreams_form() {
        let parsed =
            parse(br#"{"b":1e3,"a":1.0,"c":1e-7,"d":"<\u00e9\ud83d\ude00\n>","e":12345678901234567890}"#)
                .unwrap();
        assert_eq!(
            to_string(&parsed.value),
            r#"{"a":1,"b":1000,"c":1e-07,"d":"\u003cé😀\n\u003e","e":12345678901234567000}"#
        );
    }

    #[test]
    fn duplicates_are_named_by_path() {
        let parsed = parse(br#"{"a":{"b":1,"b":2},"l":[{"c":1,"c":2}]}"#).unwrap();
        assert_eq!(parsed.duplicates, ["a.b", "l[0].c"]);
        assert_eq!(parsed.value["a"]["b"], 2);
    }

    #[test]
    fn the_version_can_be_found_in_the_bytes() {
        let parsed =
            parse(br#"{"apiVersion":"v1","kind":"X","metadata":{"resourceVersion":"17","name":"a"}}"#)
                .unwrap();
        let (bytes, at) = write_object(&parsed.value, TopOrder::KindFirst);
        let at = at.unwrap();
        assert_eq!(&bytes[at..at + 2], b"17");
        assert!(bytes.starts_with(br#"{"kind":"X","apiVersion":"v1","metadata":{"name""#));
    }
}
