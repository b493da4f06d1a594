//! What a DiracInstallation object says: waiting jobs, unclaimed groups, and what is wrong.

use std::collections::BTreeMap;

use crds::{
    DiracInstallation, condition,
    installation::{DiracInstallationStatus, UnclaimedGroup},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::{amounts::whole, conditions::Conditions, context::State, known::installation::Facts, names::Key};

/// The status of this installation now.
pub fn status(state: &State, installation: &DiracInstallation, now: Timestamp) -> DiracInstallationStatus {
    let key = Key::of(installation);
    let facts = state.installations.get(&key).facts();
    let old = installation.status.as_ref();
    let mut conditions = Conditions::of(old.map(|s| &s.conditions), installation.metadata.generation, now);
    let mut not = Vec::new();
    if installation.spec.managed.is_some() {
        not.push("spec.managed");
    }
    if installation.spec.external.as_ref().is_some_and(|e| e.diracx.is_some()) {
        not.push("spec.external.diracx");
    }
    conditions.supported(&not);
    match (&facts.not_reached, &facts.demand_unknown, &facts.round) {
        (Some(t), _, _) | (None, Some(t), _) => {
            let text = format!("{}; demand is unknown, so nothing is scaled and what runs goes on", t.message);
            conditions.set(condition::DEMAND_READ, Some(false), &t.reason, &text);
        }
        (None, None, Some(_)) => {
            conditions.set(condition::DEMAND_READ, Some(true), "Read", "the task queues were read")
        }
        (None, None, None) => {
            conditions.set(condition::DEMAND_READ, None, "NotRead", "the task queues have not been read yet")
        }
    }
    let (holds, reason, text) = rows_read(&facts);
    conditions.set(condition::ROWS_READ, holds, reason, &text);
    conditions.ready(&[condition::DEMAND_READ, condition::ROWS_READ], "demand is read and pilots can be registered");
    let round = facts.round.as_deref();
    DiracInstallationStatus {
        observed_generation: installation.metadata.generation,
        conditions: conditions.finish(),
        waiting_jobs: round.map_or(0, |r| whole(r.jobs)),
        task_queues: round.map_or(0, |r| whole(r.queues)),
        // To the minute: a status that changes with every poll would be a write with every poll.
        last_demand_time: round.map(|r| Time(to_the_minute(r.at))),
        unclaimed: round
            .iter()
            .flat_map(|r| most(&r.plan.unclaimed))
            .map(|(group, jobs)| UnclaimedGroup { group: group.clone(), jobs: whole(jobs) })
            .collect(),
        vms: whole(state.stores.vms_of_installation(&key).len()),
        ..DiracInstallationStatus::default()
    }
}

/// The groups with most waiting jobs: as many as the status has room for.
fn most(unclaimed: &BTreeMap<String, u64>) -> Vec<(&String, u64)> {
    const LISTED: usize = 100;
    let mut all: Vec<_> = unclaimed.iter().map(|(group, jobs)| (group, *jobs)).collect();
    all.sort_by_key(|(_, jobs)| std::cmp::Reverse(*jobs));
    all.truncate(LISTED);
    all
}

/// What the last reading of the rows says.
fn rows_read(facts: &Facts) -> (Option<bool>, &str, String) {
    match (&facts.rows_unknown, &facts.read) {
        (Some(t), _) => {
            let text = format!(
                "{}; pilots cannot be registered or followed, so nothing is scaled and VMs that run go on",
                t.message
            );
            (Some(false), t.reason.as_str(), text)
        }
        (None, Some(_)) => (Some(true), "Read", "the pilots' rows were read".to_owned()),
        (None, None) => (None, "NotRead", "the pilots' rows have not been read yet".to_owned()),
    }
}

fn to_the_minute(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second() / 60 * 60).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{known::installation::Rows, trouble::Trouble};

    #[test]
    fn rows_that_could_not_be_read_are_said() {
        let mut facts = Facts::default();
        assert_eq!(rows_read(&facts).1, "NotRead");
        facts.read = Some(Arc::new(Rows::default()));
        assert_eq!(rows_read(&facts).0, Some(true));
        facts.rows_unknown = Some(Trouble { reason: "Unreachable".into(), message: "no answer".into() });
        let (holds, reason, text) = rows_read(&facts);
        assert!(holds == Some(false) && reason == "Unreachable" && text.starts_with("no answer; "), "{text}");
    }
}
