//! `cargo xtask demo`: a live run on this machine. A control plane, the chart, the operator, a queue and a cloud; what they want and do.

mod jobs;
mod view;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Parser;
use testbeds::{
    controlplane::{ControlPlane, build},
    kubectl::Kubectl,
    operator::Operator,
    real::{self, FORTY, Real},
    say::Step,
};

use crate::jobs::{Jobs, Numbers};

/// Namespace of the simulated manifests.
const SIMULATED: &str = "demo";
/// What runs in a job of the real demo: a sleep of so many seconds.
const REAL_JOB: u32 = 15;

/// A live run on this machine.
#[derive(Parser)]
#[command(name = "cargo xtask demo")]
struct Args {
    /// Ends by itself after this time (`90s`, `3m`), with a summary; otherwise Ctrl-C ends it.
    #[arg(long = "for", value_name = "TIME")]
    length: Option<crds::Duration>,
    /// Uses a cluster of yours, by the name of its context, with your own rights; the CRDs are installed there.
    #[arg(long)]
    context: Option<String>,
    /// Starts DIRAC's own services and an OpenStack on this machine (Debian, as root) and submits forty real jobs.
    #[arg(long, conflicts_with = "context")]
    real: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The chain of causes in one line; a backtrace would tell a newcomer nothing.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<()> {
    let state = tempfile::Builder::new().prefix("dirac-demo-").tempdir()?;
    let home = Home::open(&args, state.path()).await?;

    let step = Step::start("starting the operator");
    let log = state.path().join("log/operator.log");
    let mut options = vec!["--busy-interval=2", "--rows-interval=5", "--list-interval=5"];
    if args.context.is_some() {
        // In somebody's cluster it looks after the demo's own namespace, and competes with nobody's operator.
        options.extend(["--watch-namespace=demo", "--leader-elect=false"]);
    }
    let mut operator = Operator::start(&home.operator, &log, &options)?;
    operator.ready().await?;
    step.done();
    let namespace = if args.real { real::NAMESPACE } else { SIMULATED };
    home.begin().await?;
    eprintln!(
        "\nLook around in another terminal:\n\n    kubectl --kubeconfig {} get dirac-all --namespace {namespace}\n",
        home.user.display()
    );

    let begun = Instant::now();
    let end = args.length.map(Duration::from);
    let mut view = view::View::new(namespace);
    let mut last = Numbers::default();
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => break,
            () = tokio::time::sleep(view.pause()) => {}
        }
        if !operator.process().is_running() {
            bail!("the operator ended; its last words in {}:\n{}", log.display(), operator.process().last_words());
        }
        last = home.jobs().count(&operator).await?;
        view.show(&home.kubectl, &last, begun.elapsed(), end)?;
        let all_done = args.real && end.is_some() && last.arrived > 0 && last.served == last.arrived;
        if all_done || end.is_some_and(|end| begun.elapsed() >= end) {
            break;
        }
    }
    clean_up(&home, namespace, &operator, last).await
}

/// Where the demo lives.
struct Home {
    kubectl: Kubectl,
    /// What the user may look around with.
    user: PathBuf,
    /// What the operator runs with.
    operator: PathBuf,
    /// Ends its processes when it is dropped.
    lives: Lives,
}

/// What was started for the demo.
enum Lives {
    /// In a cluster of the user's.
    Elsewhere,
    /// In a control plane of its own.
    Here(#[expect(dead_code, reason = "held until the end")] ControlPlane),
    /// With a real DIRAC and a real OpenStack.
    ForReal(Box<Real>),
}

impl Home {
    async fn open(args: &Args, state: &Path) -> Result<Self> {
        if let Some(context) = &args.context {
            let kubectl = build::kubectl()?;
            let config = testbeds::process::run(
                "kubectl config view",
                std::process::Command::new(&kubectl).args([
                    "config",
                    "view",
                    "--raw",
                    "--minify",
                    "--flatten",
                    "--context",
                    context,
                ]),
            )?;
            let user = state.join("kubeconfig");
            std::fs::write(&user, config)?;
            let kubectl = Kubectl::new(kubectl, &user);
            let crds = testbeds::helm::chart().join("files/crds");
            kubectl.run(&["apply", "--server-side", "-f", crds.to_str().context("the chart's path is no UTF-8")?])?;
            return Ok(Self { kubectl, operator: user.clone(), user, lives: Lives::Elsewhere });
        }
        if args.real {
            let real = Real::start(state).await?;
            let operator = service_account(&real.plane).await?;
            let (kubectl, user) = (real.plane.kubectl(), real.plane.kubeconfig());
            return Ok(Self { kubectl, user, operator, lives: Lives::ForReal(Box::new(real)) });
        }
        let step = Step::start("starting a Kubernetes control plane");
        let plane = ControlPlane::start(&state.join("controlplane")).await?;
        step.done();
        let step = Step::start("installing the chart");
        Operator::install_chart(&plane)?;
        step.done();
        let operator = service_account(&plane).await?;
        Ok(Self { kubectl: plane.kubectl(), user: plane.kubeconfig(), operator, lives: Lives::Here(plane) })
    }

