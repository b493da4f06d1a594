//! Ways of buying: which of them a pool takes, in which order, and how long the jobs run whose work may be lost.

use std::collections::HashMap;

use super::{
    need::Need,
    offer::Offer,
    snapshot::{Pool, Snapshot, Strategy},
};
use crate::cloud::Purchase;

impl Pool {
    /// The place of this way of buying in the pool's order; `None`: it does not buy so.
    fn buys(&self, purchase: Purchase) -> Option<usize> {
        if self.purchase.is_empty() {
            return (purchase == Purchase::OnDemand).then_some(0);
        }
        self.purchase.iter().position(|way| *way == purchase)
    }
}

/// Those of `listed`, which stand in the manifest's order, that the pool buys: in the order of the ways of buying, and then the manifest's.
/// Where the manifest's order decides alone, the ways of buying are the order of what is otherwise the same flavor of one cloud.
pub fn in_order(pool: &Pool, offers: &[Offer<'_>], mut listed: Vec<u32>) -> Vec<u32> {
    let offer = |n: &u32| &offers[*n as usize];
    listed.retain(|n| pool.buys(offer(n).offering.purchase).is_some());
    if pool.purchase.len() < 2 {
        return listed;
    }
    let mut places: HashMap<(usize, &str), usize> = HashMap::new();
    if pool.strategy == Strategy::InOrder {
        for n in &listed {
            let (next, of) = (places.len(), offer(n));
            places.entry((of.cloud, &of.offering.flavor)).or_insert(next);
        }
    }
    listed.sort_by_key(|n| {
        let of = offer(n);
        let place = places.get(&(of.cloud, of.offering.flavor.as_str())).copied().unwrap_or(0);
        (place, pool.buys(of.offering.purchase))
    });
    listed
}

/// How long jobs of each need run in the mean of their classes, where that was measured: it counts only for what may be taken back.
pub fn runs(snapshot: &Snapshot, offers: &[Offer<'_>]) -> HashMap<Need, u64> {
    if !offers.iter().any(|offer| offer.offering.measured.reclaims.is_some_and(|reclaims| reclaims > 0)) {
        return HashMap::new();
    }
    let mut all: HashMap<Need, (u64, u64)> = HashMap::new();
    for run in &snapshot.run_times {
        let (sum, classes) = all.entry(Need::of(&run.class)).or_default();
        (*sum, *classes) = (sum.saturating_add(run.seconds), *classes + 1);
    }
    all.into_iter().map(|(need, (sum, classes))| (need, sum / classes)).collect()
}
