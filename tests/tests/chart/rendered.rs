//! What the chart renders, without a cluster: rights, arguments and network policy in each mode, and values that are refused.

use serde_json::{Value, json};
use testbeds::systems::{
    controlplane::build,
    helm::{Helm, chart},
};

/// The chart rendered as a person would who has no cluster at hand, and no `--kube-version` either.
pub fn render(values: &[&str]) -> anyhow::Result<Vec<Value>> {
    let state = tempfile::tempdir()?;
    let helm = Helm::new(build::helm()?, &state.path().join("no-cluster"));
    let chart = chart();
    let mut args = vec!["template", "trial", chart.to_str().unwrap(), "--namespace", "trial"];
    args.extend(["--set", "crds.install=false"]);
    values.iter().for_each(|v| args.extend(["--set-json", v]));
    let text = helm.run(&args)?;
    let documents = text.split("\n---").filter(|d| d.lines().any(|l| !l.is_empty() && !l.starts_with(['#', '-'])));
    Ok(documents.map(|d| serde_saphyr::from_str(d.trim_start_matches("---")).unwrap()).collect())
}

/// The objects of a kind, as `NAMESPACE/NAME`, and the one with this name.
pub fn named(objects: &[Value], kind: &str) -> Vec<String> {
    let of_kind = objects.iter().filter(|o| o["kind"] == kind);
    let word = |o: &Value, field: &str| o["metadata"][field].as_str().unwrap_or_default().to_owned();
    let mut names: Vec<_> = of_kind.map(|o| format!("{}/{}", word(o, "namespace"), word(o, "name"))).collect();
    names.sort();
    names
}

pub fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = objects.iter().find(|o| o["kind"] == kind && o["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}: {:?}", named(objects, kind)))
}

