//! The operator as it is shipped, on a real API server with a simulated DIRAC and cloud: with no VM, with 200, and over their whole lives.
//!
//! 800 jobs wait for a pool whose maximum is 0. It is raised to 200, and every VM runs four of them. The jobs end, the VMs are idle and go,
//! and what was counted is divided by the lives.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use testbeds::{
    host::say::Step,
    systems::{
        controlplane::ControlPlane,
        operator::{NAMESPACE, Operator},
    },
};

use crate::{counts::Counts, row};

/// What the manifest asks for.
const VMS: f64 = 200.0;
/// How long CPU time is counted.
const WATCHED: Duration = Duration::from_secs(30);

/// Measures, and prints its rows.
pub async fn measure() -> Result<()> {
    let step = Step::start("measuring the operator with simulated VMs (six minutes)");
    let state = tempfile::tempdir()?;
    let begun = Instant::now();
    let plane = ControlPlane::start(&state.path().join("controlplane")).await?;
    row("control plane, start to ready", &format!("{:.1} s", begun.elapsed().as_secs_f64()), "5 s");
    let (mut operator, _) = Operator::install_and_start(&plane, &state.path().join("operator.log"), &[]).await?;
    let kubectl = plane.kubectl();
    kubectl.apply(include_str!("simulated.yaml"))?;
    until(&operator, "800 jobs wait", 120, &["simulated_jobs{", "waiting"], |n| n >= 4.0 * VMS).await?;
    // What the first look at everything costs is not what 0 VMs cost.
    tokio::time::sleep(Duration::from_secs(10)).await;
    at_rest(&mut operator, "0 VMs").await?;

    let audit = state.path().join("controlplane/log/audit.log");
    let (before, written) = (Counts::read(&operator).await?, writes(&audit)?);
    kubectl.run(&["scale", "pilotpool", "cpu", "--replicas=200", "--namespace", "bench"])?;
    until(&operator, "200 VMs run", 240, &["dirac_operator_vms{", "phase=\"Running\""], |n| n >= VMS).await?;
    step.progress("200 VMs run");
    at_rest(&mut operator, "200 VMs that run").await?;
    step.progress("waiting for their jobs to end, and for them to go");
    until(&operator, "no VM is left", 900, &["dirac_operator_vms{"], |n| n == 0.0).await?;
    let counts = Counts::read(&operator).await?.since(&before);
    let lives = counts.lives()?;
    ensure!(lives >= VMS, "only {lives} of {VMS} VMs lived");
    let all: u64 = writes(&audit)?.iter().map(|(kind, n)| n - written.get(kind).copied().unwrap_or(0)).sum();
    row("demand read to order, simulated: 200 VMs at once", &counts.order()?, "2 s");
    row(
        &format!("API server: writes of PilotVMs per VM life ({lives} whole lives)"),
        &format!("{:.1}", counts.writes / lives),
        "12",
    );
    row(
        "API server: all writes of the operator but its lease's, events and status of the pool included, per VM life",
        &format!("{:.1}", all as f64 / lives),
        "",
    );
    row("cloud calls per VM life, lists and catalogue included", &format!("{:.1}", counts.calls / lives), "");
    step.done();
    Ok(())
}

async fn at_rest(operator: &mut Operator, with: &str) -> Result<()> {
    let pid = operator.process().pid();
    let ticks = cpu_ticks(pid)?;
    let begun = Instant::now();
    tokio::time::sleep(WATCHED).await;
    let used = (cpu_ticks(pid)? - ticks) as f64 / 100.0 / begun.elapsed().as_secs_f64();
    let bytes = operator.metric(&["resident_memory_bytes"]).await?;
    ensure!(bytes > 0.0, "the operator does not tell its memory");
    row(&format!("operator: resident memory with {with}"), &format!("{:.0} MB", bytes / 1e6), "64 MB");
    row(&format!("operator: CPU with {with}, over {} s", WATCHED.as_secs()), &format!("{used:.3} core"), "");
    Ok(())
}

/// Waits until the sum of these metrics is right. A figure for another number of VMs than the row names would be a lie: that is an error.
pub async fn until(
    operator: &Operator,
    what: &str,
    seconds: u64,
    words: &[&str],
    right: impl Fn(f64) -> bool,
) -> Result<()> {
    let begun = Instant::now();
    loop {
        let now = operator.metric(words).await?;
        if right(now) {
            return Ok(());
        }
        if begun.elapsed() > Duration::from_secs(seconds) {
            bail!("{what}: not within {seconds} s, there are {now}");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// User and system time of a process, in hundredths of a second.
pub fn cpu_ticks(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("the operator has ended: cannot read {path}"))?;
    let after = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    Ok(after.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum())
}

/// Writes of the operator by resource, as the API server noted them; its lease costs the same with no VM.
pub fn writes(audit: &Path) -> Result<BTreeMap<String, u64>> {
    let text = fs::read_to_string(audit).with_context(|| format!("cannot read {}", audit.display()))?;
    let mut found = BTreeMap::new();
    let user = format!("system:serviceaccount:{NAMESPACE}:{NAMESPACE}");
    // The last line may be half written.
    for entry in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let verb = entry["verb"].as_str().unwrap_or_default();
        let resource = entry["objectRef"]["resource"].as_str().unwrap_or_default();
        let ours = entry["user"]["username"] == user.as_str();
        if ours && ["create", "update", "patch", "delete"].contains(&verb) && resource != "leases" {
            *found.entry(resource.to_owned()).or_default() += 1;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_of_the_operator_are_counted_and_nothing_else() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let line = |user: &str, verb: &str, resource: &str| {
            format!(r#"{{"verb":"{verb}","user":{{"username":"{user}"}},"objectRef":{{"resource":"{resource}"}}}}"#)
        };
        let us = "system:serviceaccount:dirac-operator:dirac-operator";
        let lines = [
            line(us, "patch", "pilotvms"),
            line(us, "create", "pilotvms"),
            line(us, "watch", "pilotvms"),
            line(us, "update", "leases"),
            line("someone", "patch", "pilotvms"),
            "{\"verb\":".to_owned(),
        ];
        fs::write(file.path(), lines.join("\n")).unwrap();
        assert_eq!(writes(file.path()).unwrap(), BTreeMap::from([("pilotvms".to_owned(), 2)]));
    }

    #[test]
    fn the_time_of_a_process_that_is_gone_is_an_error_and_not_zero() {
        assert!(cpu_ticks(u32::MAX).is_err());
        assert!(cpu_ticks(std::process::id()).is_ok());
    }
}
