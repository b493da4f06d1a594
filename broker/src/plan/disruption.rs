//! What is known of drift: how a VM is not as its pool says any more, and how many VMs of a pool may drain for that at the same moment.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// How a VM is not as its pool says any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// The sentence: what has changed.
    pub what: Arc<str>,
    /// Whether it drains for that already.
    pub drains: bool,
}

/// How fast VMs of a pool may drain by drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disruption {
    /// How many at the same moment.
    pub most: Most,
    /// Whether such a drain may begin now.
    pub is_open: bool,
}

impl Default for Disruption {
    fn default() -> Self {
        Self { most: Most::default(), is_open: true }
    }
}

/// How many VMs of a pool may drain by drift at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Most {
    /// So many.
    Vms(u64),
    /// So many of a hundred VMs of the pool, and at least one.
    Percent(u64),
}

impl Default for Most {
    fn default() -> Self {
        Self::Percent(10)
    }
}

impl Most {
    /// How many that are of so many VMs.
    pub fn of(self, vms: u64) -> u64 {
        match self {
            Self::Vms(most) => most,
            Self::Percent(part) => (vms.saturating_mul(part.min(100)) / 100).max(1),
        }
    }
}
