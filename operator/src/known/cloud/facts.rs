//! What is known of a cloud, and whether it can be bought from.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use broker::{
    cloud::{Cloud, CloudError, Coming, Headroom, Offers, Wanted, openstack::oidc::Identity},
    simulation::SimulatedCloud,
};
use crds::Reason;
use jiff::Timestamp;
use tokio::time::Instant;

use super::super::{frozen::Frozen, listing::Listing, missing::Lacking};
use crate::trouble::Trouble;

/// A cloud whose answers fail is bought from for this long all the same: one lost list must not move the demand of a whole cloud to
/// another.
pub(super) const GRACE: Duration = Duration::from_secs(120);
/// A headroom that is older than this says nothing any more.
pub(super) const HEADROOM_HOLDS: Duration = Duration::from_secs(600);
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
    pub what: Coming,
    /// When it will happen, by the provider.
    pub at: Timestamp,
    /// When the operator heard of it.
    pub heard: Timestamp,
}

/// What a Cloud that was deleted waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    /// It waits for nothing, and may go.
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
    /// The identity by which the driver enters the cloud, where that is another provider's.
    pub identity: Option<Arc<Identity>>,
    /// The simulated cloud, where it is one. It is changed, never replaced: its VMs live in it.
    pub simulated: Option<Arc<SimulatedCloud>>,
    /// Why no driver of the present spec and credential could be made.
    pub not_driven: Option<Trouble>,
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

/// The failure that says most. That a provider wants a pause, or that our own pace leaves no turn, is none before it has lasted.
pub(super) fn worst(failures: &BTreeMap<Question, Failure>, now: Instant) -> Option<CloudError> {
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
