//! How tests are run: how many at a time, how often, in which order, for how long.

use std::time::Duration;

use clap::{Args, builder::FalseyValueParser};

use super::value::{at_least_one, duration, factor};

/// How tests are run. What is not given comes from the profile, then from the defaults.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Running")]
pub(crate) struct RunningArgs {
    /// How many slots there are for tests to run in [default: the number of cores]
    #[arg(short, long, env = "SEATRIAL_PARALLEL", value_name = "N", value_parser = at_least_one)]
    pub(crate) parallel: Option<usize>,
    /// How often a test that did not pass is tried again; one that then passes is flaky [default: 0]
    #[arg(long, env = "SEATRIAL_RETRIES", value_name = "N")]
    pub(crate) retries: Option<u32>,
    /// Stop after N tests that did not pass [N without a value: 1]
    #[arg(
        long,
        env = "SEATRIAL_FAIL_FAST",
        value_name = "N",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1",
        value_parser = at_least_one
    )]
    pub(crate) fail_fast: Option<usize>,
    /// Run tests in a random order, the same for the same seed; the seed is printed
    #[arg(
        long,
        env = "SEATRIAL_SHUFFLE",
        value_name = "SEED",
        num_args = 0..=1,
        require_equals = true,
        conflicts_with = "failed_first"
    )]
    pub(crate) shuffle: Option<Option<u64>>,
    /// Run each test N times
    #[arg(long, env = "SEATRIAL_REPEAT", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) repeat: Option<u32>,
    /// Repeat until a test does not pass, at most N times if `--repeat N` is given too
    #[arg(long, env = "SEATRIAL_UNTIL_FAILURE", value_parser = FalseyValueParser::new())]
    pub(crate) until_failure: bool,
    /// Errored instead of skipped when this requirement is not met; comma separated, repeatable
    #[arg(long, env = "SEATRIAL_REQUIRE", value_name = "NAME", value_delimiter = ',')]
    pub(crate) require: Vec<String>,
    /// Run tests that are marked as ignored, and only them
    #[arg(long, env = "SEATRIAL_IGNORED", value_parser = FalseyValueParser::new())]
    pub(crate) ignored: bool,
    /// Run tests that are marked as ignored as well
    #[arg(
        long,
        env = "SEATRIAL_INCLUDE_IGNORED",
        value_parser = FalseyValueParser::new(),
        conflicts_with = "ignored"
    )]
    pub(crate) include_ignored: bool,

    /// A test's deadline where it has none of its own, such as 90s or 1m30s [default: 60s]
    #[arg(long, env = "SEATRIAL_TIMEOUT", value_name = "SPAN", value_parser = duration, help_heading = "Time")]
    pub(crate) timeout: Option<Duration>,
    /// All deadlines of tests, steps and fixtures are multiplied by it [default: 1]
    #[arg(
        long,
        env = "SEATRIAL_TIMEOUT_MULTIPLIER",
        value_name = "F",
        value_parser = factor,
        help_heading = "Time"
    )]
    pub(crate) timeout_multiplier: Option<f64>,
    /// How long a test that was told to end may take to clean up [default: 30s]
    #[arg(long, env = "SEATRIAL_GRACE", value_name = "SPAN", value_parser = duration, help_heading = "Time")]
    pub(crate) grace: Option<Duration>,
    /// After how long a test is called slow [default: 30s]
    #[arg(long, env = "SEATRIAL_SLOW_AFTER", value_name = "SPAN", value_parser = duration, help_heading = "Time")]
    pub(crate) slow_after: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Only {
        #[command(flatten)]
        running: RunningArgs,
        #[arg(long)]
        failed_first: bool,
        path: Option<String>,
    }

    fn parse(args: &[&str]) -> Result<Only, String> {
        Only::try_parse_from(["seatrial"].iter().chain(args)).map_err(|error| error.to_string())
    }

    #[test]
    fn optional_values_need_an_equals_sign_so_that_they_swallow_no_path() {
        let only = parse(&["--fail-fast", "path"]).unwrap();
        assert_eq!(
            (only.running.fail_fast, only.path.as_deref()),
            (Some(1), Some("path"))
        );
        assert_eq!(parse(&["--fail-fast=3"]).unwrap().running.fail_fast, Some(3));
        assert_eq!(parse(&["--shuffle", "path"]).unwrap().running.shuffle, Some(None));
        assert_eq!(parse(&["--shuffle=7"]).unwrap().running.shuffle, Some(Some(7)));
        assert_eq!(parse(&[]).unwrap().running.shuffle, None);
    }

    #[test]
    fn requirements_are_a_list_and_repeat() {
        let only = parse(&["--require", "docker,root", "--require", "kvm"]).unwrap();
        assert_eq!(only.running.require, ["docker", "root", "kvm"]);
    }

    #[test]
    fn contradictions_are_refused() {
        assert!(parse(&["--shuffle", "--failed-first"]).is_err());
        assert!(parse(&["--ignored", "--include-ignored"]).is_err());
        for wrong in [
            "--parallel=0",
            "--repeat=0",
            "--timeout=30",
            "--timeout-multiplier=0",
            "--fail-fast=0",
        ] {
            assert!(parse(&[wrong]).is_err(), "{wrong}");
        }
    }
}
