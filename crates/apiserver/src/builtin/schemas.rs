//! Schemas of built-in kinds, from the data file that the crate carries, with upstream's simple defaults.
//!
//! Read once per process: servers share them.

use std::{
    collections::HashMap,
    io::Read as _,
    sync::{Arc, LazyLock},
};

use flate2::read::GzDecoder;
use serde_json::{Map, Value, json};

use crate::{crd::metadata_schema, json as text, schema::Schema};

const DATA: &[u8] = include_bytes!("../../data/schemas-1.33.json.gz");

/// What a kind's trees look like.
#[derive(Debug, Clone)]
pub(super) struct KindSchema {
    /// For decoding: without type and metadata.
    pub(super) body: Arc<Schema>,
    /// For comparing: with both.
    pub(super) whole: Arc<Schema>,
}

/// Fields that upstream fills in wherever their parent is present: definition, field, default.
/// Source: `pkg/apis/*/v1/defaults.go`.
const DEFAULTS: &str = r#"
core.v1.ContainerPort protocol "TCP"
core.v1.ServicePort protocol "TCP"
core.v1.Container terminationMessagePath "/dev/termination-log"
core.v1.Container terminationMessagePolicy "File"
core.v1.Container resources {}
core.v1.PodSpec restartPolicy "Always"
core.v1.PodSpec dnsPolicy "ClusterFirst"
core.v1.PodSpec schedulerName "default-scheduler"
core.v1.PodSpec terminationGracePeriodSeconds 30
core.v1.PodSpec securityContext {}
core.v1.Probe timeoutSeconds 1
core.v1.Probe periodSeconds 10
core.v1.Probe successThreshold 1
core.v1.Probe failureThreshold 3
core.v1.HTTPGetAction scheme "HTTP"
core.v1.HTTPGetAction path "/"
core.v1.ConfigMapVolumeSource defaultMode 420
core.v1.SecretVolumeSource defaultMode 420
core.v1.ProjectedVolumeSource defaultMode 420
core.v1.DownwardAPIVolumeSource defaultMode 420
core.v1.ServiceAccountTokenProjection expirationSeconds 3600
core.v1.HostPathVolumeSource type ""
core.v1.ObjectFieldSelector apiVersion "v1"
core.v1.ServiceSpec type "ClusterIP"
core.v1.ServiceSpec sessionAffinity "None"
core.v1.ServiceSpec internalTrafficPolicy "Cluster"
core.v1.Secret type "Opaque"
core.v1.PersistentVolumeClaimSpec volumeMode "Filesystem"
core.v1.PersistentVolumeSpec volumeMode "Filesystem"
core.v1.PersistentVolumeSpec persistentVolumeReclaimPolicy "Retain"
core.v1.EndpointPort protocol "TCP"
core.v1.ReplicationControllerSpec replicas 1
apps.v1.DeploymentSpec replicas 1
apps.v1.DeploymentSpec revisionHistoryLimit 10
apps.v1.DeploymentSpec progressDeadlineSeconds 600
apps.v1.DeploymentSpec strategy {"type":"RollingUpdate","rollingUpdate":{"maxUnavailable":"25%","maxSurge":"25%"}}
apps.v1.ReplicaSetSpec replicas 1
apps.v1.StatefulSetSpec replicas 1
apps.v1.StatefulSetSpec podManagementPolicy "OrderedReady"
apps.v1.StatefulSetSpec revisionHistoryLimit 10
apps.v1.StatefulSetSpec updateStrategy {"type":"RollingUpdate","rollingUpdate":{"partition":0}}
apps.v1.DaemonSetSpec revisionHistoryLimit 10
apps.v1.DaemonSetSpec updateStrategy {"type":"RollingUpdate","rollingUpdate":{"maxUnavailable":1,"maxSurge":0}}
batch.v1.JobSpec backoffLimit 6
batch.v1.JobSpec completionMode "NonIndexed"
batch.v1.JobSpec suspend false
batch.v1.JobSpec podReplacementPolicy "TerminatingOrFailed"
batch.v1.CronJobSpec concurrencyPolicy "Allow"
batch.v1.CronJobSpec suspend false
batch.v1.CronJobSpec successfulJobsHistoryLimit 3
batch.v1.CronJobSpec failedJobsHistoryLimit 1
autoscaling.v2.HorizontalPodAutoscalerSpec minReplicas 1
networking.v1.NetworkPolicyPort protocol "TCP"
rbac.v1.RoleRef apiGroup "rbac.authorization.k8s.io"
storage.v1.StorageClass reclaimPolicy "Delete"
storage.v1.StorageClass volumeBindingMode "Immediate"
scheduling.v1.PriorityClass preemptionPolicy "PreemptLowerPriority"
discovery.v1.EndpointPort protocol "TCP"
admissionregistration.v1.MutatingWebhook failurePolicy "Fail"
admissionregistration.v1.MutatingWebhook matchPolicy "Equivalent"
admissionregistration.v1.MutatingWebhook namespaceSelector {}
admissionregistration.v1.MutatingWebhook objectSelector {}
admissionregistration.v1.MutatingWebhook reinvocationPolicy "Never"
admissionregistration.v1.MutatingWebhook timeoutSeconds 10
admissionregistration.v1.ValidatingWebhook failurePolicy "Fail"
admissionregistration.v1.ValidatingWebhook matchPolicy "Equivalent"
admissionregistration.v1.ValidatingWebhook namespaceSelector {}
admissionregistration.v1.ValidatingWebhook objectSelector {}
admissionregistration.v1.ValidatingWebhook timeoutSeconds 10
admissionregistration.v1.RuleWithOperations scope "*"
admissionregistration.v1.ServiceReference port 443
apiregistration.v1.ServiceReference port 443
"#;

