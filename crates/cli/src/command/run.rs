//! `seatrial run`.

use std::{
    env,
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use rustix::fs::FileType;
use seatrial_engine::{Control, NoticeLevel, Reporter, Test};
use seatrial_report::{GithubReporter, JsonReporter, JunitReporter, TextReporter, TuiReporter};
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    args::{OutputFormat, PathArgs, RunArgs},
    catalog::Catalog,
    entry::Origin,
    exit::Exit,
    history, project,
    resolve::{self, Place},
    run::{Run, Told},
    screen::{Screen, github_options},
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
    let chosen = resolve::select(&selection, &specs, &place.runs_dir)?;

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

    if args.debugging.breakpoint.is_some() && !can_press_enter(screen) {
        return Err(Stop::wrong(
            "`--breakpoint` waits for Enter, and standard input is no terminal",
            Some("start it in a terminal, or give it a pipe to read from".into()),
        ));
    }

    let notices = chosen
        .shard
        .map(|text| (NoticeLevel::Info, text))
        .into_iter()
        .collect();
    if let Some(shard) = selection.shard {
        history::mark_as_shard(&settings.run_dir, shard)?;
    }
    let run_dir = settings.run_dir.clone();
    let junit = args.output.junit.as_deref().or(profile.junit.as_deref());
    let run = Run {
        deselected: specs.len() - chosen.tests.len(),
        tests: chosen
            .tests
            .iter()
            .map(|index| catalog.tests[*index].clone())
            .collect(),
        settings,
        notices,
    };
    let summary = run.start(|controls| told(args, &run_dir, junit, screen, controls))?;
    Ok(Exit::of(&summary))
}

/// Who is told what happens: the screen, and what flags ask for.
fn told(
    args: &RunArgs,
    run_dir: &Path,
    junit: Option<&Path>,
    screen: Screen,
    controls: &UnboundedSender<Control>,
) -> Told {
    let mut told = Told::default();
    if args.output.output == OutputFormat::Text && screen.is_live && !args.output.no_tui {
        let term = env::var("TERM").ok();
        let controls = controls.clone();
        let pass_on = move |control| {
            // The run may be over already.
            let _ = controls.send(control);
        };
        // A terminal that cannot be drawn on gets lines of text.
        if let Ok(tui) = TuiReporter::open(Box::new(io::stdout()), term.as_deref(), screen.text(), pass_on) {
            told.terminal = Some(tui.handle());
            told.reporters.push(Box::new(tui));
        }
    }
    if let (Some(options), OutputFormat::Text) = (github_options(), args.output.output) {
        told.reporters
            .push(Box::new(GithubReporter::new(io::stdout(), options)));
    }
    told.reporters
        .push(Box::new(JunitReporter::new(run_dir.join("junit.xml"))));
    if let Some(path) = junit {
        told.reporters.push(Box::new(JunitReporter::new(path)));
    }
    if told.terminal.is_none() {
        told.reporters.push(on_screen(args.output.output, screen));
        if args.debugging.breakpoint.is_some() {
            go_on_at_enter(controls.clone());
        }
    }
    told
}

fn can_press_enter(screen: Screen) -> bool {
    let stdin = io::stdin();
    let is_pipe =
        rustix::fs::fstat(&stdin).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo);
    screen.is_live || stdin.is_terminal() || is_pipe
}

/// Without live lines, nobody else reads what is typed. The thread ends with the process.
fn go_on_at_enter(controls: UnboundedSender<Control>) {
    thread::spawn(move || {
        for line in io::stdin().lines() {
            if line.is_err() || controls.send(Control::GoOn).is_err() {
                return;
            }
        }
        let text = "standard input has ended, so nobody can go on from a breakpoint";
        let _ = controls.send(Control::Notice(NoticeLevel::Warning, text.into()));
        let _ = controls.send(Control::Interrupt);
    });
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
pub(crate) fn place(log_dir: Option<&Path>) -> Result<Place, Stop> {
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
