//! The systems, the operator, and what every scenario asks of them.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use testbeds::{
    host::until::until,
    real::{Kind, Life, NAMESPACE, Real},
    systems::{
        controlplane::proxy::Proxy,
        kubectl::{Condition, Kubectl},
        openstack::{PROJECT, lossy::Lossy},
        operator::{NAMESPACE as OPERATOR, Operator},
    },
};

/// The region whose Nova is reached through the lossy way.
pub const REGION: &str = "Lossy";
/// Lists as quick as they may be: so a wrong one is believed soonest.
const QUICK: [&str; 5] =
    ["--busy-interval=1", "--list-interval=2", "--rows-interval=2", "--catalogue-interval=5", "--orphan-age=15"];
/// Most VMs of each pool of the manifests.
const POOLS: [(&str, usize); 10] = [
    ("cpu", 4),
    ("gpu", 2),
    ("long", 2),
    (super::restore::FORGOTTEN[0].name, super::restore::FORGOTTEN[0].vms),
    (super::restore::FORGOTTEN[1].name, super::restore::FORGOTTEN[1].vms),
    (super::vanished::VANISHING.name, super::vanished::VANISHING.vms),
    ("silent", 1),
    ("stuck", 1),
    ("taken", 1),
    ("deleted", 2),
];
/// For an operator that is asked to end.
const ORDERLY: Duration = Duration::from_secs(40);

pub struct Scene {
    /// `None` while it is dead.
    pub operator: Option<Operator>,
    pub kubectl: Kubectl,
    /// Between the operator and the API server.
    pub proxy: Proxy,
    /// Between the operator and Nova.
    pub way: Lossy,
    pub real: Real,
    /// Of the operator's account, straight to the API server.
    pub direct: PathBuf,
    log: PathBuf,
}

