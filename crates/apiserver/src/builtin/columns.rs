//! Table columns of built-in kinds: upstream's `pkg/printers/internalversion`.

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    meta::Meta,
    table::{Column, human_duration},
};

type Code = fn(&Value, Timestamp) -> Value;

fn text(value: &Value) -> Value {
    value
        .as_str()
        .filter(|text| !text.is_empty())
        .unwrap_or("<none>")
        .into()
}

fn count(value: &Value) -> i64 {
    match value {
        Value::Array(items) => i64::try_from(items.len()).unwrap_or(i64::MAX),
        Value::Object(map) => i64::try_from(map.len()).unwrap_or(i64::MAX),
        other => other.as_i64().unwrap_or(0),
    }
}

fn age(object: &Value, now: Timestamp) -> Value {
    match object.meta_str("creationTimestamp").parse() {
        Ok(then) => human_duration(now, then).into(),
        Err(_) => "<unknown>".into(),
    }
}

fn since(value: &Value, now: Timestamp) -> Value {
    match value.as_str().map(str::parse::<Timestamp>) {
        Some(Ok(then)) => human_duration(now, then).into(),
        _ => "<none>".into(),
    }
}

fn labels(value: &Value) -> String {
    let pairs = value.as_object().into_iter().flatten();
    let all: Vec<String> = pairs
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or("")))
        .collect();
    if all.is_empty() {
        "<none>".to_owned()
    } else {
        all.join(",")
    }
}

fn of_containers(object: &Value, key: &str) -> Value {
    let spec = if object["spec"]["template"].is_object() {
        &object["spec"]["template"]["spec"]
    } else {
        &object["spec"]
    };
    let all: Vec<&str> = spec["containers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one[key].as_str())
        .collect();
    all.join(",").into()
}

fn condition(object: &Value, kind: &str) -> bool {
    object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|one| one["type"] == kind && one["status"] == "True")
}

fn pod_status(pod: &Value, _: Timestamp) -> Value {
    let mut status = pod["status"]["reason"]
        .as_str()
        .or(pod["status"]["phase"].as_str())
        .unwrap_or("")
        .to_owned();
    for one in pod["status"]["containerStatuses"]
        .as_array()
        .into_iter()
        .flatten()
    {
        for state in ["waiting", "terminated"] {
            if let Some(reason) = one["state"][state]["reason"].as_str() {
                status = reason.to_owned();
            }
        }
    }
    if pod["metadata"].get("deletionTimestamp").is_some() {
        status = "Terminating".to_owned();
    }
    status.into()
}

