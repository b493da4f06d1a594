//! The snapshot of one installation: objects, clouds and rows of one moment in the words of the planner. Pure.

use std::{collections::HashMap, sync::Arc};

use broker::{
    cloud::{Offer, Purchase},
    demand::TaskQueue,
    experience::{FRESH, reclaims},
    plan::{CloudState, Life, LiveVm, Measured, Offering, Pool, Resources, Rules, Snapshot, Vo},
};
use crds::{Cloud, PilotPool, PilotVM};
use jiff::Timestamp;
use kube::ResourceExt;

use super::{
    drift::Wanted,
    elsewhere::{elsewhere, is_ours},
    held::holds,
    kinds::{Waited, says, waits},
    lease::lease,
    left::{closings, cpu_time, until},
    live::{Since, live},
    money::{budget, life_seconds, prices_in},
    quotas::{Quotas, is_counted},
    wishes::{disruption, scaling},
    world::{CloudView, UnreadVm, World},
};
use crate::{
    amounts::{count, gpus, limits, seconds_between},
    known::lots::{boots, purchase},
    life::{created, is_ended, launched, place},
    names::{Key, default_ce, deleting},
    resolve::{Resolved, groups_of, requirements, resolve},
};

pub fn snapshot(world: &World, queues: Vec<TaskQueue>) -> Snapshot {
    let installation = world.installation.name.as_str();
    let objects: Vec<_> = world.clouds.iter().map(|c| c.object.clone()).collect();
    let pools: Vec<Pool> = world
        .pools
        .iter()
        .filter(|pool| !deleting(pool.as_ref()))
        .filter_map(|pool| {
            let resolved = resolve(pool, &world.installations, &world.sites, &world.vos, &objects);
            (resolved.installation() == Some(installation)).then(|| pool_of(world, pool, &resolved)).flatten()
        })
        .collect();
    let mut objects: Vec<_> = world.vos.iter().collect();
    // A group that two VOs claim stays with the older one, as its condition says.
    objects.sort_by_key(|vo| (vo.creation_timestamp(), vo.name_any()));
    let vos: Vec<Vo> = objects
        .into_iter()
        .filter(|vo| vo.spec.installation_ref.name == installation && !deleting(vo.as_ref()))
        .map(|vo| Vo {
            name: vo.name_any(),
            groups: groups_of(vo, &world.vos),
            share: count(vo.spec.share.unwrap_or(1)),
            limits: limits(vo.spec.limits.as_ref()),
            used: world.figures.used.get(&vo.name_any()).copied().unwrap_or_default(),
            budget: budget(world, vo),
        })
        .collect();
    let mut quotas = Quotas::of(world);
    let others = elsewhere(world, &mut quotas);
    let (wanted, mut waited) = (Wanted::of(world), Waited::of(&world.waiting));
    let mut snapshot = Snapshot {
        queues,
        vos,
        pools,
        clouds: world.clouds.iter().filter_map(|view| cloud_of(world, view, &quotas, &others)).collect(),
        holds: holds(world, &quotas),
        closings: closings(world),
        rules: Rules { fresh: Some(FRESH), ..Rules::default() },
        vms: world
            .vms
            .iter()
            .filter(|vm| is_ours(world, vm))
            .map(|vm| LiveVm { drift: wanted.drift(vm), ..vm_of(world, vm, &quotas, waits(&mut waited, vm)) })
            .chain(world.unread.iter().map(|vm| unread(world, vm)))
            .collect(),
        quotas: quotas.all,
        limits: world.own().map(|own| limits(own.spec.limits.as_ref())).unwrap_or_default(),
        ..Snapshot::default()
    };
    snapshot.sort();
    snapshot
}

