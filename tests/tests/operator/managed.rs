//! A managed installation on a real API server. No node runs its pods: the test says of each what a kubelet would, stage after stage, so
//! that every object is taken by the API server and comes in its turn. That the pods do what they are for is shown where there is a node.

use std::{collections::BTreeSet, path::Path, time::Duration};

use serde_json::{Value, json};
use testbeds::systems::{
    controlplane::ControlPlane,
    kubectl::Kubectl,
    operator::{EVERYWHERE, Operator},
};

const NAMESPACE: &str = "escape";

struct World {
    // Dropped in this order.
    _operator: Operator,
    kubectl: Kubectl,
    _plane: ControlPlane,
}

async fn world(state: &Path) -> World {
    let plane = ControlPlane::start(&state.join("controlplane")).await.unwrap();
    let values = format!("{EVERYWHERE},managed.enabled=true");
    Operator::install_chart(&plane, &values).unwrap();
    let log = state.join("operator.log");
    let (operator, _) = Operator::start_installed(&plane, &log, &["--managed"]).await.unwrap();
    let kubectl = plane.kubectl();
    kubectl.run(&["create", "namespace", NAMESPACE]).unwrap();
    World { kubectl, _operator: operator, _plane: plane }
}

async fn until(what: &str, holds: impl AsyncFnMut() -> Result<(), String>) {
    testbeds::host::until::until(what, Duration::from_secs(90), holds).await.unwrap();
}

