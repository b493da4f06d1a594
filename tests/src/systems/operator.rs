//! The operator as a process, under the chart's ServiceAccount and so with exactly the chart's rights.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{
    host::{
        port,
        process::{Process, check_interrupted},
    },
    systems::{controlplane::ControlPlane, helm::chart},
};

/// Namespace and release of the chart in testbeds.
pub const NAMESPACE: &str = "dirac-operator";

/// Values of the chart in testbeds: no pod, since no node runs there, and all namespaces.
pub const EVERYWHERE: &str = "replicas=0,clusterWide=true";

/// What `helm` is told to install or upgrade the chart with these values.
pub fn install<'a>(chart: &'a str, values: &'a str) -> [&'a str; 9] {
    ["upgrade", "--install", NAMESPACE, chart, "--namespace", NAMESPACE, "--create-namespace", "--set", values]
}

/// An operator that runs as a process of this machine.
pub struct Operator {
    process: Process,
    port: u16,
}

impl Operator {
    /// A program that was built before: beside the running one, or beside the folder of a test.
    pub fn program(name: &str, build: &str) -> Result<PathBuf> {
        let own = std::env::current_exe()?;
        let found = own.ancestors().skip(1).take(2).map(|dir| dir.join(name)).find(|p| p.is_file());
        found.with_context(|| format!("there is no {name} beside {}: run `{build}` first", own.display()))
    }

    /// Installs the chart (CRDs, account, roles) with these values into a control plane.
    pub fn install_chart(plane: &ControlPlane, values: &str) -> Result<()> {
        let chart = chart();
        plane.helm()?.run(&install(chart.to_str().context("the chart's path is not UTF-8")?, values))?;
        let kubectl = plane.kubectl();
        let crds = kubectl.run(&["get", "crd", "--output=name"])?;
        let ours: Vec<&str> = crds.lines().filter(|l| l.ends_with("diracgrid.org")).collect();
        let mut wait = vec!["wait", "--for=condition=Established", "--timeout=300s"];
        wait.extend(&ours);
        kubectl.run(&wait)?;
        Ok(())
    }

    /// Installs the chart and starts the operator as it is shipped, with exactly the chart's rights. It is ready; the kubeconfig starts
    /// another.
    pub async fn install_and_start(plane: &ControlPlane, log: &Path, args: &[&str]) -> Result<(Self, PathBuf)> {
        Self::install_chart(plane, EVERYWHERE)?;
        Self::start_installed(plane, log, args).await
    }

    /// Starts it where the chart is installed; the rest as above.
    pub async fn start_installed(plane: &ControlPlane, log: &Path, args: &[&str]) -> Result<(Self, PathBuf)> {
        let kubeconfig = plane.kubeconfig_for_service_account(NAMESPACE, NAMESPACE).await?;
        let mut operator = Self::start(&kubeconfig, log, args)?;
        operator.ready().await?;
        Ok((operator, kubeconfig))
    }

    /// The program, to be run once with this kubeconfig.
    pub fn command(kubeconfig: &Path) -> Result<Command> {
        let mut command = Command::new(Self::program("dirac-operator", "cargo build --package operator")?);
        command.env("KUBECONFIG", kubeconfig);
        Ok(command)
    }

    /// Starts the program as it is shipped, without what tests build into it.
    pub fn start(kubeconfig: &Path, log: &Path, args: &[&str]) -> Result<Self> {
        let program = Self::program("dirac-operator", "cargo build --package operator")?;
        Self::spawn(Command::new(program), kubeconfig, log, args)
    }

    /// The same, telling all that it can tell: its log is searched for secrets.
    pub fn start_at_trace(kubeconfig: &Path, log: &Path, args: &[&str]) -> Result<Self> {
        let mut command = Command::new(Self::program("dirac-operator", "cargo build --package operator")?);
        command.env("RUST_LOG", "trace");
        Self::spawn(command, kubeconfig, log, args)
    }

    /// Starts the build that can die at a crash point (`operator/src/crash.rs` names them), and has it die at `point`. It tells all that it
    /// can tell.
    pub fn start_to_crash(kubeconfig: &Path, log: &Path, args: &[&str], point: Option<&str>) -> Result<Self> {
        let program = Self::program("dirac-operator-crash-points", "cargo xtask test --only crash")?;
        let mut command = Command::new(program);
        command.env("RUST_LOG", "trace").envs(point.map(|point| ("DIRAC_OPERATOR_CRASH_AT", point)));
        Self::spawn(command, kubeconfig, log, args)
    }

    fn spawn(mut command: Command, kubeconfig: &Path, log: &Path, args: &[&str]) -> Result<Self> {
        let [port] = port::free()?;
        command
            .args(["run", "--namespace", NAMESPACE, &format!("--http=127.0.0.1:{port}")])
            // Clouds and DIRAC of a testbed are on this machine, and speak plain http.
            .args(["--allow-http", "--allow-private-addresses"])
            .args(args)
            .env("KUBECONFIG", kubeconfig);
        let process = Process::spawn("dirac-operator", command, log)?;
        Ok(Self { process, port })
    }

    /// Waits until its stores are filled.
    pub async fn ready(&mut self) -> Result<()> {
        let url = format!("http://127.0.0.1:{}/readyz", self.port);
        let mut answer = String::new();
        // Two minutes: three layers share the machine's cores.
        for _ in 0..1_200 {
            check_interrupted().context("waiting for the operator")?;
            if !self.process.is_running() {
                break;
            }
            match reqwest::get(&url).await {
                Ok(r) if r.status().is_success() => return Ok(()),
                Ok(r) => answer = r.status().to_string(),
                Err(error) => answer = format!("{error:?}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let log = self.process.log().display().to_string();
        bail!(
            "the operator did not become ready ({url}: {answer}); its last words in {log}:\n{}",
            self.process.last_words()
        )
    }

    /// Its metrics as Prometheus reads them.
    pub async fn metrics_text(&self) -> Result<String> {
        Ok(reqwest::get(format!("http://127.0.0.1:{}/metrics", self.port)).await?.text().await?)
    }

    /// Whether it leads: `false` also where it does not answer.
    pub async fn leads(&self) -> bool {
        self.metric(&["dirac_operator_leader"]).await.is_ok_and(|leads| leads > 0.0)
    }

    /// What /readyz says now.
    pub async fn readiness(&self) -> Result<String> {
        Ok(reqwest::get(format!("http://127.0.0.1:{}/readyz", self.port)).await?.text().await?)
    }

    /// Its metrics: name with labels, and value.
    pub async fn metrics(&self) -> Result<Vec<(String, f64)>> {
        let text = self.metrics_text().await?;
        let lines = text.lines().filter(|l| !l.starts_with('#'));
        Ok(lines
            .filter_map(|l| l.rsplit_once(' '))
            .filter_map(|(name, v)| Some((name.to_owned(), v.parse().ok()?)))
            .collect())
    }

    /// The sum of the metrics whose name and labels hold all of these words; 0 when there are none.
    pub async fn metric(&self, words: &[&str]) -> Result<f64> {
        let all = self.metrics().await?;
        let fitting = all.iter().filter(|(name, _)| words.iter().all(|w| name.contains(w)));
        // `sum` of nothing is minus zero.
        Ok(fitting.fold(0.0, |sum, (_, value)| sum + value))
    }

    /// The operator's process, to stop it or to read its log.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
