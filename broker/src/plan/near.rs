//! Which holds concern which launches.

use std::collections::HashMap;

use super::{
    Reason,
    job_class::JobClass,
    offer::Thought,
    snapshot::{Snapshot, places},
};

/// Whom an account concerns: what is full for all is not looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Concerns {
    /// Every launch of the plan.
    Plan,
    /// Every launch of this offer with the same image.
    Offer,
    /// Only some.
    Some,
    /// Every launch of this offer with the same image; jobs wait for it and get nothing dearer.
    OfferWaits,
    /// Only some, whose jobs wait for it and get nothing dearer.
    SomeWait,
}

/// Whom a hold names beside the offer. A name that nothing has is the place `usize::MAX`.
struct Whom<'a> {
    image: Option<&'a str>,
    pool: Option<usize>,
    vo: Option<usize>,
    class: Option<&'a JobClass>,
    waits: bool,
}

/// The holds of a snapshot, by what they are near to.
pub struct Near<'a> {
    snapshot: &'a Snapshot,
    holds: Vec<Whom<'a>>,
    /// By number of the offer: indices of the holds that may concern it.
    of_offer: Vec<Vec<usize>>,
    /// Holds that name no offer.
    of_all: Vec<usize>,
    /// Whether jobs may wait for what is held back.
    anyone_waits: bool,
}

impl<'a> Near<'a> {
    /// The holds of a snapshot.
    pub fn new(snapshot: &'a Snapshot) -> Self {
        let pools = places(snapshot.pools.iter().map(|p| &p.name));
        let vos = places(snapshot.vos.iter().map(|v| &v.name));
        let place = |places: &HashMap<&str, usize>, name: &Option<String>| {
            name.as_ref().map(|name| places.get(name.as_str()).copied().unwrap_or(usize::MAX))
        };
        let whom = snapshot.holds.iter().map(|hold| Whom {
            image: hold.image.as_deref(),
            pool: place(&pools, &hold.pool),
            vo: place(&vos, &hold.vo),
            class: hold.class.as_ref(),
            waits: hold.waits,
        });
        let anyone_waits = snapshot.rules.fresh.is_some()
            || snapshot.rules.untried.is_some()
            || snapshot.holds.iter().any(|hold| hold.waits || hold.reason == Reason::Ramp);
        let mut near = Self { snapshot, holds: whom.collect(), of_offer: Vec::new(), of_all: Vec::new(), anyone_waits };
        let names_offer = |i: &usize| {
            let hold = &snapshot.holds[*i];
            hold.cloud.is_some()
                || hold.flavor.is_some()
                || hold.zone.is_some()
                || hold.purchase.is_some()
                || hold.quota.is_some()
        };
        let (of_offers, of_all): (Vec<usize>, Vec<usize>) = (0..snapshot.holds.len()).partition(names_offer);
        near.of_all = of_all;
        // By cloud, so that each offer meets few holds.
        let mut by_cloud: HashMap<Option<&str>, Vec<usize>> = HashMap::new();
        for i in of_offers {
            by_cloud.entry(snapshot.holds[i].cloud.as_deref()).or_default().push(i);
        }
        for cloud in &snapshot.clouds {
            let here = [by_cloud.get(&Some(cloud.name.as_str())), by_cloud.get(&None)];
            let mut by_flavor: HashMap<Option<&str>, Vec<usize>> = HashMap::new();
            for i in here.into_iter().flatten().flatten() {
                by_flavor.entry(snapshot.holds[*i].flavor.as_deref()).or_default().push(*i);
            }
            for offering in &cloud.offerings {
                let here = [by_flavor.get(&Some(offering.flavor.as_str())), by_flavor.get(&None)];
                let agrees = |i: &&usize| {
                    let hold = &snapshot.holds[**i];
                    hold.zone.as_ref().is_none_or(|zone| *zone == offering.zone)
                        && hold.purchase.is_none_or(|purchase| purchase == offering.purchase)
                        && hold.quota.is_none_or(|quota| Some(quota) == offering.quota)
                };
                near.of_offer.push(here.into_iter().flatten().flatten().filter(agrees).copied().collect());
            }
        }
        near
    }

    /// Indices of the holds that concern a launch, and whom else they concern.
    pub fn of<'s>(&'s self, thought: Thought<'s>) -> impl Iterator<Item = (usize, Concerns)> + 's {
        let Thought { pool, vo, class, number, offer } = thought;
        let image = self.snapshot.pools.get(pool).map_or("", |pool| pool.image_for(offer.offering.gpus));
        let near = self.of_offer.get(number as usize).into_iter().flatten().chain(&self.of_all);
        near.copied().filter_map(move |i| {
            let whom = &self.holds[i];
            let agrees = whom.pool.is_none_or(|named| named == pool)
                && whom.vo.is_none_or(|named| named == vo)
                && whom.image.is_none_or(|named| named == image)
                && whom.class.is_none_or(|named| class == Some(named));
            let concerns = match (whom.are_some(), whom.waits) {
                (false, false) => Concerns::Offer,
                (true, false) => Concerns::Some,
                (false, true) => Concerns::OfferWaits,
                (true, true) => Concerns::SomeWait,
            };
            agrees.then_some((i, concerns))
        })
    }

    /// Whether it is known what the class of the launch has shown on its pool and offer.
    pub fn knows(&self, thought: Thought<'_>) -> bool {
        self.of(thought).any(|(i, _)| self.snapshot.holds[i].is_of_a_circuit())
    }

    /// By number of the offer: whether a hold names it alone.
    pub fn is_known(&self) -> impl Iterator<Item = bool> {
        self.of_offer.iter().map(|near| near.iter().any(|i| self.snapshot.holds[*i].is_of_an_offering()))
    }

    /// Whether jobs may wait for what is held back.
    pub fn anyone_waits(&self) -> bool {
        self.anyone_waits
    }

    /// The holds near an offer that concern only some of its launches.
    pub fn particular(&self, offer: u32) -> Vec<usize> {
        let near = self.of_offer.get(offer as usize).into_iter().flatten();
        near.copied().filter(|i| self.holds[*i].are_some()).collect()
    }

    /// By index of the pool: whether a hold names it.
    pub fn names_pools(&self) -> Vec<bool> {
        let mut named = vec![false; self.snapshot.pools.len()];
        for pool in self.holds.iter().filter_map(|whom| whom.pool) {
            if let Some(named) = named.get_mut(pool) {
                *named = true;
            }
        }
        named
    }
}

impl Whom<'_> {
    /// Whether it names only some of the launches of an offer with the same image.
    fn are_some(&self) -> bool {
        self.pool.is_some() || self.vo.is_some() || self.class.is_some()
    }
}
