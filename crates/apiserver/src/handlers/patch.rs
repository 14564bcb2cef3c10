//! `patch`: JSON patch, merge patch, strategic merge patch, server-side apply.

use serde_json::Value;

use super::{
    call::Call,
    create,
    input::{self, Findings},
    update::{Wanted, write_existing},
};
use crate::{
    apply::Subresource,
    json,
    media::content_type,
    meta::{Meta, go_kind},
    patching,
    query::{FieldValidation, WriteOptions},
    registry::Resource,
    reply::{self, Reply},
    status::Status,
    strategic, strategy, yaml,
};

/// A decoded patch.
pub(crate) enum Patch {
    Json(Value),
    Merge(Value),
    Strategic(Value),
    Apply(Value),
}

fn accepted_types(resource: &Resource) -> &'static str {
    if resource.strategic {
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml, application/strategic-merge-patch+json"
    } else {
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    }
}

impl Patch {
    /// Reads the body by its media type.
    pub(crate) fn parse(call: &Call) -> Result<(Self, Vec<String>), Status> {
        let decoding = |why: String| Status::bad_request(format!("error decoding patch: {why}"));
        let object = |value: Value| match value {
            Value::Object(_) => Ok(value),
            other => Err(decoding(format!(
                "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
                go_kind(&other)
            ))),
        };
        match content_type(&call.content_type) {
            "application/json-patch+json" => {
                let parsed = json::parse(&call.body).map_err(decoding)?;
                patching::read_operations(&parsed.value).map_err(decoding)?;
                Ok((Self::Json(parsed.value), parsed.duplicates))
            }
            "application/merge-patch+json" => {
                let parsed = json::parse(&call.body).map_err(decoding)?;
                Ok((Self::Merge(object(parsed.value)?), parsed.duplicates))
            }
            "application/strategic-merge-patch+json" if call.resource.strategic => {
                let parsed = json::parse(&call.body).map_err(decoding)?;
                Ok((Self::Strategic(object(parsed.value)?), parsed.duplicates))
            }
            "application/apply-patch+yaml" => {
                let value = yaml::parse(&call.body)
                    .map_err(|why| Status::bad_request(format!("error decoding YAML: {why}")))?;
                if !value.is_object() {
                    return Err(Status::bad_request(
                        "error decoding YAML: the patch is not an object",
                    ));
                }
                Ok((Self::Apply(value), Vec::new()))
            }
            _ => Err(Status::unsupported_media_type(accepted_types(&call.resource))),
        }
    }

    pub(crate) fn is_apply(&self) -> bool {
        matches!(self, Self::Apply(_))
    }

    /// The object that the patch makes of another. Not for apply.
    pub(crate) fn applied(&self, old: &Value, resource: &Resource) -> Result<Value, Status> {
        let mut new = old.clone();
        match self {
            Self::Json(document) => {
                let operations = patching::read_operations(document).map_err(Status::bad_request)?;
                patching::apply_json_patch(&mut new, &operations)
                    .map_err(|_| Status::unprocessable_patch())?;
            }
            Self::Merge(patch) => patching::apply_merge_patch(&mut new, patch),
            Self::Strategic(patch) => {
                new = strategic::merge(&new, patch, resource.apply_schema.as_deref())
                    .map_err(Status::bad_request)?;
            }
            Self::Apply(_) => {}
        }
        Ok(new)
    }
}

/// Changes an object; apply may create it.
pub(crate) fn patch(call: &Call, part: Subresource) -> Result<Reply, Status> {
    let accepted = call.negotiate()?;
    let (patch, duplicates) = Patch::parse(call)?;
    let options = WriteOptions::parse(&call.query, &call.user_agent, "PatchOptions", patch.is_apply())?;
    if let Patch::Apply(config) = &patch {
        return apply(call, part, config, &options);
    }
    let resource = &call.resource;
    let (object, warnings) = write_existing(call, part, &options, &mut |old| {
        let mut new = patch.applied(old, resource)?;
        let mut findings = Findings {
            duplicates: duplicates.clone(),
            ..Findings::default()
        };
        if !new.is_object() {
            return Err(Status::unprocessable_patch());
        }
        input::settle(&mut new, resource, &mut findings).map_err(Status::unclassified)?;
        let warnings = judge(&new, resource, &findings, options.field_validation)?;
        call.note(&warnings);
        input::check_name(call, &new)?;
        input::check_namespace(call, &mut new)?;
        // Only a write of the whole object asks for a UID; a patch that changes it is refused as immutable.
        if new.meta_str("selfLink") != old.meta_str("selfLink") {
            new.drop_meta("selfLink");
        }
        Ok(Wanted {
            object: new,
            managed: false,
            uid: None,
            warnings,
        })
    })?;
    let mut reply = call.tree_reply(200, &accepted, &object)?;
    reply::warn(&mut reply, &warnings);
    Ok(reply)
}

