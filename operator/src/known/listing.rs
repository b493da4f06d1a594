//! One list of a cloud's VMs, and what may be concluded from it about one of them.

use std::collections::{HashMap, HashSet};

use broker::cloud::{Vm, preference};
use jiff::Timestamp;

/// What the provider listed, by the UID of the PilotVM.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// When the list was asked for: what happened later need not be in it.
    pub started: Timestamp,
    /// The VMs; more than one of a UID are twins, the one to keep first.
    pub vms: HashMap<String, Vec<Vm>>,
    before: Option<Before>,
}

/// The list before this one.
#[derive(Clone, Debug)]
struct Before {
    started: Timestamp,
    uids: HashSet<String>,
}

/// What the lists say of one PilotVM's VM.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Machine<'a> {
    /// No list is young enough to know.
    Unknown,
    /// It is not there. Only one list says so: providers' lists can lag.
    Missing,
    /// It is not there, and a list before said so too.
    Absent,
    /// It is there; of twins the oldest that works, which is the one that the drivers adopt.
    Present(&'a Vm),
}

impl Listing {
    /// A list of `vms` that was asked for at `started`, after `previous`.
    pub fn new(started: Timestamp, vms: Vec<Vm>, previous: Option<&Self>) -> Self {
        let mut by_uid: HashMap<String, Vec<Vm>> = HashMap::with_capacity(vms.len());
        for vm in vms {
            by_uid.entry(vm.owner.uid.clone()).or_default().push(vm);
        }
        for twins in by_uid.values_mut() {
            twins.sort_by(preference);
        }
        let before = previous.map(|p| Before { started: p.started, uids: p.vms.keys().cloned().collect() });
        Self { started, vms: by_uid, before }
    }

    /// What is known of the VM of `uid`, of which something happened (made, deleted) at `touched`.
    pub fn machine(&self, uid: &str, touched: Timestamp) -> Machine<'_> {
        match self.vms.get(uid).and_then(|twins| twins.first()) {
            Some(vm) => Machine::Present(vm),
            None if self.started <= touched => Machine::Unknown,
            // Two lists in a row, both asked for since: also for a VM that went while nobody watched.
            None => match &self.before {
                Some(before) if before.started > touched && !before.uids.contains(uid) => Machine::Absent,
                Some(_) | None => Machine::Missing,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use broker::cloud::{CloudError, End, Owner, Scope, VmState};
    use jiff::SignedDuration;

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
        }
    }

    #[test]
    fn a_list_older_than_the_launch_knows_nothing() {
        let list = Listing::new(at(5), vec![], None);
        assert_eq!(list.machine("a", at(6)), Machine::Unknown);
    }

    #[test]
    fn a_vm_is_absent_only_when_two_lists_miss_it() {
        let one = Listing::new(at(5), vec![vm("1", "a")], None);
        let two = Listing::new(at(10), vec![], Some(&one));
        let three = Listing::new(at(15), vec![], Some(&two));
        assert!(matches!(one.machine("a", at(1)), Machine::Present(_)));
        assert_eq!(two.machine("a", at(1)), Machine::Missing);
        assert_eq!(three.machine("a", at(1)), Machine::Absent);
    }

    #[test]
    fn a_vm_that_no_list_ever_had_is_absent_once_two_lists_since_its_launch_miss_it() {
        let one = Listing::new(at(5), vec![], None);
        let two = Listing::new(at(10), vec![], Some(&one));
        assert_eq!(one.machine("a", at(1)), Machine::Missing);
        assert_eq!(two.machine("a", at(1)), Machine::Absent);
        assert_eq!(two.machine("a", at(6)), Machine::Missing, "the list before was asked for before the launch");
    }

    #[test]
    fn the_older_twin_is_the_one() {
        let mut late = vm("0", "a");
        late.created = at(9);
        let list = Listing::new(at(10), vec![late, vm("1", "a")], None);
        assert!(matches!(list.machine("a", at(1)), Machine::Present(v) if v.id == "1"));
    }

    #[test]
    fn a_younger_twin_that_works_is_kept_before_an_older_that_does_not() {
        let mut old = vm("1", "a");
        let full = CloudError::NoCapacity { message: "no valid host".into(), scope: Scope::Offer };
        old.state = VmState::Ended(End::Failed(full));
        let mut young = vm("2", "a");
        young.created = at(9);
        let list = Listing::new(at(10), vec![old, young], None);
        assert!(matches!(list.machine("a", at(1)), Machine::Present(v) if v.id == "2"));
    }
}
