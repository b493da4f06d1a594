//! Deployments, StatefulSets, Jobs, Services and what keeps them: the objects around templates of pods.

use serde_json::{Value, json};

use super::{Installation, pod::Pod};
use crate::services::names::FRONT;

/// Metadata of an object that goes with the installation.
pub fn metadata(installation: &Installation<'_>, name: &str, part: &str) -> Value {
    json!({
        "name": name,
        "namespace": installation.names.key.namespace,
        "labels": installation.names.labels_of(part),
        "ownerReferences": [installation.owner],
    })
}

/// A Deployment. Where only one may run at a time, the old pod goes before the new one comes.
pub fn deployment(pod: &Pod<'_>, replicas: u32, is_shared: bool) -> Value {
    let installation = pod.installation;
    let strategy = match is_shared {
        true => json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}),
        false => json!({"type": "Recreate"}),
    };
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(installation, &installation.names.of(pod.part), pod.part),
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 3,
            "selector": {"matchLabels": installation.names.selector(pod.part)},
            "strategy": strategy,
            "template": pod.template(),
        },
    })
}

/// A StatefulSet of one pod with a volume that outlives the installation.
pub fn stateful_set(pod: &Pod<'_>, storage: &str) -> Value {
    let installation = pod.installation;
    let names = &installation.names;
    let kept = if installation.spec.is_all_deleted() { "Delete" } else { "Retain" };
    json!({
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": metadata(installation, &names.of(pod.part), pod.part),
        "spec": {
            "replicas": 1,
            "serviceName": names.of(pod.part),
            "selector": {"matchLabels": names.selector(pod.part)},
            "template": pod.template(),
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": kept, "whenScaled": "Retain"},
            "volumeClaimTemplates": [{
                "metadata": {"name": "data", "labels": names.selector(pod.part)},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": storage}}},
            }],
        },
    })
}

/// A Job. Its template cannot change: its name says what it was made from, so that another one is another Job.
pub fn job(pod: &Pod<'_>) -> Value {
    let installation = pod.installation;
    let template = pod.template();
    let name = format!("{}-{}", installation.names.of(pod.part), &super::fingerprint(&template)[..8]);
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(installation, &name, pod.part),
        "spec": {"backoffLimit": 20, "template": template},
    })
}

/// A Service within the cluster for one part: a store, or the name of a StatefulSet's pod.
pub fn service(installation: &Installation<'_>, part: &str, port: u16) -> Value {
    let names = &installation.names;
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(installation, &names.of(part), part),
        "spec": {
            "selector": names.selector(part),
            "ports": [{"name": "main", "port": port, "targetPort": port, "protocol": "TCP"}],
        },
    })
}

/// The name of a port of pods, by which the installation's one Service finds the pods that have it.
pub fn port_name(port: u16) -> String {
    format!("dirac-{port}")
}

/// The one Service: all ports of DIRAC's services and of DiracX, each of which leads to the pods that have a port of that name.
pub fn front(installation: &Installation<'_>, ports: &[(u16, u16)]) -> Value {
    let names = &installation.names;
    let mut selector = std::collections::BTreeMap::from([(FRONT, "true".to_owned())]);
    selector.insert(crate::names::INSTALLATION_LABEL, names.key.name.clone());
    let ports: Vec<Value> = ports
        .iter()
        .map(|(port, of_pods)| {
            json!({"name": format!("dirac-{port}"), "port": port, "targetPort": port_name(*of_pods), "protocol": "TCP"})
        })
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(installation, names.service(), "front"),
        "spec": {"type": "LoadBalancer", "selector": selector, "ports": ports},
    })
}

/// Of several pods only one goes at a time when nodes are drained. Of one it holds up no drain.
pub fn budget(installation: &Installation<'_>, part: &str) -> Value {
    let names = &installation.names;
    json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(installation, &names.of(part), part),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": names.selector(part)}},
    })
}

/// Who may call a part: everybody at its port, the installation's own pods at its port, or nobody.
pub fn policy(installation: &Installation<'_>, part: &str, port: Option<u16>, is_public: bool) -> Value {
    let names = &installation.names;
    let own = json!([{"podSelector": {"matchLabels": {crate::names::INSTALLATION_LABEL: names.key.name}}}]);
    let ingress = match (port, is_public) {
        (Some(port), true) => json!([{"ports": [{"port": port, "protocol": "TCP"}]}]),
        (Some(port), false) => json!([{"from": own, "ports": [{"port": port, "protocol": "TCP"}]}]),
        (None, _) => json!([]),
    };
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(installation, &names.of(part), part),
        "spec": {
            "podSelector": {"matchLabels": names.selector(part)},
            "policyTypes": ["Ingress"],
            "ingress": ingress,
        },
    })
}
