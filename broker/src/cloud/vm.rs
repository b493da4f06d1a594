//! A VM as the provider tells of it, and which of several to keep.

use std::cmp::Ordering;

use jiff::Timestamp;

use super::{Choice, CloudError, Owner};

/// A VM as the provider tells of it. It carries our tag and cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Vm {
    /// The provider's id.
    pub id: String,
    /// The cluster and the PilotVM that it was made for.
    pub owner: Owner,
    /// The name that it was given when it was made.
    pub name: String,
    /// What it does now, in our words.
    pub state: VmState,
    /// The provider's own word for the state, for people.
    pub provider_status: String,
    /// When the provider made it, by the provider's clock.
    pub created: Timestamp,
    /// What was bought, as far as the provider says so.
    pub bought: Option<Choice>,
    /// Whether the provider has taken it away already: it costs nothing and counts against nothing, and is only still shown. EC2:
    /// `terminated`. Nova shows no such server.
    pub released: bool,
}

/// What a VM does, in words that are the same for all providers.
#[derive(Clone, Debug, PartialEq)]
pub enum VmState {
    /// Being made. Nova: BUILD, REBUILD. EC2: `pending`.
    Building,
    /// Up, for the provider. Whether its pilot works is DIRAC's to say.
    Active,
    /// Does not run, and will not run again.
    Ended(End),
    /// Being taken away; it still costs and counts. Nova: the task `deleting`. EC2: `shutting-down`.
    Deleting,
    /// It exists, or existed when it was last heard of, and the provider cannot say now what it does: neither up nor gone. Nova: the
    /// status UNKNOWN, or a server that a list lacks and that nobody has asked for by id yet.
    Unknown,
}

/// How a VM came to its end.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// By itself. Nova: SHUTOFF. EC2: `stopped`, or `terminated` with the state reason `Client.InstanceInitiatedShutdown`.
    PoweredOff,
    /// The provider took it back. EC2: `Server.SpotInstanceTermination` and `Server.SpotInstanceShutdown`.
    Reclaimed,
    /// It never came up or broke; the error that the provider's fault text amounts to. Nova: ERROR. EC2: `Server.InternalError`,
    /// `Server.InsufficientInstanceCapacity`, `Client.VolumeLimitExceeded`...
    Failed(CloudError),
    /// Somebody deleted it. EC2 shows such a VM for about an hour; of Nova's, whoever is no administrator sees none.
    Deleted,
}

impl Vm {
    /// Whether the provider still holds anything for it that costs or counts against a quota, or may.
    pub fn is_held(&self) -> bool {
        !self.released && !matches!(self.state, VmState::Ended(End::Deleted | End::Reclaimed))
    }
}

/// The order in which VMs of one owner are preferred, the one to keep first: such that work, the oldest first; then such that are
/// unknown; then those that have ended or go. It is the one rule by which twins are chosen, by drivers and callers alike.
pub fn preference(a: &Vm, b: &Vm) -> Ordering {
    let rank = |vm: &Vm| match &vm.state {
        VmState::Building | VmState::Active => 0,
        VmState::Unknown => 1,
        VmState::Ended(End::PoweredOff) => 2,
        VmState::Ended(End::Failed(_)) => 3,
        VmState::Deleting => 4,
        VmState::Ended(End::Reclaimed | End::Deleted) => 5,
    };
    (rank(a), a.created, &a.id).cmp(&(rank(b), b.created, &b.id))
}

/// Of VMs of one owner the one to keep, and its twins.
pub fn keep(mut vms: Vec<Vm>) -> Option<(Vm, Vec<Vm>)> {
    vms.sort_by(preference);
    let mut vms = vms.into_iter();
    Some((vms.next()?, vms.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::Scope;

    fn vm(id: &str, second: i64, state: VmState) -> Vm {
        Vm {
            id: id.to_owned(),
            owner: Owner { cluster: "k".to_owned(), uid: "a".to_owned() },
            name: "n".to_owned(),
            state,
            provider_status: String::new(),
            created: Timestamp::from_second(second).unwrap(),
            bought: None,
            released: false,
        }
    }

    #[test]
    fn of_twins_the_oldest_that_works_is_kept() {
        let failed =
            || VmState::Ended(End::Failed(CloudError::NoCapacity { message: "full".to_owned(), scope: Scope::Offer }));
        let kept = |vms: &[Vm]| keep(vms.to_vec()).map(|(kept, twins)| (kept.id, twins.len()));
        let all = [vm("1", 1, failed()), vm("3", 3, VmState::Building), vm("2", 2, VmState::Active)];
        assert_eq!(kept(&all), Some(("2".to_owned(), 2)));
        assert_eq!(kept(&[vm("2", 2, failed()), vm("1", 1, failed())]), Some(("1".to_owned(), 1)));
        assert_eq!(kept(&[]), None);
    }

    #[test]
    fn what_may_still_work_is_kept_before_what_has_ended() {
        let first = |vms: &[Vm]| keep(vms.to_vec()).map(|(kept, _)| kept.id).unwrap();
        let (off, unknown) = (VmState::Ended(End::PoweredOff), VmState::Unknown);
        assert_eq!(first(&[vm("1", 1, off.clone()), vm("2", 2, unknown.clone())]), "2");
        assert_eq!(first(&[vm("1", 1, unknown), vm("2", 2, VmState::Active)]), "2");
        assert_eq!(first(&[vm("1", 1, VmState::Deleting), vm("2", 2, off)]), "2");
        assert!(!vm("1", 1, VmState::Ended(End::Deleted)).is_held());
        assert!(vm("1", 1, VmState::Deleting).is_held());
    }
}
