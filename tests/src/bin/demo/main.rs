//! `cargo xtask demo`: a live run on this machine. A control plane, the chart, the operator, a queue and a cloud; what they want and do.
//!
//! Start, live part, clean-up, each beside the signals that may cut it short: whatever ends a part, what it made is taken away again.

mod borrowed;
mod end;
mod home;
mod jobs;
mod signals;
mod storm;
mod view;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use tempfile::TempDir;
use testbeds::{
    host::{
        process::{go_on, interrupt},
        say::{Step, line},
    },
    real::Clouds,
    systems::operator::Operator,
};

use crate::{
    home::Home,
    jobs::Numbers,
    signals::{Cut, Signals},
    storm::Storm,
};

/// A live run on this machine.
#[derive(Clone, Parser)]
#[command(name = "cargo xtask demo")]
struct Args {
    /// Ends by itself after this time (`90s`, `3m`), with a summary; otherwise Ctrl-C ends it.
    #[arg(long = "for", value_name = "TIME")]
    length: Option<crds::Duration>,
    /// Uses a cluster of yours, by the name of its context: makes the namespace `demo` there, the chart's roles and, where they are
    /// missing, the CRDs, and takes away at the end what it made.
    #[arg(long)]
    context: Option<String>,
    /// Starts DIRAC's own services and an OpenStack on this machine (Debian, as root) and submits forty real jobs.
    #[arg(long, conflicts_with = "context")]
    real: bool,
    /// Which clouds the real demo has. With `openstack,ec2` the pools buy from an EC2 too, Spot first; it takes a third of the Spot VMs back
    /// while they run jobs, and these jobs are given back to DIRAC.
    #[arg(long, value_enum, default_value = "openstack", requires = "real")]
    clouds: Which,
}

/// The clouds of the real demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    #[value(name = "openstack")]
    OpenStack,
    #[value(name = "openstack,ec2", alias = "ec2,openstack")]
    WithEc2,
}

impl From<Which> for Clouds {
    fn from(which: Which) -> Self {
        match which {
            Which::OpenStack => Self::OpenStack,
            Which::WithEc2 => Self::WithEc2,
        }
    }
}

