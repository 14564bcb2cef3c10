//! `create`.

use serde_json::Value;
use uuid::Uuid;

use super::{call::Call, input};
use crate::{
    api,
    meta::{self, Meta, time_text},
    query::WriteOptions,
    reply::{self, Reply},
    status::{Cause, GroupResource, Status},
    store::{Expect, Refused},
    strategy,
};

/// Upstream's alphabet for generated names: no vowels, nothing that looks alike.
const SUFFIX_LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// Upstream tries this often before it says that a generated name exists.
const GENERATE_ATTEMPTS: usize = 8;

/// A new object from the body.
pub(crate) fn create(call: &Call) -> Result<Reply, Status> {
    let resource = &call.resource;
    let accepted = call.negotiate()?;
    let options = WriteOptions::parse(&call.query, &call.user_agent, "CreateOptions", false)?;
    let (mut object, warnings) = input::decode(call, options.field_validation)?;
    call.note(&warnings);
    input::check_namespace(call, &mut object)?;
    if resource.terminating {
        return Err(Status::method_not_supported(resource.group_resource(), "create"));
    }
    strategy::manager(call, &options.manager, strategy::main_part(resource)).update(
        None,
        &mut object,
        resource.apply_schema.as_deref(),
    );
    let (object, more) = admit_new(call, object, &options)?;
    let mut reply = call.tree_reply(201, &accepted, &object)?;
    reply::warn(&mut reply, &warnings);
    reply::warn(&mut reply, &more);
    Ok(reply)
}

/// From a decoded object, its managers recorded, to one that is stored. Returns it and warnings.
pub(crate) fn admit_new(
    call: &Call,
    mut object: Value,
    options: &WriteOptions,
) -> Result<(Value, Vec<String>), Status> {
    let resource = &call.resource;
    let mut warnings = Vec::new();
    check_namespace_lives(call, &object)?;
    if !object.meta_str("resourceVersion").is_empty() {
        return Err(Status::unclassified(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    warnings.extend(meta::dedup_owners(&mut object));
    let generated = object.name().is_empty() && !object.meta_str("generateName").is_empty();
    for key in [
        "selfLink",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
    ] {
        if object.meta().is_some_and(|meta| meta.contains_key(key)) {
            object.drop_meta(key);
        }
    }
    object.set_meta("uid", Uuid::new_v4().to_string());
    object.set_meta("creationTimestamp", time_text(call.now()));
    strategy::prepare_create(&mut object, resource);
    for attempt in 1.. {
        if generated {
            let prefix: String = object.meta_str("generateName").chars().take(58).collect();
            object.set_meta("name", format!("{prefix}{}", suffix()));
        }
        let (faults, more) = strategy::validate_create(call, &object);
        if !faults.is_empty() {
            return Err(input::invalid(&object, object.name(), resource, &faults));
        }
        if attempt == 1 {
            warnings.extend(meta::finalizer_warnings(&object));
            warnings.extend(more);
        }
        let name = object.name().to_owned();
        let namespace = call.namespace.as_deref().filter(|_| resource.namespaced);
        let key = api::key(namespace, &name);
        let there = || call.api.store.get(&resource.collection, &key);
        let exists = || {
            let mut status = Status::already_exists(resource.group_resource(), &name);
            let going = there().is_some_and(|old| {
                api::decode(&old, resource)
                    .meta()
                    .is_some_and(|meta| meta.contains_key("deletionTimestamp"))
            });
            if going {
                status.message = format!("object is being deleted: {}", status.message);
            }
            status
        };
        if options.dry_run {
            if there().is_some() {
                return Err(exists());
            }
            return Ok((object, warnings));
        }
        match call.api.store.put(
            &resource.collection,
            &key,
            Expect::Absent,
            api::draft(&object, resource),
        ) {
            Ok(stored) => {
                object.set_meta("resourceVersion", stored.revision.to_string());
                strategy::after_write(call, &object);
                return Ok((object, warnings));
            }
            Err(Refused::Exists) if generated && attempt < GENERATE_ATTEMPTS => {}
            Err(_) => return Err(exists()),
        }
    }
    Err(Status::internal("no name was found"))
}

/// Upstream's admission plugin NamespaceLifecycle.
fn check_namespace_lives(call: &Call, object: &Value) -> Result<(), Status> {
    const NAMESPACES: GroupResource<'_> = GroupResource {
        group: "",
        resource: "namespaces",
    };
    let Some(namespace) = call.namespace.as_deref().filter(|_| call.resource.namespaced) else {
        return Ok(());
    };
    let Some(found) = call.api.store.get("/namespaces", namespace) else {
        return Err(Status::not_found(NAMESPACES, namespace));
    };
    // The phase is the one selectable field of namespaces.
    if found
        .fields
        .first()
        .is_some_and(|phase| &**phase == "Terminating")
    {
        let why =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        let mut status = Status::forbidden(call.resource.group_resource(), object.name(), &why);
        if let Some(details) = &mut status.details {
            details.causes.push(Cause {
                reason: "NamespaceTerminating".to_owned(),
                message: format!("namespace {namespace} is being terminated"),
                field: "metadata.namespace".to_owned(),
            });
        }
        return Err(status);
    }
    Ok(())
}

fn suffix() -> String {
    let random = Uuid::new_v4();
    let letters = random.as_bytes().iter().take(5);
    letters
        .map(|byte| char::from(SUFFIX_LETTERS[usize::from(*byte) % SUFFIX_LETTERS.len()]))
        .collect()
}
