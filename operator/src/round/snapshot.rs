//! The snapshot of one installation: objects, clouds and rows of one moment in the words of the planner. Pure.

use std::collections::{BTreeSet, HashMap};

use broker::{
    cloud::{Offer, Purchase, QuotaClass},
    demand::TaskQueue,
    plan::{CloudState, Failing, Limits, LiveVm, Offering, Pool, Snapshot, VmPhase, Vo},
};
use crds::{Cloud, PilotPool, PilotVM};
use kube::ResourceExt;

use super::{
    live::live,
    world::{CloudView, UnreadVm, World},
};
use crate::{
    amounts::{count, limits},
    life::{created, launched},
    names::{Key, default_ce, deleting},
    resolve::{Resolved, buys_on_demand, groups_of, requirements, resolve},
};

/// Takes the snapshot.
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
        })
        .collect();
    let classes = Classes::of(world);
    let mut snapshot = Snapshot {
        queues,
        vos,
        pools,
        clouds: world.clouds.iter().filter_map(|view| cloud_of(view, &classes)).collect(),
        vms: world
            .vms
            .iter()
            .map(|vm| vm_of(world, vm, &classes))
            .chain(world.unread.iter().map(|vm| unread(world, vm)))
            .collect(),
    };
    snapshot.sort();
    snapshot
}

fn pool_of(world: &World, pool: &PilotPool, resolved: &Resolved) -> Option<Pool> {
    let key = Key::of(pool);
    let site = resolved.site.as_ref()?;
    if !buys_on_demand(pool) {
        return None;
    }
    // A template that cannot be rendered is a condition of the pool, not a broken VM.
    if world.unusable_templates.contains(&key.name) {
        return None;
    }
    let has_image = |cloud: &Cloud| {
        let offers = world.cloud(&cloud.name_any()).and_then(|view| view.offers.as_ref());
        offers.is_some_and(|offers| offers.images.contains_key(&pool.spec.machine.image))
    };
    Some(Pool {
        name: key.name.clone(),
        site: site.spec.dirac_name.clone(),
        ce: pool.spec.matching.ce.clone().unwrap_or_else(|| default_ce(&key)),
        vos: resolved.vos.iter().map(|vo| vo.name_any()).collect(),
        // A paused pool keeps its VMs as supply and buys nowhere.
        clouds: match world.paused_by(pool, []) {
            None => resolved.clouds.iter().filter(|c| has_image(c)).map(|c| c.name_any()).collect(),
            Some(_) => Vec::new(),
        },
        flavors: pool.spec.machine.flavors.clone(),
        requirements: requirements(pool.spec.machine.requirements.as_ref()),
        cpu_time: pool.spec.matching.max_cpu_time.as_secs(),
        tags: pool.spec.matching.tags.clone(),
        required_tags: pool.spec.matching.required_tags.clone(),
        platform: pool.spec.matching.platform.clone(),
        max: count(pool.spec.scaling.max),
        failing: world.clouds.iter().flat_map(|view| failing(view, &key.name)).collect(),
    })
}

fn failing(view: &CloudView, pool: &str) -> Vec<Failing> {
    let cloud = view.object.name_any();
    let failing = |(flavor, zone)| Failing { cloud: cloud.clone(), flavor, zone };
    view.failing.get(pool).into_iter().flatten().cloned().map(failing).collect()
}

/// Which class of quota each offer counts against: cloud, flavor and zone; the index in the cloud's headroom.
struct Classes<'a>(HashMap<(String, &'a str, Option<&'a str>), usize>);

impl<'a> Classes<'a> {
    fn of(world: &'a World) -> Self {
        let mut all = HashMap::new();
        for view in &world.clouds {
            let (Some(offers), Some((_, headroom))) = (&view.offers, &view.headroom) else { continue };
            let cloud = view.object.name_any();
            for offer in offers.offers.iter().filter(|o| o.purchase == Purchase::OnDemand) {
                let index = headroom.classes.iter().position(|class| class.name == offer.quota_class);
                // Of a class that the provider says nothing of no bound is known: its index is none of the headroom's.
                let index = index.unwrap_or(headroom.classes.len());
                all.insert((cloud.clone(), offer.flavor.as_str(), offer.zone.as_deref()), index);
            }
        }
        Self(all)
    }

