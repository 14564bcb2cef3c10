//! `seatrial run`.

use std::{env, io, path::PathBuf, sync::Arc};

use seatrial_engine::{NoticeLevel, Reporter, Test};
use seatrial_report::{JsonReporter, TextReporter};

use crate::{
    args::{OutputFormat, PathArgs, RunArgs},
    catalog::Catalog,
    entry::Origin,
    exit::Exit,
    history, project,
    resolve::{self, Place},
    run::Run,
    screen::Screen,
    state_dir,
    stop::Stop,
};

/// Runs tests.
pub(crate) fn run(
    args: &RunArgs,
    own: Vec<Arc<dyn Test>>,
    origin: Origin,
    screen: Screen,
) -> Result<Exit, Stop> {
    let profile_name = args.configuration.profile.as_deref();
    let catalog = Catalog::load(own, &paths(&args.paths, origin), profile_name)?;
    let profile = catalog.profile(profile_name)?;
    let place = place(args.output.log_dir.as_deref())?;
    let selection = resolve::selection(&args.selection, &place.runs_dir)?;
    let specs = catalog.specs();
    let selected = resolve::select(&selection, &specs, &place.runs_dir)?;

    let mut settings = resolve::settings(&args.running, &args.debugging, &profile, &place);
    resolve::refuse_unknown_requirements(&settings.require, &specs)?;
    let (secrets, warnings) = catalog.secrets();
    settings.secrets = secrets;
    settings.test_groups = catalog.test_groups();
    settings.rerun = Some(resolve::rerun(
        &resolve::program(),
        &args.paths.given(),
        profile_name,
    ));
    screen.diagnose(&catalog.warnings);
    screen.diagnose(&warnings);

    let mut notices = Vec::new();
    if let Some(shard) = selection.shard {
        history::mark_as_shard(&settings.run_dir, shard)?;
        notices.push((
            NoticeLevel::Info,
            format!("shard {shard}: {} of the selected tests", selected.len()),
        ));
    }
    let run = Run {
        deselected: specs.len() - selected.len(),
        tests: selected
            .iter()
            .map(|index| catalog.tests[*index].clone())
            .collect(),
        settings,
        reporters: vec![on_screen(args.output.output, screen)],
        notices,
        terminal: crate::signals::NoTerminal,
    };
    let summary = run.start(|_| None)?;
    Ok(Exit::of(&summary))
}

fn on_screen(output: OutputFormat, screen: Screen) -> Box<dyn Reporter> {
    match output {
        OutputFormat::Json => Box::new(JsonReporter::new(io::stdout())),
        OutputFormat::Text => Box::new(TextReporter::new(io::stdout(), screen.text())),
    }
}

/// The paths to read: those given; without any, the command reads the current directory and a test binary nothing.
pub(crate) fn paths(args: &PathArgs, origin: Origin) -> Vec<PathBuf> {
    let given = args.given();
    match origin {
        Origin::Command if given.is_empty() => vec![PathBuf::from(".")],
        _ => given,
    }
}

/// Where this project's runs are kept.
pub(crate) fn place(log_dir: Option<&std::path::Path>) -> Result<Place, Stop> {
    let state_dir = state_dir::find_or_create()?;
    let project = project::name(&env::current_dir()?);
    let runs_dir = match log_dir {
        Some(dir) => std::path::absolute(dir)?,
        None => state_dir.join("runs").join(&project),
    };
    Ok(Place {
        project,
        state_dir,
        runs_dir,
    })
}
