//! What can be bought, and what comes first: the cheapest for each core that is used; where costs are alike, the manifest's order.
//!
//! Pools that may buy the same share one catalogue. In a catalogue offers that differ only in where they are form one kind; kinds are
//! ranked once for each need of jobs and number of jobs (`shelf.rs`), and what is closed is dropped for the rest of the plan.

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use super::{
    books::Books,
    need::Need,
    offer::Offer,
    shelf::{Cost, Kind, Rank, Shelf, Value, largest, least},
    snapshot::{CloudState, Offering, Pool, Requirements, Snapshot, Strategy, Unpriced},
    ways,
};
use crate::cloud::Purchase;

/// What is to be done with an offer.
pub enum Verdict {
    /// It is bought.
    Take,
    /// It is not for this launch, and neither are others of its kind.
    Pass,
    /// It has no room for any launch of this catalogue any more.
    Close,
    /// Whatever the launch, jobs wait for it: others of its kind come first.
    Wait,
    /// Neither this nor a worse one is wanted.
    Stop,
}

/// What pools with the same words may buy.
struct Catalogue {
    /// Numbers of the offers, in the manifest's order, and the kind of each.
    offers: Vec<(u32, usize)>,
    kinds: Vec<Kind>,
    /// Kinds of which an offer is open.
    open: usize,
    strategy: Strategy,
    /// Whether there may be offers for which jobs wait, while others of their kind are open. Where the manifest's order decides, each
    /// offer is a kind of its own.
    may_wait: bool,
    /// By number of the need.
    shelves: Vec<Option<Shelf>>,
}

type Words<'a> = (&'a [String], &'a [String], &'a Requirements, &'a [Purchase], Strategy, u64, [&'a str; 2]);

/// What makes offers one kind: size, price and its currency, power, how it is bought and how often it is taken back, how full the cloud is,
/// and the holds that concern only some launches.
type Alike<'a> = ([u64; 3], Option<u64>, Option<&'a str>, Option<u64>, (Purchase, u64), u64, Vec<usize>);

/// Everything that can be bought, in catalogues: pools that may buy the same share one.
pub struct Market<'a> {
    offers: Vec<Offer<'a>>,
    catalogues: Vec<Catalogue>,
    /// The catalogue of each pool, by the pool's index.
    of_pool: Vec<usize>,
    value: Value,
    /// How long jobs of each need run, where it was measured and something is taken back, in seconds.
    runs: HashMap<Need, u64>,
}

/// All offers, and those of each flavor of each cloud.
struct Stock<'a> {
    offers: Vec<Offer<'a>>,
    of_cloud: HashMap<&'a str, Vec<u32>>,
    of_flavor: HashMap<(&'a str, &'a str), Vec<u32>>,
    /// By number of the offer: a number for what it is, the same for those that are alike.
    alike: Vec<usize>,
}

