//! An EC2 for tests: moto, and before it a layer of ours (`files/bed/`) that behaves as AWS documents where a driver can tell. EC2, STS,
//! SQS, SSM and Service Quotas answer at one address. Instances really run their user-data, in namespaces (`systems/guest/guest.py`).
//!
//! What it does, from which document, and what is unlike AWS: `docs/ec2-testbed.md`. What a test does behind its back: `control.rs`.

mod control;
mod seen;
mod venv;

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};
pub use control::{Loss, Pool, Purchase, Reclaims};
pub use seen::{Event, Instance, Lived, TAKEN_BACK};
use serde::Deserialize;
pub use venv::MOTO;

use super::guest;
use crate::host::{port, process::Process, say::Step};

/// The region of the account.
pub const REGION: &str = "eu-west-3";
/// Generous: it costs nothing when all is well, and three layers share the machine's cores.
const PATIENCE: Duration = Duration::from_secs(300);
/// Package `bed`, and what it starts.
const PROGRAMS: [(&str, &str); 23] = [
    ("guest.py", guest::PROGRAM),
    ("bed/__init__.py", include_str!("files/bed/__init__.py")),
    ("bed/__main__.py", include_str!("files/bed/__main__.py")),
    ("bed/book.py", include_str!("files/bed/book.py")),
    ("bed/capacity.py", include_str!("files/bed/capacity.py")),
    ("bed/control.py", include_str!("files/bed/control.py")),
    ("bed/faults.py", include_str!("files/bed/faults.py")),
    ("bed/fleet.py", include_str!("files/bed/fleet.py")),
    ("bed/guests.py", include_str!("files/bed/guests.py")),
    ("bed/idempotency.py", include_str!("files/bed/idempotency.py")),
    ("bed/identity.py", include_str!("files/bed/identity.py")),
    ("bed/instances.py", include_str!("files/bed/instances.py")),
    ("bed/launch.py", include_str!("files/bed/launch.py")),
    ("bed/layer.py", include_str!("files/bed/layer.py")),
    ("bed/lists.py", include_str!("files/bed/lists.py")),
    ("bed/metadata.py", include_str!("files/bed/metadata.py")),
    ("bed/quotas.py", include_str!("files/bed/quotas.py")),
    ("bed/reclaims.py", include_str!("files/bed/reclaims.py")),
    ("bed/signature.py", include_str!("files/bed/signature.py")),
    ("bed/sizes.py", include_str!("files/bed/sizes.py")),
    ("bed/stage.py", include_str!("files/bed/stage.py")),
    ("bed/templates.py", include_str!("files/bed/templates.py")),
    ("bed/wire.py", include_str!("files/bed/wire.py")),
];

/// A running EC2 with one account. It ends when this is dropped, and its guests with it.
pub struct Ec2 {
    state: PathBuf,
    venv: PathBuf,
    endpoint: String,
    facts: Facts,
    http: reqwest::Client,
    process: Process,
}

/// What the account has from the start.
#[derive(Deserialize)]
struct Facts {
    access_key: String,
    secret_key: String,
    account: String,
    vpc: String,
    subnets: Vec<(String, String)>,
    other_subnet: String,
    security_group: String,
    images: BTreeMap<String, String>,
    queue_url: String,
    role_arn: String,
    web_identity_token: PathBuf,
}

impl Ec2 {
    /// Starts it on a free port, with everything that it writes below `state`. moto is installed when it is missing.
    pub async fn start(state: &Path) -> Result<Self> {
        Self::start_at(state, Ipv4Addr::LOCALHOST).await
    }

    /// The same at another address of this machine, for example one that pods reach.
    pub async fn start_at(state: &Path, address: Ipv4Addr) -> Result<Self> {
        let state = state.to_owned();
        let (state, venv, endpoint, process, step) =
            tokio::task::spawn_blocking(move || Self::start_process(&state, address)).await??;
        let http = reqwest::Client::builder().no_proxy().build()?;
        let facts = control::ask(&http, &endpoint, "facts", &serde_json::json!({})).await?;
        let facts = serde_json::from_value(facts).context("the facts of the stand-in")?;
        step.done();
        Ok(Self { state, venv, endpoint, facts, http, process })
    }

