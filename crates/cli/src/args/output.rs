//! Where results go, and how the screen looks.

use std::{ffi::OsString, path::PathBuf};

use clap::{ArgAction, Args, builder::FalseyValueParser};

/// Where results go.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// What standard output is: text for people, or the events as JSON lines
    #[arg(short, long, env = "SEATRIAL_OUTPUT", value_enum, default_value_t)]
    pub(crate) output: OutputFormat,
    /// Also write JUnit XML to this file; the run's directory has one in any case
    #[arg(long, env = "SEATRIAL_JUNIT", value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Keep runs in this directory, instead of seatrial's state directory
    #[arg(short, long, env = "SEATRIAL_LOG_DIR", value_name = "DIR")]
    pub(crate) log_dir: Option<PathBuf>,
    /// Plain lines, also on a terminal
    #[arg(long, env = "SEATRIAL_NO_TUI", value_parser = FalseyValueParser::new())]
    pub(crate) no_tui: bool,
}

impl ScreenArgs {
    /// For commands that have no such flags.
    pub(crate) const DEFAULT: Self = Self {
        verbose: false,
        quiet: false,
        color: ColorChoice::Auto,
    };
}

/// What standard output is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people
    #[default]
    Text,
    /// One event a line
    Json,
}

/// How the screen looks, for every command.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct ScreenArgs {
    /// Tell more: each step as it happens
    #[arg(
        short,
        long,
        env = "SEATRIAL_VERBOSE",
        value_parser = FalseyValueParser::new(),
        conflicts_with = "quiet"
    )]
    pub(crate) verbose: bool,
    /// Tell less: only what did not pass, and the summary
    #[arg(short, long, env = "SEATRIAL_QUIET", value_parser = FalseyValueParser::new())]
    pub(crate) quiet: bool,
    /// Whether to use colours
    #[arg(
        long,
        env = "SEATRIAL_COLOR",
        value_name = "WHEN",
        value_enum,
        default_value_t,
        action = ArgAction::Set
    )]
    pub(crate) color: ColorChoice,
}

/// When colours are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl ColorChoice {
    /// Whether a stream that is a terminal, or not, gets colours. `env` looks up a variable.
    pub(crate) fn is_on(self, is_terminal: bool, env: impl Fn(&str) -> Option<OsString>) -> bool {
        let is_set = |name: &str| env(name).is_some_and(|value| !value.is_empty());
        match self {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            // https://no-color.org and https://bixense.com/clicolors
            ColorChoice::Auto if is_set("NO_COLOR") => false,
            ColorChoice::Auto
                if env("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0") =>
            {
                true
            }
            ColorChoice::Auto => is_terminal && env("TERM").is_none_or(|term| term != "dumb"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_follow_flag_then_variables_then_terminal() {
        let with = |set: &'static [(&str, &str)]| {
            move |name: &str| {
                let found = set.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| OsString::from(value))
            }
        };
        let none = with(&[]);
        assert!(ColorChoice::Auto.is_on(true, none));
        assert!(!ColorChoice::Auto.is_on(false, none));
        assert!(ColorChoice::Always.is_on(false, with(&[("NO_COLOR", "1")])));
        assert!(!ColorChoice::Auto.is_on(true, with(&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")])));
        assert!(ColorChoice::Auto.is_on(true, with(&[("NO_COLOR", "")])));
        assert!(ColorChoice::Auto.is_on(false, with(&[("CLICOLOR_FORCE", "1")])));
        assert!(!ColorChoice::Auto.is_on(true, with(&[("TERM", "dumb")])));
        assert!(!ColorChoice::Never.is_on(true, none));
    }
}
