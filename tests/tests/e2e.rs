//! Layer `e2e`: real jobs in a real DIRAC become VMs in a real Nova and in an EC2, whose guests run DIRAC's own JobAgent until the jobs
//! are Done.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod e2e {
    pub mod forty;
    pub mod scene;
}

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Instant,
};

use e2e::{
    forty,
    scene::{QUICK, Scene},
};
use serde_json::Value;
use testbeds::{
    real::{Clouds, FORTY, NAMESPACE, Real, secrets::Secrets},
    systems::{
        openstack::{PROJECT, TINY},
        operator::{NAMESPACE as OPERATOR, Operator},
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn forty_jobs_of_four_kinds_are_done_on_the_right_vms_and_nothing_is_left() {
    let state = tempfile::tempdir().unwrap();
    let real = Real::start_with(state.path(), Clouds::WithEc2).await.unwrap();
    let kubeconfig = real.plane.kubeconfig_for_service_account(OPERATOR, OPERATOR).await.unwrap();
    let log = state.path().join("operator.log");
    let mut operator = Operator::start_at_trace(&kubeconfig, &log, &QUICK).unwrap();
    operator.ready().await.unwrap();
    let kubectl = real.plane.kubectl();
    kubectl.run(&["create", "namespace", NAMESPACE]).unwrap();
    kubectl.apply(&real.manifests().await.unwrap()).unwrap();
    let stranger =
        real.openstack.make_server(PROJECT, "dirac-cpu-stranger", &["dirac"], &serde_json::json!({})).await.unwrap();
    let folders = [real.dirac.state().to_owned(), real.dirac.state().join("grid-security")];
    let folders: Vec<&Path> = folders.iter().map(PathBuf::as_path).collect();
    let secrets = Secrets::gather(&kubectl, &folders, &[&kubeconfig]).unwrap();
    let (lost, history) = (BTreeSet::new(), Vec::new());
    let mut scene = Scene { operator, kubectl, real, secrets, log, lost, history };

    clouds_that_cannot_work_say_why(&mut scene).await;
    scene.secrets_are_kept().await;
    forty::on_both_clouds_with_a_storm(&mut scene).await;
    scene.secrets_are_kept().await;
    forty::one_cloud_is_taken_away(&mut scene).await;
    a_server_deleted_behind_our_back_is_replaced(&mut scene).await;
    a_lowered_maximum_loses_no_job(&mut scene).await;
    a_matcher_that_is_away_for_a_while_loses_nothing(&mut scene).await;
    a_credential_of_another_project_forgets_no_vm(&mut scene).await;

    let strangers: Vec<_> = scene.real.openstack.servers(PROJECT).await.unwrap().into_iter().map(|s| s.id).collect();
    assert_eq!(strangers, [stranger], "the stranger is still there, and nobody else");
    scene.secrets_are_kept().await;
}

async fn clouds_that_cannot_work_say_why(scene: &mut Scene) {
    let (id, _) = scene.real.openstack.application_credential(PROJECT, None).await.unwrap();
    let right = scene.real.openstack.auth_url();
    let wrong = serde_json::json!({"id": id, "secret": "hunter2-is-wrong"});
    scene.kubectl.put_secret(NAMESPACE, "wrong", "stringData", &wrong).unwrap();
    let closed = "http://127.0.0.1:1/v3";
    let no_keystone = right.replace("/v3", "/elsewhere/v3");
    let cases = [
        ("no-secret", right.as_str(), "RegionOne", "none", "Reachable", "SecretMissing", "create it"),
        ("half-secret", &right, "RegionOne", "dirac-certificate", "Reachable", "SecretIncomplete", "\"id\""),
        ("wrong-secret", &right, "RegionOne", "wrong", "CredentialValid", "Unauthorized", "renew the Secret"),
        ("closed", closed, "RegionOne", "openstack-lyon", "Reachable", "Transient", "127.0.0.1:1"),
        ("no-keystone", &no_keystone, "RegionOne", "openstack-lyon", "Reachable", "Invalid", "correct authUrl"),
        ("no-region", &right, "Nowhere", "openstack-lyon", "Reachable", "Invalid", "\"Nowhere\""),
        ("no-image", &right, "RegionOne", "openstack-lyon", "Resolved", "ReferenceMissing", "no-such-image"),
    ];
    for (name, url, region, secret, ..) in cases {
        let cloud = serde_json::json!({
            "apiVersion": "diracgrid.org/v1alpha1", "kind": "Cloud", "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {
                "siteRef": {"name": "lyon"},
                "openstack": {"authUrl": url, "region": region, "auth": {"applicationCredential": {"secretRef": {"name": secret}}}},
                "images": {"default": {"name": if name == "no-image" { "no-such-image" } else { "EL9-pilot" }}},
            }
        });
        scene.kubectl.apply(&cloud.to_string()).unwrap();
    }
    for (name, _, _, _, type_, reason, words) in cases {
        scene
            .until(&format!("the cloud {name} says {reason}"), 60, |s| {
                match s.condition(&format!("cloud/{name}"), type_) {
                    (status, why, message) if status == "False" && why == reason && message.contains(words) => {
                        assert!(!message.contains("hunter2"), "{message}");
                        assert_eq!(s.condition(&format!("cloud/{name}"), "Ready").0, "False");
                        Ok(())
                    }
                    other => Err(format!("{other:?}")),
                }
            })
            .await;
    }
    for (name, ..) in cases {
        scene.kubectl.run(&["delete", "cloud", name, "--namespace", NAMESPACE, "--timeout=60s"]).unwrap();
    }
}

async fn a_server_deleted_behind_our_back_is_replaced(scene: &mut Scene) {
    let before = scene.made();
    scene.real.submit(&FORTY[0], 1, 5).unwrap();
    scene.until("a VM is made", 60, |s| if s.made() > before { Ok(()) } else { Err("none".to_owned()) }).await;
    let server = scene.servers().await.remove(0);
    scene.real.openstack.delete_server(PROJECT, &server.id).await.unwrap();
    scene.all_done(41, 300).await;
    assert_eq!(scene.made(), before + 2, "it was replaced, once");
    scene.nothing_left().await;
}

async fn a_lowered_maximum_loses_no_job(scene: &mut Scene) {
    scene.real.submit(&FORTY[0], 8, 30).unwrap();
    scene
        .until("jobs run", 180, |s| match s.real.jobs("Running").unwrap() {
            n if n >= 4 => Ok(()),
            n => Err(format!("{n} run")),
        })
        .await;
    scene.kubectl.run(&["scale", "pilotpool", "cpu", "--replicas=0", "--namespace", NAMESPACE]).unwrap();
    scene
        .until("no job runs any more", 300, |s| {
            match s.real.jobs("Running").unwrap() + s.real.jobs("Matched").unwrap() {
                0 => Ok(()),
                n => Err(format!("{n} run")),
            }
        })
        .await;
    scene.nothing_left().await;
    assert_eq!(scene.real.jobs("Failed").unwrap(), 0);
    scene.kubectl.run(&["scale", "pilotpool", "cpu", "--replicas=4", "--namespace", NAMESPACE]).unwrap();
    scene.all_done(49, 300).await;
    scene.nothing_left().await;
}

async fn a_matcher_that_is_away_for_a_while_loses_nothing(scene: &mut Scene) {
    scene.real.submit(&FORTY[0], 8, 20).unwrap();
    scene
        .until("jobs run", 180, |s| match s.real.jobs("Running").unwrap() {
            n if n >= 2 => Ok(()),
            n => Err(format!("{n} run")),
        })
        .await;
    scene.real.dirac.stop_service("MATCHER");
    scene
        .until("the installation says that the Matcher is away", 60, |s| {
            match s.condition("diracinstallation/dirac", "DemandRead") {
                (status, ..) if status == "False" => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    // What was planned before may still be on its way to Nova; a plan by guess would be a new PilotVM.
    let before = pilots(scene);
    let silent = Instant::now();
    scene
        .until("half a minute without a Matcher is over", 90, |s| {
            let new: Vec<_> = pilots(s).difference(&before).cloned().collect();
            assert!(new.is_empty(), "made by guess: {new:?}");
            match silent.elapsed().as_secs() {
                30.. => Ok(()),
                n => Err(format!("{n} s")),
            }
        })
        .await;
    scene.real.dirac.start_service("MATCHER").unwrap();
    scene.all_done(57, 400).await;
    scene.nothing_left().await;
}

/// The references of all pilots of which Kubernetes or Nova knows.
fn pilots(scene: &Scene) -> BTreeSet<String> {
    let ordered = scene.real.history().unwrap().into_iter().map(|life| life.reference().unwrap().to_owned());
    let planned = scene.pilotvms().into_iter().map(|vm| format!("cloud://{}", vm["metadata"]["uid"].as_str().unwrap()));
    planned.chain(ordered).collect()
}

async fn a_credential_of_another_project_forgets_no_vm(scene: &mut Scene) {
    scene.real.submit(&FORTY[0], 2, 60).unwrap();
    scene
        .until("jobs run", 180, |s| match s.real.jobs("Running").unwrap() {
            2 => Ok(()),
            n => Err(format!("{n} run")),
        })
        .await;
    let ours = scene.servers().await.len();
    let path = "--output=jsonpath={.data}";
    let data = scene.kubectl.run(&["get", "secret", "openstack-lyon", "--namespace", NAMESPACE, path]).unwrap();
    let right: Value = serde_json::from_str(&data).unwrap();
    let (id, secret) = scene.real.openstack.application_credential(TINY, None).await.unwrap();
    put_secret(scene, "stringData", &serde_json::json!({"id": id, "secret": secret}));
    let says = |wanted: (&'static str, &'static str)| {
        move |s: &Scene| match s.condition("cloud/lyon", "CredentialValid") {
            (status, reason, _) if (status.as_str(), reason.as_str()) == wanted => Ok(()),
            other => Err(format!("{other:?}")),
        }
    };
    scene.until("the cloud refuses the credential of another project", 120, says(("False", "OtherProject"))).await;
    assert_eq!(scene.servers().await.len(), ours, "the VMs live");
    assert!(scene.pilotvms().len() >= ours, "and are not forgotten");
    put_secret(scene, "data", &right);
    scene.until("the right credential is taken again", 120, says(("True", "Valid"))).await;
    scene.all_done(59, 300).await;
    scene.nothing_left().await;
}

/// Writes the Secret of the cloud; `field` is `data` or `stringData`.
fn put_secret(scene: &Scene, field: &str, values: &Value) {
    scene.kubectl.put_secret(NAMESPACE, "openstack-lyon", field, values).unwrap();
}