impl Scene {
    pub async fn start(state: &Path) -> Self {
        let real = Real::start(state).await.unwrap();
        let way = real.openstack.lossy_region(REGION).await.unwrap();
        let proxy = real.plane.proxied().await.unwrap();
        let direct = real.plane.kubeconfig_for_service_account(OPERATOR, OPERATOR).await.unwrap();
        let (kubectl, log) = (real.plane.kubectl(), state.join("operator.log"));
        let mut scene = Self { operator: None, kubectl, proxy, way, real, direct, log };
        scene.kubectl.run(&["create", "namespace", NAMESPACE]).unwrap();
        let manifests = scene.real.manifests().await.unwrap();
        scene.kubectl.apply(&manifests.replace("region: RegionOne", &format!("region: {REGION}"))).unwrap();
        scene.revive().await;
        until("the cloud can be bought from", Duration::from_secs(90), async || {
            match scene.condition("cloud/lyon", "Ready") {
                Some(c) if c.status == "True" => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await
        .unwrap();
        scene
    }

    /// Starts the operator and waits until it is ready.
    pub async fn revive(&mut self) {
        self.revive_with(&[]).await;
    }

    /// The same with these options instead of the quick ones of the same name.
    pub async fn revive_with(&mut self, options: &[&str]) {
        let kubeconfig = self.proxy.kubeconfig(&self.direct).unwrap();
        self.operator = Some(self.start_operator(&kubeconfig, options).await);
    }

    /// One more operator, which is ready.
    pub async fn replica(&self, kubeconfig: &Path) -> Operator {
        self.start_operator(kubeconfig, &[]).await
    }

    async fn start_operator(&self, kubeconfig: &Path, options: &[&str]) -> Operator {
        let name = |option: &str| option.split('=').next().map(str::to_owned);
        let is_kept = |quick: &&str| !options.iter().any(|option| name(option) == name(quick));
        let all: Vec<&str> = QUICK.into_iter().filter(is_kept).chain(options.iter().copied()).collect();
        let mut operator = Operator::start(kubeconfig, &self.log, &all).unwrap();
        operator.ready().await.unwrap();
        operator
    }

    /// Sends a signal to the operator.
    pub fn signal(&mut self, signal: Signal) {
        self.operator.as_mut().unwrap().process().signal(signal).unwrap();
    }

    /// Kills the operator, without a chance to end in order.
    pub fn kill(&mut self) {
        if let Some(mut operator) = self.operator.take() {
            operator.process().kill();
        }
    }

    /// Ends the operator in order: it gives the Lease back, so that the next one need not wait for its end.
    pub fn stop(&mut self) {
        if let Some(mut operator) = self.operator.take() {
            operator.process().terminate(ORDERLY);
        }
    }

    /// A condition of an object such as `cloud/lyon`.
    pub fn condition(&self, object: &str, kind: &str) -> Option<Condition> {
        self.kubectl.conditions(NAMESPACE, object).unwrap().into_iter().find(|c| c.kind == kind)
    }

    pub fn history(&self) -> Vec<Life> {
        self.real.history().unwrap()
    }

    /// Ids of the servers that live.
    pub fn alive(&self) -> Vec<String> {
        self.history().into_iter().filter(|life| life.ended.is_none()).map(|life| life.id).collect()
    }

    /// Ids of the servers of a pool that live.
    pub fn alive_of(&self, pool: &str) -> Vec<String> {
        let history = self.history().into_iter();
        history.filter(|life| life.pool == pool && life.ended.is_none()).map(|life| life.id).collect()
    }

    pub fn pilotvms_of(&self, pool: &str) -> Vec<Value> {
        let all = self.kubectl.objects(NAMESPACE, "pilotvms").unwrap();
        all.into_iter().filter(|vm| vm["spec"]["poolRef"]["name"] == pool).collect()
    }

    /// Reason and text of each event about an object, which may be gone.
    pub fn told(&self, kind: &str, name: &str) -> Vec<(String, String)> {
        let events = self.kubectl.objects(NAMESPACE, "events.events.k8s.io").unwrap();
        let is_about = |e: &&Value| e["regarding"]["kind"] == kind && e["regarding"]["name"] == name;
        let word = |e: &Value, field: &str| e[field].as_str().unwrap_or_default().to_owned();
        events.iter().filter(is_about).map(|e| (word(e, "reason"), word(e, "note"))).collect()
    }

    /// A job whose VM a person, or a guest that hung, took away: its owner kills it, and nobody waits for it any more.
    pub fn is_given_up(&self, job: u64) {
        self.real.dirac.sql(&format!("update JobDB.Jobs set Status = 'Killed' where JobID = {job}")).unwrap();
    }

    /// Rows that have lost their PilotVMs: DIRAC's own agent closes such rows after days, and this does it now.
    pub fn rows_are_left(&self) {
        let closes = "update PilotAgentsDB.PilotAgents set Status = 'Aborted' where Status = 'Running'";
        self.real.dirac.sql(closes).unwrap();
    }

    /// Submits jobs and waits until this many run in all.
    pub async fn run_jobs(&self, kinds: &[(&Kind, usize)], seconds: u32) {
        let wanted: usize = kinds.iter().map(|(_, jobs)| jobs).sum();
        for (kind, jobs) in kinds {
            self.real.submit(kind, *jobs, seconds).unwrap();
        }
        until(&format!("{wanted} jobs run"), Duration::from_secs(180), async || {
            match self.real.jobs("Running").unwrap() {
                n if n >= wanted => Ok(()),
                n => Err(format!("{n} run")),
            }
        })
        .await
        .unwrap();
    }

    /// What must hold at any time, by the records of Nova and DIRAC.
    pub fn all_is_well(&self) {
        let limits = POOLS.map(|(pool, most)| ([pool], most));
        let limits: Vec<(&[&str], usize)> = limits.iter().map(|(pools, most)| (&pools[..], *most)).collect();
        self.real.all_is_well(&limits).unwrap();
    }

    /// Waits until all jobs that were ever submitted are Done, apart from those that were given up, each served once, and their VMs are gone.
    pub async fn jobs_end_and_nothing_is_left(&self) {
        until("all jobs are Done", Duration::from_secs(300), async || {
            self.all_is_well();
            let all = self.real.count("select count(*) from JobDB.Jobs where Status <> 'Killed'").unwrap();
            match self.real.jobs("Done").unwrap() {
                done if done == all => Ok(()),
                done => Err(format!("{done} of {all} Done, {} Running", self.real.jobs("Running").unwrap())),
            }
        })
        .await
        .unwrap();
        self.all_is_well();
        until("nothing is left", Duration::from_secs(180), async || self.nothing_is_left().await).await.unwrap();
    }

    /// Whether no PilotVM, no server and no open row is there.
    pub async fn nothing_is_left(&self) -> Result<(), String> {
        let objects = self.kubectl.objects(NAMESPACE, "pilotvms").unwrap().len();
        let (servers, rows) = (self.alive().len(), self.real.open_rows().unwrap());
        let listed = self.real.openstack.servers(PROJECT).await.unwrap();
        let ours = listed.iter().filter(|s| s.tags.iter().any(|t| t == "dirac-operator")).count();
        match (objects, servers, rows, ours) {
            (0, 0, 0, 0) => Ok(()),
            _ => Err(format!("{objects} PilotVMs, {servers} servers, {rows} open rows, {ours} servers in Nova's list")),
        }
    }

    /// Whether Nova's list, as the operator gets it, has none of these servers, and says so with 200.
    pub async fn is_unseen(&self, ids: &[String]) -> bool {
        let (status, body) = self.real.openstack.ask_nova(PROJECT, "servers/detail", "2.61").await.unwrap();
        assert_eq!(status, 200, "{body}");
        let listed = body["servers"].as_array().unwrap();
        !listed.iter().any(|s| ids.iter().any(|id| s["id"] == id.as_str()))
    }

    /// Whether a change of a Cloud is seen by the operator and its answer is shown: a name that nobody has, and back.
    pub async fn clouds_are_looked_after(&self, what: &str, patience: Duration) {
        for (group, wanted) in [("nobody-has-this", "False"), ("default", "True")] {
            let patch = json!({"spec": {"openstack": {"securityGroups": [group]}}}).to_string();
            let words = ["patch", "cloud", "lyon", "--namespace", NAMESPACE, "--type=merge", "--patch", &patch];
            self.kubectl.run(&words).unwrap();
            until(&format!("{what}: the cloud says of the group {group} {wanted}"), patience, async || {
                match self.condition("cloud/lyon", "Resolved") {
                    Some(c) if c.status == wanted => Ok(()),
                    other => Err(format!("{other:?}")),
                }
            })
            .await
            .unwrap();
        }
    }
}
