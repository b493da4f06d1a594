//! Layer `e2e`: real jobs in a real DIRAC become VMs in a real Nova, whose guests run DIRAC's own JobAgent until the jobs are Done.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::Value;
use testbeds::{
    real::{
        FORTY, Life, NAMESPACE, Real, peak,
        secrets::{Secrets, Written},
    },
    systems::{
        kubectl::Kubectl,
        openstack::{PROJECT, Server, TINY},
        operator::{NAMESPACE as OPERATOR, Operator},
    },
};

/// Most VMs of each pool, and what they are, as the manifests say.
const POOLS: [(&str, usize, &str); 3] = [("cpu", 4, "m1.medium"), ("gpu", 2, "g1.vgpu"), ("long", 2, "m1.large")];
/// Most VMs that may be made for the forty jobs: the eight of the pools, and half as many again for a pilot that ended between two jobs.
const ENOUGH: usize = 12;
/// Most bytes of user-data: what the strictest clouds take.
const LARGEST: usize = 16 * 1024;
const QUICK: [&str; 4] = ["--busy-interval=2", "--list-interval=5", "--rows-interval=2", "--catalogue-interval=10"];

struct Scene {
    operator: Operator,
    kubectl: Kubectl,
    real: Real,
    /// What must be told nowhere.
    secrets: Secrets,
    log: PathBuf,
}

impl Scene {
    /// Status, reason and message of a condition.
    fn condition(&self, object: &str, type_: &str) -> (String, String, String) {
        self.kubectl.says(NAMESPACE, object, type_).unwrap()
    }

    fn pilotvms(&self) -> Vec<Value> {
        self.kubectl.objects(NAMESPACE, "pilotvms").unwrap()
    }

    async fn servers(&self) -> Vec<Server> {
        let all = self.real.openstack.servers(PROJECT).await.unwrap();
        all.into_iter().filter(|s| s.tags.iter().any(|t| t == "dirac-operator")).collect()
    }

    /// The number of servers that were ever made for the pools.
    fn made(&self) -> usize {
        self.real.history().unwrap().len()
    }

    /// Holds every server of all times against what its pool may have: Nova's own history has no gaps, as looks would.
    fn look(&self) -> Vec<Life> {
        let vms = self.pilotvms();
        let history = self.real.history().unwrap();
        for (pool, most, flavor) in POOLS {
            let now = vms.iter().filter(|vm| vm["spec"]["poolRef"]["name"] == pool).count();
            assert!(now <= most, "{now} PilotVMs in pool {pool}, whose maximum is {most}");
            let of_pool = || history.iter().filter(|life| life.pool == pool);
            assert!(
                peak(of_pool()) <= most,
                "more than {most} servers of pool {pool} at one time: {:?}",
                times(of_pool())
            );
            let odd = of_pool().find(|life| life.flavor != flavor);
            assert!(odd.is_none(), "pool {pool} has a server of another flavor than {flavor}: {odd:?}");
        }
        // Read after the servers: a row is there before its server is asked for.
        let rows: BTreeSet<String> = self.real.references().unwrap().into_iter().collect();
        let mut pilots = BTreeSet::new();
        for life in &history {
            assert!(POOLS.iter().any(|(pool, ..)| *pool == life.pool), "a server of no pool: {life:?}");
            let pilot = life.reference().unwrap();
            assert!(pilots.insert(pilot), "two servers of one PilotVM, {pilot}");
            assert!(rows.contains(pilot), "a server without a row: {life:?}");
            assert!(life.user_data.len() < LARGEST, "{} bytes of user-data", life.user_data.len());
        }
        history
    }

