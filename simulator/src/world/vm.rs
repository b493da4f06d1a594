//! A VM and its pilot.

use crate::{
    dirac::{JobAgent, JobId},
    scenario::Offer,
    time::Ms,
};

/// A VM's number, in the order in which they were ordered.
pub type VmId = u32;

/// A VM that a policy orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Index of the pool that it belongs to.
    pub pool: usize,
    /// Index of the VO whose pilot it runs.
    pub vo: usize,
    /// What is bought: cloud, flavor, zone and way of paying.
    pub offer: Offer,
    /// `CPUTimeLeft` of its pilot, in normalised seconds.
    pub cpu_time: u64,
    /// The size of the jobs that its pilot takes alone; `None`: any.
    pub alone: Option<Alone>,
}

/// The size of jobs that a pilot takes alone: it requires their tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alone {
    /// Jobs that need the whole VM.
    WholeNode,
    /// Jobs of this many cores.
    Processors(u32),
}

impl Alone {
    /// The tag that DIRAC makes of it.
    pub fn tag(self) -> String {
        match self {
            Self::WholeNode => "WholeNode".to_owned(),
            Self::Processors(cores) => format!("{cores}Processors"),
        }
    }

    /// What a tag means; `None`: it is none of these.
    pub fn of(tag: &str) -> Option<Self> {
        match tag {
            "WholeNode" => Some(Self::WholeNode),
            _ => tag.strip_suffix("Processors")?.parse().ok().map(Self::Processors),
        }
    }
}

/// How far a VM is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The provider has not answered yet.
    Ordered,
    /// The provider did not make it.
    Refused,
    /// The provider makes it, and it is not up.
    Building,
    /// It is up, with or without a pilot.
    Active,
    /// It stopped by itself, and is still there.
    Stopped,
    /// The provider could not build it.
    Error,
    /// It exists no more at the provider.
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
    /// No job yet: as the row was made.
    Submitted,
    /// The pilot got a job at least once: the Matcher writes Running only then (`Matcher.selectJob`, `_updatePilotInfo`).
    Running,
    /// The JobAgent said that it ends (`JobAgent.finalize`).
    Done,
}

/// A pilot's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// What stands in its status.
    pub status: RowStatus,
    /// The job that it got last; it is never reset.
    pub current_job: Option<JobId>,
    /// When it got its first job.
    pub running_since: Option<Ms>,
    /// `BenchMark`: the power of its cores, in hundredths. The Matcher writes it with the first job (`Matcher._updatePilotInfo`).
    pub power: Option<u64>,
}

/// What a pilot does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PilotLife {
    /// A cycle of its JobAgent is set.
    Asking,
    /// All processors are taken: no cycle is set until a job ends.
    Full,
    /// It takes no more jobs, and ends after those that run.
    Stopping,
    /// It asks no more, and never ends.
    Hung,
    /// It ended; its VM may still be there.
    Ended,
}

/// A pilot that has asked for work.
#[derive(Clone, Debug)]
pub struct Pilot {
    pub agent: JobAgent,
    pub life: PilotLife,
    pub running: Vec<JobId>,
    pub idle_since: Ms,
}

/// A VM, from its order on.
#[derive(Clone, Debug)]
pub struct Vm {
    /// What it was ordered as.
    pub order: Order,
    /// When the policy ordered it.
    pub ordered: Ms,
    /// What the provider has made of it so far.
    pub stage: Stage,
    /// When the provider made it; `None`: not yet, or never.
    pub born: Option<Ms>,
    /// When it ceased to exist at the provider; `None`: it is there.
    pub gone: Option<Ms>,
    /// Whether the caller knows that the provider made it: not when the reply was lost.
    pub is_answered: bool,
    /// Whether its deletion was ordered.
    pub is_deleting: bool,
    /// Its pilot's row.
    pub row: Row,
    /// Its pilot, from its first request on.
    pub pilot: Option<Pilot>,
    /// Core-milliseconds that jobs held which have ended, those that were lost with it included.
    pub held: u64,
    /// When the last of them ended.
    pub last: Option<Ms>,
    /// From the birth: when the pilot starts, and how much later it first asks. `None`: never.
    pub boots: Option<(Ms, Ms)>,
    /// Cores of its flavor.
    pub cores: u64,
    /// Number of what its pilot says of itself.
    pub profile: usize,
}

impl Vm {
    /// Whether it exists at the provider.
    pub fn exists(&self) -> bool {
        self.born.is_some() && self.gone.is_none()
    }

    /// A job ended on it now, and held its processors for this long.
    pub fn had(&mut self, now: Ms, processors: u32, took: Ms) {
        (self.held, self.last) = (self.held + u64::from(processors) * took, Some(now));
    }

    /// Whether a job ever ran on it.
    pub fn ran(&self) -> bool {
        self.row.running_since.is_some()
    }
}
