//! `cargo xtask bench --hostile`: what a namespace that does its worst costs others.
//!
//! The operator as it is shipped, on a real API server. Two namespaces are timed: one with a cloud on paper (PilotVM made to order, between
//! two lists, PilotVM deleted to deletion), one with simulated jobs and VMs (demand read to order). First alone; then beside a third that
//! has 64 Clouds at servers that do their worst, and 64 pools with the worst templates, some of which change all the time.

mod server;
mod templates;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use crds::{PilotPool, PilotVM};
use futures::future::try_join_all;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;
use testbeds::{
    host::say::Step,
    systems::{controlplane::ControlPlane, operator::Operator},
};

use self::{
    server::{Malice, Server},
    templates::template,
};
use crate::{
    nova::Site,
    row,
    simulated::cpu_ticks,
    third::{Times, compare, manifest, timed},
};

/// Clouds, and pools, of the namespace that does its worst.
const MANY: usize = 64;
/// One of its templates changes in this time.
const CHANGES: Duration = Duration::from_millis(500);
/// Before it is measured beside: every cloud was asked, every template checked.
const SETTLES: Duration = Duration::from_secs(60);

/// Measures, and prints its rows.
pub async fn measure() -> Result<()> {
    let step = Step::start("measuring two namespaces beside one that does its worst (twelve minutes)");
    let state = tempfile::tempdir()?;
    let plane = ControlPlane::start(&state.path().join("controlplane")).await?;
    // Private addresses are allowed in testbeds: the servers are really reached.
    let (mut operator, _) = Operator::install_and_start(&plane, &state.path().join("operator.log"), &[]).await?;
    let third = Site::open().await?;
    plane.kubectl().apply(&manifest("third", &[("third", &third)]))?;
    plane.kubectl().apply(&demand())?;
    let client = plane.client().await?;
    let vms: Api<PilotVM> = Api::namespaced(client.clone(), "third");
    // The first launch waits for the offers to be read.
    timed(&vms, &third, "first", 1).await?;
    let alone = Window::watch(&mut operator, &vms, &third, "alone").await?;

    step.progress("64 clouds and 64 pools that do their worst");
    let servers =
        try_join_all((0..MANY).map(|n| Server::open(Malice::ALL[n % Malice::ALL.len()], n % 16 >= 8))).await?;
    plane.kubectl().apply(&worst(&servers))?;
    let done = Arc::new(AtomicBool::new(false));
    let changes = tokio::spawn(change(client, done.clone()));
    tokio::time::sleep(SETTLES).await;
    let beside = Window::watch(&mut operator, &vms, &third, "beside").await?;
    done.store(true, Ordering::Relaxed);
    let changed = changes.await??;
    let asked: Vec<u64> = servers.iter().map(Server::asked).collect();
    ensure!(asked.iter().all(|n| *n > 0), "a server was not asked, so nothing was measured: {asked:?}");
    row(
        "requests at the 64 hostile servers; templates changed",
        &format!("{}; {changed}", asked.iter().sum::<u64>()),
        "",
    );
    alone.rows(&beside, &mut operator)?;
    operator.process().kill();
    step.done();
    Ok(())
}

/// What was measured in some minutes.
struct Window {
    times: Times,
    /// Orders, and the seconds from the demand to them.
    orders: (f64, f64),
    /// Seconds that 99 of 100 orders did not pass, as far as the buckets of the metric tell.
    slowest: f64,
    cores: f64,
    resident: f64,
}

impl Window {
    async fn watch(operator: &mut Operator, vms: &Api<PilotVM>, site: &Site, name: &str) -> Result<Self> {
        let pid = operator.process().pid();
        let (begun, ticks, before) = (Instant::now(), cpu_ticks(pid)?, Orders::read(operator).await?);
        let times = timed(vms, site, name, crate::third::TIMED).await?;
        let after = Orders::read(operator).await?.since(&before);
        let cores = (cpu_ticks(pid)? - ticks) as f64 / 100.0 / begun.elapsed().as_secs_f64();
        let resident = operator.metric(&["resident_memory_bytes"]).await?;
        ensure!(after.n > 0.0, "no VM was ordered: there is nothing to measure");
        Ok(Self { times, orders: (after.n, after.seconds / after.n), slowest: after.percentile_99(), cores, resident })
    }

    fn rows(&self, beside: &Self, operator: &mut Operator) -> Result<()> {
        let others = "a namespace that does its worst";
        self.times.rows(&beside.times, others)?;
        let what = "demand read to order, simulated";
        compare(&format!("{what}, mean: beside {others} / alone"), self.orders.1, beside.orders.1, "1.5");
        row(
            &format!("{what}, of 99 of 100 within: alone; beside"),
            &format!("{} s of {}; {} s of {}", self.slowest, self.orders.0, beside.slowest, beside.orders.0),
            "2 s",
        );
        row("operator: CPU, alone; beside", &format!("{:.2} core; {:.2} core", self.cores, beside.cores), "");
        let peak = peak(operator.process().pid())?;
        row(
            "operator: resident memory, alone; beside; its peak",
            &format!("{:.0} MB; {:.0} MB; {:.0} MB", self.resident / 1e6, beside.resident / 1e6, peak / 1e6),
            "256 MB",
        );
        Ok(())
    }
}

