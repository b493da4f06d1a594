//! The scenario's words in those of the planner, and the planner's launches as orders.

use std::sync::Arc;

use broker::{
    cloud::{Purchase, gpu::vendor_of},
    demand::TaskQueue,
    plan::{self, CloudState, Disruption, Drift, Most, Offering, Strategy},
};

use super::left::given;
use crate::{
    policy::QueueSeen,
    scenario::{Limits, Model, Offer},
    time::{Ms, SECOND},
    world::{Alone, Order},
};

/// A pool of the scenario, as the plan knows one.
pub fn pool(model: &Model, number: usize) -> plan::Pool {
    let pool = &model.pools[number];
    plan::Pool {
        name: pool.name.clone(),
        site: pool.site.clone(),
        ce: pool.ce.clone(),
        vos: pool.vos.iter().map(|vo| model.vos[*vo].name.clone()).collect(),
        clouds: pool.clouds.iter().map(|cloud| model.clouds[*cloud].name.clone()).collect(),
        flavors: pool.flavors.clone(),
        requirements: requirements(pool.requirements.as_ref()),
        purchase: pool.purchase.iter().map(|way| bought(*way == crds::pool::Purchase::Spot)).collect(),
        cpu_time: pool.cpu_time,
        tags: pool.tags.clone(),
        required_tags: pool.required_tags.clone(),
        platform: pool.platform.clone(),
        site_limits: limits(&pool.site_limits),
        strategy: if pool.in_order { Strategy::InOrder } else { Strategy::Cheapest },
        pin: pool.pin,
        max: pool.max,
        borrows: pool.borrows,
        min: pool.min,
        spare: pool.spare,
        idle_seconds: pool.idle_timeout / SECOND,
        max_wait: pool.max_wait.map(|wait| wait / SECOND),
        image: pool.image.clone(),
        disruption: disruption(pool.disruption.as_ref()),
        ..plan::Pool::default()
    }
}

/// A cloud of the scenario, as the plan knows one.
pub fn cloud(model: &Model, number: usize, first: &[usize]) -> CloudState {
    let cloud = &model.clouds[number];
    let ways = |flavor: usize| {
        [false, true].into_iter().filter(move |spot| !spot || cloud.flavors[flavor].spot_price.is_some())
    };
    let offers = (0..cloud.flavors.len()).flat_map(|flavor| {
        let of_zone = move |zone| ways(flavor).map(move |spot| Offer { cloud: number, flavor, zone, spot });
        (0..cloud.zones.len()).flat_map(of_zone)
    });
    CloudState {
        name: cloud.name.clone(),
        offerings: offers.map(|offer| Arc::new(offering(model, offer, first))).collect(),
        currency: cloud.currency.as_deref().map(Arc::from),
        ceiling: limits(&cloud.ceiling),
        ..CloudState::default()
    }
}

/// How an offer is bought.
pub fn bought(spot: bool) -> Purchase {
    if spot { Purchase::Spot } else { Purchase::OnDemand }
}

/// A task queue, as the operator reads one.
pub fn task_queue(queue: QueueSeen<'_>) -> TaskQueue {
    let of = queue.definition;
    TaskQueue {
        id: queue.id,
        owner: of.owner.clone(),
        owner_group: of.owner_group.clone(),
        cpu_time: of.cpu_time,
        jobs: queue.jobs,
        priority: queue.priority,
        sites: of.sites.clone(),
        grid_ces: of.grid_ces.clone(),
        banned_sites: of.banned_sites.clone(),
        platforms: of.platforms.clone(),
        job_types: of.job_types.clone(),
        tags: of.tags.clone(),
        min_ram_mb: of.min_ram,
        max_ram_mb: of.max_ram,
    }
}

/// Limits, as the plan has them.
pub fn limits(limits: &Limits) -> plan::Limits {
    let [vms, cores, ram_mib, gpus] = limits.0;
    plan::Limits { vms, cores, ram_mib, gpus }
}

