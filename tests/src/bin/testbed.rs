//! `cargo xtask testbed`: the real systems by hand, until Ctrl-C, and how to reach them.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use testbeds::{
    controlplane::ControlPlane,
    dirac::{Ce, Dirac},
    say::Step,
};

/// The real systems by hand.
#[derive(Parser)]
#[command(name = "cargo xtask testbed")]
struct Args {
    /// Which; none: all of them.
    systems: Vec<System>,
    /// Folder for certificates, data and logs; a temporary one when none is given.
    #[arg(long)]
    state: Option<PathBuf>,
}

/// A real system.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum System {
    /// etcd, kube-apiserver, kube-controller-manager, with the CRDs installed.
    Controlplane,
    /// Every DIRAC service that a job meets.
    Dirac,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<()> {
    let temporary = tempfile::Builder::new().prefix("dirac-testbed-").tempdir()?;
    let state = match args.state {
        // Processes run in folders of their own: a relative path would mean another folder to each.
        Some(dir) => {
            std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
            dir.canonicalize()?
        }
        None => temporary.path().to_owned(),
    };
    let wanted = |system| args.systems.is_empty() || args.systems.contains(&system);
    let (mut plane, mut dirac) = (None, None);
    if wanted(System::Controlplane) {
        let step = Step::start("starting a Kubernetes control plane");
        let started = ControlPlane::start(&state.join("controlplane")).await?;
        started.install_crds()?;
        step.done();
        println!("export KUBECONFIG={}", started.kubeconfig().display());
        plane = Some(started);
    }
    if wanted(System::Dirac) {
        let step = Step::start("starting DIRAC");
        let ce = Ce { name: "openstack.lyon.fr".to_owned(), queues: vec!["m1.xlarge".to_owned()] };
        let started = Dirac::start(&state.join("dirac"), &[ce]).await?;
        step.done();
        println!("Matcher       {}", started.url("MATCHER")?);
        println!("PilotManager  {}", started.url("PILOTMANAGER")?);
        println!("certificate   {0}/user.pem {0}/user.key {0}/ca.pem, group biomed_admin", started.state().display());
        println!("a pilot       {} FOLDER, with DIRAC_* in the environment", started.run_pilot().display());
        dirac = Some(started);
    }
    println!("everything is in {}; Ctrl-C ends it", state.display());
    tokio::signal::ctrl_c().await?;
    drop((plane, dirac));
    Ok(())
}
