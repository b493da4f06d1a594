//! The operator: wiring only.

mod args;
mod cloud;
mod collect;
mod context;
mod crash;
mod downtime;
mod events;
mod installation;
mod leader;
mod log;
mod names;
mod organization;
mod pool;
mod round;
mod run;
mod secret;
mod serve;
mod site;
mod status;
mod vm;
mod watch;
mod write;

use clap::Parser;

use crate::args::{Args, Command};

fn main() -> anyhow::Result<()> {
    let Command::Run(args) = Args::parse().command;
    log::start(args.log_format);
    // One TLS provider for everything in this process: two would not agree on a default.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run::run(args))
}
