//! Layer `operator`: the operator under the chart's ServiceAccount on a real API server, with a simulated DIRAC and cloud, and with
//! a real DIRAC.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "operator/bounds.rs"]
mod bounds;
#[path = "operator/how_to.rs"]
mod how_to;
#[path = "operator/impostor.rs"]
mod impostor;
#[path = "operator/login.rs"]
mod login;
#[path = "operator/managed.rs"]
mod managed;
#[path = "operator/narrow.rs"]
mod narrow;
#[path = "operator/real_dirac.rs"]
mod real_dirac;
#[path = "operator/strange.rs"]
mod strange;

use std::{collections::BTreeMap, path::Path, time::Duration};

use serde_json::{Value, json};
use testbeds::{
    host::root,
    systems::{
        controlplane::ControlPlane,
        kubectl::Kubectl,
        operator::{NAMESPACE, Operator},
    },
};

/// So quick that a test can wait for it: the operator looks every second.
const QUICK: [&str; 4] = ["--busy-interval=1", "--list-interval=2", "--rows-interval=1", "--catalogue-interval=5"];

struct Fixture {
    // Dropped in this order.
    operator: Operator,
    kubectl: Kubectl,
    plane: ControlPlane,
}

async fn fixture(state: &Path) -> Fixture {
    let plane = ControlPlane::start(&state.join("controlplane")).await.unwrap();
    let (operator, _) = Operator::install_and_start(&plane, &state.join("operator.log"), &QUICK).await.unwrap();
    Fixture { kubectl: plane.kubectl(), operator, plane }
}

/// Waits until `holds`, and says what was there when it never does.
async fn until(what: &str, seconds: u64, holds: impl AsyncFnMut() -> Result<(), String>) {
    testbeds::host::until::until(what, Duration::from_secs(seconds), holds).await.unwrap();
}

impl Fixture {
    fn get(&self, namespace: &str, what: &str) -> Value {
        serde_json::from_str(&self.kubectl.run(&["get", what, "--namespace", namespace, "--output=json"]).unwrap())
            .unwrap()
    }

    fn vms(&self, namespace: &str) -> Vec<Value> {
        self.get(namespace, "pilotvms")["items"].as_array().unwrap().clone()
    }

    fn condition(&self, namespace: &str, object: &str, type_: &str) -> (String, String, String) {
        self.kubectl.says(namespace, object, type_).unwrap()
    }

    async fn jobs(&self, namespace: &str, state: &str) -> u64 {
        let words = ["simulated_jobs{", &format!("namespace=\"{namespace}\""), &format!("state=\"{state}\"")];
        self.operator.metric(&words).await.unwrap() as u64
    }

    /// A namespace with a simulated DIRAC of `jobs` jobs, a cloud, and a pool of at most `max` VMs of 4 cores.
    fn world(&self, namespace: &str, jobs: u64, run_time: &str, max: u64, faults: &str) {
        self.kubectl.run(&["create", "namespace", namespace]).unwrap();
        self.objects(namespace, jobs, run_time, max, faults);
    }

