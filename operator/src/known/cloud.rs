//! What the operator knows of one cloud, in memory: everything here can be read again from the provider.

use std::sync::{Arc, RwLock};

use broker::{
    cloud::{Cloud, CloudError, Headroom, Offers, Scope},
    simulation::SimulatedCloud,
};
use jiff::{SignedDuration, Timestamp};

use super::{
    exhausted::{Exhausted, Place},
    listing::Listing,
};
use crate::trouble::Trouble;

/// What is known of a cloud.
#[derive(Clone, Default)]
pub struct Facts {
    /// The driver of the present spec and credential; an old one stays in force while a new one cannot be made.
    pub driver: Option<Arc<dyn Cloud>>,
    /// The simulated cloud, where it is one. It is changed, never replaced: its VMs live in it.
    pub simulated: Option<Arc<SimulatedCloud>>,
    /// Why no driver of the present spec and credential could be made.
    pub not_driven: Option<Trouble>,
    /// What it offers.
    pub offers: Option<Arc<Offers>>,
    /// What may still be bought, and when that was asked for.
    pub headroom: Option<(Timestamp, Arc<Headroom>)>,
    /// What the provider's last answer was, when it was an error.
    pub refused: Option<CloudError>,
    /// The last list of VMs.
    pub listing: Option<Arc<Listing>>,
    /// VMs without a PilotVM that were deleted.
    pub orphans: u64,
}

/// One cloud, shared by its poller, the rounds and the PilotVMs.
#[derive(Default)]
pub struct Handle {
    facts: RwLock<Facts>,
    exhausted: RwLock<Exhausted>,
}

impl Handle {
    /// A copy of what is known.
    pub fn facts(&self) -> Facts {
        self.facts.read().map(|f| f.clone()).unwrap_or_default()
    }

    /// Changes what is known.
    pub fn update(&self, change: impl FnOnce(&mut Facts)) {
        if let Ok(mut facts) = self.facts.write() {
            change(&mut facts);
        }
    }

    /// The offering was refused.
    pub fn refused(&self, flavor: &str, zone: Option<&str>, now: Timestamp) {
        if let Ok(mut e) = self.exhausted.write() {
            e.refused(flavor, zone, now);
        }
    }

    /// The offering was refused, and all that the scope of the refusal covers with it.
    pub fn refused_in(&self, scope: Scope, flavor: &str, zone: Option<&str>, now: Timestamp) {
        self.refused(flavor, zone, now);
        let Some(offers) = self.facts().offers else { return };
        let class = |name: &str| offers.offers.iter().find(|o| o.flavor == name).map(|o| o.quota_class.as_str());
        let covered = offers.offers.iter().filter(|offer| match scope {
            Scope::Offer => false,
            Scope::Zone => offer.zone.as_deref() == zone,
            Scope::Class => class(flavor) == Some(offer.quota_class.as_str()),
            Scope::Cloud => true,
        });
        for offer in covered {
            self.refused(&offer.flavor, offer.zone.as_deref(), now);
        }
    }

    /// The offering was granted.
    pub fn granted(&self, flavor: &str, zone: Option<&str>) {
        if let Ok(mut e) = self.exhausted.write() {
            e.granted(flavor, zone);
        }
    }

    /// A VM of the offering came to nothing in the pool.
    pub fn failed(&self, pool: &str, flavor: &str, zone: Option<&str>, now: Timestamp) {
        if let Ok(mut e) = self.exhausted.write() {
            e.failed(pool, flavor, zone, now);
        }
    }

    /// A VM of the offering works in the pool.
    pub fn worked(&self, pool: &str, flavor: &str, zone: Option<&str>) {
        if let Ok(mut e) = self.exhausted.write() {
            e.worked(pool, flavor, zone);
        }
    }

    /// Flavors and zones that came to nothing in the pool a moment ago.
    pub fn failing(&self, pool: &str, now: Timestamp) -> Vec<Place> {
        self.exhausted.read().map(|e| e.failing(pool, now)).unwrap_or_default()
    }

    /// Whether the offering is to be left alone now.
    pub fn is_refused(&self, flavor: &str, zone: Option<&str>, now: Timestamp) -> bool {
        self.exhausted.read().is_ok_and(|e| e.is_refused(flavor, zone, now))
    }
}

impl Facts {
    /// Whether VMs may be bought now: there is a driver, its offers are known and its headroom is
    /// known and young, and the last answer was no refusal.
    pub fn usable(&self, now: Timestamp) -> bool {
        let young = |at: Timestamp| now.duration_since(at) < SignedDuration::from_mins(10);
        self.driver.is_some()
            && self.not_driven.is_none()
            && self.refused.is_none()
            && self.offers.is_some()
            && self.headroom.as_ref().is_some_and(|(at, _)| young(*at))
    }
}
