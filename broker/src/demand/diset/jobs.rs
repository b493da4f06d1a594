//! States of jobs from DIRAC's JobMonitoring.
//!
//! `getJobsStatus` takes a list of numbers (`JobMonitoringHandler`, `JobDB.getJobsAttributes`). The same number twice in one list makes
//! it fail, and one that DIRAC does not know is left out of the answer.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Client, DisetError};
use crate::pilot::{
    jobs::{JobStates, JobStatus},
    lost::Told,
    rows::RowsError,
};

/// Jobs of one request: the answer has some 40 bytes and four JSON values of each, far below what is read of one.
pub(super) const JOBS_A_REQUEST: usize = 5_000;
/// Jobs of one request for all that DIRAC says of them: some 1,500 bytes and a hundred JSON values of each.
const SUMMARIES_A_REQUEST: usize = 500;

/// `WorkloadManagement/JobMonitoring`. Any registered user may ask.
#[derive(Clone)]
pub struct JobMonitoring(Client);

impl JobMonitoring {
    /// A JobMonitoring at the other end of `client`.
    pub fn new(client: Client) -> Self {
        Self(client)
    }

    /// The states of these jobs. A job of which DIRAC says nothing that can be read is left out.
    pub async fn status(&self, jobs: &[u64]) -> Result<BTreeMap<u64, JobStatus>, DisetError> {
        self.read("getJobsStatus", JOBS_A_REQUEST, jobs, status).await
    }

    /// The states of these jobs, and whether they were ever rescheduled (`getJobsSummary`, which gives every column of the table).
    pub async fn told(&self, jobs: &[u64]) -> Result<BTreeMap<u64, Told>, DisetError> {
        self.read("getJobsSummary", SUMMARIES_A_REQUEST, jobs, told).await
    }

    /// What DIRAC says of these jobs, so many in a request. What cannot be read is left out.
    async fn read<T>(
        &self,
        method: &'static str,
        a_request: usize,
        jobs: &[u64],
        of: impl Fn(&Value) -> Option<T>,
    ) -> Result<BTreeMap<u64, T>, DisetError> {
        let each: Vec<u64> = jobs.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let mut all = BTreeMap::new();
        for some in each.chunks(a_request) {
            let value = self.0.call(method, &json!([some])).await?;
            let Value::Object(said) = value else {
                return Err(DisetError::Garbage {
                    url: self.0.url().to_string(),
                    method: method.to_owned(),
                    what: "the jobs are not a JSON object".to_owned(),
                });
            };
            all.extend(said.iter().filter_map(|(job, fields)| Some((job.parse().ok()?, of(fields)?))));
        }
        Ok(all)
    }
}

#[async_trait]
impl JobStates for JobMonitoring {
    async fn states(&self, jobs: &[u64]) -> Result<BTreeMap<u64, JobStatus>, RowsError> {
        self.status(jobs).await.map_err(|e| RowsError { fault: e.fault(), message: e.to_string() })
    }
}

fn status(fields: &Value) -> Option<JobStatus> {
    fields.get("Status")?.as_str().map(JobStatus::of)
}

/// Nothing where the state or the count of reschedulings is not said: who goes by it must know both.
fn told(fields: &Value) -> Option<Told> {
    let times = fields.get("RescheduleCounter")?;
    let times = times.as_u64().or_else(|| times.as_str()?.parse().ok())?;
    let was_rescheduled = times > 0 || fields.get("RescheduleTime").is_some_and(is_said);
    Some(Told { status: status(fields)?, times, was_rescheduled })
}

/// DIRAC writes null, or the word None, where a column is empty.
fn is_said(column: &Value) -> bool {
    !column.is_null() && !matches!(column.as_str(), Some("" | "None"))
}
