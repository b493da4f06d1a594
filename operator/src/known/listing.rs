//! One list of a cloud's VMs, and what may be concluded from it about one of them.
//!
//! That a list has a VM proves that it is there. That lists lack it proves nothing, however many do: Nova leaves out, with the
//! status 200, the servers of a cell whose database does not answer, and EC2's lists are late. A VM that is missing counts as alive
//! until the provider says of its id that there is no such thing.

use std::{collections::HashMap, time::Duration};

use broker::cloud::{End, Vm, VmState, preference};
use jiff::{SignedDuration, Timestamp};

/// What the provider listed, by the UID of the PilotVM.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// When the list was asked for: what happened later need not be in it.
    pub started: Timestamp,
    /// The VMs; more than one of a UID are twins, the one to keep first.
    pub vms: HashMap<String, Vec<Vm>>,
    /// How late the provider's lists may be.
    settle: Duration,
}

/// What a list says of one PilotVM's VM.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Machine<'a> {
    /// No list is young enough to know.
    Unknown,
    /// The list lacks it, and should have it if it is there. That proves nothing: only the provider's answer about its id does.
    Missing,
    /// It is there; of twins the oldest that works, which is the one that the drivers adopt.
    Present(&'a Vm),
}

impl Listing {
    /// A list of `vms` that was asked for at `started`, of a provider whose lists are late by up to `settle`.
    pub fn new(started: Timestamp, vms: Vec<Vm>, settle: Duration) -> Self {
        let mut by_uid: HashMap<String, Vec<Vm>> = HashMap::with_capacity(vms.len());
        for vm in vms {
            match by_uid.get_mut(&vm.owner.uid) {
                Some(twins) => twins.push(vm),
                // Room for one: most have no twin, and a vector that grows by itself begins with room for four.
                None => drop(by_uid.insert(vm.owner.uid.clone(), vec![vm])),
            }
        }
        for twins in by_uid.values_mut().filter(|twins| twins.len() > 1) {
            twins.sort_by(preference);
        }
        Self { started, vms: by_uid, settle }
    }

    /// What is known of the VM of `uid`, of which something happened (made, deleted) at `touched`.
    pub fn machine(&self, uid: &str, touched: Timestamp) -> Machine<'_> {
        let settled = SignedDuration::try_from(self.settle).ok().and_then(|s| touched.checked_add(s).ok());
        match self.vms.get(uid).and_then(|twins| twins.first()) {
            Some(vm) => Machine::Present(vm),
            None if settled.is_none_or(|settled| self.started <= settled) => Machine::Unknown,
            None => Machine::Missing,
        }
    }

    /// UIDs of the PilotVMs whose VMs are there and work no more: they have stopped or failed, or are being deleted.
    pub fn stopped(&self) -> impl Iterator<Item = &str> {
        let works_no_more = |vm: &Vm| matches!(vm.state, VmState::Ended(_) | VmState::Deleting);
        self.vms.iter().filter(move |(_, twins)| twins.first().is_some_and(works_no_more)).map(|(uid, _)| uid.as_str())
    }

    /// UIDs of the PilotVMs whose VMs are up, whether their pilots work or not.
    pub fn up(&self) -> impl Iterator<Item = &str> {
        let is_up = |vm: &Vm| vm.state == VmState::Active;
        self.vms.iter().filter(move |(_, twins)| twins.first().is_some_and(is_up)).map(|(uid, _)| uid.as_str())
    }

    /// Whether a VM that was made, and that nobody of ours took away, is not in the list as one that is there: it is missing, its state
    /// is unknown, or the provider says that somebody deleted it.
    pub fn lacks(&self, uid: &str, touched: Timestamp) -> bool {
        match self.machine(uid, touched) {
            Machine::Unknown => false,
            Machine::Missing => true,
            Machine::Present(vm) => matches!(vm.state, VmState::Unknown | VmState::Ended(End::Deleted)),
        }
    }
}

