//! The forty jobs of the end-to-end test on a real DIRAC and a real OpenStack, with the operator as it is shipped: with pilots that are
//! quick to fetch a job, with pilots as DIRAC ships them, and with these where nothing limits the pools.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use testbeds::{
    host::say::Step,
    real::{FORTY, Life, NAMESPACE, Real},
    systems::operator::{NAMESPACE as OPERATOR, Operator},
};

use crate::{counts::Counts, row};

/// What is measured, and its budget.
pub const ROWS: [(&str, &str); 7] = [
    ("40 real jobs of 4 kinds in 2 VOs, all Done", ""),
    ("submission of the first to the first POST at Nova, DIRAC's optimizers and a poll every 5 s included", ""),
    ("demand read to POST at Nova", "2 s"),
    ("VMs made for them", ""),
    ("of these, VMs that never ran a job", "2 %"),
    ("core-hours bought", ""),
    ("cloud calls per VM life at Nova, lists and catalogue included", ""),
];
/// How long a job runs.
const JOB: u32 = 5;

/// How the pilots are set, and what the pools may have.
struct Manner {
    words: &'static str,
    /// What a guest does before it starts its pilot.
    before: &'static str,
    /// The most VMs of each pool; `None`: 4, 2 and 2.
    most: Option<u32>,
}

/// DIRAC's own PollingTime and SubmissionDelay (`JobAgent.initialize`, ConfigTemplate.cfg).
const SHIPPED: &str = "DIRAC_POLLING_TIME=20 DIRAC_SUBMISSION_DELAY=10 ";
const MANNERS: [Manner; 3] = [
    Manner { words: "quick pilots, limits 4 + 2 + 2", before: "", most: None },
    Manner { words: "pilots as DIRAC ships them, limits 4 + 2 + 2", before: SHIPPED, most: None },
    Manner { words: "pilots as DIRAC ships them, 40 VMs a pool", before: SHIPPED, most: Some(40) },
];

/// Measures, and prints its rows.
pub async fn measure() -> Result<()> {
    let step = Step::start("forty real jobs on a real OpenStack, three times (twenty minutes)");
    let state = tempfile::tempdir()?;
    let real = Real::start(state.path()).await?;
    let kubeconfig = real.plane.kubeconfig_for_service_account(OPERATOR, OPERATOR).await?;
    let mut operator = Operator::start(&kubeconfig, &state.path().join("operator.log"), &[])?;
    operator.ready().await?;
    real.plane.kubectl().run(&["create", "namespace", NAMESPACE])?;
    for manner in MANNERS {
        step.progress(manner.words);
        forty(&real, &operator, &manner).await?;
    }
    step.done();
    Ok(())
}

async fn forty(real: &Real, operator: &Operator, manner: &Manner) -> Result<()> {
    let kubectl = real.plane.kubectl();
    let starts = format!("- {}", Real::pilot());
    let manifests = real.manifests().await?;
    ensure!(manifests.contains(&starts), "the pools' guests start no pilot");
    kubectl.apply(&manifests.replace(&starts, &format!("- {}{}", manner.before, Real::pilot())))?;
    if let Some(most) = manner.most {
        kubectl.run(&["scale", "pilotpool", "--all", &format!("--replicas={most}"), "--namespace", NAMESPACE])?;
    }
    let (old, done, before) = (real.history()?.len(), real.jobs("Done")?, Counts::read(operator).await?);
    let begun = Instant::now();
    let (mut jobs, mut first_job) = (0, u64::MAX);
    for kind in &FORTY {
        let ids = real.submit(kind, kind.jobs, JOB)?;
        jobs += ids.len();
        first_job = first_job.min(ids.into_iter().min().unwrap_or(first_job));
    }
    wait("all jobs are Done", 1_800, || {
        let failed = real.jobs("Failed")?;
        ensure!(failed == 0, "{failed} jobs failed");
        Ok(done + jobs - real.jobs("Done")?)
    })
    .await?;
    let served = begun.elapsed().as_secs();
    wait("no PilotVM is left", 1_200, || {
        Ok(kubectl.run(&["get", "pilotvms", "--namespace", NAMESPACE, "--output=name"])?.lines().count())
    })
    .await?;
    let history = real.history()?.split_off(old);
    let counts = Counts::read(operator).await?.since(&before);
    let lives = counts.lives()?;
    let first = history.first().context("no server was ever made")?.began;
    let submitted =
        real.count(&format!("select to_seconds(SubmissionTime) from JobDB.Jobs where JobID = {first_job}"))?;
    let seconds = |life: &Life| life.cores * life.ended.unwrap_or(life.began).saturating_sub(life.began);
    let figures = [
        format!("after {served} s"),
        format!("{} s", first.saturating_sub(submitted.try_into()?)),
        counts.order()?,
        history.len().to_string(),
        format!("{} ({:.0} %)", counts.wasted, 100.0 * counts.wasted / lives),
        format!("{:.2}", history.iter().map(seconds).sum::<u64>() as f64 / 3600.0),
        format!("{:.1}", counts.calls / lives),
    ];
    for ((what, budget), figure) in ROWS.iter().zip(figures) {
        row(&format!("{what}; {}", manner.words), &figure, budget);
    }
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
