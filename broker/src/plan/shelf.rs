//! A shelf: the kinds of offers of one catalogue, ranked for jobs of one need; and what their cores cost.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    sync::Arc,
};

use super::{
    life::Free,
    need::Need,
    snapshot::{Offering, Strategy, Unpriced},
};

/// Offers that differ only in where they are.
pub struct Kind {
    full: Free,
    price: Option<u64>,
    power: Option<u64>,
    /// How many of a thousand VMs are taken back in an hour.
    reclaims: u64,
    /// How much dearer it counts, since its cloud is nearly full; in hundredths.
    dearer: u64,
    /// Those that are open: the place in the manifest, and the number of the offer; and those of them for which jobs wait.
    open: [VecDeque<(u32, u32)>; 2],
}

impl Kind {
    /// A kind of which nothing is on offer yet. `fullness`: how far the clouds of its offers are used, in hundredths.
    /// `gpu_cores`: see `Pool::gpu_cores`.
    pub fn new(offering: &Offering, gpu_cores: u64, fullness: u64) -> Self {
        let Offering { price_micros: price, power, .. } = *offering;
        let dearer = fullness.clamp(80, 120) - 80;
        let reclaims = offering.measured.reclaims.unwrap_or(0);
        let full = Free { gpu_cores, ..Free::all(offering) };
        Self { full, price, power, reclaims, dearer, open: Default::default() }
    }

    /// Adds an offer, which comes after those that were added before.
    pub fn add(&mut self, order: u32, offer: u32) {
        self.open[0].push_back((order, offer));
    }

    /// The place in the manifest and the number of the first offer that is open; of those for which jobs wait, or of the others.
    pub fn first(&self, waits: bool) -> Option<(u32, u32)> {
        self.open[usize::from(waits)].front().copied()
    }

    /// Closes that offer. Whether no other is open.
    pub fn close(&mut self, waits: bool) -> bool {
        self.open[usize::from(waits)].pop_front().is_some() && self.open.iter().all(VecDeque::is_empty)
    }

    /// From now on jobs wait for the first offer.
    pub fn wait(&mut self) {
        let first = self.open[0].pop_front();
        self.open[1].extend(first);
    }
}

/// The least of what these kinds take: cores, memory, GPUs and price.
pub fn least<'k>(kinds: impl Iterator<Item = &'k Kind>) -> Option<[u64; 4]> {
    let takes = kinds.map(|kind| {
        let Free { cores, ram_mib, gpus, .. } = kind.full;
        [cores, ram_mib, gpus, kind.price.unwrap_or(0)]
    });
    takes.reduce(|a, b| std::array::from_fn(|i| a[i].min(b[i])))
}

/// The most of what these kinds have: cores, memory and GPUs.
pub fn largest<'k>(kinds: impl Iterator<Item = &'k Kind>) -> [u64; 3] {
    let has = kinds.map(|Kind { full: Free { cores, ram_mib, gpus, .. }, .. }| [*cores, *ram_mib, *gpus]);
    has.reduce(|a, b| std::array::from_fn(|i| a[i].max(b[i]))).unwrap_or_default()
}

/// What comes first; the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// What a used core costs, where that decides; a pool that buys in order has the least cost there is.
    pub first: Cost,
    /// The place in the manifest.
    pub order: u32,
    /// Whether it is an offer for which jobs wait.
    pub waits: bool,
    /// The place of the kind in its catalogue.
    pub kind: u32,
    /// What a used core costs: see [`Value::cost`]. Between pools it decides.
    pub cost: Cost,
}

/// Offerings with a price, or those without; and the cost of a used core in steps of five in a hundred.
pub type Cost = (u8, i32);

/// There is no smaller cost.
const LEAST: Cost = (0, i32::MIN);

/// Costs that differ by less than this factor are alike.
pub const ALIKE: f64 = 1.05;
/// A GPU counts as this many cores where no price says more.
const CORES_OF_A_GPU: u64 = 16;
/// How long jobs run of which that was not measured, in hours.
const HOURS: f64 = 1.0;
/// However often VMs are taken back, they count as no more than this many times as dear.
const MOST_LOST: f64 = 20.0;

/// How costs are compared.
#[derive(Clone, Copy)]
pub struct Value {
    unpriced: Unpriced,
    /// Power of a core where an offering does not say it.
    power: f64,
    /// How long the jobs run, in hours.
    hours: f64,
}

