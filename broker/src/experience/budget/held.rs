//! Why no more VMs of a lot may be ordered now: for the plan's sentences.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::{Lot, Reach};

/// What keeps a launch budget from being larger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Held {
    /// So many orders are on their way, and as many may be until the provider grants one.
    OnTheirWay {
        /// What may be under way.
        most: u64,
    },
    /// The provider refused.
    Refused {
        /// What it would refuse too.
        reach: Reach,
        /// When it began to.
        since: Timestamp,
        /// When one VM tries.
        until: Timestamp,
    },
    /// VMs boot, and more are made when one has asked for work.
    Unproven {
        /// As many may boot.
        most: u64,
        /// Whether one ever asked.
        has_asked: bool,
    },
    /// The last VMs never asked for work.
    NeverAsked {
        /// So many in a row.
        in_a_row: u32,
        /// When one VM tries.
        until: Timestamp,
    },
}

impl Held {
    /// The sentence: what hinders, and when that ends.
    pub fn message(&self, lot: &Lot) -> String {
        let Lot { cloud, flavor, image, .. } = lot;
        let zone = lot.zone.as_ref().map_or_else(String::new, |zone| format!(" in zone {zone}"));
        match self {
            Self::OnTheirWay { most } => format!(
                "flavor {flavor}{zone} on cloud {cloud}: at most {most} orders are under way at once: more follow when the cloud grants one"
            ),
            Self::Refused { reach, since, until } => {
                let what = match reach {
                    Reach::Offer { .. } => format!("flavor {flavor}{zone}"),
                    Reach::Zone(_, zone) => {
                        zone.as_ref().map_or("every zone".to_owned(), |zone| format!("zone {zone}"))
                    }
                    Reach::Class(_, class) => format!("the quota of {class}"),
                    Reach::Cloud(_) => "everything".to_owned(),
                };
                format!("cloud {cloud} has refused {what} since {since:.0}: one VM tries at {until:.0}")
            }
            Self::Unproven { most, has_asked: false } => format!(
                "{most} VMs with image {image} and flavor {flavor}{zone} on cloud {cloud} may boot until the first has asked for work"
            ),
            Self::Unproven { most, has_asked: true } => format!(
                "{most} VMs with image {image} and flavor {flavor}{zone} on cloud {cloud} may boot at once: more when more have asked for work"
            ),
            Self::NeverAsked { in_a_row, until } => format!(
                "the last {in_a_row} VMs with image {image} and flavor {flavor}{zone} on cloud {cloud} never asked for work: one VM tries at \
                 {until:.0}"
            ),
        }
    }
}
