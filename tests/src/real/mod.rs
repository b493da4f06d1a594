//! The whole of it for real: a Kubernetes control plane, DIRAC's services and an OpenStack on this machine, with the manifests that
//! join them. The end-to-end test and `demo --real` start the same.

mod claims;
mod history;
pub mod secrets;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
pub use claims::{ROW_IS_OPEN, twins};
pub use history::{Life, peak};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::{
    host::say::Step,
    systems::{
        controlplane::ControlPlane,
        dirac::{self, Ce, Dirac},
        kubectl,
        openstack::{OpenStack, PROJECT},
        operator::{EVERYWHERE, Operator},
    },
};

/// The namespace in which the manifests are applied.
pub const NAMESPACE: &str = "dirac";
/// The computing element that the pilots say they are of.
const CE: &str = "openstack.lyon.fr";
/// Where the guests find DIRAC's client and the pilots' proxies: what is in their image.
pub const IMAGE: &str = "/opt/dirac-pilot";

/// The three systems. They end when this is dropped.
pub struct Real {
    /// The Kubernetes API server.
    pub plane: ControlPlane,
    /// DIRAC's real services.
    pub dirac: Dirac,
    /// Real Nova, Glance, Neutron, Keystone and Placement.
    pub openstack: OpenStack,
}

/// A kind of job: who submits it, how many, and what it asks for.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// A word for it, for people.
    pub name: &'static str,
    /// DIRAC group of its owner.
    pub group: &'static str,
    /// How many jobs of it are submitted.
    pub jobs: usize,
    /// Requirements, in JDL.
    pub asks: &'static str,
}

/// Forty jobs of four kinds in two VOs.
pub const FORTY: [Kind; 4] = [
    Kind { name: "one core", group: "biomed_user", jobs: 16, asks: "CPUTime = 3600;" },
    Kind { name: "four cores", group: "enmr_user", jobs: 8, asks: "CPUTime = 3600; NumberOfProcessors = 4;" },
    Kind { name: "a GPU", group: "biomed_user", jobs: 6, asks: "CPUTime = 3600; Tags = \"GPU\";" },
    Kind { name: "long", group: "enmr_user", jobs: 10, asks: "CPUTime = 200000;" },
];

impl Real {
    /// Starts all three, with their state below `state`.
    pub async fn start(state: &Path) -> Result<Self> {
        let step = Step::start("starting a Kubernetes control plane");
        let plane = ControlPlane::start(&state.join("controlplane")).await?;
        step.done();
        let step = Step::start("installing the chart");
        Operator::install_chart(&plane, EVERYWHERE)?;
        step.done();
        let queues = ["m1.medium", "m1.large", "g1.vgpu"].map(str::to_owned).to_vec();
        let step = Step::start("DIRAC: starting its services over a MariaDB (half a minute)");
        let dirac = Dirac::start(&state.join("dirac"), &[Ce { name: CE.to_owned(), queues }]).await?;
        step.done();
        let openstack = OpenStack::start(&state.join("openstack")).await?;
        // As at sites whose network has no metadata agent: what the driver gives on a config drive is what a guest gets.
        openstack.without_metadata()?;
        openstack.in_the_image(&dirac.image(Path::new(IMAGE))?, IMAGE)?;
        Ok(Self { plane, dirac, openstack })
    }

    /// The manifests, and the Secrets that they name.
    pub async fn manifests(&self) -> Result<String> {
        let credentials = self.dirac.credentials("user")?;
        let (id, secret) = self.openstack.application_credential(PROJECT, None).await?;
        let secret_named = |name: &str, data: serde_json::Value| kubectl::secret(NAMESPACE, name, "stringData", &data);
        let certificate = secret_named(
            "dirac-certificate",
            json!({
                "tls.crt": credentials.certificate.expose_secret(),
                "tls.key": credentials.key.expose_secret(),
                "ca.crt": credentials.ca.expose_secret(),
            }),
        );
        let project = secret_named("openstack-lyon", json!({"id": id, "secret": secret}));
        let text = include_str!("manifests.yaml")
            .replace("@NAMESPACE@", NAMESPACE)
            .replace("@MATCHER@", &self.dirac.url("MATCHER")?)
            .replace("@PILOTMANAGER@", &self.dirac.url("PILOTMANAGER")?)
            .replace("@JOBMONITORING@", &self.dirac.url("JOBMONITORING")?)
            .replace("@SITE@", dirac::SITE)
            .replace("@CE@", CE)
            .replace("@AUTH_URL@", &self.openstack.auth_url())
            .replace("@PILOT@", &Self::pilot());
        Ok(format!("{text}---\n{certificate}\n---\n{project}\n"))
    }

    /// The computing element that the pilots say they are of.
    pub fn ce() -> &'static str {
        CE
    }

    /// What a guest runs to become its pilot, as user-data says it.
    pub fn pilot() -> String {
        format!("set -a; . /etc/dirac-operator/pilot.env; set +a; {IMAGE}/run-pilot /var/lib/dirac-pilot")
    }

    /// Submits jobs of a kind that each run for `seconds`; their numbers.
    pub fn submit(&self, kind: &Kind, jobs: usize, seconds: u32) -> Result<Vec<u64>> {
        let jdl = format!(
            "[JobName = \"{}\"; Executable = \"/bin/sleep\"; Arguments = \"{seconds}\"; StdOutput = \"std.out\"; \
             StdError = \"std.err\"; JobType = \"User\"; {}]",
            kind.name, kind.asks
        );
        self.dirac
            .submit(kind.group, jobs, &jdl)
            .with_context(|| format!("submitting jobs of the kind {:?}", kind.name))
    }

    /// How many jobs are in this state of JobDB (`Waiting`, `Running`, `Done`...).
    pub fn jobs(&self, status: &str) -> Result<usize> {
        self.count(&format!("select count(*) from JobDB.Jobs where Status = '{status}'"))
    }

    /// A number from DIRAC's databases.
    pub fn count(&self, query: &str) -> Result<usize> {
        self.dirac.sql(query)?.trim().parse().with_context(|| format!("{query} gave no number"))
    }
}

impl Dirac {
    /// What a VM's image has of this DIRAC, as a folder that guests find at `inside`: the program that starts a pilot, certificates of
    /// the authorities, and the pilots' proxies. Proxies are in the image for this test bed only.
    pub fn image(&self, inside: &Path) -> Result<PathBuf> {
        let folder = self.state().join("image");
        let authorities = folder.join("grid-security/certificates");
        fs::create_dir_all(&authorities)?;
        for entry in fs::read_dir(self.state().join("grid-security/certificates"))? {
            let entry = entry?;
            fs::copy(entry.path(), authorities.join(entry.file_name()))?;
        }
        for proxy in ["proxy.biomed_pilot", "proxy.enmr_pilot"] {
            fs::copy(self.state().join(proxy), folder.join(proxy))?;
        }
        let script = fs::read_to_string(self.run_pilot())?;
        let script = script.replace(&self.state().display().to_string(), &inside.display().to_string());
        fs::write(folder.join("run-pilot"), script)?;
        fs::set_permissions(folder.join("run-pilot"), fs::metadata(self.run_pilot())?.permissions())?;
        Ok(folder)
    }
}
