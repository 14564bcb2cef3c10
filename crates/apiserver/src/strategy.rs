//! What differs between kinds when they are written: preparation, validation, what follows a write.
//!
//! Upstream has one strategy object per kind. Here custom resources, definitions and built-in kinds share these
//! functions, and each asks the resource's facts or the kind's own file.

use serde_json::Value;

use crate::{
    apply::{FieldManager, Subresource},
    builtin, crd,
    handlers::Call,
    meta::{self, Meta},
    registry::{Origin, Resource},
    schema,
    status::{FaultKind, FieldError},
};

/// The main part of a resource, for its field manager.
pub(crate) fn main_part(resource: &Resource) -> Subresource {
    Subresource::Main {
        status_apart: resource.status,
    }
}

/// The field manager of a request. It borrows from the call.
pub(crate) fn manager<'a>(call: &'a Call, manager: &'a str, part: Subresource) -> Managed<'a> {
    Managed {
        call,
        manager,
        part,
        api_version: call.resource.api_version(),
    }
}

/// A [`FieldManager`] in the making: holds what that one borrows.
pub(crate) struct Managed<'a> {
    call: &'a Call,
    manager: &'a str,
    part: Subresource,
    api_version: String,
}

impl Managed<'_> {
    pub(crate) fn with<T>(&self, act: impl FnOnce(&FieldManager<'_>) -> T) -> T {
        let resource = &self.call.resource;
        let schema_of = |version: &str| resource.schema_of(version);
        act(&FieldManager {
            manager: self.manager,
            api_version: &self.api_version,
            subresource: self.part,
            now: self.call.now(),
            schema_of: &schema_of,
        })
    }

    /// See [`FieldManager::update`].
    pub(crate) fn update(&self, old: Option<&Value>, new: &mut Value, schema: Option<&schema::Schema>) {
        let zero = self.call.resource.zero.as_deref();
        self.with(|manager| manager.update(old, zero, new, schema));
    }
}

/// Whether an update must say which version it replaces.
pub(crate) fn needs_version(resource: &Resource) -> bool {
    matches!(resource.origin, Origin::Custom | Origin::Definition)
}

/// Whether removing the last finalizer of a deleted object removes it.
pub(crate) fn goes_with_finalizers(resource: &Resource, object: &Value) -> bool {
    resource.origin != Origin::BuiltIn || builtin::goes_with_finalizers(resource, object)
}

/// Sets what a new object starts with.
pub(crate) fn prepare_create(object: &mut Value, resource: &Resource) {
    match resource.origin {
        Origin::Custom => {
            object.set_meta("generation", 1);
            if resource.status {
                remove(object, "status");
            }
        }
        Origin::Definition => crd::prepare_create(object),
        Origin::BuiltIn => builtin::prepare_create(object, resource),
    }
}

fn remove(object: &mut Value, key: &str) {
    if let Value::Object(map) = object {
        map.shift_remove(key);
    }
}

fn set(object: &mut Value, key: &str, value: Option<Value>) {
    if let Value::Object(map) = object {
        match value {
            Some(value) => {
                map.insert(key.to_owned(), value);
            }
            None => {
                map.shift_remove(key);
            }
        }
    }
}

/// Puts back what this part of the object may not change.
pub(crate) fn prepare_update(new: &mut Value, old: &Value, part: Subresource, resource: &Resource) {
    match part {
        Subresource::Status => {
            let status = new.get("status").cloned();
            let managers = new.meta().and_then(|meta| meta.get("managedFields")).cloned();
            let version = new.meta_str("resourceVersion").to_owned();
            let own = [
                "name",
                "namespace",
                "uid",
                "deletionTimestamp",
                "deletionGracePeriodSeconds",
            ];
            let given: Vec<Option<Value>> = own
                .iter()
                .map(|key| new.meta().and_then(|meta| meta.get(*key)).cloned())
                .collect();
            let kind = new.get("kind").cloned();
            let api_version = new.get("apiVersion").cloned();
            *new = old.clone();
            set(new, "status", status);
            set(new, "kind", kind);
            set(new, "apiVersion", api_version);
            for (key, value) in own.iter().zip(given) {
                if let Some(value) = value {
                    new.set_meta(key, value);
                }
            }
            match managers {
                Some(managers) => new.set_meta("managedFields", managers),
                None => new.drop_meta("managedFields"),
            }
            new.set_meta("resourceVersion", version);
        }
        _ if resource.status => set(new, "status", old.get("status").cloned()),
        _ => {}
    }
    if resource.origin == Origin::Definition && part != Subresource::Status {
        crd::prepare_update(new);
    }
    if resource.origin == Origin::BuiltIn && matches!(part, Subresource::Main { .. }) {
        builtin::prepare_update(new, old, resource);
    }
}

/// Raises `metadata.generation` if what the user wants has changed.
pub(crate) fn raise_generation(new: &mut Value, old: &Value, part: Subresource, resource: &Resource) {
    if part == Subresource::Status || old.generation() == 0 {
        return;
    }
    let wanted = |object: &Value| {
        let mut object = object.clone();
        remove(&mut object, "metadata");
        remove(&mut object, "apiVersion");
        if resource.status {
            remove(&mut object, "status");
        }
        object
    };
    if wanted(new) != wanted(old) {
        new.set_meta("generation", old.generation() + 1);
    }
}

