//! `cargo xtask bench --vms 20000 --pools 500`: the operator with many simulated VMs on a real API server: memory, CPU and writes at rest,
//! how long they take to be made, and how long a restart takes.

use std::{
    fmt::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use crds::PilotPool;
use futures::{StreamExt, TryStreamExt, stream};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;
use testbeds::{
    host::say::Step,
    systems::{controlplane::ControlPlane, operator::Operator},
};

use crate::{
    row,
    simulated::{cpu_ticks, until, writes},
};

/// This many VMs run before the burst: enough that what boots in them is no longer new.
const HANDFUL: u64 = 8;
/// How long CPU time and writes at rest are counted.
const WATCHED: Duration = Duration::from_secs(60);
/// The first wave, whose time is measured apart.
const BURST: u64 = 2_000;

/// Measures with this many VMs in this many pools, and prints its rows.
pub async fn measure(vms: u64, pools: u64) -> Result<()> {
    ensure!(pools > 0 && vms >= pools, "there are {vms} VMs and {pools} pools: each pool needs a VM");
    let step = Step::start(format!(
        "measuring the operator with {vms} VMs in {pools} pools (20,000 take a quarter of an hour)"
    ));
    let state = tempfile::tempdir()?;
    let plane = ControlPlane::start(&state.path().join("controlplane")).await?;
    let log = state.path().join("operator.log");
    let (mut operator, kubeconfig) = Operator::install_and_start(&plane, &log, &[]).await?;
    plane.kubectl().apply(&manifest(vms, pools))?;
    let jobs = vms as f64;
    until(&operator, "the jobs wait", 600, &["simulated_jobs{", "waiting"], move |n| n >= jobs).await?;
    let with = format!("{vms} VMs in {pools} pools");

    // A handful of VMs works first: until their pilots ask for jobs, the operator buys no more (broker, `experience/budget`).
    let each = HANDFUL.div_ceil(pools).min(vms / pools);
    let proven = each * pools;
    wanted(&plane, pools, each).await?;
    let running = ["dirac_operator_vms{", "phase=\"Running\""];
    until(&operator, "the first VMs run", 1_800, &running, move |n| n >= proven as f64).await?;
    let burst = BURST.min(vms.saturating_sub(proven));
    let first = proven + burst.min(1);
    wanted(&plane, pools, each + burst.div_ceil(pools)).await?;
    until(&operator, "the burst begins", 1_800, &["dirac_operator_vms{"], move |n| n >= first as f64).await?;
    let begun = Instant::now();
    until(&operator, "the burst is made", 1_800, &["dirac_operator_vms{"], move |n| n >= (proven + burst) as f64)
        .await?;
    row(
        &format!("PilotVMs of a burst of {burst} VMs made, {pools} pools"),
        &format!("{:.1} s", begun.elapsed().as_secs_f64()),
        "30 s for 2,000",
    );
    let (began, ticks) = (Instant::now(), cpu_ticks(operator.process().pid())?);
    wanted(&plane, pools, vms.div_ceil(pools)).await?;
    until(&operator, "all VMs run", 7_200, &running, move |n| n >= jobs).await?;
    row(&format!("until {with} run, after the burst"), &format!("{:.0} s", began.elapsed().as_secs_f64()), "");
    let used = (cpu_ticks(operator.process().pid())? - ticks) as f64 * 10.0;
    let others = vms.saturating_sub(burst + proven);
    if others > 0 {
        row(&format!("CPU per VM made, {with}"), &format!("{:.1} ms", used / others as f64), "");
    }

    step.progress("at rest");
    tokio::time::sleep(Duration::from_secs(60)).await;
    at_rest(&mut operator, &state.path().join("controlplane/log/audit.log"), &with).await?;

    for (end, is_killed) in [("restart", false), ("killed, so that its Lease must end first: restart", true)] {
        match is_killed {
            true => operator.process().kill(),
            false => operator.process().terminate(Duration::from_secs(60)),
        }
        let began = Instant::now();
        operator = Operator::start(&kubeconfig, &log, &[])?;
        operator.ready().await?;
        until(&operator, "the first round", 300, &["plan_seconds_count"], |n| n >= 1.0).await?;
        let took = format!("{:.1} s", began.elapsed().as_secs_f64());
        row(&format!("{end} to the first round, {with}"), &took, if is_killed { "" } else { "10 s" });
    }
    operator.process().kill();
    step.done();
    Ok(())
}

async fn at_rest(operator: &mut Operator, audit: &Path, with: &str) -> Result<()> {
    let pid = operator.process().pid();
    let (ticks, before, begun) = (cpu_ticks(pid)?, writes(audit)?, Instant::now());
    tokio::time::sleep(WATCHED).await;
    let (used, seconds) = ((cpu_ticks(pid)? - ticks) as f64 / 100.0, begun.elapsed().as_secs_f64());
    let after: u64 = writes(audit)?.values().sum();
    let written = after - before.values().sum::<u64>();
    let bytes = operator.metric(&["resident_memory_bytes"]).await?;
    ensure!(bytes > 0.0, "the operator does not tell its memory");
    row(&format!("resident memory, {with}"), &format!("{:.0} MB", bytes / 1e6), "256 MB at 20,000, 64 MB at 1,000");
    row(&format!("CPU at rest, {with}"), &format!("{:.3} core", used / seconds), "0.05 core");
    row(&format!("writes to the API server at rest, {with}"), &format!("{:.2}/s", written as f64 / seconds), "1/s");
    Ok(())
}

/// Raises the maximum of every pool.
async fn wanted(plane: &ControlPlane, pools: u64, each: u64) -> Result<()> {
    let api: Api<PilotPool> = Api::namespaced(plane.client().await?, "bench");
    let patch = Patch::Merge(json!({"spec": {"scaling": {"max": each}}}));
    let names: Vec<String> = (0..pools).map(|pool| format!("pool-{pool}")).collect();
    let params = PatchParams::default();
    let patched = names.iter().map(|name| api.patch(name, &params, &patch));
    stream::iter(patched).buffer_unordered(16).try_collect::<Vec<_>>().await?;
    Ok(())
}

/// One installation, VO, site and cloud, and the pools; each VM has one core and takes one job that runs for days.
fn manifest(vms: u64, pools: u64) -> String {
    let base = include_str!("simulated.yaml");
    let (base, _) = base.split_once("---\napiVersion: diracgrid.org/v1alpha1\nkind: PilotPool").unwrap_or((base, ""));
    let mut text = base
        .replace("runTime: 4m, jobs: 800", &format!("runTime: 96h, jobs: {}", vms + 100))
        .replace("cores: 4, ramGiB: 8", "cores: 1, ramGiB: 2")
        .replace("jobsPerHour: 360000", "jobsPerHour: 1000000");
    for pool in 0..pools {
        let spec = "{siteRef: {name: bench}, vos: [biomed], clouds: [{name: bench}], machine: {flavors: [c4]}, matching: {maxCpuTime: 24h}, \
                    scaling: {max: 0, idleTimeout: 24h}}";
        // A text takes every write.
        let _ = write!(
            text,
            "---\napiVersion: diracgrid.org/v1alpha1\nkind: PilotPool\nmetadata: {{name: pool-{pool}, namespace: bench}}\nspec: {spec}\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_has_the_pools_and_enough_jobs() {
        let text = manifest(1_000, 7);
        assert_eq!(text.matches("kind: PilotPool").count(), 7);
        assert!(text.contains("jobs: 1100") && text.contains("runTime: 96h") && text.contains("cores: 1"), "{text}");
    }
}
