//! The VMs of a simulated cloud, kept so that a call costs no more where there are many of them: what becomes due stands in the order of
//! its time, an owner's VMs are found by the owner, and what quotas ask for is counted.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
};

use jiff::Timestamp;

use super::machine::Machine;
use crate::cloud::{Owner, Vm};

/// What VMs use of a quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Use {
    pub vms: u64,
    pub cores: u64,
    pub ram_mib: u64,
    pub gpus: u64,
}

#[derive(Default)]
pub struct Fleet {
    /// In boxes: half of the places in the nodes of such a map are empty.
    vms: BTreeMap<String, Box<Machine>>,
    /// Ids by the UID of their owner.
    owned: BTreeMap<String, Vec<String>>,
    /// What the VMs that are held use, by the name of their flavor.
    held: BTreeMap<String, Use>,
    /// When something may happen to which VM. One that is gone, or to which nothing happens then, does no harm.
    due: BinaryHeap<Reverse<(Timestamp, String)>>,
}

impl Fleet {
    pub fn get(&self, id: &str) -> Option<&Machine> {
        self.vms.get(id).map(Box::as_ref)
    }

    pub fn all(&self) -> impl Iterator<Item = &Machine> {
        self.vms.values().map(Box::as_ref)
    }

    pub fn of(&self, owner: &Owner) -> Vec<Vm> {
        let machines = self.owned.get(&owner.uid).into_iter().flatten().filter_map(|id| self.vms.get(id));
        machines.filter(|machine| machine.vm.owner == *owner).map(|machine| machine.vm.clone()).collect()
    }

    /// What all VMs of these flavors use that count against a quota.
    pub fn used(&self, counts: impl Fn(&str) -> bool) -> Use {
        let held = self.held.iter().filter(|(flavor, _)| counts(flavor));
        held.fold(Use::default(), |sum, (_, of_flavor)| sum.with(of_flavor))
    }

    /// How many of this flavor are held.
    pub fn held(&self, flavor: &str) -> u64 {
        self.held.get(flavor).map_or(0, |used| used.vms)
    }

    /// Puts a VM in.
    pub fn insert(&mut self, machine: Machine) {
        count(&mut self.held, &machine, machine.vm.is_held(), false);
        let owned = self.owned.entry(machine.vm.owner.uid.clone()).or_insert_with(|| Vec::with_capacity(1));
        owned.push(machine.vm.id.clone());
        self.vms.insert(machine.vm.id.clone(), Box::new(machine));
    }

    /// Takes a VM out.
    pub fn remove(&mut self, id: &str) -> Option<Machine> {
        let machine = *self.vms.remove(id)?;
        count(&mut self.held, &machine, false, machine.vm.is_held());
        let uid = &machine.vm.owner.uid;
        if let Some(ids) = self.owned.get_mut(uid) {
            ids.retain(|one| one != id);
            if ids.is_empty() {
                self.owned.remove(uid);
            }
        }
        Some(machine)
    }

    /// Changes a VM. There is no other way to, so that the counts are right.
    pub fn change<T>(&mut self, id: &str, change: impl FnOnce(&mut Machine) -> T) -> Option<T> {
        let machine = self.vms.get_mut(id)?;
        let was_held = machine.vm.is_held();
        let outcome = change(machine);
        count(&mut self.held, machine, machine.vm.is_held(), was_held);
        Some(outcome)
    }

    /// Something may happen to this VM at that moment.
    pub fn look_at(&mut self, id: &str, at: Timestamp) {
        self.due.push(Reverse((at, id.to_owned())));
    }

    /// The VMs to which something may happen up to `now`, by id.
    pub fn due(&mut self, now: Timestamp) -> BTreeSet<String> {
        let mut due = BTreeSet::new();
        while let Some(Reverse((at, _))) = self.due.peek()
            && *at <= now
        {
            due.extend(self.due.pop().map(|Reverse((_, id))| id));
        }
        due
    }
}

/// Counts a VM in or out.
fn count(held: &mut BTreeMap<String, Use>, machine: &Machine, is_held: bool, was_held: bool) {
    if is_held == was_held {
        return;
    }
    let flavor = &machine.flavor;
    let one = Use { vms: 1, cores: u64::from(flavor.cores), ram_mib: flavor.ram_mib, gpus: u64::from(flavor.gpus) };
    let used = held.entry(flavor.name.clone()).or_default();
    *used = if is_held { used.with(&one) } else { used.without(&one) };
}

impl Use {
    fn with(&self, other: &Self) -> Self {
        Self {
            vms: self.vms + other.vms,
            cores: self.cores + other.cores,
            ram_mib: self.ram_mib + other.ram_mib,
            gpus: self.gpus + other.gpus,
        }
    }

    fn without(&self, other: &Self) -> Self {
        Self {
            vms: self.vms.saturating_sub(other.vms),
            cores: self.cores.saturating_sub(other.cores),
            ram_mib: self.ram_mib.saturating_sub(other.ram_mib),
            gpus: self.gpus.saturating_sub(other.gpus),
        }
    }
}
