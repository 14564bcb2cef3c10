//! Why a command ends before it has done anything.

use seatrial_engine::Diagnostic;

use crate::exit::Exit;

/// Why a command ends before it has done anything. What it holds is told on standard error.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Flags or files are wrong: everything that is.
    Wrong(Vec<Diagnostic>),
    /// The selection matches nothing: why, and what may have been meant.
    NoMatch(Box<Diagnostic>),
    /// It cannot be done here, such as showing a run that is gone.
    Cannot(Box<Diagnostic>),
    /// seatrial itself failed.
    Internal(anyhow::Error),
}

impl Stop {
    /// One thing is wrong.
    pub(crate) fn wrong(message: impl Into<String>, help: Option<String>) -> Self {
        let mut diagnostic = Diagnostic::error(message);
        diagnostic.help = help;
        Stop::Wrong(vec![diagnostic])
    }

    /// The selection matches nothing.
    pub(crate) fn no_match(why: Diagnostic) -> Self {
        Stop::NoMatch(Box::new(why))
    }

    /// It cannot be done here.
    pub(crate) fn cannot(why: Diagnostic) -> Self {
        Stop::Cannot(Box::new(why))
    }

    /// The exit code that goes with it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Stop::Wrong(_) => Exit::Usage,
            Stop::NoMatch(_) => Exit::NoMatch,
            Stop::Cannot(_) => Exit::Bad,
            Stop::Internal(_) => Exit::Internal,
        }
    }

    /// What is told.
    pub(crate) fn diagnostics(self) -> Vec<Diagnostic> {
        match self {
            Stop::Wrong(all) => all,
            Stop::NoMatch(one) | Stop::Cannot(one) => vec![*one],
            Stop::Internal(error) => vec![Diagnostic::error(format!("seatrial itself failed: {error:#}"))],
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Stop::Internal(error.into())
    }
}
