//! Supply: what VMs that run, boot or will be made have to give. VMs that are alike are taken together.

use std::collections::{BTreeMap, HashMap};

use super::{
    lane::{Lane, Pace},
    life::Free,
    need::Need,
};

/// VMs of one VO that say the same of themselves and have one size.
#[derive(Clone, Debug)]
pub struct Slots {
    /// Index of the pool in the snapshot.
    pub pool: usize,
    /// What they say: see `Index`.
    pub says: usize,
    pub full: Free,
    /// CPU time that they have left.
    pub cpu_time: u64,
    /// The lanes, with how many there are of each.
    lanes: BTreeMap<Lane, u64>,
    /// No lane has more of anything.
    largest: Free,
}

/// How many jobs were given to VMs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// To VMs whose pilot asks for work.
    pub running: u64,
    /// To VMs whose pilot has not asked for work yet.
    pub booting: u64,
}

impl Given {
    pub fn all(self) -> u64 {
        self.running.saturating_add(self.booting)
    }
}

impl Slots {
    pub fn add(&mut self, lane: Lane) {
        if lane.free.cores > 0 {
            *self.lanes.entry(lane).or_default() += 1;
            self.largest = self.largest.or(lane.free);
        }
    }

    fn kind(&self) -> Kind {
        Kind { pool: self.pool, says: self.says, cpu_time: self.cpu_time, size: self.full }
    }

    /// Lanes that nobody uses, of VMs that boot.
    fn unused(&self) -> u64 {
        self.lanes.iter().filter(|(lane, _)| lane.boots && !lane.used).map(|(_, n)| n).sum()
    }

    /// Gives up to `jobs` jobs to the VMs: first to what is smallest.
    fn serve(&mut self, need: &Need, jobs: u64, pace: Pace) -> Given {
        let (mut left, mut given) = (jobs, Given::default());
        let kinds: Vec<Lane> =
            self.lanes.keys().filter(|lane| lane.starts(need, self.full, pace) > 0).copied().collect();
        for lane in kinds {
            if left == 0 {
                break;
            }
            let each = lane.starts(need, self.full, pace);
            let count = self.lanes.remove(&lane).unwrap_or(0);
            let full = count.min(left / each);
            let rest = if full < count { left - full * each } else { 0 };
            let taken = full * each + rest.min(each);
            self.keep(lane.after(need, self.full, pace, each), full);
            if rest > 0 {
                self.keep(lane.after(need, self.full, pace, rest), 1);
            }
            self.keep(vec![lane], count - full - u64::from(rest > 0));
            left -= taken;
            *(if lane.boots { &mut given.booting } else { &mut given.running }) += taken;
        }
        self.largest = self.lanes.keys().fold(Free::default(), |largest, lane| largest.or(lane.free));
        given
    }

    fn keep(&mut self, lanes: Vec<Lane>, count: u64) {
        for lane in lanes.into_iter().filter(|lane| count > 0 && lane.free.cores > 0) {
            *self.lanes.entry(lane).or_default() += count;
        }
    }
}

/// The supply of all VMs that are there, by VO.
#[derive(Clone, Debug)]
pub struct Supply {
    /// By index of the VO: its slots; those with the fewest GPUs, then the smallest, first.
    of: Vec<Vec<Slots>>,
    places: HashMap<(usize, Kind), usize>,
    /// By index of the VO: no lane has more of anything.
    largest: Vec<Free>,
}

/// VMs of one VO and one kind share slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind {
    pub pool: usize,
    /// What their pilots say: see `Index`.
    pub says: usize,
    /// CPU time that they have left.
    pub cpu_time: u64,
    /// The whole VM.
    pub size: Free,
}

impl Supply {
    /// No VM yet.
    pub fn new(vos: usize) -> Self {
        Self { of: vec![Vec::new(); vos], places: HashMap::new(), largest: vec![Free::default(); vos] }
    }

    /// Gives up to `jobs` jobs of a VO to VMs that `fit` them: how many, by index of the pool.
    pub fn serve(
        &mut self,
        vo: usize,
        need: &Need,
        jobs: u64,
        pace: Pace,
        fit: impl Fn(&Slots) -> bool,
    ) -> Vec<(usize, Given)> {
        let (mut left, mut served) = (jobs, Vec::new());
        if !need.may_fit(self.largest[vo]) {
            return served;
        }
        let mut largest = Free::default();
        for slots in &mut self.of[vo] {
            if left == 0 {
                break;
            }
            if need.may_fit(slots.largest) && fit(slots) {
                let given = slots.serve(need, left, pace);
                left -= given.all();
                served.push((slots.pool, given));
            }
            largest = largest.or(slots.largest);
        }
        // What is used up is not looked at again, and neither is all where nothing is large enough.
        if left > 0 {
            self.largest[vo] = largest;
        }
        if !served.is_empty() {
            self.of[vo].retain(|slots| slots.largest.cores > 0);
        }
        served
    }

    /// Puts plain VMs before those with GPUs and small before large, so that what many can use is not spent on what few need.
    pub fn sort(&mut self) {
        for (slots, largest) in self.of.iter_mut().zip(&mut self.largest) {
            *largest = slots.iter().fold(Free::default(), |largest, slots| largest.or(slots.largest));
            slots.sort_by_key(|s| {
                (s.full.gpus, s.full.cores, s.full.ram_mib, s.full.gpu_cores, s.pool, s.says, s.cpu_time)
            });
        }
        self.places.clear();
    }

    /// By VO and kind: lanes that nobody uses, of VMs that boot.
    pub fn unused(&self) -> HashMap<(usize, Kind), u64> {
        let all = self.of.iter().enumerate().flat_map(|(vo, slots)| slots.iter().map(move |slots| (vo, slots)));
        all.map(|(vo, slots)| ((vo, slots.kind()), slots.unused())).filter(|(_, count)| *count > 0).collect()
    }

    /// What the pilots of a VO's VMs say that have something to give: see `Index`.
    pub fn says(&self, vo: usize) -> impl Iterator<Item = usize> {
        self.of[vo].iter().map(|slots| slots.says)
    }

    /// The slots of this VO and kind; made at the first call. Only before [`Self::sort`].
    pub fn slots(&mut self, vo: usize, kind: Kind) -> &mut Slots {
        let all = &mut self.of[vo];
        let place = *self.places.entry((vo, kind)).or_insert_with(|| {
            let Kind { pool, says, cpu_time, size: full } = kind;
            all.push(Slots { pool, says, full, cpu_time, lanes: BTreeMap::new(), largest: Free::default() });
            all.len() - 1
        });
        &mut all[place]
    }
}

#[cfg(test)]
#[path = "supply_tests.rs"]
mod tests;
