//! The order for a PilotVM's VM, from what is known. Pure.

use std::{collections::BTreeMap, sync::Arc};

use broker::{
    cloud::{Attempt, Choice, Order, Owner},
    experience::Lot,
    pilot::{rows::NewPilot, user_data::fingerprint},
};
use crds::PilotVM;
use jiff::Timestamp;
use kube::ResourceExt;

use super::{Error, pilot, record::MadeFrom};
use crate::{
    context::State,
    ending::{Ending, Why},
    known::lots::{booted, lot, lot_in, purchase},
    life::other_zones,
    names::{Key, server},
    trouble::Trouble,
};

/// Why nothing can be ordered.
#[derive(Debug)]
pub enum NoOrder {
    /// Something that is needed is not there yet.
    NotReady(Error),
    /// What its pool says cannot be ordered from this cloud.
    Unfit(Ending),
}

pub fn order(state: &State, vm: &PilotVM, attempt: Attempt) -> Result<Order, NoOrder> {
    let key = Key::of(vm);
    let cloud_key = key.beside(&vm.spec.cloud_ref.name);
    let facts = state.clouds.get(&cloud_key).facts();
    let not_ready = |text: String| NoOrder::NotReady(Error::NotReady(text));
    if facts.driver.is_none() {
        return Err(not_ready(away("cloud", &cloud_key, facts.not_driven.as_ref())));
    }
    let Some(offers) = facts.offers else {
        return Err(not_ready(format!("the offers of cloud {cloud_key} have not been read yet")));
    };
    let written = vm.status.as_ref().and_then(|s| s.attempt.as_ref()).filter(|a| a.number == i64::from(attempt.n));
    // What was written down when the attempt began is true whatever the name means since.
    let image_id = written.and_then(|attempt| attempt.image_id.clone());
    let Some(image_id) = image_id.or_else(|| offers.images.get(&vm.spec.image).map(|image| image.id.clone())) else {
        let message = format!("cloud {cloud_key} has no image {:?}: see its condition Resolved", vm.spec.image);
        return Err(NoOrder::Unfit(Ending::unfit(Why::ImageMissing, message)));
    };
    let pilot = pilot::describe(state, vm);
    let user_data = pilot::contextualise(state, vm, &pilot)
        .map_err(|error| NoOrder::Unfit(Ending::unfit(Why::UserDataInvalid, error.to_string())))?;
    let offering = &vm.spec.offering;
    let others = written.map_or(&[][..], |attempt| &attempt.other_zones).iter().cloned().map(Some);
    let choice = |zone: Option<String>| Choice {
        flavor: offering.flavor.clone(),
        zone,
        purchase: purchase(offering.purchase),
        max_price_micros: None,
    };
    Ok(Order {
        owner: owner(state, vm),
        attempt,
        name: server(&key.name),
        choices: std::iter::once(offering.zone.clone()).chain(others).map(choice).collect(),
        image_id,
        user_data,
        pilot,
        metadata: metadata(vm),
    })
}

/// What the VM is made from, and where it may be, when it is ordered now. A zone that was refused since the plan was made is left out.
pub fn made_from(state: &State, vm: &PilotVM, now: Timestamp) -> MadeFrom {
    let cloud = state.clouds.get(&Key::of(vm).beside(&vm.spec.cloud_ref.name));
    let (facts, image) = (cloud.facts(), boots_in(state, vm));
    let others = vm.spec.offering.other_zones.iter().map(|other| other.zone.as_str());
    let others = others.filter(|_| facts.driver.as_ref().is_some_and(|driver| driver.asks_for_all()));
    MadeFrom {
        image_id: facts.offers.and_then(|offers| Some(offers.images.get(&vm.spec.image)?.id.clone())),
        user_data_hash: Some(fingerprint(pilot::template(state, vm).as_deref())),
        other_zones: others
            .filter(|zone| cloud.may_also_order(&lot_in(vm, Some(zone), image.clone()), now))
            .map(str::to_owned)
            .collect(),
    }
}

/// The lot of the VM, as it was bought, or until then as it was wished.
pub fn lot_of(state: &State, vm: &PilotVM) -> Lot {
    lot(vm, boots_in(state, vm))
}

/// The lots that the VM's order names, the first first.
pub fn lots_of(state: &State, vm: &PilotVM) -> Vec<Lot> {
    let image = boots_in(state, vm);
    let zones = std::iter::once(vm.spec.offering.zone.as_deref()).chain(other_zones(vm).into_iter().map(Some));
    zones.map(|zone| lot_in(vm, zone, image.clone())).collect()
}

fn boots_in(state: &State, vm: &PilotVM) -> Arc<str> {
    let key = Key::of(vm);
    let offers = state.clouds.get(&key.beside(&vm.spec.cloud_ref.name)).facts().offers;
    let pool = state.stores.pools.get(&key.beside(&vm.spec.pool_ref.name));
    booted(vm, pool.as_deref(), offers.as_deref())
}

/// The sentence about a cloud or an installation that cannot be used now.
pub fn away(kind: &str, key: &Key, trouble: Option<&Trouble>) -> String {
    let why = trouble.map_or("the operator has not looked at it yet", |t| t.message.as_str());
    format!("{kind} {key} cannot be used now: {why}")
}

pub fn owner(state: &State, vm: &PilotVM) -> Owner {
    Owner { cluster: state.cluster.clone(), uid: vm.uid().unwrap_or_default() }
}

/// The pilot's row.
pub fn new_pilot(vm: &PilotVM) -> NewPilot {
    let uid = vm.uid().unwrap_or_default();
    NewPilot {
        reference: broker::pilot::stamp::reference(&uid),
        stamp: broker::pilot::stamp::stamp(&uid),
        vo: vm.spec.dirac_vo.clone(),
        site: vm.spec.site.clone(),
        ce: vm.spec.ce.clone(),
        queue: vm.spec.queue.clone(),
    }
}

/// For people who look at the VM at the provider's.
fn metadata(vm: &PilotVM) -> BTreeMap<String, String> {
    let words = [
        ("dirac_pool", &vm.spec.pool_ref.name),
        ("dirac_vo", &vm.spec.dirac_vo),
        ("dirac_site", &vm.spec.site),
        ("dirac_ce", &vm.spec.ce),
    ];
    words.into_iter().map(|(k, v)| (k.to_owned(), v.clone())).collect()
}