/// Faults and warnings of a new object.
pub(crate) fn validate_create(call: &Call, object: &Value) -> (Vec<FieldError>, Vec<String>) {
    let resource = &call.resource;
    match resource.origin {
        Origin::Custom => {
            let faults = crate::handlers::type_faults(object, resource);
            if !faults.is_empty() {
                return (faults, Vec::new());
            }
            let mut faults = meta::create_faults(object, "metadata", resource.name_rule, resource.namespaced);
            let warnings = custom_faults(object, None, main_part(resource), resource, &mut faults);
            (faults, warnings)
        }
        Origin::Definition => {
            let mut faults = meta::create_faults(object, "metadata", resource.name_rule, false);
            faults.extend(crd::definition_faults(object, None));
            (faults, Vec::new())
        }
        Origin::BuiltIn => {
            let mut faults = meta::create_faults(object, "metadata", resource.name_rule, resource.namespaced);
            faults.extend(builtin::faults(object, None, resource));
            (faults, Vec::new())
        }
    }
}

/// Faults and warnings of a change.
pub(crate) fn validate_update(
    call: &Call,
    new: &Value,
    old: &Value,
    part: Subresource,
) -> (Vec<FieldError>, Vec<String>) {
    let resource = &call.resource;
    let mut faults = meta::update_faults(new, old, "metadata");
    match resource.origin {
        Origin::Custom => {
            let types = crate::handlers::type_faults(new, resource);
            if !types.is_empty() {
                return (types, Vec::new());
            }
            faults.extend(meta::update_faults(new, old, "metadata"));
            // Labels and their like are looked at once more by upstream.
            faults.extend(meta::embedded_faults(new, "metadata"));
            let warnings = custom_faults(new, Some(old), part, resource, &mut faults);
            (faults, warnings)
        }
        Origin::Definition => {
            faults.extend(meta::update_faults(new, old, "metadata"));
            if part == Subresource::Status {
                faults.extend(crd::status_faults(new));
            } else {
                faults.extend(crd::definition_faults(new, Some(old)));
            }
            (faults, Vec::new())
        }
        Origin::BuiltIn => {
            faults.extend(builtin::faults(new, Some(old), resource));
            (faults, Vec::new())
        }
    }
}

/// The schema's part of the validation. Returns warnings.
fn custom_faults(
    new: &Value,
    old: Option<&Value>,
    part: Subresource,
    resource: &Resource,
    out: &mut Vec<FieldError>,
) -> Vec<String> {
    let Some(schema) = &resource.schema else {
        return Vec::new();
    };
    let mut faults = Vec::new();
    let mut body = new.clone();
    if let Value::Object(map) = &mut body {
        map.shift_remove("metadata");
    }
    match (part, schema.properties.get("status"), new.get("status")) {
        (Subresource::Status, Some(schema), Some(status)) => {
            // The texts then name the field from the status on, the field itself is named in full.
            schema::check(status, schema, "", &mut faults);
            for fault in &mut faults {
                fault.field = if fault.field.is_empty() {
                    "status".to_owned()
                } else {
                    format!("status.{}", fault.field)
                };
            }
        }
        (Subresource::Status, ..) => {}
        _ => schema::check(&body, schema, "", &mut faults),
    }
    if let Some(old) = old {
        faults.retain(|fault| !is_unchanged(&fault.field, new, old));
    }
    schema::embedded_resource_faults(new, schema, "", true, &mut faults);
    schema::check_list_types(&body, schema, "", &mut faults);
    let mut warnings = Vec::new();
    let blocking = faults.iter().any(|fault| {
        matches!(
            fault.kind,
            FaultKind::NotSupported
                | FaultKind::Required
                | FaultKind::TooLong
                | FaultKind::TooMany
                | FaultKind::TypeInvalid
        )
    });
    if schema.has_rules {
        if blocking {
            const NOT_CHECKED: &str = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
            faults.push(FieldError::invalid("<nil>", "\"null\"", NOT_CHECKED));
        } else {
            for problem in schema::evaluate_rules(new, old, schema) {
                if problem.ratcheted {
                    warnings.push(problem.error.to_string());
                } else {
                    faults.push(problem.error);
                }
            }
        }
    }
    if let Some(scale) = &resource.scale {
        crate::handlers::scale_faults(new, scale, &mut faults);
    }
    out.extend(faults);
    warnings
}

/// Whether the value at a fault's path is what it was: upstream lets it be then (ratcheting).
fn is_unchanged(path: &str, new: &Value, old: &Value) -> bool {
    if path == "<nil>" || path.is_empty() || path.contains('[') {
        return false;
    }
    let find = |object: &Value| path.split('.').try_fold(object, |at, key| at.get(key)).cloned();
    let (new, old) = (find(new), find(old));
    new.is_some() && new == old
}

/// What happens once a write is done: definitions change what is served.
pub(crate) fn after_write(call: &Call, object: &Value) {
    match call.resource.origin {
        Origin::Definition => crd::reconcile(&call.api),
        Origin::Custom
            if object
                .meta()
                .is_some_and(|meta| meta.contains_key("deletionTimestamp"))
                && call.resource.terminating =>
        {
            crd::reconcile(&call.api);
        }
        _ => {}
    }
}
