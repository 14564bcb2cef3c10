//! Texts that come from outside (a target's log, a panic, an answer) made safe to show.
//!
//! They may hold colours, cursor movements or a bell. On a terminal those would garble everything around
//! them, and a CI log must not hold any, so escape sequences are dropped and other control characters are shown
//! in caret notation.

use std::borrow::Cow;

/// The text without escape sequences and control characters; line ends and tabs stay.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unwanted) {
        return Cow::Borrowed(text);
    }
    let mut cleaned = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => skip_escape(&mut chars),
            // Progress bars redraw a line; what stands before a line end is only the end of the line.
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' => cleaned.push('\n'),
            c if c.is_ascii() && is_unwanted(c) => {
                cleaned.push('^');
                cleaned.push(char::from(c as u8 ^ 0x40));
            }
            c if is_unwanted(c) => cleaned.push(char::REPLACEMENT_CHARACTER),
            c => cleaned.push(c),
        }
    }
    Cow::Owned(cleaned)
}

/// The text on one line, with every kind of white space as a space.
pub(crate) fn in_a_line(text: &str) -> Cow<'_, str> {
    let cleaned = clean(text);
    if !cleaned.contains(['\n', '\t']) {
        return cleaned;
    }
    let words: Vec<&str> = cleaned.split_whitespace().collect();
    Cow::Owned(words.join(" "))
}

/// Control characters of ASCII and Latin-1, and those that turn the direction of writing around.
fn is_unwanted(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Skips the rest of an escape sequence (ECMA-48): CSI up to its final byte, strings up to their end, and
/// two-character ones.
fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next() {
        Some('[') => {
            while chars.next_if(|c| ('\x20'..='\x3f').contains(c)).is_some() {}
            chars.next_if(|c| ('\x40'..='\x7e').contains(c));
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            // A string that is never closed must not swallow all that follows, only its line.
            while let Some(c) = chars.next_if(|c| *c != '\n') {
                if c == '\x07' || (c == '\x1b' && chars.next_if_eq(&'\\').is_some()) {
                    break;
                }
            }
        }
        Some('\x20'..='\x2f') => {
            chars.next();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_code_gets_through() {
        let shown = |text| clean(text).into_owned();
        assert_eq!(
            shown("\x1b[1;31merror\x1b[0m: \x1b]8;;http://x\x1b\\link\x1b]8;;\x07"),
            "error: link"
        );
        assert_eq!(
            shown("bell \x07, null \0, csi \u{9b}, \u{202e}back"),
            "bell ^G, null ^@, csi \u{fffd}, \u{fffd}back"
        );
        assert_eq!(shown("one\r\n10%\r20%\ttab"), "one\n10%\n20%\ttab");
        assert_eq!(shown("\x1b]0;never closed\nnext"), "\nnext");
        assert!(matches!(clean("plain é 漢"), Cow::Borrowed(_)));
        assert_eq!(in_a_line("a\n  b\tc"), "a b c");
    }
}
