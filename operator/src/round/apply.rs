//! Turns a plan into PilotVM objects: the only place that makes them. What is given back goes first, so that no limit is passed.
//!
//! A name is used once. Where the API server does not say clearly whether it made the object, the name is in doubt: it is asked for
//! before the next plan, and nothing more is made in this round.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use broker::{
    pilot::rows::PilotRows,
    plan::{Launch, Plan, Surplus},
};
use crds::PilotVM;
use futures::{StreamExt, stream};
use kube::ResourceExt;

use super::{drain::idle, order::pilot_vm, world::World};
use crate::{
    context::Context,
    crash::crash_point,
    giveback::{Which, give_back},
    known::memory::Drain,
    names::{Key, POOL_FINALIZER, holds},
};

/// The most objects that are made at one time.
const CONCURRENCY: usize = 32;

/// Tells VMs whether they drain; each writes it down itself.
pub fn tell_drains(ctx: &Context, told: Vec<(Arc<PilotVM>, Drain)>) {
    for (vm, drain) in told {
        ctx.state.memory.note(&vm.uid().unwrap_or_default(), |m| m.drain = Some(drain));
        ctx.bells.look_at(Key::of(vm.as_ref()));
    }
}

/// Deletes and makes PilotVMs as the plan says; gives what went wrong, by pool.
pub async fn apply(
    ctx: &Context,
    world: &World,
    rows: Option<&dyn PilotRows>,
    plan: &Plan,
) -> BTreeMap<String, String> {
    let given = give_back(ctx, rows, surplus(world, &plan.surplus), Which::Unasked).await;
    let drained = give_back(ctx, rows, idle(world, plan), Which::Idle).await;
    let mut failed: BTreeMap<String, String> = given.failed.into_iter().chain(drained.failed).collect();
    let (launches, unheld) = held_pools_only(world, &plan.launches);
    failed.extend(unheld.into_iter().map(|pool| {
        let text = "its finalizer is not written yet, without which no PilotVM is made: see the operator's rights when this lasts";
        (pool, text.to_owned())
    }));
    let orders = launches.into_iter().filter_map(|launch| pilot_vm(world, launch, |pool| ctx.state.numbers.take(pool)));
    let (first, others) = first_of_each_pool(orders.collect());
    let hands = Hands { ctx, world, stopped: AtomicBool::new(false) };
    for batch in [first, others] {
        let made = stream::iter(batch).map(|vm| hands.make(vm)).buffer_unordered(CONCURRENCY).collect::<Vec<_>>().await;
        failed.extend(made.into_iter().filter_map(Result::err));
    }
    failed
}

/// The PilotVMs to give back, with the reason.
fn surplus(world: &World, surplus: &[Surplus]) -> Vec<(Arc<PilotVM>, String)> {
    surplus.iter().filter_map(|s| Some((world.vm(&s.vm)?.clone(), s.reason.clone()))).collect()
}

/// The launches of pools that have their finalizer, and the other pools: deleted in this moment, such a pool would leave VMs behind.
fn held_pools_only<'a>(world: &World, launches: &'a [Launch]) -> (Vec<&'a Launch>, BTreeSet<String>) {
    let is_held = |name: &str| world.pool(name).is_some_and(|pool| holds(pool.as_ref(), POOL_FINALIZER));
    let (held, unheld): (Vec<&Launch>, Vec<&Launch>) = launches.iter().partition(|launch| is_held(&launch.pool));
    (held, unheld.into_iter().map(|launch| launch.pool.to_string()).collect())
}

/// The first of each pool, which is made before the others: where the store is late, its name is taken, and nothing more is made.
fn first_of_each_pool(orders: Vec<PilotVM>) -> (Vec<PilotVM>, Vec<PilotVM>) {
    let mut pools = BTreeSet::new();
    orders.into_iter().partition(|vm| pools.insert(vm.spec.pool_ref.name.clone()))
}

struct Hands<'a> {
    ctx: &'a Context,
    world: &'a World,
    /// Whether nothing more is made in this round.
    stopped: AtomicBool,
}

impl Hands<'_> {
    async fn make(&self, vm: PilotVM) -> Result<(), (String, String)> {
        let (state, key) = (&self.ctx.state, self.world.installation.beside(&vm.name_any()));
        let pool = vm.spec.pool_ref.name.clone();
        if self.stopped.load(Ordering::Relaxed) {
            state.numbers.free(&key.beside(&pool), &key.name);
            return Ok(());
        }
        crash_point("create-pilotvm");
        match self.ctx.api.create(&vm).await {
            Ok(made) => {
                let (uid, version) = (made.uid().unwrap_or_default(), made.resource_version().unwrap_or_default());
                state.memory.note(&uid, |m| m.planned = Some(self.world.now));
                state.expectations.expect(&self.world.installation, key, &uid, &version);
                Ok(())
            }
            Err(error) if is_refusal(&error) => {
                // The next round plans it again, from what is then true.
                tracing::warn!(vm = %key, %error, "the PilotVM could not be made");
                state.numbers.free(&key.beside(&pool), &key.name);
                Err((pool, format!("a PilotVM could not be made: {error}")))
            }
            Err(error) => {
                self.stopped.store(true, Ordering::Relaxed);
                tracing::warn!(vm = %key, %error, "it is not clear whether the PilotVM was made: this round makes no other");
                state.expectations.doubt(&self.world.installation, key);
                Err((pool, format!("it is not clear whether a PilotVM was made, and no other is until it is: {error}")))
            }
        }
    }
}

/// Whether the API server says that it made nothing, and would not have.
fn is_refusal(error: &kube::Error) -> bool {
    match error {
        // 409: the name is taken, by one that the store does not show. 408 and 429 may come from a proxy on the way.
        kube::Error::Api(status) => (400..500).contains(&status.code) && ![408, 409, 429].contains(&status.code),
        _ => false,
    }
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