impl Value {
    /// The power of a core is the mean of those offerings that say it.
    pub fn of<'a>(offerings: impl Iterator<Item = &'a Offering>, unpriced: Unpriced) -> Self {
        let known: Vec<u64> = offerings.filter_map(|o| o.power).collect();
        let sum = known.iter().fold(0, |sum: u64, power| sum.saturating_add(*power));
        let power = if known.is_empty() { 1.0 } else { sum as f64 / known.len() as f64 };
        Self { unpriced, power, hours: HOURS }
    }

    /// The same for jobs that run for this time; `None`: an hour.
    pub fn running(self, seconds: Option<u64>) -> Self {
        Self { hours: seconds.map_or(HOURS, |seconds| seconds as f64 / 3_600.0), ..self }
    }

    /// How much dearer a core is whose work may be lost: a job that runs for `h` hours where a part `r` of the VMs is taken back in each
    /// hour comes to its end with the chance `exp(-r h)`, and is begun `exp(r h)` times in the mean.
    fn lost(self, reclaims: u64) -> f64 {
        if reclaims == 0 { 1.0 } else { (reclaims as f64 / 1_000.0 * self.hours).exp().min(MOST_LOST) }
    }

    /// What an hour of a VM counts as, for VMs of one size; `None`: it has no price.
    pub fn hour(self, offering: &Offering) -> Option<f64> {
        let power = offering.power.map_or(self.power, |power| power as f64).max(f64::MIN_POSITIVE);
        Some(offering.price_micros? as f64 / power * self.lost(offering.measured.reclaims.unwrap_or(0)))
    }

    /// What a core costs where `used` cores are used.
    pub fn cost(self, kind: &Kind, used: u64) -> Cost {
        let (priced, cost) = match kind.price {
            Some(price) => (true, price as f64),
            None => {
                let gpus = CORES_OF_A_GPU.saturating_mul(kind.full.gpus);
                (false, kind.full.cores.saturating_add(gpus) as f64)
            }
        };
        let power = kind.power.map_or(self.power, |power| power as f64).max(f64::MIN_POSITIVE);
        let dearer = 1.0 + kind.dearer as f64 / 100.0;
        let each = cost / used as f64 / power * dearer * self.lost(kind.reclaims);
        // A price of nothing is the smallest step there is.
        let step = if each > 0.0 { (each.ln() / ALIKE.ln()).floor() as i32 } else { i32::MIN };
        (u8::from(priced == (self.unpriced == Unpriced::Free)), step)
    }
}

/// Numbers of jobs from which on offers are compared alike.
const STEPS: [u64; 14] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128, 512];

/// The step of a number of jobs: its number of jobs is never more than there are.
pub fn step(jobs: u64) -> usize {
    STEPS.iter().rposition(|step| *step <= jobs).unwrap_or(0)
}

type Queue = BinaryHeap<Reverse<Rank>>;

/// The kinds of one catalogue for jobs of one need.
pub struct Shelf {
    /// By place of the kind: how many such jobs it takes at once.
    slots: Vec<u64>,
    /// From this step on more jobs change nothing: no kind takes more at once.
    last: usize,
    /// By step; `None`: not asked for yet.
    queues: Vec<Option<Queue>>,
    /// The least of what kinds with room take: cores, memory, GPUs and price.
    pub least: Option<[u64; 4]>,
    fitting: Option<Arc<[u32]>>,
}

impl Shelf {
    pub fn new(kinds: &[Kind], need: &Need) -> Self {
        let slots: Vec<u64> = kinds.iter().map(|kind| need.slots(kind.full, kind.full)).collect();
        let most = slots.iter().copied().max().unwrap_or(0);
        let least = least(kinds.iter().zip(&slots).filter(|(_, slots)| **slots > 0).map(|(kind, _)| kind));
        let last = STEPS.iter().position(|step| *step >= most).unwrap_or(STEPS.len() - 1);
        Self { slots, last, queues: Vec::new(), least, fitting: None }
    }

    /// The queue of a step, with the best kind first.
    pub fn queue(
        &mut self,
        kinds: &[Kind],
        need: &Need,
        step: usize,
        value: Value,
        strategy: Strategy,
        may_wait: bool,
    ) -> &mut Queue {
        let step = step.min(self.last);
        if self.queues.len() <= step {
            self.queues.resize_with(step + 1, || None);
        }
        let rank = |(place, (kind, slots)): (usize, (&Kind, &u64))| {
            let at_once = (*slots).min(STEPS[step]);
            let used = if need.whole { kind.full.cores } else { at_once.saturating_mul(need.cores) };
            let cost = value.cost(kind, used);
            let first = if strategy == Strategy::InOrder { LEAST } else { cost };
            let open = kind.first(false).map(|(order, _)| (order, false));
            // Between what has room and what is waited for the cost decides, not the manifest.
            let waiting = may_wait.then_some((u32::MAX, true));
            let kind = u32::try_from(place).unwrap_or(u32::MAX);
            let rank = move |(order, waits)| Reverse(Rank { first, order, waits, kind, cost });
            [open, waiting].into_iter().flatten().map(rank)
        };
        let with_room = kinds.iter().zip(&self.slots).enumerate().filter(|(_, (_, slots))| **slots > 0);
        let made = || with_room.flat_map(rank).collect::<Vec<_>>().into();
        self.queues[step].get_or_insert_with(made)
    }

    /// The first of these offers that have room, `most` of them.
    pub fn fitting(&mut self, offers: &[(u32, usize)], most: usize) -> Arc<[u32]> {
        let with_room = || offers.iter().filter(|(_, kind)| self.slots[*kind] > 0).map(|(offer, _)| *offer);
        self.fitting.get_or_insert_with(|| with_room().take(most).collect()).clone()
    }
}
