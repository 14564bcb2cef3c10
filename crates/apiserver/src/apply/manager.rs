//! The field manager: keeps `metadata.managedFields` true across creates, updates and applies.
//!
//! Upstream builds it as a chain of wrappers (`apimachinery/pkg/util/managedfields`); here the chain is one struct
//! whose methods do the same steps in the same order.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    fields::FieldSet,
    typed::{self, Comparison},
};
use crate::{
    meta::{Meta, time_text},
    schema::Schema,
    status::{Cause, Details, Status, quote},
};

/// More managers that update than these are merged into one.
const UPDATERS_MAX: usize = 10;
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

const STRIPPED: [&[&str]; 12] = [
    &["metadata"],
    &["apiVersion"],
    &["kind"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "creationTimestamp"],
    &["metadata", "selfLink"],
    &["metadata", "uid"],
    &["metadata", "clusterName"],
    &["metadata", "generation"],
    &["metadata", "managedFields"],
    &["metadata", "resourceVersion"],
];

/// What part of an object a request writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subresource {
    /// The object; its status is not the writer's if the kind has a status subresource.
    Main { status_apart: bool },
    /// Only its status.
    Status,
    /// Another one, by name; everything that changes is the writer's.
    Other(&'static str),
}

impl Subresource {
    fn name(self) -> &'static str {
        match self {
            Self::Main { .. } => "",
            Self::Status => "status",
            Self::Other(name) => name,
        }
    }
}

/// What a write needs to know of its writer and kind.
pub(crate) struct FieldManager<'a> {
    /// Name of the manager.
    pub(crate) manager: &'a str,
    /// `group/version` that the request speaks.
    pub(crate) api_version: &'a str,
    pub(crate) subresource: Subresource,
    pub(crate) now: Timestamp,
    /// Schema of another version of the kind; `None` if that is not served.
    pub(crate) schema_of: &'a dyn Fn(&str) -> Option<Arc<Schema>>,
}

/// What an apply made.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) object: Value,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Id {
    manager: String,
    applied: bool,
    /// Empty for appliers: they keep their entry across versions.
    api_version: String,
    subresource: String,
}

#[derive(Debug, Clone)]
struct Entry {
    set: FieldSet,
    api_version: String,
    time: Option<String>,
}

type Managers = BTreeMap<Id, Entry>;

fn decode(object: &Value) -> Option<Managers> {
    let mut out = Managers::new();
    let Some(list) = object.meta().and_then(|meta| meta.get("managedFields")) else {
        return Some(out);
    };
    for entry in list.as_array()? {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
        let applied = match text("operation").as_str() {
            "Apply" => true,
            "Update" => false,
            _ => return None,
        };
        if text("fieldsType") != "FieldsV1" {
            return None;
        }
        let set = match entry.get("fieldsV1") {
            Some(fields) => FieldSet::from_wire(fields)?,
            None => FieldSet::default(),
        };
        let api_version = text("apiVersion");
        let id = Id {
            manager: text("manager"),
            applied,
            api_version: if applied {
                String::new()
            } else {
                api_version.clone()
            },
            subresource: text("subresource"),
        };
        let time = Some(text("time")).filter(|time| !time.is_empty());
        out.insert(
            id,
            Entry {
                set,
                api_version,
                time,
            },
        );
    }
    Some(out)
}

/// Whether the request asks to forget all managers: a list of one empty entry.
fn is_reset(object: &Value) -> bool {
    let list = object
        .meta()
        .and_then(|meta| meta.get("managedFields"))
        .and_then(Value::as_array);
    list.is_some_and(|list| list.len() == 1 && list[0].as_object().is_some_and(Map::is_empty))
}

