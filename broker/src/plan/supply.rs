//! Supply: the free cores of VMs that run or boot. VMs that are alike are taken together.

use std::collections::HashMap;

use super::Offering;

/// VMs that are alike: of one pool, one VO and one shape.
#[derive(Clone, Debug)]
pub struct Slots {
    /// Index of the pool in the snapshot.
    pub pool: usize,
    /// The number of their shape: see `Fit::shape`.
    pub shape: usize,
    /// Cores of each VM.
    cores: u64,
    /// Free cores of each VM that has any.
    free: Vec<u64>,
}

impl Slots {
    /// Adds a VM with this many free cores.
    pub fn add(&mut self, free_cores: u64) {
        if free_cores > 0 {
            self.free.push(free_cores.min(self.cores));
        }
    }

    /// Whether any VM has a free core.
    pub fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// Gives up to `jobs` jobs of `cores` cores each (`None`: a whole VM) to the VMs. Returns how many found room.
    pub fn serve(&mut self, jobs: u64, cores: Option<u64>) -> u64 {
        let mut left = jobs;
        for free in &mut self.free {
            if left == 0 {
                break;
            }
            let (room, each) = match cores {
                Some(each) => (*free / each, each),
                None => (u64::from(*free == self.cores), self.cores),
            };
            let taken = room.min(left);
            left -= taken;
            *free -= taken * each;
        }
        self.free.retain(|free| *free > 0);
        jobs - left
    }

    /// How many jobs of `cores` cores (`None`: a whole VM) a new VM of this offering can run at once.
    pub fn capacity(offering: &Offering, cores: Option<u64>) -> u64 {
        cores.map_or(1, |each| offering.cores / each)
    }
}

/// All supply.
#[derive(Clone, Debug)]
pub struct Supply {
    /// By index of the VO: its slots, in the order in which they were first seen.
    of: Vec<Vec<Slots>>,
    /// By index of pool, index of VO and number of the shape: the place among the slots of the VO.
    places: HashMap<[usize; 3], usize>,
}

impl Supply {
    /// No VM yet.
    pub fn new(vos: usize) -> Self {
        Self { of: vec![Vec::new(); vos], places: HashMap::new() }
    }

    /// A VO's supply.
    pub fn of(&mut self, vo: usize) -> &mut [Slots] {
        &mut self.of[vo]
    }

    /// The slots of this pool, VO and shape. They are made at the first call; their VMs have `cores` cores each.
    pub fn slots(&mut self, pool: usize, vo: usize, shape: usize, cores: u64) -> &mut Slots {
        let all = &mut self.of[vo];
        let place = *self.places.entry([pool, vo, shape]).or_insert_with(|| {
            all.push(Slots { pool, shape, cores, free: Vec::new() });
            all.len() - 1
        });
        &mut all[place]
    }
}