impl<'a> Market<'a> {
    /// The offers of all clouds, and what each pool may buy of them.
    pub fn new(snapshot: &'a Snapshot, books: &Books<'_>) -> Self {
        let stock = Stock::of(&snapshot.clouds, books);
        let unpriced = snapshot.rules.unpriced;
        let mut market = Self {
            catalogues: Vec::new(),
            of_pool: Vec::new(),
            value: Value::of(stock.offers.iter().map(|o| &**o.offering), unpriced),
            offers: Vec::new(),
            runs: ways::runs(snapshot, &stock.offers),
        };
        let mut by_words: HashMap<Words<'_>, usize> = HashMap::new();
        for pool in &snapshot.pools {
            let words: Words<'_> = (
                &pool.clouds,
                &pool.flavors,
                &pool.requirements,
                &pool.purchase,
                pool.strategy,
                pool.gpu_cores,
                pool.images(),
            );
            let place = *by_words.entry(words).or_insert_with(|| {
                market.catalogues.push(stock.catalogue(pool, unpriced, books));
                market.catalogues.len() - 1
            });
            market.of_pool.push(place);
        }
        market.offers = stock.offers;
        market
    }

    pub fn offer(&self, number: u32) -> Offer<'a> {
        self.offers[number as usize]
    }

    /// What an hour of an offer counts as for jobs of one need; `None`: it has no price.
    pub fn hour(&self, number: u32, need: &Need) -> Option<f64> {
        self.value.running(self.runs.get(need).copied()).hour(self.offer(number).offering)
    }

    /// The number of the catalogue from which a pool buys.
    pub fn catalogue_of(&self, pool: usize) -> usize {
        self.of_pool[pool]
    }

    /// Numbers of the offers of a pool, in the manifest's order.
    pub fn offers_of(&self, pool: usize) -> impl Iterator<Item = u32> {
        self.catalogues[self.of_pool[pool]].offers.iter().map(|(offer, _)| *offer)
    }

    /// Whether nothing was ever on offer in this catalogue.
    pub fn has_nothing(&self, catalogue: usize) -> bool {
        self.catalogues[catalogue].offers.is_empty()
    }

    /// The least that a VM of this catalogue takes: cores, memory, GPUs and price. `None`: nothing is on offer.
    pub fn least_of_all(&self, catalogue: usize) -> Option<[u64; 4]> {
        least(self.catalogues[catalogue].kinds.iter())
    }

    /// The most cores, memory and GPUs that a VM of this catalogue has.
    pub fn largest(&self, catalogue: usize) -> [u64; 3] {
        largest(self.catalogues[catalogue].kinds.iter())
    }

    /// A bound from below: no offer of the catalogue gives a used core for less, for jobs of one need and of the number that `step` stands
    /// for. `None`: nothing is on offer for them.
    pub fn least_cost(&mut self, catalogue: usize, need: (usize, &Need), step: usize) -> Option<Cost> {
        let value = self.value.running(self.runs.get(need.1).copied());
        let Catalogue { kinds, open, strategy, may_wait, shelves, .. } = &mut self.catalogues[catalogue];
        if *open == 0 {
            return None;
        }
        let queue = shelf(shelves, kinds, need).queue(kinds, need.1, step, value, *strategy, *may_wait);
        queue.peek().map(|Reverse(rank)| rank.first)
    }

    /// The best open offer of a catalogue that `judge` takes, for jobs of one need and of the number that `step` stands for (`shelf::step`):
    /// what a used core costs, and the number of the offer.
    pub fn find(
        &mut self,
        catalogue: usize,
        need: (usize, &Need),
        step: usize,
        mut judge: impl FnMut(Rank, u32, Offer<'a>) -> Verdict,
    ) -> Option<(Cost, u32)> {
        let value = self.value.running(self.runs.get(need.1).copied());
        let Catalogue { kinds, open, strategy, may_wait, shelves, .. } = &mut self.catalogues[catalogue];
        let queue = shelf(shelves, kinds, need).queue(kinds, need.1, step, value, *strategy, *may_wait);
        let mut aside: Vec<Reverse<Rank>> = Vec::new();
        let found = loop {
            let Some(Reverse(rank)) = queue.peek().copied() else { break None };
            let kind = &mut kinds[rank.kind as usize];
            let Some((order, offer)) = kind.first(rank.waits) else {
                // Offers may come to wait later; none is opened again.
                aside.extend(queue.pop().filter(|_| rank.waits));
                continue;
            };
            if order != rank.order && !rank.waits {
                // Its first offer was closed or waits meanwhile.
                queue.pop();
                queue.push(Reverse(Rank { order, ..rank }));
                continue;
            }
            match judge(rank, offer, self.offers[offer as usize]) {
                Verdict::Take => break Some((rank.cost, offer)),
                Verdict::Stop => break None,
                Verdict::Wait if *may_wait && !rank.waits => kind.wait(),
                Verdict::Pass | Verdict::Wait => aside.extend(queue.pop()),
                Verdict::Close => *open -= usize::from(kind.close(rank.waits)),
            }
        };
        queue.extend(aside);
        found
    }

    /// The least that a VM takes which has room for such a job: cores, memory, GPUs and price. `None`: nothing has room for one.
    pub fn least(&mut self, catalogue: usize, need: (usize, &Need)) -> Option<[u64; 4]> {
        let Catalogue { kinds, shelves, .. } = &mut self.catalogues[catalogue];
        shelf(shelves, kinds, need).least
    }

    /// The first offers of a catalogue that have room for such a job, in the manifest's order, `most` of them.
    pub fn fitting(&mut self, catalogue: usize, need: (usize, &Need), most: usize) -> Arc<[u32]> {
        let Catalogue { kinds, shelves, offers, .. } = &mut self.catalogues[catalogue];
        shelf(shelves, kinds, need).fitting(offers, most)
    }
}

/// The shelf for jobs of one need; made when it is asked for first.
fn shelf<'s>(shelves: &'s mut Vec<Option<Shelf>>, kinds: &[Kind], need: (usize, &Need)) -> &'s mut Shelf {
    if shelves.len() <= need.0 {
        shelves.resize_with(need.0 + 1, || None);
    }
    shelves[need.0].get_or_insert_with(|| Shelf::new(kinds, need.1))
}

