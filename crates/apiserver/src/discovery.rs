//! What is served, as clients ask for it: `/api`, `/apis`, one group, one version, plain or aggregated.

use serde_json::{Map, Value, json};

use crate::{
    media::{self, Accepted, Encoding},
    registry::{Registry, Resource, join_version},
    reply::{self, Reply},
    status::Status,
};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const ACCEPTED: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

const STATUS_VERBS: [&str; 3] = ["get", "patch", "update"];

/// Whether the client wants the aggregated form; 406 if it wants only one that is not served.
fn wants_aggregated(accept: &str) -> Result<Option<Accepted>, Status> {
    let clauses = media::clauses(accept);
    for clause in &clauses {
        match (clause.media.as_str(), clause.param("as")) {
            ("application/json", "APIGroupDiscoveryList")
                if clause.param("g") == "apidiscovery.k8s.io" && clause.param("v") == "v2" =>
            {
                let content_type = AGGREGATED.to_owned();
                return Ok(Some(Accepted {
                    encoding: Encoding::Json,
                    shape: media::Shape::Object,
                    content_type,
                }));
            }
            ("application/json" | "application/yaml" | "*/*" | "application/*", "") => return Ok(None),
            _ => {}
        }
    }
    if clauses.is_empty() {
        Ok(None)
    } else {
        Err(Status::not_acceptable(ACCEPTED))
    }
}

fn plain(accept: &str, value: &Value) -> Result<Reply, Status> {
    let accepted = media::negotiate(accept, false)?;
    Ok(reply::tree(200, &accepted, value))
}

/// `/api`
pub(crate) fn core_versions(registry: &Registry, accept: &str, host: &str) -> Result<Reply, Status> {
    if let Some(accepted) = wants_aggregated(accept)? {
        return Ok(reply::tree(200, &accepted, &aggregated(registry, &[""])));
    }
    plain(
        accept,
        &json!({
            "kind": "APIVersions",
            "versions": registry.versions(""),
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": host}],
        }),
    )
}

fn group_value(registry: &Registry, group: &str) -> Value {
    let versions: Vec<Value> = registry
        .versions(group)
        .iter()
        .map(|version| json!({"groupVersion": join_version(group, version), "version": version}))
        .collect();
    let preferred = versions.first().cloned().unwrap_or_default();
    json!({"name": group, "versions": versions, "preferredVersion": preferred})
}

/// Groups in upstream's order: its own by priority, then the others by name.
fn ordered_groups(registry: &Registry) -> Vec<&str> {
    const FIRST: [&str; 20] = [
        "apiregistration.k8s.io",
        "apps",
        "events.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "networking.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "storage.k8s.io",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "scheduling.k8s.io",
        "coordination.k8s.io",
        "node.k8s.io",
        "discovery.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "",
    ];
    let mut all: Vec<&str> = registry.groups().collect();
    all.sort_by_key(|group| {
        (
            FIRST.iter().position(|one| one == group).unwrap_or(FIRST.len()),
            *group,
        )
    });
    all
}

/// `/apis`
pub(crate) fn groups(registry: &Registry, accept: &str) -> Result<Reply, Status> {
    if let Some(accepted) = wants_aggregated(accept)? {
        return Ok(reply::tree(
            200,
            &accepted,
            &aggregated(registry, &ordered_groups(registry)),
        ));
    }
    let groups: Vec<Value> = ordered_groups(registry)
        .iter()
        .map(|group| group_value(registry, group))
        .collect();
    plain(
        accept,
        &json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}),
    )
}

/// `/apis/G`
pub(crate) fn group(registry: &Registry, group: &str, accept: &str) -> Result<Option<Reply>, Status> {
    if registry.versions(group).is_empty() {
        return Ok(None);
    }
    let mut out = Map::new();
    out.insert("kind".into(), "APIGroup".into());
    out.insert("apiVersion".into(), "v1".into());
    if let Value::Object(map) = group_value(registry, group) {
        out.extend(map);
    }
    plain(accept, &Value::Object(out)).map(Some)
}

