//! `cargo xtask testbed`: the real systems by hand. They run in the background between `up` and `down`.
//!
//! Each system has a holder: this program once more, detached, which owns the system's handle. What ends the holder, however
//! it comes, ends the system.

mod commands;
mod hold;
mod place;
mod system;

use std::{net::Ipv4Addr, path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Parser, ValueEnum};

use place::Place;
use system::System;

/// The real systems by hand, in the background until `down`.
///
/// What `up` and `status` write to standard output is for a shell: eval "$(cargo xtask testbed up controlplane)".
#[derive(Parser)]
#[command(name = "cargo xtask testbed", arg_required_else_help = true)]
struct Args {
    /// What to do.
    action: Action,
    /// Which systems; none named: all, and of `up` all but the cluster, which has a control plane of its own.
    systems: Vec<System>,
    /// Folder for certificates, data and logs. Default: dirac-operator/testbed in $XDG_STATE_HOME or ~/.local/state.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Of `up`: the address of this machine at which the systems are reached, for example the one that a cluster says of itself, for its pods.
    /// The cluster's own is given.
    #[arg(long, value_name = "ADDRESS", default_value_t = Ipv4Addr::LOCALHOST)]
    at: Ipv4Addr,
}

/// What to do with the systems.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Action {
    /// Start what does not run yet, say how to reach it, and leave it running.
    Up,
    /// End what runs. Logs stay until the next `up`.
    Down,
    /// Say what runs, since when, where its logs are and how to reach it.
    Status,
    /// Own one system until told to end: what `up` starts.
    #[value(hide = true)]
    Hold,
}

// A start blocks a thread; another has to hear the signals, on a machine of one core too.
#[tokio::main(worker_threads = 4)]
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
    let state = place::state(args.state)?;
    // In the order of the list, each once, however they were named.
    let chosen = System::value_variants().iter().copied();
    let unnamed = |s: &System| args.systems.is_empty() && (args.action != Action::Up || *s != System::Cluster);
    let chosen = chosen.filter(|s| unnamed(s) || args.systems.contains(s));
    let places: Vec<Place> = chosen.map(|system| Place::new(&state, system)).collect();
    match args.action {
        Action::Up => commands::up(&places, &state, args.at).await,
        Action::Down => commands::down(&places),
        Action::Status => commands::status(&places),
        Action::Hold => hold::hold(&places, args.at).await,
    }
}
