//! What a cluster of the testbed gives its pods, as a person has it by `cargo xtask testbed up cluster`: names, Services, volumes, logs and
//! exec, ways between pods and this machine, and its end.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use testbeds::{
    host::{process::run, until::until},
    systems::{cluster::images, controlplane::build, kubectl::Kubectl},
};

const PODS: &str = include_str!("services/pods.yaml");
const PATIENCE: Duration = Duration::from_secs(120);
const SPACE: &str = "managed";

/// `cargo xtask testbed` with a folder of its own. What a failed test leaves is ended.
struct Testbed(PathBuf);

impl Testbed {
    fn run(&self, words: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_testbed"));
        run("testbed", command.args(words).arg("--state").arg(&self.0)).unwrap()
    }
}

impl Drop for Testbed {
    fn drop(&mut self) {
        Command::new(env!("CARGO_BIN_EXE_testbed")).args(["down", "--state"]).arg(&self.0).output().ok();
    }
}

/// What follows these words in the line of `said` that has them, up to the next space.
fn after<'a>(said: &'a str, words: &str) -> &'a str {
    let rest = said.lines().find_map(|line| line.split_once(words)).unwrap_or_else(|| panic!("no {words:?} in {said}"));
    rest.1.split(' ').next().unwrap()
}

#[tokio::test]
async fn pods_have_names_services_and_volumes_and_ways_to_this_machine_and_from_it() {
    let state = tempfile::tempdir().unwrap();
    let testbed = Testbed(state.path().join("testbed"));
    let said = testbed.run(&["up", "cluster"]);
    let kubectl = Kubectl::new(build::kubectl().unwrap(), Path::new(after(&said, "export KUBECONFIG=")));
    let load = said.lines().find_map(|line| line.strip_prefix("# load an image from an archive: ")).unwrap();
    let load = load.replace("FILE", images::shell().unwrap().to_str().unwrap());
    run("loading an image", Command::new("sh").args(["-c", &load])).unwrap();

    kubectl.run(&["create", "namespace", SPACE]).unwrap();
    kubectl.run_with(&["apply", "--namespace", SPACE, "--validate=strict", "-f", "-"], PODS).unwrap();
    is_ready(&kubectl, "statefulset/keeper").await;
    is_ready(&kubectl, "pod/reader").await;

    // Each name that a Service has, and the one that a StatefulSet's pod has.
    for name in ["any", "any.managed", "any.managed.svc.cluster.local", "each.managed.svc.cluster.local"] {
        let port = if name.starts_with("any") { 80 } else { 8080 };
        assert_eq!(read(&kubectl, name, port, "lives"), "began\n", "by the name {name}");
    }
    assert_eq!(read(&kubectl, "keeper-0.each.managed.svc.cluster.local", 8080, "lives"), "began\n");
    let nobody = in_reader(&kubectl, "getent hosts nobody.managed.svc.cluster.local || echo none");
    assert_eq!(nobody.trim(), "none", "a name that is nobody's has no address");
    assert_eq!(kubectl.run(&["logs", "keeper-0", "--namespace", SPACE]).unwrap().trim(), "keeper began");

    let balanced = address_of_the_service(&kubectl).await;
    assert_eq!(get(balanced, 80), "began\n", "this machine reaches a Service by its own address");
    from_a_pod_to_this_machine(&kubectl, &testbed, after(&said, "# pods reach this machine at ").parse().unwrap());

    let volume = volume_of(&kubectl);
    assert!(volume.starts_with(state.path()), "volumes are below the cluster's state: {}", volume.display());
    kubectl.run(&["delete", "pod", "keeper-0", "--namespace", SPACE]).unwrap();
    is_ready(&kubectl, "statefulset/keeper").await;
    assert_eq!(read(&kubectl, "any", 80, "lives"), "began\nbegan\n", "the file outlives its pod");
    kept_or_deleted(&kubectl, &volume).await;

    let said = testbed.run(&["status"]);
    assert_eq!(after(&said, "export KUBECONFIG="), after(&testbed.run(&["up", "cluster"]), "export KUBECONFIG="));
    testbed.run(&["down"]);
    assert!(kubectl.run(&["get", "nodes"]).is_err(), "the cluster has ended");
    assert!(state.path().join("testbed/cluster/log/coredns.log").exists(), "its logs stay");
}