    fn start_process(state: &Path, address: Ipv4Addr) -> Result<(PathBuf, PathBuf, String, Process, Step)> {
        guest::rights::check()?;
        let venv = venv::ensure()?;
        let step = Step::start("EC2: starting moto and what stands before it (some seconds)");
        fs::create_dir_all(state).with_context(|| format!("cannot make {}", state.display()))?;
        let state = state.canonicalize()?;
        for folder in ["lib/bed", "log", "guests", "home"] {
            fs::create_dir_all(state.join(folder)).with_context(|| format!("cannot make {}", state.display()))?;
        }
        for (name, text) in PROGRAMS {
            fs::write(state.join("lib").join(name), text)?;
        }
        fs::write(state.join("image.json"), "[]")?;
        let [port] = port::free()?;
        let mut command = Command::new(venv.join("bin/python"));
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", state.join("home"))
            .env("PYTHONPATH", state.join("lib"))
            .args(["-m", "bed"])
            .arg(&state)
            .args([address.to_string(), port.to_string()])
            .current_dir(&state);
        let mut process = Process::spawn("the EC2 stand-in", command, &state.join("log/ec2.log"))?;
        process.wait_until("its port", PATIENCE, || TcpStream::connect((address, port)).is_ok())?;
        Ok((state, venv, format!("http://{address}:{port}"), process, step))
    }

    /// Where EC2, STS, SQS, SSM and Service Quotas answer: they are told apart by the service that a call is signed for.
    pub fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// Access key id and secret of a user who may do everything.
    pub fn keys(&self) -> (String, String) {
        (self.facts.access_key.clone(), self.facts.secret_key.clone())
    }

    /// The number of the account, which owns the images.
    pub fn account(&self) -> String {
        self.facts.account.clone()
    }

    /// The VPC of [`Ec2::subnets`].
    pub fn vpc(&self) -> String {
        self.facts.vpc.clone()
    }

    /// Id and zone of the subnets: one in each zone of the region.
    pub fn subnets(&self) -> Vec<(String, String)> {
        self.facts.subnets.clone()
    }

    /// A subnet of another VPC, in the first zone.
    pub fn other_subnet(&self) -> String {
        self.facts.other_subnet.clone()
    }

    /// A security group of the VPC.
    pub fn security_group(&self) -> String {
        self.facts.security_group.clone()
    }

    /// Images of the account: `default` (x86_64, root of 8 GiB, `dirac-pilot-1`), `newer` (`dirac-pilot-2`), `gpu` and `arm`.
    pub fn images(&self) -> BTreeMap<String, String> {
        self.facts.images.clone()
    }

    /// The SSM parameter that names the image `default`.
    pub fn image_parameter(&self) -> &'static str {
        "/dirac/pilot/image"
    }

    /// The SQS queue into which EventBridge's events go.
    pub fn queue_url(&self) -> String {
        self.facts.queue_url.clone()
    }

    /// The role that the user and the bearer of [`Ec2::web_identity_token`] may assume.
    pub fn role_arn(&self) -> String {
        self.facts.role_arn.clone()
    }

    /// A file with a token that AssumeRoleWithWebIdentity takes.
    pub fn web_identity_token(&self) -> PathBuf {
        self.facts.web_identity_token.clone()
    }

    /// What a pod with a role has in `AWS_CONTAINER_CREDENTIALS_FULL_URI`: a session of [`Ec2::role_arn`], a new one at each call.
    pub fn container_credentials_url(&self) -> String {
        format!("{}/_bed/container-credentials", self.endpoint)
    }

    /// Lends a folder of this machine to every guest that starts from now on, read-only: what is in their image.
    pub fn in_the_image(&self, host: &Path, inside: &str) -> Result<()> {
        let path = self.state.join("image.json");
        let mut lent: Vec<(PathBuf, String)> = serde_json::from_slice(&fs::read(&path)?)?;
        lent.push((host.to_owned(), inside.to_owned()));
        fs::write(path, serde_json::to_vec(&lent)?)?;
        Ok(())
    }

    /// The Python that has boto3, with nothing of ours in its environment but where the stand-in is (`BED_ENDPOINT`).
    pub fn python(&self) -> Command {
        let mut command = Command::new(self.venv.join("bin/python"));
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
        command.env("HOME", self.state.join("home")).env("BED_ENDPOINT", &self.endpoint);
        command
    }

    /// The process id of the stand-in.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}
