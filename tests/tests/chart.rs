//! Layer `chart`: the Helm chart linted, rendered, installed, upgraded and uninstalled in a real control plane; its rights tried; its
//! image run in a real kubelet; what the pods of tests have in such a cluster.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "chart/kubelet.rs"]
mod kubelet;
#[path = "chart/monitoring.rs"]
mod monitoring;
#[path = "chart/rendered.rs"]
mod rendered;
#[path = "chart/services.rs"]
mod services;
#[path = "chart/verify.rs"]
mod verify;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use testbeds::systems::{
    controlplane::{ControlPlane, build},
    helm::chart,
    kubectl::Kubectl,
    operator::{EVERYWHERE, NAMESPACE, Operator, install},
};

/// Verb, resource, namespace or none, and whether the operator's account may.
const RIGHTS: [(&str, &str, bool); 27] = [
    ("list", "pilotpools.diracgrid.org", true),
    ("watch", "clouds.diracgrid.org", true),
    ("create", "pilotvms.diracgrid.org", true),
    ("delete", "pilotvms.diracgrid.org", true),
    ("patch", "pilotvms.diracgrid.org --subresource=status", true),
    ("patch", "pilotpools.diracgrid.org --subresource=status", true),
    ("patch", "clouds.diracgrid.org", true),
    ("patch", "diracinstallations.diracgrid.org", true),
    ("get", "secrets", true),
    ("patch", "secrets", true),
    ("create", "configmaps", true),
    ("create", "events.events.k8s.io", true),
    ("list", "secrets", false),
    ("watch", "secrets", false),
    ("update", "secrets", false),
    ("delete", "secrets", false),
    ("create", "pilotpools.diracgrid.org", false),
    ("patch", "pilotpools.diracgrid.org", true),
    ("delete", "clouds.diracgrid.org", false),
    ("delete", "pilotpools.diracgrid.org", false),
    ("create", "pods", false),
    ("create", "pods --subresource=exec", false),
    ("delete", "namespaces", false),
    ("list", "namespaces", false),
    ("escalate", "clusterroles.rbac.authorization.k8s.io", false),
    ("create", "rolebindings.rbac.authorization.k8s.io", false),
    ("create", "customresourcedefinitions.apiextensions.k8s.io", false),
];

/// Values of a release that looks after its own namespace and one more; no pod runs.
const ONE_NAMESPACE: &str = "replicas=0,watchNamespaces={looked-after}";