fn encode(object: &mut Value, managers: Managers) {
    let mut entries: Vec<(Id, Entry)> = managers.into_iter().collect();
    entries.sort_by(|(a, x), (b, y)| {
        b.applied
            .cmp(&a.applied)
            .then_with(|| x.time.cmp(&y.time))
            .then_with(|| a.manager.cmp(&b.manager))
            .then_with(|| x.api_version.cmp(&y.api_version))
            .then_with(|| a.subresource.cmp(&b.subresource))
    });
    if entries.is_empty() {
        if object.meta().is_some() {
            object.drop_meta("managedFields");
        }
        return;
    }
    let list = entries.into_iter().map(|(id, entry)| {
        let mut out = Map::new();
        out.insert("apiVersion".into(), entry.api_version.into());
        out.insert("fieldsType".into(), "FieldsV1".into());
        out.insert("fieldsV1".into(), entry.set.to_wire());
        out.insert("manager".into(), id.manager.into());
        out.insert(
            "operation".into(),
            if id.applied { "Apply" } else { "Update" }.into(),
        );
        if !id.subresource.is_empty() {
            out.insert("subresource".into(), id.subresource.into());
        }
        if let Some(time) = entry.time {
            out.insert("time".into(), time.into());
        }
        Value::Object(out)
    });
    let list: Value = list.collect();
    object.set_meta("managedFields", list);
}

fn without_managers(object: &Value) -> Value {
    let mut out = object.clone();
    if out.meta().is_some() {
        out.drop_meta("managedFields");
    }
    out
}

