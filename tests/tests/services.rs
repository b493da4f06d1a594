//! Layer `services`: a whole DIRAC from one manifest, in pods of a real cluster, made by the operator from its own image and with the
//! chart's rights alone; and jobs that a user submits to it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "services/user.rs"]
mod user;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use testbeds::{
    host::until::until,
    systems::{
        cluster::Cluster,
        helm::chart,
        image,
        images::{Image, built},
        kubectl::Kubectl,
        operator::NAMESPACE,
        pki::Authority,
    },
};

use user::User;

/// The host name of the installation. No DNS knows it.
const HOST: &str = "dirac.escape.test";
const ESCAPE: &str = "escape";
const INSTALLATION: &str = "diracinstallation/escape";
/// The images of which it is made, by the names of the chart's values.
const IMAGES: [&str; 6] = ["dirac", "diracx", "mariadb", "opensearch", "redis", "s3"];
/// From the manifest to the last part.
const INSTALLED: Duration = Duration::from_secs(900);

#[tokio::test(flavor = "multi_thread")]
async fn one_manifest_becomes_a_dirac_that_takes_jobs() {
    let state = tempfile::tempdir().unwrap();
    let images = IMAGES.map(|name| (name, built(name, &[]).unwrap()));
    let cluster = Cluster::start(&state.path().join("cluster")).await.unwrap();
    load(&cluster, state.path(), &images);
    let kubectl = cluster.plane().kubectl();
    kubectl.run(&["create", "namespace", ESCAPE]).unwrap();
    install(&cluster, &images);

    let begun = Instant::now();
    let authority = Authority::new(&[("O", "TestGrid"), ("CN", "Test CA")]).unwrap();
    put_manifest(&kubectl, &authority);
    if let Err(error) = says(&kubectl, "ServicesReady", "ServicesRun", INSTALLED).await {
        panic!("{error:#}\n{}", what_is_there(&kubectl));
    }
    println!("every part runs {} s after the manifest", begun.elapsed().as_secs());
    says(&kubectl, "DemandRead", "Read", Duration::from_secs(120)).await.unwrap();

    let user = User::new(&kubectl, &authority, &images[0].1);
    for (number, way) in ["JobManager", "DiracX"].iter().enumerate() {
        user.submits(way).await;
        let waiting = number + 1;
        until(&format!("the operator sees {waiting} waiting jobs"), Duration::from_secs(240), async || {
            let status = &kubectl.object(ESCAPE, INSTALLATION).map_err(|error| error.to_string())?["status"];
            if status["waitingJobs"] == waiting { Ok(()) } else { Err(status["waitingJobs"].to_string()) }
        })
        .await
        .unwrap_or_else(|error| panic!("{error:#}\n{}", what_is_there(&kubectl)));
        println!("a job by {way} waits {} s after the manifest", begun.elapsed().as_secs());
    }
}

fn load(cluster: &Cluster, state: &Path, images: &[(&str, Image)]) {
    let program = image::program().unwrap();
    cluster.load(&image::archive(state, Some(&program)).unwrap().0).unwrap();
    for (_, image) in images {
        cluster.load(&image.archive).unwrap();
    }
}

/// The chart, with leave to run installations.
fn install(cluster: &Cluster, images: &[(&str, Image)]) {
    let chart = chart().display().to_string();
    let mut values = format!("managed.enabled=true,watchNamespaces={{{ESCAPE}}}");
    for (name, image) in images {
        values.push_str(&format!(",managed.images.{name}={}", image.reference));
    }
    let helm = cluster.plane().helm().unwrap();
    let args =
        ["upgrade", "--install", NAMESPACE, &chart, "--namespace", NAMESPACE, "--create-namespace", "--set", &values];
    helm.run(&args).unwrap();
    let kubectl = cluster.plane().kubectl();
    let rollout = ["rollout", "status", "deployment/dirac-operator", "--namespace", NAMESPACE, "--timeout=180s"];
    kubectl.run(&rollout).unwrap();
}

/// The authority of users, and the installation with one VO, a user and a pilot's user. Its host certificate it makes itself.
fn put_manifest(kubectl: &Kubectl, authority: &Authority) {
    let authorities = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "grid", "namespace": ESCAPE},
        "data": {"test.pem": authority.certificate},
    });
    let manifest = json!({
        "apiVersion": "diracgrid.org/v1alpha1",
        "kind": "DiracInstallation",
        "metadata": {"name": ESCAPE, "namespace": ESCAPE},
        "spec": {
            "demand": {"pollInterval": "2s"},
            "managed": {
                "diracVersion": "9.1.22",
                "diracxVersion": "0.7.0",
                "host": HOST,
                "authorities": {"configMapRef": {"name": "grid"}},
                "components": {"overrides": [{"name": "WorkloadManagement/Matcher", "replicas": 2}]},
                "configuration": registry(),
            },
        },
    });
    for object in [authorities, manifest] {
        kubectl.run_with(&["apply", "--validate=strict", "-f", "-"], &object.to_string()).unwrap();
    }
}

fn registry() -> Value {
    let group = |users: &str, properties: &str| json!({"Users": users, "Properties": properties, "VO": "biomed"});
    json!({
        "Registry": {
            "DefaultGroup": "biomed_user",
            "Users": {
                "opuser": {"DN": user::DN, "Email": "op@example.org"},
                "bpilot": {"DN": "/O=TestGrid/CN=bpilot", "Email": "pilot@example.org"},
            },
            "Groups": {
                "biomed_user": group("opuser", "NormalUser"),
                "biomed_pilot": group("bpilot", "GenericPilot, LimitedDelegation"),
            },
            "VO": {"biomed": {"DefaultGroup": "biomed_user"}},
        },
        "DiracX": {"CsSync": {"VOs": {"biomed": {
            "DefaultGroup": "biomed_user",
            "IdP": {"URL": "https://idp.invalid", "ClientID": "biomed"},
            "UserSubjects": {
                "opuser": "a0000000-0000-4000-8000-000000000001",
                "bpilot": "a0000000-0000-4000-8000-000000000002",
            },
        }}}},
    })
}

async fn says(kubectl: &Kubectl, type_: &str, reason: &str, patience: Duration) -> anyhow::Result<()> {
    let mut before = String::new();
    until(&format!("{type_} says {reason}"), patience, async || {
        let (status, said, message) = kubectl.says(ESCAPE, INSTALLATION, type_).map_err(|error| error.to_string())?;
        if said == reason {
            return Ok(());
        }
        if message != before {
            println!("{said}: {message}");
            before.clone_from(&message);
        }
        Err(format!("{status} {said}: {message}"))
    })
    .await
    .map(drop)
}

/// For a failure: the pods, and the last words of those that do not run.
fn what_is_there(kubectl: &Kubectl) -> String {
    let all = kubectl.run(&["get", "pods", "--namespace", ESCAPE, "--output=wide"]).unwrap_or_default();
    let mut text = all.clone();
    for line in all.lines().skip(1) {
        let mut words = line.split_whitespace();
        let (name, ready) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if ready.split_once('/').is_some_and(|(is, of)| is == of) {
            continue;
        }
        let log = kubectl.run(&["logs", name, "--namespace", ESCAPE, "--all-containers", "--tail=15", "--prefix"]);
        text.push_str(&format!("\n{name}:\n{}", log.unwrap_or_else(|error| error.to_string())));
    }
    text
}