struct Definitions {
    kinds: HashMap<String, String>,
    raw: Map<String, Value>,
    made: HashMap<String, Arc<Schema>>,
    defaults: HashMap<&'static str, Vec<(&'static str, Value)>>,
}

impl Definitions {
    fn load() -> Self {
        let mut bytes = Vec::new();
        // The file is part of the crate; a test reads all of it.
        let _ = GzDecoder::new(DATA).read_to_end(&mut bytes);
        let mut document = text::parse(&bytes).map(|parsed| parsed.value).unwrap_or_default();
        let kinds = document["kinds"].as_object().into_iter().flatten();
        let kinds = kinds
            .map(|(kind, name)| (kind.clone(), name.as_str().unwrap_or("").to_owned()))
            .collect();
        let raw = match document["definitions"].take() {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        let mut defaults: HashMap<&str, Vec<(&str, Value)>> = HashMap::new();
        for line in DEFAULTS.lines() {
            let mut words = line.splitn(3, ' ');
            if let (Some(definition), Some(field), Some(value)) = (words.next(), words.next(), words.next()) {
                let value = text::parse(value.as_bytes())
                    .map(|parsed| parsed.value)
                    .unwrap_or_default();
                defaults.entry(definition).or_default().push((field, value));
            }
        }
        Self {
            kinds,
            raw,
            made: HashMap::new(),
            defaults,
        }
    }

    fn definition(&mut self, name: &str) -> Arc<Schema> {
        if let Some(made) = self.made.get(name) {
            return made.clone();
        }
        // What refers to itself is left open at that place.
        let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        self.made.insert(name.to_owned(), Arc::new(Schema::parse(&open)));
        let raw = self.raw.get(name).cloned().unwrap_or(open);
        let raw = if name == "meta.v1.ObjectMeta" {
            metadata_schema()
        } else {
            raw
        };
        let mut schema = self.node(&raw);
        for (field, default) in self.defaults.get(name).cloned().unwrap_or_default() {
            if let Some(child) = schema.properties.get_mut(field) {
                let mut with_default = (**child).clone();
                with_default.default = Some(default);
                with_default.seal();
                *child = Arc::new(with_default);
            }
        }
        schema.seal();
        let schema = Arc::new(schema);
        self.made.insert(name.to_owned(), schema.clone());
        schema
    }

    /// A node whose children may be references.
    fn node(&mut self, raw: &Value) -> Schema {
        if let Some(name) = raw.get("$ref").and_then(Value::as_str) {
            let mut schema = (*self.definition(name)).clone();
            let own = Schema::parse(raw);
            if own.patch_merge || own.patch_merge_key.is_some() {
                schema.patch_merge = own.patch_merge;
                schema.patch_merge_key = own.patch_merge_key;
            }
            return schema;
        }
        let mut shallow = raw.as_object().cloned().unwrap_or_default();
        let properties = shallow.shift_remove("properties");
        let items = shallow.shift_remove("items");
        let additional = shallow
            .get("additionalProperties")
            .filter(|value| value.is_object())
            .cloned();
        if additional.is_some() {
            shallow.shift_remove("additionalProperties");
        }
        let mut schema = Schema::parse(&Value::Object(shallow));
        for (name, child) in properties
            .as_ref()
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            schema.properties.insert(name.clone(), self.child(child));
        }
        schema.items = items.as_ref().map(|child| self.child(child));
        if let Some(child) = additional {
            schema.additional = Some(crate::schema::Additional::Schema(self.child(&child)));
        }
        schema.seal();
        schema
    }

