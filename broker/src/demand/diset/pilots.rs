//! Pilot rows through DIRAC's PilotManager.

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Client, DisetError,
    value::{self, NO_PILOT},
};
use crate::pilot::rows::{NewPilot, PilotRow, PilotRows, PilotStatus, RowsError};

/// The grid type of our rows: SiteDirectors sweep rows of the types they know, and never ours.
const GRID_TYPE: &str = "K8sCloud";

/// `WorkloadManagement/PilotManager`. Needs the property Operator.
#[derive(Clone)]
pub struct PilotManager(Client);

impl PilotManager {
    /// A PilotManager at the other end of `client`.
    pub fn new(client: Client) -> Self {
        Self(client)
    }

    async fn read(&self, references: &[String]) -> Result<Vec<PilotRow>, DisetError> {
        const METHOD: &str = "getPilotInfo";
        if references.is_empty() {
            return Ok(Vec::new());
        }
        let value = match self.0.call(METHOD, &json!([references])).await {
            // "No pilots found": an error for DIRAC, an empty answer for us.
            Err(DisetError::Service { errno: NO_PILOT, .. }) => return Ok(Vec::new()),
            other => other?,
        };
        let garbage = |what: &str| DisetError::Garbage {
            url: self.0.url().to_string(),
            method: METHOD.to_owned(),
            what: what.to_owned(),
        };
        let rows = value.as_object().ok_or_else(|| garbage("the pilots are no JSON object"))?;
        Ok(rows.iter().map(|(reference, row)| pilot_row(reference, row, Timestamp::now())).collect())
    }

    async fn write(&self, pilot: &NewPilot, status: PilotStatus, reason: &str) -> Result<(), DisetError> {
        let arguments = json!([pilot.reference, status.as_str(), pilot.ce, reason, pilot.site, pilot.queue]);
        self.0.call("setPilotStatus", &arguments).await.map(|_| ())
    }
}

#[async_trait]
impl PilotRows for PilotManager {
    async fn register(&self, pilot: &NewPilot) -> Result<(), RowsError> {
        if self.rows(std::slice::from_ref(&pilot.reference)).await?.is_empty() {
            let stamps = json!({ &pilot.reference: pilot.stamp });
            self.0
                .call("addPilotReferences", &json!([[pilot.reference], pilot.vo, GRID_TYPE, stamps]))
                .await
                .map_err(failed)?;
            // The row is made without site, CE and queue: a second call writes them.
            self.write(pilot, PilotStatus::Submitted, "registered by dirac-operator").await.map_err(failed)?;
        }
        Ok(())
    }

    async fn set_status(&self, pilot: &NewPilot, status: PilotStatus, reason: &str) -> Result<(), RowsError> {
        let row = self.rows(std::slice::from_ref(&pilot.reference)).await?;
        if row.first().is_some_and(|r| !r.status.may_become(status)) {
            return Ok(());
        }
        self.write(pilot, status, reason).await.map_err(failed)
    }

    async fn rows(&self, references: &[String]) -> Result<Vec<PilotRow>, RowsError> {
        self.read(references).await.map_err(failed)
    }
}

fn failed(error: DisetError) -> RowsError {
    RowsError { reason: error.reason(), message: error.to_string() }
}

fn pilot_row(reference: &str, row: &Value, now: Timestamp) -> PilotRow {
    let status = match row.get("Status").and_then(Value::as_str).unwrap_or_default() {
        "Submitted" => PilotStatus::Submitted,
        "Waiting" | "Scheduled" => PilotStatus::Waiting,
        "Running" => PilotStatus::Running,
        "Done" => PilotStatus::Done,
        "Failed" => PilotStatus::Failed,
        "Deleted" => PilotStatus::Deleted,
        "Aborted" => PilotStatus::Aborted,
        _ => PilotStatus::Unknown,
    };
    let jobs = row.get("Jobs").and_then(Value::as_array);
    PilotRow {
        reference: reference.to_owned(),
        status,
        current_job: jobs.into_iter().flatten().filter_map(Value::as_u64).max().unwrap_or(0),
        idle_seconds: row
            .get("LastUpdateTime")
            .and_then(value::date)
            .map(|updated| u64::try_from(now.duration_since(updated).as_secs()).unwrap_or(0)),
    }
}
