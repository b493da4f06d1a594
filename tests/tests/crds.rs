//! Layer `crds`: what a real API server accepts and refuses, with which sentence, and what it shows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use testbeds::{
    host::root,
    systems::{controlplane::ControlPlane, kubectl::Kubectl},
};

/// A manifest of manifests.yaml and what is different about it; `was`: it is accepted first, then changed.
#[derive(Deserialize)]
struct Case {
    is: Option<String>,
    was: Option<String>,
    but: Value,
    #[serde(default)]
    told: String,
    /// What must not be said beside it: a mistake of one kind gets one complaint.
    untold: Option<String>,
}

async fn cluster() -> (TempDir, ControlPlane, Kubectl) {
    let state = tempfile::tempdir().unwrap();
    let plane = ControlPlane::start(state.path()).await.unwrap();
    plane.install_crds().unwrap();
    let kubectl = plane.kubectl();
    (state, plane, kubectl)
}

fn manifests() -> BTreeMap<String, Value> {
    serde_saphyr::from_str(include_str!("crds/manifests.yaml")).unwrap()
}

fn cases(yaml: &str) -> Vec<Case> {
    serde_saphyr::from_str(yaml).unwrap()
}

/// A JSON merge patch (RFC 7386).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let target = target.as_object_mut().unwrap();
    for (name, value) in fields {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

/// What `kubectl` says to a case: its output, or its complaint.
fn attempt(kubectl: &Kubectl, manifests: &BTreeMap<String, Value>, case: &Case) -> anyhow::Result<String> {
    let base = case.is.as_ref().or(case.was.as_ref()).expect("a case has is or was");
    let mut manifest = manifests[base].clone();
    if case.was.is_some() {
        kubectl.apply(&manifest.to_string()).unwrap();
    }
    merge(&mut manifest, &case.but);
    let verb = if case.was.is_some() { "apply" } else { "create" };
    kubectl.run_with(&[verb, "--dry-run=server", "--validate=strict", "-f", "-"], &manifest.to_string())
}

#[tokio::test]
async fn every_example_applies_unchanged() {
    let (_state, _plane, kubectl) = cluster().await;
    for namespace in ["dirac", "escape"] {
        kubectl.run(&["create", "namespace", namespace]).unwrap();
    }
    let examples = std::fs::read_dir(root().join("examples")).unwrap();
    let folders = examples.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let folders: Vec<String> = folders.map(|path| path.to_str().unwrap().to_owned()).collect();
    // Scenarios are read by the simulator, and by no cluster.
    let folders: Vec<&str> = folders.iter().map(String::as_str).filter(|path| !path.ends_with("/scenarios")).collect();
    assert!(folders.len() >= 3, "{folders:?}");
    let mut all = String::new();
    // One at a time, as people take them: two examples may give one name to different things.
    for folder in folders {
        let run = |words: &[&str]| kubectl.run(&[words, &["--recursive", "-f", folder]].concat()).unwrap();
        run(&["apply", "--validate=strict"]);
        // As a GitOps tool asks: nothing differs from what was applied, whatever the defaults added.
        run(&["diff"]);
        run(&["apply", "--server-side", "--force-conflicts"]);
        all += &kubectl.run(&["get", "dirac-all", "--all-namespaces", "--output=name"]).unwrap();
        run(&["delete", "--wait=false"]);
    }
    for name in [
        "diracinstallation.diracgrid.org/egi",
        "cloud.diracgrid.org/lyon",
        "cloud.diracgrid.org/aws-paris",
        "downtime.diracgrid.org/cppm-maintenance",
    ] {
        assert!(all.contains(name), "{all}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_a_sentence_that_says_what_to_do() {
    let (_state, _plane, kubectl) = cluster().await;
    let (manifests, cases) = (manifests(), cases(include_str!("crds/refused.yaml")));
    assert!(cases.len() >= 60);
    for manifest in manifests.values() {
        kubectl
            .run_with(&["create", "--dry-run=server", "--validate=strict", "-f", "-"], &manifest.to_string())
            .unwrap();
    }
    let mut wrong = vec![];
    for case in &cases {
        match attempt(&kubectl, &manifests, case) {
            Ok(_) => wrong.push(format!("accepted: {}", case.but)),
            Err(complaint) if !complaint.to_string().contains(&case.told) => {
                wrong.push(format!("{}\n  wanted: {}\n  told: {complaint}", case.but, case.told));
            }
            Err(complaint) if case.untold.as_ref().is_some_and(|words| complaint.to_string().contains(words)) => {
                wrong.push(format!("{}\n  says too much: {complaint}", case.but));
            }
            // What somebody took for a secret is not repeated on the screen or in a pipeline's log.
            Err(complaint) if complaint.to_string().contains("hunter2") => {
                wrong.push(format!("{}\n  repeats the secret: {complaint}", case.but));
            }
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[tokio::test]
async fn what_looks_odd_and_is_right_is_accepted() {
    let (_state, _plane, kubectl) = cluster().await;
    let manifests = manifests();
    for case in cases(include_str!("crds/accepted.yaml")) {
        if let Err(complaint) = attempt(&kubectl, &manifests, &case) {
            panic!("{}: {complaint}", case.but);
        }
        // What the operator cannot read it would not see.
        let mut manifest = manifests[case.is.as_ref().or(case.was.as_ref()).unwrap()].clone();
        merge(&mut manifest, &case.but);
        let read = read(manifest);
        assert!(read.is_ok(), "{}: {read:?}", case.but);
    }
}

#[tokio::test]
async fn the_largest_lists_are_accepted_and_one_more_is_not() {
    let (_state, _plane, kubectl) = cluster().await;
    let manifests = manifests();
    let names =
        |n: usize, length: usize| -> Vec<String> { (0..n).map(|i| format!("{i:x<length$}").to_lowercase()).collect() };
    let refs = |n: usize| -> Vec<Value> { names(n, 63).iter().map(|name| json!({ "name": name })).collect() };
    let pool = |vos: usize, clouds: usize, flavors: usize, tags: usize| {
        json!({ "spec": {
            "vos": names(vos, 63), "clouds": refs(clouds), "machine": { "flavors": names(flavors, 255), "userData": "x".repeat(16_384) },
            "matching": { "tags": names(tags, 64), "requiredTags": names(tags, 64) },
        }})
    };
    let cloud = |images: usize, prices: usize, zones: usize| {
        let images: BTreeMap<String, Value> =
            names(images, 63).into_iter().map(|n| (n, json!({ "name": "any" }))).collect();
        let prices: Vec<Value> =
            names(prices, 255).iter().map(|n| json!({ "flavor": n, "perHour": "999999999.999999" })).collect();
        let gpus =
            json!({ "count": 1, "shares": 64, "vendor": "v".repeat(64), "model": "m".repeat(64), "memoryGiB": 65_536 });
        let facts = |n: &String| json!({ "name": n, "gpus": gpus.clone() });
        let flavors: Vec<Value> = names(prices.len(), 255).iter().map(facts).collect();
        let openstack = json!({ "availabilityZones": names(zones, 255) });
        json!({ "spec": { "images": images, "prices": prices, "flavors": flavors, "openstack": openstack } })
    };
    let vo = |groups: usize| {
        let mut groups: Vec<Value> =
            names(groups - 1, 128).iter().map(|n| json!({ "name": n, "properties": ["NormalUser"] })).collect();
        groups.push(json!({ "name": "biomed_pilot", "properties": ["GenericPilot"] }));
        json!({ "spec": { "groups": groups } })
    };
    let site = |ces: usize, queues: usize| {
        let queues: Vec<Value> =
            names(queues, 128).iter().map(|n| json!({ "name": n, "maxCpuTime": "59d23h59m59s" })).collect();
        let ce = |n: &String| json!({ "name": n, "type": "HTCondorCE", "queues": queues });
        json!({ "spec": { "computingElements": names(ces, 63).iter().map(ce).collect::<Vec<_>>() } })
    };
    let arrivals = |n: usize| {
        let one = json!({ "vo": "biomed", "group": "g".repeat(128), "jobsPerHour": 1, "cpuTime": "59d23h59m59s", "runTime": "59d23h59m59s" });
        json!({ "spec": { "simulated": { "arrivals": vec![one; n] } } })
    };
    let simcloud = |n: usize| {
        let flavor = |n: &String| json!({ "name": n, "cores": 1, "ramGiB": 1, "perHour": "999999999.999999" });
        json!({ "spec": { "simulated": { "flavors": names(n, 255).iter().map(flavor).collect::<Vec<_>>() } } })
    };
    // The manifest to which these are added has one image already.
    for (base, but, accepted) in [
        ("pool", pool(128, 64, 64, 64), true),
        ("pool", pool(129, 64, 64, 64), false),
        ("pool", pool(128, 65, 64, 64), false),
        ("pool", pool(128, 64, 65, 64), false),
        ("pool", pool(128, 64, 64, 65), false),
        ("openstack", cloud(63, 256, 32), true),
        ("openstack", cloud(64, 256, 32), false),
        ("openstack", cloud(63, 257, 32), false),
        ("openstack", cloud(63, 256, 33), false),
        ("vo", vo(64), true),
        ("vo", vo(65), false),
        ("site", site(64, 32), true),
        ("site", site(65, 32), false),
        ("site", site(64, 33), false),
        ("simulated", arrivals(64), true),
        ("simulated", arrivals(65), false),
        ("simcloud", simcloud(256), true),
        ("simcloud", simcloud(257), false),
    ] {
        let case = Case { is: Some(base.to_owned()), was: None, but, told: String::new(), untold: None };
        match attempt(&kubectl, &manifests, &case) {
            Ok(_) => assert!(accepted, "{base}: one more than the largest list was accepted"),
            Err(complaint) => {
                let complaint = complaint.to_string();
                assert!(
                    !accepted && complaint.contains("Too many"),
                    "{base}: {}",
                    &complaint[..complaint.len().min(600)]
                );
            }
        }
    }
}

#[tokio::test]
async fn kubectl_explains_lists_selects_and_scales() {
    let (_state, _plane, kubectl) = cluster().await;
    let manifests = manifests();
    for manifest in manifests.values() {
        kubectl.apply(&manifest.to_string()).unwrap();
    }
    let scaling = kubectl.run(&["explain", "pilotpool.spec.scaling"]).unwrap();
    for text in ["bootDeadline", "The most VMs at once", "stops by itself", "max"] {
        assert!(scaling.contains(text), "{scaling}");
    }
    let deadline = kubectl.run(&["explain", "pilotpool.spec.scaling.bootDeadline"]).unwrap();
    assert!(
        deadline.split_whitespace().collect::<Vec<_>>().join(" ").contains("must ask for work, 1m to 24h."),
        "{deadline}"
    );

    // Short names, columns and their wide ones.
    for (name, columns, wide) in [
        ("dirac", "NAME READY REASON WAITING VMS AGE", "MATCHER"),
        ("vo", "NAME READY REASON WAITING VMS CORES SHARE SPENT LEFT ENDS AGE", "RESERVED"),
        ("site", "NAME READY REASON DIRAC CLOUDS POOLS VMS AGE", "GOCDB"),
        ("cloud", "NAME READY REASON SITE VMS CORES QUOTA AGE", "EXPIRES"),
        ("pool", "NAME READY REASON WAITING VMS BOOTING RUNNING MAX AGE", "DRIFTED"),
        ("pvm", "NAME POOL VO CLOUD FLAVOR PHASE PILOT AGE", "PROVIDER"),
        ("dt", "NAME SITE CLOUD START END DRAINING ACTIVE VMS READY AGE", "DRAIN"),
    ] {
        let table = kubectl.run(&["get", name]).unwrap();
        let header = table.lines().next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(header, columns, "kubectl get {name}");
        assert!(kubectl.run(&["get", name, "--output=wide"]).unwrap().contains(wide), "kubectl get {name} -o wide");
    }

    // What a person may write on an object stands in the kind's own explanation.
    for (kind, annotations) in [
        ("diracinstallation", &["paused", "let-go"][..]),
        ("cloud", &["paused", "acknowledge-orphans", "acknowledge-change", "let-go"]),
        ("pilotpool", &["paused", "acknowledge-change", "delete-vms"]),
        ("pilotvm", &["let-go"]),
    ] {
        let explained = kubectl.run(&["explain", kind]).unwrap();
        for annotation in annotations {
            assert!(explained.contains(&format!("diracgrid.org/{annotation}")), "{kind}: {explained}");
        }
    }

    // Field selectors.
    for (kind, selector, found) in [
        ("pvm", "spec.poolRef.name=cpu", true),
        ("pvm", "spec.cloudRef.name=cppm-openstack,spec.vo=biomed", true),
        ("pvm", "spec.installationRef.name=other", false),
        ("pvm", "spec.offering.flavor=m1.large", true),
        ("pvm", "status.phase=Running", false),
        ("pool", "spec.siteRef.name=cppm", true),
        ("cloud", "spec.siteRef.name=other", false),
        ("site", "spec.diracName=CLOUD.CPPM.fr", true),
        ("vo", "spec.installationRef.name=egi", true),
        ("dt", "spec.siteRef.name=cppm", true),
    ] {
        let names = kubectl.run(&["get", kind, "--field-selector", selector, "--output=name"]).unwrap();
        assert_eq!(!names.is_empty(), found, "{kind} {selector}: {names}");
    }

    // The scale subresource is the pool's upper bound, and 0 always drains.
    kubectl
        .run(&["patch", "pool", "cpu", "--type=merge", "--patch", r#"{"spec":{"scaling":{"min":3,"spare":2}}}"#])
        .unwrap();
    kubectl.run(&["scale", "pool", "cpu", "--replicas=0"]).unwrap();
    assert_eq!(kubectl.run(&["get", "pool", "cpu", "--output=jsonpath={.spec.scaling.max}"]).unwrap(), "0");
    let status = r#"{"status":{"vms":7,"conditions":[{"type":"Ready","status":"True","reason":"Ok","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}"#;
    kubectl.run(&["patch", "pool", "cpu", "--subresource=status", "--type=merge", "--patch", status]).unwrap();
    let scale = kubectl.run(&[
        "get",
        "pool",
        "cpu",
        "--subresource=scale",
        "--output=jsonpath={.spec.replicas} {.status.replicas}",
    ]);
    assert!(scale.unwrap().contains('7'));
    // A status is written only through its subresource.
    kubectl.run(&["patch", "pool", "cpu", "--type=merge", "--patch", r#"{"status":{"vms":99}}"#]).unwrap();
    assert_eq!(kubectl.run(&["get", "pool", "cpu", "--output=jsonpath={.status.vms}"]).unwrap(), "7");

    // Defaults are real: what is not written can be read.
    let read = |kind: &str, path: &str| {
        kubectl.run(&["get", kind, "--output", &format!("jsonpath={{.items[0].spec.{path}}}")]).unwrap()
    };
    assert_eq!(read("pool", "scaling.bootDeadline"), "20m");
    assert_eq!(read("pool", "scaling.idleTimeout"), "5m");
    assert_eq!(read("pool", "scaling.maxLifetime"), "7d");
    assert_eq!(read("pool", "machine.image"), "default");
    assert_eq!(read("vo", "share"), "1");
    assert_eq!(read("cloud", "requests.perSecond"), "10");
    let drive = ["get", "cloud", "cppm-openstack", "--output=jsonpath={.spec.openstack.configDrive}"];
    assert_eq!(kubectl.run(&drive).unwrap(), "true");
    assert_eq!(read("dirac", "demand.pollInterval"), "20s");
}

#[test]
fn what_the_types_read_is_what_the_schema_accepts() {
    for (name, manifest) in manifests() {
        let read = read(manifest);
        assert!(read.is_ok(), "{name}: {read:?}");
    }
}

/// Reads a manifest as the operator does.
fn read(manifest: Value) -> serde_json::Result<()> {
    fn into<T: serde::de::DeserializeOwned>(manifest: Value) -> serde_json::Result<()> {
        serde_json::from_value::<T>(manifest).map(drop)
    }
    match manifest["kind"].as_str().unwrap() {
        "DiracInstallation" => into::<crds::DiracInstallation>(manifest),
        "VirtualOrganization" => into::<crds::VirtualOrganization>(manifest),
        "Site" => into::<crds::Site>(manifest),
        "Cloud" => into::<crds::Cloud>(manifest),
        "PilotPool" => into::<crds::PilotPool>(manifest),
        "PilotVM" => into::<crds::PilotVM>(manifest),
        "Downtime" => into::<crds::Downtime>(manifest),
        other => panic!("a kind {other} that nobody reads"),
    }
}
