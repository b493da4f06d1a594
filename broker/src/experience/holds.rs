//! What launch budgets mean for a plan: the holds on one cloud. Pure.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use super::{Allowance, Budgets, Flight, Held, Lot, Reach};
use crate::{
    cloud::Purchase,
    plan::{Hold, Reason},
};

/// What is known of a cloud beside what was learnt.
pub struct Shop<'a> {
    /// Name of the Cloud object.
    pub cloud: &'a str,
    /// The VMs that are on their way there.
    pub flight: &'a Flight,
    /// What boots in the pools that buy there: as the plan's pools name it, and as lots do.
    pub images: &'a BTreeSet<(Arc<str>, Arc<str>)>,
}

/// The holds on a cloud. `of_class` narrows one down to a class of quota: one bound for all its offers, or one for each.
pub fn holds(
    budgets: &Budgets,
    shop: &Shop<'_>,
    of_class: impl Fn(&str, &Hold) -> Vec<Hold>,
    now: Timestamp,
) -> Vec<Hold> {
    let Shop { cloud, flight, images } = shop;
    let mut holds = Vec::new();
    for (reach, allowance) in budgets.rooms(flight, now) {
        match &reach {
            Reach::Offer { zone, flavor, purchase, .. } => {
                let (zone, flavor, purchase) = (zone.clone(), flavor.clone(), *purchase);
                let of = |image: &Arc<str>| Lot {
                    cloud: (*cloud).into(),
                    zone: zone.clone(),
                    flavor: flavor.clone(),
                    purchase,
                    image: image.clone(),
                };
                holds.push(of_offer(&allowance, &of(&"".into())));
                // What boots there has shown something of its own.
                holds.extend(images.iter().map(|(image, in_lots)| {
                    let proof = budgets.proof(&of(in_lots), flight, now);
                    Hold { image: Some(image.to_string()), ..of_offer(&proof, &of(image)) }
                }));
            }
            Reach::Zone(_, zone) => {
                let named = Some(zone.as_deref().map(str::to_owned));
                holds.push(Hold { zone: named, ..wide(&allowance, cloud, zone.clone()) });
            }
            Reach::Class(_, class) => holds.extend(of_class(class, &wide(&allowance, cloud, None))),
            Reach::Cloud(_) => holds.push(wide(&allowance, cloud, None)),
        }
    }
    holds
}

/// The hold on one offering.
fn of_offer(allowance: &Allowance, lot: &Lot) -> Hold {
    Hold {
        cloud: Some(lot.cloud.to_string()),
        flavor: Some(lot.flavor.to_string()),
        zone: Some(lot.zone.as_deref().map(str::to_owned)),
        purchase: Some(lot.purchase),
        ..said(allowance, lot)
    }
}

/// On more than one.
fn wide(allowance: &Allowance, cloud: &str, zone: Option<Arc<str>>) -> Hold {
    let lot = Lot { cloud: cloud.into(), zone, flavor: "".into(), purchase: Purchase::default(), image: "".into() };
    Hold { cloud: Some(cloud.to_owned()), ..said(allowance, &lot) }
}

fn said(allowance: &Allowance, lot: &Lot) -> Hold {
    let reason = match allowance.why {
        Held::OnTheirWay { .. } | Held::Unproven { .. } => Reason::Ramp,
        Held::Refused { .. } => Reason::NoCapacity,
        Held::NeverAsked { .. } => Reason::VmsFail,
    };
    Hold { waits: allowance.why.is_soon_over(), ..Hold::new(allowance.most, reason, allowance.why.message(lot)) }
}