    /// The class of an offer; a VM of a flavor that is not on offer any more counts against the first.
    fn index(&self, cloud: &str, flavor: &'a str, zone: Option<&'a str>) -> usize {
        self.0.get(&(cloud.to_owned(), flavor, zone)).copied().unwrap_or(0)
    }
}

/// A cloud that may be bought from now; others are left out of the plan.
fn cloud_of(view: &CloudView, classes: &Classes<'_>) -> Option<CloudState> {
    if !view.is_open() {
        return None;
    }
    let (offers, (_, headroom)) = (view.offers.as_ref()?, view.headroom.as_ref()?);
    let spec = &view.object.spec;
    let mut offerings = Vec::new();
    let mut exhausted = BTreeSet::new();
    for flavor in &offers.flavors {
        let of_flavor = offers.offers.iter().filter(|o| o.flavor == flavor.name && o.purchase == Purchase::OnDemand);
        let places: Vec<&Offer> = of_flavor.collect();
        let price = spec.prices.iter().find(|p| p.flavor == flavor.name).map(|p| p.per_hour.micros());
        let is_open = |offer: &&&Offer| !view.refused.contains(&(flavor.name.clone(), offer.zone.clone()));
        let open: Vec<&Offer> = places.iter().filter(is_open).copied().collect();
        if open.is_empty() {
            exhausted.insert(flavor.name.clone());
        }
        // A refused flavor stays on offer, marked, so that the plan can say what binds.
        for offer in if open.is_empty() { places } else { open } {
            offerings.push(Offering {
                flavor: flavor.name.clone(),
                zone: offer.zone.clone(),
                cores: u64::from(flavor.cores),
                ram_mib: flavor.ram_mib,
                gpus: u64::from(flavor.gpus()),
                gpu_model: flavor.gpu_model().map(str::to_owned),
                price_micros: price.or(offer.price_micros),
                quota_class: classes.index(&view.object.name_any(), &flavor.name, offer.zone.as_deref()),
            });
        }
    }
    let left = |class: &QuotaClass| Limits {
        vms: class.vms_left(),
        cores: class.cores.left(),
        ram_mib: class.ram_mib.left(),
        gpus: class.gpus.left(),
    };
    Some(CloudState {
        name: view.object.name_any(),
        offerings,
        ceiling: limits(spec.ceiling.as_ref()),
        headroom: headroom.classes.iter().map(left).collect(),
        exhausted,
    })
}

fn vm_of(world: &World, vm: &PilotVM, classes: &Classes<'_>) -> LiveVm {
    let spec = &vm.spec;
    let offering = &spec.offering;
    let life = live(vm, world.rows.as_deref(), world.asking, world.now);
    let quota_read = world.cloud(&spec.cloud_ref.name).and_then(|view| view.headroom.as_ref()).map(|(at, _)| *at);
    LiveVm {
        name: vm.name_any(),
        pool: spec.pool_ref.name.clone(),
        cloud: spec.cloud_ref.name.clone(),
        vo: spec.vo.clone(),
        offering: Offering {
            flavor: offering.flavor.clone(),
            zone: offering.zone.clone(),
            cores: count(offering.cores),
            ram_mib: count(offering.ram_mib),
            gpus: count(offering.gpus),
            gpu_model: None,
            price_micros: offering.per_hour.map(crds::Price::micros),
            quota_class: classes.index(&spec.cloud_ref.name, &offering.flavor, offering.zone.as_deref()),
        },
        phase: life.phase,
        free_cores: if life.phase == VmPhase::Running { life.free_cores } else { 0 },
        counted: matches!((quota_read, launched(vm)), (Some(read), Some(launched)) if read > launched),
        age_seconds: u64::try_from(world.now.duration_since(created(vm)).as_secs()).unwrap_or(0),
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
        offering: largest,
        phase: VmPhase::Ending,
        ..LiveVm::default()
    }
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
pub mod tests;
