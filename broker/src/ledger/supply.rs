//! Supply: the free cores of VMs that run or boot, alike VMs taken together.

use crate::plan::Offering;

/// Alike VMs: of one pool and VO, and of one shape.
#[derive(Clone, Debug)]
pub struct Slots {
    /// Index of the pool in the snapshot.
    pub pool: usize,
    /// Index of the VO in the snapshot.
    pub vo: usize,
    /// What was bought.
    pub offering: Offering,
    /// Free cores of each VM, those with none left out.
    free: Vec<u64>,
}

impl Slots {
    /// No VM yet.
    pub fn new(pool: usize, vo: usize, offering: Offering) -> Self {
        Self { pool, vo, offering, free: Vec::new() }
    }

    /// Adds a VM with this many free cores.
    pub fn add(&mut self, free_cores: u64) {
        if free_cores > 0 {
            self.free.push(free_cores.min(self.offering.cores));
        }
    }

    /// Gives up to `jobs` jobs of `cores` cores each (`None`: a whole VM) to the VMs; how many found room.
    pub fn serve(&mut self, jobs: u64, cores: Option<u64>) -> u64 {
        let mut left = jobs;
        for free in &mut self.free {
            if left == 0 {
                break;
            }
            let (room, each) = match cores {
                Some(each) => (*free / each, each),
                None => (u64::from(*free == self.offering.cores), self.offering.cores),
            };
            let taken = room.min(left);
            left -= taken;
            *free -= taken * each;
        }
        self.free.retain(|free| *free > 0);
        jobs - left
    }

    /// Jobs of `cores` cores that a new VM of this offering holds.
    pub fn capacity(offering: &Offering, cores: Option<u64>) -> u64 {
        cores.map_or(1, |each| offering.cores / each)
    }
}

/// All supply.
#[derive(Clone, Debug, Default)]
pub struct Supply {
    /// Groups of alike VMs, in the order they were first seen.
    pub groups: Vec<Slots>,
}

impl Supply {
    /// The index of the group of this pool, VO and shape; made when it is not there.
    pub fn group(&mut self, pool: usize, vo: usize, offering: &Offering) -> usize {
        let alike = |s: &Slots| s.pool == pool && s.vo == vo && s.offering == *offering;
        self.groups.iter().position(alike).unwrap_or_else(|| {
            self.groups.push(Slots::new(pool, vo, offering.clone()));
            self.groups.len() - 1
        })
    }
}
