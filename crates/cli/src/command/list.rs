//! `seatrial list`.

use std::sync::Arc;

use seatrial_engine::Test;

use crate::{
    args::ListArgs,
    catalog::Catalog,
    command::run::{paths, place},
    entry::Origin,
    exit::Exit,
    resolve,
    screen::{Screen, print},
    stop::Stop,
};

/// Lists the tests that `run` would run, in that order.
pub(crate) fn list(
    args: &ListArgs,
    own: Vec<Arc<dyn Test>>,
    origin: Origin,
    screen: Screen,
) -> Result<Exit, Stop> {
    let profile = args.configuration.profile.as_deref();
    let catalog = Catalog::load(own, &paths(&args.paths, origin), profile)?;
    let runs_dir = place(None)?.runs_dir;
    let selection = resolve::selection(&args.selection, &runs_dir)?;
    let specs = catalog.specs();
    let selected = resolve::select(&selection, &specs, &runs_dir)?;
    let selected: Vec<_> = selected.tests.into_iter().map(|index| specs[index]).collect();
    screen.diagnose(&catalog.warnings);
    print(&if args.json {
        seatrial_report::list_json(&selected)
    } else {
        seatrial_report::list(&selected, screen.text())
    })?;
    Ok(Exit::Success)
}
