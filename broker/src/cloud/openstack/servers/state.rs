//! What Nova's word for a server's state means.

use std::time::Duration;

use super::super::{fault, wire::Server};
use crate::cloud::{CloudError, End, VmState};

/// A server in ERROR may get its fault text a moment later; it is waited for no longer than this.
pub const FAULT_COMES_WITHIN: Duration = Duration::from_secs(15);

/// What a server's status means. `silent_for`: how long it has been known to be in ERROR without saying why.
pub fn state(server: &Server, silent_for: Option<Duration>) -> VmState {
    if matches!(server.task_state.as_deref(), Some("deleting" | "soft-deleting")) {
        return VmState::Deleting;
    }
    match server.status.as_str() {
        "BUILD" | "REBUILD" => VmState::Building,
        "UNKNOWN" => VmState::Unknown,
        "SHUTOFF" | "SHELVED" | "SHELVED_OFFLOADED" => VmState::Ended(End::PoweredOff),
        "ERROR" => match (&server.fault, silent_for) {
            (Some(fault), _) => VmState::Ended(End::Failed(fault::of_server(&fault.message))),
            (None, Some(silent)) if silent >= FAULT_COMES_WITHIN => {
                let text = "the server is in ERROR and says nothing more".to_owned();
                VmState::Ended(End::Failed(CloudError::Transient(text)))
            }
            (None, _) => VmState::Building,
        },
        // Paused, rescued, migrated...: somebody's doing at the provider's, and it may come back.
        _ => VmState::Active,
    }
}
