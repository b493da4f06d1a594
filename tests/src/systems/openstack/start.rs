//! How the OpenStack of the testbed is started: the data services, Keystone, and then all that asks Keystone.

use std::{fs, net::Ipv4Addr, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use tokio::sync::Mutex;

use super::{OpenStack, PASSWORD, PATIENCE, PYTHON, config, config::Ports, schema};
use crate::{
    host::{
        apt,
        forwarder::Forwarder,
        process::{check_interrupted, run},
        say::Step,
    },
    systems::guest::rights,
};

const PACKAGES: [&str; 15] = [
    "mariadb-server-core",
    "mariadb-client-core",
    "mariadb-client",
    "rabbitmq-server",
    "memcached",
    "python3-keystone",
    "python3-nova",
    "python3-glance",
    "python3-placement",
    "python3-neutron",
    "python3-pymysql",
    "python3-memcache",
    "python3-fixtures",
    "python3-yaml",
    // Config drives: Nova makes them with it, and guests read them with it.
    "genisoimage",
];
/// Nodes of the hypervisor: prefix, count, cores, MiB, GiB of disk, virtual GPUs.
const NODES: &str = "cpu:8:64:262144:4000:0 gpu:2:64:524288:8000:8";

impl OpenStack {
    /// Starts it on free ports, with everything that it writes below `state`. Packages that are missing are installed.
    pub async fn start(state: &Path) -> Result<Self> {
        Self::start_at(state, Ipv4Addr::LOCALHOST).await
    }

    /// The same; all of its services are reached at another address of this machine too, for example by pods, and the catalogue says so.
    pub async fn start_at(state: &Path, address: Ipv4Addr) -> Result<Self> {
        let state = state.to_owned();
        let (it, step) = tokio::task::spawn_blocking(move || Self::start_services(&state, address)).await??;
        it.hypervisor_is_up().await?;
        step.done();
        Ok(it)
    }

    fn start_services(state: &Path, address: Ipv4Addr) -> Result<(Self, Step)> {
        rights::check()?;
        apt::ensure("the OpenStack testbed", &PACKAGES)?;
        let step = Step::start(
            "OpenStack: starting Keystone, Glance, Placement, Neutron and Nova (half a minute; two the first time)",
        );
        let ports = Ports::free()?;
        // The services have working folders of their own, to which a relative path would mean another place.
        fs::create_dir_all(state).with_context(|| format!("cannot make {}", state.display()))?;
        let state = state.canonicalize()?;
        config::write(&state, &ports, address)?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        let cell = Forwarder::open(ports.mariadb)?;
        let ways = ports.ways(address)?;
        let mut it =
            Self { state, ports, processes: Vec::new(), cell, address, _ways: ways, http, tokens: Mutex::default() };
        it.data_services()?;
        schema::load(&it)?;
        step.progress("databases are ready");
        it.identity()?;
        step.progress("Keystone answers");
        it.rest()?;
        Ok((it, step))
    }

    fn data_services(&mut self) -> Result<()> {
        let mysql = self.state.join("mysql");
        run(
            "mariadb-install-db",
            self.command("mariadb-install-db")
                .args(["--no-defaults", "--user=root", "--skip-test-db"])
                .args(["--auth-root-authentication-method=normal", &format!("--datadir={}", mysql.display())]),
        )?;
        let mut mariadb = self.command("mariadbd");
        mariadb
            .args(["--no-defaults", "--user=root", "--bind-address=127.0.0.1", "--character-set-server=utf8mb3"])
            .args(["--collation-server=utf8mb3_general_ci", "--skip-log-bin", "--skip-name-resolve"])
            .args(["--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--innodb-flush-method=nosync"])
            .args(["--innodb-buffer-pool-size=128M", "--max-connections=600", "--performance-schema=OFF"])
            .arg(format!("--datadir={}", mysql.display()))
            .arg(format!("--socket={}", self.socket().display()))
            .arg(format!("--pid-file={}", self.state.join("run/mariadb.pid").display()))
            .arg(format!("--port={}", self.ports.mariadb));
        self.spawn("mariadb", mariadb)?;
        let mut memcached = self.command("memcached");
        memcached.args([
            "-u",
            "root",
            "-l",
            "127.0.0.1",
            "-U",
            "0",
            "-m",
            "64",
            "-p",
            &self.ports.memcached.to_string(),
        ]);
        self.spawn("memcached", memcached)?;
        let mut epmd = self.command("epmd");
        epmd.args(["-address", "127.0.0.1", "-port", &self.ports.epmd.to_string()]);
        self.spawn("epmd", epmd)?;
        // RabbitMQ that finds no epmd starts one of its own, at another port and outside our care.
        let port = self.ports.epmd;
        self.process("epmd")?.wait_tcp(port, PATIENCE)?;
        self.spawn("rabbitmq", self.rabbitmq())?;
        let port = self.ports.mariadb;
        self.process("mariadb")?.wait_tcp(port, PATIENCE)
    }

    fn rabbitmq(&self) -> Command {
        let mut command = self.command("/usr/lib/rabbitmq/bin/rabbitmq-server");
        let state = |name: &str| self.state.join(name);
        command
            .env("RABBITMQ_NODENAME", format!("testbed{}@localhost", self.ports.rabbit))
            .env("RABBITMQ_DIST_PORT", self.ports.rabbit_dist.to_string())
            .env("RABBITMQ_CONFIG_FILE", state("etc/rabbitmq.conf"))
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", state("etc/none"))
            .env("RABBITMQ_MNESIA_BASE", state("rabbit"))
            .env("RABBITMQ_LOG_BASE", state("log"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", state("etc/enabled_plugins"))
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2");
        command
    }

    fn identity(&mut self) -> Result<()> {
        let url = self.auth_url();
        let bootstrap = ["bootstrap", "--bootstrap-password", PASSWORD, "--bootstrap-region-id", "RegionOne"];
        let mut command = self.command(PYTHON);
        command.args(["/usr/bin/keystone-manage", "--config-file"]).arg(self.state.join("etc/keystone/keystone.conf"));
        for kind in ["public", "internal", "admin"] {
            if kind == "public" {
                command.args(bootstrap);
            }
            command.args([format!("--bootstrap-{kind}-url"), url.clone()]);
        }
        run("keystone-manage bootstrap", &mut command)?;
        for (name, kind, folder, port) in [
            ("keystone", "keystone", "keystone", self.ports.keystone),
            ("keystone-short", "keystone", "keystone-short", self.ports.keystone_short),
            ("placement", "placement", "placement", self.ports.placement),
        ] {
            let mut command = self.command(PYTHON);
            command.arg(self.lib("wsgi.py")).arg(kind).arg(self.state.join("etc").join(folder)).arg(port.to_string());
            self.spawn(name, command)?;
        }
        for (name, port) in [
            ("keystone", self.ports.keystone),
            ("keystone-short", self.ports.keystone_short),
            ("placement", self.ports.placement),
            ("rabbitmq", self.ports.rabbit),
        ] {
            self.process(name)?.wait_tcp(port, PATIENCE)?;
        }
        self.seed("identity")
    }

    fn rest(&mut self) -> Result<()> {
        for (name, main, files, database) in [
            ("nova-conductor", "nova.cmd.conductor:main", "nova", true),
            ("nova-api", "nova.cmd.api_os_compute:main", "nova", true),
            ("neutron", "neutron.cmd.eventlet.server:main", "neutron/neutron", false),
            ("glance", "glance.cmd.api:main", "glance/glance-api", false),
            ("nova-scheduler", "nova.cmd.scheduler:main", "nova", true),
        ] {
            let command = self.service(main, files, database);
            self.spawn(name, command)?;
        }
        self.process("nova-conductor")?.wait_log("Starting conductor node", PATIENCE)?;
        let mut compute = self.service("nova.cmd.compute:main", "nova", false);
        compute.env("SIM_NODES", NODES).env("SIM_STATE", &self.state);
        self.spawn("nova-compute", compute)?;
        for (name, port) in
            [("glance", self.ports.glance), ("nova-api", self.ports.nova), ("neutron", self.ports.neutron)]
        {
            self.process(name)?.wait_tcp(port, PATIENCE)?;
        }
        self.seed("rest")
    }

    /// The console script of a service with its configuration; the hypervisor must not see the database.
    pub(super) fn service(&self, main: &str, files: &str, database: bool) -> Command {
        let mut command = self.command(PYTHON);
        command.arg(self.lib("service.py")).arg(main);
        let mut names = vec![if files == "nova" { "nova/nova".to_owned() } else { files.to_owned() }];
        if database {
            names.push("nova/db".to_owned());
        }
        for name in names {
            command.arg("--config-file").arg(self.state.join("etc").join(format!("{name}.conf")));
        }
        command
    }

    fn seed(&self, stage: &str) -> Result<()> {
        let mut command = self.command(PYTHON);
        command.arg(self.lib("seed.py")).args([
            &self.auth_url(),
            PASSWORD,
            &self.ports.services_json(self.address),
            stage,
        ]);
        run("filling OpenStack", &mut command).map(|_| ())
    }

    async fn hypervisor_is_up(&self) -> Result<()> {
        let wanted: usize = NODES.split(' ').filter_map(|n| n.split(':').nth(1)?.parse::<usize>().ok()).sum();
        let give_up = std::time::Instant::now() + PATIENCE;
        loop {
            check_interrupted().context("waiting for the hypervisor")?;
            let there = self.hypervisors().await.unwrap_or(0);
            if there >= wanted {
                return Ok(());
            }
            ensure!(
                std::time::Instant::now() < give_up,
                "only {there} of {wanted} hypervisor nodes came up; see {}",
                self.log("nova-compute").display()
            );
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
}
