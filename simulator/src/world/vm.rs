//! A VM and its pilot.

use crate::{
    dirac::{JobAgent, JobId},
    scenario::Offer,
    time::Ms,
};

/// A VM's number, in the order in which they were ordered.
pub type VmId = u32;

/// What is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Index of the pool.
    pub pool: usize,
    /// Index of the VO whose pilot it runs.
    pub vo: usize,
    /// What to buy.
    pub offer: Offer,
    /// `CPUTimeLeft` of its pilot, in normalised seconds.
    pub cpu_time: u64,
}

/// How far a VM is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The provider has not answered yet.
    Ordered,
    /// The provider did not make it.
    Refused,
    /// The provider builds it.
    Building,
    /// It runs.
    Active,
    /// It stopped by itself.
    Stopped,
    /// The provider could not build it.
    Error,
    /// It is gone.
    Gone,
}

/// How a policy's VMs treat their pilots.
#[derive(Clone, Copy, Debug)]
pub struct PilotManners {
    /// From the end of the pilot to that of the VM.
    pub cooldown: Ms,
    /// Whether a VM stops itself when it had no job for its pool's `scaling.idleTimeout`, as the contract of `DIRAC_IDLE_TIMEOUT` says.
    /// Otherwise the JobAgent's own idle exit alone ends it.
    pub obeys_idle_timeout: bool,
}

/// How a pilot's row in PilotAgentsDB stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowStatus {
    /// As it was made.
    Submitted,
    /// The pilot got a job at least once: the Matcher writes Running only then (`Matcher.selectJob`, `_updatePilotInfo`).
    Running,
    /// The JobAgent said that it ends (`JobAgent.finalize`).
    Done,
}

/// A pilot's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its status.
    pub status: RowStatus,
    /// The job that it got last; it is never reset.
    pub current_job: Option<JobId>,
    /// When it got its first job.
    pub running_since: Option<Ms>,
}

/// How a pilot does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PilotLife {
    /// A cycle of its JobAgent is set.
    Asking,
    /// All processors are taken: no cycle is set until a job ends.
    Full,
    /// It takes no more jobs, and ends after those that run.
    Stopping,
    /// It hangs.
    Hung,
    /// It has ended.
    Ended,
}

/// A pilot that has asked for work.
#[derive(Clone, Debug)]
pub struct Pilot {
    /// Its JobAgent.
    pub agent: JobAgent,
    /// How it does.
    pub life: PilotLife,
    /// Jobs that run.
    pub running: Vec<JobId>,
    /// Since when it has no job.
    pub idle_since: Ms,
}

/// A VM.
#[derive(Clone, Debug)]
pub struct Vm {
    /// What was ordered.
    pub order: Order,
    /// When it was ordered.
    pub ordered: Ms,
    /// How far it is.
    pub stage: Stage,
    /// When the provider made it.
    pub born: Option<Ms>,
    /// When it was gone.
    pub gone: Option<Ms>,
    /// Whether the caller knows that the provider made it: not when the reply was lost.
    pub is_answered: bool,
    /// Whether its deletion was ordered.
    pub is_deleting: bool,
    /// Its pilot's row.
    pub row: Row,
    /// Its pilot, from its first request on.
    pub pilot: Option<Pilot>,
    /// From the birth: when the pilot starts, and how much later it first asks. `None`: never.
    pub boots: Option<(Ms, Ms)>,
    /// Cores.
    pub cores: u64,
    /// Number of what its pilot says of itself.
    pub profile: usize,
}

impl Vm {
    /// Whether it exists at the provider.
    pub fn exists(&self) -> bool {
        self.born.is_some() && self.gone.is_none()
    }

    /// Whether a job ever ran on it.
    pub fn ran(&self) -> bool {
        self.row.running_since.is_some()
    }
}
