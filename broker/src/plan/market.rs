//! What can be bought, and what comes first: the cheapest for each core that is used; where costs are alike, the manifest's order.
//!
//! Pools that may buy the same share one catalogue. A catalogue has one queue of its offers for each need of jobs and number of jobs; it is
//! made when it is asked for, and what is closed is dropped from it for the rest of the plan.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    sync::Arc,
};

use super::{
    life::Free,
    need::Need,
    snapshot::{CloudState, Offering, Pool, Requirements, Strategy, Unpriced},
};

/// One thing that can be bought on one cloud.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// Index of the cloud.
    pub cloud: usize,
    /// What it is.
    pub offering: &'a Arc<Offering>,
}

/// Costs that differ by less than this factor are alike.
const ALIKE: f64 = 1.1;
/// A GPU counts as so many cores where no price says more.
const CORES_OF_A_GPU: u64 = 16;

/// What comes first; the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// Offerings with a price, and those without.
    tier: u8,
    /// The cost of a used core, in steps of ten in a hundred.
    step: i64,
    /// The place in the manifest.
    order: u32,
    /// The number of the offer.
    pub offer: u32,
    /// Which pool's best offer is better: its cost, whatever comes first within the pool.
    pub cost: (u8, i64),
}

/// What pools with the same words may buy.
#[derive(Default)]
struct Catalogue {
    /// Numbers of the offers, in the manifest's order.
    offers: Vec<u32>,
    strategy: Strategy,
    /// By number of the need and of the step of jobs.
    queues: Vec<Option<BinaryHeap<Reverse<Rank>>>>,
}

type Words<'a> = (&'a [String], &'a [String], &'a Requirements, Strategy, &'a str);

/// All that can be bought.
pub struct Market<'a> {
    offers: Vec<Offer<'a>>,
    catalogues: Vec<Catalogue>,
    /// By index of the pool.
    of_pool: Vec<usize>,
    unpriced: Unpriced,
    /// Power of a core where an offering does not say it.
    power: f64,
    /// By number of the offer: how much dearer it counts, since its cloud is nearly full; in hundredths.
    dearer: Vec<u64>,
}

impl<'a> Market<'a> {
    /// The offers of all clouds, and what each pool may buy of them. `fullness` says how far an offer's cloud is used, in hundredths.
    pub fn new(
        clouds: &'a [CloudState],
        pools: &'a [Pool],
        unpriced: Unpriced,
        fullness: impl Fn(usize) -> u64,
    ) -> Self {
        let mut offers = Vec::new();
        let mut of_cloud: HashMap<&str, Vec<u32>> = HashMap::new();
        for (c, cloud) in clouds.iter().enumerate() {
            let here = of_cloud.entry(&cloud.name).or_default();
            for offering in &cloud.offerings {
                here.push(u32::try_from(offers.len()).unwrap_or(u32::MAX));
                offers.push(Offer { cloud: c, offering });
            }
        }
        let mut market =
            Self { offers, catalogues: Vec::new(), of_pool: Vec::new(), unpriced, power: 1.0, dearer: Vec::new() };
        market.power = market.mean_power();
        market.dearer = market.offers.iter().map(|o| fullness(o.cloud).clamp(80, 120) - 80).collect();
        let mut by_words: HashMap<Words<'_>, usize> = HashMap::new();
        for pool in pools {
            let words: Words<'_> = (&pool.clouds, &pool.flavors, &pool.requirements, pool.strategy, &pool.image);
            let place = *by_words.entry(words).or_insert_with(|| {
                market.catalogues.push(market.catalogue(pool, &of_cloud));
                market.catalogues.len() - 1
            });
            market.of_pool.push(place);
        }
        market
    }

    fn mean_power(&self) -> f64 {
        let known: Vec<u64> = self.offers.iter().filter_map(|o| o.offering.power).collect();
        if known.is_empty() { 1.0 } else { known.iter().sum::<u64>() as f64 / known.len() as f64 }
    }