impl<'a> Stock<'a> {
    fn of(clouds: &'a [CloudState], books: &Books<'_>) -> Self {
        let all = clouds.iter().map(|cloud| cloud.offerings.len()).sum();
        let mut stock = Self {
            offers: Vec::with_capacity(all),
            of_cloud: HashMap::new(),
            of_flavor: HashMap::with_capacity(all),
            alike: Vec::with_capacity(all),
        };
        let mut kinds: HashMap<Alike<'_>, usize> = HashMap::with_capacity(all);
        for (c, cloud) in clouds.iter().enumerate() {
            let here = stock.of_cloud.entry(&cloud.name).or_default();
            let fullness = books.fullness(c);
            for offering in &cloud.offerings {
                let number = u32::try_from(stock.offers.len()).unwrap_or(u32::MAX);
                here.push(number);
                stock.of_flavor.entry((&cloud.name, &offering.flavor)).or_default().push(number);
                stock.offers.push(Offer { cloud: c, offering });
                let Offering { cores, ram_mib, gpus, price_micros, power, purchase, measured, .. } = **offering;
                let bought = (purchase, measured.reclaims.unwrap_or(0));
                let currency = cloud.currency.as_deref();
                let holds = books.near.particular(number);
                let alike = ([cores, ram_mib, gpus], price_micros, currency, power, bought, fullness, holds);
                let next = kinds.len();
                stock.alike.push(*kinds.entry(alike).or_insert(next));
            }
        }
        stock
    }

    /// Numbers of the offers that a pool may buy, in the order that decides where costs are alike.
    fn listed(&self, pool: &Pool) -> Vec<u32> {
        ways::in_order(pool, &self.offers, self.in_order(pool))
    }

    /// Numbers of the offers of a pool's flavors, in its manifest's order.
    fn in_order(&self, pool: &Pool) -> Vec<u32> {
        let offering = |n: &u32| self.offers[*n as usize].offering;
        if pool.flavors.is_empty() {
            let of_cloud = |cloud: &String| {
                let here = self.of_cloud.get(cloud.as_str()).into_iter().flatten();
                let mut fitting: Vec<u32> = here.filter(|n| pool.requirements.accept(offering(n))).copied().collect();
                // The order of models says nothing of flavors with one model: there the cheapest comes first.
                let price = |n: &u32| (pool.strategy == Strategy::InOrder).then(|| cheapest(offering(n)));
                fitting.sort_by_cached_key(|n| (price(n), &offering(n).flavor, &offering(n).zone));
                fitting
            };
            let mut listed: Vec<u32> = pool.clouds.iter().flat_map(of_cloud).collect();
            // Which model comes first says more than which cloud does.
            listed.sort_by_cached_key(|n| pool.requirements.preference(offering(n)));
            return listed;
        }
        let named = |cloud| pool.flavors.iter().filter_map(move |flavor| self.of_flavor.get(&(cloud, flavor.as_str())));
        pool.clouds.iter().flat_map(|cloud| named(cloud.as_str())).flatten().copied().collect()
    }

    fn catalogue(&self, pool: &Pool, unpriced: Unpriced, books: &Books<'_>) -> Catalogue {
        let mut listed = self.listed(pool);
        if unpriced == Unpriced::Refused {
            listed.retain(|n| self.offers[*n as usize].offering.price_micros.is_some());
        }
        let in_order = pool.strategy == Strategy::InOrder;
        let mut kinds: Vec<Kind> = Vec::new();
        let mut places: HashMap<usize, usize> = HashMap::new();
        let mut offers = Vec::with_capacity(listed.len());
        for (order, n) in listed.into_iter().enumerate() {
            let Offer { cloud, offering } = self.offers[n as usize];
            let alike = if in_order { order } else { self.alike[n as usize] };
            let kind = *places.entry(alike).or_insert_with(|| {
                kinds.push(Kind::new(offering, pool.gpu_cores, books.fullness(cloud)));
                kinds.len() - 1
            });
            kinds[kind].add(u32::try_from(order).unwrap_or(u32::MAX), n);
            offers.push((n, kind));
        }
        Catalogue {
            offers,
            open: kinds.len(),
            kinds,
            strategy: pool.strategy,
            may_wait: !in_order && books.near.anyone_waits(),
            shelves: Vec::new(),
        }
    }
}

/// What makes one offering cheaper than another: what has no price comes last, and then the smaller.
fn cheapest(offering: &Offering) -> (bool, Option<u64>, u64, u64) {
    (offering.price_micros.is_none(), offering.price_micros, offering.gpus, offering.cores)
}

#[cfg(test)]
#[path = "market_tests.rs"]
mod tests;
