//! A real DIRAC: its services over a private MariaDB, with a CA of their own.
//!
//! [`Dirac::start_matching`] brings Configuration, Matcher and PilotManager; [`Dirac::start`] everything that a job meets between
//! its submission and Done. OpenSearch alone is a stand-in: it answers the dozen calls that DIRAC's job parameters make.

mod image;
mod pki;
mod start;
mod venv;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use broker::demand::diset::Credentials;
pub use image::recipes;
use nix::sys::signal::Signal;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use venv::DIRAC;

use crate::host::process::{Process, output, run};

/// The DIRAC site that the testbed's configuration has.
pub const SITE: &str = "CLOUD.Lyon.fr";
/// Generous: it costs nothing when all is well, and three layers share the machine's cores.
const PATIENCE: Duration = Duration::from_secs(300);
/// Names of the services as the configuration's placeholders have them, with what DIRAC calls them.
const SERVICES: [(&str, &str); 10] = [
    ("CONFIGURATION", "Configuration/Server"),
    ("MATCHER", "WorkloadManagement/Matcher"),
    ("PILOTMANAGER", "WorkloadManagement/PilotManager"),
    ("RESOURCESTATUS", "ResourceStatus/ResourceStatus"),
    ("PROXYMANAGER", "Framework/ProxyManager"),
    ("JOBMANAGER", "WorkloadManagement/JobManager"),
    ("JOBMONITORING", "WorkloadManagement/JobMonitoring"),
    ("JOBSTATEUPDATE", "WorkloadManagement/JobStateUpdate"),
    ("SANDBOXSTORE", "WorkloadManagement/SandboxStore"),
    ("OPTIMIZATIONMIND", "WorkloadManagement/OptimizationMind"),
];
/// This many of them, from the first, are what matching needs.
const FOR_MATCHING: usize = 3;

/// A computing element that the configuration knows: pilots may say they are of it.
#[derive(Clone, Debug)]
pub struct Ce {
    /// DIRAC name of the CE.
    pub name: String,
    /// DIRAC names of its queues.
    pub queues: Vec<String>,
}

/// A running DIRAC. Dropping it ends it; its folder stays.
pub struct Dirac {
    state: PathBuf,
    /// By which its services are reached.
    host: String,
    venv: PathBuf,
    ports: BTreeMap<&'static str, u16>,
    services: BTreeMap<&'static str, Process>,
    /// Ended after the services.
    below: Vec<Process>,
}

