//! The simulated DIRAC as a source of demand and a keeper of pilot rows.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::SimulatedDirac;
use crate::{
    demand::{Demand, DemandError, DemandSource},
    pilot::{
        jobs::{JobStates, JobStatus},
        rows::{NewPilot, PilotRow, PilotRows, PilotStatus, RowsError},
    },
};

#[async_trait]
impl DemandSource for SimulatedDirac {
    async fn task_queues(&self) -> Result<Demand, DemandError> {
        Ok(Demand { queues: self.now().task_queues(), unreadable: None })
    }
}

#[async_trait]
impl PilotRows for SimulatedDirac {
    async fn register(&self, pilot: &NewPilot) -> Result<(), RowsError> {
        self.now().register(pilot);
        Ok(())
    }

    async fn set_status(&self, pilot: &NewPilot, status: PilotStatus, _reason: &str) -> Result<(), RowsError> {
        self.now().set_status(&pilot.reference, status);
        Ok(())
    }

    async fn rows(&self, references: &[String]) -> Result<Vec<PilotRow>, RowsError> {
        let world = self.now();
        Ok(references.iter().filter_map(|r| world.row(r)).collect())
    }
}

#[async_trait]
impl JobStates for SimulatedDirac {
    async fn states(&self, jobs: &[u64]) -> Result<BTreeMap<u64, JobStatus>, RowsError> {
        let world = self.now();
        Ok(jobs.iter().filter_map(|job| Some((*job, world.job(*job)?))).collect())
    }
}
