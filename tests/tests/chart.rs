//! Layer `chart`: the Helm chart linted, rendered, installed, upgraded and uninstalled in a real control plane; its rights tried.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use testbeds::{
    controlplane::{ControlPlane, build},
    helm::chart,
    operator::NAMESPACE,
};

/// Verb, resource, namespace or none, and whether the operator's account may.
const RIGHTS: [(&str, &str, bool); 24] = [
    ("list", "pilotpools.diracgrid.org", true),
    ("watch", "clouds.diracgrid.org", true),
    ("create", "pilotvms.diracgrid.org", true),
    ("delete", "pilotvms.diracgrid.org", true),
    ("patch", "pilotvms.diracgrid.org --subresource=status", true),
    ("patch", "pilotpools.diracgrid.org --subresource=status", true),
    ("patch", "clouds.diracgrid.org", true),
    ("get", "secrets", true),
    ("create", "configmaps", true),
    ("create", "events.events.k8s.io", true),
    ("list", "secrets", false),
    ("watch", "secrets", false),
    ("update", "secrets", false),
    ("create", "pilotpools.diracgrid.org", false),
    ("patch", "pilotpools.diracgrid.org", false),
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
    for values in [&[][..], &everything] {
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

    let install = [
        "upgrade",
        "--install",
        NAMESPACE,
        chart,
        "--namespace",
        NAMESPACE,
        "--create-namespace",
        "--set",
        "replicas=0",
    ];
    let notes = helm.run(&install).unwrap();
    assert!(notes.contains("kubectl get dirac-all"), "{notes}");
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

    let upgraded = helm.run(&[&install[..], &["--set", "log.level=debug"]].concat()).unwrap();
    assert!(upgraded.contains("REVISION: 2"), "{upgraded}");
    helm.run(&["uninstall", NAMESPACE, "--namespace", NAMESPACE]).unwrap();
    let crds = kubectl.run(&["get", "crd", "--output=name"]).unwrap();
    assert_eq!(
        crds.lines().filter(|l| l.ends_with(".diracgrid.org")).count(),
        7,
        "uninstalling keeps the CRDs: {crds}"
    );
}