    /// The same in a namespace that is there.
    fn objects(&self, namespace: &str, jobs: u64, run_time: &str, max: u64, faults: &str) {
        let manifest = format!(
            r#"
apiVersion: diracgrid.org/v1alpha1
kind: DiracInstallation
metadata: {{name: sim, namespace: {namespace}}}
spec:
  demand: {{pollInterval: 5s}}
  simulated:
    seed: 11
    arrivals: [{{vo: biomed, group: biomed_user, jobsPerHour: 36000, cpuTime: 1h, runTime: {run_time}, jobs: {jobs}}}]
---
apiVersion: diracgrid.org/v1alpha1
kind: VirtualOrganization
metadata: {{name: biomed, namespace: {namespace}}}
spec:
  installationRef: {{name: sim}}
  diracName: biomed
  groups: [{{name: biomed_user}}, {{name: biomed_pilot, properties: [GenericPilot]}}]
  pilot: {{group: biomed_pilot}}
---
apiVersion: diracgrid.org/v1alpha1
kind: Site
metadata: {{name: here, namespace: {namespace}}}
spec: {{installationRef: {{name: sim}}, diracName: CLOUD.Here.org, vos: [biomed]}}
---
apiVersion: diracgrid.org/v1alpha1
kind: Cloud
metadata: {{name: sky, namespace: {namespace}}}
spec:
  siteRef: {{name: here}}
  simulated:
    bootTime: 5s
    quota: {{vms: 20}}
    flavors: [{{name: c4, cores: 4, ramGiB: 8, perHour: "0.10"}}]
    faults: {{{faults}}}
  images: {{default: {{name: any}}}}
---
apiVersion: diracgrid.org/v1alpha1
kind: PilotPool
metadata: {{name: cpu, namespace: {namespace}}}
spec:
  siteRef: {{name: here}}
  vos: [biomed]
  clouds: [{{name: sky}}]
  machine: {{flavors: [c4]}}
  matching: {{maxCpuTime: 24h}}
  scaling: {{max: {max}, idleTimeout: 30s}}
"#
        );
        self.kubectl.apply(&manifest).unwrap();
    }
}

#[tokio::test]
async fn simulated_jobs_are_served_drained_and_never_lost() {
    let state = tempfile::tempdir().unwrap();
    let mut f = fixture(state.path()).await;
    all_jobs_are_served_and_everything_goes(&f).await;
    a_broken_pool_says_so_and_stops_no_other(&f).await;
    a_pool_with_a_bad_template_gets_no_vm_and_the_jobs_run_elsewhere(&f).await;
    a_lowered_maximum_loses_no_job(&f).await;
    a_pilotvm_deleted_by_hand_takes_its_vm_along_and_the_jobs_run_elsewhere(&f).await;
    bounds::a_budget_holds_vms_back_says_so_and_is_settled(&f).await;
    bounds::a_downtime_drains_loses_no_job_and_is_over_when_it_is_deleted(&f).await;
    login::a_refresh_token_that_is_taken_once_is_replaced_in_its_secret(&f).await;
    a_namespace_deleted_under_load_goes(&f).await;
    what_this_version_does_not_act_on_is_said_by_the_object(&f).await;
    a_leader_that_cannot_renew_its_lease_stops_and_goes_on_later(&f).await;
    the_operator_ends_when_it_is_told_to(&mut f).await;
}

async fn all_jobs_are_served_and_everything_goes(f: &Fixture) {
    f.world("served", 60, "8s", 5, "lostReply: 0.3, transient: 0.02");
    let mut most = 0;
    until("60 jobs are served", 150, async || {
        most = most.max(f.vms("served").len());
        let served = f.jobs("served", "served").await;
        if served == 60 {
            Ok(())
        } else {
            Err(format!("{served} served, {:?}", f.condition("served", "pilotpool/cpu", "DemandMet")))
        }
    })
    .await;
    assert!(most <= 5, "never more VMs than the pool's maximum: {most}");
    until("idle VMs halt and their objects go", 90, async || match f.vms("served").len() {
        0 => Ok(()),
        n => Err(format!("{n} PilotVMs")),
    })
    .await;
    let made = f.operator.metric(&["launches_total", "cpu"]).await.unwrap();
    let wasted = f.operator.metric(&["vms_never_ran_job_total"]).await.unwrap();
    let writes = f.operator.metric(&["api_writes_total", "PilotVM"]).await.unwrap();
    eprintln!(
        "60 jobs: {made} VMs made, {wasted} never ran a job, {:.1} writes to the API server per VM life",
        writes / made
    );
    assert!(writes / made <= 12.0, "{writes} writes for {made} VMs");
    assert_eq!(f.jobs("served", "requeued").await, 0);
}

