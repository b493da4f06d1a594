//! Where each VO buys: its pools by what they have on offer.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    account::{Amount, Number},
    books::Books,
    market::Market,
    need::Need,
    shelf::Cost,
    snapshot::{Pool, Snapshot},
};

/// Where all VOs buy.
pub struct Aisles {
    /// By index of the VO: the number of its aisles. VOs with the same pools share them.
    of_vo: Vec<usize>,
    shared: Vec<Shared>,
    /// By index of the pool.
    alike: Vec<Alike>,
    /// By index of the VO: the least that a VM for it takes; `None`: nothing is on offer.
    pub least: Vec<Option<Amount>>,
}

/// Aisles of VOs with the same pools.
struct Shared {
    all: Vec<Aisle>,
    /// By number of a need and step of jobs: see [`Aisles::ranked`].
    ranked: HashMap<(usize, usize), Ranked>,
}

/// The pools of a VO that buy from one catalogue.
pub struct Aisle {
    /// The number of the catalogue in the market.
    pub catalogue: usize,
    /// Pools that are alike there, together.
    pub shops: Vec<Shop>,
}

/// Pools for which the same is best. Indices of the pools, with the place that each has among those of the VO.
pub type Shop = Vec<(usize, usize)>;

/// What pools share for which the same is best: a catalogue, a site, how long VMs live; and a pool that a hold names is alone.
pub type Alike = (usize, Number, u64, Option<usize>);

/// Places of aisles, each with a bound from below of what a used core costs there; the least first.
pub type Ranked = Arc<[(Cost, usize)]>;

/// What is bought for a class.
#[derive(Clone, Copy)]
pub struct Choice {
    pub pool: usize,
    pub offer: u32,
}

impl Aisles {
    /// Where the VOs buy which these pools serve, by index of the VO.
    pub fn new(snapshot: &Snapshot, books: &Books<'_>, market: &Market<'_>, pools_of: &[Vec<usize>]) -> Self {
        let named = books.near.names_pools();
        let alike = |(p, pool): (usize, &Pool)| {
            (market.catalogue_of(p), books.site(p), pool.life_seconds, named[p].then_some(p))
        };
        let alike = snapshot.pools.iter().enumerate().map(alike).collect();
        let mut aisles = Self { of_vo: Vec::new(), shared: Vec::new(), alike, least: Vec::new() };
        let mut known: HashMap<&[usize], usize> = HashMap::new();
        let mut of_catalogue: HashMap<usize, Option<[u64; 4]>> = HashMap::new();
        let mut least_of = |catalogue| *of_catalogue.entry(catalogue).or_insert_with(|| market.least_of_all(catalogue));
        for (vo, pools) in pools_of.iter().enumerate() {
            let number = *known.entry(pools).or_insert_with(|| {
                aisles.shared.push(Shared::new(&aisles.alike, pools));
                aisles.shared.len() - 1
            });
            aisles.of_vo.push(number);
            let least =
                pools.iter().filter_map(|pool| Some(books.amount(*pool, vo, least_of(market.catalogue_of(*pool))?)));
            aisles.least.push(least.reduce(|a, b| std::array::from_fn(|i| a[i].min(b[i]))));
        }
        aisles
    }

    /// The aisles of a VO, the cheapest first, for jobs of one need and of the number that `step` stands for. They are ranked once: nothing
    /// becomes cheaper while a plan is made, so each bound holds on.
    pub fn ranked(&mut self, vo: usize, need: (usize, &Need), step: usize, market: &mut Market<'_>) -> Ranked {
        let Shared { all, ranked } = &mut self.shared[self.of_vo[vo]];
        let made = || {
            let least = |(a, aisle): (usize, &Aisle)| Some((market.least_cost(aisle.catalogue, need, step)?, a));
            let mut ranked: Vec<(Cost, usize)> = all.iter().enumerate().filter_map(least).collect();
            ranked.sort_unstable();
            ranked.into()
        };
        ranked.entry((need.0, step)).or_insert_with(made).clone()
    }

    /// The aisle of a VO at this place.
    pub fn aisle(&self, vo: usize, place: usize) -> &Aisle {
        &self.shared[self.of_vo[vo]].all[place]
    }

    /// Leaves the pools that have their maximum out of a shop of this aisle, for the rest of the plan.
    pub fn leave_out_full(&mut self, vo: usize, aisle: usize, shop: usize, books: &Books<'_>) {
        let shop = &mut self.shared[self.of_vo[vo]].all[aisle].shops[shop];
        if shop.first().is_some_and(|(_, pool)| books.is_full(*pool)) {
            shop.retain(|(_, pool)| !books.is_full(*pool));
        }
    }

    /// What a pool shares with those that are like it.
    pub fn alike(&self, pool: usize) -> Alike {
        self.alike[pool]
    }
}

impl Shared {
    /// The aisles of these pools.
    fn new(alike: &[Alike], pools: &[usize]) -> Self {
        let mut all: BTreeMap<usize, BTreeMap<Alike, Shop>> = BTreeMap::new();
        for (place, &pool) in pools.iter().enumerate() {
            let shops = all.entry(alike[pool].0).or_default();
            shops.entry(alike[pool]).or_default().push((place, pool));
        }
        let all = all.into_iter().map(|(catalogue, shops)| Aisle { catalogue, shops: shops.into_values().collect() });
        Self { all: all.collect(), ranked: HashMap::new() }
    }
}

/// Numbers the needs of classes; the last is that of a job of one core.
pub fn numbered<'n>(needs: impl Iterator<Item = &'n Need>) -> Vec<usize> {
    let mut all: BTreeMap<Need, usize> = BTreeMap::new();
    let number = |need: Need| {
        let next = all.len();
        *all.entry(need).or_insert(next)
    };
    needs.copied().chain([Need::cores(1)]).map(number).collect()
}
