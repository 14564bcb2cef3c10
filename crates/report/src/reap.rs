//! What dead runs had left, for `reap`.

use seatrial_engine::journal::{Outcome, ReapReport};

use crate::{
    foreign::clean,
    ink::Ink,
    page::{Page, counted},
    text::{TextOptions, Verbosity},
};

/// Renders what was found and what became of it.
pub fn reap_report(report: &ReapReport, options: TextOptions) -> String {
    let mut out = String::new();
    let mut page = Page {
        out: &mut out,
        color: options.color,
    };
    let (mut ended, mut kept, mut failed) = (0, 0, report.problems.len());
    let mut is_dry_run = false;
    for leftover in &report.leftovers {
        let text = format!("{} of {}", clean(&leftover.description), clean(&leftover.group));
        match &leftover.outcome {
            Outcome::Reaped => {
                ended += 1;
                page.line(Ink::Good, "reaped", None, text);
            }
            Outcome::WouldReap => {
                (ended, is_dry_run) = (ended + 1, true);
                page.line(Ink::Active, "to reap", None, text);
            }
            Outcome::WasGone if options.verbosity == Verbosity::Verbose => {
                page.line(Ink::Dim, "was gone", None, text);
            }
            Outcome::WasGone => {}
            Outcome::Kept => {
                kept += 1;
                page.line(Ink::Warning, "kept", None, text);
            }
            Outcome::Failed(why) => {
                failed += 1;
                page.line(Ink::Bad, "failed", None, format_args!("{text}: {}", clean(why)));
            }
        }
    }
    for problem in &report.problems {
        page.line(Ink::Bad, "failed", None, clean(problem));
    }
    let mut parts = vec![match (ended, is_dry_run) {
        (0, _) => "nothing to reap".to_owned(),
        (ended, true) => format!("{ended} to reap"),
        (ended, false) => format!("{ended} reaped"),
    }];
    if kept > 0 {
        parts.push(format!("{kept} kept (seatrial reap --kept removes them)"));
    }
    if failed > 0 {
        parts.push(format!("{failed} failed"));
    }
    if !report.busy_runs.is_empty() {
        parts.push(format!("{} in progress", counted(report.busy_runs.len(), "run")));
    }
    let ink = if failed > 0 { Ink::Bad } else { Ink::Good };
    page.line(ink, "done", None, parts.join(", "));
    out
}

#[cfg(test)]
mod tests {
    use seatrial_engine::journal::Leftover;

    use super::*;

    #[test]
    fn each_leftover_and_what_became_of_it() {
        let leftover = |kind: &str, description: &str, outcome| Leftover {
            run: "run1".into(),
            group: "run1-0.1".into(),
            kind: kind.into(),
            description: description.into(),
            outcome,
        };
        let mut report = ReapReport {
            leftovers: vec![
                leftover("process", "process 812 (metrics-agent)", Outcome::Reaped),
                leftover("directory", "directory /tmp/seatrial/run1", Outcome::WasGone),
                leftover("directory", "directory /tmp/seatrial/kept", Outcome::Kept),
                leftover(
                    "cgroup",
                    "cgroup /sys/fs/cgroup/x",
                    Outcome::Failed("permission denied".into()),
                ),
            ],
            problems: vec!["read /state/journal/x.jsonl: it is empty".into()],
            busy_runs: vec!["run2".into()],
        };
        insta::assert_snapshot!(reap_report(&report, TextOptions::default()), @r"
        reaped          process 812 (metrics-agent) of run1-0.1
          kept          directory /tmp/seatrial/kept of run1-0.1
        failed          cgroup /sys/fs/cgroup/x of run1-0.1: permission denied
        failed          read /state/journal/x.jsonl: it is empty
          done          1 reaped, 1 kept (seatrial reap --kept removes them), 2 failed, 1 run in progress
        ");
        report = ReapReport {
            leftovers: vec![leftover(
                "process",
                "process 812 (metrics-agent)",
                Outcome::WouldReap,
            )],
            ..ReapReport::default()
        };
        insta::assert_snapshot!(reap_report(&report, TextOptions::default()), @r"
        to reap          process 812 (metrics-agent) of run1-0.1
           done          1 to reap
        ");
        insta::assert_snapshot!(reap_report(&ReapReport::default(), TextOptions::default()), @"     done          nothing to reap");
    }
}