async fn a_broken_pool_says_so_and_stops_no_other(f: &Fixture) {
    let broken = r#"
apiVersion: diracgrid.org/v1alpha1
kind: PilotPool
metadata: {name: broken, namespace: served}
spec:
  siteRef: {name: nowhere}
  vos: [biomed, ghosts]
  clouds: [{name: sky}, {name: mist}]
  machine: {flavors: [c4], purchase: [OnDemand, Spot], userData: "runcmd: [{{ no_such_name }}]"}
  matching: {maxCpuTime: 24h}
  scaling: {max: 5}
"#;
    f.kubectl.apply(broken).unwrap();
    until("the broken pool says what is wrong", 30, async || {
        let (_, _, resolved) = f.condition("served", "pilotpool/broken", "Resolved");
        let (_, _, template) = f.condition("served", "pilotpool/broken", "UserDataValid");
        let (supported, ..) = f.condition("served", "pilotpool/broken", "Supported");
        let all = ["nowhere", "ghosts", "mist"].iter().all(|w| resolved.contains(w))
            && template.contains("no_such_name")
            && supported == "True";
        if all { Ok(()) } else { Err(format!("{resolved} | {template} | {supported}")) }
    })
    .await;
    // Its cloud fails now and then, so "Ready" may have to be waited for.
    until("the pool beside it is ready", 30, async || match f.condition("served", "pilotpool/cpu", "Ready") {
        (status, ..) if status == "True" => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let elsewhere = r#"
apiVersion: diracgrid.org/v1alpha1
kind: Cloud
metadata: {name: mist, namespace: served}
spec:
  siteRef: {name: here}
  openstack:
    authUrl: https://keystone.example.org:5000/v3
    region: RegionOne
    auth: {applicationCredential: {secretRef: {name: none}}}
  images: {default: {name: EL9}}
"#;
    f.kubectl.apply(elsewhere).unwrap();
    until("a cloud without its credential says so", 30, async || {
        let (_, reason, message) = f.condition("served", "cloud/mist", "Ready");
        if reason == "SecretMissing" && message.contains("\"none\"") {
            Ok(())
        } else {
            Err(format!("{reason}: {message}"))
        }
    })
    .await;
    f.kubectl.run(&["delete", "cloud", "mist", "--namespace", "served", "--timeout=60s"]).unwrap();
    f.kubectl.run(&["delete", "pilotpool", "broken", "--namespace", "served"]).unwrap();
}

async fn a_pool_with_a_bad_template_gets_no_vm_and_the_jobs_run_elsewhere(f: &Fixture) {
    let before = f.jobs("served", "served").await;
    // By its name it would be the first to be bought from.
    let pool = r#"
apiVersion: diracgrid.org/v1alpha1
kind: PilotPool
metadata: {name: a-scrawl, namespace: served}
spec:
  siteRef: {name: here}
  vos: [biomed]
  clouds: [{name: sky}]
  machine: {flavors: [c4], userData: "runcmd: [{{ no_such_name }}]"}
  matching: {maxCpuTime: 24h}
  scaling: {max: 5}
"#;
    f.kubectl.apply(pool).unwrap();
    let arrival = |jobs: u64, cpu: &str| json!({"vo": "biomed", "group": "biomed_user", "jobsPerHour": 36_000, "cpuTime": cpu, "runTime": "5s", "jobs": jobs});
    let patch = json!({"spec": {"simulated": {"arrivals": [arrival(6, "2h")]}}}).to_string();
    f.kubectl.run(&["patch", "dirac", "sim", "--namespace", "served", "--type=merge", "--patch", &patch]).unwrap();
    until("the jobs run on VMs of the other pool", 120, async || {
        let of = |vm: &Value| vm["spec"]["poolRef"]["name"].as_str().unwrap_or_default().to_owned();
        let pools: Vec<String> = f.vms("served").iter().map(of).collect();
        assert!(pools.iter().all(|p| p == "cpu"), "a pool whose template is broken gets no VM: {pools:?}");
        match f.jobs("served", "served").await - before {
            6 => Ok(()),
            n => Err(format!("{n} served, {pools:?}")),
        }
    })
    .await;
    f.kubectl.run(&["delete", "pilotpool", "a-scrawl", "--namespace", "served"]).unwrap();
}

async fn a_lowered_maximum_loses_no_job(f: &Fixture) {
    f.world("drained", 12, "25s", 3, "");
    until("jobs run", 60, async || match f.jobs("drained", "running").await {
        n if n >= 8 => Ok(()),
        n => Err(format!("{n} run")),
    })
    .await;
    f.kubectl.run(&["scale", "pilotpool", "cpu", "--replicas=0", "--namespace", "drained"]).unwrap();
    until("the VMs end by themselves", 150, async || match f.vms("drained").len() {
        0 => Ok(()),
        n => Err(format!("{n} PilotVMs")),
    })
    .await;
    assert_eq!(f.jobs("drained", "requeued").await, 0, "no job lost its VM");
    assert!(f.jobs("drained", "served").await >= 8);
}

async fn a_pilotvm_deleted_by_hand_takes_its_vm_along_and_the_jobs_run_elsewhere(f: &Fixture) {
    f.world("byhand", 4, "15s", 2, "");
    until("a VM runs jobs", 60, async || match f.jobs("byhand", "running").await {
        4 => Ok(()),
        n => Err(format!("{n} run")),
    })
    .await;
    let name = f.vms("byhand")[0]["metadata"]["name"].as_str().unwrap().to_owned();
    f.kubectl.run(&["delete", "pilotvm", &name, "--namespace", "byhand", "--timeout=60s"]).unwrap();
    assert_eq!(f.jobs("byhand", "requeued").await, 4, "its VM went with it, and the jobs wait again");
    until("the jobs run on another VM", 90, async || match f.jobs("byhand", "served").await {
        4 => Ok(()),
        n => Err(format!("{n} served")),
    })
    .await;
}

async fn a_namespace_deleted_under_load_goes(f: &Fixture) {
    f.world("doomed", 200, "60s", 4, "");
    until("VMs boot", 60, async || match f.vms("doomed").len() {
        n if n >= 3 => Ok(()),
        n => Err(format!("{n} PilotVMs")),
    })
    .await;
    f.kubectl.run(&["delete", "namespace", "doomed", "--timeout=90s"]).unwrap();
}

/// The examples of what a later version brings: never silence, never a crash.
async fn what_this_version_does_not_act_on_is_said_by_the_object(f: &Fixture) {
    for namespace in ["dirac", "escape"] {
        f.kubectl.run(&["create", "namespace", namespace]).unwrap();
    }
    let mut heads = BTreeMap::new();
    for folder in ["egi", "managed"] {
        let folder = root().join("examples").join(folder);
        f.kubectl.run(&["apply", "--validate=strict", "-f", folder.to_str().unwrap()]).unwrap();
        for entry in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let said = text.lines().filter_map(|line| line.strip_prefix("# Not acted on yet: ")?.split_once(": "));
            heads.extend(said.map(|(object, fields)| (object.to_owned(), fields.to_owned())));
        }
    }
    assert_eq!(heads.len(), 4, "the heads of the files: {heads:?}");
    for namespace in ["dirac", "escape"] {
        let kinds = "diracinstallations,virtualorganizations,sites,clouds,pilotpools";
        for object in f.get(namespace, kinds)["items"].as_array().unwrap() {
            let word = |value: &Value| value.as_str().unwrap().to_lowercase();
            let name = format!("{}/{}", word(&object["kind"]), word(&object["metadata"]["name"]));
            let expected = heads.remove(&name).map_or(("True".to_owned(), "Supported".to_owned(), None), |fields| {
                ("False".to_owned(), "NotActedOn".to_owned(), Some(format!("does not act on: {fields}")))
            });
            until(&format!("{name} says what its file says at its head"), 40, async || {
                let (status, reason, message) = f.condition(namespace, &name, "Supported");
                let same = (&status, &reason) == (&expected.0, &expected.1)
                    && expected.2.as_ref().is_none_or(|end| message.ends_with(end));
                if same { Ok(()) } else { Err(format!("{expected:?}: {status} {reason}: {message}")) }
            })
            .await;
        }
    }
    assert!(heads.is_empty(), "a head names what is not there: {heads:?}");
    f.kubectl.run(&["delete", "namespace", "dirac", "escape", "--timeout=90s"]).unwrap();
}

async fn a_leader_that_cannot_renew_its_lease_stops_and_goes_on_later(f: &Fixture) {
    f.world("paused", 8, "20s", 2, "");
    until("jobs run", 60, async || match f.jobs("paused", "running").await {
        n if n >= 4 => Ok(()),
        n => Err(format!("{n} run")),
    })
    .await;
    let leads = async || f.operator.metric(&["dirac_operator_leader"]).await.unwrap();
    assert_eq!(leads().await, 1.0);
    f.plane.pause().unwrap();
    // The lease holds for 15 s: before another may take it, this one has stopped.
    tokio::time::sleep(Duration::from_secs(15)).await;
    let led = leads().await;
    f.plane.resume().unwrap();
    assert_eq!(led, 0.0, "it hears nothing of the lease, and stops");
    until("the jobs are served all the same, each once", 120, async || match f.jobs("paused", "served").await {
        8 => Ok(()),
        n => Err(format!("{n} served")),
    })
    .await;
    assert_eq!(f.jobs("paused", "requeued").await, 0, "no VM was lost over it");
}

async fn the_operator_ends_when_it_is_told_to(f: &mut Fixture) {
    let process = f.operator.process();
    process.signal(nix::sys::signal::Signal::SIGTERM).unwrap();
    let status = process.wait(Duration::from_secs(15)).unwrap().expect("it ends within 15 s");
    assert!(status.success(), "{status}");
    let lease = f.get(NAMESPACE, "lease/dirac-operator");
    let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
    assert_eq!(holder, "", "the lease was given back: {lease}");
    drop(f.plane.kubeconfig());
}

#[tokio::test]
async fn of_two_operators_one_acts_and_the_other_takes_over_when_it_is_killed() {
    let state = tempfile::tempdir().unwrap();
    let mut first = fixture(state.path()).await;
    let kubeconfig = first.plane.kubeconfig_for_service_account(NAMESPACE, NAMESPACE).await.unwrap();
    let mut second = Operator::start(&kubeconfig, &state.path().join("second.log"), &QUICK).unwrap();
    second.ready().await.unwrap();
    first.world("shared", 4, "60s", 2, "");
    until("the first makes a VM", 60, async || match first.vms("shared").len() {
        0 => Err("no PilotVM".to_owned()),
        _ => Ok(()),
    })
    .await;
    let made = |o: f64| o as u64;
    assert_eq!(made(second.metric(&["launches_total"]).await.unwrap()), 0, "the second stands by");
    assert_eq!(made(second.metric(&["api_writes_total"]).await.unwrap()), 0, "and writes nothing");

    first.operator.process().kill();
    // The first one's cloud was in its memory and is gone with it: its VMs have vanished, and the second one says so and goes on.
    until("the second takes over and settles what the first left", 120, async || {
        let ended = second.metric(&["endings_total", "Vanished"]).await.unwrap();
        let launched = second.metric(&["launches_total"]).await.unwrap();
        if ended >= 1.0 && launched >= 1.0 { Ok(()) } else { Err(format!("{ended} vanished, {launched} launched")) }
    })
    .await;
}
