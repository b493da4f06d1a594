//! The decision: from one snapshot to launches and give-backs, each with its reason. Pure: no clock, no client, no async.

mod account;
mod class;
mod decide;
mod fit;
#[cfg(test)]
mod golden_tests;
mod reason;
pub mod snapshot;
mod supply;
#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use decide::plan;
pub use fit::resource;
pub use reason::Reason;
pub use snapshot::{CloudState, Failing, Limits, LiveVm, Offering, Pool, Requirements, Snapshot, VmPhase, Vo};

/// What one planning round decided. The same snapshot gives the same plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// VMs to make.
    pub launches: Vec<Launch>,
    /// VMs to give back. Only VMs whose pilot has not asked for work yet are among them (still booting, or not yet made).
    pub surplus: Vec<Surplus>,
    /// Waiting jobs that get no VM.
    pub unmet: Vec<Unmet>,
    /// Waiting jobs given to each pool, by its name: those for VMs that it has and those for new ones.
    pub assigned: std::collections::BTreeMap<String, u64>,
    /// Waiting jobs of each VO, by its name.
    pub waiting: std::collections::BTreeMap<String, u64>,
    /// Waiting jobs of each group that no VO claims.
    pub unclaimed: std::collections::BTreeMap<String, u64>,
}

/// One VM to make. Its texts are shared between launches, since a plan may have a hundred thousand of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Launch {
    /// PilotPool object.
    pub pool: Arc<str>,
    /// Cloud object.
    pub cloud: Arc<str>,
    /// VirtualOrganization object whose pilot it runs.
    pub vo: Arc<str>,
    /// What to buy.
    pub offering: Offering,
    /// Waiting jobs for which it is made; it may run others later.
    pub jobs: u64,
    /// Why, as a sentence.
    pub reason: Arc<str>,
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
    /// Waiting jobs.
    pub jobs: u64,
    /// Why.
    pub reason: Reason,
    /// The sentence: what hinders, and what would help.
    pub message: String,
}