    async fn until(&mut self, what: &str, seconds: u64, mut holds: impl FnMut(&Self) -> Result<(), String>) {
        let begun = Instant::now();
        let mut said = Instant::now();
        loop {
            self.look();
            match holds(self) {
                Ok(()) => {
                    eprintln!("    {:>4} s  {what}", begun.elapsed().as_secs());
                    return;
                }
                Err(now) => {
                    assert!(begun.elapsed() < Duration::from_secs(seconds), "{what}: not within {seconds} s: {now}");
                    if said.elapsed() > Duration::from_secs(20) {
                        said = Instant::now();
                        eprintln!("    {:>4} s  waiting until {what}: {now}", begun.elapsed().as_secs());
                    }
                }
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn all_done(&mut self, jobs: usize, seconds: u64) {
        self.until(&format!("{jobs} jobs are Done"), seconds, |s| {
            let count = |status| s.real.jobs(status).unwrap();
            let failed = count("Failed");
            assert_eq!(failed, 0, "jobs failed");
            match count("Done") {
                done if done == jobs => Ok(()),
                done => Err(format!("{done} Done, {} Running, {} Waiting", count("Running"), count("Waiting"))),
            }
        })
        .await;
        self.real.all_is_well(&[]).unwrap();
    }

    /// Those that were written meanwhile count too.
    async fn secrets_are_kept(&mut self) {
        self.secrets.note_cluster(&self.kubectl).unwrap();
        let history = self.real.history().unwrap();
        let user_data: Vec<&str> = history.iter().map(|life| life.user_data.as_str()).collect();
        let written =
            Written { logs: std::slice::from_ref(&self.log), operators: &[&self.operator], user_data: &user_data };
        self.secrets.are_kept(&self.kubectl, &written).await.unwrap();
    }

    async fn nothing_left(&mut self) {
        self.until("idle guests end and their VMs go", 300, |s| match s.pilotvms().len() {
            0 => Ok(()),
            n => Err(format!("{n} PilotVMs")),
        })
        .await;
        assert!(self.servers().await.is_empty(), "nothing is left in Nova");
        assert_eq!(self.real.open_rows().unwrap(), 0, "every row is closed");
        let history = self.look();
        let alive: Vec<_> = history.iter().filter(|life| life.ended.is_none()).collect();
        assert!(alive.is_empty(), "Nova has not ended {alive:?}");
        let mut pilots: Vec<String> = history.iter().map(|life| life.reference().unwrap().to_owned()).collect();
        let mut rows = self.real.references().unwrap();
        pilots.sort();
        rows.sort();
        assert_eq!(pilots, rows, "each server had exactly one row, and each row its server");
    }
}

/// When servers began and ended, for the eye.
fn times<'a>(lives: impl Iterator<Item = &'a Life>) -> Vec<(u64, Option<u64>)> {
    lives.map(|life| (life.began, life.ended)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_jobs_of_four_kinds_are_done_on_the_right_vms_and_nothing_is_left() {
    let state = tempfile::tempdir().unwrap();
    let real = Real::start(state.path()).await.unwrap();
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
    let mut scene = Scene { operator, kubectl, real, secrets, log };

    clouds_that_cannot_work_say_why(&mut scene).await;
    scene.secrets_are_kept().await;
    all_forty(&mut scene).await;
    scene.secrets_are_kept().await;
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

async fn all_forty(scene: &mut Scene) {
    for kind in &FORTY {
        scene.real.submit(kind, kind.jobs, 5).unwrap();
    }
    let begun = Instant::now();
    scene.all_done(40, 900).await;
    let served = begun.elapsed().as_secs();
    let history = scene.look();
    for (pool, most, _) in POOLS {
        let highest = peak(history.iter().filter(|life| life.pool == pool));
        assert_eq!(highest, most, "there was work for as many VMs as pool {pool} may have");
    }
    scene.nothing_left().await;
    let wasted = scene.operator.metric(&["vms_never_ran_job_total"]).await.unwrap();
    let calls = scene.operator.metric(&["cloud_calls_total", "cloud=\"lyon\""]).await.unwrap_or(0.0);
    let made = scene.made();
    assert!(made <= ENOUGH, "{made} VMs were made for forty jobs");
    let orders = scene.operator.metric(&["demand_to_order_seconds_count"]).await.unwrap();
    let order = scene.operator.metric(&["demand_to_order_seconds_sum"]).await.unwrap() / orders;
    let late = orders - scene.operator.metric(&["demand_to_order_seconds_bucket", "le=\"2.0\""]).await.unwrap();
    eprintln!(
        "40 jobs Done after {served} s: {made} VMs made, {wasted} never ran a job, {:.1} cloud calls per VM life; {order:.2} s from \
         demand to order in the mean, {late} of {orders} later than 2 s",
        calls / made as f64
    );
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
