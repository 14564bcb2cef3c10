//! Which files are read, and which of their tests are meant.

use std::path::PathBuf;

use clap::{Args, builder::FalseyValueParser};
use seatrial_engine::selection::{LabelSelector, Shard};

/// Where tests are looked for.
#[derive(Debug, Default, Args)]
pub(crate) struct PathArgs {
    /// Directories and case files to look for tests in [default: the current directory]
    #[arg(value_name = "PATH", help_heading = "Selection")]
    positional: Vec<PathBuf>,
    /// A directory to look for tests in; repeatable, the same as a path
    #[arg(
        short,
        long = "dir",
        env = "SEATRIAL_DIR",
        value_name = "DIR",
        help_heading = "Selection"
    )]
    dirs: Vec<PathBuf>,
}

impl PathArgs {
    /// All of them, in the order of paths, then `-d`; none if none was given.
    pub(crate) fn given(&self) -> Vec<PathBuf> {
        [self.positional.as_slice(), self.dirs.as_slice()].concat()
    }
}

/// Which of the tests found are meant: those to which all that is given applies.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Selection")]
pub(crate) struct SelectionArgs {
    /// Tests by name or glob; comma separated, repeatable. A name can leave out the suite (`restart` is
    /// `tour/restart` and its variants) or everything but the suite
    #[arg(short, long, env = "SEATRIAL_TESTS", value_name = "NAMES")]
    pub(crate) tests: Vec<String>,
    /// Tests by label: `k=v`, `k!=v`, `k`, `!k`; a comma means and
    #[arg(long, env = "SEATRIAL_LABEL", value_name = "SELECTOR")]
    pub(crate) label: Vec<LabelSelector>,
    /// Tests by filter expression, such as `test(~x) & label(k=v) & !on(docker)`; several are a union
    #[arg(
        short = 'E',
        long = "filter",
        env = "SEATRIAL_FILTER",
        value_name = "EXPRESSION",
        long_help = "Tests by filter expression; several are a union.\n\n\
                     Predicates: test, suite, name, variant, kind, label(key[=value]), on, requires, group, \
                     fixture, image, file, all(), none().\n\
                     Matchers: =exact ~contains /regex/ #glob. Without a sign, test() contains; the others \
                     compare the whole, as a glob where there are wildcards.\n\
                     Operators: !a or `not a`, a & b or `a and b`, a | b or `a or b`, parentheses."
    )]
    pub(crate) filter: Vec<String>,
    /// Tests that run in this environment; comma separated, repeatable
    #[arg(long, env = "SEATRIAL_ON", value_name = "ENVIRONMENT", value_delimiter = ',')]
    pub(crate) on: Vec<String>,
    /// Only tests whose last verdict was failed, errored or timed out
    #[arg(long, env = "SEATRIAL_FAILED", value_parser = FalseyValueParser::new())]
    pub(crate) failed: bool,
    /// Tests whose last verdict was bad come first
    #[arg(long, env = "SEATRIAL_FAILED_FIRST", value_parser = FalseyValueParser::new())]
    pub(crate) failed_first: bool,
    /// The I-th of N parts, balanced by recorded durations. Without any, a test's part follows from its name
    #[arg(long, env = "SEATRIAL_SHARD", value_name = "I/N")]
    pub(crate) shard: Option<Shard>,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::{Cli, Command, RunArgs};

    fn run(args: &[&str]) -> Result<Box<RunArgs>, String> {
        let line = ["seatrial", "run"].iter().chain(args);
        match Cli::try_parse_from(line)
            .map_err(|error| error.to_string())?
            .command
        {
            Command::Run(args) => Ok(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn paths_come_from_both_spellings() {
        let args = run(&["a", "-d", "b", "c", "--dir", "d"]).unwrap();
        assert_eq!(
            args.paths.given(),
            ["a", "c", "b", "d"].map(std::path::PathBuf::from)
        );
    }

    #[test]
    fn selections_repeat() {
        let args = run(&[
            "-t",
            "a,b",
            "-tc",
            "--label",
            "k=v,!x",
            "--on",
            "process,docker",
            "-E",
            "all()",
        ])
        .unwrap();
        assert_eq!(args.selection.tests, ["a,b", "c"]);
        assert_eq!(args.selection.label.len(), 1);
        assert_eq!(args.selection.on, ["process", "docker"]);
    }

    #[test]
    fn a_shard_that_is_none_is_refused_with_an_example() {
        assert!(run(&["--shard", "5/4"]).unwrap_err().contains("such as 1/4"));
        assert!(run(&["--label", "a b"]).unwrap_err().contains("`k=v`"));
    }
}