    fn catalogue(&self, pool: &Pool, of_cloud: &HashMap<&str, Vec<u32>>) -> Catalogue {
        let mut offers = Vec::new();
        let rank: HashMap<&str, usize> = pool.flavors.iter().enumerate().map(|(i, f)| (f.as_str(), i)).collect();
        for here in pool.clouds.iter().filter_map(|name| of_cloud.get(name.as_str())) {
            let offering = |n: &u32| self.offers[*n as usize].offering;
            if pool.flavors.is_empty() {
                let mut fitting: Vec<u32> = here.iter().filter(|n| accepts(pool, offering(n))).copied().collect();
                fitting.sort_by_key(|n| {
                    let Offering { flavor, zone, .. } = &**offering(n);
                    (flavor, zone)
                });
                offers.extend(fitting);
            } else {
                let mut named: Vec<(usize, u32)> =
                    here.iter().filter_map(|n| Some((*rank.get(offering(n).flavor.as_str())?, *n))).collect();
                named.sort_by_key(|(place, _)| *place);
                offers.extend(named.into_iter().map(|(_, n)| n));
            }
        }
        if self.unpriced == Unpriced::Refused {
            offers.retain(|n| self.offers[*n as usize].offering.price_micros.is_some());
        }
        Catalogue { offers, strategy: pool.strategy, queues: Vec::new() }
    }

    /// The offer with this number.
    pub fn offer(&self, number: u32) -> Offer<'a> {
        self.offers[number as usize]
    }

    /// Numbers of the offers of a pool, in the manifest's order.
    pub fn offers_of(&self, pool: usize) -> &[u32] {
        &self.catalogues[self.of_pool[pool]].offers
    }

    /// The queue of offers of a pool for jobs of one need, and for so many of them as [`step`] says; the best first.
    pub fn queue(&mut self, pool: usize, need: (usize, &Need), step: usize) -> &mut BinaryHeap<Reverse<Rank>> {
        let place = self.of_pool[pool];
        let at = need.0 * STEPS.len() + step;
        if self.catalogues[place].queues.len() <= at {
            self.catalogues[place].queues.resize_with(at + 1, || None);
        }
        if self.catalogues[place].queues[at].is_none() {
            let catalogue = &self.catalogues[place];
            let ranks = catalogue.offers.iter().enumerate();
            let ranks =
                ranks.filter_map(|(i, n)| self.rank(i, *n, catalogue.strategy, need.1, STEPS[step]).map(Reverse));
            let made = ranks.collect::<Vec<_>>().into();
            self.catalogues[place].queues[at] = Some(made);
        }
        self.catalogues[place].queues[at].get_or_insert_default()
    }

    fn rank(&self, order: usize, number: u32, strategy: Strategy, need: &Need, jobs: u64) -> Option<Rank> {
        let offering = self.offers[number as usize].offering;
        let full = Free::all(offering);
        let at_once = need.slots(full, full).min(jobs);
        let order = u32::try_from(order).unwrap_or(u32::MAX);
        if at_once == 0 {
            return None;
        }
        let used = if need.whole { offering.cores } else { at_once.saturating_mul(need.cores) };
        let (priced, cost) = match offering.price_micros {
            Some(price) => (true, price as f64),
            None => (false, (offering.cores + CORES_OF_A_GPU * offering.gpus) as f64 * 1e6),
        };
        let power = offering.power.map_or(self.power, |power| power as f64).max(f64::MIN_POSITIVE);
        let dearer = 1.0 + self.dearer[number as usize] as f64 / 100.0;
        let each = cost / used as f64 / power * self.power * dearer;
        // A price of nothing is the smallest step there is.
        let step = if each > 0.0 { (each.ln() / ALIKE.ln()).floor() as i64 } else { i64::MIN };
        let tier = u8::from(priced == (self.unpriced == Unpriced::Free));
        let (offer, cost) = (number, (tier, step));
        Some(match strategy {
            Strategy::Cheapest => Rank { tier, step, order, offer, cost },
            Strategy::InOrder => Rank { tier: 0, step: 0, order, offer, cost },
        })
    }
}

/// Numbers of jobs from which on offers are compared alike.
const STEPS: [u64; 14] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128, 512];

/// The step of a number of jobs: its number of jobs is never more than there are.
pub fn step(jobs: u64) -> usize {
    STEPS.iter().rposition(|step| *step <= jobs).unwrap_or(0)
}

/// Whether an offering lies within the bounds of a pool that names bounds instead of flavors.
pub fn accepts(pool: &Pool, offering: &Offering) -> bool {
    let within =
        |(min, max): (Option<u64>, Option<u64>), n: u64| min.is_none_or(|m| n >= m) && max.is_none_or(|m| n <= m);
    let r = &pool.requirements;
    let model = r.gpu_models.is_empty()
        || offering.gpu_model.as_ref().is_some_and(|m| r.gpu_models.iter().any(|n| n.eq_ignore_ascii_case(m)));
    // GiB for a core, rounded down: a flavor with 15.9 GiB and 8 cores has less than 2, which counts as 1.
    let ram = offering.ram_mib / 1024 / offering.cores.max(1);
    within(r.cores, offering.cores) && within(r.gpus, offering.gpus) && model && within(r.ram_gib_per_core, ram)
}
