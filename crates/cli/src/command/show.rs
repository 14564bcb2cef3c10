//! `seatrial show`.

use std::{
    io,
    path::{Path, PathBuf},
};

use seatrial_engine::{Diagnostic, Event, Reporter};
use seatrial_report::{JsonReporter, JunitReporter, Record, TextReporter};

use crate::{
    args::{OutputFormat, ShowArgs},
    command::run::place,
    exit::Exit,
    history,
    screen::{Screen, print},
    stop::Stop,
};

/// Shows a recorded run again. Its exit code is that of showing, not that of the run.
pub(crate) fn show(args: &ShowArgs, screen: Screen) -> Result<Exit, Stop> {
    let place = place(args.log_dir.as_deref())?;
    let runs = history::runs(&place.runs_dir)?;
    if args.runs {
        let list: String = runs.iter().map(|run| format!("{}\n", run.display())).collect();
        print(&list)?;
        return Ok(Exit::Success);
    }
    let run = find(args.run.as_deref(), &runs, &place.runs_dir)?;
    let record = Record::read(&run).map_err(|error| {
        let error = anyhow::Error::from(error);
        Stop::cannot(Diagnostic::error(format!("cannot {error:#}")))
    })?;
    let mut reporters: Vec<Box<dyn Reporter>> = vec![match args.output {
        OutputFormat::Json => Box::new(JsonReporter::new(io::stdout())),
        OutputFormat::Text => Box::new(TextReporter::new(io::stdout(), screen.text())),
    }];
    if let Some(path) = &args.junit {
        reporters.push(Box::new(JunitReporter::new(path)));
    }
    for mut reporter in reporters {
        play(reporter.as_mut(), &record.events)?;
    }
    if record.unknown > 0 {
        screen.diagnose(&[Diagnostic::warning(format!(
            "{} events of a newer seatrial are not shown",
            record.unknown
        ))]);
    }
    if !record.complete {
        screen.diagnose(&[Diagnostic::warning(
            "this run has no end: it goes on, or it was killed",
        )]);
    }
    Ok(Exit::Success)
}

/// That the reader of standard output has gone is no error.
fn play(reporter: &mut dyn Reporter, events: &[Event]) -> anyhow::Result<()> {
    let is_broken_pipe = |error: &seatrial_engine::ReportError| {
        let io = error.downcast_ref::<io::Error>();
        io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    let mut told = || {
        for event in events {
            reporter.event(event)?;
        }
        reporter.flush()
    };
    match told() {
        Err(error) if !is_broken_pipe(&error) => Err(anyhow::anyhow!(error)),
        _ => Ok(()),
    }
}

fn find(wanted: Option<&str>, runs: &[PathBuf], runs_dir: &Path) -> Result<PathBuf, Stop> {
    let Some(wanted) = wanted else {
        return runs.first().cloned().ok_or_else(|| {
            Stop::cannot(
                Diagnostic::error("no run of this project is kept")
                    .help(format!("runs are looked for in {}", runs_dir.display())),
            )
        });
    };
    let path = Path::new(wanted);
    if path.exists() {
        return Ok(path.to_owned());
    }
    let named = |run: &&PathBuf| {
        let id = run.file_name().map(|name| name.to_string_lossy().into_owned());
        id.is_some_and(|id| id.starts_with(wanted))
    };
    let matching: Vec<&PathBuf> = runs.iter().filter(named).collect();
    match matching.as_slice() {
        [run] => Ok((*run).clone()),
        [] => Err(Stop::cannot(
            Diagnostic::error(format!("no run is named `{wanted}`"))
                .help("`seatrial show --runs` lists those of this project"),
        )),
        several => Err(Stop::cannot(
            Diagnostic::error(format!("{} runs begin with `{wanted}`", several.len())).help(
                several
                    .iter()
                    .map(|run| run.display().to_string())
                    .collect::<Vec<_>>()
                    .join("\n"),
            ),
        )),
    }
}
