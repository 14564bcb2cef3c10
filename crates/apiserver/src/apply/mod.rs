//! Who owns which field: the sets, comparisons and merges of upstream's `structured-merge-diff`, and the field
//! manager that the request path calls.
//!
//! Sets name fields, not values: `{spec: {replicas}}`. A write is a comparison of two trees under a schema that knows
//! which lists are sets or maps; what was added or changed becomes the writer's, what vanished is nobody's.

mod fields;
mod manager;
mod typed;

pub(crate) use manager::{FieldManager, Subresource};