/// `/apis/G/V` and `/api/V`
pub(crate) fn group_version(
    registry: &Registry,
    group: &str,
    version: &str,
    accept: &str,
) -> Result<Option<Reply>, Status> {
    let resources = registry.resources(group, version);
    if resources.is_empty() {
        return Ok(None);
    }
    let mut entries = Vec::new();
    for resource in resources {
        entries.push(resource_value(resource));
        for sub in subresources(resource) {
            let mut entry = Map::new();
            entry.insert("name".into(), format!("{}/{}", resource.plural, sub.name).into());
            entry.insert("singularName".into(), "".into());
            entry.insert("namespaced".into(), resource.namespaced.into());
            if (sub.group, sub.version) != (resource.group.as_str(), resource.version.as_str()) {
                entry.insert("group".into(), sub.group.into());
                entry.insert("version".into(), sub.version.into());
            }
            entry.insert("kind".into(), sub.kind.into());
            entry.insert("verbs".into(), sub.verbs.to_vec().into());
            entries.push(Value::Object(entry));
        }
    }
    let mut out = Map::new();
    out.insert("kind".into(), "APIResourceList".into());
    if !group.is_empty() {
        out.insert("apiVersion".into(), "v1".into());
    }
    out.insert("groupVersion".into(), join_version(group, version).into());
    out.insert("resources".into(), entries.into());
    plain(accept, &Value::Object(out)).map(Some)
}

struct Sub<'a> {
    name: &'static str,
    group: &'a str,
    version: &'a str,
    kind: &'a str,
    verbs: &'static [&'static str],
}

fn subresources(resource: &Resource) -> Vec<Sub<'_>> {
    let mut out = Vec::new();
    if resource.status {
        out.push(Sub {
            name: "status",
            group: &resource.group,
            version: &resource.version,
            kind: &resource.kind,
            verbs: &STATUS_VERBS,
        });
    }
    if resource.scale.is_some() {
        out.push(Sub {
            name: "scale",
            group: "autoscaling",
            version: "v1",
            kind: "Scale",
            verbs: &STATUS_VERBS,
        });
    }
    out
}

fn names(resource: &Resource, out: &mut Map<String, Value>) {
    if !resource.short_names.is_empty() {
        out.insert("shortNames".into(), resource.short_names.clone().into());
    }
    if !resource.categories.is_empty() {
        out.insert("categories".into(), resource.categories.clone().into());
    }
}

fn resource_value(resource: &Resource) -> Value {
    let mut out = Map::new();
    out.insert("name".into(), resource.plural.clone().into());
    out.insert("singularName".into(), resource.singular.clone().into());
    out.insert("namespaced".into(), resource.namespaced.into());
    out.insert("kind".into(), resource.kind.clone().into());
    out.insert("verbs".into(), resource.verbs.clone().into());
    names(resource, &mut out);
    if !resource.storage_hash.is_empty() {
        out.insert("storageVersionHash".into(), resource.storage_hash.clone().into());
    }
    Value::Object(out)
}

fn aggregated(registry: &Registry, groups: &[&str]) -> Value {
    let items: Vec<Value> = groups
        .iter()
        .map(|group| {
            let versions: Vec<Value> = registry
                .versions(group)
                .iter()
                .map(|version| {
                    let resources: Vec<Value> = registry
                        .resources(group, version)
                        .iter()
                        .map(|one| aggregated_resource(one))
                        .collect();
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            let metadata = if group.is_empty() {
                json!({"creationTimestamp": null})
            } else {
                json!({"name": group, "creationTimestamp": null})
            };
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn aggregated_resource(resource: &Resource) -> Value {
    let mut out = Map::new();
    out.insert("resource".into(), resource.plural.clone().into());
    let kind =
        |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    out.insert(
        "responseKind".into(),
        kind(&resource.group, &resource.version, &resource.kind),
    );
    out.insert(
        "scope".into(),
        if resource.namespaced {
            "Namespaced"
        } else {
            "Cluster"
        }
        .into(),
    );
    out.insert("singularResource".into(), resource.singular.clone().into());
    out.insert("verbs".into(), resource.verbs.clone().into());
    names(resource, &mut out);
    let subs: Vec<Value> = subresources(resource)
        .iter()
        .map(|sub| {
            json!({"subresource": sub.name, "responseKind": kind(sub.group, sub.version, sub.kind), "verbs": sub.verbs})
        })
        .collect();
    if !subs.is_empty() {
        out.insert("subresources".into(), subs.into());
    }
    Value::Object(out)
}
