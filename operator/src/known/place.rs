//! Where and how VMs are bought, what is bought alike, and how far a refusal reaches.

use broker::cloud::{Purchase, Scope};
use crds::PilotVM;
use serde::{Deserialize, Serialize};

/// Where and how a VM is bought.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Flavor by name.
    pub flavor: String,
    /// Availability zone; `None`: the provider chooses.
    pub zone: Option<String>,
    /// How it is paid.
    pub purchase: Purchase,
}

#[cfg(test)]
impl Place {
    /// On demand, the usual way.
    pub fn on_demand(flavor: &str, zone: Option<&str>) -> Self {
        Self { flavor: flavor.to_owned(), zone: zone.map(str::to_owned), purchase: Purchase::OnDemand }
    }
}

/// VMs of one pool that are made alike: what one of them shows holds for the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lot {
    /// The PilotPool.
    pub pool: String,
    /// The image, by the pools' name for it.
    pub image: String,
    /// Where it is bought.
    pub place: Place,
}

impl Lot {
    /// The lot of a VM, as it was wished.
    pub fn of(vm: &PilotVM) -> Self {
        let offering = &vm.spec.offering;
        let purchase = match offering.purchase {
            crds::pool::Purchase::OnDemand => Purchase::OnDemand,
            crds::pool::Purchase::Spot => Purchase::Spot,
        };
        let place = Place { flavor: offering.flavor.clone(), zone: offering.zone.clone(), purchase };
        Self { pool: vm.spec.pool_ref.name.clone(), image: vm.spec.image.clone(), place }
    }
}

/// What a refusal reaches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reach {
    /// This offer.
    Offer(Place),
    /// All offers of this zone.
    Zone(Option<String>),
    /// All offers of this class of quota.
    Class(String),
    /// All offers.
    Cloud,
}

impl Reach {
    /// How far a refusal of this scope reaches, at a place whose offer has this class of quota. Without the class: the cloud.
    pub fn of(scope: Scope, place: &Place, class: Option<&str>) -> Self {
        match (scope, class) {
            (Scope::Offer, _) => Self::Offer(place.clone()),
            (Scope::Zone, _) => Self::Zone(place.zone.clone()),
            (Scope::Class, Some(class)) => Self::Class(class.to_owned()),
            (Scope::Class, None) | (Scope::Cloud, _) => Self::Cloud,
        }
    }

    /// Whether it covers this place.
    pub fn covers(&self, place: &Place, class: Option<&str>) -> bool {
        match self {
            Self::Offer(offer) => offer == place,
            Self::Zone(zone) => *zone == place.zone,
            Self::Class(name) => class == Some(name),
            Self::Cloud => true,
        }
    }
}
