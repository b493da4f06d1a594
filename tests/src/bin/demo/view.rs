//! What the demo shows: what the queue wants, what the VMs do, and why.

use std::{
    fmt::Write as _,
    io::{IsTerminal, Write as _, stdout},
    time::Duration,
};

use anyhow::Result;
use serde_json::Value;
use testbeds::{kubectl::Kubectl, operator::Operator};

use super::NAMESPACE;

/// Jobs so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Numbers {
    /// Arrived.
    pub arrived: u64,
    /// Ended.
    pub served: u64,
    /// Lost their VM and waited again.
    pub requeued: u64,
}

/// The picture, drawn anew each second on a terminal; a line now and then elsewhere.
#[derive(Default)]
pub struct View {
    drawn: usize,
}

impl View {
    /// Time between two pictures.
    pub fn pause(&self) -> Duration {
        Duration::from_secs(if stdout().is_terminal() { 1 } else { 10 })
    }

    /// Draws.
    pub async fn show(
        &mut self,
        kubectl: &Kubectl,
        operator: &Operator,
        since: Duration,
        end: Option<Duration>,
    ) -> Result<Numbers> {
        let state = async |state: &str| -> Result<u64> {
            Ok(operator.metric(&["simulated_jobs{", &format!("state=\"{state}\"")]).await? as u64)
        };
        let numbers = Numbers {
            arrived: state("arrived").await?,
            served: state("served").await?,
            requeued: state("requeued").await?,
        };
        let (waiting, running) = (state("waiting").await?, state("running").await?);
        let left = end.map(|e| format!(" of {} s", e.as_secs())).unwrap_or_default();
        let head = format!(
            "{:>4} s{left}   jobs: {} arrived, {waiting} waiting, {running} running, {} served",
            since.as_secs(),
            numbers.arrived,
            numbers.served
        );
        let vms: Value =
            serde_json::from_str(&kubectl.run(&["get", "pilotvms", "--namespace", NAMESPACE, "--output=json"])?)?;
        let items = vms["items"].as_array().cloned().unwrap_or_default();
        if !stdout().is_terminal() {
            let count = |phase: &str| items.iter().filter(|vm| vm["status"]["phase"] == phase).count();
            println!(
                "{head}   VMs: {} booting, {} running, {} ending",
                count("Booting"),
                count("Running"),
                count("Ending")
            );
            return Ok(numbers);
        }
        let mut text = format!("{head}\n\n{:<10} {:<8} {:<8} {:<9} why\n", "VM", "VO", "flavor", "phase");
        for vm in items.iter().take(25) {
            let word = |path: &Value| path.as_str().unwrap_or("-").to_owned();
            let why: String = word(&vm["spec"]["reason"]).chars().take(90).collect();
            let phase = vm["status"]["phase"].as_str().unwrap_or("Pending");
            let (name, vo, flavor) =
                (word(&vm["metadata"]["name"]), word(&vm["spec"]["vo"]), word(&vm["spec"]["offering"]["flavor"]));
            writeln!(text, "{name:<10} {vo:<8} {flavor:<8} {phase:<9} {why}")?;
        }
        let pools: Value =
            serde_json::from_str(&kubectl.run(&["get", "pilotpools", "--namespace", NAMESPACE, "--output=json"])?)?;
        for unmet in pools["items"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|p| p["status"]["unmet"].as_array().cloned().unwrap_or_default())
        {
            writeln!(
                text,
                "\n{} jobs of {} get no VM: {}",
                unmet["jobs"],
                unmet["vo"].as_str().unwrap_or("-"),
                unmet["message"].as_str().unwrap_or("-")
            )?;
        }
        self.draw(&text)?;
        Ok(numbers)
    }

    /// Draws over the last picture.
    fn draw(&mut self, text: &str) -> Result<()> {
        let mut out = stdout().lock();
        if self.drawn > 0 {
            write!(out, "\x1b[{}A\x1b[J", self.drawn)?;
        }
        write!(out, "{text}")?;
        out.flush()?;
        self.drawn = text.lines().count();
        Ok(())
    }
}
