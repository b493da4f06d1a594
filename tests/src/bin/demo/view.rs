//! What the demo shows: what the queue wants, what the VMs do, and why.

use std::{
    fmt::Write as _,
    io::{IsTerminal, Write as _, stdout},
    time::Duration,
};

use anyhow::Result;
use serde_json::Value;
use testbeds::kubectl::Kubectl;

use crate::jobs::Numbers;

/// The picture, drawn anew each second on a terminal; a line now and then elsewhere.
pub struct View {
    namespace: &'static str,
    drawn: usize,
}

impl View {
    /// Of what is in this namespace.
    pub fn new(namespace: &'static str) -> Self {
        Self { namespace, drawn: 0 }
    }

    /// Time between two pictures.
    pub fn pause(&self) -> Duration {
        Duration::from_secs(if stdout().is_terminal() { 1 } else { 10 })
    }

    /// Draws.
    pub fn show(&mut self, kubectl: &Kubectl, numbers: &Numbers, since: Duration, end: Option<Duration>) -> Result<()> {
        let left = end.map(|e| format!(" of {} s", e.as_secs())).unwrap_or_default();
        let head = format!(
            "{:>4} s{left}   jobs: {} arrived, {} waiting, {} running, {} served",
            since.as_secs(),
            numbers.arrived,
            numbers.waiting,
            numbers.running,
            numbers.served
        );
        let vms: Value = serde_json::from_str(&kubectl.run(&[
            "get",
            "pilotvms",
            "--namespace",
            self.namespace,
            "--output=json",
        ])?)?;
        let items = vms["items"].as_array().cloned().unwrap_or_default();
        if !stdout().is_terminal() {
            let count = |phase: &str| items.iter().filter(|vm| vm["status"]["phase"] == phase).count();
            println!(
                "{head}   VMs: {} booting, {} running, {} ending",
                count("Booting"),
                count("Running"),
                count("Ending")
            );
            return Ok(());
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
        let pools: Value = serde_json::from_str(&kubectl.run(&[
            "get",
            "pilotpools",
            "--namespace",
            self.namespace,
            "--output=json",
        ])?)?;
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
        self.draw(&text)
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
