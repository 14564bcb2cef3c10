//! Which resources are served, and the facts that the request path needs of each.
//!
//! A [`Registry`] is immutable; a change of a CRD makes a new one. Requests that are under way keep theirs.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;
use tokio::sync::watch;

use crate::{names::NameRule, schema::Schema, status::GroupResource, table::Column};

/// Verbs in the order in which upstream lists those of custom resources.
pub(crate) const CUSTOM_VERBS: [&str; 8] = [
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "create",
    "update",
    "watch",
];

/// What makes a kind's writes special.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Served by this crate's own tables.
    BuiltIn,
    /// The kind that defines kinds.
    Definition,
    /// Defined by a CRD.
    Custom,
}

/// `spec.versions[].subresources.scale`.
#[derive(Debug, Clone, Default)]
pub(crate) struct ScalePaths {
    pub(crate) spec: Vec<String>,
    pub(crate) status: Vec<String>,
    pub(crate) selector: Option<Vec<String>>,
    /// The group and version of the Scale that is served.
    pub(crate) api_version: &'static str,
}

/// One resource in one version.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    pub(crate) verbs: Vec<&'static str>,
    pub(crate) origin: Origin,
    /// The version that the store holds.
    pub(crate) storage_version: String,
    pub(crate) collection: Arc<str>,
    /// Changes whenever stored bytes would read differently.
    pub(crate) encoding: u64,
    /// For pruning, defaults and validation; none for kinds whose fields are not known.
    pub(crate) schema: Option<Arc<Schema>>,
    /// The schema with type and metadata, for comparing and applying.
    pub(crate) apply_schema: Option<Arc<Schema>>,
    /// The schema as its author wrote it, for OpenAPI.
    pub(crate) schema_json: Option<Arc<Value>>,
    pub(crate) status: bool,
    pub(crate) scale: Option<ScalePaths>,
    pub(crate) columns: Vec<Column>,
    /// Field selectors beside name and namespace, as paths (`spec.color`).
    pub(crate) selectable: Vec<String>,
    pub(crate) name_rule: NameRule,
    /// The warning that every answer carries.
    pub(crate) deprecation: Option<String>,
    /// Whether the definition is being deleted: no creates any more.
    pub(crate) terminating: bool,
    /// Strategic merge patch is for Go structs.
    pub(crate) strategic: bool,
    /// Base64 of a hash of group, resource and UID, as discovery shows it.
    pub(crate) storage_hash: String,
    /// What of the definition this was made from; the same text means the same resource.
    pub(crate) fingerprint: Arc<str>,
    /// What Go's zero value of the kind holds: a create is compared with it.
    pub(crate) zero: Option<Arc<Value>>,
    /// Becomes true when this is no longer served: watches of it end then.
    pub(crate) retired: watch::Sender<bool>,
    /// Other versions of the same kind by name, for field managers.
    pub(crate) other_versions: BTreeMap<String, Arc<Schema>>,
}

impl Resource {
    pub(crate) fn api_version(&self) -> String {
        join_version(&self.group, &self.version)
    }

    pub(crate) fn storage_api_version(&self) -> String {
        join_version(&self.group, &self.storage_version)
    }

    pub(crate) fn group_resource(&self) -> GroupResource<'_> {
        GroupResource {
            group: &self.group,
            resource: &self.plural,
        }
    }

    pub(crate) fn is_custom(&self) -> bool {
        self.origin == Origin::Custom
    }

    /// Schema for comparing trees of `api_version`; `None` if it is not one of this kind.
    pub(crate) fn schema_of(&self, api_version: &str) -> Option<Arc<Schema>> {
        if api_version == self.api_version() {
            return self.apply_schema.clone();
        }
        let version = match api_version.split_once('/') {
            Some((group, version)) if group == self.group => version,
            None if self.group.is_empty() => api_version,
            _ => return None,
        };
        self.other_versions.get(version).cloned()
    }
}

/// `group/version`, or `version` for the core group.
pub(crate) fn join_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}

/// All that is served at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registry {
    /// Group to version to plural.
    groups: BTreeMap<String, BTreeMap<String, BTreeMap<String, Arc<Resource>>>>,
}

impl Registry {
    pub(crate) fn insert(&mut self, resource: Arc<Resource>) {
        self.groups
            .entry(resource.group.clone())
            .or_default()
            .entry(resource.version.clone())
            .or_default()
            .insert(resource.plural.clone(), resource);
    }

    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.groups.get(group)?.get(version)?.get(plural)
    }

    /// Groups with a name, sorted.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups
            .keys()
            .map(String::as_str)
            .filter(|group| !group.is_empty())
    }

    /// Versions of a group, the preferred one first.
    pub(crate) fn versions(&self, group: &str) -> Vec<&str> {
        let mut out: Vec<&str> = self
            .groups
            .get(group)
            .into_iter()
            .flatten()
            .map(|(version, _)| version.as_str())
            .collect();
        out.sort_by(|a, b| compare_versions(b, a));
        out
    }

    /// Resources of a group and version, by plural.
    pub(crate) fn resources(&self, group: &str, version: &str) -> Vec<&Arc<Resource>> {
        self.groups
            .get(group)
            .and_then(|versions| versions.get(version))
            .into_iter()
            .flatten()
            .map(|(_, r)| r)
            .collect()
    }

    /// Everything.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.groups
            .values()
            .flat_map(|versions| versions.values().flat_map(|resources| resources.values()))
    }
}

/// Upstream's order: `v10` > `v2` > `v11beta2` > `v1alpha1` > anything else by name, reversed.
pub(crate) fn compare_versions(a: &str, b: &str) -> std::cmp::Ordering {
    match (parse_version(a), parse_version(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(_), None) => std::cmp::Ordering::Greater,
        (None, Some(_)) => std::cmp::Ordering::Less,
        (None, None) => b.cmp(a),
    }
}

fn parse_version(text: &str) -> Option<(u8, u32, u32)> {
    let rest = text.strip_prefix('v')?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let major: u32 = rest[..digits].parse().ok().filter(|_| !rest.starts_with('0'))?;
    let rest = &rest[digits..];
    if rest.is_empty() {
        return Some((2, major, 0));
    }
    let (level, minor) = match (rest.strip_prefix("beta"), rest.strip_prefix("alpha")) {
        (Some(minor), _) => (1, minor),
        (_, Some(minor)) => (0, minor),
        _ => return None,
    };
    minor
        .parse()
        .ok()
        .filter(|_| !minor.starts_with('0'))
        .map(|minor| (level, major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_upstream_does() {
        let mut all = vec![
            "foo1",
            "v1alpha1",
            "v2",
            "v11beta2",
            "v10",
            "v1",
            "foo10",
            "v3beta1",
            "v12alpha1",
            "v2beta1",
        ];
        all.sort_by(|a, b| compare_versions(b, a));
        assert_eq!(
            all,
            [
                "v10",
                "v2",
                "v1",
                "v11beta2",
                "v3beta1",
                "v2beta1",
                "v12alpha1",
                "v1alpha1",
                "foo1",
                "foo10"
            ]
        );
    }
}
