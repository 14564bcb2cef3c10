//! The live lines, as a pure function of what is known.

use std::time::Duration;

use seatrial_engine::{StopReason, Verdict};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::{
    foreign::in_a_line,
    ink::{Color, Ink},
    page::ink_of,
    span::Ticking,
    state::{Building, Running, State},
};

/// How large the terminal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

/// The part of the terminal's height that the live lines take at most: the rest is for what has happened.
const PART_MAX: usize = 2;
/// The bar's width where there is room for it.
const BAR: usize = 24;

/// The live lines, each of which fits the terminal; none where there is nothing to tell.
pub(crate) fn draw(state: &State, size: Size, color: Color) -> Vec<String> {
    if state.finished || size.rows < 2 || size.columns < 10 {
        return Vec::new();
    }
    let gutter = Gutter::of(size);
    let mut running: Vec<(String, &Running)> = Vec::with_capacity(state.running.len());
    for (test, test_running) in &state.running {
        running.push((in_a_line(&state.name(*test)).into_owned(), test_running));
    }
    // What waits for somebody must not be among what is left out.
    running.sort_by_key(|(_, running)| running.breakpoint.is_none());
    let room = (size.rows / PART_MAX).max(1);
    let wanted = state.building.len() + running.len();
    // The last line of the room is for the bar, and one may be needed to say how many are not shown.
    let shown = if wanted < room {
        wanted
    } else {
        room.saturating_sub(2)
    };
    let names = running.iter().take(shown.saturating_sub(state.building.len()));
    let column = names
        .map(|(name, _)| name.width())
        .max()
        .unwrap_or(0)
        .min(size.columns / 3);
    let mut lines: Vec<Line> = state
        .building
        .iter()
        .map(|building| build(gutter, building, state.elapsed))
        .chain(
            running
                .iter()
                .map(|(name, running)| run(gutter, name, column, running, state.elapsed)),
        )
        .take(shown)
        .collect();
    if shown < wanted && room >= 2 {
        let text = format!("and {} more", wanted - shown);
        lines.push(gutter.line(Ink::Dim, "", None).add(Ink::Dim, &text));
    }
    lines.push(bar(gutter, state, size.columns));
    // The last column stays empty: a line that fills it leaves the cursor in a place on which terminals differ.
    lines
        .into_iter()
        .map(|line| line.fitted(size.columns - 1, color))
        .collect()
}

/// How the word and the time at the start of a line are set: in columns, as in the text above, or close together
/// where the terminal is narrow.
#[derive(Clone, Copy)]
enum Gutter {
    Columns,
    Narrow,
}

impl Gutter {
    fn of(size: Size) -> Self {
        if size.columns < 60 {
            Gutter::Narrow
        } else {
            Gutter::Columns
        }
    }

    fn line(self, ink: Ink, word: &str, took: Option<Duration>) -> Line {
        let took = took.map(|took| Ticking(took).to_string()).unwrap_or_default();
        match self {
            Gutter::Columns => Line::default()
                .add(ink, &format!("{word:>9}"))
                .add(Ink::Dim, &format!(" {took:>7}  ")),
            Gutter::Narrow if word.is_empty() => Line::default(),
            Gutter::Narrow => Line::default().add(ink, word).add(Ink::Dim, &format!(" {took} ")),
        }
    }
}

fn build(gutter: Gutter, building: &Building, now: Duration) -> Line {
    let line = gutter
        .line(Ink::Active, "building", Some(now.saturating_sub(building.since)))
        .plain(&format!("fixture {}", building.fixture));
    match &building.progress {
        Some(progress) => line.add(Ink::Dim, &format!("  {}", in_a_line(progress))),
        None => line,
    }
}

