//! The reporter for terminals: text above, live lines below.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use seatrial_engine::{Control, Event, ReportError, Reporter};

use super::{
    draw::{Size, draw},
    screen::Screen,
    terminal::Terminal,
};
use crate::{
    state::State,
    text::{Lines, TextOptions},
};

/// Shows a run on the terminal.
pub struct TuiReporter {
    shared: Arc<Mutex<Shared>>,
}

/// What a signal handler needs of the terminal while the run goes on.
#[derive(Clone)]
pub struct TuiHandle {
    shared: Arc<Mutex<Shared>>,
}

/// Why there is no terminal to draw on; lines of text are the answer.
#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    /// It cannot move its cursor.
    #[error("draw on a terminal of type {0:?}")]
    Dumb(String),
    /// The process is a job in the background.
    #[error("draw from the background")]
    Background,
    /// There is none, or it does not answer.
    #[error("use the terminal")]
    Io(#[from] io::Error),
}

struct Shared {
    state: State,
    lines: Lines,
    options: TextOptions,
    terminal: Terminal,
    out: Box<dyn Write + Send>,
    screen: Screen,
    /// Text that has not been printed yet.
    above: String,
    drawn: Option<Instant>,
    size: Option<Size>,
    is_suspended: bool,
    /// Nobody draws any more.
    is_over: bool,
}

impl TuiReporter {
    /// Takes over the controlling terminal. `out` is the standard output, which must be that terminal; `term` is
    /// the value of `TERM`. Keys are told to `on_control`, from a thread of their own.
    ///
    /// # Errors
    /// When the terminal cannot be drawn on.
    pub fn open(
        out: Box<dyn Write + Send>,
        term: Option<&str>,
        options: TextOptions,
        on_control: impl Fn(Control) + Send + 'static,
    ) -> Result<Self, TuiError> {
        if matches!(term, None | Some("" | "dumb" | "unknown")) {
            return Err(TuiError::Dumb(term.unwrap_or_default().to_owned()));
        }
        let mut terminal = Terminal::open()?;
        if !terminal.is_in_foreground() {
            return Err(TuiError::Background);
        }
        terminal.enter()?;
        terminal.read_keys(on_control)?;
        let shared = Shared {
            state: State::default(),
            lines: Lines::new(options).without_progress(),
            options,
            terminal,
            out,
            screen: Screen::default(),
            above: String::new(),
            drawn: None,
            size: None,
            is_suspended: false,
            is_over: false,
        };
        Ok(Self {
            shared: Arc::new(Mutex::new(shared)),
        })
    }

    /// What suspends and resumes it.
    pub fn handle(&self) -> TuiHandle {
        TuiHandle {
            shared: self.shared.clone(),
        }
    }
}

impl TuiHandle {
    /// Gives the terminal back before the process stops itself (Ctrl-Z). Nothing is printed until
    /// [`TuiHandle::resume`].
    pub fn suspend(&self) {
        let mut shared = lock(&self.shared);
        shared.is_suspended = true;
        shared.terminal.leave();
        shared.screen.forget();
    }

    /// Takes the terminal again once SIGCONT has come: a process that stops itself by `kill` goes on for a
    /// moment, and must not take it then. A job that was continued in the background prints text only, until
    /// it is in the foreground again.
    pub fn resume(&self) {
        let mut shared = lock(&self.shared);
        shared.is_suspended = false;
        shared.terminal.forget();
        shared.screen.forget();
        // What cannot be told here is told by the next event.
        let _ = shared.draw();
    }
}

impl Reporter for TuiReporter {
    fn name(&self) -> &str {
        "terminal"
    }

    fn event(&mut self, event: &Event) -> Result<(), ReportError> {
        let shared = &mut *lock(&self.shared);
        shared.state.on(event);
        shared.lines.on(event, &shared.state, &mut shared.above);
        if shared.state.finished || shared.above.len() >= Shared::ABOVE_MAX {
            shared.draw()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ReportError> {
        let mut shared = lock(&self.shared);
        let is_due = shared.drawn.is_none_or(|at| at.elapsed() >= Shared::DRAW_EVERY);
        // What is not due is drawn by the next tick.
        if is_due {
            shared.draw()?;
        }
        Ok(())
    }

    fn tick(&mut self, elapsed: Duration) -> Result<(), ReportError> {
        let mut shared = lock(&self.shared);
        shared.state.elapsed = shared.state.elapsed.max(elapsed);
        shared.draw()?;
        Ok(())
    }

    fn wants_ticks(&self) -> bool {
        true
    }
}

impl Shared {
    /// The shortest time between two drawings.
    const DRAW_EVERY: Duration = Duration::from_millis(30);
    /// Enough text to be worth a write in a burst.
    const ABOVE_MAX: usize = 64 * 1024;

    fn draw(&mut self) -> io::Result<()> {
        if self.is_suspended || self.is_over {
            return Ok(());
        }
        self.drawn = Some(Instant::now());
        if self.state.finished {
            let last = self.screen.update(&self.above, Vec::new());
            self.above.clear();
            let written = self.write(&last);
            self.terminal.leave();
            self.is_over = true;
            return written;
        }
        match (self.terminal.is_in_foreground(), self.terminal.is_entered()) {
            (true, false) => self.terminal.enter()?,
            (false, true) => self.terminal.forget(),
            (true, true) | (false, false) => {}
        }
        if !self.terminal.is_entered() {
            let text = std::mem::take(&mut self.above);
            self.screen.forget();
            return self.write(&text);
        }
        let size = self.terminal.size();
        if size != self.size {
            self.size = size;
            self.screen.forget();
        }
        let live = size
            .map(|size| draw(&self.state, size, self.options.color))
            .unwrap_or_default();
        let update = self.screen.update(&self.above, live);
        self.above.clear();
        self.write(&update)
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

impl Drop for TuiReporter {
    fn drop(&mut self) {
        let mut shared = lock(&self.shared);
        if !shared.above.is_empty() && !shared.is_over {
            let rest = std::mem::take(&mut shared.above);
            let last = shared.screen.update(&rest, Vec::new());
            let _ = shared.write(&last);
        }
        // Handles may live on, in a task that waits for signals, but the terminal is no longer ours.
        shared.is_over = true;
        shared.terminal.leave();
    }
}

/// A lock whose holder panicked still guards what is needed to give the terminal back.
fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
