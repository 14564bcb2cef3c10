//! Rust source with comments and literals taken out, line for line.
//!
//! Rules look for words, and a word in a comment or in a message is not code. Four states of a lexer are enough for
//! that; a parser would be a second compiler to build for a check that runs on every change.

/// What a file's text is made of, each with as many lines as the file.
pub(super) struct Masked {
    /// The code: comments are gone, strings are empty.
    pub(super) code: Vec<String>,
    /// The comments, with their slashes.
    pub(super) comments: Vec<String>,
}

pub(super) fn mask(text: &str) -> Masked {
    let mut masked = Masked {
        code: vec![String::new()],
        comments: vec![String::new()],
    };
    let mut rest = text;
    let mut after_word = false;
    while let Some(first) = rest.chars().next() {
        let (length, is_comment, replaced) = token(rest, first, after_word);
        let (piece, next) = rest.split_at(length);
        after_word = !is_comment && (first.is_alphanumeric() || first == '_');
        if let Some(replaced) = replaced {
            masked.last_code().push_str(replaced);
        }
        for (number, line) in piece.split('\n').enumerate() {
            if number > 0 {
                masked.code.push(String::new());
                masked.comments.push(String::new());
            }
            if is_comment {
                masked.last_comment().push_str(line);
            } else if replaced.is_none() {
                masked.last_code().push_str(line);
            }
        }
        rest = next;
    }
    masked
}

impl Masked {
    fn last_code(&mut self) -> &mut String {
        let last = self.code.len() - 1;
        &mut self.code[last]
    }

    fn last_comment(&mut self) -> &mut String {
        let last = self.comments.len() - 1;
        &mut self.comments[last]
    }
}

/// How long the token is that `rest` begins with, whether it is a comment, and what stands for it in the code.
fn token(rest: &str, first: char, after_word: bool) -> (usize, bool, Option<&'static str>) {
    if rest.starts_with("//") {
        (rest.find('\n').unwrap_or(rest.len()), true, Some(""))
    } else if rest.starts_with("/*") {
        (block_comment(rest), true, Some(" "))
    } else if first == '"' {
        (quoted(rest, 1), false, Some("\"\""))
    } else if !after_word && let Some(length) = prefixed_literal(rest) {
        (length, false, Some("\"\""))
    } else if first == '\''
        && let Some(length) = character(rest)
    {
        (length, false, Some("' '"))
    } else {
        (first.len_utf8(), false, None)
    }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(tail) = rest.get(at..).filter(|tail| !tail.is_empty()) {
        if tail.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if tail.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += tail.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// The length of a quoted literal whose contents begin at `from`.
fn quoted(rest: &str, from: usize) -> usize {
    let mut escaped = false;
    for (at, char) in rest[from..].char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return from + at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// `r"…"`, `r#"…"#`, `b"…"`, `br"…"`, `c"…"`, `cr"…"`: raw ones know no escapes.
fn prefixed_literal(rest: &str) -> Option<usize> {
    let letters = rest.len() - rest.trim_start_matches(['b', 'c', 'r']).len();
    let (prefix, tail) = rest.split_at(letters.min(2));
    if prefix.is_empty() {
        return None;
    }
    if !prefix.contains('r') {
        return tail.starts_with('"').then(|| quoted(rest, prefix.len() + 1));
    }
    let hashes = tail.len() - tail.trim_start_matches('#').len();
    if !tail[hashes..].starts_with('"') {
        return None;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let contents = prefix.len() + hashes + 1;
    Some(
        rest[contents..]
            .find(&end)
            .map_or(rest.len(), |at| contents + at + end.len()),
    )
}

/// A character literal; `None` for a lifetime.
fn character(rest: &str) -> Option<usize> {
    let mut chars = rest.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        let (at, escaped) = chars.next()?;
        let tail = at + escaped.len_utf8();
        return rest[tail..].find('\'').map(|end| tail + end + 1);
    }
    let (at, second) = chars.next()?;
    (second == '\'').then_some(at + 1)
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[track_caller]
    fn check(text: &str, code: &[&str], comments: &[&str]) {
        let masked = mask(text);
        assert_eq!(masked.code, code);
        assert_eq!(masked.comments, comments);
    }

    #[test]
    fn comments_are_apart_from_code() {
        check("let a = 1; // one\nb", &["let a = 1; ", "b"], &["// one", ""]);
        check(
            "a /* b\n /* c */ d */ e",
            &["a  ", " e"],
            &["/* b", " /* c */ d */"],
        );
    }

    #[test]
    fn literals_are_empty() {
        check(r#"f("exit( \" //", 'x', b"a")"#, &[r#"f("", ' ', "")"#], &[""]);
        check("r#\"a\"b\n// c\"# d", &["\"\"", " d"], &["", ""]);
        check(r"'\'' '\u{7f}' '\\' x", &["' ' ' ' ' ' x"], &[""]);
    }

    #[test]
    fn lifetimes_and_names_stay() {
        check(
            "fn f<'a>(br: &'a str, r: u8)",
            &["fn f<'a>(br: &'a str, r: u8)"],
            &[""],
        );
        check("for\"x\"", &["for\"\""], &[""]);
    }
}
