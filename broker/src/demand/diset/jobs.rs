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
    rows::RowsError,
};

/// Jobs of one request: the answer has some 40 bytes and four JSON values of each, far below what is read of one.
pub(super) const JOBS_A_REQUEST: usize = 5_000;

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
        const METHOD: &str = "getJobsStatus";
        let each: Vec<u64> = jobs.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let mut all = BTreeMap::new();
        for some in each.chunks(JOBS_A_REQUEST) {
            let value = self.0.call(METHOD, &json!([some])).await?;
            let Value::Object(said) = value else {
                return Err(DisetError::Garbage {
                    url: self.0.url().to_string(),
                    method: METHOD.to_owned(),
                    what: "the jobs are not a JSON object".to_owned(),
                });
            };
            all.extend(said.iter().filter_map(|(job, fields)| Some((job.parse().ok()?, status(fields)?))));
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
