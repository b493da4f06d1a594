//! What an operator may find when it starts: a CRD that is missing, objects that the last release wrote, one that it cannot read; and
//! what people do to objects that only the operator writes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use testbeds::systems::{
    controlplane::ControlPlane,
    helm::chart,
    kubectl::Kubectl,
    operator::{EVERYWHERE, Operator},
};

use super::{Fixture, NAMESPACE, QUICK, until};

/// Where the last release's objects lie.
const RELEASED: &str = "released";
/// The finalizer of Secrets.
const IN_USE: &str = "diracgrid.org/in-use";

fn crd(plural: &str) -> PathBuf {
    chart().join(format!("files/crds/{plural}.yaml"))
}

fn apply_crd(kubectl: &Kubectl, crd: &Value) {
    let args = ["apply", "--server-side", "--force-conflicts", "--field-manager=test", "-f", "-"];
    kubectl.run_with(&args, &crd.to_string()).unwrap();
}

fn read(crd: PathBuf) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(crd).unwrap()).unwrap()
}

#[tokio::test]
async fn an_operator_starts_over_what_it_does_not_know_and_what_people_overwrote_heals() {
    let state = tempfile::tempdir().unwrap();
    let plane = ControlPlane::start(&state.path().join("controlplane")).await.unwrap();
    Operator::install_chart(&plane, EVERYWHERE).unwrap();
    let (kubectl, log) = (plane.kubectl(), state.path().join("operator.log"));
    put_what_the_last_release_wrote(&kubectl).await;
    put_what_no_release_reads(&kubectl).await;
    kubectl.run(&["delete", "crd", "downtimes.diracgrid.org"]).unwrap();
    let kubeconfig = plane.kubeconfig_for_service_account(NAMESPACE, NAMESPACE).await.unwrap();
    let mut operator = Operator::start(&kubeconfig, &log, &QUICK).unwrap();
    a_missing_crd_is_named_and_waited_for(&kubectl, &mut operator, &log).await;
    let mut f = Fixture { operator, kubectl, plane };
    what_cannot_be_read_is_charged_shown_and_counted(&f).await;
    labels_and_statuses_heal(&f).await;
    what_the_last_release_wrote_is_read_and_goes_on(&f).await;
    a_pilotvm_made_by_hand_for_no_pool_gets_no_vm(&f).await;
    a_secret_stays_while_its_cloud_needs_it_over_a_restart(&mut f, &kubeconfig, &log).await;
}

/// With the statuses, and with the pool as the owner of its VMs.
async fn put_what_the_last_release_wrote(kubectl: &Kubectl) {
    kubectl.run(&["create", "namespace", RELEASED]).unwrap();
    let objects = serde_saphyr::from_str(include_str!("released/objects.yaml")).unwrap();
    kubectl.put_with_statuses(RELEASED, objects).unwrap();
}

/// A PilotVM that a looser CRD let in.
async fn put_what_no_release_reads(kubectl: &Kubectl) {
    let strict = read(crd("pilotvms"));
    let mut loose = strict.clone();
    let version = loose["spec"]["versions"][0].as_object_mut().unwrap();
    version.remove("selectableFields");
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    version.insert("schema".into(), json!({ "openAPIV3Schema": anything }));
    apply_crd(kubectl, &loose);
    let labels = json!({"diracgrid.org/pool": "cpu", "diracgrid.org/cloud": "sky", "diracgrid.org/vo": "biomed",
        "diracgrid.org/installation": "sim"});
    let future = json!({"apiVersion": "diracgrid.org/v1alpha1", "kind": "PilotVM",
        "metadata": {"name": "cpu-9", "namespace": RELEASED, "labels": labels}, "spec": {"of": "a later release"}});
    until("the API server takes what it does not check", 30, async || {
        kubectl
            .run_with(&["create", "--validate=ignore", "-f", "-"], &future.to_string())
            .map(drop)
            .map_err(|error| error.to_string())
    })
    .await;
    apply_crd(kubectl, &strict);
}

