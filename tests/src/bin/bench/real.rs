//! The forty jobs of the end-to-end test on a real DIRAC and a real OpenStack, with the operator as it is shipped.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use testbeds::{
    host::say::Step,
    real::{FORTY, NAMESPACE, Real},
    systems::operator::{NAMESPACE as OPERATOR, Operator},
};

use crate::{counts::Counts, row};

/// What is measured, and its budget.
pub const ROWS: [(&str, &str); 6] = [
    ("40 real jobs of 4 kinds in 2 VOs, all Done", ""),
    ("submission of the first to the first POST at Nova, DIRAC's optimizers and a poll every 5 s included", ""),
    ("demand read to POST at Nova", "2 s"),
    ("VMs made for them (limits: 4 + 2 + 2 at once)", ""),
    ("of these, VMs that never ran a job", "2 %"),
    ("cloud calls per VM life at Nova, lists and catalogue included", ""),
];
/// How long a job runs.
const JOB: u32 = 5;

/// Measures, and prints its rows.
pub async fn measure() -> Result<()> {
    let step = Step::start("forty real jobs on a real OpenStack (six minutes)");
    let state = tempfile::tempdir()?;
    let real = Real::start(state.path()).await?;
    let kubeconfig = real.plane.kubeconfig_for_service_account(OPERATOR, OPERATOR).await?;
    let mut operator = Operator::start(&kubeconfig, &state.path().join("operator.log"), &[])?;
    operator.ready().await?;
    let kubectl = real.plane.kubectl();
    kubectl.run(&["create", "namespace", NAMESPACE])?;
    kubectl.apply(&real.manifests().await?)?;
    let begun = Instant::now();
    let mut jobs = 0;
    for kind in &FORTY {
        jobs += real.submit(kind, kind.jobs, JOB)?.len();
    }
    wait("all jobs are Done", 1_200, || {
        let failed = real.jobs("Failed")?;
        ensure!(failed == 0, "{failed} jobs failed");
        Ok(jobs - real.jobs("Done")?)
    })
    .await?;
    let served = begun.elapsed().as_secs();
    step.progress("all jobs are Done; waiting for the VMs to go");
    wait("no PilotVM is left", 600, || {
        Ok(kubectl.run(&["get", "pilotvms", "--namespace", NAMESPACE, "--output=name"])?.lines().count())
    })
    .await?;
    let history = real.history()?;
    let counts = Counts::read(&operator).await?;
    let lives = counts.lives()?;
    let first = history.first().context("no server was ever made")?.began;
    let submitted = real.count("select to_seconds(min(SubmissionTime)) from JobDB.Jobs")?;
    let figures = [
        format!("after {served} s"),
        format!("{} s", first.saturating_sub(submitted.try_into()?)),
        counts.order()?,
        history.len().to_string(),
        format!("{} ({:.0} %)", counts.wasted, 100.0 * counts.wasted / lives),
        format!("{:.1}", counts.calls / lives),
    ];
    for ((what, budget), figure) in ROWS.iter().zip(figures) {
        row(what, &figure, budget);
    }
    step.done();
    Ok(())
}

/// Waits until nothing of it is left.
async fn wait(what: &str, seconds: u64, mut left: impl FnMut() -> Result<usize>) -> Result<()> {
    let begun = Instant::now();
    loop {
        match left()? {
            0 => return Ok(()),
            n if begun.elapsed() > Duration::from_secs(seconds) => {
                bail!("{what}: not within {seconds} s, {n} are left")
            }
            _ => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }
}