impl FieldManager<'_> {
    fn id(&self, applied: bool) -> Id {
        Id {
            manager: self.manager.to_owned(),
            applied,
            api_version: if applied {
                String::new()
            } else {
                self.api_version.to_owned()
            },
            subresource: self.subresource.name().to_owned(),
        }
    }

    fn ignore(&self, set: &mut FieldSet) {
        match self.subresource {
            Subresource::Main { status_apart: true } => set.remove_path(&["status"]),
            Subresource::Status => set.remove_path(&["spec"]),
            _ => {}
        }
    }

    /// Records a create or an update in `new`. `old` is the object before, none on create, which is compared with
    /// `zero`.
    pub(crate) fn update(
        &self,
        old: Option<&Value>,
        zero: Option<&Value>,
        new: &mut Value,
        schema: Option<&Schema>,
    ) {
        let from_old = || old.and_then(decode).unwrap_or_default();
        let managers = match self.subresource {
            Subresource::Main { .. } if is_reset(new) => Managers::new(),
            Subresource::Main { .. } => decode(new).filter(|all| !all.is_empty()).unwrap_or_else(from_old),
            _ => from_old(),
        };
        if new.meta().is_some() {
            new.drop_meta("managedFields");
        }
        if managers.is_empty() && old.is_some() {
            encode(new, managers);
            return;
        }
        let live = old
            .map(without_managers)
            .or_else(|| zero.cloned())
            .unwrap_or_else(|| Value::Object(Map::new()));
        let managers = self.updated(managers, &live, new, schema, &self.id(false));
        encode(new, managers);
    }

    fn updated(
        &self,
        managers: Managers,
        live: &Value,
        new: &Value,
        schema: Option<&Schema>,
        id: &Id,
    ) -> Managers {
        let mut managers = self.reconciled(managers, schema);
        let Ok(compared) = self.take_over(&mut managers, live, new, schema, None, true) else {
            return managers;
        };
        let mut taken = compared.modified.union(&compared.added);
        self.ignore(&mut taken);
        for path in STRIPPED {
            taken.unmember(path);
        }
        if !taken.is_empty() {
            let set = match managers.get(id) {
                Some(before) => taken.union(&before.set),
                None => taken,
            };
            // The scale view loses the time upstream.
            let time = (self.subresource != Subresource::Other("scale")).then(|| time_text(self.now));
            managers.insert(
                id.clone(),
                Entry {
                    set,
                    api_version: self.api_version.to_owned(),
                    time,
                },
            );
        }
        cap(&mut managers);
        managers
    }

    /// Sets of versions that are no longer served are dropped; what the schema made atomic is owned as a whole.
    fn reconciled(&self, managers: Managers, schema: Option<&Schema>) -> Managers {
        managers
            .into_iter()
            .filter_map(|(id, mut entry)| {
                if entry.api_version == self.api_version {
                    entry.set = entry.set.reconciled(schema);
                } else {
                    let other = (self.schema_of)(&entry.api_version)?;
                    entry.set = entry.set.reconciled(Some(&other));
                }
                Some((id, entry))
            })
            .collect()
    }

    /// Takes what changed from every other manager. Without `force` a change of another's field is a conflict.
    fn take_over(
        &self,
        managers: &mut Managers,
        live: &Value,
        new: &Value,
        schema: Option<&Schema>,
        own: Option<&Id>,
        force: bool,
    ) -> Result<Comparison, Vec<(Id, String, FieldSet)>> {
        let mut compared = typed::compare(live, new, schema);
        compared.each(|set| self.ignore(set));
        let mut conflicts = Vec::new();
        let mut result = managers.clone();
        for (id, entry) in managers.iter() {
            if Some(id) == own {
                continue;
            }
            let other;
            let seen = if entry.api_version == self.api_version {
                &compared
            } else {
                let Some(schema) = (self.schema_of)(&entry.api_version) else {
                    continue;
                };
                let mut at_version = typed::compare(live, new, Some(&schema));
                at_version.each(|set| self.ignore(set));
                other = at_version;
                &other
            };
            let conflict = entry.set.intersection(&seen.modified.union(&seen.added));
            let mut kept = entry.set.difference(&seen.removed);
            if !conflict.is_empty() {
                kept = kept.difference(&conflict);
                conflicts.push((id.clone(), entry.api_version.clone(), conflict));
            }
            if kept.is_empty() {
                result.remove(id);
            } else if let Some(entry) = result.get_mut(id) {
                entry.set = kept;
            }
        }
        if !force && !conflicts.is_empty() {
            return Err(conflicts);
        }
        result.retain(|_, entry| !entry.set.is_empty());
        *managers = result;
        Ok(compared)
    }

    /// Server-side apply of `config` to `live`.
    ///
    /// # Errors
    /// 409 with every conflict; 500 for a configuration that does not fit the schema.
    pub(crate) fn apply(
        &self,
        live: &Value,
        config: &Value,
        schema: Option<&Schema>,
        force: bool,
        kind: &str,
    ) -> Result<Applied, Status> {
        let mut managers = decode(live).unwrap_or_default();
        let live = without_managers(live);
        let config = without_managers(config);
        if managers.is_empty() && !live.meta_str("uid").is_empty() {
            let id = Id {
                manager: BEFORE_FIRST_APPLY.to_owned(),
                ..self.id(false)
            };
            managers = self.updated(managers, &Value::Object(Map::new()), &live, schema, &id);
        }
        let mut faults = Vec::new();
        typed::faults(&config, schema, "", &mut faults);
        if !faults.is_empty() {
            let (group, version) = self
                .api_version
                .split_once('/')
                .map_or(("", self.api_version), |(g, v)| (g, v));
            let gvk = if group.is_empty() {
                format!("/{version}")
            } else {
                format!("{group}/{version}")
            };
            let text = match faults.as_slice() {
                [one] => one.clone(),
                many => format!(
                    "errors:\n{}",
                    many.iter()
                        .map(|one| format!("  {one}"))
                        .collect::<Vec<_>>()
                        .join("\n")
                ),
            };
            return Err(Status::unclassified(format!(
                "failed to create typed patch object ({}/{}; {gvk}, Kind={kind}): {text}",
                config.meta_str("namespace"),
                config.name(),
            )));
        }
        let mut managers = self.reconciled(managers, schema);
        let id = self.id(true);
        let mut merged = typed::merge(&live, &config, schema);
        let last = managers.get(&id).cloned();
        let mut set = typed::to_set(&config, schema);
        self.ignore(&mut set);
        for path in STRIPPED {
            set.unmember(path);
        }
        managers.insert(
            id.clone(),
            Entry {
                set,
                api_version: self.api_version.to_owned(),
                time: None,
            },
        );
        if let Some(last) = &last
            && !last.set.is_empty()
        {
            merged = self.pruned(&merged, &managers, last, schema);
        }
        self.take_over(&mut managers, &live, &merged, schema, Some(&id), force)
            .map_err(|all| conflict_status(&all))?;
        let changed = merged != live;
        if let Some(entry) = managers.get_mut(&id) {
            entry.time = match last {
                _ if changed => Some(time_text(self.now)),
                // Upstream writes no time then; an entry that has one keeps it.
                Some(last) => last.time,
                None => None,
            };
        }
        encode(&mut merged, managers);
        Ok(Applied { object: merged })
    }

    /// Removes what the manager applied last time, does not apply now, and no other applier wants.
    fn pruned(&self, merged: &Value, managers: &Managers, last: &Entry, schema: Option<&Schema>) -> Value {
        let version = &last.api_version;
        let last_schema;
        let at_last = if version == self.api_version {
            schema
        } else {
            last_schema = (self.schema_of)(version);
            match &last_schema {
                Some(schema) => Some(&**schema),
                None => return merged.clone(),
            }
        };
        let last_set = last.set.with_named_fields(at_last);
        let mut pruned = typed::remove(merged, &last_set, at_last);
        let mut wanted: BTreeMap<&str, FieldSet> = BTreeMap::new();
        for (id, entry) in managers {
            if id.applied {
                let set = wanted.entry(&entry.api_version).or_default();
                *set = set.union(&entry.set);
            }
        }
        let first = wanted.remove_entry(version.as_str());
        for (version, wanted) in first.into_iter().chain(wanted) {
            let own;
            let schema = if version == self.api_version {
                schema
            } else {
                own = (self.schema_of)(version);
                match &own {
                    Some(schema) => Some(&**schema),
                    None => continue,
                }
            };
            let all = typed::to_set(merged, schema).with_named_fields(schema);
            let kept = typed::to_set(&pruned, schema).with_named_fields(schema);
            let gone = all.difference(&kept.union(&wanted.with_named_fields(schema)));
            pruned = typed::remove(merged, &gone, schema);
        }
        // What lies below a removed item goes only if the manager had it.
        let all = typed::to_set(merged, at_last).with_named_fields(at_last);
        let kept = typed::to_set(&pruned, at_last).with_named_fields(at_last);
        typed::remove(merged, &all.difference(&kept).intersection(&last_set), at_last)
    }
}

