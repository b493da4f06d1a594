//! Pools come and go without a job being lost: a pool keeps a finalizer, and one that is deleted, by hand or by GitOps, first drains.
//!
//! Flow for each pool: 1. VMs that an earlier release made the pool's property are taken out of it, since garbage collection would
//! delete them with their jobs; 2. [`next()`] decides, pure; 3. that one thing is done. A pool whose object is gone all the same (its
//! finalizer was taken off) drains too, once the API server itself says that it is gone.

mod next;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use broker::pilot::rows::PilotRows;
use crds::{PilotPool, PilotVM, Reason};
use kube::{Resource, ResourceExt};

use next::{Step, drainable, next};

use crate::{
    api,
    context::Context,
    giveback::{Which, give_back},
    names::{Key, POOL_FINALIZER, POOL_LABEL},
};

/// Pools are looked through at least this often.
const AT_LEAST: Duration = Duration::from_secs(10);
/// They are looked through within this time, also where thousands of PilotVMs are given back.
const TURN: Duration = Duration::from_secs(1_800);

/// Looks after all pools until dropped.
pub async fn run(ctx: Arc<Context>) {
    let pulse = ctx.progress.begins("pools", TURN);
    loop {
        look(&ctx).await;
        let _ = pulse.rests(tokio::time::timeout(AT_LEAST, ctx.bells.to_look_at_pools())).await;
    }
}

/// One pass over all pools.
async fn look(ctx: &Context) {
    let mut by_pool: BTreeMap<Key, Vec<Arc<PilotVM>>> = BTreeMap::new();
    for vm in ctx.state.stores.vms.all() {
        by_pool.entry(Key::of(vm.as_ref()).beside(&vm.spec.pool_ref.name)).or_default().push(vm);
    }
    for vms in by_pool.values() {
        set_free(ctx, vms).await;
    }
    for pool in ctx.state.stores.pools.all() {
        let vms = by_pool.remove(&Key::of(pool.as_ref())).unwrap_or_default();
        settle(ctx, &pool, vms).await;
    }
    for (key, vms) in by_pool {
        // Where the watch is late, or this version cannot read the pool, the pool is not gone.
        if let Ok(false) = ctx.api.is_there::<PilotPool>(&key).await {
            drain(ctx, drainable(&vms), "its pool is gone").await;
        }
    }
}

async fn settle(ctx: &Context, pool: &PilotPool, vms: Vec<Arc<PilotVM>>) {
    let key = Key::of(pool);
    // A PilotVM that this version cannot read may have a VM with jobs.
    let is_awaited =
        ctx.state.expectations.awaits_any_of(&key) || !ctx.state.stores.unknown_vms(POOL_LABEL, &key).is_empty();
    match next(pool, &vms, is_awaited) {
        Step::Rest => {}
        Step::Hold => ctx.api.try_hold(pool, POOL_FINALIZER, true).await,
        Step::Release => ctx.api.try_hold(pool, POOL_FINALIZER, false).await,
        Step::Drain(vms) => {
            let text = "the pool was deleted: no VM is made, and each VM goes when it has no job";
            ctx.events.note(pool, Reason::Draining, text).await;
            drain(ctx, vms, "its pool was deleted").await;
        }
        Step::DeleteAll(vms) => {
            for vm in without_paused(ctx, vms) {
                if let Err(error) = ctx.api.delete(vm.as_ref()).await
                    && !api::is_gone(&error)
                {
                    tracing::warn!(vm = %Key::of(vm.as_ref()), %error, "a PilotVM of a deleted pool could not be deleted");
                }
            }
        }
    }
}

/// Gives back the VMs without a job; the others are tried again at the next pass, and end by themselves when their pilots find no more
/// work.
async fn drain(ctx: &Context, vms: Vec<Arc<PilotVM>>, why: &str) {
    let mut by_installation: BTreeMap<Key, Vec<(Arc<PilotVM>, String)>> = BTreeMap::new();
    for vm in without_paused(ctx, vms) {
        let installation = Key::of(vm.as_ref()).beside(&vm.spec.installation_ref.name);
        by_installation.entry(installation).or_default().push((vm, why.to_owned()));
    }
    for (installation, vms) in by_installation {
        let rows: Option<Arc<dyn PilotRows>> = ctx.state.installations.get(&installation).facts().rows;
        let given = give_back(ctx, rows.as_deref(), vms, Which::Jobless).await;
        for (pool, sentence) in given.failed {
            tracing::warn!(%installation, pool, sentence, "a pool drains slowly");
        }
        if given.gone > 0 {
            ctx.bells.tell_statuses();
        }
    }
}

/// Those for which no object says that nothing is taken away.
fn without_paused(ctx: &Context, mut vms: Vec<Arc<PilotVM>>) -> Vec<Arc<PilotVM>> {
    vms.retain(|vm| ctx.state.paused_by(vm).is_none());
    vms
}

/// Takes these VMs out of the hands of garbage collection.
async fn set_free(ctx: &Context, vms: &[Arc<PilotVM>]) {
    let kind = PilotPool::kind(&());
    for vm in vms.iter().filter(|vm| vm.owner_references().iter().any(|owner| owner.kind == kind)) {
        match ctx.api.disown(vm.as_ref(), &kind).await {
            Ok(()) => {}
            Err(error) if api::is_gone(&error) || api::is_conflict(&error) => {}
            Err(error) => {
                tracing::warn!(vm = %Key::of(vm.as_ref()), %error, "the owner of a PilotVM could not be taken off")
            }
        }
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
