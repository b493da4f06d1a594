//! What is bought alike, and how far a refusal reaches.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cloud::{Purchase, Scope};

/// VMs that are made alike: what one of them shows holds for the next.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lot {
    /// Name of the Cloud object.
    pub cloud: Arc<str>,
    /// Availability zone; `None`: the provider chooses.
    pub zone: Option<Arc<str>>,
    /// Name of the flavor at the provider.
    pub flavor: Arc<str>,
    /// On demand or as a spot VM.
    pub purchase: Purchase,
    /// What boots: the image, and whatever else decides whether a pilot comes up, in the caller's words.
    pub image: Arc<str>,
}

/// Everything that the provider would refuse together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reach {
    /// This flavor in this zone, bought in this way.
    Offer {
        /// Name of the Cloud object.
        cloud: Arc<str>,
        /// Availability zone; `None`: the provider chooses.
        zone: Option<Arc<str>>,
        /// Name of the flavor at the provider.
        flavor: Arc<str>,
        /// On demand or as a spot VM.
        purchase: Purchase,
    },
    /// All offers of this zone: the cloud, and the zone.
    Zone(Arc<str>, Option<Arc<str>>),
    /// All offers of this class of quota: the cloud, and the class.
    Class(Arc<str>, Arc<str>),
    /// All offers of this cloud, by the name of its object.
    Cloud(Arc<str>),
}

impl Reach {
    /// How far a refusal of this scope reaches, for a lot whose offer has this class of quota. Without the class: the cloud.
    pub fn of(scope: Scope, lot: &Lot, class: Option<&Arc<str>>) -> Self {
        match (scope, class) {
            (Scope::Offer, _) => Self::offer(lot),
            (Scope::Zone, _) => Self::Zone(lot.cloud.clone(), lot.zone.clone()),
            (Scope::Class, Some(class)) => Self::Class(lot.cloud.clone(), class.clone()),
            (Scope::Class, None) | (Scope::Cloud, _) => Self::Cloud(lot.cloud.clone()),
        }
    }

    /// The offer of a lot, whatever boots there.
    pub fn offer(lot: &Lot) -> Self {
        Self::Offer {
            cloud: lot.cloud.clone(),
            zone: lot.zone.clone(),
            flavor: lot.flavor.clone(),
            purchase: lot.purchase,
        }
    }

    /// All that covers this lot, the narrowest first.
    pub fn all(lot: &Lot, class: Option<&Arc<str>>) -> impl Iterator<Item = Self> {
        let class = class.map(|class| Self::Class(lot.cloud.clone(), class.clone()));
        let zone = Self::Zone(lot.cloud.clone(), lot.zone.clone());
        [Some(Self::offer(lot)), Some(zone), class, Some(Self::Cloud(lot.cloud.clone()))].into_iter().flatten()
    }

    /// Name of the Cloud object in which it lies.
    pub fn cloud(&self) -> &str {
        match self {
            Self::Offer { cloud, .. } | Self::Zone(cloud, _) | Self::Class(cloud, _) | Self::Cloud(cloud) => cloud,
        }
    }

    /// Whether it reaches more than one offer.
    pub fn is_wide(&self) -> bool {
        !matches!(self, Self::Offer { .. })
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// An ordinary lot.
    pub fn lot(flavor: &str, image: &str) -> Lot {
        Lot {
            cloud: "cppm".into(),
            zone: None,
            flavor: flavor.into(),
            purchase: Purchase::OnDemand,
            image: image.into(),
        }
    }

    #[test]
    fn each_scope_reaches_what_would_be_refused_for_the_same_reason() {
        let class: Arc<str> = "project".into();
        let covers = |scope, other: &Lot, its: &Arc<str>| {
            let reach = Reach::of(scope, &lot("c8", "el9"), Some(&class));
            Reach::all(other, Some(its)).any(|r| r == reach)
        };
        let gpu: Arc<str> = "gpu".into();
        let zone = Lot { zone: Some("b".into()), ..lot("c8", "el9") };
        assert!(covers(Scope::Offer, &lot("c8", "el8"), &class) && !covers(Scope::Offer, &lot("c16", "el9"), &class));
        assert!(covers(Scope::Zone, &lot("c16", "el9"), &gpu) && !covers(Scope::Zone, &zone, &class));
        assert!(covers(Scope::Class, &zone, &class) && !covers(Scope::Class, &lot("c8", "el9"), &gpu));
        assert!(covers(Scope::Cloud, &zone, &gpu));
        let spot = Lot { purchase: Purchase::Spot, ..lot("c8", "el9") };
        assert!(!covers(Scope::Offer, &spot, &class));
        assert_eq!(Reach::of(Scope::Class, &zone, None), Reach::Cloud("cppm".into()));
    }
}
