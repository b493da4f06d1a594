//! The decision, pure: from one snapshot to launches and give-backs, each with its reason.

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
    /// VMs to give back: only such that run no job and are expected to get none (still booting, or not yet made).
    pub surplus: Vec<Surplus>,
    /// Demand that gets no VM.
    pub unmet: Vec<Unmet>,
    /// Waiting jobs given to each pool (its own supply and new VMs together).
    pub assigned: std::collections::BTreeMap<String, u64>,
    /// Waiting jobs of each VO.
    pub waiting: std::collections::BTreeMap<String, u64>,
    /// Groups with waiting jobs that no VO claims.
    pub unclaimed: std::collections::BTreeMap<String, u64>,
}

/// One VM to make. Its words are shared: a plan may have a hundred thousand launches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Launch {
    /// PilotPool object.
    pub pool: Arc<str>,
    /// Cloud object.
    pub cloud: Arc<str>,
    /// VirtualOrganization object whose pilot it runs.
    pub vo: Arc<str>,
    /// What is bought.
    pub offering: Offering,
    /// Waiting jobs it is meant for at first.
    pub jobs: u64,
    /// The sentence.
    pub reason: Arc<str>,
}

/// One VM to give back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Surplus {
    /// PilotVM object.
    pub vm: String,
    /// The sentence.
    pub reason: String,
}

/// Waiting jobs that get no VM. Each belongs to a VO and so to its installation; only those that a pool could run belong to a
/// pool too. Whoever shows unmet demand on pools alone leaves out [`Reason::NoPool`] and [`Reason::NoMatch`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unmet {
    /// VirtualOrganization object.
    pub vo: String,
    /// PilotPool object that could run them and is kept from it; `None`: no pool could run them.
    pub pool: Option<String>,
    /// Waiting jobs.
    pub jobs: u64,
    /// Why.
    pub reason: Reason,
    /// The sentence: what binds, and what would help.
    pub message: String,
}
