//! One file per verb. Each is a function from a [`Call`](call::Call) to a reply; only reading a body, waiting for a
//! revision and watching are asynchronous.

mod call;
mod create;
mod delete;
mod input;
mod list;
mod patch;
mod read;
mod scale;
mod update;
mod watch;

pub(crate) use call::Call;
pub(crate) use delete::{delete_collection, delete_one};
pub(crate) use list::list;
pub(crate) use watch::watch;

pub(crate) use create::create;
pub(crate) use input::type_faults;
pub(crate) use patch::patch;
pub(crate) use read::get;
pub(crate) use scale::scale_faults;
pub(crate) use scale::{get_scale, patch_scale, put_scale};
pub(crate) use update::put;