fn requirements(written: Option<&crds::pool::Requirements>) -> plan::Requirements {
    let Some(r) = written else { return plan::Requirements::default() };
    let count = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok());
    let range = |r: Option<&crds::quantity::Range>| (r.and_then(|r| count(r.min)), r.and_then(|r| count(r.max)));
    plan::Requirements {
        cores: range(r.cores.as_ref()),
        ram_gib_per_core: range(r.ram_gib_per_core.as_ref()),
        gpus: r.gpus.as_ref().map_or((None, Some(0)), |g| (count(g.min), count(g.max))),
        gpu_models: r.gpus.as_ref().map(|g| g.models.clone()).unwrap_or_default(),
        gpu_vendor: r.gpus.as_ref().and_then(|g| g.vendor.clone()),
        gpu_memory_gib: range(r.gpus.as_ref().and_then(|g| g.memory_gib.as_ref())),
        gpu_shares: r.gpus.as_ref().is_some_and(|g| g.allow_shares),
    }
}

fn disruption(said: Option<&crds::disruption::Disruption>) -> Disruption {
    let Some(said) = said else { return Disruption::default() };
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    let percent = said.max_percent.map_or(Most::default(), |part| Most::Percent(count(part)));
    Disruption { most: said.max_vms.map_or(percent, |vms| Most::Vms(count(vms))), is_open: true }
}

/// What boots in a VM of a pool that was ordered on a cloud at this moment, as lots call it.
pub fn boots(model: &Model, pool: usize, cloud: usize, at: Ms) -> Arc<str> {
    let image = &model.pools[pool].image;
    match model.clouds[cloud].images_before(image, at) {
        0 => image.as_str().into(),
        n => format!("{image} {n}").into(),
    }
}

/// How a VM is not as its pool says any more. `drains`: it drains for that already.
pub fn drift(model: &Model, order: &Order, ordered: Ms, now: Ms, drains: bool) -> Option<Drift> {
    let boots = |at: Ms| boots(model, order.pool, order.offer.cloud, at);
    let what = || {
        format!(
            "image {} of cloud {} is a new one",
            model.pools[order.pool].image, model.clouds[order.offer.cloud].name
        )
    };
    (boots(ordered) != boots(now)).then(|| Drift { what: what().into(), drains })
}

/// One thing that can be bought.
pub fn offering(model: &Model, offer: Offer, first: &[usize]) -> Offering {
    let cloud = &model.clouds[offer.cloud];
    let flavor = &cloud.flavors[offer.flavor];
    Offering {
        flavor: flavor.name.clone(),
        zone: cloud.zones[offer.zone].clone(),
        cores: flavor.size.cores,
        ram_mib: flavor.size.ram_mib,
        gpus: flavor.size.gpus,
        gpu_model: flavor.gpu_model.clone(),
        gpu_vendor: flavor.gpu_model.as_deref().and_then(vendor_of).map(str::to_owned),
        gpu_memory_mib: flavor.gpu_memory_mib,
        gpu_share: flavor.gpu_share,
        purchase: bought(offer.spot),
        price_micros: if offer.spot { flavor.spot_price } else { flavor.price },
        quota: Some(first[offer.cloud] + flavor.class),
        ..Offering::default()
    }
}

/// What a launch of the plan orders in the scenario; `None`: it names what is not there.
pub fn order(model: &Model, launch: &plan::Launch) -> Option<Order> {
    let pool = model.pools.iter().position(|p| *p.name == *launch.pool)?;
    let cloud = model.clouds.iter().position(|c| *c.name == *launch.cloud)?;
    let of = &model.clouds[cloud];
    let offer = Offer {
        cloud,
        flavor: of.flavors.iter().position(|f| f.name == launch.offering.flavor)?,
        zone: of.zones.iter().position(|z| *z == launch.offering.zone)?,
        spot: launch.offering.purchase == Purchase::Spot,
    };
    let vo = model.vos.iter().position(|v| *v.name == *launch.vo)?;
    let cpu_time = given(model.pools[pool].cpu_time, launch.cut);
    let alone = launch.pin.as_deref().and_then(Alone::of);
    Some(Order { pool, vo, offer, cpu_time, alone })
}
