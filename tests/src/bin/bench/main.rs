//! `cargo xtask bench`: the figures of `docs/figures.md`, as one table, on the machine it runs on. Progress goes to standard error.
//!
//! First the plan, in this process; then the operator with simulated VMs, none, 200, and to their end; with `--real` the forty jobs on a
//! real DIRAC and a real OpenStack; at last what the commands took. What is not measured has its row all the same.

mod clouds;
mod counts;
mod hostile;
mod nova;
mod percentile;
mod planning;
mod real;
mod request;
mod scale;
mod simulated;
mod third;
mod times;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;

/// The figures of docs/figures.md, as a table.
#[derive(Parser)]
#[command(name = "cargo xtask bench")]
struct Args {
    /// Also starts DIRAC's own services and an OpenStack on this machine (Debian, as root), and measures forty real jobs.
    #[arg(long)]
    real: bool,
    /// Measures the operator with this many simulated VMs instead of all else, for example 20000.
    #[arg(long, value_name = "NUMBER", conflicts_with = "real")]
    vms: Option<u64>,
    /// Measures one cloud beside two that misbehave instead of all else.
    #[arg(long, conflicts_with_all = ["real", "vms"])]
    clouds: bool,
    /// Measures only the plan, in every world that is hard for it, and in each at twice the size.
    #[arg(long, conflicts_with_all = ["real", "vms", "clouds"])]
    plan: bool,
    /// Of these only worlds in whose name this stands, for example "holds".
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, requires = "plan")]
    world: String,
    /// Measures what a namespace that does its worst costs another instead of all else.
    #[arg(long, conflicts_with_all = ["real", "vms", "clouds", "plan"])]
    hostile: bool,
    /// In this many pools.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, requires = "vms")]
    pools: u64,
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
    // Said before minutes are spent on the rest.
    ensure!(
        !args.real || nix::unistd::geteuid().is_root(),
        "--real starts guests, which only root may: run this as root"
    );
    println!("| what | figure | budget |\n|---|---|---|");
    if let Some(vms) = args.vms {
        scale::measure(vms, args.pools).await?;
        println!("\nmeasured by `cargo xtask bench --vms {vms} --pools {}`", args.pools);
        return Ok(());
    }
    if args.plan {
        planning::all(&args.world, |what, figure| row(what, figure, "100 ms"));
        println!("\nmeasured by `cargo xtask bench --plan`, each the best of three");
        return Ok(());
    }
    if args.clouds {
        clouds::measure().await?;
        println!("\nmeasured by `cargo xtask bench --clouds`");
        return Ok(());
    }
    if args.hostile {
        hostile::measure().await?;
        println!("\nmeasured by `cargo xtask bench --hostile`");
        return Ok(());
    }
    row(planning::WHAT, &planning::time(), "100 ms");
    simulated::measure().await?;
    if args.real {
        real::measure().await?;
    } else {
        real::ROWS.iter().for_each(|(what, budget)| {
            row(what, "not measured: run `cargo xtask bench --real` as root on Debian", budget)
        });
    }
    times::rows()?.iter().for_each(|(what, figure, budget)| row(what, figure, budget));
    let cores = std::thread::available_parallelism()?;
    println!("\nmeasured on {cores} cores by `cargo xtask bench{}`", if args.real { " --real" } else { "" });
    Ok(())
}

fn row(what: &str, figure: &str, budget: &str) {
    println!("| {what} | {figure} | {budget} |");
}
