//! Helper processes: this binary executed again, and caught before its `main`.
//!
//! The guardian and the supervisors have to be processes of their own, single-threaded and without anything that the
//! embedding program set up; and there may be no `seatrial` command to be executed, since tests are users' binaries,
//! too. So a constructor looks for a variable in the environment, and without it does nothing at all.

use crate::process::{reapers, supervisor};
use seatrial_engine::journal::guardian;
use std::{
    env, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

/// Says which helper to be.
const ROLE: &str = "SEATRIAL_HELPER";
const GUARDIAN: &str = "guardian";
const SUPERVISOR: &str = "supervisor";

const STATE_DIR: &str = "SEATRIAL_HELPER_STATE_DIR";
const RUN: &str = "SEATRIAL_HELPER_RUN";

/// The loader needs it to start the same binary where cargo or a user linked it dynamically.
const LIBRARY_PATH: &str = "LD_LIBRARY_PATH";

/// Set by the constructor. Without it a helper would run the program's `main`, so none is started.
static IS_CAUGHT: AtomicBool = AtomicBool::new(false);

// SAFETY: before `main` only one thread runs and the standard library works, but for what it says about its own set-up
// of the standard streams and SIGPIPE, which the helpers do not rely on. Without the variable, an environment lookup and
// a store is all that happens.
#[allow(unsafe_code)]
mod constructor {
    #[ctor::ctor(unsafe)]
    fn catch() {
        super::catch();
    }
}

fn catch() {
    IS_CAUGHT.store(true, Ordering::Relaxed);
    let Some(role) = env::var_os(ROLE) else {
        return;
    };
    if role == SUPERVISOR {
        supervisor::main();
    } else if role == GUARDIAN {
        guard_until_death();
    }
    // Whatever it was asked for, it was not to be this program.
    #[allow(clippy::exit, reason = "returning would run the embedding program's main")]
    std::process::exit(0);
}

/// Starts the guardian of a run; see [`Journal::guarded_by`](seatrial_engine::journal::Journal::guarded_by).
///
/// # Errors
///
/// When it cannot be started.
pub fn guard(state_dir: &Path, run: &str) -> io::Result<OwnedFd> {
    let (lifeline, held) = io::pipe()?;
    let mut command = command(GUARDIAN, run)?;
    // It leaves the working directory, so that it does not keep a file system busy.
    command
        .current_dir("/")
        .env(STATE_DIR, std::path::absolute(state_dir)?)
        .env(RUN, run);
    command
        .stdin(lifeline)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // Nobody waits for it: it ends after this process does.
    command.spawn()?;
    Ok(held.into())
}

/// Starts a supervisor that speaks over the socket.
pub(crate) fn supervise(part: &str, socket: OwnedFd) -> io::Result<Child> {
    let mut command = command(SUPERVISOR, part)?;
    command.stdin(socket).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn()
}

/// A helper; `what` is for those who read the output of `ps`.
fn command(role: &str, what: &str) -> io::Result<Command> {
    use std::os::unix::process::CommandExt as _;
    if !IS_CAUGHT.load(Ordering::Relaxed) {
        return Err(io::Error::other(
            "the constructor that catches helper processes is not linked in",
        ));
    }
    // The link holds though the file may have been replaced meanwhile.
    let mut command = Command::new("/proc/self/exe");
    command.arg0(format!("seatrial-{role}")).arg(what);
    command.env_clear().env(ROLE, role);
    if let Some(path) = env::var_os(LIBRARY_PATH) {
        command.env(LIBRARY_PATH, path);
    }
    Ok(command)
}

fn guard_until_death() {
    let (Some(state_dir), Ok(run)) = (env::var_os(STATE_DIR), env::var(RUN)) else {
        return;
    };
    supervisor::detach("seatrial-guard");
    // What could not be reaped stays in the journal, for the next one.
    drop(guardian::watch(
        io::stdin(),
        &PathBuf::from(state_dir),
        &run,
        &reapers(),
    ));
}