#[tokio::test]
async fn the_chart_installs_gives_exactly_its_rights_and_keeps_its_crds() {
    let state = tempfile::tempdir().unwrap();
    let plane = ControlPlane::start(state.path()).await.unwrap();
    let (helm, kubectl) = (plane.helm().unwrap(), plane.kubectl());
    let chart = chart();
    let chart = chart.to_str().unwrap();

    helm.run(&["lint", "--strict", chart]).unwrap();
    let everything = [
        "watchNamespaces={dirac,escape}",
        "replicas=2",
        "log.format=human",
        "serviceAccount.name=own",
        "imagePullSecrets[0].name=registry",
        "nodeSelector.kind=small",
    ];
    kubectl.run(&["create", "namespace", "dirac"]).unwrap();
    kubectl.run(&["create", "namespace", "escape"]).unwrap();
    kubectl.run(&["create", "namespace", "trial"]).unwrap();
    // The pod of `helm test` is refused where its account is not there, and what is only tried is not.
    for account in ["trial", "own"] {
        kubectl.run(&["create", "serviceaccount", account, "--namespace", "trial"]).unwrap();
    }
    for values in [&[][..], &everything, &["clusterWide=true"], &["clusterId=trial"]] {
        let mut args = vec!["template", "trial", chart, "--namespace", "trial", "--kube-version", build::KUBERNETES];
        values.iter().for_each(|v| args.extend(["--set", v]));
        let rendered = helm.run(&args).unwrap();
        kubectl.run_with(&["apply", "--dry-run=server", "--validate=strict", "-f", "-"], &rendered).unwrap();
    }

    for (value, said) in [
        ("replicas=many", "replicas"),
        ("replicas=-1", "minimum"),
        ("watchNamespaces={Not_A_Name}", "pattern"),
        ("log.format=xml", "format"),
        ("unknown=1", "unknown"),
    ] {
        let error = helm
            .run(&["template", "trial", chart, "--kube-version", build::KUBERNETES, "--set", value])
            .unwrap_err()
            .to_string();
        assert!(error.contains(said) && error.contains("schema"), "{value}: {error}");
    }

    let install = install(chart, EVERYWHERE);
    let notes = helm.run(&install).unwrap();
    assert!(notes.contains("kubectl get dirac-all"), "{notes}");
    assert!(notes.contains("kubectl label secret NAME diracgrid.org/credential=true"), "{notes}");
    for role in ["view", "edit"] {
        let user = format!("--user={role}er");
        let args = ["create", "rolebinding", role, "--clusterrole", role, &user, "--namespace=dirac"];
        kubectl.run(&args).unwrap();
    }

    let account = format!("--as=system:serviceaccount:{NAMESPACE}:{NAMESPACE}");
    let may = |verb: &str, resource: &str, more: &[&str]| {
        let mut args = vec!["auth", "can-i", verb, &account];
        args.extend(resource.split(' '));
        args.extend(more);
        // `can-i` ends with an error when the answer is no.
        kubectl.run(&args).is_ok_and(|answer| answer.trim() == "yes")
    };
    for (verb, resource, allowed) in RIGHTS {
        assert_eq!(may(verb, resource, &["--namespace", "dirac"]), allowed, "may the operator {verb} {resource}?");
    }
    assert!(may("get", "namespaces/kube-system", &[]), "its UID is the cluster's id");
    assert!(!may("get", "namespaces/default", &[]));
    assert!(may("create", "leases.coordination.k8s.io", &["--namespace", NAMESPACE]));
    assert!(!may("create", "leases.coordination.k8s.io", &["--namespace", "dirac"]));

    for (verb, resource, viewer, editor) in USERS {
        for (role, allowed) in [("view", viewer), ("edit", editor)] {
            let user = format!("--as={role}er");
            let mut args = vec!["auth", "can-i", verb, "--namespace=dirac", &user];
            args.extend(resource.split(' '));
            let answer = kubectl.run(&args).is_ok_and(|answer| answer.trim() == "yes");
            assert_eq!(answer, allowed, "may one who may {role} the namespace {verb} {resource}?");
        }
    }

    // Two releases would know nothing of each other, and both act.
    let second = |values: &str| {
        helm.run(&["install", "second", chart, "--namespace", "escape", "--set", values]).unwrap_err().to_string()
    };
    let error = second("clusterWide=true,crds.install=false,aggregateRoles=false");
    assert!(error.contains(r#"ClusterRole "dirac-operator""#) && error.contains("ownership"), "{error}");
    let error = second("watchNamespaces={dirac},crds.install=false,aggregateRoles=false");
    assert!(error.contains("looks after all namespaces already"), "{error}");

    let upgraded = helm.run(&[&install[..], &["--set", "log.level=debug"]].concat()).unwrap();
    assert!(upgraded.contains("REVISION: 2"), "{upgraded}");

    // The narrow mode, tried: the release's own namespace and the one that is named, and no other.
    let narrow = ["--set", "clusterWide=false,watchNamespaces={dirac}"];
    let notes = helm.run(&[&install[..], &narrow].concat()).unwrap();
    assert!(notes.contains(&format!("the namespaces {NAMESPACE}, dirac.")), "{notes}");
    until("the wide rights are gone", || !may("get", "secrets", &["--namespace", "escape"])).await;
    for (verb, resource, allowed) in RIGHTS {
        let here = may(verb, resource, &["--namespace", "dirac"]);
        assert_eq!(here, allowed, "may the narrow operator {verb} {resource}?");
        let there = allowed && may(verb, resource, &["--namespace", "escape"]);
        assert!(!there, "{verb} {resource} where it looks after nothing");
    }
    assert!(may("get", "secrets", &["--namespace", NAMESPACE]), "the release's own namespace is looked after");
    let error = second("watchNamespaces={dirac},crds.install=false,aggregateRoles=false");
    assert!(error.contains(r#"Role "dirac-operator" in namespace "dirac""#) && error.contains("ownership"), "{error}");
    let error = second("clusterWide=true,crds.install=false,aggregateRoles=false");
    assert!(error.contains("looks after namespace dirac") && error.contains("already"), "{error}");
    // One thing is asked of all namespaces: whether a PilotVM exists.
    assert!(may("list", "pilotvms.diracgrid.org", &["--all-namespaces"]), "an orphan is one of no namespace");
    assert!(!may("get", "pilotvms.diracgrid.org", &["--namespace", "escape"]));
    helm.run(&[&install[..], &narrow, &["--set", "clusterId=trial"]].concat()).unwrap();
    until("its own id needs no cluster role", || !may("list", "pilotvms.diracgrid.org", &["--all-namespaces"])).await;
    assert!(!may("get", "namespaces/kube-system", &[]));

    helm.run(&["uninstall", NAMESPACE, "--namespace", NAMESPACE]).unwrap();
    let crds = kubectl.run(&["get", "crd", "--output=name"]).unwrap();
    assert_eq!(
        crds.lines().filter(|l| l.ends_with(".diracgrid.org")).count(),
        7,
        "uninstalling keeps the CRDs: {crds}"
    );
}

/// Waits until what was changed has reached the API server's own memory of rights.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}: not after 30 s");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// What a VO's own people get through the cluster's view and edit roles: verb, resource, may a viewer, may an editor.
const USERS: [(&str, &str, bool, bool); 10] = [
    ("list", "pilotpools.diracgrid.org", true, true),
    ("watch", "pilotvms.diracgrid.org", true, true),
    ("create", "clouds.diracgrid.org", false, true),
    ("patch", "pilotpools.diracgrid.org --subresource=scale", false, true),
    ("delete", "pilotvms.diracgrid.org", false, true),
    ("create", "pilotvms.diracgrid.org", false, false),
    ("patch", "pilotvms.diracgrid.org", false, true),
    ("patch", "pilotvms.diracgrid.org --subresource=status", false, false),
    ("patch", "clouds.diracgrid.org", false, true),
    ("patch", "pilotpools.diracgrid.org --subresource=status", false, false),
];

/// VMs that never boot, an installation and a cloud that do not answer: in two minutes the operator does all that it ever does.
const BUSY: &str = "
apiVersion: diracgrid.org/v1alpha1
kind: DiracInstallation
metadata: {name: simulated, namespace: looked-after}
spec: {simulated: {seed: 1, arrivals: [{vo: biomed, group: biomed_user, jobsPerHour: 3600, cpuTime: 1h}]}}
---
apiVersion: diracgrid.org/v1alpha1
kind: DiracInstallation
metadata: {name: elsewhere, namespace: looked-after}
spec:
  external:
    matcher: dips://127.0.0.1:1/WorkloadManagement/Matcher
    pilotManager: dips://127.0.0.1:1/WorkloadManagement/PilotManager
    credentials: {certificateSecretRef: {name: none}, group: dirac_admin}
---
apiVersion: diracgrid.org/v1alpha1
kind: VirtualOrganization
metadata: {name: biomed, namespace: looked-after}
spec: {installationRef: {name: simulated}, diracName: biomed, groups: [{name: biomed_user}, {name: biomed_pilot, properties: [GenericPilot]}], pilot: {group: biomed_pilot}}
---
apiVersion: diracgrid.org/v1alpha1
kind: Site
metadata: {name: site, namespace: looked-after}
spec: {installationRef: {name: simulated}, diracName: CLOUD.Site.org, vos: [biomed]}
---
apiVersion: diracgrid.org/v1alpha1
kind: Cloud
metadata: {name: cloud, namespace: looked-after}
spec:
  siteRef: {name: site}
  simulated: {quota: {vms: 4}, flavors: [{name: small, cores: 1, ramGiB: 2}], faults: {bootFailure: 1}}
  images: {default: {name: any}}
---
apiVersion: diracgrid.org/v1alpha1
kind: PilotPool
metadata: {name: pool, namespace: looked-after}
spec: {siteRef: {name: site}, vos: [biomed], clouds: [{name: cloud}], machine: {flavors: [small], image: default}, matching: {maxCpuTime: 24h}, scaling: {max: 4, bootDeadline: 1m}}
---
apiVersion: diracgrid.org/v1alpha1
kind: Downtime
metadata: {name: later, namespace: looked-after}
spec: {siteRef: {name: site}, cloudRef: {name: cloud}, start: '2130-01-01T00:00:00Z', end: '2130-01-02T00:00:00Z'}
";

/// Rights that do not show in two minutes: old console logs go when there are twenty newer ones; an apply that makes an object needs
/// the right to create it and is noted as a patch; and a PilotVM is read by itself when the watch is long silent about it. The Secret
/// that BUSY names does not exist: it gets no finalizer.
const RARE: [&str; 4] = ["delete configmaps", "create configmaps", "get pilotvms.diracgrid.org", "patch secrets"];

/// What a role or cluster role grants, as `VERB RESOURCE.GROUP/SUBRESOURCE`.
fn granted(kubectl: &Kubectl, role: &[&str]) -> BTreeSet<String> {
    let text = kubectl.run(&[&["get", "--output=json"], role].concat()).unwrap();
    let role: serde_json::Value = serde_json::from_str(&text).unwrap();
    let words = |list: &serde_json::Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|w| w.as_str().unwrap().to_owned()).collect()
    };
    let mut all = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        let group = rule["apiGroups"][0].as_str().unwrap();
        for resource in words(&rule["resources"]) {
            let (name, below) = resource.split_once('/').map_or((resource.as_str(), None), |(n, b)| (n, Some(b)));
            let group = if group.is_empty() { String::new() } else { format!(".{group}") };
            let below = below.map(|b| format!("/{b}")).unwrap_or_default();
            all.extend(words(&rule["verbs"]).iter().map(|verb| format!("{verb} {name}{group}{below}")));
        }
    }
    all
}

/// Takes a PilotVM away while the operator is not looking, finalizer and all: its VM is left behind in the cloud.
fn orphan_a_vm(kubectl: &Kubectl, operator: &mut Operator) -> bool {
    let filter = "jsonpath={.items[?(@.status.providerId)].metadata.name}";
    let vms = kubectl.run(&["get", "pilotvms", "--namespace=looked-after", "--output", filter]).unwrap();
    let Some(vm) = vms.split(' ').find(|name| !name.is_empty()) else { return false };
    operator.process().signal(Signal::SIGSTOP).unwrap();
    kubectl.run(&["delete", "pilotvm", vm, "--namespace=looked-after", "--wait=false"]).unwrap();
    let free = r#"{"metadata": {"finalizers": null}}"#;
    kubectl.run(&["patch", "pilotvm", vm, "--namespace=looked-after", "--type=merge", "--patch", free]).unwrap();
    operator.process().signal(Signal::SIGCONT).unwrap();
    true
}

#[tokio::test]
async fn an_operator_of_one_namespace_uses_every_right_that_it_has_and_is_never_refused() {
    let state = tempfile::tempdir().unwrap();
    let plane = ControlPlane::start(state.path()).await.unwrap();
    let kubectl = plane.kubectl();
    kubectl.run(&["create", "namespace", "looked-after"]).unwrap();
    Operator::install_chart(&plane, ONE_NAMESPACE).unwrap();

    // Each role with the namespaces in which it counts; none is a request of all namespaces at once.
    let cluster = format!("{NAMESPACE}-{NAMESPACE}-cluster");
    let roles = [
        (granted(&kubectl, &["role", NAMESPACE, "--namespace=looked-after"]), &["looked-after"][..]),
        (granted(&kubectl, &["role", &format!("{NAMESPACE}-leader"), "--namespace", NAMESPACE]), &[NAMESPACE]),
        (granted(&kubectl, &["clusterrole", &cluster]), &["", "kube-system"]),
    ];

    let account = plane.kubeconfig_for_service_account(NAMESPACE, NAMESPACE).await.unwrap();
    let mut args = vec!["--watch-namespace=looked-after", "--leader-elect", "--orphan-age=2"];
    args.extend(["--list-interval=1", "--busy-interval=1"]);
    let mut operator = Operator::start(&account, &state.path().join("log/operator.log"), &args).unwrap();
    operator.ready().await.unwrap();
    kubectl.apply(BUSY).unwrap();

    let begun = Instant::now();
    let mut orphaned = false;
    loop {
        orphaned = orphaned || orphan_a_vm(&kubectl, &mut operator);
        let made = plane.requests_of(NAMESPACE, NAMESPACE).unwrap();
        let refused: Vec<_> = made.iter().filter(|(_, codes)| codes.contains(&403)).collect();
        assert!(refused.is_empty(), "the chart gives too little: {refused:#?}");
        let mut unused = BTreeSet::new();
        for (rights, namespaces) in &roles {
            let there = made.keys().filter(|r| namespaces.contains(&r.namespace.as_str()));
            let used: BTreeSet<String> = there.map(|r| format!("{} {}", r.verb, r.resource)).collect();
            unused.extend(rights.difference(&used).cloned());
        }
        unused.retain(|right| !RARE.contains(&right.as_str()));
        if unused.is_empty() {
            break;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(150),
            "the chart gives too much, or the operator did too little: {unused:#?}\n{}",
            operator.process().last_words()
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    println!("every right was used after {} s", begun.elapsed().as_secs());
}
