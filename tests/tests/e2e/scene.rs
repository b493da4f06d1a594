//! What every part of the layer looks at: the VMs of both clouds of all times, DIRAC's jobs and rows, and what the operator writes.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::Value;
use testbeds::{
    real::{
        Life, NAMESPACE, PARIS, Real, SPOT_QUOTAS, TYPES, peak, peak_cores,
        secrets::{Secrets, Written},
    },
    systems::{
        ec2::Instance,
        kubectl::Kubectl,
        openstack::{PROJECT, Server},
        operator::Operator,
    },
};

/// Most VMs of each pool over both clouds, and what they are at each, as the manifests say.
pub const POOLS: [(&str, usize, [&str; 2]); 3] =
    [("cpu", 4, ["m1.medium", TYPES[0]]), ("gpu", 3, ["g1.vgpu", TYPES[2]]), ("long", 2, ["m1.large", TYPES[1]])];
/// Most bytes of user-data: what the strictest clouds take.
const LARGEST: usize = 16 * 1024;
pub const QUICK: [&str; 4] = ["--busy-interval=2", "--list-interval=5", "--rows-interval=2", "--catalogue-interval=10"];

pub struct Scene {
    pub operator: Operator,
    pub kubectl: Kubectl,
    pub real: Real,
    /// What must be told nowhere.
    pub secrets: Secrets,
    pub log: PathBuf,
    /// Jobs that were on VMs which the provider took back.
    pub lost: BTreeSet<u64>,
    /// Every VM of both clouds, as of the last look.
    pub history: Vec<Life>,
}

impl Scene {
    /// Status, reason and message of a condition.
    pub fn condition(&self, object: &str, type_: &str) -> (String, String, String) {
        self.kubectl.says(NAMESPACE, object, type_).unwrap()
    }

    pub fn pilotvms(&self) -> Vec<Value> {
        self.kubectl.objects(NAMESPACE, "pilotvms").unwrap()
    }

    pub async fn servers(&self) -> Vec<Server> {
        let all = self.real.openstack.servers(PROJECT).await.unwrap();
        all.into_iter().filter(|s| s.tags.iter().any(|t| t == "dirac-operator")).collect()
    }

    /// The number of VMs that were ever made for the pools.
    pub fn made(&self) -> usize {
        self.history.len()
    }

    /// Holds every VM of all times against what its pool and the account may have: the providers' own histories have no gaps, as looks
    /// would.
    async fn look(&mut self) {
        let vms = self.pilotvms();
        let history = self.real.lives().await.unwrap();
        for (pool, most, flavors) in POOLS {
            let now = vms.iter().filter(|vm| vm["spec"]["poolRef"]["name"] == pool).count();
            assert!(now <= most, "{now} PilotVMs in pool {pool}, whose maximum is {most}");
            let of_pool = || history.iter().filter(|life| life.pool == pool);
            assert!(
                peak(of_pool()) <= most,
                "more than {most} servers of pool {pool} at one time: {:?}",
                times(of_pool())
            );
            let odd = of_pool().find(|life| life.flavor != flavors[usize::from(life.cloud == PARIS)]);
            assert!(odd.is_none(), "pool {pool} has a VM of another flavor than {flavors:?}: {odd:?}");
        }
        for (with_gpu, (code, vcpus)) in [false, true].into_iter().zip(SPOT_QUOTAS) {
            let of_quota = history.iter().filter(|life| life.spot && (life.pool == "gpu") == with_gpu);
            let highest = peak_cores(of_quota);
            assert!(
                highest <= vcpus as usize,
                "{highest} vCPUs of Spot at one time, where the quota {code} is {vcpus}"
            );
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
        self.history = history;
    }

    pub async fn until(&mut self, what: &str, seconds: u64, mut holds: impl FnMut(&Self) -> Result<(), String>) {
        let begun = Instant::now();
        let mut said = Instant::now();
        loop {
            self.look().await;
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

    pub async fn all_done(&mut self, jobs: usize, seconds: u64) {
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
        self.real.all_is_well_but(&self.lost, &[]).unwrap();
    }

    /// Those that were written meanwhile count too.
    pub async fn secrets_are_kept(&mut self) {
        self.secrets.note_cluster(&self.kubectl).unwrap();
        let history = self.real.lives().await.unwrap();
        let user_data: Vec<&str> = history.iter().map(|life| life.user_data.as_str()).collect();
        let written =
            Written { logs: std::slice::from_ref(&self.log), operators: &[&self.operator], user_data: &user_data };
        self.secrets.are_kept(&self.kubectl, &written).await.unwrap();
    }

    pub async fn nothing_left(&mut self) {
        self.until("idle guests end and their VMs go", 300, |s| match s.pilotvms().len() {
            0 => Ok(()),
            n => Err(format!("{n} PilotVMs")),
        })
        .await;
        assert!(self.servers().await.is_empty(), "nothing is left in Nova");
        assert_eq!(self.real.open_rows().unwrap(), 0, "every row is closed");
        let ec2 = self.real.ec2().unwrap();
        let left = ec2.instances().await.unwrap().into_iter().filter(Instance::lives).count();
        assert_eq!((left, ec2.templates().await.unwrap()), (0, vec![]), "nothing is left at EC2");
        self.look().await;
        let alive: Vec<_> = self.history.iter().filter(|life| life.ended.is_none()).collect();
        assert!(alive.is_empty(), "the providers have not ended {alive:?}");
        let mut pilots: Vec<String> = self.history.iter().map(|life| life.reference().unwrap().to_owned()).collect();
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
