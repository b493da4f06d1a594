//! A pilot's row as `getPilotInfo` of DIRAC's PilotManager gives it.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::value;
use crate::pilot::rows::{PilotRow, PilotStatus};

/// The state that a row says.
pub fn status(row: &Value) -> PilotStatus {
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

/// The rows of one answer. DIRAC leaves `Jobs` out of the row of a pilot that got no job, and out of all rows where it could not read
/// which jobs pilots got (`PilotAgentsDB.getPilotInfo`): that it stands in one row proves that it was read.
pub fn pilot_rows(rows: &Map<String, Value>, now: Timestamp) -> Vec<PilotRow> {
    let mut all: Vec<_> = rows.iter().map(|(reference, row)| pilot_row(reference, row, now)).collect();
    if all.iter().any(|row| row.jobs.is_some()) {
        for row in &mut all {
            row.jobs.get_or_insert_default();
        }
    }
    all
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
        power: row.get("BenchMark").and_then(Value::as_f64).and_then(hundredths),
    }
}

/// DIRAC writes 0 where the pilot reported no power.
fn hundredths(power: f64) -> Option<u64> {
    (power.is_finite() && power > 0.0).then(|| (power * 100.0).round() as u64).filter(|power| *power > 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_without_jobs_means_none_where_another_row_of_the_answer_has_some_and_is_unknown_elsewhere() {
        let (busy, bare) = (json!({"Status": "Running", "Jobs": [7]}), json!({"Status": "Waiting"}));
        let jobs = |rows: Value| -> Vec<_> {
            let rows = pilot_rows(rows.as_object().unwrap(), Timestamp::UNIX_EPOCH);
            rows.into_iter().map(|row| row.jobs).collect()
        };
        assert_eq!(jobs(json!({"a": busy, "b": bare})), [Some(vec![7]), Some(vec![])]);
        assert_eq!(jobs(json!({"a": bare, "b": bare})), [None, None]);
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
        let power = |said: Value| pilot_row("cloud://a", &json!({"Status": "Running", "BenchMark": said}), now).power;
        assert_eq!(
            (power(json!(17.25)), power(json!(0.0)), power(json!(-1)), bare.power),
            (Some(1_725), None, None, None)
        );
    }
}
