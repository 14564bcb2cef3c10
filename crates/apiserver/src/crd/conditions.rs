//! What upstream's controllers do with definitions: accept names, establish, drain, remove.
//!
//! Here they are one synchronous pass over all definitions after each write of one, before the writer is answered:
//! a definition is Established only once it is served, and nobody can see a time between.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde_json::{Value, json};

use super::{
    definition::{CLEANUP, COLLECTION},
    resources::{fingerprint, resources},
};
use crate::{
    api::{self, Api},
    apply::{FieldManager, Subresource},
    meta::{Meta, time_text},
    registry::{Registry, Resource},
    store::{Expect, Object},
};

/// Brings statuses and the registry in line with the definitions that are stored.
pub(crate) fn reconcile(api: &Api) {
    let _one_at_a_time = api.definitions();
    // A pass can free names or remove a definition, which the next one sees. Bounded against a fault of ours.
    for _ in 0..100 {
        let changed = pass(api);
        serve(api);
        if !changed {
            return;
        }
    }
}

fn definitions(api: &Api, resource: &Resource) -> Vec<(Arc<str>, Arc<Object>, Value)> {
    let (objects, _) = api.store.objects(COLLECTION);
    let mut all: Vec<_> = objects
        .iter()
        .map(|(key, object)| (key.clone(), object.clone(), api::decode(object, resource)))
        .collect();
    // Who was first keeps the names.
    all.sort_by_key(|(_, _, value)| {
        let accepted = value["status"]["acceptedNames"]["plural"]
            .as_str()
            .unwrap_or("")
            .is_empty();
        (accepted, value.meta_str("creationTimestamp").to_owned())
    });
    all
}

fn definition_resource(api: &Api) -> Option<Arc<Resource>> {
    api.registry()
        .find("apiextensions.k8s.io", "v1", "customresourcedefinitions")
        .cloned()
}

