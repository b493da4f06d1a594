//! Why no more VMs of a lot may be ordered now: for the plan's sentences.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::{Lot, Reach};

/// What keeps a launch budget from being larger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Held {
    /// The orders on their way are as many as may be until the provider grants one.
    OnTheirWay {
        /// What may be under way.
        most: u64,
    },
    /// The provider refused, and one VM tries from time to time.
    Refused {
        /// What it would refuse too.
        reach: Reach,
        /// Since when it refuses.
        since: Timestamp,
        /// When one VM tries.
        until: Timestamp,
    },
    /// VMs boot, and more are made when one has asked for work.
    Unproven {
        /// At most this many may boot.
        most: u64,
        /// Whether one ever asked.
        has_asked: bool,
    },
    /// The last VMs never asked for work.
    NeverAsked {
        /// How many in a row.
        in_a_row: u32,
        /// When one VM tries.
        until: Timestamp,
    },
}

impl Held {
    /// Whether it is over as soon as VMs that are on their way have shown something. Otherwise the jobs are given to another offering.
    pub fn is_soon_over(&self) -> bool {
        matches!(self, Self::OnTheirWay { .. } | Self::Unproven { .. })
    }

    /// The sentence: what hinders, and when that ends. Of what reaches more than one offer, the lot has no flavor.
    pub fn message(&self, lot: &Lot) -> String {
        let Lot { cloud, flavor, image, .. } = lot;
        let zone = lot.zone.as_ref().map_or_else(String::new, |zone| format!(" in zone {zone}"));
        let what = if flavor.is_empty() { format!("VMs{zone}") } else { format!("VMs of flavor {flavor}{zone}") };
        match self {
            Self::OnTheirWay { most } => format!(
                "cloud {cloud}: at most {most} orders of {what} are under way at once, and more follow when the cloud grants one"
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
                "cloud {cloud}: at most {most} {what} with image {image} boot at once, until the first of them has asked for work"
            ),
            Self::Unproven { most, has_asked: true } => format!(
                "cloud {cloud}: at most {most} {what} with image {image} boot at once, and more when more of them have asked for work"
            ),
            Self::NeverAsked { in_a_row, until } => format!(
                "cloud {cloud}: the last {in_a_row} {what} with image {image} never asked for work, and one VM tries at {until:.0}; see \
                 their events and console logs (ConfigMaps with the label diracgrid.org/console)"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_wait_for_what_vms_on_their_way_will_show_and_not_for_the_end_of_a_pause() {
        let (since, until) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        assert!(Held::OnTheirWay { most: 1 }.is_soon_over());
        assert!(Held::Unproven { most: 8, has_asked: false }.is_soon_over());
        assert!(!Held::NeverAsked { in_a_row: 5, until }.is_soon_over());
        assert!(!Held::Refused { reach: Reach::Cloud("cppm".into()), since, until }.is_soon_over());
    }
}
