//! `cargo xtask bench --clouds`: what a cloud that hangs and one that throttles cost a third, of another namespace.
//!
//! The operator as it is shipped, on a real API server; the three clouds are on paper (see `nova`). Launches, lists and deletions of the
//! third are timed alone, and again while 200 PilotVMs of each of the others wait for it: half of them have a VM, and a quarter are being
//! deleted.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use crds::{LocalRef, PilotVM, vm::PilotVMSpec};
use futures::future::join_all;
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use testbeds::{
    host::say::Step,
    systems::{
        controlplane::ControlPlane,
        operator::{NAMESPACE, Operator},
    },
};

use crate::{
    nova::{Asked, Mood, Site, percentile_99},
    row,
};

/// PilotVMs of the third cloud in each measurement.
const TIMED: usize = 100;
/// One of them begins in this time.
const PACE: Duration = Duration::from_millis(300);
/// PilotVMs of each cloud that misbehaves.
const WAITING: usize = 200;
/// Nothing takes longer, also where other work shares the machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// Seconds that 99 of 100 do not pass.
struct Times {
    launches: f64,
    lists: f64,
    deletions: f64,
}

/// Measures, and prints its rows.
pub async fn measure() -> Result<()> {
    let step = Step::start("measuring one cloud beside two that misbehave (five minutes)");
    let state = tempfile::tempdir()?;
    let plane = ControlPlane::start(&state.path().join("controlplane")).await?;
    Operator::install_chart(&plane)?;
    let kubeconfig = plane.kubeconfig_for_service_account(NAMESPACE, NAMESPACE).await?;
    let mut operator = Operator::start(&kubeconfig, &state.path().join("operator.log"), &[])?;
    operator.ready().await?;
    let (third, hangs, throttles) = (Site::open().await?, Site::open().await?, Site::open().await?);
    plane.kubectl().apply(&manifest("third", &[("third", &third)]))?;
    let client = plane.client().await?;
    let (ours, theirs): (Api<PilotVM>, Api<PilotVM>) =
        (Api::namespaced(client.clone(), "third"), Api::namespaced(client, "others"));
    // The first launch waits for the offers to be read.
    timed(&ours, &third, "first", 1).await?;
    let alone = timed(&ours, &third, "alone", TIMED).await?;

    step.progress("two clouds with 200 PilotVMs each");
    plane.kubectl().apply(&manifest("others", &[("hangs", &hangs), ("throttles", &throttles)]))?;
    let others = [("hangs", &hangs, Mood::Hangs), ("throttles", &throttles, Mood::Throttles)];
    for (cloud, site, mood) in others {
        create(&theirs, cloud, "has", WAITING / 2).await?;
        wait("their VMs are made", || site.servers() >= WAITING / 2).await?;
        site.set(mood);
    }
    for (cloud, _, _) in others {
        create(&theirs, cloud, "waits", WAITING / 2).await?;
        join_all(
            (0..WAITING / 4).map(async |n| theirs.delete(&format!("{cloud}-has-{n}"), &DeleteParams::default()).await),
        )
        .await
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    let beside = timed(&ours, &third, "beside", TIMED).await?;
    for (what, alone, beside) in [
        ("PilotVM made to order at its cloud", alone.launches, beside.launches),
        ("between two lists of a cloud", alone.lists, beside.lists),
        ("PilotVM deleted to deletion at its cloud", alone.deletions, beside.deletions),
    ] {
        let figure = format!("{:.2} (alone {alone:.3} s, beside {beside:.3} s)", beside / alone);
        row(&format!("{what}, 99th percentile of {TIMED}: beside two clouds that misbehave / alone"), &figure, "1.5");
    }
    operator.process().kill();
    step.done();
    Ok(())
}

/// Has this number of VMs made and deleted, and gives the times.
async fn timed(api: &Api<PilotVM>, site: &Site, name: &str, n: usize) -> Result<Times> {
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
    let took = |what: Asked, since: &[Instant]| -> Result<f64> {
        let asked =
            names.iter().zip(since).filter_map(|(name, since)| Some(site.asked(what, name)?.duration_since(*since)));
        percentile_99(asked.map(|took| took.as_secs_f64()).collect())
    };
    let lists = if n > 1 { percentile_99(lists)? } else { 0.0 };
    Ok(Times { launches: took(Asked::Made, &made)?, lists, deletions: took(Asked::Deleted, &deleted)? })
}

/// Does it for each name, one after the other at a pace that does not wait for the answer; gives when each began.
async fn each(names: &[String], act: impl AsyncFn(&str) -> Result<(), kube::Error>) -> Result<Vec<Instant>> {
    let acts = names.iter().enumerate().map(async |(n, name)| {
        tokio::time::sleep(PACE * u32::try_from(n).unwrap_or(u32::MAX)).await;
        let began = Instant::now();
        act(name).await.map(|()| began)
    });
    Ok(join_all(acts).await.into_iter().collect::<Result<_, _>>()?)
}

async fn create(api: &Api<PilotVM>, cloud: &str, what: &str, n: usize) -> Result<()> {
    let names: Vec<String> = (0..n).map(|n| format!("{cloud}-{what}-{n}")).collect();
    let made =
        join_all(names.iter().map(async |name| api.create(&PostParams::default(), &pilot_vm(name, cloud)).await));
    made.await.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(())
}

async fn wait(what: &str, is_so: impl Fn() -> bool) -> Result<()> {
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
fn manifest(namespace: &str, clouds: &[(&str, &Site)]) -> String {
    let base = include_str!("clouds.yaml");
    let (objects, cloud) = base.split_once("# For each cloud.\n").unwrap_or((base, ""));
    let of_cloud =
        |(name, site): &(&str, &Site)| cloud.replace("@CLOUD@", name).replace("@AUTH_URL@", &site.auth_url());
    let clouds: String = clouds.iter().map(of_cloud).collect();
    format!("{objects}{clouds}").replace("@NAMESPACE@", namespace)
}
