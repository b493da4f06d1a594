//! Jobs of lost pilots are given back through DIRAC's JobManager.
//!
//! Who loses one VM often loses many at once. What is to be given back of them is gathered: their rows, the states of their jobs and the
//! order to reschedule go to DIRAC for all of them together. Who got a job is asked one by one (`getPilots`), and only for jobs that were
//! rescheduled before: any other was given away once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use super::{Client, DisetError, JobMonitoring, PilotManager, gather::Gatherer};
use crate::pilot::{
    jobs::Place,
    lost::{self, GivenBack, Takers, Told, sort},
    rows::{PilotRows, RowsError},
};

/// Jobs of one order: DIRAC reschedules them one after the other, with some twenty statements to its databases for each.
const JOBS_AN_ORDER: usize = 50;
/// An order is answered within this time.
const ORDER: Duration = Duration::from_secs(120);
/// How long a pilot waits for others that were lost with it.
const GATHERING: Duration = Duration::from_secs(1);
/// Pilots that are given back together.
const PILOTS_AT_ONCE: usize = 1_000;
/// The Matcher writes first that a job is matched, and then who got it (`Matcher.selectJob`): in between, it is not known who has it.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5);
/// Questions for single jobs that are under way together.
const QUESTIONS: usize = 8;

/// `WorkloadManagement/JobManager`. To reschedule jobs of others needs the property JobAdministrator.
#[derive(Clone)]
pub struct JobManager(Client);

impl JobManager {
    /// A JobManager at the other end of `client`.
    pub fn new(client: Client) -> Self {
        Self(client)
    }

    /// Puts these jobs back into the queue, whatever their state is. A job that was rescheduled as often as DIRAC does is set to Failed,
    /// which the answer does not say.
    pub async fn reschedule(&self, jobs: &[u64]) -> Result<(), DisetError> {
        self.0.call("rescheduleJob", &json!([jobs])).await.map(|_| ())
    }

    /// Whether it answers us.
    pub async fn ping(&self) -> Result<(), DisetError> {
        self.0.call("ping", &Value::Array(Vec::new())).await.map(|_| ())
    }
}

/// What came of it, by reference.
type Outcome = Result<BTreeMap<String, GivenBack>, RowsError>;

/// Gives back what lost pilots had. Clones of it gather together.
#[derive(Clone)]
pub struct LostJobs {
    way: Way,
    all: Arc<Gatherer<String, Outcome>>,
}

#[derive(Clone)]
struct Way {
    pilots: PilotManager,
    monitoring: JobMonitoring,
    manager: JobManager,
}

impl LostJobs {
    /// Gives back through these services. `manager` is a client of the JobManager.
    pub fn new(pilots: PilotManager, monitoring: JobMonitoring, manager: Client) -> Self {
        let manager = JobManager::new(manager.within(ORDER));
        Self { way: Way { pilots, monitoring, manager }, all: Arc::new(Gatherer::new(GATHERING, PILOTS_AT_ONCE)) }
    }

    /// The JobManager.
    pub fn manager(&self) -> &JobManager {
        &self.way.manager
    }
}

#[async_trait]
impl lost::LostJobs for LostJobs {
    async fn give_back(&self, reference: &str) -> Result<GivenBack, RowsError> {
        let way = self.way.clone();
        let call = move |references| async move { way.give_back(references).await };
        match self.all.with(reference.to_owned(), call).await.as_ref() {
            Ok(all) => Ok(all.get(reference).cloned().unwrap_or_default()),
            Err(error) => Err(error.clone()),
        }
    }
}

impl Way {
    async fn give_back(&self, references: Vec<String>) -> Outcome {
        let listed = self.listed(&references).await?;
        let jobs: Vec<u64> = listed.values().flatten().copied().collect();
        let mut told = self.on_pilots(&jobs).await?;
        let takers = self.takers(&told).await?;
        if told.values().any(|told| !told.is_sure()) {
            // Time has passed: a job that somebody moved meanwhile is not touched.
            let now = self.told(&told).await?;
            told.retain(|job, before| now.get(job).is_some_and(|now| now.is_on_pilot() && now.times == before.times));
        }
        let mut back = sort(&listed, &told, &takers);
        let wanted: Vec<u64> = back.values().flat_map(|back| back.undone.iter().copied()).collect();
        if wanted.is_empty() {
            return Ok(back);
        }
        let mut why = None;
        for some in wanted.chunks(JOBS_AN_ORDER) {
            // After an error nobody knows how far DIRAC came: what it says of the jobs tells.
            if let Err(error) = self.manager.reschedule(some).await {
                why = Some(failed(error));
            }
        }
        let ordered = told.iter().filter(|(job, _)| wanted.contains(job)).map(|(job, told)| (*job, *told)).collect();
        let now = self.told(&ordered).await?;
        for back in back.values_mut() {
            back.settle(&told, &now, why.as_ref());
        }
        Ok(back)
    }

    /// The jobs that the row of each of these pilots lists. DIRAC leaves the list out for a pilot that got none.
    async fn listed(&self, references: &[String]) -> Result<BTreeMap<String, BTreeSet<u64>>, RowsError> {
        let rows = self.pilots.rows(references).await?;
        Ok(rows.into_iter().map(|row| (row.reference, row.jobs.unwrap_or_default().into_iter().collect())).collect())
    }

    /// Those of these jobs that DIRAC has on a pilot.
    async fn on_pilots(&self, jobs: &[u64]) -> Result<BTreeMap<u64, Told>, RowsError> {
        let states = self.monitoring.status(jobs).await.map_err(failed)?;
        let there: Vec<u64> =
            states.into_iter().filter(|(_, status)| status.place() == Place::OnPilot).map(|(job, _)| job).collect();
        let mut told = self.monitoring.told(&there).await.map_err(failed)?;
        told.retain(|_, told| told.is_on_pilot());
        Ok(told)
    }

    /// What DIRAC says of these jobs now.
    async fn told(&self, jobs: &BTreeMap<u64, Told>) -> Result<BTreeMap<u64, Told>, RowsError> {
        let jobs: Vec<u64> = jobs.keys().copied().collect();
        self.monitoring.told(&jobs).await.map_err(failed)
    }

    /// Who got those of these jobs of which that is not sure.
    async fn takers(&self, told: &BTreeMap<u64, Told>) -> Result<BTreeMap<u64, Takers>, RowsError> {
        let unsure: Vec<u64> = told.iter().filter(|(_, told)| !told.is_sure()).map(|(job, _)| *job).collect();
        if unsure.is_empty() {
            return Ok(BTreeMap::new());
        }
        tokio::time::sleep(WRITTEN_WITHIN).await;
        let asked = unsure.into_iter().map(|job| async move { Ok((job, self.takers_of(job).await?)) });
        let all: Vec<(u64, Option<Takers>)> =
            stream::iter(asked).buffer_unordered(QUESTIONS).try_collect().await.map_err(failed)?;
        Ok(all.into_iter().filter_map(|(job, takers)| Some((job, takers?))).collect())
    }

    /// `None`: DIRAC does not know it.
    async fn takers_of(&self, job: u64) -> Result<Option<Takers>, DisetError> {
        match self.pilots.takers(job).await {
            Err(DisetError::Service { .. }) => Ok(None),
            other => other.map(Some),
        }
    }
}

fn failed(error: DisetError) -> RowsError {
    RowsError { fault: error.fault(), message: error.to_string() }
}
