//! Pilot rows through DIRAC's PilotManager.

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    Client, DisetError,
    value::{self, NO_PILOT},
};
use crate::pilot::rows::{NewPilot, PilotRow, PilotRows, PilotStatus, RowsError};

/// The grid type of our rows: SiteDirectors sweep rows of the types they know, and never ours.
const GRID_TYPE: &str = "K8sCloud";
/// Rows that are read in one request: their answer stays far below what is read of one.
const ROWS_A_REQUEST: usize = 1_000;
/// Characters that the table has room for (`WorkloadManagementSystem/DB/PilotAgentsDB.sql`): what is longer is refused whole.
const LONGEST_REASON: usize = 255;
const LONGEST_NAME: usize = 128;

/// `WorkloadManagement/PilotManager`. Needs the property Operator.
#[derive(Clone)]
pub struct PilotManager(Client);

impl PilotManager {
    /// A PilotManager at the other end of `client`.
    pub fn new(client: Client) -> Self {
        Self(client)
    }

    /// The rows as DIRAC writes them, by reference.
    async fn read(&self, references: &[String]) -> Result<Map<String, Value>, DisetError> {
        const METHOD: &str = "getPilotInfo";
        if references.is_empty() {
            return Ok(Map::new());
        }
        let value = match self.0.call(METHOD, &json!([references])).await {
            // "No pilots found": an error for DIRAC, an empty answer for us.
            Err(DisetError::Service { errno: NO_PILOT, .. }) => return Ok(Map::new()),
            other => other?,
        };
        match value {
            Value::Object(rows) => Ok(rows),
            _ => Err(DisetError::Garbage {
                url: self.0.url().to_string(),
                method: METHOD.to_owned(),
                what: "the pilots are no JSON object".to_owned(),
            }),
        }
    }

    async fn write(&self, pilot: &NewPilot, status: PilotStatus, reason: &str) -> Result<(), DisetError> {
        let arguments = json!([
            pilot.reference,
            status.as_str(),
            column(&pilot.ce, LONGEST_NAME),
            column(reason, LONGEST_REASON),
            column(&pilot.site, LONGEST_NAME),
            column(&pilot.queue, LONGEST_NAME)
        ]);
        self.0.call("setPilotStatus", &arguments).await.map(|_| ())
    }
}

#[async_trait]
impl PilotRows for PilotManager {
    async fn register(&self, pilot: &NewPilot) -> Result<(), RowsError> {
        let found = self.read(std::slice::from_ref(&pilot.reference)).await.map_err(failed)?;
        let status = match found.get(&pilot.reference) {
            None => {
                let stamps = json!({ &pilot.reference: pilot.stamp });
                let arguments = json!([[pilot.reference], pilot.vo, GRID_TYPE, stamps]);
                self.0.call("addPilotReferences", &arguments).await.map_err(failed)?;
                PilotStatus::Submitted
            }
            Some(row) if is_of(row, pilot) || status(row).is_final() => return Ok(()),
            Some(row) => status(row),
        };
        // The row is made without site, CE and queue, and a second call writes them. Who died between the two left a row
        // without: no VM was made for it yet, so nobody else writes its status meanwhile.
        self.write(pilot, status, "registered by dirac-operator").await.map_err(failed)
    }

    async fn set_status(&self, pilot: &NewPilot, status: PilotStatus, reason: &str) -> Result<(), RowsError> {
        let row = self.rows(std::slice::from_ref(&pilot.reference)).await?;
        if row.first().is_some_and(|r| !r.status.may_become(status)) {
            return Ok(());
        }
        self.write(pilot, status, reason).await.map_err(failed)
    }

    async fn rows(&self, references: &[String]) -> Result<Vec<PilotRow>, RowsError> {
        let mut all = Vec::with_capacity(references.len());
        for some in references.chunks(ROWS_A_REQUEST) {
            let (rows, now) = (self.read(some).await.map_err(failed)?, Timestamp::now());
            all.extend(rows.iter().map(|(reference, row)| pilot_row(reference, row, now)));
        }
        Ok(all)
    }
}

fn failed(error: DisetError) -> RowsError {
    RowsError { reason: error.reason(), message: error.to_string() }
}

/// Whether the row has the pilot's site, CE and queue.
fn is_of(row: &Value, pilot: &NewPilot) -> bool {
    [("GridSite", &pilot.site), ("DestinationSite", &pilot.ce), ("Queue", &pilot.queue)]
        .iter()
        .all(|(field, wanted)| row.get(field).and_then(Value::as_str) == Some(column(wanted, LONGEST_NAME).as_str()))
}

/// What a column of the table takes: so many characters, and only such as every character set has.
fn column(text: &str, longest: usize) -> String {
    text.chars().map(|c| if c == '\n' || (' '..='~').contains(&c) { c } else { '?' }).take(longest).collect()
}

fn status(row: &Value) -> PilotStatus {
    match row.get("Status").and_then(Value::as_str).unwrap_or_default() {
        "Submitted" => PilotStatus::Submitted,
        "Waiting" | "Scheduled" => PilotStatus::Waiting,
        "Running" => PilotStatus::Running,
        "Done" => PilotStatus::Done,
        "Failed" => PilotStatus::Failed,
        "Deleted" => PilotStatus::Deleted,
        "Aborted" => PilotStatus::Aborted,
        _ => PilotStatus::Unknown,
    }
}

fn pilot_row(reference: &str, row: &Value, now: Timestamp) -> PilotRow {
    let jobs: Option<Vec<u64>> =
        row.get("Jobs").and_then(Value::as_array).map(|all| all.iter().filter_map(Value::as_u64).collect());
    let updated = row.get("LastUpdateTime").and_then(value::date);
    PilotRow {
        reference: reference.to_owned(),
        status: status(row),
        current_job: jobs.iter().flatten().max().copied().unwrap_or(0),
        idle_seconds: updated.map(|at| u64::try_from(now.duration_since(at).as_secs()).unwrap_or(0)),
        updated,
        jobs,
        running: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_to_what_the_column_takes() {
        let long = format!("no host → {}", "x".repeat(2_000));
        let text = column(&long, LONGEST_REASON);
        assert_eq!(text.chars().count(), LONGEST_REASON);
        assert!(text.starts_with("no host ? xxx") && text.is_ascii(), "{text}");
        assert_eq!(column("m1.large", LONGEST_NAME), "m1.large");
    }

    #[test]
    fn what_a_row_does_not_say_is_unknown_and_not_zero() {
        let now: Timestamp = "2026-11-23T03:00:00Z".parse().unwrap();
        let bare = pilot_row("cloud://a", &json!({"Status": "Running"}), now);
        assert_eq!((bare.updated, bare.idle_seconds, bare.jobs), (None, None, None));
        let row = json!({"Status": "Running", "Jobs": [7, 12], "LastUpdateTime": {"__dCls": "dt", "obj": "2026-11-23 02:59:00"}});
        let full = pilot_row("cloud://a", &row, now);
        assert_eq!((full.idle_seconds, full.jobs, full.current_job), (Some(60), Some(vec![7, 12]), 12));
        assert_eq!(full.updated.unwrap().to_string(), "2026-11-23T02:59:00Z");
        let idle = pilot_row("cloud://a", &json!({"Status": "Running", "Jobs": []}), now);
        assert_eq!(idle.jobs, Some(vec![]));
    }
}