#[cfg(test)]
mod tests {
    use broker::cloud::{CloudError, Owner, Scope};

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
    }
    fn vm(id: &str, uid: &str) -> Vm {
        Vm {
            id: id.into(),
            owner: Owner { cluster: "c".into(), uid: uid.into() },
            name: String::new(),
            state: VmState::Active,
            provider_status: String::new(),
            created: at(0),
            bought: None,
            released: false,
        }
    }
    fn list(started: i64, vms: Vec<Vm>) -> Listing {
        Listing::new(at(started), vms, Duration::ZERO)
    }

    #[test]
    fn a_list_older_than_the_launch_knows_nothing() {
        assert_eq!(list(5, vec![]).machine("a", at(6)), Machine::Unknown);
        assert!(!list(5, vec![]).lacks("a", at(6)));
    }

    #[test]
    fn however_many_lists_lack_a_vm_it_is_only_missing() {
        let (one, two, three) = (list(5, vec![vm("1", "a")]), list(10, vec![]), list(15, vec![]));
        assert!(matches!(one.machine("a", at(1)), Machine::Present(_)));
        assert_eq!(two.machine("a", at(1)), Machine::Missing);
        assert_eq!(three.machine("a", at(1)), Machine::Missing);
    }

    #[test]
    fn a_list_that_may_be_late_knows_nothing_of_what_has_just_been_made() {
        let late = Listing::new(at(100), vec![], Duration::from_secs(60));
        assert_eq!(late.machine("a", at(41)), Machine::Unknown);
        assert_eq!(late.machine("a", at(39)), Machine::Missing);
    }

    #[test]
    fn a_vm_works_no_more_only_where_the_provider_says_so() {
        let stops = |state: VmState| list(5, vec![Vm { state, ..vm("1", "a") }]).stopped().count() == 1;
        assert!(
            stops(VmState::Ended(End::PoweredOff)) && stops(VmState::Ended(End::Deleted)) && stops(VmState::Deleting)
        );
        assert!(!stops(VmState::Active) && !stops(VmState::Building) && !stops(VmState::Unknown));
        assert_eq!(list(5, vec![]).stopped().count(), 0, "a list that lacks it says nothing");
    }

    #[test]
    fn a_vm_that_is_unknown_to_its_provider_or_deleted_by_somebody_is_lacking_and_one_that_stopped_is_not() {
        let lacks = |state: VmState| list(5, vec![Vm { state, ..vm("1", "a") }]).lacks("a", at(1));
        assert!(lacks(VmState::Unknown) && lacks(VmState::Ended(End::Deleted)));
        assert!(!lacks(VmState::Active) && !lacks(VmState::Ended(End::PoweredOff)) && !lacks(VmState::Deleting));
        assert!(list(5, vec![]).lacks("a", at(1)));
    }

    #[test]
    fn the_older_twin_is_the_one() {
        let mut late = vm("0", "a");
        late.created = at(9);
        let list = list(10, vec![late, vm("1", "a")]);
        assert!(matches!(list.machine("a", at(1)), Machine::Present(v) if v.id == "1"));
    }

    #[test]
    fn a_younger_twin_that_works_is_kept_before_an_older_that_does_not() {
        let mut old = vm("1", "a");
        let full = CloudError::NoCapacity { message: "no valid host".into(), scope: Scope::Offer };
        old.state = VmState::Ended(End::Failed(full));
        let mut young = vm("2", "a");
        young.created = at(9);
        let list = list(10, vec![old, young]);
        assert!(matches!(list.machine("a", at(1)), Machine::Present(v) if v.id == "2"));
    }

    #[test]
    fn a_vm_without_a_twin_takes_no_room_for_others() {
        let list = list(10, (0..100).map(|n| vm("1", &n.to_string())).collect());
        assert!(list.vms.values().all(|vms| vms.capacity() == 1));
    }
}
