//! The multi-version store: synchronous, clockless, one total order of revisions.
//!
//! What is in it: opaque bytes under `collection` and `key`, where a collection is one resource of one group and
//! a key is `namespace/name` or `name`. Worked example, one collection:
//!
//! ```text
//! revision   7            8            9            10
//! change     put a/x      put b/y      put a/x'     delete b/y
//! now        {a/x'}                                            a persistent map: a clone is a snapshot
//! log        [7 -> x] [8 -> y] [9 x -> x'] [10 y -> ]           bounded; each entry knows what it replaced
//! ```
//!
//! - A list at the newest revision clones the map's root under the lock and reads it without one.
//! - A list at revision 8 takes the map of now and undoes the log backwards: 10, then 9. What lies behind the
//!   oldest kept entry is [`Compacted`].
//! - A watch is a cursor into the log. It owns no queue, so a reader that never reads costs nothing; when the log
//!   has moved past its cursor it learns that it is [`Compacted`].
//!
//! The store never looks into the bytes but for one thing: they hold their own revision, which is not known before
//! the write, so a [`Draft`] says where it goes.

mod object;
mod state;
mod watch;

#[cfg(test)]
mod model;

pub(crate) use object::{Draft, Object};
pub(crate) use state::{Change, Expect, Limits, Objects, Refused, Store};
pub(crate) use watch::Watch;