fn run(gutter: Gutter, name: &str, column: usize, running: &Running, now: Duration) -> Line {
    let (ink, word) = match (&running.breakpoint, running.stopping) {
        (Some(_), _) => (Ink::Strong, "break"),
        (None, Some(_)) => (Ink::Warning, "stopping"),
        (None, None) => (Ink::Active, "running"),
    };
    let mut line = gutter.line(ink, word, Some(now.saturating_sub(running.since)));
    line = line.plain(name);
    if !running.steps.is_empty() || running.breakpoint.is_some() {
        line = line.plain(&" ".repeat(column.saturating_sub(name.width())));
    }
    if running.attempt > 1 {
        line = line.add(Ink::Warning, &format!(" attempt {}", running.attempt));
    }
    if let Some(step) = &running.breakpoint {
        return line.add(
            Ink::Strong,
            &format!("  press Enter to go on with {}", in_a_line(step)),
        );
    }
    let mut steps: Vec<_> = running.innermost().collect();
    // Of a parallel block the newest step is shown: it is the one whose start was not seen yet.
    if let Some(step) = steps.pop() {
        let took = now.saturating_sub(step.since);
        line = line.add(Ink::Dim, &format!("  {}", in_a_line(&step.name)));
        if !steps.is_empty() {
            line = line.add(Ink::Dim, &format!(" (+{})", steps.len()));
        }
        if took >= Duration::from_secs(1) {
            line = line.add(Ink::Dim, &format!(" {}", Ticking(took)));
        }
        if let Some(seen) = &step.seen {
            line = line.add(Ink::Dim, "  saw ").plain(&in_a_line(seen));
        }
    }
    line
}

/// `[37/120]  12s  ━━━━━━━━  30 passed, 2 failed`
fn bar(gutter: Gutter, state: &State, columns: usize) -> Line {
    let total = state.info.tests.len();
    let counter = format!("[{}/{total}]", state.done);
    let mut line = gutter.line(Ink::Strong, &counter, Some(state.elapsed));
    if columns >= 80 {
        let full = (BAR * state.done).checked_div(total).unwrap_or(BAR).min(BAR);
        let has_bad = state.counts.keys().any(|verdict| verdict.is_bad());
        let ink = if has_bad { Ink::Bad } else { Ink::Good };
        line = line
            .add(ink, &"━".repeat(full))
            .add(Ink::Dim, &"─".repeat(BAR - full))
            .plain("  ");
    }
    let mut separator = "";
    for verdict in Verdict::ALL {
        if let Some(count) = state.counts.get(&verdict) {
            line = line
                .plain(separator)
                .add(ink_of(verdict), &format!("{count} {verdict}"));
            separator = ", ";
        }
    }
    match state.stopping {
        None => line,
        Some(why) => {
            let why = match why {
                StopReason::Interrupted => "stopping, Ctrl-C ends at once",
                StopReason::FailFast => "stopping after a failure",
                StopReason::Deadline => "stopping at the deadline",
            };
            line.plain(if separator.is_empty() { "" } else { "  " })
                .add(Ink::Warning, why)
        }
    }
}

/// A line in the making: pieces of text with their colours.
#[derive(Default)]
struct Line(Vec<(Option<Ink>, String)>);

impl Line {
    fn add(mut self, ink: Ink, text: &str) -> Self {
        self.0.push((Some(ink), text.to_owned()));
        self
    }

    fn plain(mut self, text: &str) -> Self {
        self.0.push((None, text.to_owned()));
        self
    }

    /// The line, cut to the width, with an ellipsis where something is missing.
    fn fitted(self, columns: usize, color: Color) -> String {
        let width: usize = self.0.iter().map(|(_, text)| text.width()).sum();
        let mut left = if width > columns {
            columns.saturating_sub(1)
        } else {
            columns
        };
        let mut fitted = String::new();
        for (ink, text) in self.0 {
            let mut piece = String::new();
            let mut is_cut = false;
            for c in text.chars() {
                let width = c.width().unwrap_or(0);
                if width > left {
                    is_cut = true;
                    break;
                }
                left -= width;
                piece.push(c);
            }
            match ink {
                Some(ink) if !piece.is_empty() => fitted.push_str(&color.paint(ink, piece).to_string()),
                _ => fitted.push_str(&piece),
            }
            if is_cut {
                break;
            }
        }
        if width > columns {
            fitted.push('…');
        }
        let length = fitted.trim_end().len();
        fitted.truncate(length);
        fitted
    }
}

#[cfg(test)]
mod tests {
    use seatrial_engine::{Event, EventKind, Failure};

    use super::*;
    use crate::script::Script;

