//! A real OpenStack (Zed, of Debian 12): Keystone, Glance, Placement, Neutron and Nova as plain processes over a private MariaDB,
//! RabbitMQ and memcached. Only the hypervisor is ours: its guests really run their user-data, in namespaces (`systems/guest/guest.py`).
//!
//! What is unlike a site: no TLS, no packet flows through Neutron's ports (guests use the host's network), one hypervisor service
//! with many nodes, and one password for every service.

mod api;
mod cell;
mod config;
pub mod federation;
pub mod lossy;
mod provider;
mod schema;
mod site;
mod start;
mod watch;

use std::{
    collections::HashMap,
    fs,
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use tokio::sync::Mutex;

pub use api::{Server, ServerFault, ServerFlavor};
use config::Ports;

use crate::host::{forwarder::Forwarder, process::Process};

/// Project of the test user with a large quota.
pub const PROJECT: &str = "vo.example.org";
/// Project of the test user with room for two servers, four cores and 8 GiB.
pub const TINY: &str = "tiny-quota";
/// The test user, with the role `member`.
pub const USER: &str = "dirac";
/// The password of every user.
pub const PASSWORD: &str = "testbed-password";

const PYTHON: &str = "/usr/bin/python3";
/// Generous: it costs nothing when all is well, and three layers share the machine's cores.
const PATIENCE: Duration = Duration::from_secs(300);

/// A part that can be paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Keystone, with the usual life of its tokens.
    Keystone,
    /// Nova's API service.
    NovaApi,
    /// Nova's conductor, through which all writes of the cell go.
    NovaConductor,
    /// Nova's compute service: the hypervisor.
    NovaCompute,
    /// Neutron's API service.
    Neutron,
    /// Glance's API service.
    Glance,
    /// The MariaDB server of all services.
    MariaDb,
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Self::Keystone => "keystone",
            Self::NovaApi => "nova-api",
            Self::NovaConductor => "nova-conductor",
            Self::NovaCompute => "nova-compute",
            Self::Neutron => "neutron",
            Self::Glance => "glance",
            Self::MariaDb => "mariadb",
        }
    }
}

/// A running OpenStack. It ends when this is dropped.
pub struct OpenStack {
    state: PathBuf,
    ports: Ports,
    /// In the order of their start; ended in the reverse order.
    processes: Vec<(&'static str, Process)>,
    /// Between Nova's API and the database of its cell.
    cell: Forwarder,
    /// The address of this machine that Keystone's catalogue names.
    address: Ipv4Addr,
    /// From there to 127.0.0.1, where the services listen.
    _ways: Vec<Forwarder>,
    http: reqwest::Client,
    /// Tokens by user and project, and when they were made.
    tokens: Mutex<HashMap<(String, String), (String, Instant)>>,
}

impl Drop for OpenStack {
    fn drop(&mut self) {
        while let Some((_, mut process)) = self.processes.pop() {
            process.kill();
        }
    }
}

impl OpenStack {
    fn spawn(&mut self, name: &'static str, command: Command) -> Result<()> {
        let process = Process::spawn(name, command, &self.log(name))?;
        self.processes.push((name, process));
        Ok(())
    }

    fn process(&mut self, name: &str) -> Result<&mut Process> {
        let found = self.processes.iter_mut().find(|(n, _)| *n == name);
        found.map(|(_, p)| p).with_context(|| format!("{name} was not started"))
    }

    /// A command with the environment of the testbed and nothing of ours.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", self.state.join("home"))
            // Two databases that are made at one time give their temporary tables the same names.
            .env("TMPDIR", self.state.join("tmp"))
            .env("PYTHONPATH", self.state.join("lib"))
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", self.ports.epmd.to_string())
            .current_dir(&self.state);
        command
    }

    fn lib(&self, name: &str) -> PathBuf {
        self.state.join("lib").join(name)
    }

    fn log(&self, name: &str) -> PathBuf {
        self.state.join("log").join(format!("{name}.log"))
    }

    fn socket(&self) -> PathBuf {
        self.state.join("run/mariadb.sock")
    }

    /// Keystone's v3 address.
    pub fn auth_url(&self) -> String {
        format!("http://{}:{}/v3", self.address, self.ports.keystone)
    }

    /// A second Keystone over the same users, whose tokens live five seconds.
    pub fn short_auth_url(&self) -> String {
        format!("http://127.0.0.1:{}/v3", self.ports.keystone_short)
    }

    /// A region whose Nova is reached through a way that loses what a test says.
    pub async fn lossy_region(&self, name: &str) -> Result<lossy::Lossy> {
        let way = lossy::Lossy::open(self.ports.nova).await?;
        self.add_region(name, &format!("http://127.0.0.1:{}/v2.1", way.port)).await?;
        Ok(way)
    }

    /// Where Nova's API listens, as host:port.
    pub fn nova_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.nova)
    }

    /// A `clouds.yaml` for the `openstack` command.
    pub fn clouds_yaml(&self) -> String {
        let cloud = |name: &str, user: &str, project: &str| {
            format!(
                "  {name}:\n    region_name: RegionOne\n    identity_api_version: 3\n    auth: {{auth_url: \"{}\", username: {user}, password: {PASSWORD}, project_name: {project}, user_domain_name: Default, project_domain_name: Default}}\n",
                self.auth_url()
            )
        };
        format!("clouds:\n{}{}", cloud("testbed", USER, PROJECT), cloud("testbed-admin", "admin", "admin"))
    }

    /// Lends a folder of this machine to every guest that starts from now on, read-only: what is in their image.
    pub fn in_the_image(&self, host: &Path, inside: &str) -> Result<()> {
        let path = self.state.join("image.json");
        let mut lent: Vec<(PathBuf, String)> = serde_json::from_slice(&fs::read(&path)?)?;
        lent.push((host.to_owned(), inside.to_owned()));
        fs::write(path, serde_json::to_vec(&lent)?)?;
        Ok(())
    }

    /// Stops a part without ending it, as a machine that hangs.
    pub fn pause(&mut self, service: Service) -> Result<()> {
        self.process(service.name())?.signal(Signal::SIGSTOP)
    }

    /// Lets it go on.
    pub fn resume(&mut self, service: Service) -> Result<()> {
        self.process(service.name())?.signal(Signal::SIGCONT)
    }
}

fn private(path: &Path) -> Result<()> {
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o600))?)
}
