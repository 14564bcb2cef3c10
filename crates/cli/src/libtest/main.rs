//! A test binary without one of our subcommands: libtest's flags, a run or a list, libtest's output.

use std::{env, io, sync::Arc};

use clap::{CommandFactory as _, FromArgMatches as _, Parser as _};
use seatrial_engine::{Order, Test};
use seatrial_report::{LibtestOptions, LibtestReporter};

use super::{LibtestArgs, list};
use crate::{
    args::{Cli, Command, RunArgs, ScreenArgs},
    command, entry,
    exit::Exit,
    resolve,
    run::{Run, Told},
    screen::{Screen, print},
    stop::Stop,
};

/// Lists or runs the tests as libtest would.
pub(crate) fn main(tests: Vec<Arc<dyn Test>>) -> Exit {
    let parsed = LibtestArgs::command()
        .bin_name(resolve::program())
        .try_get_matches()
        .and_then(|matches| LibtestArgs::from_arg_matches(&matches));
    let args = match parsed {
        Ok(args) => args,
        Err(error) => return entry::tell_usage(&error),
    };
    let screen = Screen::new(&ScreenArgs {
        color: args.color.unwrap_or_default(),
        ..ScreenArgs::DEFAULT
    });
    entry::conclude(list_or_run(&args, tests, screen), screen)
}

fn list_or_run(args: &LibtestArgs, tests: Vec<Arc<dyn Test>>, screen: Screen) -> Result<Exit, Stop> {
    let found = tests.len();
    let mut tests = tests;
    tests.retain(|test| args.admits(test.spec()));
    if args.list {
        let specs: Vec<_> = tests.iter().map(|test| test.spec()).collect();
        print(&list(&specs, args))?;
        return Ok(Exit::Success);
    }
    // What has no flag of libtest's can still be said by the environment: SEATRIAL_REQUIRE, SEATRIAL_RETRIES...
    let run = from_environment()?;
    let mut place = command::place(run.output.log_dir.as_deref())?;
    if run.output.log_dir.is_none() {
        // nextest runs each test by itself: a thousand small runs must not push out those that people look for.
        place
            .runs_dir
            .as_mut_os_string()
            .push(format!(".{}", binary_name()));
    }
    let mut settings = resolve::settings(&run.running, &run.debugging, &Default::default(), &place);
    settings.ignored = args.ignored();
    if let Some(threads) = args.test_threads {
        settings.slots = threads.max(1);
    }
    if args.shuffle || args.shuffle_seed.is_some() {
        settings.order = Order::Shuffled(args.shuffle_seed.unwrap_or_else(resolve::fresh_seed));
    }
    settings.rerun = Some(resolve::rerun(&resolve::program(), &[], None));
    let options = LibtestOptions {
        color: screen.stdout,
        is_terse: args.is_terse(),
    };
    let deselected = found - tests.len();
    let summary = Run {
        settings,
        tests,
        deselected,
        notices: Vec::new(),
    }
    .start(|_| Told {
        reporters: vec![Box::new(LibtestReporter::new(io::stdout(), options))],
        terminal: None,
    })?;
    Ok(Exit::of(&summary))
}

fn from_environment() -> Result<Box<RunArgs>, Stop> {
    match Cli::try_parse_from(["seatrial", "run"]) {
        Ok(Cli {
            command: Command::Run(args),
        }) => Ok(args),
        Ok(_) => Err(Stop::Internal(anyhow::anyhow!(
            "`run` is not understood as `run`"
        ))),
        Err(error) => Err(Stop::wrong(error.to_string().trim().to_owned(), None)),
    }
}

/// The test binary's name without the hash that cargo adds.
fn binary_name() -> String {
    let path = env::current_exe().unwrap_or_default();
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    match name.rsplit_once('-') {
        Some((base, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            base.to_owned()
        }
        _ => name,
    }
}
