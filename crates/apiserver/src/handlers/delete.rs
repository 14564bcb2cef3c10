//! `delete` and `deletecollection`.

use std::sync::Arc;

use serde_json::Value;

use super::{call::Call, list};
use crate::{
    api, builtin, crd, json,
    media::{self, Encoding},
    meta::{Meta, time_text},
    registry::{Origin, Resource},
    reply::{self, Reply},
    status::{Details, FieldError, Status, quote},
    store::{Expect, Object},
    strategy, yaml,
};

const ATTEMPTS_MAX: usize = 10;

/// `DeleteOptions`, from the body or the query.
#[derive(Debug, Clone, Default)]
struct Options {
    dry_run: bool,
    policy: Option<String>,
    orphan: Option<bool>,
    grace_s: Option<i64>,
    uid: Option<String>,
    version: Option<String>,
}

impl Options {
    fn parse(call: &Call) -> Result<Self, Status> {
        let options = if call.body.is_empty() {
            Self::from_query(call)?
        } else {
            Self::from_body(call)?
        };
        let mut faults = Vec::new();
        if let Some(policy) = &options.policy {
            let shown = quote(policy);
            if options.orphan.is_some() {
                faults.push(FieldError::invalid(
                    "propagationPolicy",
                    &shown,
                    "orphanDependents and deletionPropagation cannot be both set",
                ));
            } else if !matches!(policy.as_str(), "Foreground" | "Background" | "Orphan") {
                let supported = ["Foreground", "Background", "Orphan", "nil"];
                faults.push(FieldError::not_supported("propagationPolicy", shown, &supported));
            }
        }
        if faults.is_empty() {
            Ok(options)
        } else {
            Err(Status::invalid("meta.k8s.io", "DeleteOptions", "", &faults))
        }
    }

    fn from_query(call: &Call) -> Result<Self, Status> {
        let query = &call.query;
        Ok(Self {
            dry_run: query.all("dryRun").any(|value| value == "All"),
            policy: query.get("propagationPolicy").map(str::to_owned),
            orphan: query
                .has("orphanDependents")
                .then(|| query.flag("orphanDependents")),
            grace_s: query.integer("gracePeriodSeconds")?,
            uid: None,
            version: None,
        })
    }

    fn from_body(call: &Call) -> Result<Self, Status> {
        let unreadable =
            |why: String| Status::unclassified(format!("couldn't get version/kind; json parse error: {why}"));
        let value = match media::body_encoding(&call.content_type)? {
            Encoding::Json => json::parse(&call.body).map_err(unreadable)?.value,
            Encoding::Yaml => yaml::parse(&call.body).map_err(unreadable)?,
        };
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let kind = text(&value, "kind").unwrap_or_default();
        if !kind.is_empty() && kind != "DeleteOptions" {
            return Err(Status::unclassified(format!(
                "no kind {} is registered for version {} in scheme \"pkg/runtime/scheme.go:110\"",
                quote(&kind),
                quote(&text(&value, "apiVersion").unwrap_or_default()),
            )));
        }
        let preconditions = value.get("preconditions").cloned().unwrap_or_default();
        let dry_run = value
            .get("dryRun")
            .and_then(Value::as_array)
            .is_some_and(|all| all.iter().any(|one| one == "All"));
        Ok(Self {
            dry_run: dry_run || call.query.all("dryRun").any(|value| value == "All"),
            policy: text(&value, "propagationPolicy"),
            orphan: value.get("orphanDependents").and_then(Value::as_bool),
            grace_s: value.get("gracePeriodSeconds").and_then(Value::as_i64),
            uid: text(&preconditions, "uid"),
            version: text(&preconditions, "resourceVersion"),
        })
    }

    fn finalizers(&self, object: &Value) -> Vec<String> {
        let had = object.finalizers();
        let policy = self.policy.as_deref();
        let orphan = match (policy, self.orphan) {
            (Some(policy), _) => policy == "Orphan",
            (None, Some(orphan)) => orphan,
            (None, None) => had.contains(&"orphan"),
        };
        let foreground = match (policy, self.orphan) {
            (Some(policy), _) => policy == "Foreground",
            (None, Some(_)) => false,
            (None, None) => had.contains(&"foregroundDeletion"),
        };
        let mut out: Vec<String> = had
            .iter()
            .filter(|one| **one != "orphan" && **one != "foregroundDeletion")
            .map(|one| (*one).to_owned())
            .collect();
        if orphan {
            out.push("orphan".to_owned());
        }
        if foreground {
            out.push("foregroundDeletion".to_owned());
        }
        out
    }
}

/// What became of an object.
enum Outcome {
    /// It is gone; this is what it was.
    Gone(Value),
    /// It waits for its finalizers, or for its node.
    Marked(Value),
}

