//! Where both kinds of binary begin: `seatrial` itself, and test binaries that were made with it.

use std::{env, ffi::OsString, panic, process::ExitCode, sync::Arc};

use clap::FromArgMatches as _;
use seatrial_engine::Test;

use crate::{
    args::{Cli, Command, ScreenArgs},
    command,
    exit::{Dialect, Exit},
    libtest, panics,
    screen::Screen,
    stop::Stop,
};

/// Makes a test binary (`harness = false`) of these tests, with seatrial's whole command line; without one of its
/// commands it speaks libtest, so that `cargo test` and nextest can use it.
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     seatrial::main([seatrial::test("addition", async |_context| assert_eq!(1 + 1, 2))])
/// }
/// ```
pub fn main<T: Into<Arc<dyn Test>>>(tests: impl IntoIterator<Item = T>) -> ExitCode {
    let tests: Vec<_> = tests.into_iter().map(Into::into).collect();
    guarded(move || {
        let first = env::args().nth(1);
        if first.is_some_and(|word| Command::is_name(&word)) {
            (seatrial(tests, Origin::TestBinary), Dialect::Seatrial)
        } else {
            (libtest::main(tests), Dialect::Libtest)
        }
    })
}

/// The `seatrial` command.
pub fn command_line() -> ExitCode {
    guarded(|| (seatrial(Vec::new(), Origin::Command), Dialect::Seatrial))
}

/// Which binary this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `seatrial`: tests are in files, and without a path in those of the current directory.
    Command,
    /// A test binary: it has tests of its own, and files only where paths are given.
    TestBinary,
}

/// Runs `body`; a panic of seatrial's own ends it with the code for that, not with a bare 101.
fn guarded(body: impl FnOnce() -> (Exit, Dialect)) -> ExitCode {
    panics::install_hook();
    // Nothing is looked at after a panic.
    match panic::catch_unwind(panic::AssertUnwindSafe(body)) {
        Ok((exit, dialect)) => exit.exit_code(dialect),
        Err(_) => Exit::Internal.exit_code(Dialect::Seatrial),
    }
}

fn seatrial(tests: Vec<Arc<dyn Test>>, origin: Origin) -> Exit {
    let cli = match parse(env::args_os()) {
        Ok(cli) => cli,
        Err(exit) => return exit,
    };
    let screen = Screen::new(screen_args(&cli.command));
    let done = match &cli.command {
        Command::Run(args) => command::run(args, tests, origin, screen),
        Command::List(args) => command::list(args, tests, origin, screen),
        Command::Check(args) => command::check(args, screen),
        Command::Doctor(args) => command::doctor(args, screen),
        Command::Show(args) => command::show(args, screen),
        Command::Reap(args) => command::reap(args, screen),
        Command::Schema(args) => command::schema(args),
        Command::Completions(args) => command::completions(args),
        Command::Man(args) => command::man(args),
    };
    conclude(done, screen)
}

/// Tells why nothing was done, if so.
pub(crate) fn conclude(done: Result<Exit, Stop>, screen: Screen) -> Exit {
    done.unwrap_or_else(|stop| {
        let exit = stop.exit();
        screen.diagnose(&stop.diagnostics());
        exit
    })
}

fn parse(args: impl Iterator<Item = OsString>) -> Result<Cli, Exit> {
    let parsed = Cli::definition()
        .try_get_matches_from(args)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    parsed.map_err(|error| tell_usage(&error))
}

/// Prints help to standard output and errors to standard error.
pub(crate) fn tell_usage(error: &clap::Error) -> Exit {
    // Nobody is left to be told that the output is closed.
    let _ = error.print();
    if error.use_stderr() {
        Exit::Usage
    } else {
        Exit::Success
    }
}

fn screen_args(command: &Command) -> &ScreenArgs {
    static DEFAULT: ScreenArgs = ScreenArgs::DEFAULT;
    match command {
        Command::Run(args) => &args.screen,
        Command::List(args) => &args.screen,
        Command::Check(args) => &args.screen,
        Command::Doctor(args) => &args.screen,
        Command::Show(args) => &args.screen,
        Command::Reap(args) => &args.screen,
        Command::Schema(_) | Command::Completions(_) | Command::Man(_) => &DEFAULT,
    }
}
