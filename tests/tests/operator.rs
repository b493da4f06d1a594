//! Layer `operator`: the operator under the chart's ServiceAccount on a real API server, with a simulated DIRAC and cloud, and with
//! a real DIRAC.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "operator/impostor.rs"]
mod impostor;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use broker::demand::diset::Credentials;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use testbeds::{
    controlplane::ControlPlane,
    dirac::Dirac,
    kubectl::Kubectl,
    operator::{NAMESPACE, Operator},
    pki::{Authority, Identity},
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
    Operator::install_chart(&plane).unwrap();
    let kubeconfig = plane.kubeconfig_for_service_account(NAMESPACE, NAMESPACE).await.unwrap();
    let mut operator = Operator::start(&kubeconfig, &state.join("operator.log"), &QUICK).unwrap();
    operator.ready().await.unwrap();
    Fixture { kubectl: plane.kubectl(), operator, plane }
}

/// Waits until `holds`, and says what was there when it never does.
async fn until(what: &str, seconds: u64, mut holds: impl AsyncFnMut() -> Result<(), String>) {
    let begun = Instant::now();
    let mut last = String::new();
    while begun.elapsed() < Duration::from_secs(seconds) {
        match holds().await {
            Ok(()) => return,
            Err(now) => last = now,
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    panic!("{what}: not within {seconds} s; last seen: {last}");
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
        let object = self.get(namespace, object);
        let found =
            object["status"]["conditions"].as_array().and_then(|all| all.iter().find(|c| c["type"] == type_)).cloned();
        let word = |field: &str| found.as_ref().and_then(|c| c[field].as_str()).unwrap_or("-").to_owned();
        (word("status"), word("reason"), word("message"))
    }

    async fn jobs(&self, namespace: &str, state: &str) -> u64 {
        let words = ["simulated_jobs{", &format!("namespace=\"{namespace}\""), &format!("state=\"{state}\"")];
        self.operator.metric(&words).await.unwrap() as u64
    }

    /// A namespace with a simulated DIRAC of `jobs` jobs, a cloud, and a pool of at most `max` VMs of 4 cores.
    fn world(&self, namespace: &str, jobs: u64, run_time: &str, max: u64, faults: &str) {
        self.kubectl.run(&["create", "namespace", namespace]).unwrap();
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
    a_namespace_deleted_under_load_goes(&f).await;
    what_this_version_does_not_act_on_is_said_by_the_object(&f).await;
    a_leader_that_cannot_renew_its_lease_stops_and_goes_on_later(&f, &state.path().join("operator.log")).await;
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
  machine: {flavors: [c4], userData: "runcmd: [{{ no_such_name }}]"}
  matching: {maxCpuTime: 24h}
  scaling: {max: 5, min: 1, spare: 1}
"#;
    f.kubectl.apply(broken).unwrap();
    until("the broken pool says what is wrong", 30, async || {
        let (_, _, resolved) = f.condition("served", "pilotpool/broken", "Resolved");
        let (_, _, template) = f.condition("served", "pilotpool/broken", "UserDataValid");
        let (_, _, supported) = f.condition("served", "pilotpool/broken", "Supported");
        let all = ["nowhere", "ghosts", "mist"].iter().all(|w| resolved.contains(w))
            && template.contains("no_such_name")
            && supported.contains("spare");
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
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    for folder in ["egi", "managed"] {
        f.kubectl.run(&["apply", "--validate=strict", "-f", &format!("{examples}/{folder}")]).unwrap();
    }
    for (namespace, object, words) in [
        ("escape", "diracinstallation/escape", "spec.managed"),
        ("dirac", "diracinstallation/egi", "spec.external.diracx"),
        ("dirac", "vo/biomed", "spec.budget"),
        ("dirac", "vo/biomed", "spec.share"),
        ("dirac", "vo/biomed", "spec.identityProvider"),
        ("dirac", "site/cppm", "spec.computingElements"),
        ("dirac", "site/cppm", "spec.gocdbName"),
        ("dirac", "cloud/aws-paris", "spec.ec2"),
        ("dirac", "cloud/fedcloud-lpsc", "spec.openstack.auth.oidc"),
        ("dirac", "pilotpool/biomed-gpu", "Spot"),
        ("dirac", "downtime/cppm-maintenance", "downtimes"),
    ] {
        until(&format!("{object} says that {words} is not acted on"), 40, async || {
            let (status, reason, message) = f.condition(namespace, object, "Supported");
            let all = status == "False" && reason == "NotActedOn" && message.contains(words);
            if all { Ok(()) } else { Err(format!("{status} {reason}: {message}")) }
        })
        .await;
    }
    f.kubectl.run(&["delete", "namespace", "dirac", "escape", "--timeout=90s"]).unwrap();
}

async fn a_leader_that_cannot_renew_its_lease_stops_and_goes_on_later(f: &Fixture, log: &Path) {
    f.world("paused", 8, "20s", 2, "");
    until("jobs run", 60, async || match f.jobs("paused", "running").await {
        n if n >= 4 => Ok(()),
        n => Err(format!("{n} run")),
    })
    .await;
    let said = |what: &str| std::fs::read_to_string(log).unwrap().matches(what).count();
    assert_eq!(said("not leading any more"), 0);
    f.plane.pause().unwrap();
    // The lease holds for 15 s: before another may take it, this one has stopped.
    tokio::time::sleep(Duration::from_secs(15)).await;
    let stopped = said("not leading any more");
    f.plane.resume().unwrap();
    assert_eq!(stopped, 1, "it hears nothing of the lease, and stops");
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

#[tokio::test]
async fn a_real_dirac_s_queues_are_read_and_its_failures_are_conditions() {
    let state = tempfile::tempdir().unwrap();
    let log_file = state.path().join("operator.log");
    let mut dirac = Dirac::start_matching(&state.path().join("dirac")).await.unwrap();
    let f = fixture(state.path()).await;
    let jobs: Vec<(u64, Value)> = (1..=9)
        .map(|job| {
            let group = ["biomed_user", "enmr_user", "lonely_user"][usize::try_from(job).unwrap() % 3];
            (job, json!({"Owner": "opuser", "OwnerGroup": group, "CPUTime": 3_600}))
        })
        .collect();
    assert_eq!(dirac.fill_task_queues(&jobs).unwrap(), []);

    f.kubectl.run(&["create", "namespace", "real"]).unwrap();
    let manifest = format!(
        r#"
apiVersion: diracgrid.org/v1alpha1
kind: DiracInstallation
metadata: {{name: egi, namespace: real}}
spec:
  demand: {{pollInterval: 5s}}
  external:
    matcher: {}
    pilotManager: {}
    credentials: {{certificateSecretRef: {{name: cert}}, group: biomed_admin}}
---
apiVersion: diracgrid.org/v1alpha1
kind: VirtualOrganization
metadata: {{name: biomed, namespace: real}}
spec: {{installationRef: {{name: egi}}, diracName: biomed, groups: [{{name: biomed_user}}, {{name: biomed_pilot, properties: [GenericPilot]}}], pilot: {{group: biomed_pilot}}}}
---
apiVersion: diracgrid.org/v1alpha1
kind: VirtualOrganization
metadata: {{name: enmr, namespace: real}}
spec: {{installationRef: {{name: egi}}, diracName: enmr.eu, groups: [{{name: enmr_user}}, {{name: enmr_pilot, properties: [GenericPilot]}}], pilot: {{group: enmr_pilot}}}}
"#,
        dirac.url("MATCHER").unwrap(),
        dirac.url("PILOTMANAGER").unwrap()
    );
    f.kubectl.apply(&manifest).unwrap();
    let says = async |status: &str, reason: &str, words: &str| {
        until(&format!("DemandRead is {status} for {reason}"), 120, async || {
            let (s, r, m) = f.condition("real", "diracinstallation/egi", "DemandRead");
            if s == status && r == reason && m.contains(words) { Ok(()) } else { Err(format!("{s} {r}: {m}")) }
        })
        .await;
    };
    says("False", "SecretMissing", "\"cert\"").await;
    put_secret(&f, "real", "cert", &keys(&dirac.credentials("stranger").unwrap()));
    says("False", "Unauthorized", "registry").await;
    put_secret(&f, "real", "cert", &keys(&dirac.credentials("user").unwrap()));
    says("True", "Read", "").await;
    let installation = f.get("real", "diracinstallation/egi");
    assert_eq!(installation["status"]["waitingJobs"], 9);
    assert_eq!(installation["status"]["unclaimed"], json!([{"group": "lonely_user", "jobs": 3}]));
    until("each VO has its share of the jobs", 20, async || {
        let waiting = |vo: &str| f.get("real", vo)["status"]["waitingJobs"].as_u64().unwrap_or(0);
        let both = (waiting("vo/biomed"), waiting("vo/enmr"));
        if both == (3, 3) { Ok(()) } else { Err(format!("{both:?}")) }
    })
    .await;
    dirac.stop_service("MATCHER");
    says("False", "Unreachable", "nothing is scaled").await;
    dirac.start_service("MATCHER").unwrap();
    says("True", "Read", "").await;
    a_pilotmanager_that_is_away_is_said_before_a_vm_is_made(&f, &mut dirac).await;
    each_kind_of_bad_credentials_has_its_sentence(&f, &dirac).await;
    a_matcher_that_answers_nonsense_is_said_and_costs_no_memory(&f, &dirac).await;
    credentials_that_are_taken_back_stop_the_planning(&f, &dirac, &log_file).await;
    let log = std::fs::read_to_string(log_file).unwrap();
    assert!(!log.contains("PRIVATE KEY"), "no secret in the log");
}

/// The keys of a secret.
fn keys(credentials: &Credentials) -> Value {
    json!({
        "tls.crt": credentials.certificate.expose_secret(),
        "tls.key": credentials.key.expose_secret(),
        "ca.crt": credentials.ca.expose_secret(),
    })
}

fn put_secret(f: &Fixture, namespace: &str, name: &str, keys: &Value) {
    let metadata = json!({"name": name, "namespace": namespace});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": keys});
    f.kubectl.apply(&secret.to_string()).unwrap();
}

async fn a_pilotmanager_that_is_away_is_said_before_a_vm_is_made(f: &Fixture, dirac: &mut Dirac) {
    let says = async |status: &str, reason: &str| {
        until(&format!("RowsRead is {status} for {reason}"), 60, async || {
            let (s, r, m) = f.condition("real", "diracinstallation/egi", "RowsRead");
            let ready = f.condition("real", "diracinstallation/egi", "Ready").0;
            if s == status && r == reason && ready == status { Ok(()) } else { Err(format!("{s} {r}: {m}; {ready}")) }
        })
        .await;
    };
    says("True", "Read").await;
    dirac.stop_service("PILOTMANAGER");
    says("False", "Unreachable").await;
    dirac.start_service("PILOTMANAGER").unwrap();
    says("True", "Read").await;
}

async fn a_matcher_that_answers_nonsense_is_said_and_costs_no_memory(f: &Fixture, dirac: &Dirac) {
    const HUNDRED_MB: usize = 100 << 20;
    f.kubectl.run(&["create", "namespace", "nonsense"]).unwrap();
    put_secret(f, "nonsense", "cert", &keys(&dirac.credentials("user").unwrap()));
    let framed = |text: String| format!("{}:{text}", text.len()).into_bytes();
    let cases = [
        ("no-diset", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "Garbage"),
        ("no-json", framed("<html>".to_owned()), "Garbage"),
        ("hundred-megabytes", framed("x".repeat(HUNDRED_MB)), "AnswerTooLarge"),
        (
            "million-values",
            framed(format!(r#"{{"OK": true, "Value": [0{}]}}"#, ",0".repeat(4 << 20))),
            "AnswerTooLarge",
        ),
        ("hangs-up", Vec::new(), "Unreachable"),
    ];
    for (name, answer, _) in &cases {
        let port = impostor::start(dirac.state(), answer.clone()).await;
        let external = json!({
            "matcher": format!("dips://localhost:{port}/WorkloadManagement/Matcher"),
            "pilotManager": dirac.url("PILOTMANAGER").unwrap(),
            "credentials": {"certificateSecretRef": {"name": "cert"}, "group": "biomed_admin"},
        });
        let installation = json!({
            "apiVersion": "diracgrid.org/v1alpha1", "kind": "DiracInstallation",
            "metadata": {"name": name, "namespace": "nonsense"},
            "spec": {"demand": {"pollInterval": "2s"}, "external": external},
        });
        f.kubectl.apply(&installation.to_string()).unwrap();
    }
    for (name, _, reason) in &cases {
        until(&format!("installation {name} says {reason}"), 40, async || {
            let (s, r, m) = f.condition("nonsense", &format!("diracinstallation/{name}"), "DemandRead");
            let all = s == "False" && r == *reason && m.contains("nothing is scaled");
            if all { Ok(()) } else { Err(format!("{s} {r}: {m}")) }
        })
        .await;
    }
    // They are asked every two seconds.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let resident = f.operator.metric(&["resident_memory_bytes"]).await.unwrap();
    eprintln!("resident memory while five Matchers answer nonsense: {:.0} MB", resident / 1e6);
    assert!(resident < 256e6, "{resident} bytes are more than the chart allows the operator");
    let (status, ..) = f.condition("real", "diracinstallation/egi", "DemandRead");
    assert_eq!(status, "True", "the installation beside them is read as before");
    f.kubectl.run(&["delete", "namespace", "nonsense", "--timeout=60s"]).unwrap();
}

async fn each_kind_of_bad_credentials_has_its_sentence(f: &Fixture, dirac: &Dirac) {
    f.kubectl.run(&["create", "namespace", "bad"]).unwrap();
    let good = keys(&dirac.credentials("user").unwrap());
    let with = |name: &str, value: &str| {
        let mut keys = good.clone();
        keys[name] = json!(value);
        keys
    };
    let subject = [("C", "ch"), ("O", "TestGrid"), ("CN", "opuser")];
    let elsewhere = Authority::new(&[("C", "ch"), ("O", "TestGrid"), ("CN", "Other CA")]).unwrap();
    let of = |identity: Identity| {
        let mut keys = with("tls.crt", &identity.certificate);
        keys["tls.key"] = json!(identity.key);
        keys
    };
    let mut half = good.clone();
    half.as_object_mut().unwrap().remove("tls.key");
    let (expired, forged) = (elsewhere.issue_expired(&subject, &[], 2020), elsewhere.issue(&subject, &[]));
    let cases = [
        ("half", half, "biomed_admin", "SecretIncomplete", "has no key \"tls.key\""),
        ("rubbish", with("tls.crt", "hello"), "biomed_admin", "BadCredentials", "tls.crt holds no certificate in PEM"),
        ("cut", with("tls.key", "-----BEGIN"), "biomed_admin", "BadCredentials", "tls.key holds no private key"),
        (
            "unpaired",
            with("tls.key", &forged.as_ref().unwrap().key),
            "biomed_admin",
            "BadCredentials",
            "tls.crt and tls.key",
        ),
        ("no-ca", with("ca.crt", ""), "biomed_admin", "BadCredentials", "ca.crt holds no certificate"),
        ("other-ca", with("ca.crt", &elsewhere.certificate), "biomed_admin", "CertificateRefused", "CA that signed it"),
        ("forged", of(forged.unwrap()), "biomed_admin", "CertificateRefused", "DIRAC's host must trust the CA"),
        ("expired", of(expired.unwrap()), "biomed_admin", "CertificateExpired", "ended on 2020-01-01"),
        ("weak-group", good.clone(), "biomed_user", "Unauthorized", "look at the group"),
        ("no-group", good.clone(), "ghosts", "Unauthorized", "look at the group"),
    ];
    for (name, keys, group, ..) in &cases {
        put_secret(f, "bad", name, keys);
        let external = json!({
            "matcher": dirac.url("MATCHER").unwrap(),
            "pilotManager": dirac.url("PILOTMANAGER").unwrap(),
            "credentials": {"certificateSecretRef": {"name": name}, "group": group},
        });
        let installation = json!({
            "apiVersion": "diracgrid.org/v1alpha1", "kind": "DiracInstallation",
            "metadata": {"name": name, "namespace": "bad"},
            "spec": {"demand": {"pollInterval": "5s"}, "external": external},
        });
        f.kubectl.apply(&installation.to_string()).unwrap();
    }
    for (name, .., reason, words) in &cases {
        until(&format!("installation {name} says {reason}"), 30, async || {
            let (s, r, m) = f.condition("bad", &format!("diracinstallation/{name}"), "DemandRead");
            let all = s == "False" && r == *reason && m.contains(words) && m.contains("nothing is scaled");
            if all { Ok(()) } else { Err(format!("{s} {r}: {m}")) }
        })
        .await;
        let (ready, because, _) = f.condition("bad", &format!("diracinstallation/{name}"), "Ready");
        assert_eq!((ready.as_str(), because.as_str()), ("False", *reason), "{name}");
    }
    f.kubectl.run(&["delete", "namespace", "bad", "--timeout=60s"]).unwrap();
}

async fn credentials_that_are_taken_back_stop_the_planning(f: &Fixture, dirac: &Dirac, log: &Path) {
    let says = async |reason: &str| {
        until(reason, 90, async || {
            let (_, r, m) = f.condition("real", "diracinstallation/egi", "DemandRead");
            if r == reason { Ok(()) } else { Err(format!("{r}: {m}")) }
        })
        .await;
    };
    // Secrets are read again each minute, and at once when an installation is touched.
    let touch = |n: &str| f.kubectl.run(&["annotate", "diracinstallation", "egi", n, "--namespace", "real"]).unwrap();
    let rounds = || std::fs::read_to_string(log).unwrap().matches("planned").count();
    f.kubectl.run(&["delete", "secret", "cert", "--namespace", "real"]).unwrap();
    touch("look=once");
    says("SecretMissing").await;
    let before = rounds();
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(rounds(), before, "no round plans with what was in memory");
    put_secret(f, "real", "cert", &keys(&dirac.credentials("user").unwrap()));
    touch("see=again");
    says("Read").await;
    assert!(rounds() > before);
}