async fn a_missing_crd_is_named_and_waited_for(kubectl: &Kubectl, operator: &mut Operator, log: &Path) {
    until("/readyz names the kind whose CRD is missing", 60, async || match operator.readiness().await {
        Ok(text) if text.trim_end().ends_with(": Downtime in all namespaces") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert!(fs::read_to_string(log).unwrap().contains("the API server does not know this kind"), "the log says it");
    let lease = ["get", "leases", "--namespace", NAMESPACE, "--output=jsonpath={.items[*].spec.holderIdentity}"];
    assert_eq!(kubectl.run(&lease).unwrap(), "", "who does not see everything does not lead");
    apply_crd(kubectl, &read(crd("downtimes")));
    operator.ready().await.unwrap();
}

async fn what_cannot_be_read_is_charged_shown_and_counted(f: &Fixture) {
    for object in ["pilotpool/cpu", "cloud/sky"] {
        until(&format!("{object} says what cannot be read"), 60, async || {
            let (status, reason, message) = f.condition(RELEASED, object, "Readable");
            let all = status == "False" && reason == "Malformed" && message.contains("cpu-9");
            if all { Ok(()) } else { Err(format!("{status} {reason}: {message}")) }
        })
        .await;
    }
    assert_eq!(f.operator.metric(&["malformed_objects", "PilotVM"]).await.unwrap(), 1.0);
    assert_eq!(
        f.operator.metric(&["malformed_objects"]).await.unwrap(),
        1.0,
        "what the last release wrote can be read"
    );
    until("an event says it", 60, async || {
        let about = ["get", "events", "--namespace", RELEASED, "--field-selector=reason=Malformed", "--output=name"];
        let events = f.kubectl.run(&about).unwrap();
        if events.contains("cpu-9") { Ok(()) } else { Err(events) }
    })
    .await;
}

async fn labels_and_statuses_heal(f: &Fixture) {
    let running = |f: &Fixture| -> Option<String> {
        let vms = f.vms(RELEASED);
        let vm = vms.iter().find(|vm| vm["status"]["phase"] == "Running" && vm["metadata"]["name"] != "cpu-1")?;
        Some(vm["metadata"]["name"].as_str()?.to_owned())
    };
    until("a VM runs jobs", 90, async || {
        let there = f.vms(RELEASED).len();
        assert!(there <= 4, "at most three and the one that was being ended, and there are {there}");
        running(f).map(drop).ok_or_else(|| format!("{:?}", f.condition(RELEASED, "pilotpool/cpu", "DemandMet")))
    })
    .await;
    let name = running(f).unwrap();
    let other = ["label", "pilotvm", &name, "--namespace", RELEASED, "--overwrite"];
    f.kubectl.run(&[&other[..], &["diracgrid.org/pool-", "diracgrid.org/vo=other"]].concat()).unwrap();
    let bent = json!({"phase": "Pending", "pilotReference": "cloud://another"});
    f.kubectl.patch_status(RELEASED, "pilotvm", &name, &bent).unwrap();
    until("labels and status are as they were", 40, async || {
        let vm = f.get(RELEASED, &format!("pilotvm/{name}"));
        let (labels, status) = (&vm["metadata"]["labels"], &vm["status"]);
        let uid = vm["metadata"]["uid"].as_str().unwrap();
        let whole = labels["diracgrid.org/pool"] == "cpu"
            && labels["diracgrid.org/vo"] == "biomed"
            && status["phase"] != "Pending"
            && status["pilotReference"].as_str().is_some_and(|reference| reference.contains(uid));
        if whole { Ok(()) } else { Err(format!("{labels} {status}")) }
    })
    .await;
}

async fn what_the_last_release_wrote_is_read_and_goes_on(f: &Fixture) {
    until("the jobs are served, and its PilotVMs are settled", 240, async || {
        let names: Vec<String> =
            f.vms(RELEASED).iter().map(|vm| vm["metadata"]["name"].as_str().unwrap().to_owned()).collect();
        let served = f.jobs(RELEASED, "served").await;
        if served == 12 && names == ["cpu-9"] { Ok(()) } else { Err(format!("{served} served; {names:?}")) }
    })
    .await;
    for (object, type_) in [("cloud/sky", "Listed"), ("pilotpool/cpu", "Ready"), ("diracinstallation/sim", "Ready")] {
        let (status, reason, message) = f.condition(RELEASED, object, type_);
        assert_eq!(status, "True", "{object} {type_}: {reason} {message}");
    }
    let pool = f.get(RELEASED, "pilotpool/cpu");
    assert_eq!(pool["metadata"]["finalizers"], json!(["diracgrid.org/vms"]));
    f.kubectl.run(&["delete", "pilotpool", "cpu", "--namespace", RELEASED, "--wait=false"]).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(15)).await;
    assert!(f.kubectl.object(RELEASED, "pilotpool/cpu").is_ok(), "it stays for a VM that may run jobs");
    f.kubectl.run(&["delete", "pilotvm", "cpu-9", "--namespace", RELEASED]).unwrap();
    f.kubectl.run(&["wait", "--for=delete", "pilotpool/cpu", "--namespace", RELEASED, "--timeout=60s"]).unwrap();
    assert_eq!(f.operator.metric(&["malformed_objects"]).await.unwrap(), 0.0);
}

async fn a_pilotvm_made_by_hand_for_no_pool_gets_no_vm(f: &Fixture) {
    let objects: Vec<Value> = serde_saphyr::from_str(include_str!("released/objects.yaml")).unwrap();
    let mut by_hand = objects.into_iter().find(|o| o["kind"] == "PilotVM").unwrap();
    by_hand["metadata"] = json!({"name": "by-hand", "namespace": RELEASED});
    by_hand["spec"]["poolRef"]["name"] = json!("nowhere");
    by_hand.as_object_mut().unwrap().remove("status");
    f.kubectl.apply(&by_hand.to_string()).unwrap();
    f.kubectl.run(&["wait", "--for=delete", "pilotvm/by-hand", "--namespace", RELEASED, "--timeout=60s"]).unwrap();
    assert_eq!(f.operator.metric(&["launches_total", "nowhere"]).await.unwrap(), 0.0);
    f.kubectl.run(&["delete", "namespace", RELEASED, "--timeout=90s"]).unwrap();
}

async fn a_secret_stays_while_its_cloud_needs_it_over_a_restart(f: &mut Fixture, kubeconfig: &Path, log: &Path) {
    const HELD: &str = "held";
    f.kubectl.run(&["create", "namespace", HELD]).unwrap();
    let auth = json!({"applicationCredential": {"secretRef": {"name": "key"}}});
    let cloud = json!({"apiVersion": "diracgrid.org/v1alpha1", "kind": "Cloud", "metadata": {"name": "far", "namespace": HELD},
        "spec": {"siteRef": {"name": "none"}, "images": {"default": {"name": "EL9"}},
            "openstack": {"authUrl": "https://127.0.0.1:1/v3", "region": "r", "auth": auth}}});
    f.kubectl.apply(&cloud.to_string()).unwrap();
    let values = json!({"id": "an-id", "secret": "a-secret"});
    f.kubectl.put_secret(HELD, "key", "stringData", &values).unwrap();
    let finalizers = |f: &Fixture| f.kubectl.object(HELD, "secret/key").map(|s| s["metadata"]["finalizers"].clone());
    until("the Secret is held", 40, async || match finalizers(f) {
        Ok(finalizers) if finalizers == json!([IN_USE]) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(f.get(HELD, "cloud/far")["status"]["secrets"], json!(["key"]));
    // Its project was once entered, so VMs may be there: who knows nothing of them lets nothing go.
    f.kubectl.patch_status(HELD, "cloud", "far", &json!({"project": "once"})).unwrap();
    f.kubectl.run(&["delete", "secret", "key", "--namespace", HELD, "--wait=false"]).unwrap();
    f.kubectl.run(&["delete", "namespace", HELD, "--wait=false"]).unwrap();
    f.operator.process().kill();
    f.operator = Operator::start(kubeconfig, log, &QUICK).unwrap();
    f.operator.ready().await.unwrap();
    until("the cloud says that the Secret was deleted", 60, async || {
        let (status, reason, message) = f.condition(HELD, "cloud/far", "CredentialValid");
        if reason == "SecretDeleted" { Ok(()) } else { Err(format!("{status} {reason}: {message}")) }
    })
    .await;
    assert_eq!(finalizers(f).unwrap(), json!([IN_USE]));
    f.kubectl.run(&["annotate", "cloud", "far", "--namespace", HELD, "diracgrid.org/let-go=true"]).unwrap();
    f.kubectl.run(&["wait", "--for=delete", &format!("namespace/{HELD}"), "--timeout=90s"]).unwrap();
}