    fn state_of(events: &[Event]) -> State {
        let mut state = State::default();
        events.iter().for_each(|event| state.on(event));
        state
    }

    fn busy() -> Script {
        let mut script = Script::of(&[
            "tour/http",
            "tour/exec",
            "tour/flaky",
            "tour/漢字",
            "tour/done",
            "tour/bad",
        ]);
        script.tell(EventKind::FixtureStarted {
            fixture: "nats/broker".into(),
        });
        script.tell(EventKind::FixtureProgress {
            fixture: "nats/broker".into(),
            text: "compiling 34/120".into(),
        });
        script
            .start("tour/http")
            .after(2_000)
            .start("tour/exec")
            .start("tour/flaky");
        script
            .attempt_failed("tour/flaky", Failure::new("no"))
            .start("tour/flaky")
            .start("tour/漢字");
        script
            .step("tour/http", 0, None, "parallel")
            .step("tour/http", 1, Some(0), "log_contains up");
        script
            .step("tour/http", 2, Some(0), "http_check /health")
            .saw("tour/http", 2, "status = 503");
        script
            .start("tour/done")
            .finish("tour/done", Verdict::Passed, None);
        script
            .start("tour/bad")
            .after(10_000)
            .finish("tour/bad", Verdict::Failed, None);
        script
    }

    #[track_caller]
    fn drawn(script: &Script, columns: usize, rows: usize) -> String {
        let lines = draw(&state_of(&script.events), Size { columns, rows }, Color::Never);
        assert!(lines.len() < rows.max(1), "{lines:#?}");
        assert!(lines.iter().all(|line| line.width() < columns), "{lines:#?}");
        lines.join("\n")
    }

    #[test]
    fn what_runs_is_below_what_has_happened() {
        insta::assert_snapshot!(drawn(&busy(), 100, 30), @r"
        building     12s  fixture nats/broker  compiling 34/120
         running     12s  tour/http   http_check /health (+1) 10s  saw status = 503
         running     10s  tour/exec
         running     10s  tour/flaky attempt 2
         running     10s  tour/漢字
           [2/6]     12s  ━━━━━━━━────────────────  1 passed, 1 failed
        ");
    }

    #[test]
    fn a_small_terminal_keeps_the_bar() {
        insta::assert_snapshot!(drawn(&busy(), 40, 6), @r"
        building 12s fixture nats/broker  comp…
        and 4 more
        [2/6] 12s 1 passed, 1 failed
        ");
        insta::assert_snapshot!(drawn(&busy(), 20, 2), @"[2/6] 12s 1 passed…");
        for (columns, rows) in [(10, 2), (11, 3), (9, 50), (500, 1), (19, 7), (1, 1)] {
            drawn(&busy(), columns, rows);
        }
    }

    #[test]
    fn a_breakpoint_and_an_interrupt_say_what_to_press() {
        let mut script = busy();
        let test = script.index("tour/exec");
        script.tell(EventKind::Breakpoint {
            test,
            step: "exec true".into(),
            look: Vec::new(),
        });
        let test = script.index("tour/http");
        script.tell(EventKind::Stopping {
            why: StopReason::Interrupted,
            running: 4,
        });
        script.tell(EventKind::TestStopping {
            test,
            why: StopReason::Interrupted,
            grace: Duration::from_secs(30),
        });
        insta::assert_snapshot!(drawn(&script, 100, 30), @r"
        building     12s  fixture nats/broker  compiling 34/120
           break     10s  tour/exec   press Enter to go on with exec true
        stopping     12s  tour/http   http_check /health (+1) 10s  saw status = 503
         running     10s  tour/flaky attempt 2
         running     10s  tour/漢字
           [2/6]     12s  ━━━━━━━━────────────────  1 passed, 1 failed  stopping, Ctrl-C ends at once
        ");
    }

    #[test]
    fn colours_add_no_width_and_are_closed() {
        let lines = draw(
            &state_of(&busy().events),
            Size {
                columns: 50,
                rows: 30,
            },
            Color::Always,
        );
        for line in lines {
            assert_eq!(
                line.matches("\x1b[").count(),
                2 * line.matches("\x1b[0m").count(),
                "{line:?}"
            );
        }
    }
}
