//! `seatrial check`.

use std::fmt::Write as _;

use seatrial_cases::{FileOutline, LoadOptions, Loaded, load, outline};
use seatrial_report::Verbosity;

use crate::{
    args::CheckArgs,
    command::run::paths,
    entry::Origin,
    exit::Exit,
    screen::{Screen, print},
    stop::Stop,
};

/// Reads all files and says all that is wrong with them; with `-v`, what was understood of each.
pub(crate) fn check(args: &CheckArgs, screen: Screen) -> Result<Exit, Stop> {
    let loaded = load(&LoadOptions {
        paths: paths(&args.paths, Origin::Command),
    });
    let mut text = String::new();
    if screen.verbosity == Verbosity::Verbose {
        for suite in &loaded.suites {
            for file in outline(suite) {
                understood(&file, &mut text);
            }
        }
    }
    if !loaded.has_errors() && screen.verbosity >= Verbosity::Normal {
        text.push_str(&summary(&loaded));
    }
    print(&text)?;
    screen.diagnose(&loaded.diagnostics);
    Ok(if loaded.has_errors() {
        Exit::Usage
    } else {
        Exit::Success
    })
}

/// The file, its cases, and a line for each step: where it stands, what it was understood as, how it is named.
fn understood(file: &FileOutline, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}", file.path.display());
    for case in &file.cases {
        let _ = write!(out, "  {}", case.name);
        if !case.variants.is_empty() {
            let _ = write!(out, " ({})", case.variants.join(", "));
        }
        out.push('\n');
        if let Some(reason) = &case.skip {
            let _ = writeln!(out, "    skipped: {reason}");
        }
        for step in &case.steps {
            let indent = "  ".repeat(step.depth);
            let _ = write!(out, "    {:>4}  {indent}{}", step.line, step.step);
            if step.name != step.step {
                let rest = step
                    .name
                    .strip_prefix(&step.step)
                    .map_or(step.name.as_str(), str::trim_start);
                let _ = write!(out, "  {rest}");
            }
            out.push_str(if step.served {
                "\n"
            } else {
                "  (not served here)\n"
            });
        }
    }
    out.push('\n');
}

fn summary(loaded: &Loaded) -> String {
    let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let cases = loaded.suites.iter().map(|suite| suite.cases.len()).sum();
    format!(
        "{} with {} in {}: nothing is wrong\n",
        count(loaded.files, "file"),
        count(cases, "test"),
        count(loaded.suites.len(), "suite"),
    )
}