    /// Applies the manifests, and submits the jobs where they are real.
    async fn begin(&self) -> Result<()> {
        let Lives::ForReal(real) = &self.lives else {
            return self.kubectl.apply(include_str!("../../../../examples/simulated/all.yaml")).map(|_| ());
        };
        self.kubectl.run(&["create", "namespace", real::NAMESPACE])?;
        self.kubectl.apply(&real.manifests().await?)?;
        for kind in &FORTY {
            let step =
                Step::start(format!("submitting {} jobs of the kind {:?} as {}", kind.jobs, kind.name, kind.group));
            real.submit(kind, kind.jobs, REAL_JOB)?;
            step.done();
        }
        Ok(())
    }

    fn jobs(&self) -> Jobs<'_> {
        match &self.lives {
            Lives::ForReal(real) => Jobs::Real(real),
            Lives::Here(_) | Lives::Elsewhere => Jobs::Simulated,
        }
    }

    /// What is left in the cloud: only a real one can tell.
    async fn servers_left(&self) -> Result<usize> {
        match &self.lives {
            Lives::ForReal(real) => Ok(real.openstack.servers(testbeds::openstack::PROJECT).await?.len()),
            Lives::Here(_) | Lives::Elsewhere => Ok(0),
        }
    }
}

async fn service_account(plane: &ControlPlane) -> Result<PathBuf> {
    plane.kubeconfig_for_service_account(testbeds::operator::NAMESPACE, testbeds::operator::NAMESPACE).await
}

/// Deletes everything, waits until it is gone, and says what came of it all.
async fn clean_up(home: &Home, namespace: &str, operator: &Operator, seen: Numbers) -> Result<()> {
    let kubectl = &home.kubectl;
    let step = Step::start("cleaning up: the pools go, and their VMs with them");
    kubectl.run(&["delete", "namespace", namespace, "--wait=false"])?;
    let mut left = String::new();
    for _ in 0..180 {
        left = kubectl.run(&["get", "namespace", namespace, "--ignore-not-found", "--output=name"])?;
        if left.trim().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let vms = kubectl.run(&["get", "pilotvms", "--all-namespaces", "--output=name"])?;
    step.done();
    let sum = async |words: &[&str]| operator.metric(words).await;
    let made = sum(&["launches_total"]).await?;
    let idle = sum(&["vms_never_ran_job_total"]).await?;
    let left = left.lines().chain(vms.lines()).count() + home.servers_left().await?;
    println!("jobs arrived              {}", seen.arrived);
    println!("jobs served               {}", seen.served);
    println!("jobs that lost their VM   {} before the clean-up", seen.requeued);
    println!("VMs made                  {made}");
    println!("VMs that never ran a job  {idle} (those that still booted at the end are among them)");
    println!("cost                      {:.2}", sum(&["spent_total"]).await?);
    println!("left                      {}", if left == 0 { "nothing".to_owned() } else { format!("{left} objects") });
    if left > 0 {
        bail!("{left} objects or servers are left:\n{vms}");
    }
    if seen.served == 0 {
        bail!("no job was served: the first VMs need about a minute, try --for 3m");
    }
    println!("\nNext: read examples/egi and docs/architecture.md, or run `cargo xtask test`.");
    Ok(())
}
