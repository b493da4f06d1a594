//! Turns a plan into PilotVM objects: the only place that makes them.

use std::{collections::BTreeMap, sync::Arc};

use broker::plan::{Launch, Plan};
use crds::{
    LocalRef, PilotPool, PilotVM, Price,
    pool::Purchase,
    vm::{Offering, PilotVMSpec},
};
use futures::{StreamExt, stream};
use kube::{Resource, ResourceExt};

use super::World;
use crate::{
    amounts::whole,
    api,
    context::Context,
    crash::crash_point,
    names::{CLOUD_LABEL, INSTALLATION_LABEL, Key, POOL_LABEL, VM_FINALIZER, VO_LABEL, default_ce},
};

/// So many objects are written at once.
const CONCURRENCY: usize = 16;

/// Makes and deletes PilotVMs as the plan says; gives what went wrong, by pool.
pub async fn apply(ctx: &Context, world: &World, plan: &Plan) -> BTreeMap<String, String> {
    let mut orders = Vec::new();
    for launch in &plan.launches {
        if let Some(vm) = object(world, launch, |pool| {
            let name = ctx.state.numbers.next(pool);
            ctx.state.numbers.saw(pool, &name);
            name
        }) {
            orders.push(vm);
        }
    }
    let made =
        stream::iter(orders).map(|vm| make(ctx, world, vm)).buffer_unordered(CONCURRENCY).collect::<Vec<_>>().await;
    let surplus: Vec<(String, String)> = plan.surplus.iter().map(|s| (s.vm.clone(), s.reason.clone())).collect();
    let gone = stream::iter(surplus)
        .map(|(name, why)| async move { give_back(ctx, world, &name, &why).await })
        .buffer_unordered(CONCURRENCY)
        .collect::<Vec<_>>()
        .await;
    made.into_iter().chain(gone).filter_map(Result::err).collect()
}

async fn make(ctx: &Context, world: &World, vm: PilotVM) -> Result<(), (String, String)> {
    let key = world.installation.beside(&vm.name_any());
    let pool = vm.spec.pool_ref.name.clone();
    crash_point("create-pilotvm");
    match ctx.api.create(&vm).await {
        Ok(made) => {
            let (uid, version) = (made.uid().unwrap_or_default(), made.resource_version().unwrap_or_default());
            ctx.state.memory.note(&uid, |m| m.planned = Some(world.now));
            ctx.state.expectations.expect(&world.installation, key, &uid, &version);
            Ok(())
        }
        Err(error) => {
            // The next round plans it anew, from what is then true.
            tracing::warn!(vm = %key, %error, "the PilotVM could not be made");
            Err((pool, format!("a PilotVM could not be made: {error}")))
        }
    }
}

async fn give_back(ctx: &Context, world: &World, name: &str, why: &str) -> Result<(), (String, String)> {
    let Some(vm) = world.vms.iter().find(|vm| vm.name_any() == *name) else { return Ok(()) };
    let uid = vm.uid().unwrap_or_default();
    ctx.state.memory.note(&uid, |m| m.surplus = Some(why.to_owned()));
    match ctx.api.delete(vm.as_ref()).await {
        Ok(()) => Ok(()),
        Err(error) if api::is_gone(&error) || api::is_conflict(&error) => Ok(()),
        Err(error) => Err((vm.spec.pool_ref.name.clone(), format!("PilotVM {name} could not be given back: {error}"))),
    }
}

/// The PilotVM of a launch; nothing when pool, VO or site went meanwhile.
fn object(world: &World, launch: &Launch, name: impl FnOnce(&Key) -> String) -> Option<PilotVM> {
    let pool: &Arc<PilotPool> = world.pools.iter().find(|p| p.name_any() == *launch.pool)?;
    let vo = world.vos.iter().find(|v| v.name_any() == *launch.vo)?;
    let site = world.sites.iter().find(|s| s.name_any() == pool.spec.site_ref.name)?;
    let key = Key::of(pool.as_ref());
    let (matching, scaling) = (&pool.spec.matching, &pool.spec.scaling);
    let spec = PilotVMSpec {
        installation_ref: LocalRef { name: world.installation.name.clone() },
        pool_ref: LocalRef { name: key.name.clone() },
        cloud_ref: LocalRef { name: launch.cloud.to_string() },
        vo: launch.vo.to_string(),
        dirac_vo: vo.spec.dirac_name.clone(),
        group: vo.spec.pilot.group.clone(),
        site: site.spec.dirac_name.clone(),
        ce: matching.ce.clone().unwrap_or_else(|| default_ce(&key)),
        queue: matching.queue.clone().unwrap_or_else(|| launch.offering.flavor.clone()),
        offering: Offering {
            flavor: launch.offering.flavor.clone(),
            zone: launch.offering.zone.clone(),
            purchase: Purchase::OnDemand,
            cores: whole(launch.offering.cores),
            ram_mib: whole(launch.offering.ram_mib),
            gpus: whole(launch.offering.gpus),
            per_hour: launch.offering.price_micros.map(Price::from_micros),
        },
        image: pool.spec.machine.image.clone(),
        max_cpu_time: matching.max_cpu_time,
        tags: matching.tags.clone(),
        required_tags: matching.required_tags.clone(),
        platform: matching.platform.clone(),
        boot_deadline: scaling.boot_deadline,
        idle_timeout: scaling.idle_timeout,
        max_lifetime: scaling.max_lifetime,
        reason: launch.reason.to_string(),
    };
    let labels = [
        (POOL_LABEL, &*launch.pool),
        (CLOUD_LABEL, &*launch.cloud),
        (VO_LABEL, &*launch.vo),
        (INSTALLATION_LABEL, &world.installation.name),
    ];
    let mut vm = PilotVM::new(&name(&key), spec);
    vm.metadata.namespace = Some(key.namespace.clone());
    // The finalizer is on the object from its first moment: no VM can be made for one that may go unnoticed.
    vm.metadata.finalizers = Some(vec![VM_FINALIZER.to_owned()]);
    vm.metadata.labels = Some(labels.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect());
    vm.metadata.owner_references = pool.controller_owner_ref(&()).map(|mut o| {
        o.block_owner_deletion = None;
        vec![o]
    });
    Some(vm)
}
