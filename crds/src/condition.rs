//! Condition types and reasons, in one place, as the API they are.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::json;

/// `True` when the object is valid, its references resolve, and the operator acts on it.
pub const READY: &str = "Ready";
/// `False` when the object asks for something this version accepts and does not act on; the message names it.
pub const SUPPORTED: &str = "Supported";
/// Whether every object named by this one exists and fits.
pub const RESOLVED: &str = "Resolved";
/// DiracInstallation: whether the task queues were read at the last round.
pub const DEMAND_READ: &str = "DemandRead";
/// DiracInstallation: whether the pilots' rows were read the last time; while no pilot lives, whether they could be.
pub const ROWS_READ: &str = "RowsRead";
/// Cloud: whether the provider answers and accepts the credential.
pub const REACHABLE: &str = "Reachable";
/// Cloud: how long the credential lasts.
pub const CREDENTIAL_VALID: &str = "CredentialValid";
/// VirtualOrganization: whether its groups are its own; the jobs of a group that two claim go to the first by name.
pub const GROUPS_OWNED: &str = "GroupsOwned";
/// PilotPool: whether all demand that fits the pool is served or being served.
pub const DEMAND_MET: &str = "DemandMet";
/// PilotPool: whether the user-data template can be rendered.
pub const USER_DATA_VALID: &str = "UserDataValid";
/// PilotPool: whether VMs can be bought from at least one of its clouds.
pub const CLOUD_USABLE: &str = "CloudUsable";
/// PilotVM: the pilot's row exists in DIRAC.
pub const REGISTERED: &str = "Registered";
/// PilotVM: the cloud has made the VM.
pub const LAUNCHED: &str = "Launched";
/// PilotVM: the pilot has asked the Matcher for work (its row says Running).
pub const RUNNING: &str = "Running";
/// PilotVM: the VM's life has ended, with the reason.
pub const ENDED: &str = "Ended";

/// Puts `condition` into `conditions`: the transition time moves only when the status flips.
///
/// `now` is the caller's clock; `last_transition_time` of the argument is ignored.
pub fn set(conditions: &mut Vec<Condition>, mut condition: Condition, now: jiff::Timestamp) {
    condition.last_transition_time = Time(now);
    match conditions.iter_mut().find(|c| c.type_ == condition.type_) {
        Some(old) => {
            if old.status == condition.status {
                condition.last_transition_time = old.last_transition_time.clone();
            }
            *old = condition;
        }
        None => conditions.push(condition),
    }
}

/// A condition; `status` is `True`, `False` or `Unknown` for `Some(true)`, `Some(false)`, `None`.
pub fn new(
    type_: &str,
    status: Option<bool>,
    reason: &str,
    message: impl Into<String>,
    generation: Option<i64>,
) -> Condition {
    Condition {
        type_: type_.to_owned(),
        status: match status {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        }
        .to_owned(),
        reason: reason.to_owned(),
        message: message.into(),
        observed_generation: generation,
        last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
    }
}

/// The condition of this type, if it is there.
pub fn get<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == type_)
}

/// Whether the condition of this type is `True`.
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    get(conditions, type_).is_some_and(|c| c.status == "True")
}

/// The schema of a status's conditions: a map by type, so that each writer owns its own.
pub fn schema(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = Vec::<Condition>::json_schema(generator);
    schema.insert("x-kubernetes-list-type".to_owned(), json!("map"));
    schema.insert("x-kubernetes-list-map-keys".to_owned(), json!(["type"]));
    schema.insert("maxItems".to_owned(), json!(32));
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> jiff::Timestamp {
        jiff::Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn the_transition_time_moves_only_when_the_status_flips() {
        let mut conditions = vec![];
        set(&mut conditions, new(READY, Some(false), "SiteMissing", "site cppm is missing", Some(1)), at(10));
        set(&mut conditions, new(READY, Some(false), "CloudMissing", "cloud a is missing", Some(2)), at(20));
        assert_eq!(conditions[0].last_transition_time.0, at(10));
        assert_eq!((conditions[0].reason.as_str(), conditions[0].observed_generation), ("CloudMissing", Some(2)));
        set(&mut conditions, new(READY, Some(true), "Ready", "", Some(2)), at(30));
        assert_eq!(conditions[0].last_transition_time.0, at(30));
        assert!(is_true(&conditions, READY));
        assert_eq!(conditions.len(), 1);
    }

    #[test]
    fn what_is_unknown_or_absent_is_not_true() {
        let mut conditions = vec![];
        assert!(!is_true(&conditions, REACHABLE));
        set(&mut conditions, new(REACHABLE, None, "NotAsked", "", None), at(1));
        assert_eq!(conditions[0].status, "Unknown");
        assert!(!is_true(&conditions, REACHABLE));
    }
}
