//! How the DIRAC of the testbed is started: its configuration, its databases, and then its services.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use anyhow::{Context, Result};

use super::{Ce, Dirac, FOR_MATCHING, PATIENCE, SERVICES, SITE, pki, venv};
use crate::host::{
    port,
    process::{Process, run},
};

/// Where the services of a testbed are, unless something outside this machine must reach them.
const HERE: &str = "localhost";

const DATABASES: [&str; 7] = [
    "WorkloadManagement/JobDB",
    "WorkloadManagement/JobLoggingDB",
    "WorkloadManagement/PilotAgentsDB",
    "WorkloadManagement/TaskQueueDB",
    "WorkloadManagement/SandboxMetadataDB",
    "Framework/ProxyDB",
    "ResourceStatus/ResourceStatusDB",
];
const FILES: [(&str, &str); 8] = [
    ("search_standin.py", include_str!("files/search_standin.py")),
    ("prepare.py", include_str!("files/prepare.py")),
    ("fill.py", include_str!("files/fill.py")),
    ("mkproxy.py", include_str!("files/mkproxy.py")),
    ("upload_proxy.py", include_str!("files/upload_proxy.py")),
    ("configure.py", include_str!("files/configure.py")),
    ("submit.py", include_str!("files/submit.py")),
    ("request_job.py", include_str!("files/request_job.py")),
];

impl Dirac {
    /// Configuration, Matcher and PilotManager.
    pub async fn start_matching(state: &Path) -> Result<Self> {
        let state = state.to_owned();
        tokio::task::spawn_blocking(move || Self::start_blocking(&state, false, &[], HERE)).await?
    }

    /// Every service that a job meets, and the optimizers.
    pub async fn start(state: &Path, ces: &[Ce]) -> Result<Self> {
        Self::start_at(state, ces, HERE).await
    }

    /// The same at another address of this machine, for example one that pods reach. Its services see a changed configuration within ten
    /// seconds.
    pub async fn start_at(state: &Path, ces: &[Ce], host: &str) -> Result<Self> {
        let (state, ces, host) = (state.to_owned(), ces.to_vec(), host.to_owned());
        tokio::task::spawn_blocking(move || Self::start_blocking(&state, true, &ces, &host)).await?
    }

    fn start_blocking(state: &Path, whole: bool, ces: &[Ce], host: &str) -> Result<Self> {
        let venv = venv::ensure()?;
        for folder in ["mysql", "run", "tmp", "etc", "log", "work", "sandboxes", "control", "client", "files"] {
            fs::create_dir_all(state.join(folder))?;
        }
        let free: [u16; 12] = port::free()?;
        let mut ports: BTreeMap<&'static str, u16> = SERVICES.iter().map(|(name, _)| *name).zip(free).collect();
        ports.insert("MARIADB", free[10]);
        ports.insert("SEARCH", free[11]);
        pki::make(state, host)?;
        let (state_folder, host) = (state.to_owned(), host.to_owned());
        let mut dirac = Self { state: state_folder, host, venv, ports, services: BTreeMap::new(), below: Vec::new() };
        dirac.configure(ces)?;
        dirac.databases()?;
        dirac.start_search()?;
        dirac.start_service("CONFIGURATION")?;
        dirac.python("prepare.py", &[if whole { "all" } else { "matching" }, SITE], None)?;
        let names: Vec<&'static str> =
            SERVICES.iter().map(|(n, _)| *n).take(if whole { SERVICES.len() } else { FOR_MATCHING }).skip(1).collect();
        for name in &names {
            dirac.spawn(name)?;
        }
        for name in &names {
            dirac.await_service(name)?;
        }
        if whole {
            let mut command = dirac.dirac_command("dirac-executor");
            command.arg("WorkloadManagement/Optimizers");
            dirac.below.push(Process::spawn("Optimizers", command, &state.join("log/Optimizers.log"))?);
            dirac.proxies()?;
        }
        Ok(dirac)
    }

    fn configure(&self, ces: &[Ce]) -> Result<()> {
        for (name, text) in FILES {
            fs::write(self.state.join("files").join(name), text)?;
        }
        let sections: String = ces.iter().map(ce_section).collect();
        let names = ces.iter().map(|c| c.name.clone()).collect::<Vec<_>>().join(", ");
        for (name, text) in
            [("Local.cfg", include_str!("files/Local.cfg")), ("dirac.cfg", include_str!("files/dirac.cfg"))]
        {
            let text = self.fill(text).replace("@CE_SECTIONS@", &sections).replace("@CES@", &names);
            fs::write(self.state.join("etc").join(name), text)?;
        }
        let client =
            format!("DIRAC\n{{\n  Configuration\n  {{\n    Servers = {}\n  }}\n}}\n", self.url("CONFIGURATION")?);
        fs::write(self.state.join("client.cfg"), client)?;
        let pilot = self.run_pilot();
        fs::write(&pilot, include_str!("../../../../images/pilot/start-pilot"))?;
        fs::set_permissions(&pilot, fs::Permissions::from_mode(0o755))?;
        fs::write(self.state.join("settings"), self.fill(include_str!("files/settings")))?;
        Ok(())
    }

