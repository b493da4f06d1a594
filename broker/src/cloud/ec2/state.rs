//! What EC2's words for an instance's state mean.

use aws_sdk_ec2::types::Instance;

use super::fault;
use crate::cloud::{End, VmState};

/// The reason of an instance that stopped by itself.
const HALTED: &str = "Client.InstanceInitiatedShutdown";

/// What an instance does, and how it came to its end.
pub fn state(instance: &Instance) -> VmState {
    let name = instance.state().and_then(|s| s.name()).map(|n| n.as_str()).unwrap_or_default();
    let reason = instance.state_reason();
    let (code, message) = (reason.and_then(|r| r.code()).unwrap_or_default(), reason.and_then(|r| r.message()));
    of(name, code, message.unwrap_or_default())
}

/// Names as in the API reference, `InstanceState`; codes as in `StateReason`.
fn of(name: &str, code: &str, message: &str) -> VmState {
    match name {
        "pending" => VmState::Building,
        "running" | "stopping" => VmState::Active,
        // It costs nothing any more, and why it ends is told already.
        "shutting-down" if is_reclaimed(code) => VmState::Ended(End::Reclaimed),
        "shutting-down" if code == HALTED => VmState::Ended(End::PoweredOff),
        "shutting-down" => VmState::Deleting,
        "stopped" => VmState::Ended(if is_reclaimed(code) { End::Reclaimed } else { End::PoweredOff }),
        "terminated" => VmState::Ended(match code {
            code if is_reclaimed(code) => End::Reclaimed,
            HALTED => End::PoweredOff,
            "Client.UserInitiatedShutdown" | "Server.ScheduledStop" | "" => End::Deleted,
            code => End::Failed(fault::of_reason(code, message)),
        }),
        _ => VmState::Unknown,
    }
}

fn is_reclaimed(code: &str) -> bool {
    matches!(code, "Server.SpotInstanceTermination" | "Server.SpotInstanceShutdown")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::{CloudError, Scope};

    #[test]
    fn an_end_is_told_by_its_reason() {
        let ended = |code| of("terminated", code, "");
        assert_eq!(ended("Client.InstanceInitiatedShutdown"), VmState::Ended(End::PoweredOff));
        assert_eq!(ended("Server.SpotInstanceTermination"), VmState::Ended(End::Reclaimed));
        assert_eq!(ended("Client.UserInitiatedShutdown"), VmState::Ended(End::Deleted));
        assert_eq!(of("stopped", "Server.SpotInstanceShutdown", ""), VmState::Ended(End::Reclaimed));
        assert_eq!(of("stopped", "Client.InstanceInitiatedShutdown", ""), VmState::Ended(End::PoweredOff));
        let full = ended("Server.InsufficientInstanceCapacity");
        assert!(
            matches!(full, VmState::Ended(End::Failed(CloudError::NoCapacity { scope: Scope::Offer, .. }))),
            "{full:?}"
        );
        let disks = ended("Client.VolumeLimitExceeded");
        assert!(
            matches!(disks, VmState::Ended(End::Failed(CloudError::Quota { scope: Scope::Cloud, .. }))),
            "{disks:?}"
        );
        let broken = ended("Server.InternalError");
        assert!(matches!(broken, VmState::Ended(End::Failed(CloudError::Transient(_)))), "{broken:?}");
        let gone = ended("Client.InvalidSnapshot.NotFound");
        assert!(matches!(gone, VmState::Ended(End::Failed(CloudError::Invalid(_)))), "{gone:?}");
    }

    /// A Spot VM that is seen while it goes would else count as taken back, whoever ended it.
    #[test]
    fn who_ends_by_itself_or_is_taken_back_is_so_from_the_beginning() {
        let going = |code| of("shutting-down", code, "");
        assert_eq!(going("Client.InstanceInitiatedShutdown"), VmState::Ended(End::PoweredOff));
        assert_eq!(going("Server.SpotInstanceTermination"), VmState::Ended(End::Reclaimed));
        assert_eq!(going("Client.UserInitiatedShutdown"), VmState::Deleting);
    }

    #[test]
    fn what_is_not_over_is_not_ended() {
        for (name, state) in [
            ("pending", VmState::Building),
            ("running", VmState::Active),
            ("stopping", VmState::Active),
            ("shutting-down", VmState::Deleting),
            ("", VmState::Unknown),
            ("something-new", VmState::Unknown),
        ] {
            assert_eq!(of(name, "", ""), state, "{name}");
        }
    }
}
