//! What the operator knows of one installation, in memory: everything here can be read again from DIRAC.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, RwLock},
};

use broker::{
    demand::DemandSource,
    pilot::rows::{PilotRow, PilotRows},
    plan::Plan,
    simulation::SimulatedDirac,
};
use jiff::Timestamp;

use super::permits::Permits;
use crate::trouble::Trouble;

/// What the last planning round saw and decided.
#[derive(Clone, Debug, Default)]
pub struct Round {
    /// When the task queues were read.
    pub at: Timestamp,
    /// Task queues with waiting jobs.
    pub queues: u64,
    /// Waiting jobs.
    pub jobs: u64,
    /// The decision.
    pub plan: Plan,
    /// PilotVMs that could not be made, by pool.
    pub failed: BTreeMap<String, String>,
}

/// What is known of an installation.
#[derive(Clone, Default)]
pub struct Facts {
    /// Where task queues are read.
    pub demand: Option<Arc<dyn DemandSource>>,
    /// Where pilots are registered. It stays in force after the object is gone, for PilotVMs that still have a row.
    pub rows: Option<Arc<dyn PilotRows>>,
    /// The simulated DIRAC, where that is what the installation is: simulated clouds attach their pilots to it.
    pub simulated: Option<SimulatedDirac>,
    /// Why neither could be made.
    pub not_reached: Option<Trouble>,
    /// Why the task queues could not be read last time.
    pub demand_unknown: Option<Trouble>,
    /// When they could be read again after they could not: pilots that ask the same Matcher had to wait as long.
    pub demand_back: Timestamp,
    /// The last round that planned.
    pub round: Option<Arc<Round>>,
    /// The rows, by reference, and when they were asked for.
    pub read: Option<Arc<Rows>>,
    /// Why the rows could not be read last time.
    pub rows_unknown: Option<Trouble>,
}

/// Rows as read at one moment.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// When they were asked for.
    pub started: Timestamp,
    /// The rows, by reference.
    pub by_reference: HashMap<String, PilotRow>,
}

/// One installation, shared by its round, its rows and the PilotVMs.
#[derive(Default)]
pub struct Handle {
    /// How much may be asked of its DIRAC at once for single PilotVMs.
    pub permits: Permits,
    facts: RwLock<Facts>,
}

impl Handle {
    /// A copy of what is known.
    pub fn facts(&self) -> Facts {
        self.facts.read().map(|f| f.clone()).unwrap_or_default()
    }

    /// Changes what is known.
    pub fn update(&self, change: impl FnOnce(&mut Facts)) {
        if let Ok(mut facts) = self.facts.write() {
            change(&mut facts);
        }
    }
}
