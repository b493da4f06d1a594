//! `helm test`: the pod that the chart gives it, and what the pod's command says on a real API server, with the operator's account.

use std::{collections::BTreeSet, path::Path};

use serde_json::json;
use testbeds::{
    host::process::output,
    systems::{
        controlplane::ControlPlane,
        kubectl::Kubectl,
        operator::{NAMESPACE, Operator},
    },
};

use super::{
    ONE_NAMESPACE, granted,
    rendered::{find, render},
};

/// The words with which the chart has it run, for these values.
fn command(values: &[&str]) -> Vec<String> {
    let objects = render(values).unwrap();
    let args = &find(&objects, "Pod", "trial-verify")["spec"]["containers"][0]["args"];
    args.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_pod_of_helm_test_is_the_operators_image_and_account_and_no_more() {
    let objects = render(&[r#"watchNamespaces=["dirac"]"#, r#"imagePullSecrets=[{"name":"registry"}]"#]).unwrap();
    let (pod, deployment) = (find(&objects, "Pod", "trial-verify"), find(&objects, "Deployment", "trial"));
    assert_eq!(pod["metadata"]["annotations"]["helm.sh/hook"], "test");
    let (own, operators) = (&pod["spec"], &deployment["spec"]["template"]["spec"]);
    for same in ["serviceAccountName", "imagePullSecrets", "securityContext"] {
        assert_eq!(own[same], operators[same], "{same}");
    }
    for same in ["image", "imagePullPolicy", "securityContext"] {
        assert_eq!(own["containers"][0][same], operators["containers"][0][same], "{same}");
    }
    assert_eq!(own["restartPolicy"], "Never");
    // Neither the Service nor the Deployment nor the NetworkPolicy takes it for an operator.
    let selector = deployment["spec"]["selector"]["matchLabels"].as_object().unwrap();
    assert!(selector.iter().any(|(label, value)| pod["metadata"]["labels"][label] != *value), "{pod}");
}

#[test]
fn the_command_of_helm_test_has_the_values_that_the_operator_has() {
    assert_eq!(command(&[]), ["verify", "--namespace=trial", "--lease-name=trial", "--watch-namespace=trial"]);
    assert_eq!(command(&["clusterWide=true"]), ["verify", "--namespace=trial", "--lease-name=trial"]);
    let own = command(&[r#"clusterId="lyon""#, r#"secretNames=["a","b"]"#]);
    assert_eq!(own[4..], ["--cluster-id=lyon", "--secret-name=a", "--secret-name=b"].map(str::to_owned));
}

/// What it says with this account, and whether it is content.
fn verify(account: &Path, args: &[&str]) -> (bool, String) {
    let mut command = Operator::command(account).unwrap();
    let said = output(command.arg("verify").args(args), "").unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    (said.status.success(), text)
}

/// The lines of what lacks.
fn missing(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with("ok ")).collect()
}

/// The rights that it says it has, in the words of [`granted`], in this namespace or, for an empty one, elsewhere.
fn said(text: &str, place: &str) -> BTreeSet<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("ok       it may ")?.strip_suffix(place));
    lines
        .flat_map(|line| {
            let (verbs, resource) = line.rsplit_once(' ').unwrap();
            verbs.split(", ").map(move |verb| format!("{verb} {resource}")).collect::<Vec<_>>()
        })
        .collect()
}

/// Takes a verb for a resource out of a role.
fn take(kubectl: &Kubectl, role: &str, namespace: &str, rules: serde_json::Value) {
    let patch = json!({"rules": rules}).to_string();
    kubectl.run(&["patch", "role", role, "--namespace", namespace, "--type=merge", "--patch", &patch]).unwrap();
}

#[tokio::test]
async fn it_says_that_the_operator_can_work_or_which_right_kind_or_leader_lacks() {
    let state = tempfile::tempdir().unwrap();
    let plane = ControlPlane::start(state.path()).await.unwrap();
    let kubectl = plane.kubectl();
    kubectl.run(&["create", "namespace", "looked-after"]).unwrap();
    Operator::install_chart(&plane, ONE_NAMESPACE).unwrap();
    let account = plane.kubeconfig_for_service_account(NAMESPACE, NAMESPACE).await.unwrap();
    let args = ["--namespace", NAMESPACE, "--watch-namespace", NAMESPACE, "--watch-namespace=looked-after"];

    let (content, text) = verify(&account, &args);
    assert!(!content, "{text}");
    let lease = format!("nobody holds the Lease {NAMESPACE}/{NAMESPACE}: no operator runs");
    assert_eq!(missing(&text), [format!("missing  {lease}")], "{text}");

    let log = state.path().join("log/operator.log");
    let watched = ["--leader-elect", "--watch-namespace=looked-after", "--watch-namespace", NAMESPACE];
    let mut operator = Operator::start(&account, &log, &watched).unwrap();
    operator.ready().await.unwrap();
    let (content, text) = verify(&account, &args);
    assert!(content && missing(&text).is_empty(), "{text}");
    assert!(text.contains(" leads: the Lease "), "{text}");
    for kind in ["Cloud", "PilotVM", "Downtime"] {
        assert!(text.contains(&format!("the kind {kind} has every field of this version")), "{text}");
    }
    // It looks for exactly what the chart gives: no right is forgotten on either side.
    let role = |name: &str, namespace: &str| granted(&kubectl, &["role", name, "--namespace", namespace]);
    assert_eq!(said(&text, " in namespace looked-after"), role(NAMESPACE, "looked-after"));
    let own = &role(NAMESPACE, NAMESPACE) | &role(&format!("{NAMESPACE}-leader"), NAMESPACE);
    assert_eq!(said(&text, &format!(" in namespace {NAMESPACE}")), own);
    let cluster = granted(&kubectl, &["clusterrole", &format!("{NAMESPACE}-{NAMESPACE}-cluster")]);
    assert_eq!(cluster, BTreeSet::from(["get namespaces".to_owned(), "list pilotvms.diracgrid.org".to_owned()]));
    for line in ["it may get namespaces kube-system", "it may list pilotvms.diracgrid.org in all namespaces"] {
        assert!(text.contains(line), "{text}");
    }

    // A right taken away in one namespace, and the fields of a newer version.
    let all: serde_json::Value = serde_json::from_str(
        &kubectl.run(&["get", "role", NAMESPACE, "--namespace=looked-after", "--output=json"]).unwrap(),
    )
    .unwrap();
    let mut rules = all["rules"].clone();
    for rule in rules.as_array_mut().unwrap() {
        if rule["resources"] == json!(["pilotvms"]) {
            rule["verbs"] = json!(["get", "list", "watch", "create", "patch"]);
        }
    }
    take(&kubectl, NAMESPACE, "looked-after", rules);
    let path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/prices";
    let patch = json!([{"op": "remove", "path": path}]).to_string();
    kubectl.run(&["patch", "crd", "clouds.diracgrid.org", "--type=json", "--patch", &patch]).unwrap();
    let lacks = "missing  the kind Cloud is of another version, and lacks spec.prices";
    let mut last = String::new();
    for _ in 0..30 {
        // What the API server tells of its kinds follows some seconds later.
        let (content, text) = verify(&account, &args);
        assert!(!content, "{text}");
        last = text;
        if last.contains(lacks) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    let found = missing(&last);
    assert_eq!(found.len(), 2, "{last}");
    assert_eq!(found[0], "missing  it may not delete pilotvms.diracgrid.org in namespace looked-after");
    assert!(found[1].starts_with(lacks), "{last}");

    // A leader that stands still holds the Lease, and does no work.
    operator.process().signal(nix::sys::signal::Signal::SIGSTOP).unwrap();
    let (content, text) = verify(&account, &args);
    operator.process().signal(nix::sys::signal::Signal::SIGCONT).unwrap();
    assert!(!content && text.contains("and does not renew it"), "{text}");
}
