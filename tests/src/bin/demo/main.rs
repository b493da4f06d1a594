//! `cargo xtask demo`: a live run on this machine. A control plane, the chart, the operator, a queue and a cloud; what they want and do.

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
    say::Step,
};

const NAMESPACE: &str = "demo";

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
    let mut operator =
        Operator::start(&home.operator, &log, &["--busy-interval=2", "--rows-interval=5", "--list-interval=5"], &[])?;
    operator.ready().await?;
    step.done();
    home.kubectl.apply(include_str!("../../../../examples/simulated/all.yaml"))?;
    eprintln!(
        "\nLook around in another terminal:\n\n    kubectl --kubeconfig {} get dirac-all --namespace {NAMESPACE}\n",
        home.user.display()
    );

    let begun = Instant::now();
    let end = args.length.map(Duration::from);
    let mut view = view::View::default();
    let mut last = view::Numbers::default();
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => break,
            () = tokio::time::sleep(view.pause()) => {}
        }
        if !operator.process().is_running() {
            bail!("the operator ended; its last words in {}:\n{}", log.display(), operator.process().last_words());
        }
        last = view.show(&home.kubectl, &operator, begun.elapsed(), end).await?;
        if end.is_some_and(|end| begun.elapsed() >= end) {
            break;
        }
    }
    clean_up(&home.kubectl, &operator, last).await
}

/// Where the demo lives.
struct Home {
    /// Dropped last: it ends the processes.
    _plane: Option<ControlPlane>,
    kubectl: Kubectl,
    /// What the user may look around with.
    user: PathBuf,
    /// What the operator runs with.
    operator: PathBuf,
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
            return Ok(Self { _plane: None, kubectl, operator: user.clone(), user });
        }
        let step = Step::start("starting a Kubernetes control plane");
        let plane = ControlPlane::start(&state.join("controlplane")).await?;
        step.done();
        let step = Step::start("installing the chart");
        Operator::install_chart(&plane)?;
        step.done();
        let operator =
            plane.kubeconfig_for_service_account(testbeds::operator::NAMESPACE, testbeds::operator::NAMESPACE).await?;
        Ok(Self { kubectl: plane.kubectl(), user: plane.kubeconfig(), operator, _plane: Some(plane) })
    }
}

/// Deletes everything, waits until it is gone, and says what came of it all.
async fn clean_up(kubectl: &Kubectl, operator: &Operator, seen: view::Numbers) -> Result<()> {
    let step = Step::start("cleaning up: the pools go, and their VMs with them");
    kubectl.run(&["delete", "namespace", NAMESPACE, "--wait=false"])?;
    let mut left = String::new();
    for _ in 0..180 {
        left = kubectl.run(&["get", "namespace", NAMESPACE, "--ignore-not-found", "--output=name"])?;
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
    let left = left.lines().chain(vms.lines()).count();
    println!("jobs arrived              {}", seen.arrived);
    println!("jobs served               {}", seen.served);
    println!("jobs that lost their VM   {} before the clean-up", seen.requeued);
    println!("VMs made                  {made}");
    println!("VMs that never ran a job  {idle} (those that still booted at the end are among them)");
    println!("cost                      {:.2}", sum(&["spent_total"]).await?);
    println!("left                      {}", if left == 0 { "nothing".to_owned() } else { format!("{left} objects") });
    if left > 0 {
        bail!("{left} objects are left:\n{vms}");
    }
    if seen.served == 0 {
        bail!("no job was served: the first VMs need about a minute, try --for 3m");
    }
    println!("\nNext: read examples/egi and docs/architecture.md, or run `cargo xtask test`.");
    Ok(())
}
