//! The table of Kubernetes 1.33's v1 kinds: names, scope, subresources, whether they count generations.
//!
//! Source of each line: `pkg/registry/*/rest` and the printed discovery of upstream 1.33.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::{columns::columns, schemas};
use crate::{
    crd::storage_hash,
    names::NameRule,
    registry::{Origin, Resource, ScalePaths},
};

const VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// `group version Kind plural short,names categories flags`; `-` for none. Flags: `n` namespaced, `s` status
/// subresource, `c` scale, `g` generation, `p` has spec and status of their own, `l` label names, `r` path-segment
/// names, `d` RFC 1035 names.
const KINDS: &str = "
- v1 ConfigMap configmaps cm - n
- v1 Endpoints endpoints ep - n
- v1 Event events ev - n
- v1 LimitRange limitranges limits - np
- v1 Namespace namespaces ns - spl
- v1 Node nodes no - sp
- v1 PersistentVolume persistentvolumes pv - sp
- v1 PersistentVolumeClaim persistentvolumeclaims pvc - nsp
- v1 Pod pods po all nsp
- v1 PodTemplate podtemplates - - n
- v1 ReplicationController replicationcontrollers rc all nscgp
- v1 ResourceQuota resourcequotas quota - nsp
- v1 Secret secrets - - n
- v1 Service services svc all nspd
- v1 ServiceAccount serviceaccounts sa - n
apps v1 ControllerRevision controllerrevisions - - n
apps v1 DaemonSet daemonsets ds all nsgp
apps v1 Deployment deployments deploy all nscgp
apps v1 ReplicaSet replicasets rs all nscgp
apps v1 StatefulSet statefulsets sts all nscgp
batch v1 CronJob cronjobs cj all nsgp
batch v1 Job jobs - all nsgp
autoscaling v2 HorizontalPodAutoscaler horizontalpodautoscalers hpa all nsp
networking.k8s.io v1 Ingress ingresses ing - nsgp
networking.k8s.io v1 IngressClass ingressclasses - - gp
networking.k8s.io v1 NetworkPolicy networkpolicies netpol - ngp
networking.k8s.io v1 IPAddress ipaddresses ip - p
networking.k8s.io v1 ServiceCIDR servicecidrs - - sp
policy v1 PodDisruptionBudget poddisruptionbudgets pdb - nsgp
rbac.authorization.k8s.io v1 ClusterRole clusterroles - - r
rbac.authorization.k8s.io v1 ClusterRoleBinding clusterrolebindings - - r
rbac.authorization.k8s.io v1 Role roles - - nr
rbac.authorization.k8s.io v1 RoleBinding rolebindings - - nr
storage.k8s.io v1 CSIDriver csidrivers - - p
storage.k8s.io v1 CSINode csinodes - - p
storage.k8s.io v1 CSIStorageCapacity csistoragecapacities - - n
storage.k8s.io v1 StorageClass storageclasses sc - -
storage.k8s.io v1 VolumeAttachment volumeattachments - - sp
scheduling.k8s.io v1 PriorityClass priorityclasses pc - -
coordination.k8s.io v1 Lease leases - - np
discovery.k8s.io v1 EndpointSlice endpointslices - - n
events.k8s.io v1 Event events ev - n
admissionregistration.k8s.io v1 MutatingWebhookConfiguration mutatingwebhookconfigurations - api-extensions g
admissionregistration.k8s.io v1 ValidatingAdmissionPolicy validatingadmissionpolicies - api-extensions sgp
admissionregistration.k8s.io v1 ValidatingAdmissionPolicyBinding validatingadmissionpolicybindings - api-extensions p
admissionregistration.k8s.io v1 ValidatingWebhookConfiguration validatingwebhookconfigurations - api-extensions g
apiregistration.k8s.io v1 APIService apiservices - api-extensions sp
certificates.k8s.io v1 CertificateSigningRequest certificatesigningrequests csr - sp
node.k8s.io v1 RuntimeClass runtimeclasses - - -
flowcontrol.apiserver.k8s.io v1 FlowSchema flowschemas - - sgp
flowcontrol.apiserver.k8s.io v1 PriorityLevelConfiguration prioritylevelconfigurations - - sgp
";