impl World {
    fn apply(&self, name: &str, more: Value) {
        let mut managed =
            json!({"diracVersion": "9.1.22", "diracxVersion": "0.7.0", "host": "dirac.escape.example.org"});
        for (field, value) in more.as_object().unwrap() {
            managed[field] = value.clone();
        }
        let object = json!({
            "apiVersion": "diracgrid.org/v1alpha1",
            "kind": "DiracInstallation",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"managed": managed},
        });
        self.kubectl.run_with(&["apply", "-f", "-"], &object.to_string()).unwrap();
    }

    fn names(&self, kinds: &str) -> BTreeSet<String> {
        let all = self.kubectl.run(&["get", kinds, "--namespace", NAMESPACE, "--output=name"]).unwrap();
        all.lines().map(|line| line.rsplit('/').next().unwrap().to_owned()).collect()
    }

    async fn says(&self, name: &str, type_: &str, reason: &str, words: &[&str]) {
        let object = format!("diracinstallation/{name}");
        until(&format!("{name} says {reason} {words:?}"), async || {
            let (status, said, message) =
                self.kubectl.says(NAMESPACE, &object, type_).map_err(|error| error.to_string())?;
            let is_it = said == reason && words.iter().all(|word| message.contains(word));
            if is_it { Ok(()) } else { Err(format!("{type_} {status} {said}: {message}")) }
        })
        .await;
    }

    /// What a kubelet would say: pods of Jobs have ended well, and all others are ready.
    fn pods_run(&self, part: &str) -> Result<(), String> {
        let pods = self.kubectl.objects(NAMESPACE, "pods").map_err(|error| error.to_string())?;
        let of_part: Vec<&Value> =
            pods.iter().filter(|pod| pod["metadata"]["labels"]["app.kubernetes.io/component"] == part).collect();
        if of_part.is_empty() {
            return Err(format!("{part} has no pod yet"));
        }
        for pod in of_part {
            let ends = pod["metadata"]["ownerReferences"][0]["kind"] == "Job";
            let status = match ends {
                true => json!({"phase": "Succeeded"}),
                false => json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}),
            };
            let patch = json!({"status": status}).to_string();
            let name = pod["metadata"]["name"].as_str().unwrap();
            let words =
                ["patch", "pod", name, "--namespace", NAMESPACE, "--subresource=status", "--type=merge", "-p", &patch];
            self.kubectl.run(&words).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn one_manifest_becomes_its_parts_in_their_order_and_keeps_its_keys() {
    let state = tempfile::tempdir().unwrap();
    let world = world(state.path()).await;

    // What cannot be is said, and nothing is made of it.
    world.apply("wrong", json!({"components": {"overrides": [{"name": "WorkloadManagement/Macher"}]}}));
    world.says("wrong", "ServicesReady", "ManifestImpossible", &["Macher", "WorkloadManagement/Matcher"]).await;
    world.apply("lines", json!({"configuration": {"Operations": {"Motto": "a\n}\nRegistry"}}}));
    world.says("lines", "ServicesReady", "ManifestImpossible", &["several lines"]).await;
    assert!(
        !world
            .names("deployments,statefulsets")
            .iter()
            .any(|name| name.starts_with("wrong") || name.starts_with("lines"))
    );

    world
        .apply("escape", json!({"components": {"overrides": [{"name": "WorkloadManagement/Matcher", "replicas": 2}]}}));
    let stages: [(&str, &[&str]); 6] = [
        ("stores", &["mariadb", "opensearch", "s3", "redis"]),
        ("schemas", &["schemas"]),
        ("configuration", &["configuration", "diracx-databases"]),
        ("preparation", &["preparation"]),
        (
            "services",
            &[
                "resourcestatus",
                "proxymanager",
                "jobmanager",
                "jobmonitoring",
                "jobstateupdate",
                "sandboxstore",
                "optimizationmind",
                "matcher",
                "pilotmanager",
                "reqmanager",
                "datastore",
                "diracx",
            ],
        ),
        (
            "work",
            &[
                "optimizers",
                "stalledjobagent",
                "taskqueuesagent",
                "jobcleaningagent",
                "pilotstatusagent",
                "diracx-scheduler",
                "diracx-worker-small",
                "diracx-worker-medium",
            ],
        ),
    ];
    for (number, (stage, parts)) in stages.iter().enumerate() {
        let words = format!("stage {stage}: ");
        world.says("escape", "ServicesReady", "PartsNotReady", &[&words]).await;
        let made = world.names("deployments,statefulsets,jobs");
        for (_, later) in &stages[number + 1..] {
            let early: Vec<_> = later.iter().filter(|part| made.contains(&format!("escape-{part}"))).collect();
            assert!(early.is_empty(), "{early:?} are there in stage {stage}");
        }
        for part in *parts {
            until(&format!("{part} runs"), async || world.pods_run(part)).await;
        }
    }
    world.says("escape", "ServicesReady", "ServicesRun", &[]).await;
    assert!(world.names("poddisruptionbudgets").contains("escape-matcher"));
    assert!(world.names("services").contains("escape"));

    // The way to its Matcher is known, and tried: what answers there on this machine, if anything, is no DIRAC.
    let object = "diracinstallation/escape";
    until("the Matcher is asked at the installation's own name", async || {
        let (status, _, message) = world.kubectl.says(NAMESPACE, object, "DemandRead").map_err(|e| e.to_string())?;
        let is_asked = status == "False" && message.contains("dirac.escape.example.org:9170");
        if is_asked { Ok(()) } else { Err(message) }
    })
    .await;

    // A part that somebody deletes is made again; one that the manifest names no more goes.
    world.kubectl.run(&["delete", "deployment", "escape-matcher", "--namespace", NAMESPACE]).unwrap();
    world.apply("strangers", json!({"authorities": {"configMapRef": {"name": "grid"}}}));
    world.says("strangers", "ServicesReady", "ReferenceMissing", &["\"grid\"", "create it"]).await;

    world.apply("escape", json!({"components": {"overrides": [{"name": "Accounting/DataStore", "enabled": false}]}}));
    until("the Matcher is there and the DataStore is not", async || {
        let names = world.names("deployments");
        let is_so = names.contains("escape-matcher") && !names.contains("escape-datastore");
        if is_so { Ok(()) } else { Err(format!("{names:?}")) }
    })
    .await;

    // Keys that are lost are not made anew where volumes were made with them.
    world.kubectl.run(&["delete", "secret", "escape-keys", "--namespace", NAMESPACE]).unwrap();
    world.says("escape", "ServicesReady", "KeysMissing", &["escape-keys", "data-escape-mariadb-0"]).await;
    assert!(!world.names("secrets").contains("escape-keys"));
    assert!(world.names("deployments").contains("escape-matcher"), "what runs goes on");

    // Volumes stay when the object goes, and all else does not.
    world.kubectl.run(&["delete", "diracinstallation", "escape", "--namespace", NAMESPACE, "--timeout=60s"]).unwrap();
    until("the parts are gone", async || {
        let left = world.names("deployments,statefulsets,jobs,networkpolicies,configmaps");
        let left: Vec<_> = left.iter().filter(|name| name.starts_with("escape")).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
    assert!(world.names("persistentvolumeclaims").contains("data-escape-mariadb-0"));
}