/// With Strict a patch is refused with the whole object inside the message, as upstream does.
fn judge(
    new: &Value,
    resource: &Resource,
    findings: &Findings,
    validation: FieldValidation,
) -> Result<Vec<String>, Status> {
    findings.judge(validation).map_err(|why| {
        let shown = json::to_string(new);
        let fault = crate::status::FieldError::invalid("patch", shown, why);
        Status::invalid(&resource.group, &resource.kind, "", &[fault])
    })
}

fn apply(call: &Call, part: Subresource, config: &Value, options: &WriteOptions) -> Result<Reply, Status> {
    let accepted = call.negotiate()?;
    let resource = &call.resource;
    let force = call.query.flag("force");
    let text = |key: &str| config.get(key).and_then(Value::as_str).unwrap_or("");
    if text("apiVersion") != resource.api_version() || text("kind") != resource.kind {
        let version = if text("apiVersion").is_empty() {
            "/"
        } else {
            text("apiVersion")
        };
        return Err(Status::bad_request(format!(
            "invalid object type: {version}, Kind={}",
            text("kind")
        )));
    }
    if config
        .meta()
        .is_some_and(|meta| meta.contains_key("managedFields"))
    {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    let mut config = config.clone();
    if config.meta_str("name").is_empty() {
        config.set_meta("name", call.name());
    }
    input::check_name(call, &config)?;
    let exists = call.api.store.get(&resource.collection, &call.key()).is_some();
    let manager = strategy::manager(call, &options.manager, part);
    let schema = resource.apply_schema.as_deref();
    if exists {
        let (object, warnings) = write_existing(call, part, options, &mut |old| {
            let applied =
                manager.with(|manager| manager.apply(old, &config, schema, force, &resource.kind))?;
            let mut new = applied.object;
            let mut findings = Findings::default();
            input::settle(&mut new, resource, &mut findings).map_err(Status::unclassified)?;
            input::check_namespace(call, &mut new)?;
            Ok(Wanted {
                object: new,
                managed: true,
                uid: None,
                warnings: Vec::new(),
            })
        })?;
        let mut reply = call.tree_reply(200, &accepted, &object)?;
        reply::warn(&mut reply, &warnings);
        return Ok(reply);
    }
    if !matches!(part, Subresource::Main { .. }) {
        return Err(call.not_found());
    }
    let applied = manager
        .with(|manager| manager.apply(&input::empty(resource), &config, schema, force, &resource.kind))?;
    let mut new = applied.object;
    if new
        .meta()
        .is_some_and(|meta| meta.contains_key("resourceVersion"))
    {
        new.drop_meta("resourceVersion");
    }
    let given_uid = new.meta_str("uid").to_owned();
    let mut findings = Findings::default();
    input::settle(&mut new, resource, &mut findings).map_err(Status::unclassified)?;
    input::check_namespace(call, &mut new)?;
    if resource.terminating {
        return Err(Status::method_not_supported(resource.group_resource(), "create"));
    }
    if !given_uid.is_empty() {
        return Err(Status::conflict(
            resource.group_resource(),
            call.name(),
            &format!(
                "uid mismatch: the provided object specified uid {given_uid}, and no existing object was found"
            ),
        ));
    }
    let (object, warnings) = create::admit_new(call, new, options)?;
    let mut reply = call.tree_reply(201, &accepted, &object)?;
    reply::warn(&mut reply, &warnings);
    Ok(reply)
}
