//! How to look at a test from close by.

use clap::Args;
use seatrial_engine::Keep;

/// How to look at a test from close by.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Looking closer")]
pub(crate) struct DebuggingArgs {
    /// Leave what a test started standing, and say how to look at it and how to remove it [default: never]
    #[arg(long, env = "SEATRIAL_KEEP", value_name = "WHEN", value_enum)]
    pub(crate) keep: Option<KeepChoice>,
    /// Stop before steps whose name contains this, say how to look, and go on at Enter
    #[arg(long, env = "SEATRIAL_BREAKPOINT", value_name = "STEP")]
    pub(crate) breakpoint: Option<String>,
}

/// When what a test started is left standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum KeepChoice {
    /// Remove everything
    Never,
    /// Leave what belongs to tests that did not pass
    OnFailure,
    /// Leave everything
    Always,
}

impl From<KeepChoice> for Keep {
    fn from(choice: KeepChoice) -> Self {
        match choice {
            KeepChoice::Never => Keep::Never,
            KeepChoice::OnFailure => Keep::OnFailure,
            KeepChoice::Always => Keep::Always,
        }
    }
}
