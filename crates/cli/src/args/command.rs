//! The subcommands, and which groups of flags each of them takes.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand, builder::FalseyValueParser};
use clap_complete::Shell;

use super::{
    ConfigurationArgs, DebuggingArgs, OutputArgs, OutputFormat, PathArgs, RunningArgs, ScreenArgs,
    SelectionArgs,
};

/// End-to-end tests of cloud-native software: one command, on whatever is at hand.
#[derive(Debug, Parser)]
#[command(
    name = "seatrial",
    bin_name = "seatrial",
    version,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 110,
    after_help = "Every flag can also be given as an environment variable: SEATRIAL_ and its long name, such as \
                  SEATRIAL_TIMEOUT_MULTIPLIER=3.\n\n\
                  Exit codes: 0 all passed, 1 a test failed, 2 a flag or file is wrong, 3 nothing matched, \
                  4 interrupted, 5 seatrial itself failed."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run tests
    Run(Box<RunArgs>),
    /// List the tests that `run` would run
    List(Box<ListArgs>),
    /// Read all files and say what is wrong with them; run nothing
    Check(CheckArgs),
    /// Say what this machine has of what tests can need, and what to do about the rest
    Doctor(DoctorArgs),
    /// Show a recorded run again
    Show(ShowArgs),
    /// End what dead runs left on this machine
    Reap(ReapArgs),
    /// Print the JSON Schema of case files, or of a suite's seatrial.yaml
    Schema(SchemaArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print the manual page, or write one per command
    Man(ManArgs),
}

impl Cli {
    /// The command line as it is parsed, documented and completed.
    pub(crate) fn definition() -> clap::Command {
        // What a variable holds just now is no part of the documentation.
        Self::command().mut_subcommands(|command| command.mut_args(|arg| arg.hide_env_values(true)))
    }
}

impl Command {
    /// Whether a word is the name of a subcommand: how a test binary tells our command line from libtest's.
    pub(crate) fn is_name(word: &str) -> bool {
        Self::has_subcommand(word)
    }
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) paths: PathArgs,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    #[command(flatten)]
    pub(crate) running: RunningArgs,
    #[command(flatten)]
    pub(crate) debugging: DebuggingArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) configuration: ConfigurationArgs,
    #[command(flatten)]
    pub(crate) screen: ScreenArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) paths: PathArgs,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    #[command(flatten)]
    pub(crate) configuration: ConfigurationArgs,
    /// Print one JSON object: each name with type, environment, timeout, images and more
    #[arg(long, env = "SEATRIAL_JSON", value_parser = FalseyValueParser::new(), help_heading = "Output")]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) screen: ScreenArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) paths: PathArgs,
    #[command(flatten)]
    pub(crate) screen: ScreenArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Only these requirements; any other name is looked for as a program on the PATH
    #[arg(value_name = "REQUIREMENT")]
    pub(crate) requirements: Vec<String>,
    /// Fail if one of these is not met; comma separated, repeatable
    #[arg(long, env = "SEATRIAL_REQUIRE", value_name = "NAME", value_delimiter = ',')]
    pub(crate) require: Vec<String>,
    #[command(flatten)]
    pub(crate) screen: ScreenArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The run: its id or the beginning of it, its directory, or a record; the last run of this project
    /// where none is given
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// List the runs that are kept, newest first
    #[arg(long, env = "SEATRIAL_RUNS", value_parser = FalseyValueParser::new(), conflicts_with = "run")]
    pub(crate) runs: bool,
    /// How to print it
    #[arg(
        short,
        long,
        env = "SEATRIAL_OUTPUT",
        value_enum,
        default_value_t,
        help_heading = "Output"
    )]
    pub(crate) output: OutputFormat,
    /// Also write it as JUnit XML
    #[arg(long, env = "SEATRIAL_JUNIT", value_name = "FILE", help_heading = "Output")]
    pub(crate) junit: Option<PathBuf>,
    /// The directory that runs are kept in, if it was given to them
    #[arg(
        short,
        long,
        env = "SEATRIAL_LOG_DIR",
        value_name = "DIR",
        help_heading = "Output"
    )]
    pub(crate) log_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) screen: ScreenArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReapArgs {
    /// Only say what would be ended
    #[arg(short = 'n', long, env = "SEATRIAL_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub(crate) dry_run: bool,
    /// Also what was left standing because `--keep` asked for it
    #[arg(long, env = "SEATRIAL_KEPT", value_parser = FalseyValueParser::new())]
    pub(crate) kept: bool,
    /// Only what this run left
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<String>,
    #[command(flatten)]
    pub(crate) screen: ScreenArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Which files
    #[arg(value_enum, default_value_t)]
    pub(crate) of: SchemaOf,
}

/// Which files a schema is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SchemaOf {
    /// Case files
    #[default]
    Case,
    /// A suite's seatrial.yaml
    Suite,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Write a page for each command into this directory
    #[arg(value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::definition().debug_assert();
    }

    #[test]
    fn every_flag_is_a_variable_of_the_same_name_and_has_help() {
        for command in Cli::definition().get_subcommands() {
            for flag in command.get_arguments().filter(|arg| !arg.is_positional()) {
                let long = flag.get_long().unwrap_or_default();
                let name = format!("SEATRIAL_{}", long.replace('-', "_").to_uppercase());
                let variable = flag.get_env().map(|env| env.to_string_lossy().into_owned());
                assert_eq!(variable, Some(name), "{} --{long}", command.get_name());
                assert!(flag.get_help().is_some(), "{} --{long}", command.get_name());
            }
        }
    }
}
