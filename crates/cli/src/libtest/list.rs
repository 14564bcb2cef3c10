//! `--list`, as libtest prints it and nextest reads it.

use std::fmt::Write as _;

use seatrial_engine::{Ignored, TestSpec};

use super::{LibtestArgs, ListFormat};

/// The list of these tests. Without `--ignored` it has all of them, as libtest's has.
pub(crate) fn list(tests: &[&TestSpec], args: &LibtestArgs) -> String {
    let mut out = String::new();
    let mut count = 0;
    for test in tests {
        if args.ignored() == Ignored::Only && test.ignored.is_none() {
            continue;
        }
        count += 1;
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}: test", test.full_name());
    }
    if args.format == ListFormat::Pretty {
        let tests = if count == 1 { "test" } else { "tests" };
        let gap = if count > 0 { "\n" } else { "" };
        let _ = writeln!(out, "{gap}{count} {tests}, 0 benchmarks");
    }
    out
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn the_list_is_libtests() {
        let mut tests = [TestSpec::new("", "a"), TestSpec::new("", "b")];
        tests[1].ignored = Some("slow".into());
        let refs: Vec<_> = tests.iter().collect();
        let of = |args: &[&str]| list(&refs, &LibtestArgs::parse_from(["test"].iter().chain(args)));
        assert_eq!(of(&["--list"]), "a: test\nb: test\n\n2 tests, 0 benchmarks\n");
        assert_eq!(of(&["--list", "--format", "terse"]), "a: test\nb: test\n");
        assert_eq!(of(&["--list", "--format=terse", "--ignored"]), "b: test\n");
    }
}
