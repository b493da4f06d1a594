//! A DIRAC and a cloud that exist only in memory: jobs arrive, wait, are matched by pilots on simulated VMs, run and end.
//!
//! It keeps DIRAC's and a provider's rules (matching, pilot rows, quotas, faults), and nothing of it is real: for the demo,
//! for unit tests and for simulation. It is deterministic: the same seed and the same calls at the same times give the same
//! history. Time is the caller's ([`Clock`]); the world moves when it is looked at, from one event to the next: what a call costs depends on
//! what has happened since the last, and not on how much there is.

mod arrivals;
mod cloud;
mod config;
mod faults;
mod fleet;
mod hands;
mod machine;
mod machines;
mod queue;
mod room;
#[cfg(test)]
#[path = "simulation_tests.rs"]
mod tests;
mod trouble;
mod world;

use std::sync::{Arc, Mutex, MutexGuard};

pub use crate::clock::Clock;
pub use arrivals::Arrival;
pub use cloud::SimulatedCloud;
pub use config::{CloudConfig, SimulatedFlavor, SimulatedSpot};
pub use faults::{Call, Faults};
pub use trouble::Loss;
pub use world::{Statistics, World};

/// A simulated DIRAC, shared by its queue ([`crate::demand::DemandSource`]), its pilot rows
/// ([`crate::pilot::rows::PilotRows`]) and the clouds attached to it.
#[derive(Clone)]
pub struct SimulatedDirac {
    world: Arc<Mutex<World>>,
    clock: Clock,
}

impl SimulatedDirac {
    /// A DIRAC whose jobs begin to arrive now.
    pub fn new(seed: u64, arrivals: Vec<Arrival>, clock: Clock) -> Self {
        let world = World::new(seed, arrivals, clock.now());
        Self { world: Arc::new(Mutex::new(world)), clock }
    }

    /// What happened so far.
    pub fn statistics(&self) -> Statistics {
        self.now().statistics()
    }

    /// The streams of jobs from now on; what waits or runs is kept.
    pub fn set_arrivals(&self, arrivals: Vec<Arrival>) {
        self.now().set_arrivals(arrivals);
    }

    /// The world, moved to the present.
    fn now(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        world.advance(self.clock.now());
        world
    }
}
