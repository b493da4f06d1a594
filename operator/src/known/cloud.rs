//! What the operator knows of one cloud, in memory: everything here can be read again from the provider.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use broker::{
    cloud::{Cloud, CloudError, Coming, Headroom, Notice, Offers, Scope, Wanted},
    simulation::SimulatedCloud,
};
use crds::Reason;
use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    Known,
    brake::{Brake, Limit},
    exhausted::Exhausted,
    frozen::Frozen,
    listing::Listing,
    missing::Lacking,
    place::{Lot, Place},
};
use crate::trouble::Trouble;

/// A cloud whose answers fail is bought from for this long all the same: one lost list must not move the demand of a whole cloud to
/// another.
const GRACE: Duration = Duration::from_secs(120);
/// A headroom that is older than this says nothing any more.
const HEADROOM_HOLDS: Duration = Duration::from_secs(600);
/// Troubles with making a driver that pass by themselves: the driver that there is stays good.
const PASSING: [Reason; 4] = [Reason::Transient, Reason::Throttled, Reason::ApiServer, Reason::SecretUnreadable];

/// What is asked of a provider regularly, or by a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Question {
    /// To make a VM.
    Launch,
    /// What is on offer.
    Offers,
    /// How much may be bought.
    Headroom,
    /// Which VMs there are.
    List,
}

/// A question that was not answered.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What came instead, the last time.
    pub error: CloudError,
    /// Since when it has not been answered.
    pub since: Instant,
}

/// What the provider announced about one VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// What happens.
    pub what: Coming,
    /// When.
    pub at: Timestamp,
    /// When that was heard.
    pub heard: Timestamp,
}

/// What a Cloud that was deleted waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    /// Nothing.
    No,
    /// PilotVMs that name it.
    PilotVms(usize),
    /// VMs with our tag that are left there, and that no other Cloud can delete.
    Orphans(usize),
    /// Which VMs are left there is not known.
    Unknown,
}

/// What is known of a cloud.
#[derive(Clone, Default)]
pub struct Facts {
    /// The driver of the present spec and credential; an old one stays in force while a new one cannot be made.
    pub driver: Option<Arc<dyn Cloud>>,
    /// The simulated cloud, where it is one. It is changed, never replaced: its VMs live in it.
    pub simulated: Option<Arc<SimulatedCloud>>,
    /// Why no driver of the present spec and credential could be made.
    pub not_driven: Option<Trouble>,
    /// Since when that is so.
    pub not_driven_since: Option<Instant>,
    /// What it offers, of what was wanted.
    pub offers: Option<Arc<Offers>>,
    /// What was wanted when the offers were read.
    pub wanted: Arc<Wanted>,
    /// What may still be bought, and when that was asked for.
    pub headroom: Option<(Timestamp, Arc<Headroom>)>,
    /// The same moment in steady time.
    pub headroom_read: Option<Instant>,
    /// What was not answered the last time that it was asked.
    pub failures: BTreeMap<Question, Failure>,
    /// Of those the one that says most: a refused credential, else the one that lasts longest.
    pub refused: Option<CloudError>,
    /// The last list of VMs.
    pub listing: Option<Arc<Listing>>,
    /// Since when the simulated cloud is there: VMs that were launched before are gone.
    pub simulated_since: Option<Timestamp>,
    /// VMs of ours that the list lacks. They count as alive.
    pub missing: Arc<Lacking>,
    /// What the provider announced about VMs, by the provider's id.
    pub announced: Arc<BTreeMap<String, Announced>>,
    /// VMs with our tag that have no PilotVM and are not deleted yet.
    pub orphans: u64,
    /// Such VMs that were deleted.
    pub orphans_deleted: u64,
    /// What needs this Cloud, where that was asked since it or its Secret was deleted.
    pub needed: Option<Needed>,
    /// What nobody believes or deletes before a person says so.
    pub frozen: Vec<Frozen>,
}

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

/// The failure that says most. That a provider wants a pause, or that our own pace leaves no turn, is none before it has lasted.
fn worst(failures: &BTreeMap<Question, Failure>, now: Instant) -> Option<CloudError> {
    let is_refused = |failure: &Failure| matches!(failure.error, CloudError::Unauthorized(_));
    let is_said = |failure: &&Failure| {
        !matches!(failure.error, CloudError::Throttled { .. }) || now.duration_since(failure.since) >= GRACE
    };
    let worst = failures.values().filter(is_said).min_by_key(|failure| (!is_refused(failure), failure.since));
    worst.map(|failure| failure.error.clone())
}

impl Facts {
    /// Whether VMs may be bought now: there is a driver, what it offers is known, and the provider answers, or did until a moment ago.
    pub fn usable(&self, now: Instant) -> bool {
        let holds = |since: Option<Instant>, time: Duration| since.is_some_and(|s| now.duration_since(s) < time);
        let is_driven = self
            .not_driven
            .as_ref()
            .is_none_or(|trouble| PASSING.contains(&trouble.reason) && holds(self.not_driven_since, GRACE));
        let is_passing = |failure: &Failure| {
            !matches!(failure.error, CloudError::Unauthorized(_)) && holds(Some(failure.since), GRACE)
        };
        self.driver.is_some()
            && is_driven
            && self.offers.is_some()
            && self.headroom.is_some()
            && holds(self.headroom_read, HEADROOM_HOLDS)
            && self.failures.values().all(is_passing)
    }

    /// Notes why no driver could be made, or that one was.
    pub fn driven(&mut self, trouble: Option<Trouble>, now: Instant) {
        self.not_driven_since = trouble.as_ref().map(|_| self.not_driven_since.unwrap_or(now));
        self.not_driven = trouble;
    }
}

#[cfg(test)]
#[path = "cloud_tests.rs"]
mod tests;
