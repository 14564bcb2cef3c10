//! CustomResourceDefinitions: what they may say, what the server says back in their status, and what is served
//! because of them.

mod conditions;
mod definition;
mod resources;
mod rules;
mod structural;

pub(crate) use conditions::reconcile;
pub(crate) use definition::{
    default_definition, definition_resource, prepare_create, prepare_delete, prepare_update,
};
pub(crate) use resources::{metadata_schema, storage_hash};
pub(crate) use rules::{definition_faults, status_faults};