    fn child(&mut self, raw: &Value) -> Arc<Schema> {
        match raw.get("$ref").and_then(Value::as_str) {
            Some(name) if raw.as_object().is_some_and(|map| map.len() == 1) => self.definition(name),
            _ => Arc::new(self.node(raw)),
        }
    }
}

static KINDS: LazyLock<HashMap<String, KindSchema>> = LazyLock::new(|| {
    let mut definitions = Definitions::load();
    let kinds: Vec<(String, String)> = definitions.kinds.clone().into_iter().collect();
    let metadata = Arc::new(Schema::parse(&metadata_schema()));
    let word = Arc::new(Schema::parse(&json!({"type": "string"})));
    kinds
        .into_iter()
        .map(|(kind, name)| {
            let body = definitions.definition(&name);
            let mut whole = (*body).clone();
            whole.properties.insert("metadata".to_owned(), metadata.clone());
            whole.properties.insert("apiVersion".to_owned(), word.clone());
            whole.properties.insert("kind".to_owned(), word.clone());
            whole.seal();
            (
                kind,
                KindSchema {
                    body,
                    whole: Arc::new(whole),
                },
            )
        })
        .collect()
});

/// The schema of a kind.
pub(super) fn schema(group: &str, version: &str, kind: &str) -> Option<KindSchema> {
    KINDS.get(&format!("{group}/{version}/{kind}")).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{ListKind, apply_defaults};

    #[test]
    fn the_data_knows_lists_and_defaults() {
        let deployment = schema("apps", "v1", "Deployment").unwrap().body;
        let pod = deployment
            .child("spec")
            .unwrap()
            .child("template")
            .unwrap()
            .child("spec")
            .unwrap();
        let containers = pod.child("containers").unwrap();
        assert_eq!(
            (containers.list_kind, containers.patch_merge_key.as_deref()),
            (ListKind::Map, Some("name"))
        );
        let ports = containers.items.as_ref().unwrap().child("ports").unwrap();
        assert_eq!(ports.list_keys, ["containerPort", "protocol"]);
        let mut object = json!({"spec": {"template": {"spec": {"containers": [{"name": "a"}]}}}});
        apply_defaults(&mut object, &deployment);
        assert_eq!(object["spec"]["replicas"], 1);
        assert_eq!(object["spec"]["template"]["spec"]["dnsPolicy"], "ClusterFirst");
        assert_eq!(
            object["spec"]["template"]["spec"]["containers"][0]["terminationMessagePolicy"],
            "File"
        );
    }

    #[test]
    fn every_default_names_a_field() {
        let definitions = Definitions::load();
        for (definition, fields) in &definitions.defaults {
            for (field, _) in fields {
                assert!(
                    !definitions.raw[*definition]["properties"][*field].is_null(),
                    "{definition}.{field}"
                );
            }
        }
    }
}
