//! Who comes next: the VO that has least for its share, and of its classes the one that has least for its demand.
//!
//! Dominant-resource fairness (Ghodsi et al., NSDI 2011): a VO has as much as the largest part of any resource that it holds. What it held
//! in the last hours counts too, so that who waited comes first. What one leaves, others may have.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{
    class::Class,
    ours::Ours,
    snapshot::{Offering, Resources, Snapshot},
};

const SCALE: u128 = 1_000_000_000;

/// The order in which VOs and classes are served.
pub struct Turns {
    vos: BinaryHeap<Reverse<(u128, usize)>>,
    /// By index of the VO: its classes that still want something; the part that each has, its place and its number.
    classes: Vec<BinaryHeap<Reverse<(u128, usize, usize)>>>,
    /// By number of the class: its place where parts are equal.
    place: Vec<usize>,
    held: Vec<[u128; 3]>,
    total: [u128; 3],
    share: Vec<u128>,
    /// Cores given to each class, by its number.
    given: Vec<u64>,
    wanted: Vec<u64>,
}

fn of(resources: Resources) -> [u128; 3] {
    [resources.cores, resources.ram_mib, resources.gpus].map(u128::from)
}

fn of_vm(offering: &Offering) -> [u128; 3] {
    [offering.cores, offering.ram_mib, offering.gpus].map(u128::from)
}

fn add(to: &mut [u128; 3], more: [u128; 3]) {
    to.iter_mut().zip(more).for_each(|(to, more)| *to += more);
}

impl Turns {
    /// The turns of these classes; `left` says how many jobs of each still need a VM. `order`: their numbers in the order in which they come
    /// where none has more than another.
    pub fn new(snapshot: &Snapshot, ours: &[Ours<'_>], classes: &[Class<'_>], left: &[u64], order: &[usize]) -> Self {
        let mut place = vec![0; classes.len()];
        order.iter().enumerate().for_each(|(i, n)| place[*n] = i);
        let mut held: Vec<[u128; 3]> = snapshot.vos.iter().map(|vo| of(vo.used)).collect();
        let mut given: Vec<u64> = vec![0; classes.len()];
        let mut total = [0; 3];
        held.iter().for_each(|held| add(&mut total, *held));
        for Ours { vm, vo, claims, .. } in ours {
            add(&mut total, of_vm(&vm.offering));
            let Some(vo) = *vo else { continue };
            add(&mut held[vo], of_vm(&vm.offering));
            if let Some(&Some(class)) = claims.first() {
                given[class] = given[class].saturating_add(vm.offering.cores);
            }
        }
        // Where no limit is known, what is on offer says how much one resource is worth against another.
        snapshot.clouds.iter().flat_map(|c| &c.offerings).for_each(|offering| add(&mut total, of_vm(offering)));
        for quota in &snapshot.quotas {
            let left = [quota.left.cores, quota.left.ram_mib, quota.left.gpus];
            add(&mut total, left.map(|n| u128::from(n.unwrap_or(0))));
        }
        let wanted = classes.iter().map(|c| c.jobs.saturating_mul(c.need.cores).max(1)).collect();
        let mut turns = Self {
            vos: BinaryHeap::new(),
            classes: vec![BinaryHeap::new(); snapshot.vos.len()],
            place,
            held,
            total,
            share: snapshot.vos.iter().map(|v| u128::from(v.share.max(1))).collect(),
            given,
            wanted,
        };
        turns.begin(classes, left);
        turns
    }

    /// Begins again with the classes that still want something.
    pub fn begin(&mut self, classes: &[Class<'_>], left: &[u64]) {
        for (n, class) in classes.iter().enumerate().filter(|(n, _)| left[*n] > 0) {
            let part = self.part(n);
            self.classes[class.vo].push(Reverse((part, self.place[n], n)));
        }
        self.vos = (0..self.classes.len())
            .filter(|vo| !self.classes[*vo].is_empty())
            .map(|vo| Reverse((self.score(vo), vo)))
            .collect();
    }

    /// How much the VO has for its share.
    pub fn score(&self, vo: usize) -> u128 {
        let parts = self.held[vo].iter().zip(self.total).filter_map(|(held, total)| (held * SCALE).checked_div(total));
        parts.max().unwrap_or(0) / self.share[vo]
    }

    fn part(&self, class: usize) -> u128 {
        u128::from(self.given[class]) * SCALE / u128::from(self.wanted[class])
    }

    /// The class whose turn it is.
    pub fn next(&mut self) -> Option<usize> {
        loop {
            let Reverse((_, vo)) = self.vos.pop()?;
            if let Some(Reverse((_, _, class))) = self.classes[vo].pop() {
                return Some(class);
            }
        }
    }

    /// Whether nobody else wants anything.
    pub fn is_alone(&self) -> bool {
        self.vos.is_empty() && self.classes.iter().all(BinaryHeap::is_empty)
    }

    pub fn give(&mut self, vo: usize, class: Option<usize>, offering: &Offering, vms: u64) {
        add(&mut self.held[vo], of_vm(offering).map(|n| n * u128::from(vms)));
        if let Some(class) = class {
            self.given[class] = self.given[class].saturating_add(offering.cores.saturating_mul(vms));
        }
    }

    /// The class had its turn; `wants`: it still wants something, and may get it.
    pub fn done(&mut self, vo: usize, class: usize, wants: bool) {
        if wants {
            let part = self.part(class);
            self.classes[vo].push(Reverse((part, self.place[class], class)));
        }
        if !self.classes[vo].is_empty() {
            self.vos.push(Reverse((self.score(vo), vo)));
        }
    }
}
