//! `seatrial reap`.

use seatrial_engine::journal::{ReapOptions, reap as end_leftovers};
use seatrial_environment::reapers;

use crate::{
    args::ReapArgs,
    exit::Exit,
    screen::{Screen, print},
    state_dir,
    stop::Stop,
};

/// Ends what dead runs left; fails if something is still there.
pub(crate) fn reap(args: &ReapArgs, screen: Screen) -> Result<Exit, Stop> {
    let options = ReapOptions {
        dry_run: args.dry_run,
        kept: args.kept,
        only_run: args.run.clone(),
        ..ReapOptions::default()
    };
    let report = end_leftovers(&state_dir::find_or_create()?, &reapers(), &options);
    print(&seatrial_report::reap_report(&report, screen.text()))?;
    Ok(if report.is_clean() {
        Exit::Success
    } else {
        Exit::Bad
    })
}
