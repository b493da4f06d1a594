//! What is bought with restraint: what a cloud refused, and what its VMs have yet to show. Pure.

use std::{collections::BTreeSet, sync::Arc};

use broker::{
    cloud::Offers,
    experience::{self, Flight, Phase, Shop},
    plan::Hold,
};
use kube::ResourceExt;

use super::{
    lots::Lots,
    quotas::Quotas,
    world::{CloudView, World},
};
use crate::{
    known::lots::{boots, class, lot_in},
    life::{is_ended, launched, leaves, other_zones, ran},
    names::deleting,
};

/// What is held back on all clouds, and until when.
pub fn holds(world: &World, quotas: &Quotas<'_>) -> Vec<Hold> {
    let of_cloud = |view: &CloudView| {
        let offers = view.offers.as_deref();
        let cloud = view.object.metadata.name.as_deref().unwrap_or_default();
        let shop = Shop { cloud, flight: &flight(world, view), images: &images(world, cloud, offers) };
        let of_class = |class: &str, all: &Hold| of_class(cloud, class, offers, quotas, all);
        experience::holds(&view.bought.budgets, &shop, of_class, world.now)
    };
    world.clouds.iter().flat_map(of_cloud).collect()
}

/// What boots in the pools of this cloud: in their words, and with the image as the cloud has it now.
fn images(world: &World, cloud: &str, offers: Option<&Offers>) -> BTreeSet<(Arc<str>, Arc<str>)> {
    let buys_here = world.pools.iter().filter(|pool| pool.spec.clouds.iter().any(|named| named.name == cloud));
    buys_here
        .flat_map(|pool| {
            let both = |image| (boots(image, Some(pool), None), boots(image, Some(pool), offers));
            pool.spec.machine.images().map(both)
        })
        .collect()
}

/// A class of quota is one bound for all its offers, where it is known how much of it is left.
fn of_class(cloud: &str, class: &str, offers: Option<&Offers>, quotas: &Quotas<'_>, all: &Hold) -> Vec<Hold> {
    let its: Vec<_> = offers.iter().flat_map(|o| &o.offers).filter(|offer| offer.quota_class == class).collect();
    let known =
        its.iter().find_map(|offer| quotas.of_offer((cloud, &offer.flavor, offer.zone.as_deref(), offer.purchase)));
    match known {
        Some(quota) => vec![Hold { quota: Some(quota), ..all.clone() }],
        None => its
            .iter()
            .map(|offer| Hold {
                flavor: Some(offer.flavor.clone()),
                zone: Some(offer.zone.clone()),
                purchase: Some(offer.purchase),
                ..all.clone()
            })
            .collect(),
    }
}

/// The VMs that are on their way on this cloud.
fn flight(world: &World, view: &CloudView) -> Flight {
    let (cloud, offers) = (view.object.name_any(), view.offers.as_deref());
    let (mut flight, mut lots) = (Flight::default(), Lots::of(world));
    for vm in world.vms.iter().filter(|vm| vm.spec.cloud_ref.name == cloud) {
        let uid = vm.metadata.uid.as_deref().unwrap_or_default();
        // What the provider takes back will show nothing, and another VM is made in its place now.
        let leaves = leaves(vm).is_some() || view.stopped.contains(uid);
        if deleting(vm.as_ref()) || is_ended(vm) || ran(vm) || leaves {
            continue;
        }
        let phase = match launched(vm) {
            None => Phase::Unanswered,
            Some(_) if view.up.contains(uid) || view.bought.made.contains(uid) => Phase::Booting,
            Some(_) => Phase::Making,
        };
        let lot = lots.lot(vm, Some(view));
        flight.add(&lot, class(&lot, offers).as_ref(), phase);
        if phase == Phase::Unanswered {
            other_zones(vm).into_iter().for_each(|zone| flight.may_be(lot_in(vm, Some(zone), lot.image.clone())));
        }
    }
    flight
}

#[cfg(test)]
#[path = "held_tests.rs"]
mod tests;