// A start blocks a thread; another has to hear the signals, on a machine of one core too.
#[tokio::main(worker_threads = 4)]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(code) => code,
        Err(error) => {
            // The chain of causes in one line; a backtrace would tell a newcomer nothing.
            line(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let state = tempfile::Builder::new().prefix("dirac-demo-").tempdir()?;
    let outcome = all(&args, state.path(), &mut signals).await;
    remove(state)?;
    outcome
}

/// Everything but the folder, which goes last.
async fn all(args: &Args, state: &Path, signals: &mut Signals) -> Result<ExitCode> {
    let mut starting = tokio::spawn(Begun::start(args.clone(), state.to_owned()));
    let mut cut = None;
    let begun = tokio::select! {
        begun = &mut starting => begun,
        first = signals.next() => {
            cut = Some(first);
            line("interrupted while starting: ending what was begun (an installation of packages is let finish; once more to leave at once)");
            interrupt();
            tokio::select! {
                begun = &mut starting => begun,
                again = signals.next() => return Ok(ExitCode::from(again.code())),
            }
        }
    };
    go_on();
    let mut begun = begun.context("the start broke off")?;
    if let Some(cut) = cut {
        end::after_failed_start(&mut begun, signals).await?;
        line("interrupted: what was started has ended, nothing is left");
        return Ok(ExitCode::from(cut.code()));
    }
    if let Err(error) = std::mem::replace(&mut begun.outcome, Ok(())) {
        if let Err(also) = end::after_failed_start(&mut begun, signals).await {
            line(&format!("error while cleaning up: {also:#}"));
        }
        return Err(error);
    }
    let mut last = Numbers::default();
    let lived = live(args, &mut begun, signals, &mut last).await;
    end::after_life(&mut begun, lived, signals, last).await
}

/// What the start has made, also when it failed in the middle.
struct Begun {
    operator: Option<Operator>,
    home: Option<Home>,
    log: PathBuf,
    outcome: Result<()>,
}

impl Begun {
    async fn start(args: Args, state: PathBuf) -> Self {
        let mut it = Self { operator: None, home: None, log: state.join("log/operator.log"), outcome: Ok(()) };
        it.outcome = it.everything(&args, &state).await;
        if it.outcome.is_ok() && !args.real && args.context.is_none() {
            note_time();
        }
        it
    }

    async fn everything(&mut self, args: &Args, state: &Path) -> Result<()> {
        let home = self.home.insert(Home::open(args, state).await?);
        home.install().await?;
        let step = Step::start("starting the operator");
        let operator = self.operator.insert(home.start_operator(&self.log)?);
        operator.ready().await?;
        step.done();
        home.begin().await?;
        line(&format!(
            "\nLook around in another terminal:\n\n    {} --kubeconfig {} get dirac-all --namespace {}\n",
            home.kubectl.word(),
            home.user.display(),
            home.namespace
        ));
        Ok(())
    }
}

/// Notes for `cargo xtask bench` how long `cargo xtask demo` took until there was something to see.
fn note_time() {
    let said = |name: &str| std::env::var(name).ok();
    let (Some(begun), Some(file)) = (said("DIRAC_OPERATOR_BEGUN"), said("DIRAC_OPERATOR_NOTE_TIME")) else { return };
    let begun = begun.parse().ok().map(|millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis));
    let Some(took) = begun.and_then(|begun| begun.elapsed().ok()) else { return };
    let file = Path::new(&file);
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).ok();
    }
    std::fs::write(file, format!("{:.1}\n", took.as_secs_f64())).ok();
}

/// Shows what happens until the time is over, or a signal comes: which.
async fn live(args: &Args, begun: &mut Begun, signals: &mut Signals, last: &mut Numbers) -> Result<Option<Cut>> {
    let (Some(home), Some(operator)) = (&begun.home, &mut begun.operator) else { bail!("nothing was started") };
    let start = Instant::now();
    let end = args.length.map(Duration::from);
    let mut view = view::View::new(home.namespace);
    let mut storm = Storm::default();
    loop {
        tokio::select! {
            cut = signals.next() => return Ok(Some(cut)),
            () = tokio::time::sleep(view.pause()) => {}
        }
        if !operator.process().is_running() {
            bail!("the operator ended; its last words:\n{}", operator.process().last_words());
        }
        if args.clouds == Which::WithEc2
            && let Some(said) = storm.strike(home).await?
        {
            view.say(said);
        }
        *last = home.jobs().count(operator).await?;
        view.show(&home.kubectl, last, start.elapsed(), end)?;
        let all_done = args.real && end.is_some() && last.arrived > 0 && last.served == last.arrived;
        if all_done || end.is_some_and(|end| start.elapsed() >= end) {
            return Ok(None);
        }
    }
}

/// Removes the folder; what was just killed may be writing there in its last moments.
fn remove(state: TempDir) -> Result<()> {
    let path = state.keep();
    let mut tries = 0;
    while let Err(error) = std::fs::remove_dir_all(&path) {
        tries += 1;
        if tries > 50 {
            return Err(error).with_context(|| format!("cannot remove {}", path.display()));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clouds_are_chosen_for_the_real_demo_alone() {
        let parse = |words: &str| Args::try_parse_from(words.split(' '));
        assert_eq!(parse("demo --real").unwrap().clouds, Which::OpenStack);
        assert_eq!(parse("demo --real --clouds openstack,ec2").unwrap().clouds, Which::WithEc2);
        let refused = |words| parse(words).err().unwrap().to_string();
        assert!(refused("demo --clouds openstack,ec2").contains("--real"));
        assert!(refused("demo --real --clouds ec2").contains("openstack,ec2"));
    }
}
