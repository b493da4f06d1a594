//! The decision: from one snapshot to launches and give-backs, each with its reason. Pure: no clock, no client, no async.

mod account;
mod aisles;
mod beside;
mod bits;
mod books;
mod choice;
mod class;
mod closing;
#[cfg(test)]
mod closing_tests;
mod decide;
mod disruption;
mod drain;
#[cfg(test)]
mod drain_tests;
mod drift;
#[cfg(test)]
mod drift_tests;
#[cfg(test)]
mod example_tests;
mod explain;
mod fill;
#[cfg(test)]
mod finding_tests;
#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod gpu_tests;
pub mod hold;
mod index;
mod job_class;
mod keep;
mod lane;
mod lent;
pub mod life;
mod market;
mod near;
mod need;
mod offer;
#[cfg(test)]
mod optimum_tests;
mod ours;
mod part;
mod reason;
mod restraint;
mod rests;
mod share;
mod shelf;
pub mod snapshot;
mod supply;
mod surplus;
#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
mod there;
#[cfg(test)]
mod total_tests;
mod ways;
pub mod window;
mod words;
mod zones;
#[cfg(test)]
mod zones_tests;

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

pub(crate) use class::groups;
pub use closing::{BEFORE_THE_FIRST_JOB, Cut, STOP_MARGIN, work};
pub use decide::{plan, says};
pub use disruption::{Disruption, Drift, Most};
pub use drain::Drain;
pub use hold::Hold;
pub(crate) use index::resource;
pub use job_class::JobClass;
pub use life::{Free, Life, Soon};
pub use reason::Reason;
pub use snapshot::{
    Budget, Closing, CloudState, Lease, Limits, LiveVm, Measured, Offering, Pool, Quota, Requirements, Resources,
    Rules, RunTime, Says, Snapshot, Strategy, Unpriced, Vo,
};

/// What one planning round decided. The same snapshot gives the same plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Plan {
    /// VMs to make, each with its reason.
    pub launches: Vec<Launch>,
    /// VMs to give back. Only VMs whose pilot has not asked for work yet are among them (still booting, or not yet made).
    pub surplus: Vec<Surplus>,
    /// All VMs that are to take no more jobs. One that drained and is not among them is to go on as before.
    pub drains: Vec<Drain>,
    /// VMs that boot and for which no waiting job is planned.
    pub unneeded: Vec<String>,
    /// Waiting jobs that get no VM.
    pub unmet: Vec<Unmet>,
    /// Waiting jobs given to each pool, by its name.
    pub assigned: BTreeMap<String, Assigned>,
    /// Waiting jobs of each VO, by its name.
    pub waiting: BTreeMap<String, u64>,
    /// Waiting jobs of each group that no VO claims.
    pub unclaimed: BTreeMap<String, u64>,
}

/// One VM to make. Its texts are shared between launches, since a plan may have a hundred thousand of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Launch {
    /// PilotPool object.
    pub pool: Arc<str>,
    /// Name of the Cloud object.
    pub cloud: Arc<str>,
    /// VirtualOrganization object whose pilot it runs.
    pub vo: Arc<str>,
    /// The flavor, zone and way of buying.
    pub offering: Arc<Offering>,
    /// The same in other zones of the cloud, the cheapest first: one order names them too, and the VM is bought there where the first has no
    /// room.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Arc<Offering>>,
    /// Waiting jobs for which it is made; it may run others later. 0: the pool keeps it whatever waits.
    pub jobs: u64,
    /// The same by class: they have the first claim on it.
    pub lease: Vec<Lease>,
    /// How it is cut to the time that is left before its cloud is closed, or for which it is lent; `None`: it is as its pool says.
    pub cut: Option<Cut>,
    /// A tag that its pilot asks for beside the pool's required ones, so that it takes such jobs alone.
    pub pin: Option<Arc<str>>,
    /// Why, as a sentence.
    pub reason: Arc<str>,
}

/// Waiting jobs that a pool serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assigned {
    /// By VMs whose pilot asks for work.
    pub running: u64,
    /// By VMs that boot, as soon as their pilots ask for work.
    pub booting: u64,
    /// By VMs that this plan makes.
    pub new: u64,
}

impl Assigned {
    /// Waiting jobs that get a place, on whatever VM.
    pub fn all(self) -> u64 {
        self.running.saturating_add(self.booting).saturating_add(self.new)
    }
}

/// One VM to give back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Surplus {
    /// PilotVM object.
    pub vm: String,
    /// Why, as a sentence.
    pub reason: String,
}

/// Waiting jobs that get no VM. All of them belong to a VO, and so to its installation; only those that a pool could run also belong
/// to a pool. [`Reason::NoPool`] and [`Reason::NoMatch`] have no pool: show them on the VO and on the installation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unmet {
    /// VirtualOrganization object.
    pub vo: String,
    /// PilotPool object that could run them if nothing hindered it; `None`: no pool could run them.
    pub pool: Option<String>,
    /// Number of these jobs.
    pub jobs: u64,
    /// Why: the first of `limits`.
    pub reason: Reason,
    /// The sentence: what hinders, and what would help.
    pub message: String,
    /// All that binds where they come nearest to a VM.
    pub limits: Vec<Bound>,
    /// The one change that would start a VM for them; `None`: more than one thing binds, or a person cannot change it.
    pub change: Option<Change>,
}

/// One thing that keeps a VM from being made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// The kind of limit, in a word.
    pub reason: Reason,
    /// The sentence for people: what it allows.
    pub message: String,
}

/// A change that would start one more VM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Whose limit, for example `pool cpu (spec.scaling.max)`.
    pub whose: String,
    /// The kind of limit, in a word.
    pub reason: Reason,
    /// What is counted, for example `cores`.
    pub what: String,
    /// By how much the limit must be raised.
    pub by: u64,
    /// The VM that it starts, for example `one m1.large on lyon`.
    pub starts: String,
}
