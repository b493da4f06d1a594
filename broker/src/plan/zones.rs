//! Where else a VM may be bought: the same flavor, bought in the same way, in other zones of its cloud. One order names them all, and one VM
//! comes of it, so that a zone without room costs no attempt.
//!
//! What is named is what the plan might have bought just as well: it costs no more, within five in a hundred, and nothing is held back there.
//! All other limits count the VM once, since they are the same for all zones.

use std::{collections::HashMap, sync::Arc};

use super::{
    fill::{Draft, Fill, Why},
    shelf::ALIKE,
    snapshot::{Offering, Snapshot},
};
use crate::experience::money::Unit;

/// The most zones that are named beside the first.
pub const MOST: usize = 15;

/// For each draft in turn, what is named beside it, the cheapest first.
pub fn others(fill: &mut Fill<'_, '_>, drafts: &[Draft]) -> Vec<Vec<Arc<Offering>>> {
    let zones = zones(fill.snapshot);
    drafts.iter().map(|draft| others_of(fill, &zones, draft)).collect()
}

/// Numbers of the offers that differ only in their zone, by cloud, flavor and whatever else they have; where orders may name several.
type Zones<'a> = HashMap<(usize, &'a str), Vec<u32>>;

fn zones(snapshot: &Snapshot) -> Zones<'_> {
    let mut zones = Zones::new();
    let mut number = 0;
    for (c, cloud) in snapshot.clouds.iter().enumerate() {
        for offering in &cloud.offerings {
            if cloud.asks_for_all && offering.zone.is_some() {
                zones.entry((c, offering.flavor.as_str())).or_default().push(number);
            }
            number += 1;
        }
    }
    zones.retain(|_, numbers| numbers.len() > 1);
    zones
}

fn others_of(fill: &mut Fill<'_, '_>, zones: &Zones<'_>, draft: &Draft) -> Vec<Arc<Offering>> {
    let offer = fill.market.offer(draft.offer);
    let Some(numbers) = zones.get(&(offer.cloud, offer.offering.flavor.as_str())) else { return Vec::new() };
    let class = if let Why::Class(n) = draft.why { Some(n) } else { None };
    let hour = |number: u32| fill.market.hour(number, fill.need_of(class).1);
    let most = hour(draft.offer).map(|hour| hour * ALIKE);
    let budget = fill.snapshot.vos[draft.vo].budget.as_ref();
    // What is reserved of a budget is enough wherever it is bought.
    let reserved = budget.is_some_and(|budget| matches!(budget.unit, Unit::Money(_)));
    let may_cost = |number: u32| {
        let other = fill.market.offer(number).offering;
        let within = hour(number).is_some() == most.is_some() && hour(number) <= most;
        within && (!reserved || other.price_micros <= offer.offering.price_micros)
    };
    let is_other =
        |number: &u32| is_elsewhere(offer.offering, fill.market.offer(*number).offering) && may_cost(*number);
    let mut named: Vec<u32> = numbers.iter().copied().filter(is_other).collect();
    named.sort_by(|a, b| {
        let zone = |number: u32| &fill.market.offer(number).offering.zone;
        hour(*a).unwrap_or(0.0).total_cmp(&hour(*b).unwrap_or(0.0)).then_with(|| zone(*a).cmp(zone(*b)))
    });
    let first = fill.thought(draft.pool, draft.vo, class, draft.offer);
    let mut others = Vec::new();
    for number in named {
        let other = fill.thought(draft.pool, draft.vo, class, number);
        if others.len() < MOST && fill.books.also(first, other) {
            others.push(other.offer.offering.clone());
        }
    }
    others
}

/// Whether it is the same in another zone.
fn is_elsewhere(this: &Offering, other: &Offering) -> bool {
    let what = |o: &Offering| (o.purchase, o.cores, o.ram_mib, o.gpus, o.gpu_share, o.quota);
    this.zone.is_some()
        && other.zone.is_some()
        && this.zone != other.zone
        && this.flavor == other.flavor
        && this.gpu_model == other.gpu_model
        && what(this) == what(other)
}
