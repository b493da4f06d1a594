//! How many VMs each pool had.

use serde::Serialize;

use crate::world::World;

/// The VMs of one pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OfPool {
    /// Name of the PilotPool object.
    pub pool: String,
    /// VMs that the clouds made for it.
    pub made: u64,
    /// Of these, VMs that never ran a job.
    pub idle: u64,
}

impl OfPool {
    /// All pools of a run.
    pub fn all(world: &World<'_>) -> Vec<Self> {
        let pool = |(number, pool): (usize, &crate::scenario::Pool)| {
            let made = || world.vms.iter().filter(|vm| vm.order.pool == number && vm.born.is_some());
            let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
            Self {
                pool: pool.name.clone(),
                made: count(made().count()),
                idle: count(made().filter(|vm| !vm.ran()).count()),
            }
        };
        world.loaded.model.pools.iter().enumerate().map(pool).collect()
    }

    /// How many, in words.
    pub fn sentence(&self) -> String {
        format!("{} VMs of pool {}, of which {} never ran a job", self.made, self.pool, self.idle)
    }
}