fn pod_ready(pod: &Value, _: Timestamp) -> Value {
    let statuses = pod["status"]["containerStatuses"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let ready = statuses.iter().filter(|one| one["ready"] == true).count();
    format!("{ready}/{}", count(&pod["spec"]["containers"])).into()
}

fn pod_restarts(pod: &Value, _: Timestamp) -> Value {
    let all = pod["status"]["containerStatuses"]
        .as_array()
        .into_iter()
        .flatten();
    let sum: i64 = all.map(|one| count(&one["restartCount"])).sum();
    sum.to_string().into()
}

fn node_status(node: &Value, _: Timestamp) -> Value {
    let mut out = if condition(node, "Ready") {
        "Ready".to_owned()
    } else {
        "NotReady".to_owned()
    };
    if node["spec"]["unschedulable"] == true {
        out += ",SchedulingDisabled";
    }
    out.into()
}

fn node_roles(node: &Value, _: Timestamp) -> Value {
    let labels = node["metadata"]["labels"].as_object().into_iter().flatten();
    let all: Vec<&str> = labels
        .filter_map(|(key, _)| key.strip_prefix("node-role.kubernetes.io/"))
        .collect();
    if all.is_empty() {
        "<none>".into()
    } else {
        all.join(",").into()
    }
}

fn service_ports(service: &Value, _: Timestamp) -> Value {
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    let all: Vec<String> = ports
        .map(|port| {
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            match count(&port["nodePort"]) {
                0 => format!("{}/{protocol}", count(&port["port"])),
                node => format!("{}:{node}/{protocol}", count(&port["port"])),
            }
        })
        .collect();
    if all.is_empty() {
        "<none>".into()
    } else {
        all.join(",").into()
    }
}

/// The columns after the name.
fn own(group: &str, plural: &str) -> Vec<(&'static str, &'static str, i64, Code)> {
    match (group, plural) {
        ("", "pods") => vec![
            ("Ready", "string", 0, pod_ready),
            ("Status", "string", 0, pod_status),
            ("Restarts", "string", 0, pod_restarts),
            ("Age", "string", 0, age),
            ("IP", "string", 1, |o, _| text(&o["status"]["podIP"])),
            ("Node", "string", 1, |o, _| text(&o["spec"]["nodeName"])),
            ("Nominated Node", "string", 1, |o, _| {
                text(&o["status"]["nominatedNodeName"])
            }),
            ("Readiness Gates", "string", 1, |_, _| "<none>".into()),
        ],
        ("", "namespaces") => vec![
            ("Status", "string", 0, |o, _| o["status"]["phase"].clone()),
            ("Age", "string", 0, age),
        ],
        ("", "configmaps") => vec![
            ("Data", "integer", 0, |o, _| {
                (count(&o["data"]) + count(&o["binaryData"])).into()
            }),
            ("Age", "string", 0, age),
        ],
        ("", "secrets") => vec![
            ("Type", "string", 0, |o, _| o["type"].clone()),
            ("Data", "integer", 0, |o, _| count(&o["data"]).into()),
            ("Age", "string", 0, age),
        ],
        ("", "serviceaccounts") => vec![
            ("Secrets", "integer", 0, |o, _| count(&o["secrets"]).into()),
            ("Age", "string", 0, age),
        ],
        ("", "services") => vec![
            ("Type", "string", 0, |o, _| o["spec"]["type"].clone()),
            ("Cluster-IP", "string", 0, |o, _| text(&o["spec"]["clusterIP"])),
            ("External-IP", "string", 0, |o, _| {
                text(&o["spec"]["externalName"])
            }),
            ("Port(s)", "string", 0, service_ports),
            ("Age", "string", 0, age),
            ("Selector", "string", 1, |o, _| {
                labels(&o["spec"]["selector"]).into()
            }),
        ],
        ("", "nodes") => vec![
            ("Status", "string", 0, node_status),
            ("Roles", "string", 0, node_roles),
            ("Age", "string", 0, age),
            ("Version", "string", 0, |o, _| {
                o["status"]["nodeInfo"]["kubeletVersion"]
                    .as_str()
                    .unwrap_or("")
                    .into()
            }),
        ],
        ("", "persistentvolumeclaims") => vec![
            ("Status", "string", 0, |o, _| {
                o["status"]["phase"].as_str().unwrap_or("").into()
            }),
            ("Volume", "string", 0, |o, _| {
                o["spec"]["volumeName"].as_str().unwrap_or("").into()
            }),
            ("Capacity", "string", 0, |o, _| {
                o["status"]["capacity"]["storage"].as_str().unwrap_or("").into()
            }),
            ("Access Modes", "string", 0, |_, _| "".into()),
            ("StorageClass", "string", 0, |o, _| {
                o["spec"]["storageClassName"].as_str().unwrap_or("").into()
            }),
            ("Age", "string", 0, age),
        ],
        ("", "events") | ("events.k8s.io", "events") => vec![
            ("Last Seen", "string", 0, |o, now| since(&o["lastTimestamp"], now)),
            ("Type", "string", 0, |o, _| {
                o["type"].as_str().unwrap_or("").into()
            }),
            ("Reason", "string", 0, |o, _| {
                o["reason"].as_str().unwrap_or("").into()
            }),
            ("Object", "string", 0, |o, _| {
                let about = &o["involvedObject"];
                let kind = about["kind"].as_str().unwrap_or("").to_lowercase();
                format!("{kind}/{}", about["name"].as_str().unwrap_or("")).into()
            }),
            ("Message", "string", 0, |o, _| {
                o["message"].as_str().unwrap_or("").trim().into()
            }),
        ],
        ("apps", "deployments") => vec![
            ("Ready", "string", 0, |o, _| {
                format!(
                    "{}/{}",
                    count(&o["status"]["readyReplicas"]),
                    count(&o["spec"]["replicas"])
                )
                .into()
            }),
            ("Up-to-date", "integer", 0, |o, _| {
                count(&o["status"]["updatedReplicas"]).into()
            }),
            ("Available", "integer", 0, |o, _| {
                count(&o["status"]["availableReplicas"]).into()
            }),
            ("Age", "string", 0, age),
            ("Containers", "string", 1, |o, _| of_containers(o, "name")),
            ("Images", "string", 1, |o, _| of_containers(o, "image")),
            ("Selector", "string", 1, |o, _| {
                labels(&o["spec"]["selector"]["matchLabels"]).into()
            }),
        ],
        ("apps", "replicasets") | ("", "replicationcontrollers") => vec![
            ("Desired", "integer", 0, |o, _| {
                count(&o["spec"]["replicas"]).into()
            }),
            ("Current", "integer", 0, |o, _| {
                count(&o["status"]["replicas"]).into()
            }),
            ("Ready", "integer", 0, |o, _| {
                count(&o["status"]["readyReplicas"]).into()
            }),
            ("Age", "string", 0, age),
        ],
        ("apps", "statefulsets") => vec![
            ("Ready", "string", 0, |o, _| {
                format!(
                    "{}/{}",
                    count(&o["status"]["readyReplicas"]),
                    count(&o["spec"]["replicas"])
                )
                .into()
            }),
            ("Age", "string", 0, age),
        ],
        ("apps", "daemonsets") => vec![
            ("Desired", "integer", 0, |o, _| {
                count(&o["status"]["desiredNumberScheduled"]).into()
            }),
            ("Current", "integer", 0, |o, _| {
                count(&o["status"]["currentNumberScheduled"]).into()
            }),
            ("Ready", "integer", 0, |o, _| {
                count(&o["status"]["numberReady"]).into()
            }),
            ("Up-to-date", "integer", 0, |o, _| {
                count(&o["status"]["updatedNumberScheduled"]).into()
            }),
            ("Available", "integer", 0, |o, _| {
                count(&o["status"]["numberAvailable"]).into()
            }),
            ("Node Selector", "string", 0, |o, _| {
                labels(&o["spec"]["template"]["spec"]["nodeSelector"]).into()
            }),
            ("Age", "string", 0, age),
        ],
        ("batch", "jobs") => vec![
            ("Status", "string", 0, |o, _| {
                match (condition(o, "Complete"), condition(o, "Failed")) {
                    (true, _) => "Complete".into(),
                    (_, true) => "Failed".into(),
                    _ => "Running".into(),
                }
            }),
            ("Completions", "string", 0, |o, _| {
                format!(
                    "{}/{}",
                    count(&o["status"]["succeeded"]),
                    o["spec"]["completions"].as_i64().unwrap_or(1)
                )
                .into()
            }),
            ("Duration", "string", 0, |o, now| {
                since(&o["status"]["startTime"], now)
            }),
            ("Age", "string", 0, age),
        ],
        ("batch", "cronjobs") => vec![
            ("Schedule", "string", 0, |o, _| o["spec"]["schedule"].clone()),
            ("Timezone", "string", 0, |o, _| text(&o["spec"]["timeZone"])),
            ("Suspend", "string", 0, |o, _| {
                if o["spec"]["suspend"] == true {
                    "True".into()
                } else {
                    "False".into()
                }
            }),
            ("Active", "integer", 0, |o, _| {
                count(&o["status"]["active"]).into()
            }),
            ("Last Schedule", "string", 0, |o, now| {
                since(&o["status"]["lastScheduleTime"], now)
            }),
            ("Age", "string", 0, age),
        ],
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => vec![
            ("Role", "string", 0, |o, _| {
                format!(
                    "{}/{}",
                    o["roleRef"]["kind"].as_str().unwrap_or(""),
                    o["roleRef"]["name"].as_str().unwrap_or("")
                )
                .into()
            }),
            ("Age", "string", 0, age),
        ],
        ("rbac.authorization.k8s.io", _) => vec![("Created At", "date", 0, |o, _| {
            o["metadata"]["creationTimestamp"].clone()
        })],
        ("coordination.k8s.io", "leases") => {
            vec![
                ("Holder", "string", 0, |o, _| {
                    o["spec"]["holderIdentity"].as_str().unwrap_or("").into()
                }),
                ("Age", "string", 0, age),
            ]
        }
        _ => vec![("Age", "string", 0, age)],
    }
}

/// All columns of a kind.
pub(super) fn columns(group: &str, plural: &str) -> Vec<Column> {
    let own = own(group, plural)
        .into_iter()
        .map(|(name, kind, priority, code)| Column::code(name, kind, priority, code));
    std::iter::once(Column::name()).chain(own).collect()
}
