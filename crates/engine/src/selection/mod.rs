//! Which tests of those found are run: names, labels, filter expressions, what failed last, and shards.
//!
//! All of it is pure functions over [`TestSpec`](crate::TestSpec)s, so that `list` and `run` cannot disagree and
//! every rule has a property test.

mod closest;
mod filter;
mod label;
mod matcher;
mod name;
mod parse;
mod select;
mod shard;

pub use closest::closest;
pub use filter::{Filter, Predicate};
pub use label::{LabelSelector, LabelTerm};
pub use matcher::Matcher;
pub use name::NamePattern;
pub use select::{Selected, Selection};
pub use shard::{Shard, ShardError};

/// The environment of a test whose spec names none: it runs on this machine, as processes.
pub const DEFAULT_ENVIRONMENT: &str = "process";
