//! The pilots' rows, with how many of each pilot's jobs run: whoever reads rows learns it, the loop as well as the look at one VM before
//! it is ended. What JobMonitoring does not say is unknown, and keeps nobody from the rows.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use broker::{
    clock::Clock,
    pilot::{
        jobs::JobStates,
        rows::{NewPilot, PilotRow, PilotRows, PilotStatus, RowsError},
    },
};
use tokio::time::Instant;

use crate::{known::jobs::Jobs, names::Key, trouble::Trouble};

/// After a request that failed the next one comes this much later: each may take as long as its deadline, and rows wait for it.
const PAUSE: Duration = Duration::from_secs(60);

/// Rows, and the states of the jobs that they list.
pub struct RowsWithJobs {
    /// The DiracInstallation object.
    pub installation: Key,
    pub rows: Arc<dyn PilotRows>,
    pub states: Arc<dyn JobStates>,
    pub jobs: Arc<Jobs>,
    pub clock: Clock,
}

impl RowsWithJobs {
    async fn ask(&self, rows: &[PilotRow], jobs: &[u64]) {
        if jobs.is_empty() || !self.jobs.may_ask(Instant::now()) {
            return;
        }
        let at = self.clock.now();
        match self.states.states(jobs).await {
            Ok(states) => {
                self.jobs.went(None);
                self.jobs.with(|book| book.answer(rows.iter().map(|row| row.reference.as_str()), &states, at));
            }
            Err(error) => {
                tracing::warn!(installation = %self.installation, reason = %error.fault, %error, "the states of the pilots' jobs could not be read");
                self.jobs.went(Some((Trouble::from(error), Instant::now() + PAUSE)));
            }
        }
    }
}

#[async_trait]
impl PilotRows for RowsWithJobs {
    async fn register(&self, pilot: &NewPilot) -> Result<(), RowsError> {
        self.rows.register(pilot).await
    }

    async fn set_status(&self, pilot: &NewPilot, status: PilotStatus, reason: &str) -> Result<(), RowsError> {
        self.rows.set_status(pilot, status, reason).await
    }

    async fn rows(&self, references: &[String]) -> Result<Vec<PilotRow>, RowsError> {
        let at = self.clock.now();
        let mut rows = self.rows.rows(references).await?;
        let jobs: Vec<u64> = self.jobs.with(|book| book.take(&rows, at)).into_iter().collect();
        self.ask(&rows, &jobs).await;
        self.jobs.with(|book| {
            // A row that does not say which jobs its pilot got does not say how many of them run either.
            for row in rows.iter_mut().filter(|row| row.jobs.is_some()) {
                row.running = book.of(&row.reference).and_then(|known| known.count());
            }
        });
        Ok(rows)
    }
}

#[cfg(test)]
#[path = "jobs_tests.rs"]
mod tests;
