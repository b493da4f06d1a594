//! What the operator knows of one cloud, in memory: everything here can be read again from the provider.

mod facts;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};

use broker::cloud::{CloudError, Coming, Notice, Scope};
use jiff::Timestamp;
use tokio::time::Instant;

use facts::worst;
pub use facts::{Announced, Facts, Failure, Needed, Question};

use super::{
    Known,
    brake::{Brake, Limit},
    exhausted::Exhausted,
    listing::Listing,
    place::{Lot, Place},
};

/// One cloud, shared by its poller, the rounds and the PilotVMs. It is what is known of the cloud, and what was learnt by trying.
pub struct Handle {
    known: Known<Facts>,
    exhausted: Mutex<Exhausted>,
    losses: Mutex<Brake>,
    orphans: Mutex<Brake>,
}

impl Default for Handle {
    fn default() -> Self {
        Self {
            known: Known::default(),
            exhausted: Mutex::default(),
            losses: Mutex::new(Brake::new(Limit::LOSSES)),
            orphans: Mutex::new(Brake::new(Limit::ORPHANS)),
        }
    }
}

impl Deref for Handle {
    type Target = Known<Facts>;

    fn deref(&self) -> &Known<Facts> {
        &self.known
    }
}

impl Handle {
    /// Whether the loss of this VM may be believed, of which the provider has just said that there is no such VM, or that somebody
    /// deleted it.
    ///
    /// Ask this before anything is concluded from a VM that went without our doing: before its end is written down (`Vanished`), its row
    /// closed, or anything bought in its stead. `false`: too many of the cloud's VMs are missing at once, or nothing has been listed yet.
    /// The VM then counts as alive, as supply and against all limits; look again at the next turn of the poller, which rings those
    /// that are missing. The Cloud says in its condition Frozen what a person can do. A VM whose deletion we asked for need not be
    /// asked for here. To ask twice counts once.
    pub fn may_lose(&self, uid: &str, now: Instant) -> bool {
        self.losses(|brake| brake.may_pass(uid, now))
    }

    /// The brake on losses.
    pub fn losses<T>(&self, work: impl FnOnce(&mut Brake) -> T) -> T {
        work(&mut self.losses.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The brake on the deletion of orphans.
    pub fn orphans<T>(&self, work: impl FnOnce(&mut Brake) -> T) -> T {
        work(&mut self.orphans.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The provider announced something about a VM. A word that came before is kept where it said worse.
    pub fn announced(&self, notice: &Notice, heard: Timestamp) {
        self.update(|f| {
            let all = Arc::make_mut(&mut f.announced);
            if all.get(&notice.id).is_none_or(|before| before.what != Coming::Reclaim) {
                all.insert(notice.id.clone(), Announced { what: notice.what, at: notice.at, heard });
            }
        });
    }

    /// Forgets what was announced about VMs that a list does not have. One of which was heard after the list was asked for stays.
    pub fn forget_announced(&self, listing: &Listing) {
        if self.facts().announced.is_empty() {
            return;
        }
        let listed: BTreeSet<&str> = listing.vms.values().flatten().map(|vm| vm.id.as_str()).collect();
        self.update(|f| {
            Arc::make_mut(&mut f.announced)
                .retain(|id, said| said.heard >= listing.started || listed.contains(id.as_str()));
        });
    }

    /// The provider answered a question of this kind.
    pub fn answered(&self, question: Question, now: Instant) {
        self.update(|f| {
            f.failures.remove(&question);
            f.refused = worst(&f.failures, now);
        });
    }

    /// It did not.
    pub fn not_answered(&self, question: Question, error: &CloudError, now: Instant) {
        self.update(|f| {
            let since = f.failures.get(&question).map_or(now, |failure| failure.since);
            f.failures.insert(question, Failure { error: error.clone(), since });
            f.refused = worst(&f.failures, now);
        });
    }

    /// The provider refused to make a VM here, and would refuse what the scope covers.
    pub fn refused(&self, scope: Scope, place: &Place, now: Instant) {
        let class = self.class(place);
        self.exhausted(|e| e.refused(scope, place, class.as_deref(), now));
    }

    /// The provider made a VM here.
    pub fn granted(&self, place: &Place, now: Instant) {
        let class = self.class(place);
        self.exhausted(|e| e.granted(place, class.as_deref(), now));
    }

    /// Whether a VM may be ordered here now. Ask this just before each order: what was planned a moment ago may have been refused to
    /// another VM since. After a pause the first VM that asks may order, and is the one that tries; the others are told no until
    /// [`Handle::granted`] or [`Handle::refused`] says what came of it.
    pub fn may_try(&self, place: &Place, now: Instant) -> bool {
        let class = self.class(place);
        self.exhausted(|e| e.may_try(place, class.as_deref(), now))
    }

    /// A VM of this lot came to nothing.
    pub fn failed(&self, lot: &Lot, now: Instant) {
        self.exhausted(|e| e.failed(lot, now));
    }

    /// The pilot of a VM of this lot asks for work.
    pub fn worked(&self, lot: &Lot) {
        self.exhausted(|e| e.worked(lot));
    }

    /// Places at which nothing may be bought now, since the provider refused.
    pub fn refused_places(&self, now: Instant) -> BTreeSet<Place> {
        let classes = self.classes();
        self.exhausted(|e| e.refused_places(classes.iter().map(|(place, class)| (place, class.as_str())), now))
    }

    /// Places at which this pool may buy nothing now, since its last VMs came to nothing.
    pub fn failing(&self, pool: &str, now: Instant) -> BTreeSet<Place> {
        self.exhausted(|e| e.failing(pool, now))
    }

    /// How many VMs of each lot worked so far.
    pub fn worked_lots(&self) -> Vec<(Lot, u64)> {
        self.exhausted(|e| e.worked_lots())
    }

    /// Forgets what was learnt of pools that `pools` does not name.
    pub fn retain_pools(&self, pools: impl Fn(&str) -> bool) {
        self.exhausted(|e| e.retain(pools));
    }

    fn exhausted<T>(&self, work: impl FnOnce(&mut Exhausted) -> T) -> T {
        work(&mut self.exhausted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The class of quota of each place on offer.
    fn classes(&self) -> BTreeMap<Place, String> {
        let Some(offers) = self.facts().offers else { return BTreeMap::new() };
        let place = |offer: &broker::cloud::Offer| Place {
            flavor: offer.flavor.clone(),
            zone: offer.zone.clone(),
            purchase: offer.purchase,
        };
        offers.offers.iter().map(|offer| (place(offer), offer.quota_class.clone())).collect()
    }

    fn class(&self, place: &Place) -> Option<String> {
        let offers = self.facts().offers?;
        let found = offers
            .offers
            .iter()
            .find(|o| o.flavor == place.flavor && o.zone == place.zone && o.purchase == place.purchase);
        found.map(|offer| offer.quota_class.clone())
    }
}

#[cfg(test)]
#[path = "cloud_tests.rs"]
mod tests;
