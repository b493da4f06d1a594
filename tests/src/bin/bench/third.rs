//! The third cloud, of another namespace: how long it takes until it is asked to make a VM and to delete one, and between two of its lists.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use crds::{LocalRef, PilotVM, vm::PilotVMSpec};
use futures::future::join_all;
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};

use crate::{
    nova::{Asked, Site},
    percentile::percentile_99,
    row,
};

/// PilotVMs of the third cloud in each measurement.
pub const TIMED: usize = 300;
/// One of them begins in this time.
const PACE: Duration = Duration::from_millis(300);
/// Nothing takes longer, also where other work shares the machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// Seconds, one for each time that it happened.
pub struct Times {
    launches: Vec<f64>,
    lists: Vec<f64>,
    deletions: Vec<f64>,
    /// How long the API server took to answer these DELETEs.
    answers: Vec<f64>,
}

impl Times {
    /// Prints these times beside others against these alone, in the mean and of 99 of 100; `others`: beside what.
    pub fn rows(&self, beside: &Self, others: &str) -> Result<()> {
        for (what, budget, alone, beside) in [
            ("PilotVM made to order at its cloud", "1.5", &self.launches, &beside.launches),
            ("between two lists of a cloud", "1.5", &self.lists, &beside.lists),
            ("PilotVM deleted to deletion at its cloud", "1.5", &self.deletions, &beside.deletions),
            ("of this, the API server's answer", "", &self.answers, &beside.answers),
        ] {
            compare(
                &format!("{what}, 99th percentile of {TIMED}: beside {others} / alone"),
                percentile_99(alone.clone())?,
                percentile_99(beside.clone())?,
                budget,
            );
            compare(&format!("{what}, mean: beside {others} / alone"), mean(alone), mean(beside), "");
        }
        Ok(())
    }
}

/// Prints a ratio.
pub fn compare(what: &str, alone: f64, beside: f64, budget: &str) {
    row(what, &format!("{:.2} (alone {alone:.3} s, beside {beside:.3} s)", beside / alone), budget);
}

fn mean(all: &[f64]) -> f64 {
    all.iter().sum::<f64>() / all.len().max(1) as f64
}

/// Has this number of VMs made and deleted, and gives the times.
pub async fn timed(api: &Api<PilotVM>, site: &Site, name: &str, n: usize) -> Result<Times> {
    let begun = Instant::now();
    let names: Vec<String> = (0..n).map(|n| format!("third-{name}-{n}")).collect();
    let made =
        each(&names, async |name| api.create(&PostParams::default(), &pilot_vm(name, "third")).await.map(drop)).await?;
    wait("the VMs are ordered", || names.iter().all(|name| site.asked(Asked::Made, name).is_some())).await?;
    wait("the VMs are there", || site.servers() >= n).await?;
    // Written down by then.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let deleted = each(&names, async |name| api.delete(name, &DeleteParams::default()).await.map(drop)).await?;
    wait("the VMs are deleted", || names.iter().all(|name| site.asked(Asked::Deleted, name).is_some())).await?;
    let lists = site.list_gaps(begun);
    wait("no VM is left", || site.servers() == 0).await?;
    let took = |what: Asked, calls: &[Called]| -> Vec<f64> {
        let asked =
            names.iter().zip(calls).filter_map(|(name, call)| Some(site.asked(what, name)?.duration_since(call.began)));
        asked.map(|took| took.as_secs_f64()).collect()
    };
    let answers = deleted.iter().map(|call| call.took.as_secs_f64()).collect();
    Ok(Times { launches: took(Asked::Made, &made), lists, deletions: took(Asked::Deleted, &deleted), answers })
}

/// A call to the API server.
struct Called {
    began: Instant,
    took: Duration,
}

/// Does it for each name, one after the other at a pace that does not wait for the answer.
async fn each(names: &[String], act: impl AsyncFn(&str) -> Result<(), kube::Error>) -> Result<Vec<Called>> {
    let acts = names.iter().enumerate().map(async |(n, name)| {
        tokio::time::sleep(PACE * u32::try_from(n).unwrap_or(u32::MAX)).await;
        let began = Instant::now();
        act(name).await.map(|()| Called { began, took: began.elapsed() })
    });
    Ok(join_all(acts).await.into_iter().collect::<Result<_, _>>()?)
}

/// Makes this number of PilotVMs of a cloud.
pub async fn create(api: &Api<PilotVM>, cloud: &str, what: &str, n: usize) -> Result<()> {
    let names: Vec<String> = (0..n).map(|n| format!("{cloud}-{what}-{n}")).collect();
    let made =
        join_all(names.iter().map(async |name| api.create(&PostParams::default(), &pilot_vm(name, cloud)).await));
    made.await.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(())
}

/// Waits until it is so.
pub async fn wait(what: &str, is_so: impl Fn() -> bool) -> Result<()> {
    let begun = Instant::now();
    while !is_so() {
        if begun.elapsed() > PATIENCE {
            bail!("{what}: not within {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// As the round makes it, for a pool that is called like its cloud.
fn pilot_vm(name: &str, cloud: &str) -> PilotVM {
    let named = |name: &str| LocalRef { name: name.to_owned() };
    let mut spec = PilotVMSpec {
        installation_ref: named("dirac"),
        pool_ref: named(cloud),
        cloud_ref: named(cloud),
        vo: "biomed".into(),
        dirac_vo: "biomed".into(),
        group: "biomed_pilot".into(),
        site: "CLOUD.Bench.org".into(),
        ce: "bench".into(),
        queue: "m1".into(),
        image: "default".into(),
        max_cpu_time: crds::Duration::from_secs(86_400),
        boot_deadline: crds::Duration::from_secs(86_400),
        idle_timeout: crds::Duration::from_secs(86_400),
        max_lifetime: crds::Duration::from_secs(864_000),
        reason: "measured".into(),
        ..PilotVMSpec::default()
    };
    (spec.offering.flavor, spec.offering.cores, spec.offering.ram_mib) = ("m1".into(), 1, 2_048);
    let mut vm = PilotVM::new(name, spec);
    vm.metadata.finalizers = Some(vec!["diracgrid.org/vm".to_owned()]);
    vm
}

/// A namespace with a simulated DIRAC whose jobs no pool takes, and these clouds, each with a pool of its name.
pub fn manifest(namespace: &str, clouds: &[(&str, &Site)]) -> String {
    let base = include_str!("clouds.yaml");
    let (objects, cloud) = base.split_once("# For each cloud.\n").unwrap_or((base, ""));
    let of_cloud =
        |(name, site): &(&str, &Site)| cloud.replace("@CLOUD@", name).replace("@AUTH_URL@", &site.auth_url());
    let clouds: String = clouds.iter().map(of_cloud).collect();
    format!("{objects}{clouds}").replace("@NAMESPACE@", namespace)
}