fn check_preconditions(
    options: &Options,
    object: &Value,
    resource: &Resource,
    name: &str,
) -> Result<(), Status> {
    let refuse = |what: &str, wanted: &str, have: &str, hint: &str| {
        if resource.origin == Origin::Definition {
            let why = format!(
                "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {have}"
            );
            return Status::conflict(resource.group_resource(), name, &why);
        }
        let of = crate::status::GroupResource {
            group: &resource.group,
            resource: &resource.kind,
        };
        let why = format!(
            "the {what} in the precondition ({wanted}) does not match the {what} in record ({have}). The object might have been {hint}"
        );
        Status::conflict(of, name, &why)
    };
    if let Some(uid) = options
        .uid
        .as_deref()
        .filter(|uid| *uid != object.meta_str("uid"))
    {
        return Err(refuse(
            "UID",
            uid,
            object.meta_str("uid"),
            "deleted and then recreated",
        ));
    }
    let version = object.meta_str("resourceVersion");
    if let Some(wanted) = options.version.as_deref().filter(|wanted| *wanted != version) {
        return Err(refuse("ResourceVersion", wanted, version, "modified"));
    }
    Ok(())
}

fn remove(call: &Call, key: &str, name: &str, options: &Options) -> Result<Outcome, Status> {
    let resource = &call.resource;
    let store = &call.api.store;
    for _ in 0..ATTEMPTS_MAX {
        let not_found = || Status::not_found(resource.group_resource(), name);
        let stored: Arc<Object> = store.get(&resource.collection, key).ok_or_else(not_found)?;
        let old = api::decode(&stored, resource);
        check_preconditions(options, &old, resource, name)?;
        let mut finalizers = options.finalizers(&old);
        let going = old
            .meta()
            .is_some_and(|meta| meta.contains_key("deletionTimestamp"));
        let mut new = old.clone();
        if resource.origin == Origin::Definition {
            crd::prepare_delete(&mut new, &mut finalizers, call.now());
        }
        let grace_s = builtin::grace_s(resource, &old, options.grace_s);
        if finalizers.is_empty() && grace_s == 0 && strategy::goes_with_finalizers(resource, &old) {
            if !options.dry_run {
                if store.delete(&resource.collection, key, stored.revision).is_err() {
                    continue;
                }
                strategy::after_write(call, &old);
            }
            return Ok(Outcome::Gone(old));
        }
        if !going {
            new.set_meta("deletionTimestamp", time_text(call.now()));
            new.set_meta("deletionGracePeriodSeconds", grace_s);
            if old.generation() > 0 {
                new.set_meta("generation", old.generation() + 1);
            }
            builtin::prepare_delete(&mut new, resource);
        }
        if finalizers.is_empty() {
            new.drop_meta("finalizers");
        } else {
            new.set_meta("finalizers", finalizers);
        }
        if resource.origin == Origin::Definition {
            new.drop_meta("deletionGracePeriodSeconds");
            new.copy_meta(&old, "generation");
        }
        let draft = api::draft(&new, resource);
        if options.dry_run || stored.same_as(&draft) {
            return Ok(Outcome::Marked(new));
        }
        if let Ok(written) = store.put(
            &resource.collection,
            key,
            Expect::Revision(stored.revision),
            draft,
        ) {
            new.set_meta("resourceVersion", written.revision.to_string());
            strategy::after_write(call, &new);
            return Ok(Outcome::Marked(new));
        }
    }
    Err(Status::modified(resource.group_resource(), name))
}

fn success(resource: &Resource, object: &Value) -> Status {
    Status {
        code: 200,
        reason: "",
        message: String::new(),
        details: Some(Box::new(Details {
            name: object.name().to_owned(),
            group: resource.group.clone(),
            kind: resource.plural.clone(),
            uid: object.meta_str("uid").to_owned(),
            ..Details::default()
        })),
    }
}

/// Deletes one object, or marks it.
pub(crate) fn delete_one(call: &Call) -> Result<Reply, Status> {
    let accepted = call.negotiate()?;
    let options = Options::parse(call)?;
    match remove(call, &call.key(), call.name(), &options)? {
        Outcome::Gone(object) if builtin::delete_returns_object(&call.resource) => {
            call.tree_reply(200, &accepted, &object)
        }
        Outcome::Gone(object) => Ok(reply::tree(
            200,
            &accepted,
            &success(&call.resource, &object).to_value(),
        )),
        Outcome::Marked(object) => call.tree_reply(200, &accepted, &object),
    }
}

/// Deletes all that is selected, and lists it.
pub(crate) fn delete_collection(call: &Call) -> Result<Reply, Status> {
    let accepted = call.negotiate()?;
    let options = Options::parse(call)?;
    let limit = call
        .query
        .integer("limit")?
        .filter(|limit| *limit > 0)
        .and_then(|limit| usize::try_from(limit).ok());
    let (all, revision) = list::selected(call)?;
    let mut out = Vec::new();
    for (key, object) in all.into_iter().take(limit.unwrap_or(usize::MAX)) {
        let name = if call.resource.namespaced {
            key.split_once('/').map_or(&*key, |(_, name)| name)
        } else {
            &key
        };
        let old = api::render(&object, &call.resource);
        match remove(call, &key, name, &options) {
            Ok(Outcome::Gone(_) | Outcome::Marked(_)) => out.push(old),
            // Somebody else was faster.
            Err(status) if status.code == 404 => {}
            Err(status) => return Err(status),
        }
    }
    let mut meta = serde_json::Map::new();
    if call.resource.is_custom() {
        meta.insert("continue".into(), "".into());
    }
    meta.insert("resourceVersion".into(), revision.to_string().into());
    Ok(list::list_reply(
        &accepted,
        &call.resource,
        Value::Object(meta),
        out.into_iter(),
    ))
}
