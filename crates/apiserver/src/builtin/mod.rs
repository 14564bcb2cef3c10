//! The kinds that every Kubernetes has: a table of facts, and what some of them do when they are written.

mod columns;
mod facts;
mod schemas;
mod writes;

pub(crate) use facts::resources;
pub(crate) use writes::{
    apply_defaults, delete_returns_object, faults, goes_with_finalizers, grace_s, prepare_create,
    prepare_delete, prepare_update,
};