fn pool_of(world: &World, pool: &PilotPool, resolved: &Resolved) -> Option<Pool> {
    let key = Key::of(pool);
    let site = resolved.site.as_ref()?;
    // A template that cannot be rendered is a condition of the pool, not a broken VM.
    if world.unusable_templates.contains(&key.name) {
        return None;
    }
    let has_image = |cloud: &Cloud| {
        let offers = world.cloud(&cloud.name_any()).and_then(|view| view.offers.as_ref());
        offers.is_some_and(|offers| pool.spec.machine.images().all(|image| offers.images.contains_key(image)))
    };
    Some(Pool {
        name: key.name.clone(),
        site: site.spec.dirac_name.clone(),
        ce: pool.spec.matching.ce.clone().unwrap_or_else(|| default_ce(&key)),
        vos: resolved.vos.iter().map(|vo| vo.name_any()).collect(),
        // A paused pool keeps its VMs as supply and buys nowhere.
        clouds: match world.paused_by(Some(pool), []) {
            None => resolved.clouds.iter().filter(|c| has_image(c)).map(|c| c.name_any()).collect(),
            Some(_) => Vec::new(),
        },
        flavors: pool.spec.machine.flavors.clone(),
        requirements: requirements(pool.spec.machine.requirements.as_ref()),
        purchase: pool.spec.machine.purchase.iter().copied().map(purchase).collect(),
        cpu_time: pool.spec.matching.max_cpu_time.as_secs(),
        tags: pool.spec.matching.tags.clone(),
        required_tags: pool.spec.matching.requires(),
        gpu_cores: pool.spec.matching.cores_per_gpu.map_or(0, count),
        platform: pool.spec.matching.platform.clone(),
        image: boots(&pool.spec.machine.image, Some(pool), None).to_string(),
        gpu_image: pool.spec.machine.gpu_image.as_ref().map(|image| boots(image, Some(pool), None).to_string()),
        pin: pool.spec.matching.pin == crds::pool::Pin::MultiCore,
        life_seconds: life_seconds(world, pool),
        disruption: disruption(pool, world.now),
        ..scaling(pool, site)
    })
}

/// A cloud that may be bought from now; others are left out of the plan.
fn cloud_of<'a>(
    world: &World,
    view: &'a CloudView,
    quotas: &Quotas<'a>,
    others: &HashMap<&str, Resources>,
) -> Option<CloudState> {
    if !view.is_open() {
        return None;
    }
    let (offers, name) = (view.offers.as_ref()?, view.object.metadata.name.as_deref()?);
    view.headroom.as_ref()?;
    let spec = &view.object.spec;
    let currency = prices_in(world, &view.object);
    // Nothing is converted.
    let is_ours = offers.currency.as_deref().is_none_or(|theirs| currency.as_deref() == Some(theirs));
    let (mut offerings, living) = (Vec::new(), living(world, name));
    for flavor in &offers.flavors {
        let price = spec.prices.iter().find(|p| p.flavor == flavor.name).map(|p| p.per_hour.micros());
        let of_flavor = offers.offers.iter().filter(|o| o.flavor == flavor.name);
        // What a person writes is the price on demand; of Spot the provider knows better.
        let price = |offer: &Offer| {
            let theirs = offer.price_micros.filter(|_| is_ours);
            if offer.purchase == Purchase::Spot { theirs.or(price) } else { price.or(theirs) }
        };
        let reclaims = |offer: &Offer| {
            let of = reclaims::Offering {
                cloud: name.into(),
                zone: offer.zone.as_deref().map(Arc::from),
                flavor: offer.flavor.as_str().into(),
                purchase: offer.purchase,
            };
            let lived = living.get(&(&*offer.flavor, offer.zone.as_deref(), offer.purchase)).copied().unwrap_or(0);
            view.bought.reclaims.per_thousand_hours(&of, lived, world.now)
        };
        offerings.extend(of_flavor.map(|offer| {
            Arc::new(Offering {
                flavor: flavor.name.clone(),
                zone: offer.zone.clone(),
                purchase: offer.purchase,
                cores: u64::from(flavor.cores),
                ram_mib: flavor.ram_mib,
                price_micros: price(offer),
                quota: quotas.of_offer((name, &flavor.name, offer.zone.as_deref(), offer.purchase)),
                measured: Measured { reclaims: reclaims(offer), ..Measured::default() },
                ..gpus(flavor.gpu.as_ref())
            })
        }));
    }
    Some(CloudState {
        name: name.to_owned(),
        offerings,
        currency,
        ceiling: limits(spec.ceiling.as_ref()),
        others: others.get(name).copied().unwrap_or_default(),
        asks_for_all: view.asks_for_all,
    })
}