fn is_true(definition: &Value, kind: &str) -> bool {
    let conditions = definition["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|one| one["type"] == kind && one["status"] == "True")
}

fn pass(api: &Api) -> bool {
    let Some(resource) = definition_resource(api) else {
        return false;
    };
    let all = definitions(api, &resource);
    let mut taken: HashMap<String, Taken> = HashMap::new();
    let mut changed = false;
    for (_, _, value) in &all {
        taken
            .entry(value["spec"]["group"].as_str().unwrap_or("").to_owned())
            .or_default()
            .claim(value);
    }
    for (key, stored, value) in all {
        if value
            .meta()
            .is_some_and(|meta| meta.contains_key("deletionTimestamp"))
        {
            changed |= drain(api, &resource, &key, &stored, value);
            continue;
        }
        let group = value["spec"]["group"].as_str().unwrap_or("").to_owned();
        let taken = taken.entry(group).or_default();
        let mut new = value.clone();
        accept(&mut new, taken, api);
        if new["status"] != value["status"] {
            changed = true;
            write_status(api, &resource, &key, &stored, &value, new);
        }
    }
    changed
}

fn write_status(api: &Api, resource: &Resource, key: &str, stored: &Object, old: &Value, mut new: Value) {
    let schema_of = |version: &str| resource.schema_of(version);
    let manager = FieldManager {
        manager: "apiextensions-apiserver",
        api_version: &resource.api_version(),
        subresource: Subresource::Status,
        now: api.now(),
        schema_of: &schema_of,
    };
    manager.update(Some(old), None, &mut new, resource.apply_schema.as_deref());
    // A writer that came between starts a pass of its own.
    let _ = api.store.put(
        &resource.collection,
        key,
        Expect::Revision(stored.revision),
        api::draft(&new, resource),
    );
}

/// Names of a group that are in use, with who uses them.
#[derive(Default)]
struct Taken {
    resources: HashMap<String, String>,
    kinds: HashMap<String, String>,
}

impl Taken {
    fn claim(&mut self, definition: &Value) {
        let names = &definition["status"]["acceptedNames"];
        let owner = definition.name().to_owned();
        for name in resource_names(names) {
            self.resources.entry(name).or_insert_with(|| owner.clone());
        }
        for key in ["kind", "listKind"] {
            if let Some(name) = names[key].as_str().filter(|name| !name.is_empty()) {
                self.kinds.entry(name.to_owned()).or_insert_with(|| owner.clone());
            }
        }
    }
}

fn resource_names(names: &Value) -> HashSet<String> {
    let mut out: HashSet<String> = HashSet::new();
    for key in ["plural", "singular"] {
        out.extend(
            names[key]
                .as_str()
                .filter(|name| !name.is_empty())
                .map(str::to_owned),
        );
    }
    out.extend(
        names["shortNames"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|one| one.as_str().map(str::to_owned)),
    );
    out
}

/// Accepts what names are free, and says so in the conditions.
fn accept(definition: &mut Value, taken: &mut Taken, api: &Api) {
    let owner = definition.name().to_owned();
    let wanted = definition["spec"]["names"].clone();
    let mut accepted = definition["status"]["acceptedNames"].clone();
    if !accepted.is_object() {
        accepted = json!({"plural": "", "kind": ""});
    }
    let mut conflict: Option<(&str, String)> = None;
    let in_use =
        |map: &HashMap<String, String>, name: &str| map.get(name).is_some_and(|other| *other != owner);
    for (key, reason, kinds) in [
        ("plural", "PluralConflict", false),
        ("singular", "SingularConflict", false),
        ("shortNames", "ShortNamesConflict", false),
        ("kind", "KindConflict", true),
        ("listKind", "ListKindConflict", true),
    ] {
        let map = if kinds { &taken.kinds } else { &taken.resources };
        let names: Vec<String> = match &wanted[key] {
            Value::String(one) => vec![one.clone()],
            Value::Array(all) => all
                .iter()
                .filter_map(|one| one.as_str().map(str::to_owned))
                .collect(),
            _ => Vec::new(),
        };
        let bad: Vec<String> = names
            .iter()
            .filter(|name| in_use(map, name))
            .map(|name| format!("{} is already in use", crate::status::quote(name)))
            .collect();
        if bad.is_empty() {
            match wanted.get(key) {
                Some(value) => accepted[key] = value.clone(),
                None => {
                    if let Value::Object(map) = &mut accepted {
                        map.shift_remove(key);
                    }
                }
            }
        } else {
            let text = if bad.len() == 1 {
                bad[0].clone()
            } else {
                format!("[{}]", bad.join(", "))
            };
            conflict = Some((reason, text));
        }
    }
    match wanted.get("categories") {
        Some(categories) => accepted["categories"] = categories.clone(),
        None => {
            if let Value::Object(map) = &mut accepted {
                map.shift_remove("categories");
            }
        }
    }
    definition["status"]["acceptedNames"] = accepted;
    taken.claim(definition);
    let now = time_text(api.now());
    match conflict {
        None => {
            set_condition(
                definition,
                "NamesAccepted",
                "True",
                "NoConflicts",
                "no conflicts found",
                &now,
            );
            set_condition(
                definition,
                "Established",
                "True",
                "InitialNamesAccepted",
                "the initial names have been accepted",
                &now,
            );
        }
        Some((reason, text)) => {
            set_condition(definition, "NamesAccepted", "False", reason, &text, &now);
            if !is_true(definition, "Established") {
                set_condition(
                    definition,
                    "Established",
                    "False",
                    "NotAccepted",
                    "not all names are accepted",
                    &now,
                );
            }
        }
    }
}

fn set_condition(definition: &mut Value, kind: &str, status: &str, reason: &str, message: &str, now: &str) {
    let mut all = definition["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let new = json!({"type": kind, "status": status, "lastTransitionTime": now, "reason": reason, "message": message});
    match all.iter_mut().find(|one| one["type"] == kind) {
        Some(old) => {
            let same_status = old["status"] == status;
            let since = old["lastTransitionTime"].clone();
            *old = new;
            if same_status {
                old["lastTransitionTime"] = since;
            }
        }
        None => all.push(new),
    }
    definition["status"]["conditions"] = all.into();
}

/// Deletes the objects of a definition that is being deleted; then the definition. Returns whether anything changed.
fn drain(api: &Api, resource: &Resource, key: &str, stored: &Object, value: Value) -> bool {
    if !value.finalizers().contains(&CLEANUP) {
        return false;
    }
    let plural = value["status"]["acceptedNames"]["plural"].as_str().unwrap_or("");
    let group = value["spec"]["group"].as_str().unwrap_or("");
    let collection: Arc<str> = format!("{group}/{plural}").into();
    let served = api
        .registry()
        .all()
        .find(|r| r.collection == collection && r.is_custom())
        .cloned();
    let mut left = 0;
    if !plural.is_empty() && is_true(&value, "Established") {
        let (objects, _) = api.store.objects(&collection);
        for (key, object) in objects.iter() {
            let Some(instance_of) = &served else { break };
            let old = api::decode(object, instance_of);
            if old.finalizers().is_empty() {
                let _ = api.store.delete(&collection, key, object.revision);
                continue;
            }
            left += 1;
            if !old
                .meta()
                .is_some_and(|meta| meta.contains_key("deletionTimestamp"))
            {
                let mut new = old.clone();
                new.set_meta("deletionTimestamp", time_text(api.now()));
                new.set_meta("deletionGracePeriodSeconds", 0);
                new.set_meta("generation", old.generation() + 1);
                let _ = api.store.put(
                    &collection,
                    key,
                    Expect::Revision(object.revision),
                    api::draft(&new, instance_of),
                );
            }
        }
    }
    let mut new = value.clone();
    let now = time_text(api.now());
    if left > 0 {
        let text = "CustomResource deletion is in progress";
        set_condition(
            &mut new,
            "Terminating",
            "True",
            "InstanceDeletionInProgress",
            text,
            &now,
        );
        if new["status"] == value["status"] {
            return false;
        }
        write_status(api, resource, key, stored, &value, new);
        return true;
    }
    let finalizers: Vec<String> = value
        .finalizers()
        .into_iter()
        .filter(|one| *one != CLEANUP)
        .map(str::to_owned)
        .collect();
    if finalizers.is_empty() {
        return api
            .store
            .delete(&resource.collection, key, stored.revision)
            .is_ok();
    }
    set_condition(
        &mut new,
        "Terminating",
        "False",
        "InstanceDeletionCompleted",
        "removed all instances",
        &now,
    );
    new.set_meta("finalizers", finalizers);
    write_status(api, resource, key, stored, &value, new);
    true
}

/// Makes the registry of what is stored now. What did not change keeps its encoding, so its bytes stay as they are.
fn serve(api: &Api) {
    let Some(resource) = definition_resource(api) else {
        return;
    };
    let before = api.registry();
    let mut registry = Registry::default();
    for one in before.all().filter(|one| !one.is_custom()) {
        registry.insert(one.clone());
    }
    for (_, _, definition) in definitions(api, &resource) {
        if !is_true(&definition, "Established") {
            continue;
        }
        let fingerprint = fingerprint(&definition);
        let mut kept = before
            .all()
            .filter(|one| one.fingerprint == fingerprint)
            .peekable();
        if kept.peek().is_some() {
            kept.for_each(|one| registry.insert(one.clone()));
            continue;
        }
        let mut new_encoding = || api.new_encoding();
        for mut made in resources(&definition, &fingerprint, &mut new_encoding) {
            // Watches that began before a change of the definition end with it all the same.
            if let Some(old) = before.find(&made.group, &made.version, &made.plural)
                && let Some(made) = Arc::get_mut(&mut made)
            {
                made.retired = old.retired.clone();
            }
            registry.insert(made);
        }
    }
    api.set_registry(registry);
}
