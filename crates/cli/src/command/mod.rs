//! What each subcommand does.

mod check;
mod doctor;
mod list;
mod paper;
mod reap;
mod run;
mod show;

pub(crate) use check::check;
pub(crate) use doctor::doctor;
pub(crate) use list::list;
pub(crate) use paper::{completions, man, schema};
pub(crate) use reap::reap;
pub(crate) use run::{place, run};
pub(crate) use show::show;
