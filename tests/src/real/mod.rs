//! The whole of it for real: a Kubernetes control plane, DIRAC's services and an OpenStack on this machine, with the manifests that
//! join them; beside it an EC2, where it is asked for. The end-to-end test and `demo --real` start the same.

mod claims;
mod ec2;
mod history;
pub mod secrets;

use std::path::Path;

use anyhow::{Context, Result, ensure};
pub use claims::{ROW_IS_OPEN, twins};
pub use ec2::{PARIS, SPOT_QUOTAS, TYPES};
pub use history::{LYON, Life, peak, peak_cores};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::{
    host::say::Step,
    systems::{
        controlplane::ControlPlane,
        dirac::{Ce, Dirac},
        ec2::Ec2,
        kubectl,
        openstack::{OpenStack, PROJECT},
        operator::{EVERYWHERE, Operator},
    },
};

/// The namespace in which the manifests are applied.
pub const NAMESPACE: &str = "dirac";
/// The computing element that the pilots say they are of.
const CE: &str = "openstack.lyon.fr";

/// What a new user applies.
const EXAMPLE: [&str; 5] = [
    include_str!("../../../examples/openstack/00-installation.yaml"),
    include_str!("../../../examples/openstack/10-vo.yaml"),
    include_str!("../../../examples/openstack/20-site.yaml"),
    include_str!("../../../examples/openstack/30-cloud.yaml"),
    include_str!("../../../examples/openstack/40-pool.yaml"),
];
/// The price that the example names, and those of the other flavors.
const MEDIUM: &str = "    - {flavor: m1.medium, perHour: \"0.10\"}";
const OTHERS: &str = "    - {flavor: m1.large, perHour: \"0.20\"}\n    - {flavor: g1.vgpu, perHour: \"1.20\"}";

/// Which clouds there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clouds {
    /// An OpenStack alone.
    OpenStack,
    /// An EC2 beside it. The OpenStack has one GPU left, and the pools buy Spot first.
    WithEc2,
}

/// The systems. They end when this is dropped.
pub struct Real {
    /// The Kubernetes API server.
    pub plane: ControlPlane,
    /// DIRAC's real services.
    pub dirac: Dirac,
    /// Real Nova, Glance, Neutron, Keystone and Placement.
    pub openstack: OpenStack,
    /// The EC2 of tests, where it was asked for.
    ec2: Option<Ec2>,
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

/// What `examples/openstack` calls the services and the image, and what they are here.
pub fn names(dirac: &Dirac, openstack: &OpenStack) -> Result<[(&'static str, String); 6]> {
    // Scheme, host and port.
    let address = |service: &str| -> Result<String> {
        let url = dirac.url(service)?;
        Ok(url.split('/').take(3).collect::<Vec<_>>().join("/"))
    };
    Ok([
        ("dips://dirac.example.org:9170", address("MATCHER")?),
        ("dips://dirac.example.org:9171", address("PILOTMANAGER")?),
        ("dips://dirac.example.org:9130", address("JOBMONITORING")?),
        ("dips://dirac.example.org:9135", address("CONFIGURATION")?),
        ("https://keystone.lyon.example.org:5000/v3", openstack.auth_url()),
        ("{name: dirac-pilot}", "{name: EL9-pilot}".to_owned()),
    ])
}

/// Times in `examples/openstack`, and shorter ones, for which a test can wait.
pub fn quicker() -> [(&'static str, String); 2] {
    [
        ("  external:", "  demand: {pollInterval: 5s}\n  external:".to_owned()),
        ("    idleTimeout: 5m", "    bootDeadline: 5m\n    idleTimeout: 1m".to_owned()),
    ]
}

/// Gives the guests of this OpenStack the image that `images/pilot` makes for this DIRAC.
pub fn furnish(openstack: &OpenStack, dirac: &Dirac) -> Result<()> {
    // As at sites whose network has no metadata agent: what the driver gives on a config drive is what a guest gets.
    openstack.without_metadata()?;
    dirac.image()?.into_iter().try_for_each(|(folder, inside)| openstack.in_the_image(&folder, inside))
}

impl Real {
    /// Starts all three, with their state below `state`.
    pub async fn start(state: &Path) -> Result<Self> {
        Self::start_with(state, Clouds::OpenStack).await
    }

    /// The same, with these clouds.
    pub async fn start_with(state: &Path, clouds: Clouds) -> Result<Self> {
        let step = Step::start("starting a Kubernetes control plane");
        let plane = ControlPlane::start(&state.join("controlplane")).await?;
        step.done();
        let step = Step::start("installing the chart");
        Operator::install_chart(&plane, EVERYWHERE)?;
        step.done();
        let mut queues = vec!["m1.medium", "m1.large", "g1.vgpu"];
        if clouds == Clouds::WithEc2 {
            queues.extend(TYPES);
        }
        let queues = queues.into_iter().map(str::to_owned).collect();
        let step = Step::start("DIRAC: starting its services over a MariaDB (half a minute)");
        let dirac = Dirac::start(&state.join("dirac"), &[Ce { name: CE.to_owned(), queues }]).await?;
        step.done();
        let openstack = OpenStack::start(&state.join("openstack")).await?;
        furnish(&openstack, &dirac)?;
        let ec2 = match clouds {
            Clouds::OpenStack => None,
            Clouds::WithEc2 => Some(ec2::start(&state.join("ec2"), &dirac, &openstack).await?),
        };
        Ok(Self { plane, dirac, openstack, ec2 })
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
        let example = self.example()?;
        let manifests = format!("{example}---\n{}---\n{certificate}\n---\n{project}\n", include_str!("beside.yaml"));
        match &self.ec2 {
            Some(ec2) => self.also_at(ec2, &manifests),
            None => Ok(manifests),
        }
    }

    /// `examples/openstack` with the addresses and names of these systems, both VOs, and times for whom a test waits.
    fn example(&self) -> Result<String> {
        let text = |from: &'static str, to: &str| (from, to.to_owned());
        let others = [
            text("group: dirac_operator", "group: biomed_admin"),
            text("vos: [biomed]", "vos: [biomed, enmr]"),
            text(MEDIUM, &format!("{MEDIUM}\n{OTHERS}")),
        ];
        let replaced = names(&self.dirac, &self.openstack)?.into_iter().chain(quicker()).chain(others);
        let mut example = EXAMPLE.join("---\n");
        for (from, to) in replaced {
            ensure!(example.contains(from), "examples/openstack has no {from:?} any more");
            example = example.replace(from, &to);
        }
        Ok(example)
    }

    /// The computing element that the pilots say they are of.
    pub fn ce() -> &'static str {
        CE
    }

    /// What a guest runs to become its pilot, as user-data says it.
    pub fn pilot() -> String {
        "/opt/dirac-pilot/start-pilot".to_owned()
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