impl Dirac {
    /// Runs SQL as the database's root; the rows, tab-separated.
    pub fn sql(&self, statement: &str) -> Result<String> {
        let mut command = Command::new("mariadb");
        command.args(["--no-defaults", "-uroot", "-N", "-B", "-S"]).arg(self.state.join("run/mariadb.sock"));
        let output = output(&mut command, statement).context("SQL")?;
        if !output.status.success() {
            bail!("SQL: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn dirac_command(&self, program: &str) -> Command {
        let mut command = Command::new(self.venv.join("bin").join(program));
        let path = format!("{}:{}", self.venv.join("bin").display(), std::env::var("PATH").unwrap_or_default());
        command
            .current_dir(self.state.join("work"))
            .env("DIRAC_ROOT_PATH", &self.state)
            .env("TMPDIR", self.state.join("tmp"))
            .env("DIRACSYSCONFIG", self.state.join("etc/dirac.cfg"))
            .env("X509_CERT_DIR", self.certificates())
            .env("PATH", path);
        command
    }

    /// Runs one of our Python programs as the server host, or as who `proxy` says.
    fn python(&self, script: &str, args: &[&str], proxy: Option<&str>) -> Result<String> {
        let mut command = self.dirac_command("python");
        if let Some(proxy) = proxy {
            command
                .env_remove("DIRACSYSCONFIG")
                .env("DIRAC_ROOT_PATH", self.state.join("client"))
                .env("X509_USER_PROXY", self.state.join(proxy));
        }
        run(script, command.arg(self.state.join("files").join(script)).args(args))
    }

    fn spawn(&mut self, name: &'static str) -> Result<()> {
        let (_, service) =
            SERVICES.iter().find(|(n, _)| *n == name).with_context(|| format!("there is no service {name}"))?;
        let mut command = self.dirac_command("dirac-service");
        command.arg(service);
        let log = self.state.join(format!("log/{name}.log"));
        fs::remove_file(&log).ok();
        self.services.insert(name, Process::spawn(service, command, &log)?);
        Ok(())
    }

    fn await_service(&mut self, name: &'static str) -> Result<()> {
        self.services.get_mut(name).context("the service was not started")?.wait_log("Listening at", PATIENCE)
    }

    /// Starts a service (`MATCHER`...), again if it was stopped.
    pub fn start_service(&mut self, name: &'static str) -> Result<()> {
        self.spawn(name)?;
        self.await_service(name)
    }

    /// Ends a service and its process.
    pub fn stop_service(&mut self, name: &str) {
        self.services.remove(name);
    }

    /// Holds a service still, as a machine that hangs does (`SIGSTOP`), or lets it go on (`SIGCONT`).
    pub fn signal_service(&self, name: &str, signal: Signal) -> Result<()> {
        self.services.get(name).with_context(|| format!("{name} does not run"))?.signal(signal)
    }

    /// Submits `count` jobs as a member of `group`; their numbers.
    pub fn submit(&self, group: &str, count: usize, jdl: &str) -> Result<Vec<u64>> {
        let file = self.state.join(format!("{group}-{:08x}.jdl", rand::random::<u32>()));
        fs::write(&file, jdl)?;
        let args = [self.state.join("client.cfg").display().to_string(), count.to_string(), file.display().to_string()];
        let out = self.python("submit.py", &args.each_ref().map(String::as_str), Some(&format!("proxy.{group}")))?;
        out.lines().map(|l| l.trim().parse().with_context(|| format!("{l:?} is not the number of a job"))).collect()
    }

    /// Asks the Matcher for a job as a pilot of `group` does (for example `biomed_pilot`), with the resource as
    /// `Matcher.requestJob` takes it. The job's number, which the pilot then has; `None` when there is no job for it.
    pub fn request_job(&self, group: &str, resource: &Value) -> Result<Option<u64>> {
        let args = [self.state.join("client.cfg").display().to_string(), resource.to_string()];
        let proxy = format!("proxy.{group}");
        let out = self.python("request_job.py", &args.each_ref().map(String::as_str), Some(&proxy))?;
        out.lines()
            .last()
            .map(|l| l.trim().parse().with_context(|| format!("{l:?} is not the number of a job")))
            .transpose()
    }

    /// Puts jobs into task queues: pairs of a job number and a definition as `TaskQueueDB.insertJob` takes it. What was refused.
    pub fn fill_task_queues(&self, jobs: &[(u64, Value)]) -> Result<Vec<(u64, String)>> {
        let input = self.state.join("fill.json");
        fs::write(&input, serde_json::to_vec(jobs)?)?;
        let output = self
            .dirac_command("python")
            .arg(self.state.join("files/fill.py"))
            .stdin(fs::File::open(&input)?)
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().last().unwrap_or_default();
        serde_json::from_str(last)
            .with_context(|| format!("fill.py: {text}{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Merges these lines into the configuration that the Configuration server serves, and commits it, as `dirac-configuration-cli` does.
    pub fn merge_configuration(&self, lines: &str) -> Result<()> {
        let file = self.state.join("lines.cfg");
        fs::write(&file, lines)?;
        self.administer("merge", &file.display().to_string()).map(drop)
    }

    /// Takes a section or an option out of the configuration that the Configuration server serves, and commits it.
    pub fn remove_configuration(&self, path: &str) -> Result<()> {
        self.administer("remove", path).map(drop)
    }

    /// Makes these edits in the configuration that the Configuration server serves, in one commit: `PATH=VALUE` sets an option, with a
    /// comment, and `PATH` takes an entry out.
    pub fn edit_configuration(&self, edits: &[&str]) -> Result<()> {
        self.administer("edit", &serde_json::to_string(edits)?).map(drop)
    }

    /// The text of the configuration that the Configuration server serves.
    pub fn configuration(&self) -> Result<String> {
        last_line(&self.administer("show", "-")?)
    }

    /// Each of these texts as DIRAC writes it once it has read it; `None` where it cannot be read.
    pub fn rewritten(&self, texts: &[String]) -> Result<Vec<Option<String>>> {
        let file = self.state.join("texts.json");
        fs::write(&file, serde_json::to_vec(texts)?)?;
        last_line(&self.administer("rewrite", &file.display().to_string())?)
    }

    fn administer(&self, what: &str, argument: &str) -> Result<String> {
        self.python("configure.py", &[what, argument, &self.url("CONFIGURATION")?], None)
    }

    /// Address of a service (`MATCHER`...).
    pub fn url(&self, name: &str) -> Result<String> {
        let (_, service) =
            SERVICES.iter().find(|(n, _)| *n == name).with_context(|| format!("there is no service {name}"))?;
        Ok(format!("dips://{}:{}/{service}", self.host, self.ports[name]))
    }

    /// Certificate, key and CA of `user` (an administrator in the group `biomed_admin`), `pilot` or `stranger`, as PEM.
    pub fn credentials(&self, who: &str) -> Result<Credentials> {
        let read = |name: String| fs::read_to_string(self.state.join(&name)).with_context(|| name).map(Into::into);
        Ok(Credentials {
            certificate: read(format!("{who}.pem"))?,
            key: read(format!("{who}.key"))?,
            ca: read("ca.pem".to_owned())?,
        })
    }

    /// The program that runs DIRAC's JobAgent in a VM; its settings are beside it.
    pub fn run_pilot(&self) -> PathBuf {
        self.state.join("start-pilot")
    }

    /// The folder with DIRAC's commands (`dirac-proxy-init`...).
    pub fn commands(&self) -> PathBuf {
        self.venv.join("bin")
    }

    /// The folder with everything.
    pub fn state(&self) -> &Path {
        &self.state
    }

    fn certificates(&self) -> PathBuf {
        self.state.join("grid-security/certificates")
    }
}

/// What the last line of a program's output says in JSON.
fn last_line<T: DeserializeOwned>(output: &str) -> Result<T> {
    let last = output.lines().last().unwrap_or_default();
    serde_json::from_str(last).with_context(|| format!("{last:?} is not what was asked for"))
}

impl Drop for Dirac {
    fn drop(&mut self) {
        self.services.clear();
        // The optimizers before the database.
        while self.below.pop().is_some() {}
    }
}
