//! Where each VO buys: its pools by what they have on offer.

use std::collections::BTreeMap;

use super::{account::Amount, books::Books, market::Market, need::Need, snapshot::Snapshot};

/// Where a VO buys.
pub struct Aisles {
    pub all: Vec<Aisle>,
    /// The least that a VM for it takes; `None`: nothing is on offer.
    pub least: Option<Amount>,
}

/// The pools of a VO that buy from one catalogue.
pub struct Aisle {
    /// The number of the catalogue in the market.
    pub catalogue: usize,
    /// Pools that are alike there, together.
    pub shops: Vec<Shop>,
}

/// Pools for which the same is best: they share a catalogue, a site and how long VMs live, and a pool that a hold names is alone. Indices
/// of the pools, with the place that each has among those of the VO.
pub type Shop = Vec<(usize, usize)>;

/// What is bought for a class.
#[derive(Clone, Copy)]
pub struct Choice {
    pub pool: usize,
    pub offer: u32,
}

/// Where each VO buys, by its index.
pub fn aisles(snapshot: &Snapshot, books: &Books<'_>, market: &Market<'_>, pools_of: &[Vec<usize>]) -> Vec<Aisles> {
    let named = books.near.names_pools();
    let of_vo = |(vo, pools): (usize, &Vec<usize>)| {
        let mut all: BTreeMap<usize, BTreeMap<_, Shop>> = BTreeMap::new();
        for (place, &pool) in pools.iter().enumerate() {
            let alone = named[pool].then_some(pool);
            let shared = (books.site(pool), snapshot.pools[pool].life_seconds, alone);
            let shops = all.entry(market.catalogue_of(pool)).or_default();
            shops.entry(shared).or_default().push((place, pool));
        }
        let all = all.into_iter().map(|(catalogue, shops)| Aisle { catalogue, shops: shops.into_values().collect() });
        let least = pools.iter().filter_map(|pool| {
            let catalogue = market.catalogue_of(*pool);
            Some(books.amount(*pool, vo, market.least_of_all(catalogue)?))
        });
        Aisles { all: all.collect(), least: least.reduce(|a, b| std::array::from_fn(|i| a[i].min(b[i]))) }
    };
    pools_of.iter().enumerate().map(of_vo).collect()
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