fn cap(managers: &mut Managers) {
    let mut updaters: Vec<(Option<String>, Id)> = managers
        .iter()
        .filter(|(id, _)| !id.applied)
        .map(|(id, entry)| (entry.time.clone(), id.clone()))
        .collect();
    if updaters.len() <= UPDATERS_MAX {
        return;
    }
    updaters.sort();
    let mut left = updaters.len();
    for (_, id) in updaters {
        if left <= UPDATERS_MAX {
            break;
        }
        let Some(entry) = managers.remove(&id) else {
            continue;
        };
        let bucket = Id {
            manager: "ancient-changes".to_owned(),
            subresource: String::new(),
            ..id
        };
        match managers.get_mut(&bucket) {
            Some(old) => {
                old.set = old.set.union(&entry.set);
                old.time = entry.time.max(old.time.take());
                left -= 1;
            }
            None => {
                managers.insert(bucket, entry);
            }
        }
    }
}

fn conflict_status(conflicts: &[(Id, String, FieldSet)]) -> Status {
    let mut causes = Vec::new();
    let mut by_manager: Vec<(String, Vec<String>)> = Vec::new();
    let mut count = 0;
    for (id, version, set) in conflicts {
        let mut with = quote(&id.manager);
        if !id.subresource.is_empty() {
            with += &format!(" with subresource {}", quote(&id.subresource));
        }
        if !id.applied {
            with += &format!(" using {version}");
        }
        let paths = set.paths();
        count += paths.len();
        for path in &paths {
            causes.push(Cause {
                reason: "FieldManagerConflict".to_owned(),
                message: format!("conflict with {with}"),
                field: path.clone(),
            });
        }
        by_manager.push((with, paths));
    }
    by_manager.sort();
    let mut message = format!(
        "Apply failed with {count} conflict{}: ",
        if count == 1 { "" } else { "s" }
    );
    let parts: Vec<String> = by_manager
        .iter()
        .map(|(with, paths)| match paths.as_slice() {
            [one] => format!("conflict with {with}: {one}"),
            many => format!("conflicts with {with}:\n- {}", many.join("\n- ")),
        })
        .collect();
    message += &parts.join("\n");
    Status {
        code: 409,
        reason: "Conflict",
        message,
        details: Some(Box::new(Details {
            causes,
            ..Details::default()
        })),
    }
}