fn args(objects: &[Value]) -> Vec<&str> {
    let container = &find(objects, "Deployment", "trial")["spec"]["template"]["spec"]["containers"][0];
    container["args"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect()
}

/// Every right in the namespaces that are looked after. A new one is a decision, so it is written here too.
fn rights() -> Value {
    let ours = "diracgrid.org";
    json!([
        {"apiGroups": [ours], "resources": ["diracinstallations", "virtualorganizations", "sites", "clouds", "pilotpools", "downtimes"],
         "verbs": ["list", "watch"]},
        {"apiGroups": [ours],
         "resources": ["diracinstallations/status", "virtualorganizations/status", "sites/status", "clouds/status", "pilotpools/status",
                       "downtimes/status", "pilotvms/status"],
         "verbs": ["patch"]},
        {"apiGroups": [ours], "resources": ["diracinstallations", "clouds", "pilotpools"], "verbs": ["patch"]},
        {"apiGroups": [ours], "resources": ["pilotvms"], "verbs": ["get", "list", "watch", "create", "patch", "delete"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "patch"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "create", "patch", "delete"]},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
    ])
}

#[test]
fn by_default_the_operator_has_rights_in_the_releases_own_namespace_and_those_named() {
    for (values, namespaces) in [
        (&[][..], &["trial"][..]),
        (&[r#"watchNamespaces=["dirac","escape"]"#], &["dirac", "escape", "trial"]),
        (&[r#"watchNamespaces=["trial","dirac"]"#], &["dirac", "trial"]),
    ] {
        let objects = render(values).unwrap();
        let mut roles: Vec<String> = namespaces.iter().map(|n| format!("{n}/dirac-operator")).collect();
        roles.push("trial/trial-leader".to_owned());
        assert_eq!(named(&objects, "Role"), roles);
        assert_eq!(named(&objects, "RoleBinding"), roles);
        assert_eq!(find(&objects, "Role", "dirac-operator")["rules"], rights());
        assert_eq!(named(&objects, "ClusterRole"), ["/trial-trial-cluster", "/trial-trial-edit", "/trial-trial-view"]);
        assert_eq!(
            find(&objects, "ClusterRole", "trial-trial-cluster")["rules"],
            json!([
                {"apiGroups": [""], "resources": ["namespaces"], "resourceNames": ["kube-system"], "verbs": ["get"]},
                {"apiGroups": ["diracgrid.org"], "resources": ["pilotvms"], "verbs": ["list"]},
            ])
        );
        for namespace in namespaces {
            assert!(args(&objects).contains(&format!("--watch-namespace={namespace}").as_str()), "{namespace}");
        }
        let watched = args(&objects).iter().filter(|a| a.starts_with("--watch-namespace")).count();
        assert_eq!(watched, namespaces.len());
    }
}

#[test]
fn with_an_id_of_its_own_the_operator_has_no_right_outside_the_watched_namespaces() {
    let objects = render(&[r#"clusterId="egi-prod""#, "aggregateRoles=false"]).unwrap();
    assert!(named(&objects, "ClusterRole").is_empty() && named(&objects, "ClusterRoleBinding").is_empty());
    assert_eq!(find(&objects, "Role", "dirac-operator")["rules"], rights());
    assert!(args(&objects).contains(&"--cluster-id=egi-prod"));
    assert!(!args(&render(&[]).unwrap()).iter().any(|a| a.starts_with("--cluster-id")));
}

#[test]
fn all_namespaces_are_looked_after_only_when_asked_for() {
    let objects = render(&["clusterWide=true"]).unwrap();
    assert_eq!(named(&objects, "Role"), ["trial/trial-leader"]);
    assert_eq!(find(&objects, "ClusterRole", "dirac-operator")["rules"], rights());
    assert_eq!(named(&objects, "ClusterRoleBinding"), ["/dirac-operator", "/trial-trial-cluster"]);
    let cluster = &find(&objects, "ClusterRole", "trial-trial-cluster")["rules"];
    assert_eq!(cluster.as_array().unwrap().len(), 1, "PilotVMs are listed by the other role: {cluster}");
    assert!(!args(&objects).iter().any(|a| a.starts_with("--watch-namespace")));
}

#[test]
fn the_leaders_lease_and_what_people_get_are_no_more_than_they_need() {
    let objects = render(&[]).unwrap();
    assert_eq!(
        find(&objects, "Role", "trial-leader")["rules"],
        json!([{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "patch"]}])
    );
    let edit = &find(&objects, "ClusterRole", "trial-trial-edit")["rules"];
    assert_eq!(edit[1]["resources"], json!(["pilotvms"]));
    assert_eq!(edit[1]["verbs"], json!(["patch", "delete", "deletecollection"]), "an editor may let go of a PilotVM");
    let view = &find(&objects, "ClusterRole", "trial-trial-view")["rules"];
    assert_eq!(view[0]["verbs"], json!(["get", "list", "watch"]));
}

#[test]
fn secrets_can_be_named_so_that_no_other_is_ever_read() {
    let objects = render(&[r#"secretNames=["openstack","dirac-cert"]"#]).unwrap();
    let rules = &find(&objects, "Role", "dirac-operator")["rules"];
    let secrets = rules.as_array().unwrap().iter().find(|r| r["resources"] == json!(["secrets"])).unwrap();
    assert_eq!(secrets["resourceNames"], json!(["openstack", "dirac-cert"]));
}

#[test]
fn every_value_reaches_the_operator() {
    let objects = render(&[
        r#"intervals={"list":31,"busy":6.5,"rows":21,"catalogue":61}"#,
        "orphanAge=300",
        "allowHttp=true",
        "allowPrivateAddresses=true",
        r#"http.listen="0.0.0.0""#,
        r#"extraArgs=["--new-flag=a b"]"#,
        r#"extraEnv=[{"name":"RUST_BACKTRACE","value":"1"}]"#,
        r#"proxy={"https":"http://proxy:3128","noProxy":".example.org"}"#,
        r#"priorityClassName="important""#,
        r#"topologySpreadConstraints=[{"maxSkew":1,"topologyKey":"zone","whenUnsatisfiable":"ScheduleAnyway"}]"#,
    ])
    .unwrap();
    for arg in [
        "--list-interval=31",
        "--busy-interval=6.5",
        "--rows-interval=21",
        "--catalogue-interval=61",
        "--orphan-age=300",
        "--allow-http",
        "--allow-private-addresses",
        "--http=0.0.0.0:8080",
        "--new-flag=a b",
    ] {
        assert!(args(&objects).contains(&arg), "{arg}: {:?}", args(&objects));
    }
    let pod = &find(&objects, "Deployment", "trial")["spec"]["template"]["spec"];
    let variables: Vec<(&str, &str)> = pod["containers"][0]["env"]
        .as_array()
        .unwrap()
        .iter()
        .map(|variable| (variable["name"].as_str().unwrap(), variable["value"].as_str().unwrap()))
        .collect();
    let proxy = "http://proxy:3128";
    let own = [("HTTPS_PROXY", proxy), ("HTTP_PROXY", proxy), ("NO_PROXY", ".example.org"), ("RUST_BACKTRACE", "1")];
    assert_eq!(variables[1..], own);
    assert_eq!(pod["priorityClassName"], "important");
    assert_eq!(pod["topologySpreadConstraints"][0]["maxSkew"], 1);
    let plain = render(&[]).unwrap();
    assert!(args(&plain).contains(&"--http=[::]:8080") && args(&plain).contains(&"--orphan-age=120"));
    assert!(
        !args(&plain).iter().any(|a| a.starts_with("--allow")),
        "http and private addresses are refused by default"
    );
}

#[test]
fn the_image_is_a_full_reference_and_by_default_the_one_that_this_release_builds() {
    let image = |values: &[&str]| -> anyhow::Result<Value> {
        let pod = find(&render(values)?, "Deployment", "trial")["spec"]["template"]["spec"].clone();
        Ok(pod["containers"][0]["image"].clone())
    };
    assert_eq!(image(&[]).unwrap(), format!("localhost/dirac-operator:{}", env!("CARGO_PKG_VERSION")));
    let digest = format!("@sha256:{}", "0f".repeat(32));
    for (name, end) in
        [("ghcr.io/a/dirac-operator", ":1.2"), ("r:5000/o", &digest), ("r.org:5000/a/b-c", &format!(":1{digest}"))]
    {
        let reference = format!("{name}{end}");
        assert_eq!(image(&[&format!(r#"image.reference="{reference}""#)]).unwrap(), reference);
    }
    for part in
        ["dirac-operator:1", "library/dirac-operator:1", "r.org/o", "r.org/o:", "r.org/O:1", "r.org/o@sha256:00", ""]
    {
        let error = image(&[&format!(r#"image.reference="{part}""#)]).unwrap_err().to_string();
        assert!(error.contains("reference") && error.contains("pattern"), "{part}: {error}");
    }
}

/// Whether an egress rule of the policy lets this port out to every address.
fn is_open(policy: &Value, port: u16) -> bool {
    let rules = policy["spec"]["egress"].as_array().unwrap().iter();
    let mut to_port = rules.filter(|r| r["ports"].as_array().unwrap().iter().any(|p| p["port"] == port));
    to_port.any(|r| r["to"].is_null())
}

/// The address block to which an egress rule of the policy lets this port out.
fn except<'a>(policy: &'a Value, cidr: &str, port: u16) -> Option<&'a Value> {
    let rules = policy["spec"]["egress"].as_array().unwrap().iter();
    let mut to_port = rules.filter(|r| r["ports"].as_array().unwrap().iter().any(|p| p["port"] == port));
    to_port.find_map(|r| r["to"].as_array()?.iter().find(|t| t["ipBlock"]["cidr"] == cidr))
}

#[test]
fn the_network_policy_lets_out_what_is_needed_and_in_what_reads_metrics() {
    let closed = render(&[]).unwrap();
    let policy = find(&closed, "NetworkPolicy", "trial");
    assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(policy["spec"]["ingress"], json!([{"from": [{"podSelector": {}}], "ports": [{"port": "http"}]}]));
    let rules = policy["spec"]["egress"].as_array().unwrap();
    assert!(rules.iter().all(|r| r["ports"].as_array().is_some_and(|p| !p.is_empty())), "no rule for every port");
    let ports: Vec<u64> =
        rules.iter().flat_map(|r| r["ports"].as_array().unwrap()).filter_map(|p| p["port"].as_u64()).collect();
    for needed in [53, 443, 6443, 5000, 8774, 8776, 9292, 9696, 9130] {
        assert!(ports.contains(&needed), "{needed}");
    }
    let clouds = except(policy, "0.0.0.0/0", 5000).unwrap();
    let kept_out = |block: &Value, cidr: &str| block["ipBlock"]["except"].as_array().unwrap().contains(&json!(cidr));
    assert!(kept_out(clouds, "169.254.0.0/16") && kept_out(clouds, "10.0.0.0/8"));
    assert!(kept_out(clouds, "168.63.129.16/32"), "Azure's metadata service");
    assert!(kept_out(except(policy, "::/0", 5000).unwrap(), "fd00:ec2::254/128"), "AWS's metadata service");
    // What values.yaml says: without the API server's address its ports are open to all, whatever the rule of clouds leaves out.
    let open = [443, 6443, 9130, 5000, 8774].map(|port| is_open(policy, port));
    assert_eq!(open, [true, true, true, false, false]);

    let private = render(&["allowPrivateAddresses=true"]).unwrap();
    let clouds = except(find(&private, "NetworkPolicy", "trial"), "0.0.0.0/0", 5000).unwrap();
    assert!(kept_out(clouds, "169.254.0.0/16") && !kept_out(clouds, "10.0.0.0/8"));

    let own = render(&[
        "networkPolicy.metricsFrom=[]",
        r#"networkPolicy.egress.apiServer.to=[{"ipBlock":{"cidr":"10.0.0.1/32"}}]"#,
        r#"networkPolicy.egress.extra=[{"ports":[{"port":3128}],"to":[{"podSelector":{}}]}]"#,
    ])
    .unwrap();
    let policy = find(&own, "NetworkPolicy", "trial");
    assert_eq!(policy["spec"]["ingress"], json!([]), "nobody named: nobody");
    assert!(except(policy, "10.0.0.1/32", 6443).is_some());
    assert!(!is_open(policy, 443) && !is_open(policy, 6443), "nothing but the API server and public addresses");
    assert!(kept_out(except(policy, "0.0.0.0/0", 443).unwrap(), "10.0.0.0/8"));
    assert!(policy["spec"]["egress"].as_array().unwrap().iter().any(|r| r["ports"][0]["port"] == 3128));

    let open = render(&["networkPolicy.egress.enabled=false"]).unwrap();
    assert_eq!(find(&open, "NetworkPolicy", "trial")["spec"]["policyTypes"], json!(["Ingress"]));
    assert!(named(&render(&["networkPolicy.enabled=false"]).unwrap(), "NetworkPolicy").is_empty());
}

#[test]
fn nonsense_in_the_values_is_refused_before_anything_is_installed() {
    for (value, said) in [
        ("replicas=6", "replicas"),
        (r#"clusterWide="yes""#, "clusterWide"),
        (r#"watchNamespaces=["a","a"]"#, "watchNamespaces"),
        (r#"clusterId="Not An Id""#, "clusterId"),
        (r#"secretNames=["Not_A_Name"]"#, "secretNames"),
        (r#"allowHttp="sometimes""#, "allowHttp"),
        ("allowPrivateAddresses=1", "allowPrivateAddresses"),
        ("intervals.list=0", "intervals"),
        (r#"intervals.rows="20s""#, "intervals"),
        ("intervals.roows=20", "roows"),
        ("orphanAge=1", "orphanAge"),
        (r#"extraArgs=["run"]"#, "extraArgs"),
        (r#"extraEnv=[{"value":"a"}]"#, "extraEnv"),
        (r#"http.listen="localhost""#, "listen"),
        (r#"networkPolicy.metricsFrom=[{"everybody":{}}]"#, "metricsFrom"),
        ("networkPolicy.metricsFrom=[{}]", "metricsFrom"),
        ("networkPolicy.egress.clouds.ports=[]", "ports"),
        ("networkPolicy.egress.dirac.ports=[{\"port\":99999}]", "ports"),
        ("networkPolicy.egres=true", "egres"),
        (r#"topologySpreadConstraints=[{"maxSkew":1}]"#, "topologySpreadConstraints"),
        (r#"serviceMonitor.interval="often""#, "interval"),
        (r#"prometheusRule.labels={"team":7}"#, "labels"),
        (r#"prometheusRule.runbooks="docs/runbooks""#, "runbooks"),
        (r#"prometheusRule.runbooks="https://docs.example.org/runbooks/""#, "runbooks"),
        (r#"dashboard.enabled="yes""#, "dashboard"),
        (r#"proxy.https="proxy:3128""#, "proxy"),
    ] {
        let error = render(&[value]).unwrap_err().to_string();
        assert!(error.contains("schema") && error.contains(said), "{value}: {error}");
    }
    let both = render(&["clusterWide=true", r#"watchNamespaces=["dirac"]"#]).unwrap_err().to_string();
    assert!(both.contains("watchNamespaces"), "all namespaces, or some: {both}");
}
