//! What the operator knows of one cloud, in memory: everything here can be read again from the provider.

mod facts;

use std::{
    collections::BTreeSet,
    ops::Deref,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use broker::{
    cloud::{CloudError, Coming, Notice, Scope},
    experience::{Budgets, Lot, Reclaims, reclaims::Offering},
};
use crds::{
    Cloud,
    restraint::{Reclaim, Refusal, Silent},
};
use jiff::Timestamp;
use kube::ResourceExt;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use facts::worst;
pub use facts::{Announced, Facts, Failure, Needed, Question};

use super::{
    Known,
    brake::{Brake, Limit},
    listing::Listing,
    lots::class,
    restraints::{never_asked, reclaims, refusals, refused, silent, taken_back},
    turns::Turns,
};

/// What was learnt of a cloud by buying from it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bought {
    /// How many VMs may be on their way at once.
    pub budgets: Arc<Budgets>,
    /// How often the provider takes VMs back.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub reclaims: Arc<Reclaims>,
    /// UIDs of the PilotVMs whose VMs the provider has made.
    pub made: Arc<BTreeSet<String>>,
}

fn is_nothing(reclaims: &Arc<Reclaims>) -> bool {
    **reclaims == Reclaims::default()
}

/// One cloud, shared by its poller, the rounds and the PilotVMs. It is what is known of the cloud, and what was learnt by trying.
pub struct Handle {
    known: Known<Facts>,
    /// Of its PilotVMs, to write down why they wait.
    pub turns: Turns,
    bought: Mutex<Bought>,
    /// Whether it is known what was learnt before the operator started.
    remembers: AtomicBool,
    losses: Mutex<Brake>,
    orphans: Mutex<Brake>,
}

impl Default for Handle {
    fn default() -> Self {
        Self {
            known: Known::default(),
            turns: Turns::default(),
            bought: Mutex::default(),
            remembers: AtomicBool::default(),
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
    /// closed, or anything bought in its place. `false`: too many of the cloud's VMs are missing at once, or nothing has been listed yet.
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

    /// The provider refused the VM of this lot that was ordered at `ordered`, and would refuse what the scope covers.
    pub fn refused(&self, lot: &Lot, scope: Scope, ordered: Timestamp, now: Timestamp) {
        let class = self.class(lot);
        self.bought(|b| Arc::make_mut(&mut b.budgets).refused((lot, class.as_ref()), scope, None, ordered, now));
    }

    /// The provider took the order of a VM of this lot. It may still find no host for it.
    pub fn accepted(&self, lot: &Lot, now: Timestamp) {
        let class = self.class(lot);
        self.bought(|b| Arc::make_mut(&mut b.budgets).accepted(lot, class.as_ref(), now));
    }

    /// The provider has made the VM of this PilotVM, which was ordered at `ordered`. To say it twice counts once.
    pub fn granted(&self, uid: &str, lot: &Lot, ordered: Timestamp, now: Timestamp) {
        let class = self.class(lot);
        self.bought(|b| {
            if Arc::make_mut(&mut b.made).insert(uid.to_owned()) {
                Arc::make_mut(&mut b.budgets).granted(lot, class.as_ref(), ordered, now);
            }
        });
    }

    /// Whether a VM of this lot may be ordered now. Ask this just before each order: what was planned a moment ago may have been refused
    /// to another VM since. After a pause the first VM that asks may be ordered, and is the one that tries; the others are told no until
    /// it is known what came of it.
    pub fn may_order(&self, lot: &Lot, now: Timestamp) -> bool {
        let class = self.class(lot);
        self.bought(|b| Arc::make_mut(&mut b.budgets).may_order(lot, class.as_ref(), now))
    }

    /// Whether an order may name this lot beside another one. Ask this when the attempt begins.
    pub fn may_also_order(&self, lot: &Lot, now: Timestamp) -> bool {
        let class = self.class(lot);
        self.bought(|b| Arc::make_mut(&mut b.budgets).may_also_order(lot, class.as_ref(), now))
    }

    /// The pilot of a VM of this lot asks for work.
    pub fn asked(&self, lot: &Lot, now: Timestamp) {
        self.bought(|b| Arc::make_mut(&mut b.budgets).asked(lot, now));
    }

    /// This many VMs of this lot work.
    pub fn works(&self, lot: &Lot, vms: u64, now: Timestamp) {
        self.bought(|b| Arc::make_mut(&mut b.budgets).works(lot, vms, now));
    }

    /// A VM of this lot, ordered at `ordered`, came to nothing: its pilot never asked for work, and could have.
    pub fn never_asked(&self, lot: &Lot, ordered: Timestamp, now: Timestamp) {
        self.bought(|b| Arc::make_mut(&mut b.budgets).never_asked(lot, ordered, now));
    }

    /// A VM of this lot is gone that lived for so many seconds; `reclaimed`: the provider took it back.
    pub fn lived(&self, lot: &Lot, seconds: u64, reclaimed: bool, now: Timestamp) {
        self.bought(|b| Arc::make_mut(&mut b.reclaims).lived(&Offering::of(lot), seconds, reclaimed, now));
    }

    /// There may be room again at the provider's.
    pub fn may_have_room(&self, cloud: &str, now: Timestamp) {
        self.bought(|b| Arc::make_mut(&mut b.budgets).may_have_room(cloud, now));
    }

    /// Takes over what was learnt before the operator started, once.
    pub fn remember(&self, cloud: &Cloud, now: Timestamp) {
        if self.remembers.swap(true, Relaxed) {
            return;
        }
        let Some(status) = &cloud.status else { return };
        let name = cloud.name_any();
        let (refused, silent) = (refused(&name, &status.refusals), never_asked(&name, &status.silent));
        let reclaims = taken_back(&name, &status.reclaims);
        self.bought(|b| {
            Arc::make_mut(&mut b.budgets).remember(refused, silent, now);
            Arc::make_mut(&mut b.reclaims).remember(reclaims, now);
        });
    }

    /// What was learnt by buying, for a status; `None` as long as it is not known what was learnt before the operator started.
    pub fn written(&self, now: Timestamp) -> Option<(Vec<Refusal>, Vec<Silent>, Vec<Reclaim>)> {
        let words = |b: &mut Bought| {
            (refusals(b.budgets.refusals()), silent(b.budgets.silent()), reclaims(b.reclaims.all(now)))
        };
        self.remembers.load(Relaxed).then(|| self.bought(words))
    }

    /// What was learnt by buying.
    pub fn learnt(&self) -> Bought {
        self.bought(|b| b.clone())
    }

    /// Forgets the PilotVMs that are gone.
    pub fn retain_made(&self, is_there: impl Fn(&str) -> bool) {
        self.bought(|b| {
            if b.made.iter().any(|uid| !is_there(uid)) {
                Arc::make_mut(&mut b.made).retain(|uid| is_there(uid));
            }
        });
    }

    fn bought<T>(&self, work: impl FnOnce(&mut Bought) -> T) -> T {
        work(&mut self.bought.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn class(&self, lot: &Lot) -> Option<Arc<str>> {
        class(lot, self.facts().offers.as_deref())
    }
}

#[cfg(test)]
#[path = "cloud_tests.rs"]
mod tests;
