//! The flags of libtest. Those that have no meaning here are accepted: whoever passes them does not know whom to.

use std::path::PathBuf;

use clap::{ArgAction, Parser, ValueEnum};
use seatrial_engine::{Ignored, TestSpec};

/// The flags of libtest; see `rustc --test` and the book of rustc, "Tests".
#[derive(Debug, Default, Parser)]
#[command(
    disable_version_flag = true,
    args_override_self = true,
    about = "Tests that seatrial runs. These are the flags of libtest, as cargo test passes them; with one of \
             seatrial's own commands first (`run`, `list`, `doctor`, `show`, `reap`, ...) the whole of its command \
             line is here: see `run --help`."
)]
pub(crate) struct LibtestArgs {
    /// Run tests whose name contains one of these
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
    /// Match filters exactly
    #[arg(long)]
    exact: bool,
    /// Leave out tests whose name contains this
    #[arg(long, value_name = "FILTER", action = ArgAction::Append)]
    skip: Vec<String>,
    /// Run only ignored tests
    #[arg(long)]
    ignored: bool,
    /// Run ignored tests as well
    #[arg(long)]
    include_ignored: bool,
    /// List tests instead of running them
    #[arg(long)]
    pub(crate) list: bool,
    /// How to list or print
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: ListFormat,
    /// How many tests run at a time
    #[arg(long, value_name = "N", env = "RUST_TEST_THREADS")]
    pub(crate) test_threads: Option<usize>,
    /// One character per test
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Whether to use colours
    #[arg(long, value_name = "auto|always|never")]
    pub(crate) color: Option<crate::args::ColorChoice>,
    /// Run in a random order
    #[arg(long)]
    pub(crate) shuffle: bool,
    /// The seed of that order
    #[arg(long, value_name = "SEED")]
    pub(crate) shuffle_seed: Option<u64>,

    #[arg(long, visible_alias = "no-capture", hide = true)]
    nocapture: bool,
    #[arg(long, hide = true)]
    show_output: bool,
    #[arg(long, hide = true)]
    test: bool,
    #[arg(long, hide = true)]
    bench: bool,
    #[arg(long, hide = true)]
    exclude_should_panic: bool,
    #[arg(long, hide = true)]
    force_run_in_process: bool,
    #[arg(long, hide = true)]
    report_time: bool,
    #[arg(long, hide = true)]
    ensure_time: bool,
    #[arg(long, hide = true)]
    logfile: Option<PathBuf>,
    #[arg(short = 'Z', hide = true, action = ArgAction::Append)]
    unstable: Vec<String>,
}

/// How to list or print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    /// A line per test
    #[default]
    Pretty,
    /// For programs: nothing but the tests; when running, a character per test
    Terse,
}

impl LibtestArgs {
    /// Whether the command line means this test, ignored or not.
    pub(crate) fn admits(&self, test: &TestSpec) -> bool {
        let name = test.full_name();
        let matches = |filter: &String| {
            if self.exact {
                name == *filter
            } else {
                name.contains(filter.as_str())
            }
        };
        (self.filters.is_empty() || self.filters.iter().any(matches)) && !self.skip.iter().any(matches)
    }

    /// What to do with tests that are marked as ignored.
    pub(crate) fn ignored(&self) -> Ignored {
        if self.include_ignored {
            Ignored::Include
        } else if self.ignored {
            Ignored::Only
        } else {
            Ignored::Skip
        }
    }

    /// Whether a character stands for a test.
    pub(crate) fn is_terse(&self) -> bool {
        self.quiet || self.format == ListFormat::Terse
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> LibtestArgs {
        LibtestArgs::try_parse_from(["test"].iter().chain(args)).unwrap()
    }

    #[test]
    fn filters_contain_unless_exact_and_skips_win() {
        let admits = |args: &[&str], name: &str| parse(args).admits(&TestSpec::new("", name));
        assert!(admits(&[], "a::b"));
        assert!(admits(&["x", "::b"], "a::b"));
        assert!(!admits(&["--exact", "::b"], "a::b"));
        assert!(admits(&["a::b", "--exact"], "a::b"));
        assert!(!admits(&["--skip", "b", "a"], "a::b"));
        assert!(!admits(&["--skip=b"], "a::b"));
    }

    #[test]
    fn what_cargo_nextest_and_editors_pass_is_accepted() {
        let args = parse(&["--list", "--format", "terse", "--ignored"]);
        assert!(args.list && args.is_terse());
        assert_eq!(args.ignored(), Ignored::Only);
        parse(&[
            "--exact",
            "a",
            "--nocapture",
            "--test-threads=1",
            "--show-output",
            "-q",
            "-Z",
            "unstable-options",
        ]);
        parse(&[
            "--color",
            "never",
            "--no-capture",
            "--report-time",
            "--bench",
            "--test",
            "--logfile",
            "x",
        ]);
        assert_eq!(
            parse(&["--ignored", "--include-ignored"]).ignored(),
            Ignored::Include
        );
    }
}
