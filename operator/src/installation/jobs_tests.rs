use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use broker::{demand::Fault, pilot::jobs::JobStatus};

use super::*;

/// What DIRAC has, and how often JobMonitoring was asked.
#[derive(Default)]
struct Table {
    jobs: BTreeMap<String, Option<Vec<u64>>>,
    states: BTreeMap<u64, JobStatus>,
    is_down: bool,
    asked: Vec<Vec<u64>>,
}

#[derive(Clone, Default)]
struct Dirac(Arc<Mutex<Table>>);

impl Dirac {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap()
    }
    fn rows(&self) -> RowsWithJobs {
        let (rows, states) = (Arc::new(self.clone()), Arc::new(self.clone()));
        let installation = Key { namespace: "egi".into(), name: "dirac".into() };
        RowsWithJobs { installation, rows, states, jobs: Arc::default(), clock: Clock::default() }
    }
}

#[async_trait]
impl PilotRows for Dirac {
    async fn register(&self, _: &NewPilot) -> Result<(), RowsError> {
        Ok(())
    }
    async fn set_status(&self, _: &NewPilot, _: PilotStatus, _: &str) -> Result<(), RowsError> {
        Ok(())
    }
    async fn rows(&self, references: &[String]) -> Result<Vec<PilotRow>, RowsError> {
        let table = self.table();
        let row = |reference: &String| PilotRow {
            reference: reference.clone(),
            status: PilotStatus::Running,
            current_job: 0,
            idle_seconds: None,
            updated: None,
            jobs: table.jobs.get(reference).cloned().flatten(),
            running: None,
            power: None,
        };
        Ok(references.iter().map(row).collect())
    }
}

#[async_trait]
impl JobStates for Dirac {
    async fn states(&self, jobs: &[u64]) -> Result<BTreeMap<u64, JobStatus>, RowsError> {
        let mut table = self.table();
        table.asked.push(jobs.to_vec());
        if table.is_down {
            return Err(RowsError { fault: Fault::Unreachable, message: "JobMonitoring is away".into() });
        }
        Ok(table.states.iter().filter(|(job, _)| jobs.contains(job)).map(|(job, status)| (*job, *status)).collect())
    }
}

async fn running(rows: &RowsWithJobs, references: &[&str]) -> Vec<Option<u64>> {
    let references: Vec<String> = references.iter().map(|r| (*r).to_owned()).collect();
    rows.rows(&references).await.unwrap().into_iter().map(|row| row.running).collect()
}

#[tokio::test]
async fn whoever_reads_rows_learns_how_many_jobs_run_be_it_of_all_pilots_or_of_one() {
    let dirac = Dirac::default();
    let rows = dirac.rows();
    {
        let mut table = dirac.table();
        table.jobs = [("a", Some(vec![1, 2])), ("b", Some(vec![])), ("c", None)].map(|(r, j)| (r.to_owned(), j)).into();
        table.states = BTreeMap::from([(1, JobStatus::Done), (2, JobStatus::Running)]);
    }
    assert_eq!(running(&rows, &["a", "b", "c"]).await, [Some(1), Some(0), None], "c's row does not say");
    dirac.table().states.insert(2, JobStatus::Done);
    assert_eq!(running(&rows, &["a"]).await, [Some(0)]);
    assert_eq!(running(&rows, &["a"]).await, [Some(0)]);
    assert_eq!(dirac.table().asked, [vec![1, 2], vec![2]], "what ended is not asked for again");
}

#[tokio::test(start_paused = true)]
async fn rows_are_read_while_jobmonitoring_is_away_which_is_asked_once_a_minute() {
    let dirac = Dirac::default();
    let rows = dirac.rows();
    dirac.table().jobs.insert("a".into(), Some(vec![1]));
    dirac.table().states.insert(1, JobStatus::Running);
    dirac.table().is_down = true;
    assert_eq!(running(&rows, &["a"]).await, [None]);
    assert_eq!(rows.jobs.trouble().unwrap().message, "JobMonitoring is away");
    tokio::time::advance(Duration::from_secs(59)).await;
    assert_eq!(running(&rows, &["a"]).await, [None]);
    assert_eq!(dirac.table().asked.len(), 1);
    dirac.table().is_down = false;
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(running(&rows, &["a"]).await, [Some(1)]);
    assert!(rows.jobs.trouble().is_none());
}