async fn is_ready(kubectl: &Kubectl, object: &str) {
    let field =
        if object.starts_with("pod/") { "{.status.containerStatuses[0].ready}" } else { "{.status.readyReplicas}" };
    let output = format!("--output=jsonpath={field}");
    let what = format!("{object} is ready");
    let ready = until(&what, PATIENCE, async || match kubectl.run(&["get", object, "--namespace", SPACE, &output]) {
        Ok(value) if value == "true" || value == "1" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    if let Err(error) = ready.await {
        let all = kubectl.run(&["describe", "pods,persistentvolumeclaims", "--namespace", SPACE]);
        panic!("{error:#}\n{}", all.unwrap_or_default());
    }
}

fn in_reader(kubectl: &Kubectl, script: &str) -> String {
    kubectl.run(&["exec", "reader", "--namespace", SPACE, "--", "sh", "-c", script]).unwrap()
}

/// What the pod `reader` reads by a name, which its C library looks up as any program does.
fn read(kubectl: &Kubectl, name: &str, port: u16, path: &str) -> String {
    let script =
        format!("set -e; found=$(getent ahostsv4 {name}); timeout 10 wget -q -O - http://${{found%% *}}:{port}/{path}");
    in_reader(kubectl, &script)
}

async fn address_of_the_service(kubectl: &Kubectl) -> Ipv4Addr {
    let mut address = None;
    until("the Service has an address for this machine", PATIENCE, async || {
        let service = kubectl.object(SPACE, "service/any").map_err(|error| error.to_string())?;
        let given = service["status"]["loadBalancer"]["ingress"][0]["ip"].as_str().and_then(|text| text.parse().ok());
        address = given;
        given.map(drop).ok_or_else(|| service["status"].to_string())
    })
    .await
    .unwrap();
    address.unwrap()
}

/// What a plain HTTP server answers to `GET /lives`.
fn get(address: Ipv4Addr, port: u16) -> String {
    let mut stream = TcpStream::connect((address, port)).unwrap();
    stream.write_all(b"GET /lives HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// A pod reads what another testbed has at the address that the cluster says: by the address, and by this machine's name.
fn from_a_pod_to_this_machine(kubectl: &Kubectl, testbed: &Testbed, machine: Ipv4Addr) {
    let said = testbed.run(&["up", "ec2", "--at", &machine.to_string()]);
    let port = after(&said, &format!("export AWS_ENDPOINT_URL=http://{machine}:")).parse().unwrap();
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    for name in [name.trim(), &machine.to_string()] {
        assert_eq!(read(kubectl, name, port, "_bed/instances").trim(), "[]", "by {name}");
    }
}

/// The folder of the only volume.
fn volume_of(kubectl: &Kubectl) -> PathBuf {
    kubectl.run(&["get", "persistentvolumes", "--output=jsonpath={.items[0].spec.local.path}"]).unwrap().into()
}

/// A volume to be kept stays when its claim goes. One that is not goes with its folder.
async fn kept_or_deleted(kubectl: &Kubectl, volume: &Path) {
    let name = kubectl.run(&["get", "persistentvolumes", "--output=name"]).unwrap();
    let name = name.trim();
    let reclaim = |policy: &str| {
        let patch = format!(r#"{{"spec": {{"persistentVolumeReclaimPolicy": "{policy}"}}}}"#);
        kubectl.run(&["patch", name, "--patch", &patch]).unwrap();
    };
    let phase = || kubectl.run(&["get", name, "--ignore-not-found", "--output=jsonpath={.status.phase}"]).unwrap();
    reclaim("Retain");
    kubectl.run(&["delete", "statefulset", "keeper", "--namespace", SPACE]).unwrap();
    kubectl.run(&["delete", "persistentvolumeclaims", "--all", "--namespace", SPACE]).unwrap();
    until("the volume is released", PATIENCE, async || if phase() == "Released" { Ok(()) } else { Err(phase()) })
        .await
        .unwrap();
    let lives = fs::read_to_string(volume.join("lives")).unwrap();
    assert_eq!(lives, "began\nbegan\n", "what is to be kept is kept");
    reclaim("Delete");
    until("the volume is deleted", PATIENCE, async || if phase().is_empty() { Ok(()) } else { Err(phase()) })
        .await
        .unwrap();
    assert!(!volume.exists(), "its folder is deleted with it");
}
