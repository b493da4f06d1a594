//! The chart as it is shipped, with two replicas in a real kubelet: the image that `cargo xtask image` builds, and the chart's own values.
//! With `--full` its program is the shipped one, else the one that the other layers run.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;
use testbeds::{
    host::{choice::is_full, process::run, until::until},
    systems::{
        cluster::Cluster,
        helm::{Helm, chart},
        image,
        kubectl::Kubectl,
        operator::NAMESPACE,
    },
};

const DEPLOYMENT: &str = "deployment/dirac-operator";
const PATIENCE: Duration = Duration::from_secs(180);
/// The PilotVMs that the last release left.
const LEFT: [&str; 3] = ["cpu-1", "cpu-2", "cpu-3"];

#[tokio::test]
async fn two_replicas_of_the_image_lead_make_vms_fail_over_upgrade_and_leave_nothing_but_crds() {
    let state = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(&state.path().join("cluster")).await.unwrap();
    let number = cluster.machine().octets()[2];
    cluster.load(&archive(state.path())).unwrap();
    let (helm, kubectl) = (cluster.plane().helm().unwrap(), cluster.plane().kubectl());
    kubectl.run(&["create", "namespace", NAMESPACE]).unwrap();
    let before = kubectl.cluster_wide().unwrap();

    // The last release, at the moment when it stops: its objects are there, and nobody runs.
    let notes = install(&helm, "replicas=0");
    assert!(notes.contains("is in no registry: load it into each node"), "{notes}");
    put_what_the_last_release_wrote(&kubectl);
    install(&helm, "replicas=2");
    if let Err(error) = rolled_out(&kubectl) {
        let pods = kubectl.run(&["describe", "pods", "--namespace", NAMESPACE]);
        panic!("{error:#}\n{}\n{}", pods.unwrap_or_default(), cluster.last_words());
    }
    let first = one_leads(&kubectl, &BTreeSet::new()).await;
    println!("{first} leads");
    helm.run(&["test", NAMESPACE, "--namespace", NAMESPACE]).unwrap();
    as_the_image_says(&kubectl, &first);
    let vm = a_vm_runs(&kubectl, &LEFT.map(str::to_owned)).await;
    println!("{vm} runs for the objects of the last release");

    kubectl.run(&["delete", "pod", &first, "--namespace", NAMESPACE, "--wait=false"]).unwrap();
    let second = one_leads(&kubectl, &BTreeSet::from([first])).await;
    println!("{second} leads instead");
    rolled_out(&kubectl).unwrap();

    // All pods are others: the template is.
    let old = pods(&kubectl);
    install(&helm, "replicas=2,log.level=debug");
    rolled_out(&kubectl).unwrap();
    let third = one_leads(&kubectl, &old).await;
    println!("{third} leads after the upgrade");
    a_vm_runs(&kubectl, &LEFT.map(str::to_owned)).await;

    what_stays_is_said(&helm, &kubectl, &before).await;
    drop(cluster);
    // The kernel lets control groups and mounts go a moment after the last process.
    let mut left = BTreeSet::new();
    for _ in 0..60 {
        left = of_cluster(number, state.path());
        if left.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    panic!("a cluster that has ended left this on the machine: {left:?}");
}

/// What the cluster with this number has on this machine outside its folder: its wire and control groups by their paths, and mounts below
/// this folder. Other tests may have clusters at the same time.
fn of_cluster(number: u8, state: &Path) -> BTreeSet<String> {
    let name = format!("/dirac-node{number}");
    let below = |folder: &str| -> Vec<PathBuf> {
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    let groups = below("/sys/fs/cgroup");
    let all = groups.iter().flat_map(|group| below(group.to_str().unwrap())).chain(below("/sys/class/net"));
    let ours = all.chain(groups.clone()).map(|path| path.display().to_string()).filter(|path| path.ends_with(&name));
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    let mounts = mounts.lines().filter(|line| line.contains(state.to_str().unwrap())).map(str::to_owned);
    ours.chain(mounts).collect()
}

/// An archive of the image, which is small enough and does not run as root.
fn archive(state: &Path) -> PathBuf {
    let program = (!is_full()).then(|| image::program().unwrap());
    let (archive, said) = image::archive(state, program.as_deref()).unwrap();
    print!("{said}");
    assert!(!is_full() || said.contains("of at most 40.0 MB"), "{said}");
    let about = run("tar", Command::new("tar").args(["--wildcards", "-xOf"]).arg(&archive).arg("*.json")).unwrap();
    assert!(about.contains(r#""User":"65532:65532""#), "not root, whatever the chart says: {about}");
    archive
}

/// With the chart's own values, and these.
fn install(helm: &Helm, set: &str) -> String {
    let chart = chart().display().to_string();
    helm.run(&["upgrade", "--install", NAMESPACE, &chart, "--namespace", NAMESPACE, "--set", set]).unwrap()
}

/// In the release's own namespace, which is the only one that the chart's values look after.
fn put_what_the_last_release_wrote(kubectl: &Kubectl) {
    kubectl.run(&["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"]).unwrap();
    let mut objects: Vec<Value> = serde_saphyr::from_str(include_str!("../operator/released/objects.yaml")).unwrap();
    // Its twelve jobs are served before a slow machine has seen who leads: here there is always work.
    let installation = objects.iter_mut().find(|object| object["kind"] == "DiracInstallation").unwrap();
    installation["spec"]["simulated"]["arrivals"][0]["jobs"] = 100_000.into();
    kubectl.put_with_statuses(NAMESPACE, objects).unwrap();
}

fn rolled_out(kubectl: &Kubectl) -> anyhow::Result<()> {
    let timeout = format!("--timeout={}s", PATIENCE.as_secs());
    kubectl.run(&["rollout", "status", DEPLOYMENT, "--namespace", NAMESPACE, &timeout]).map(drop)
}

/// The names of the operator's pods that are not being ended.
fn pods(kubectl: &Kubectl) -> BTreeSet<String> {
    let all = kubectl.objects(NAMESPACE, "pods").unwrap();
    let lives = all.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    lives.map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

/// Waits until the Lease and the metrics say that one pod leads which is none of these, and the other does not.
async fn one_leads(kubectl: &Kubectl, others: &BTreeSet<String>) -> String {
    let mut leader = String::new();
    until("one of two pods leads", PATIENCE, async || {
        let lease = ["get", "lease", NAMESPACE, "--namespace", NAMESPACE, "--output=jsonpath={.spec.holderIdentity}"];
        let holder = kubectl.run(&lease).map_err(|error| error.to_string())?;
        let now = pods(kubectl);
        let leads = |pod: &String| {
            let metrics = format!("/api/v1/namespaces/{NAMESPACE}/pods/{pod}:8080/proxy/metrics");
            let text = kubectl.run(&["get", "--raw", &metrics]).unwrap_or_default();
            text.lines().any(|line| line == "dirac_operator_leader 1")
        };
        let leaders: Vec<&String> = now.iter().filter(|pod| leads(pod)).collect();
        match leaders[..] {
            [one] if now.len() == 2 && holder.starts_with(one.as_str()) && !others.contains(one) => {
                leader.clone_from(one);
                Ok(())
            }
            _ => Err(format!("the Lease names {holder:?}, of {now:?} these lead: {leaders:?}")),
        }
    })
    .await
    .unwrap();
    leader
}

/// It runs without a restart on a root that is read-only, the program is the one of this release, and its log can be read.
fn as_the_image_says(kubectl: &Kubectl, pod: &str) {
    let said =
        kubectl.run(&["exec", pod, "--namespace", NAMESPACE, "--", "/usr/bin/dirac-operator", "--version"]).unwrap();
    assert_eq!(said.trim(), concat!("dirac-operator ", env!("CARGO_PKG_VERSION")));
    let log = kubectl.run(&["logs", pod, "--namespace", NAMESPACE]).unwrap();
    assert!(log.contains(r#""message":"leading""#), "{log}");
    let pod = kubectl.object(NAMESPACE, &format!("pod/{pod}")).unwrap();
    let status = &pod["status"]["containerStatuses"][0];
    assert_eq!(status["restartCount"], 0, "{status}");
    assert_eq!(pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"], true);
}

/// Waits until a VM runs that is none of these.
async fn a_vm_runs(kubectl: &Kubectl, others: &[String]) -> String {
    let mut runs = String::new();
    until("a VM is made and runs", PATIENCE, async || {
        let vms = kubectl.objects(NAMESPACE, "pilotvms").map_err(|error| error.to_string())?;
        let all = vms.iter().map(|vm| {
            let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
            (word(&vm["metadata"]["name"]), word(&vm["status"]["phase"]))
        });
        let all: Vec<(String, String)> = all.collect();
        let found = all.iter().find(|(name, phase)| phase == "Running" && !others.contains(name));
        runs = found.map(|(name, _)| name.clone()).ok_or_else(|| format!("{all:?}"))?;
        Ok(())
    })
    .await
    .unwrap();
    runs
}

/// As values.yaml and NOTES.txt say: pools first, then the release. What stays is the CRDs, and Helm names each.
async fn what_stays_is_said(helm: &Helm, kubectl: &Kubectl, before: &BTreeSet<String>) {
    let pools = |words: &[&str]| kubectl.run(&[words, &["--all", "--namespace", NAMESPACE]].concat()).unwrap();
    pools(&["delete", "pilotpools", "--wait=false"]);
    pools(&["annotate", "pilotpools", "diracgrid.org/delete-vms=now"]);
    pools(&["wait", "pilotpools", "--for=delete", "--timeout=180s"]);
    until("the PilotVMs are gone", PATIENCE, async || {
        let left = kubectl.objects(NAMESPACE, "pilotvms").map_err(|error| error.to_string())?.len();
        if left == 0 { Ok(()) } else { Err(format!("{left} are left")) }
    })
    .await
    .unwrap();
    let said = helm.run(&["uninstall", NAMESPACE, "--namespace", NAMESPACE, "--wait"]).unwrap();
    let after = kubectl.cluster_wide().unwrap();
    let left: BTreeSet<&str> = after.difference(before).map(String::as_str).collect();
    let (crds, others): (Vec<&str>, Vec<&str>) =
        left.iter().partition(|name| name.contains("customresourcedefinition"));
    // The API server itself makes one of these for each group of CRDs.
    let others: Vec<_> = others.iter().filter(|name| !name.starts_with("apiservice.")).collect();
    assert!(others.is_empty(), "{others:?}");
    assert_eq!(crds.len(), 7, "{crds:?}");
    for crd in crds {
        let name = crd.split_once('/').unwrap().1;
        assert!(said.contains(name), "{name} stays, and Helm does not say so: {said}");
    }
    let pods = kubectl.objects(NAMESPACE, "pods").unwrap();
    assert!(pods.iter().all(|pod| !pod["metadata"]["deletionTimestamp"].is_null()), "pods stay: {pods:?}");
}
