//! From lines to bytes: what must be sent so that text scrolls by above the live lines.
//!
//! Between two drawings the cursor rests at the start of the first live line (see the module above), so a
//! drawing overwrites from there. One drawing is one write, marked as one update (DEC mode 2026) for terminals
//! that know how to show it without flicker.

use std::fmt::Write;

/// Shows the cursor, ends colours and an unfinished update, and clears the live lines below the cursor.
pub(crate) const RESTORE: &str = "\x1b[?2026l\x1b[0m\r\x1b[J\x1b[?25h";

/// What is on the screen below the text.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    shown: Vec<String>,
}

impl Screen {
    /// The bytes that print `above`, whole lines of text, and put `live` below it; empty where nothing changed.
    pub(crate) fn update(&mut self, above: &str, live: Vec<String>) -> String {
        if above.is_empty() && live == self.shown {
            return String::new();
        }
        let mut out = String::with_capacity(above.len() + 256);
        out.push_str("\x1b[?2026h\x1b[?25l\r");
        if !above.is_empty() {
            out.push_str("\x1b[J");
            out.push_str(above);
            if !above.ends_with('\n') {
                out.push('\n');
            }
        }
        for (index, line) in live.iter().enumerate() {
            if index > 0 {
                out.push_str("\r\n");
            }
            out.push_str(line);
            out.push_str("\x1b[K");
        }
        out.push_str("\x1b[J\r");
        if live.len() > 1 {
            // Writing to a String cannot fail.
            let _ = write!(out, "\x1b[{}A", live.len() - 1);
        }
        // The cursor is hidden only meanwhile: a SIGKILL must not leave the shell without one.
        out.push_str("\x1b[?25h\x1b[?2026l");
        self.shown = live;
        out
    }

    /// Forgets what is shown: the next update draws all of it.
    pub(crate) fn forget(&mut self) {
        self.shown.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A terminal of this size, with the translation of line ends that a terminal in cbreak mode still does.
    struct Emulator(vt100::Parser);

    impl Emulator {
        fn new(rows: u16, columns: u16) -> Self {
            Self(vt100::Parser::new(rows, columns, 1_000))
        }

        fn send(&mut self, bytes: &str) {
            self.0
                .process(bytes.replace("\r\n", "\n").replace('\n', "\r\n").as_bytes());
        }

        fn text(&self) -> String {
            self.0.screen().contents()
        }
    }

    fn live(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn text_scrolls_by_above_the_live_lines() {
        let (mut terminal, mut screen) = (Emulator::new(6, 20), Screen::default());
        terminal.send("$ seatrial run\r\n");
        terminal.send(&screen.update("", live(&["run a", "[0/9]"])));
        terminal.send(&screen.update("passed a\n", live(&["run b", "run c", "[1/9]"])));
        assert_eq!(terminal.text(), "$ seatrial run\npassed a\nrun b\nrun c\n[1/9]");
        for test in 2..9 {
            terminal.send(&screen.update(&format!("passed {test}\n"), live(&["run c", "[2/9]"])));
        }
        assert_eq!(
            terminal.text(),
            "passed 5\npassed 6\npassed 7\npassed 8\nrun c\n[2/9]"
        );
        terminal.send(&screen.update("finished\n", Vec::new()));
        terminal.send(RESTORE);
        terminal.send("$ ");
        assert_eq!(
            terminal.text(),
            "passed 5\npassed 6\npassed 7\npassed 8\nfinished\n$ "
        );
        assert!(!terminal.0.screen().hide_cursor());
    }

    #[test]
    fn long_text_wraps_and_leaves_nothing_of_the_live_lines() {
        let (mut terminal, mut screen) = (Emulator::new(8, 10), Screen::default());
        terminal.send(&screen.update("", live(&["#########", "#########", "#########"])));
        terminal.send(&screen.update("0123456789abc\n0123456789\n", live(&["run"])));
        assert_eq!(terminal.text(), "0123456789abc\n0123456789\nrun");
    }

    #[test]
    fn a_terminal_that_became_smaller_is_drawn_right_again() {
        let (mut terminal, mut screen) = (Emulator::new(10, 40), Screen::default());
        terminal.send(&screen.update(
            "one\ntwo\n",
            live(&["run a, which is long enough to be cut", "[0/9]"]),
        ));
        terminal.0.screen_mut().set_size(4, 12);
        terminal.send(&screen.update("", live(&["run a, whi…", "[0/9]"])));
        assert_eq!(terminal.text(), "one\ntwo\nrun a, whi…\n[0/9]");
    }

    #[test]
    fn nothing_is_sent_where_nothing_changed() {
        let mut screen = Screen::default();
        assert!(!screen.update("", live(&["run"])).is_empty());
        assert!(screen.update("", live(&["run"])).is_empty());
        screen.forget();
        assert!(!screen.update("", live(&["run"])).is_empty());
    }
}
