//! Condition types and reasons, in one place, as the API they are.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// `True` when the object is valid, its references resolve, and the operator acts on it.
pub const READY: &str = "Ready";
/// `False` when the object asks for something this version accepts and does not act on; the message names it.
pub const SUPPORTED: &str = "Supported";
/// Whether every object named by this one exists and fits.
pub const RESOLVED: &str = "Resolved";
/// DiracInstallation: whether the task queues were read at the last round.
pub const DEMAND_READ: &str = "DemandRead";
/// Cloud: whether the provider answers and accepts the credential.
pub const REACHABLE: &str = "Reachable";
/// Cloud: how long the credential lasts.
pub const CREDENTIAL_VALID: &str = "CredentialValid";
/// PilotPool: whether all demand that fits the pool is served or being served.
pub const DEMAND_MET: &str = "DemandMet";
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