fn selectable(group: &str, plural: &str) -> Vec<String> {
    let fields: &[&str] = match (group, plural) {
        ("", "pods") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        ("", "events") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("", "namespaces") => &["status.phase"],
        ("", "nodes") => &["spec.unschedulable"],
        ("", "secrets") => &["type"],
        ("", "services") => &["spec.clusterIP", "spec.type"],
        ("", "replicationcontrollers") | ("apps", "replicasets") => &["status.replicas"],
        ("batch", "jobs") => &["status.successful"],
        ("certificates.k8s.io", _) => &["spec.signerName"],
        _ => &[],
    };
    fields.iter().map(|field| (*field).to_owned()).collect()
}

/// What Go's zero value of a kind holds that is not omitted.
fn zero(flags: &str, plural: &str) -> Option<Value> {
    if !flags.contains('p') {
        return None;
    }
    let template = json!({"metadata": {}, "spec": {}});
    Some(match plural {
        "deployments" => json!({"spec": {"template": template, "strategy": {}}, "status": {}}),
        "replicasets" | "jobs" => json!({"spec": {"template": template}, "status": {}}),
        "daemonsets" | "statefulsets" => {
            json!({"spec": {"template": template, "updateStrategy": {}}, "status": {}})
        }
        "cronjobs" => {
            json!({"spec": {"jobTemplate": {"metadata": {}, "spec": {"template": template}}}, "status": {}})
        }
        "persistentvolumeclaims" => json!({"spec": {"resources": {}}, "status": {}}),
        "services" => json!({"spec": {}, "status": {"loadBalancer": {}}}),
        _ => json!({"spec": {}, "status": {}}),
    })
}

/// Every built-in resource.
pub(crate) fn resources(new_encoding: &mut dyn FnMut() -> u64) -> Vec<Arc<Resource>> {
    let mut out: Vec<Arc<Resource>> = Vec::new();
    for line in KINDS.lines().filter(|line| !line.is_empty()) {
        let mut words = line.split(' ');
        let mut word = || words.next().filter(|word| *word != "-").unwrap_or("");
        let (group, version, kind, plural) = (word(), word(), word(), word());
        let list = |text: &str| {
            text.split(',')
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let (short_names, categories, flags) = (list(word()), list(word()), word());
        let has = |flag: char| flags.contains(flag);
        let schema = schemas::schema(group, version, kind);
        out.push(Arc::new(Resource {
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
            list_kind: format!("{kind}List"),
            plural: plural.into(),
            singular: kind.to_lowercase(),
            short_names,
            categories,
            namespaced: has('n'),
            verbs: VERBS.to_vec(),
            origin: Origin::BuiltIn,
            storage_version: version.into(),
            // Both groups of events show the same objects.
            collection: if plural == "events" {
                "/events".into()
            } else {
                format!("{group}/{plural}").into()
            },
            encoding: new_encoding(),
            schema: schema.as_ref().map(|schema| schema.body.clone()),
            apply_schema: schema.map(|schema| schema.whole),
            schema_json: None,
            status: has('s'),
            scale: has('c').then(|| ScalePaths {
                spec: vec!["spec".into(), "replicas".into()],
                status: vec!["status".into(), "replicas".into()],
                selector: Some(vec!["spec".into(), "selector".into()]),
                api_version: "autoscaling/v1",
            }),
            columns: columns(group, plural),
            selectable: selectable(group, plural),
            name_rule: match () {
                () if has('l') => NameRule::Label,
                () if has('r') => NameRule::PathSegment,
                () if has('d') => NameRule::Label1035,
                () => NameRule::Subdomain,
            },
            deprecation: None,
            terminating: false,
            strategic: true,
            storage_hash: storage_hash(group, version, kind),
            fingerprint: "".into(),
            retired: tokio::sync::watch::Sender::new(false),
            zero: zero(flags, plural).map(Arc::new),
            other_versions: BTreeMap::new(),
        }));
    }
    out
}

/// Whether a kind counts generations.
pub(super) fn counts_generations(resource: &Resource) -> bool {
    KINDS.lines().any(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        matches!(words.as_slice(), [group, _, _, plural, _, _, flags]
            if *plural == resource.plural && (*group == resource.group || *group == "-" && resource.group.is_empty()) && flags.contains('g'))
    })
}
