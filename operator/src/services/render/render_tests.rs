use std::collections::BTreeSet;

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    batch::v1::Job,
    core::v1::{ConfigMap, PodSpec, Service},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};

use super::*;
use crate::names::Key;

/// The manifest with these fields beside those that it must have.
fn managed(more: Value) -> Managed {
    let mut spec = json!({"diracVersion": "9.1.22", "diracxVersion": "0.7.0", "host": "dirac.example.org"});
    for (name, value) in more.as_object().unwrap() {
        spec[name] = value.clone();
    }
    serde_json::from_value(spec).unwrap()
}

fn rendered(spec: &Managed) -> Vec<Stage> {
    let images = Images::default();
    let installation = Installation {
        names: Names { key: Key { namespace: "dirac".into(), name: "escape".into() } },
        spec,
        images: &images,
        owner: json!({"apiVersion": "diracgrid.org/v1alpha1", "kind": "DiracInstallation", "name": "escape", "uid": "u"}),
        chosen: catalogue::chosen(spec.components.as_ref()).unwrap(),
        address: Some("10.96.0.7".into()),
        certificate: "escape-host",
        host_dn: "/O=DIRAC/CN=dirac.example.org",
        authority: "-----BEGIN CERTIFICATE-----",
        version_of_secrets: "1",
    };
    stages(&installation).unwrap()
}

fn objects(spec: &Managed) -> Vec<Value> {
    rendered(spec).into_iter().flat_map(|stage| stage.objects).collect()
}

fn of_kind<K: serde::de::DeserializeOwned>(objects: &[Value], kind: &str) -> Vec<K> {
    let of_kind = objects.iter().filter(|object| object["kind"] == kind);
    of_kind.map(|object| serde_json::from_value(object.clone()).unwrap()).collect()
}

fn pods(objects: &[Value]) -> Vec<(String, PodSpec)> {
    let templates = objects.iter().filter(|object| !object["spec"]["template"].is_null());
    templates
        .map(|object| {
            let name = object["metadata"]["name"].as_str().unwrap().to_owned();
            (name, serde_json::from_value(object["spec"]["template"]["spec"].clone()).unwrap())
        })
        .collect()
}

fn named<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = objects.iter().find(|o| o["kind"] == kind && o["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}"))
}

#[test]
fn every_object_is_of_its_kind_and_has_a_name_of_its_own() {
    let all = objects(&managed(json!({"components": {"profile": "full"}})));
    let read = of_kind::<Deployment>(&all, "Deployment").len()
        + of_kind::<StatefulSet>(&all, "StatefulSet").len()
        + of_kind::<Job>(&all, "Job").len()
        + of_kind::<Service>(&all, "Service").len()
        + of_kind::<ConfigMap>(&all, "ConfigMap").len()
        + of_kind::<NetworkPolicy>(&all, "NetworkPolicy").len()
        + of_kind::<PodDisruptionBudget>(&all, "PodDisruptionBudget").len();
    assert_eq!(read, all.len(), "no object is of another kind");
    let names: BTreeSet<String> = all.iter().map(|o| format!("{} {}", o["kind"], o["metadata"]["name"])).collect();
    assert_eq!(names.len(), all.len());
    assert!(
        all.iter().all(|o| o["metadata"]["namespace"] == "dirac" && o["metadata"]["ownerReferences"][0]["uid"] == "u")
    );
}

#[test]
fn no_pod_has_more_rights_than_it_needs() {
    for (name, pod) in pods(&objects(&managed(json!({})))) {
        assert_eq!(pod.automount_service_account_token, Some(false), "{name}");
        let context = pod.security_context.unwrap();
        assert_eq!(
            (context.run_as_non_root, context.run_as_user.is_some_and(|user| user > 0)),
            (Some(true), true),
            "{name}"
        );
        for container in pod.containers.iter().chain(pod.init_containers.iter().flatten()) {
            let context = container.security_context.clone().unwrap();
            assert_eq!(context.read_only_root_filesystem, Some(true), "{name}/{}", container.name);
            assert_eq!(context.allow_privilege_escalation, Some(false), "{name}/{}", container.name);
            assert!(
                container.resources.clone().unwrap().limits.unwrap().contains_key("memory"),
                "{name}/{}",
                container.name
            );
        }
        let mounted: BTreeSet<&str> = pod.volumes.iter().flatten().map(|volume| volume.name.as_str()).collect();
        let mounts = pod
            .containers
            .iter()
            .chain(pod.init_containers.iter().flatten())
            .flat_map(|c| c.volume_mounts.iter().flatten());
        let missing: Vec<_> =
            mounts.map(|m| m.name.as_str()).filter(|m| *m != "data" && !mounted.contains(m)).collect();
        assert!(missing.is_empty(), "{name} mounts {missing:?}");
    }
}

