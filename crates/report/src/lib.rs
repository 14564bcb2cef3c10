//! Everything that turns the events of a run into output: text, a terminal's live lines, JSON lines and the
//! record, JUnit XML, annotations; and what else people read, such as diagnostics and lists.
//!
//! Only this crate knows an output format. A reporter takes events and nothing else, so a run that was recorded
//! can be shown again by any of them: [`Record`] reads it back as the same events.

mod diagnostics;
mod doctor;
mod failure;
mod foreign;
mod github;
mod ink;
mod json;
mod junit;
mod libtest;
mod list;
mod page;
mod reap;
mod record;
mod runs;
#[cfg(test)]
mod script;
mod span;
mod state;
mod status;
mod summary;
mod text;
mod tui;
mod wire;

pub use diagnostics::{diagnostics, diagnostics_in_lines};
pub use doctor::doctor;
pub use github::{GithubOptions, GithubReporter, github_diagnostics};
pub use ink::Color;
pub use json::JsonReporter;
pub use junit::JunitReporter;
pub use libtest::{LibtestOptions, LibtestReporter};
pub use list::{list, list_json};
pub use reap::reap_report;
pub use record::{Record, RecordError, RecordWriter};
pub use runs::{RUNS_KEPT, link_latest, prune_runs};
pub use text::{TextOptions, TextReporter, Verbosity};
pub use tui::{TuiError, TuiHandle, TuiReporter, restore_terminal};
