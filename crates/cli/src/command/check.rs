//! `seatrial check`.

use seatrial_engine::Severity;

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
    let loaded = seatrial_cases::load(&seatrial_cases::LoadOptions {
        paths: paths(&args.paths, Origin::Command),
    });
    screen.diagnose(&loaded.diagnostics);
    let is_bad = loaded
        .diagnostics
        .iter()
        .any(|found| found.severity == Severity::Error);
    print("")?;
    Ok(if is_bad { Exit::Usage } else { Exit::Success })
}
