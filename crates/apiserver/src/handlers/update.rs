//! `update`, and the loop that every change of an existing object goes through.

use serde_json::Value;

use super::{call::Call, input};
use crate::{
    api,
    apply::Subresource,
    meta::{self, Meta},
    query::WriteOptions,
    reply::{self, Reply},
    status::{FieldError, Status},
    store::{Expect, Object, Refused},
    strategy,
};

/// A racing writer makes a patch start over this often, then the client is told to.
const ATTEMPTS_MAX: usize = 5;

/// What a change wants to make of the object that is there.
pub(crate) struct Wanted {
    pub(crate) object: Value,
    /// Whether `object` has its managers recorded already (apply has).
    pub(crate) managed: bool,
    /// The UID that the stored object must have.
    pub(crate) uid: Option<String>,
    pub(crate) warnings: Vec<String>,
}

/// Makes of the object that is there what it shall be; called anew when somebody else wrote first.
pub(crate) type Change<'a> = dyn FnMut(&Value) -> Result<Wanted, Status> + 'a;

/// Replaces an object, or its status.
pub(crate) fn put(call: &Call, part: Subresource) -> Result<Reply, Status> {
    let accepted = call.negotiate()?;
    let options = WriteOptions::parse(&call.query, &call.user_agent, "UpdateOptions", false)?;
    let (mut object, warnings) = input::decode(call, options.field_validation)?;
    call.note(&warnings);
    input::check_namespace(call, &mut object)?;
    input::check_name(call, &object)?;
    let uid = Some(object.meta_str("uid").to_owned()).filter(|uid| !uid.is_empty());
    let (object, warnings) = write_existing(call, part, &options, &mut |_| {
        Ok(Wanted {
            object: object.clone(),
            managed: false,
            uid: uid.clone(),
            warnings: warnings.clone(),
        })
    })?;
    let mut reply = call.tree_reply(200, &accepted, &object)?;
    reply::warn(&mut reply, &warnings);
    Ok(reply)
}

/// Reads, changes and writes until nobody came between.
pub(crate) fn write_existing(
    call: &Call,
    part: Subresource,
    options: &WriteOptions,
    change: &mut Change<'_>,
) -> Result<(Value, Vec<String>), Status> {
    let resource = &call.resource;
    for _ in 0..ATTEMPTS_MAX {
        let stored = call.stored()?;
        let old = api::decode(&stored, resource);
        let wanted = change(&old)?;
        match write_once(call, part, options, &stored, &old, wanted)? {
            Some(done) => return Ok(done),
            None => continue,
        }
    }
    Err(Status::modified(resource.group_resource(), call.name()))
}

/// One attempt. `None`: somebody else wrote first.
fn write_once(
    call: &Call,
    part: Subresource,
    options: &WriteOptions,
    stored: &Object,
    old: &Value,
    wanted: Wanted,
) -> Result<Option<(Value, Vec<String>)>, Status> {
    let resource = &call.resource;
    let Wanted {
        object: mut new,
        managed,
        uid,
        mut warnings,
    } = wanted;
    if let Some(uid) = uid.filter(|uid| uid != old.meta_str("uid")) {
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: /registry/{}/{}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            resource.collection,
            call.key(),
            old.meta_str("uid"),
        );
        return Err(Status::conflict(resource.group_resource(), call.name(), &why));
    }
    match new.meta_str("resourceVersion") {
        "" | "0" if strategy::needs_version(resource) => {
            let fault = FieldError::invalid(
                "metadata.resourceVersion",
                "0x0",
                "must be specified for an update",
            );
            // This one names the resource where others name the kind.
            return Err(Status::invalid(
                &resource.group,
                &resource.plural,
                call.name(),
                &[fault],
            ));
        }
        "" | "0" => new.set_meta("resourceVersion", stored.revision.to_string()),
        text => match text.parse::<u64>() {
            Err(_) => {
                return Err(Status::unclassified(format!(
                    "strconv.ParseUint: parsing {}: invalid syntax",
                    crate::status::quote(text)
                )));
            }
            Ok(revision) if revision != stored.revision => {
                return Err(Status::modified(resource.group_resource(), call.name()));
            }
            Ok(_) => {}
        },
    }
    warnings.extend(meta::dedup_owners(&mut new));
    if !managed {
        strategy::manager(call, &options.manager, part).update(
            Some(old),
            &mut new,
            resource.apply_schema.as_deref(),
        );
    }
    let had_finalizers = meta::finalizer_warnings(old);
    prepare(&mut new, old, part, call);
    let (faults, more) = strategy::validate_update(call, &new, old, part);
    if !faults.is_empty() {
        return Err(input::invalid(&new, call.name(), resource, &faults));
    }
    warnings.extend(
        meta::finalizer_warnings(&new)
            .into_iter()
            .filter(|warning| !had_finalizers.contains(warning)),
    );
    warnings.extend(more);
    let going = new
        .meta()
        .is_some_and(|meta| meta.contains_key("deletionTimestamp"));
    if going && new.finalizers().is_empty() && strategy::goes_with_finalizers(resource, &new) {
        if !options.dry_run {
            match call
                .api
                .store
                .delete(&resource.collection, &call.key(), stored.revision)
            {
                Ok(_) => strategy::after_write(call, &new),
                Err(_) => return Ok(None),
            }
        }
        return Ok(Some((new, warnings)));
    }
    let draft = api::draft(&new, resource);
    if options.dry_run || stored.same_as(&draft) {
        new.set_meta("resourceVersion", stored.revision.to_string());
        return Ok(Some((new, warnings)));
    }
    match call.api.store.put(
        &resource.collection,
        &call.key(),
        Expect::Revision(stored.revision),
        draft,
    ) {
        Ok(written) => {
            new.set_meta("resourceVersion", written.revision.to_string());
            strategy::after_write(call, &new);
            Ok(Some((new, warnings)))
        }
        Err(Refused::Changed) => Ok(None),
        Err(_) => Err(call.not_found()),
    }
}

/// Upstream's `BeforeUpdate`: what the system owns stays as it is.
fn prepare(new: &mut Value, old: &Value, part: Subresource, call: &Call) {
    new.copy_meta(old, "generation");
    strategy::prepare_update(new, old, part, &call.resource);
    if new.meta_str("uid").is_empty() {
        new.copy_meta(old, "uid");
    }
    new.copy_meta(old, "creationTimestamp");
    if old
        .meta()
        .is_some_and(|meta| meta.contains_key("deletionTimestamp"))
    {
        new.copy_meta(old, "deletionTimestamp");
        if !new
            .meta()
            .is_some_and(|meta| meta.contains_key("deletionGracePeriodSeconds"))
        {
            new.copy_meta(old, "deletionGracePeriodSeconds");
        }
    }
    if new.meta().is_some_and(|meta| meta.contains_key("selfLink")) {
        new.drop_meta("selfLink");
    }
    strategy::raise_generation(new, old, part, &call.resource);
}