#[test]
fn the_one_name_leads_to_the_one_service_in_every_pod_and_each_port_to_pods_that_have_it() {
    let spec = managed(json!({}));
    let all = objects(&spec);
    for (name, pod) in pods(&all) {
        let alias = &pod.host_aliases.unwrap()[0];
        assert_eq!(
            (alias.ip.as_str(), alias.hostnames.clone().unwrap()[0].as_str()),
            ("10.96.0.7", "dirac.example.org"),
            "{name}"
        );
        for container in pod.containers {
            for port in container.ports.into_iter().flatten() {
                // A longer name of a port is refused by the API server.
                assert!(port.name.unwrap().len() <= 15);
            }
        }
    }
    let matcher = named(&all, "Deployment", "escape-matcher");
    let template = &matcher["spec"]["template"];
    assert_eq!(template["spec"]["containers"][0]["ports"][0]["name"], "dirac-9170");
    assert_eq!(template["metadata"]["labels"]["diracgrid.org/front"], "true");
    let mind = named(&all, "NetworkPolicy", "escape-optimizationmind");
    assert!(mind["spec"]["ingress"][0]["from"].is_array(), "only DIRAC itself calls it");
}

#[test]
fn what_may_run_twice_is_replaced_without_a_gap_and_what_may_not_is_stopped_first() {
    let spec = managed(json!({"components": {"overrides": [{"name": "WorkloadManagement/Matcher", "replicas": 2}]}}));
    let all = objects(&spec);
    let strategy = |name: &str| named(&all, "Deployment", name)["spec"]["strategy"]["type"].clone();
    assert_eq!(strategy("escape-matcher"), "RollingUpdate");
    assert_eq!(strategy("escape-optimizationmind"), "Recreate");
    assert_eq!(named(&all, "PodDisruptionBudget", "escape-matcher")["spec"]["maxUnavailable"], 1);
}

#[test]
fn stores_come_first_and_those_that_are_elsewhere_are_not_made() {
    let own = rendered(&managed(json!({})));
    let order: Vec<&str> = own.iter().map(|stage| stage.name).collect();
    assert_eq!(order, ["settings", "stores", "schemas", "configuration", "preparation", "services", "work"]);
    let elsewhere = managed(json!({
        "database": {"external": {"host": "db.example.org", "port": 3307, "adminSecretRef": {"name": "admin"}}},
        "objectStore": {"external": {"endpoint": "https://s3.example.org", "bucket": "boxes", "secretRef": {"name": "s3"}}},
    }));
    let all = objects(&elsewhere);
    let sets: Vec<String> =
        of_kind::<StatefulSet>(&all, "StatefulSet").into_iter().filter_map(|s| s.metadata.name).collect();
    assert_eq!(sets, ["escape-opensearch", "escape-configuration"]);
    let text = serde_json::to_string(&all).unwrap();
    assert!(text.contains("@db.example.org:3307/JobDB") && text.contains("https://s3.example.org"));
}

#[test]
fn volumes_outlive_the_installation_unless_it_says_otherwise() {
    let kept = |spec: &Managed| {
        named(&objects(spec), "StatefulSet", "escape-mariadb")["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"].clone()
    };
    assert_eq!(kept(&managed(json!({}))), "Retain");
    assert_eq!(kept(&managed(json!({"deletionPolicy": "Delete"}))), "Delete");
}

#[test]
fn another_version_is_another_job_and_the_same_one_the_same() {
    let jobs = |spec: &Managed| -> BTreeSet<String> {
        of_kind::<Job>(&objects(spec), "Job").into_iter().filter_map(|job| job.metadata.name).collect()
    };
    let (one, same) = (jobs(&managed(json!({}))), jobs(&managed(json!({}))));
    assert_eq!(one, same);
    assert_eq!(one.len(), 3);
    assert!(one.is_disjoint(&jobs(&managed(json!({"diracVersion": "9.1.20", "diracxVersion": "0.6.1"})))));
}

#[test]
fn what_each_process_reads_itself_has_it_made_anew_when_it_changes_and_what_is_published_does_not() {
    let annotation = |spec: &Managed, kind: &str, name: &str| {
        named(&objects(spec), kind, name)["spec"]["template"]["metadata"]["annotations"]["diracgrid.org/made-from"]
            .clone()
    };
    let elsewhere = json!({"database": {"external": {"host": "db.example.org", "adminSecretRef": {"name": "admin"}}}});
    let (one, elsewhere) = (managed(json!({})), managed(elsewhere));
    let published = managed(json!({"configuration": {"Operations": {"Defaults": {"X": "y"}}}}));
    let of_matcher = |spec: &Managed| annotation(spec, "Deployment", "escape-matcher");
    assert_ne!(of_matcher(&one), of_matcher(&elsewhere));
    assert_eq!(of_matcher(&one), of_matcher(&published), "the Configuration server tells it");
    let of_server = |spec: &Managed| annotation(spec, "StatefulSet", "escape-configuration");
    assert_eq!(of_server(&one), of_server(&published), "it has the configuration in its memory");
    let full = managed(json!({"components": {"profile": "full"}}));
    let server = |spec: &Managed| named(&objects(spec), "StatefulSet", "escape-configuration")["spec"].clone();
    assert_eq!(server(&one), server(&full), "another set of components does not end it");
}

#[test]
fn no_text_of_the_manifest_has_a_secret_put_into_it() {
    let endpoint = "https://evil.example/$(DATABASE_PASSWORD)";
    let spec = managed(json!({
        "objectStore": {"external": {"endpoint": endpoint, "bucket": "$(S3_SECRET_ACCESS_KEY)", "secretRef": {"name": "s3"}}},
    }));
    let text = serde_json::to_string(&objects(&spec)).unwrap();
    assert!(text.contains("https://evil.example/$$(DATABASE_PASSWORD)") && !text.contains("evil.example/$("));
    assert!(text.contains("$$(S3_SECRET_ACCESS_KEY)"));
}
