//! What the screen can do, decided once, and the way to it for all that is not a run's report.

use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
};

use seatrial_engine::Diagnostic;
use seatrial_report::{Color, GithubOptions, TextOptions, Verbosity};

use crate::args::ScreenArgs;

/// What the screen can do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    /// Colours on standard output.
    pub(crate) stdout: Color,
    /// Colours on standard error.
    pub(crate) stderr: Color,
    /// How much is told.
    pub(crate) verbosity: Verbosity,
    /// Whether lines can be rewritten: a terminal, not a dumb one, and nobody's build log.
    pub(crate) is_live: bool,
}

impl Screen {
    /// By the flags and what standard output and error are.
    pub(crate) fn new(args: &ScreenArgs) -> Self {
        let color = |is_terminal: bool| match args.color.is_on(is_terminal, |name| env::var_os(name)) {
            true => Color::Always,
            false => Color::Never,
        };
        let (stdout, stderr) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Self {
            stdout: color(stdout),
            stderr: color(stderr),
            verbosity: match (args.quiet, args.verbose) {
                (true, _) => Verbosity::Quiet,
                (_, true) => Verbosity::Verbose,
                _ => Verbosity::Normal,
            },
            is_live: stdout
                && stderr
                && env::var_os("CI").is_none()
                && env::var_os("TERM").is_some_and(|term| term != "dumb" && !term.is_empty()),
        }
    }

    /// How text on standard output looks.
    pub(crate) fn text(&self) -> TextOptions {
        TextOptions {
            color: self.stdout,
            verbosity: self.verbosity,
        }
    }

    /// Tells what is wrong.
    pub(crate) fn diagnose(&self, diagnostics: &[Diagnostic]) {
        // Nobody is left to be told that standard error is closed.
        let _ = io::stderr().write_all(seatrial_report::diagnostics(diagnostics, self.stderr).as_bytes());
        if let Some(options) = github_options() {
            // There, too: the runner of GitHub reads both, and standard output may be JSON.
            let _ =
                io::stderr().write_all(seatrial_report::github_diagnostics(diagnostics, &options).as_bytes());
        }
    }
}

/// Where things are, in a job of GitHub Actions.
pub(crate) fn github_options() -> Option<GithubOptions> {
    (env::var_os("GITHUB_ACTIONS")? == "true").then(|| GithubOptions {
        workspace: env::var_os("GITHUB_WORKSPACE").map(PathBuf::from),
        directory: env::current_dir().unwrap_or_default(),
        summary: env::var_os("GITHUB_STEP_SUMMARY").map(PathBuf::from),
    })
}

/// Writes to standard output. That its reader has gone, as `head` does, is no error.
///
/// # Errors
/// When it cannot be written for another reason.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