/// The metric of the time from demand to order.
#[derive(Debug, Default)]
struct Orders {
    n: f64,
    seconds: f64,
    /// How many orders came within this many seconds.
    within: Vec<(f64, f64)>,
}

impl Orders {
    async fn read(operator: &Operator) -> Result<Self> {
        let mut read = Self::default();
        for (name, value) in operator.metrics().await? {
            let Some(name) = name.strip_prefix("dirac_operator_demand_to_order_seconds_") else { continue };
            let bound = name.strip_prefix("bucket{le=\"").and_then(|rest| rest.strip_suffix("\"}"));
            match (name, bound) {
                ("count", _) => read.n = value,
                ("sum", _) => read.seconds = value,
                (_, Some(bound)) => read.within.push((bound.parse().unwrap_or(f64::INFINITY), value)),
                _ => {}
            }
        }
        Ok(read)
    }

    fn since(mut self, before: &Self) -> Self {
        for (bound, n) in &mut self.within {
            *n -= before.within.iter().find(|(other, _)| other == bound).map_or(0.0, |(_, n)| *n);
        }
        Self { n: self.n - before.n, seconds: self.seconds - before.seconds, within: self.within }
    }

    /// The bound of the first bucket that has 99 of 100.
    fn percentile_99(&self) -> f64 {
        let enough = self.within.iter().filter(|(_, n)| *n >= self.n * 0.99);
        enough.map(|(bound, _)| *bound).fold(f64::INFINITY, f64::min)
    }
}

/// The most memory that a process has had resident, in bytes.
fn peak(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the operator has ended")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("there is no VmHWM")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1_024.0)
}

/// Changes one template after the other; gives how many.
async fn change(client: Client, done: Arc<AtomicBool>) -> Result<usize> {
    let pools: Api<PilotPool> = Api::namespaced(client, "worst");
    let mut n = 0;
    while !done.load(Ordering::Relaxed) {
        n += 1;
        let patch = Patch::Merge(json!({"spec": {"machine": {"userData": template(MANY + n)}}}));
        pools.patch(&format!("worst-{}", n % MANY), &PatchParams::default(), &patch).await?;
        tokio::time::sleep(CHANGES).await;
    }
    Ok(n)
}

/// A namespace with a simulated DIRAC and cloud: each job, one a second, needs a VM of its own.
fn demand() -> String {
    include_str!("../simulated.yaml")
        .replace(
            "jobsPerHour: 360000, cpuTime: 1h, runTime: 4m, jobs: 800",
            "jobsPerHour: 3600, cpuTime: 1h, runTime: 12h",
        )
        .replace("cores: 4, ramGiB: 8", "cores: 1, ramGiB: 2")
        .replace("scaling: {max: 0, idleTimeout: 30s}", "scaling: {max: 5000, idleTimeout: 1h}")
}

/// The namespace that does its worst.
fn worst(servers: &[Server]) -> String {
    let base = include_str!("../clouds.yaml").replace("@NAMESPACE@", "worst");
    let (objects, each) = base.split_once("# For each cloud.\n").unwrap_or((&base, ""));
    // Its jobs want all its pools.
    let mut text = objects
        .replace("jobsPerHour: 1, cpuTime: 1h, tags: [NoPoolHasIt]", "jobsPerHour: 10000000, cpuTime: 1h, runTime: 1h");
    for (n, server) in servers.iter().enumerate() {
        let user_data = json!(template(n)).to_string();
        text.push_str(
            &each
                .replace("@CLOUD@", &format!("worst-{n}"))
                .replace("@AUTH_URL@", &server.auth_url())
                .replace("userData: \"#cloud-config\"", &format!("userData: {user_data}")),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifests_ask_for_what_is_measured() {
        let demand = demand();
        assert!(
            demand.contains("jobsPerHour: 3600,") && demand.contains("max: 5000") && demand.contains("cores: 1,"),
            "{demand}"
        );
    }

    #[tokio::test]
    async fn the_worst_namespace_has_a_cloud_and_a_pool_for_each_server() {
        let servers =
            [Server::open(Malice::Huge, false).await.unwrap(), Server::open(Malice::Pages, true).await.unwrap()];
        let text = worst(&servers);
        assert_eq!((text.matches("kind: Cloud").count(), text.matches("kind: PilotPool").count()), (2, 2));
        assert!(
            text.contains(&servers[1].auth_url())
                && text.contains("jobsPerHour: 10000000")
                && !text.contains("\"#cloud-config\"")
        );
    }

    #[test]
    fn of_orders_what_came_before_does_not_count() {
        let then = Orders { n: 10.0, seconds: 50.0, within: vec![(0.1, 0.0), (2.0, 1.0), (f64::INFINITY, 10.0)] };
        let now = Orders { n: 110.0, seconds: 60.0, within: vec![(0.1, 90.0), (2.0, 100.0), (f64::INFINITY, 110.0)] };
        let since = now.since(&then);
        assert_eq!((since.n, since.seconds, since.percentile_99()), (100.0, 10.0, 2.0));
    }
}
