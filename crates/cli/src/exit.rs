//! The exit codes: all of them, and the one place that knows their numbers.

use std::process::ExitCode;

use seatrial_engine::RunSummary;

/// How seatrial ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: everything passed (skips are allowed, flaky counts as passed), or the command did what it should.
    Success,
    /// 1: a test failed, errored or timed out; or what a command was to do could not be done.
    Bad,
    /// 2: a flag or a file is wrong; nothing ran.
    Usage,
    /// 3: the selection matches no test.
    NoMatch,
    /// 4: interrupted.
    Interrupted,
    /// 5: seatrial itself failed.
    Internal,
}

/// Whom the exit code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// The codes of this file.
    Seatrial,
    /// `cargo test` and nextest: all that is not success is 101, and no match is success.
    Libtest,
}

impl Exit {
    /// How a run ends, by what came of it. What is worse wins: seatrial's own failure, then an interruption, then
    /// tests that did not pass.
    pub(crate) fn of(summary: &RunSummary) -> Self {
        if summary.internal_error {
            Exit::Internal
        } else if summary.interrupted {
            Exit::Interrupted
        } else if summary.has_bad() {
            Exit::Bad
        } else {
            Exit::Success
        }
    }

    /// Its number.
    pub(crate) fn code(self, dialect: Dialect) -> u8 {
        match (dialect, self) {
            (_, Exit::Success) | (Dialect::Libtest, Exit::NoMatch) => 0,
            (Dialect::Libtest, _) => 101,
            (Dialect::Seatrial, Exit::Bad) => 1,
            (Dialect::Seatrial, Exit::Usage) => 2,
            (Dialect::Seatrial, Exit::NoMatch) => 3,
            (Dialect::Seatrial, Exit::Interrupted) => 4,
            (Dialect::Seatrial, Exit::Internal) => 5,
        }
    }

    /// What `main` returns.
    pub(crate) fn exit_code(self, dialect: Dialect) -> ExitCode {
        ExitCode::from(self.code(dialect))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use seatrial_engine::Verdict;

    use super::*;

    fn summary(verdicts: &[Verdict], interrupted: bool, internal_error: bool) -> RunSummary {
        RunSummary {
            counts: verdicts.iter().map(|verdict| (*verdict, 1)).collect(),
            took: Duration::ZERO,
            interrupted,
            internal_error,
        }
    }

    #[test]
    fn what_is_worse_wins() {
        use Verdict::{Cancelled, Errored, Failed, Flaky, Passed, Skipped, TimedOut};
        let of = |verdicts: &[Verdict], interrupted, internal| {
            Exit::of(&summary(verdicts, interrupted, internal)).code(Dialect::Seatrial)
        };
        assert_eq!(of(&[], false, false), 0);
        assert_eq!(of(&[Passed, Flaky, Skipped], false, false), 0);
        for bad in [Failed, Errored, TimedOut] {
            assert_eq!(of(&[Passed, bad], false, false), 1);
            assert_eq!(of(&[Passed, bad], true, false), 4);
            assert_eq!(of(&[Passed, bad], true, true), 5);
        }
        // Cancelled alone says nothing: fail-fast comes with the test that failed, Ctrl-C is `interrupted`.
        assert_eq!(of(&[Passed, Cancelled], false, false), 0);
        assert_eq!(of(&[Passed, Cancelled], true, false), 4);
        assert_eq!(of(&[Passed], false, true), 5);
    }

    #[test]
    fn to_cargo_everything_but_success_is_101() {
        use Exit::{Bad, Internal, Interrupted, NoMatch, Success, Usage};
        let codes =
            [Success, Bad, Usage, NoMatch, Interrupted, Internal].map(|exit| exit.code(Dialect::Libtest));
        assert_eq!(codes, [0, 101, 101, 0, 101, 101]);
    }
}