/// For how many seconds together the VMs live that are there and may be taken back, by flavor, zone and way of buying.
fn living<'a>(world: &'a World, cloud: &str) -> HashMap<(&'a str, Option<&'a str>, Purchase), u64> {
    let mut all = HashMap::new();
    for vm in world.vms.iter().filter(|vm| vm.spec.cloud_ref.name == cloud && !is_ended(vm)) {
        let (of, Some(since)) = (&vm.spec.offering, launched(vm)) else { continue };
        if of.purchase == crds::pool::Purchase::Spot {
            *all.entry((&*of.flavor, place(vm).0, Purchase::Spot)).or_default() += seconds_between(since, world.now);
        }
    }
    all
}

fn vm_of<'a>(world: &World, vm: &'a PilotVM, quotas: &Quotas<'a>, waits: Option<Timestamp>) -> LiveVm {
    let spec = &vm.spec;
    let (offering, (zone, price)) = (&spec.offering, place(vm));
    let cloud = world.cloud(&spec.cloud_ref.name);
    // Where none waited for it at the last round, those that wait now have just begun to.
    let since = Since { asking: world.asking, waiting: waits.unwrap_or(world.now) };
    let has_stopped = cloud.zip(vm.metadata.uid.as_ref()).is_some_and(|(view, uid)| view.stopped.contains(uid));
    LiveVm {
        name: vm.name_any(),
        pool: spec.pool_ref.name.clone(),
        cloud: spec.cloud_ref.name.clone(),
        vo: spec.vo.clone(),
        offering: Arc::new(Offering {
            flavor: offering.flavor.clone(),
            zone: zone.map(str::to_owned),
            cores: count(offering.cores),
            ram_mib: count(offering.ram_mib),
            gpus: count(offering.gpus),
            gpu_cores: offering.cores_per_gpu.map_or(0, count),
            price_micros: price.map(crds::Price::micros),
            purchase: purchase(offering.purchase),
            quota: quotas.of_vm((&spec.cloud_ref.name, &offering.flavor, zone, purchase(offering.purchase))),
            ..Offering::default()
        }),
        says: Arc::new(says(spec)),
        cpu_time: cpu_time(vm, None, world.now),
        until: until(vm, world.now),
        life: live(vm, has_stopped, world.rows.as_deref(), since, world.now),
        lease: spec.for_jobs.iter().map(lease).collect(),
        counted: is_counted(world, vm),
        age_seconds: seconds_between(created(vm), world.now),
        unneeded_seconds: vm
            .metadata
            .name
            .as_ref()
            .and_then(|name| world.unneeded.get(name))
            .map_or(0, |since| seconds_between(*since, world.now)),
        ..LiveVm::default()
    }
}

/// A VM whose size nobody knows counts as the largest that there is to buy, and serves no job.
fn unread(world: &World, vm: &UnreadVm) -> LiveVm {
    let flavors = world.clouds.iter().flat_map(|view| &view.offers).flat_map(|offers| &offers.flavors);
    let mut largest = Offering { flavor: "unknown".into(), ..Offering::default() };
    for flavor in flavors {
        largest.cores = largest.cores.max(u64::from(flavor.cores));
        largest.ram_mib = largest.ram_mib.max(flavor.ram_mib);
        largest.gpus = largest.gpus.max(u64::from(flavor.gpus()));
    }
    LiveVm {
        name: vm.name.clone(),
        pool: vm.pool.clone(),
        cloud: vm.cloud.clone().unwrap_or_default(),
        vo: vm.vo.clone().unwrap_or_default(),
        offering: Arc::new(largest),
        life: Life::Ending,
        ..LiveVm::default()
    }
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
pub mod tests;
