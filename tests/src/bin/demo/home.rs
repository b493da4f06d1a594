//! Where the demo lives: a control plane of its own, real systems, or a cluster of the user's.

use std::path::{Path, PathBuf};

use anyhow::Result;
use testbeds::{
    host::say::Step,
    real::{self, FORTY, LYON, PARIS, Real},
    systems::{
        controlplane::ControlPlane,
        ec2::TAKEN_BACK,
        kubectl::Kubectl,
        openstack::PROJECT,
        operator::{self, Operator},
    },
};

use crate::{Args, borrowed::Borrowed, jobs::Jobs};

/// Namespace of the simulated manifests.
pub const SIMULATED: &str = "demo";
/// What runs in a job of the real demo: a sleep of this many seconds. Where VMs are taken back, jobs run on after that is announced.
const REAL_JOB: u32 = 15;
const REAL_JOB_WITH_STORM: u32 = 25;

/// Where the demo lives.
pub struct Home {
    /// The administrator's.
    pub kubectl: Kubectl,
    /// What the user may look around with.
    pub user: PathBuf,
    /// Namespace of the manifests.
    pub namespace: &'static str,
    /// Whether manifests were applied, or may have been.
    pub applied: bool,
    /// Ends its processes when it is dropped.
    pub lives: Lives,
    /// What the operator runs with; empty until the chart is installed.
    operator: PathBuf,
}

/// What was started for the demo.
pub enum Lives {
    /// In a cluster of the user's.
    Elsewhere(Borrowed),
    /// In a control plane of its own.
    Here(ControlPlane),
    /// With a real DIRAC and a real OpenStack.
    ForReal(Box<Real>),
}

impl Home {
    /// Starts what is to be started. In somebody's cluster it only looks.
    pub async fn open(args: &Args, state: &Path) -> Result<Self> {
        let it = |kubectl, user, lives| {
            let namespace = if args.real { real::NAMESPACE } else { SIMULATED };
            Self { kubectl, user, namespace, applied: false, lives, operator: PathBuf::new() }
        };
        if let Some(context) = &args.context {
            let borrowed = Borrowed::look(context, state)?;
            return Ok(it(borrowed.kubectl.clone(), borrowed.user.clone(), Lives::Elsewhere(borrowed)));
        }
        if args.real {
            let real = Real::start_with(state, args.clouds.into()).await?;
            return Ok(it(real.plane.kubectl(), real.plane.kubeconfig(), Lives::ForReal(Box::new(real))));
        }
        let step = Step::start("starting a Kubernetes control plane");
        let plane = ControlPlane::start(&state.join("controlplane")).await?;
        step.done();
        Ok(it(plane.kubectl(), plane.kubeconfig(), Lives::Here(plane)))
    }

    /// Installs the chart: the operator runs as its ServiceAccount.
    pub async fn install(&mut self) -> Result<()> {
        let plane = match &mut self.lives {
            Lives::Elsewhere(borrowed) => {
                self.operator = borrowed.install()?;
                return Ok(());
            }
            Lives::Here(plane) => {
                let step = Step::start("installing the chart");
                Operator::install_chart(plane, operator::EVERYWHERE)?;
                step.done();
                plane
            }
            Lives::ForReal(real) => &mut real.plane,
        };
        self.operator = plane.kubeconfig_for_service_account(operator::NAMESPACE, operator::NAMESPACE).await?;
        Ok(())
    }

    pub fn start_operator(&self, log: &Path) -> Result<Operator> {
        let mut options = vec!["--busy-interval=2", "--rows-interval=5", "--list-interval=5"];
        if let Lives::Elsewhere(_) = self.lives {
            // In somebody's cluster it looks after the demo's own namespace, and competes with nobody's operator.
            options.extend(["--watch-namespace=demo", "--leader-elect=false"]);
        }
        Operator::start(&self.operator, log, &options)
    }

    /// Applies the manifests, and submits the jobs where they are real.
    pub async fn begin(&mut self) -> Result<()> {
        self.applied = true;
        let Lives::ForReal(real) = &self.lives else {
            return self.kubectl.apply(include_str!("../../../../examples/simulated/all.yaml")).map(|_| ());
        };
        self.kubectl.run(&["create", "namespace", real::NAMESPACE])?;
        self.kubectl.apply(&real.manifests().await?)?;
        for kind in &FORTY {
            let step =
                Step::start(format!("submitting {} jobs of the kind {:?} as {}", kind.jobs, kind.name, kind.group));
            real.submit(kind, kind.jobs, if real.ec2().is_ok() { REAL_JOB_WITH_STORM } else { REAL_JOB })?;
            step.done();
        }
        Ok(())
    }

    /// Where the jobs are counted.
    pub fn jobs(&self) -> Jobs<'_> {
        match &self.lives {
            Lives::ForReal(real) => Jobs::Real(real),
            Lives::Here(_) | Lives::Elsewhere(_) => Jobs::Simulated,
        }
    }

    /// What is left in the clouds: only real ones can tell.
    pub async fn servers_left(&self) -> Result<usize> {
        let Lives::ForReal(real) = &self.lives else { return Ok(0) };
        let servers = real.openstack.servers(PROJECT).await?.len();
        Ok(match real.ec2() {
            Ok(ec2) => servers + ec2.instances().await?.iter().filter(|one| one.lives()).count(),
            Err(_) => servers,
        })
    }

    /// What the clouds say at the end, where there are two: what each made, and what was taken back.
    pub async fn clouds_said(&self) -> Result<Vec<(&'static str, String)>> {
        let Lives::ForReal(real) = &self.lives else { return Ok(Vec::new()) };
        let Ok(ec2) = real.ec2() else { return Ok(Vec::new()) };
        let lives = real.lives().await?;
        let spot = lives.iter().filter(|life| life.spot).count();
        let at = |cloud| lives.iter().filter(|life| life.cloud == cloud).count();
        let taken = ec2.lives().await?.iter().filter(|one| one.reason.as_deref() == Some(TAKEN_BACK)).count();
        Ok(vec![
            ("VMs of the OpenStack", at(LYON).to_string()),
            ("VMs of the EC2", format!("{}, of which {spot} Spot", at(PARIS))),
            ("Spot VMs taken back", taken.to_string()),
            ("jobs given back", real.given_back()?.len().to_string()),
        ])
    }
}