    fn fill(&self, text: &str) -> String {
        let mut text = text
            .replace("@STATE@", &self.state.display().to_string())
            .replace("@VENV@", &self.venv.display().to_string())
            .replace("@HOST@", &self.host)
            // DIRAC's own is 300.
            .replace("@REFRESH@", if self.host == HERE { "300" } else { "10" });
        for (name, port) in &self.ports {
            text = text.replace(&format!("@{name}@"), &port.to_string());
        }
        text
    }

    fn databases(&mut self) -> Result<()> {
        let at = |name: &str| self.state.join(name).display().to_string();
        let (data, socket) = (format!("--datadir={}", at("mysql")), format!("--socket={}", at("run/mariadb.sock")));
        run(
            "mariadb-install-db",
            // Two databases that are made at one time give their temporary tables the same names.
            Command::new("mariadb-install-db").env("TMPDIR", at("tmp")).args([
                "--no-defaults",
                "--user=root",
                &data,
                "--auth-root-authentication-method=normal",
            ]),
        )?;
        let mut server = Command::new("/usr/sbin/mariadbd");
        server
            .env("TMPDIR", at("tmp"))
            .args(["--no-defaults", "--user=root", &data, &socket, "--bind-address=127.0.0.1", "--skip-log-bin"])
            .args([
                format!("--pid-file={}", at("run/mariadb.pid")),
                format!("--port={}", self.ports["MARIADB"]),
                "--innodb-buffer-pool-size=64M".to_owned(),
                "--performance-schema=OFF".to_owned(),
                "--innodb-flush-log-at-trx-commit=0".to_owned(),
            ]);
        let mut server = Process::spawn("mariadb", server, &self.state.join("log/mariadb.log"))?;
        server.wait_until("SQL", PATIENCE, || self.sql("select 1").is_ok())?;
        self.below.push(server);
        self.sql("create user 'Dirac'@'127.0.0.1' identified by 'Dirac'; grant all on *.* to 'Dirac'@'127.0.0.1'")?;
        let script = "import importlib.util, os; print(os.path.dirname(importlib.util.find_spec('DIRAC').origin))";
        let package = run("python", Command::new(self.venv.join("bin/python")).args(["-c", script]))?;
        for database in DATABASES {
            let (system, name) = database.split_once('/').context("a database has a system")?;
            self.sql(&format!("create database {name}"))?;
            // ProxyDB, ResourceStatusDB and TaskQueueDB have no file: their classes make the tables.
            if let Ok(schema) =
                fs::read_to_string(Path::new(package.trim()).join(format!("{system}System/DB/{name}.sql")))
            {
                self.sql(&schema)?;
            }
        }
        Ok(())
    }

    fn start_search(&mut self) -> Result<()> {
        let mut command = Command::new(self.venv.join("bin/python"));
        command.arg(self.state.join("files/search_standin.py")).arg(self.ports["SEARCH"].to_string());
        let mut process = Process::spawn("search stand-in", command, &self.state.join("log/search.log"))?;
        process.wait_tcp(self.ports["SEARCH"], PATIENCE)?;
        self.below.push(process);
        Ok(())
    }

    fn proxies(&self) -> Result<()> {
        for (identity, group) in
            [("user", "biomed_user"), ("user", "enmr_user"), ("pilot", "biomed_pilot"), ("pilot", "enmr_pilot")]
        {
            let at = |name: String| self.state.join(name).display().to_string();
            self.python(
                "mkproxy.py",
                &[&at(format!("{identity}.pem")), &at(format!("{identity}.key")), group, &at(format!("proxy.{group}"))],
                None,
            )?;
        }
        let at = |name: &str| self.state.join(name).display().to_string();
        self.python(
            "upload_proxy.py",
            &[&at("client.cfg"), &at("user.pem"), &at("user.key")],
            Some("proxy.biomed_user"),
        )?;
        Ok(())
    }
}

fn ce_section(ce: &Ce) -> String {
    let queues: String = ce
        .queues
        .iter()
        .map(|q| format!("{q}\n{{\nmaxCPUTime = 1440\nSI00 = 3000\nVO = biomed, enmr\nMaxTotalJobs = 20\nMaxWaitingJobs = 20\n}}\n"))
        .collect();
    format!(
        "{}\n{{\nCEType = Cloud\nSubmissionMode = direct\narchitecture = x86_64\nOS = EL9\nQueues\n{{\n{queues}}}\n}}\n",
        ce.name
    )
}
