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
    plan::{Launch, Plan, Reason, Surplus},
};
use crds::PilotVM;
use futures::{StreamExt, stream};
use kube::ResourceExt;

use super::{drain::idle, order::pilot_vm, unmade::Unmade, world::World};
use crate::{
    context::{Context, State},
    crash::crash_point,
    giveback::{Which, give_back},
    known::memory::Drain,
    names::{Key, POOL_FINALIZER, holds},
};

/// The most objects that are made at one time.
const CONCURRENCY: usize = 32;

const NO_FINALIZER: &str = "the pool's finalizer is not written yet, without which no PilotVM is made: see the operator's rights when this lasts";
const STOPPED: &str = "it is not clear whether a PilotVM of this round was made, and no other is until it is";

/// A launch, and the PilotVM to make for it.
type Order = (Launch, PilotVM);

/// Tells VMs whether they drain; each writes it down itself.
pub fn tell_drains(ctx: &Context, told: Vec<(Arc<PilotVM>, Drain)>) {
    for (vm, drain) in told {
        ctx.state.memory.note(&vm.uid().unwrap_or_default(), |m| m.drain = Some(drain));
        ctx.bells.look_at(Key::of(vm.as_ref()));
    }
}

/// What of a plan could not be carried out.
#[derive(Debug, Default)]
pub struct Applied {
    /// VMs that were planned and are not made.
    pub unmade: Vec<Unmade>,
    /// By pool, why VMs that were to be given back are still there.
    pub kept: BTreeMap<String, String>,
}

/// What is to be made, and what cannot be.
#[derive(Debug, Default)]
pub struct Orders {
    orders: Vec<Order>,
    unmade: Vec<Unmade>,
}

/// The PilotVMs of a plan. From now on they count for others too.
pub fn decide(state: &State, world: &World, plan: &Plan) -> Orders {
    let (launches, unheld) = held_pools_only(world, &plan.launches);
    let unmade = unheld.into_iter().map(|launch| Unmade::of(launch, Reason::PilotVMsNotMade, NO_FINALIZER)).collect();
    let order = |launch: &Launch| Some((launch.clone(), pilot_vm(world, launch, |pool| state.numbers.take(pool))?));
    let orders: Vec<Order> = launches.into_iter().filter_map(order).collect();
    state.intents.decide(&world.installation, orders.iter().map(|(_, vm)| vm));
    Orders { orders, unmade }
}

/// Gives PilotVMs back as the plan says, and makes those that were ordered; gives what went wrong.
pub async fn apply(
    ctx: &Context,
    world: &World,
    rows: Option<&dyn PilotRows>,
    plan: &Plan,
    Orders { orders, mut unmade }: Orders,
) -> Applied {
    let given = give_back(ctx, rows, surplus(world, &plan.surplus), Which::Unasked).await;
    let drained = give_back(ctx, rows, idle(world, plan), Which::Idle).await;
    let kept = given.failed.into_iter().chain(drained.failed).collect();
    let (first, others) = first_of_each_pool(orders);
    let hands = Hands { ctx, world, stopped: AtomicBool::new(false) };
    for batch in [first, others] {
        let made = stream::iter(batch).map(|(launch, vm)| hands.make(launch, vm));
        let made: Vec<_> = made.buffer_unordered(CONCURRENCY).collect().await;
        unmade.extend(made.into_iter().filter_map(Result::err));
    }
    Applied { unmade, kept }
}

/// The PilotVMs to give back, with the reason.
fn surplus(world: &World, surplus: &[Surplus]) -> Vec<(Arc<PilotVM>, String)> {
    surplus.iter().filter_map(|s| Some((world.vm(&s.vm)?.clone(), s.reason.clone()))).collect()
}

/// The launches of pools that have their finalizer, and the others: deleted in this moment, such a pool would leave VMs behind.
fn held_pools_only<'a>(world: &World, launches: &'a [Launch]) -> (Vec<&'a Launch>, Vec<&'a Launch>) {
    let held: BTreeSet<&str> = world
        .pools
        .iter()
        .filter(|pool| holds(pool.as_ref(), POOL_FINALIZER))
        .filter_map(|pool| pool.metadata.name.as_deref())
        .collect();
    launches.iter().partition(|launch| held.contains(&*launch.pool))
}

/// The first of each pool, which is made before the others: where the store is late, its name is taken, and nothing more is made.
fn first_of_each_pool(orders: Vec<Order>) -> (Vec<Order>, Vec<Order>) {
    let mut pools = BTreeSet::new();
    orders.into_iter().partition(|(launch, _)| pools.insert(launch.pool.clone()))
}

struct Hands<'a> {
    ctx: &'a Context,
    world: &'a World,
    /// Whether nothing more is made in this round.
    stopped: AtomicBool,
}

impl Hands<'_> {
    async fn make(&self, launch: Launch, vm: PilotVM) -> Result<(), Unmade> {
        let (state, key) = (&self.ctx.state, self.world.installation.beside(&vm.name_any()));
        let pool = vm.spec.pool_ref.name.clone();
        let give_up = || {
            state.intents.give_up(&key);
            state.numbers.free(&key.beside(&pool), &key.name);
        };
        if self.stopped.load(Ordering::Relaxed) {
            give_up();
            return Err(Unmade::of(&launch, Reason::PilotVMsNotMade, STOPPED));
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
                give_up();
                Err(Unmade::of(&launch, Reason::PilotVMsNotMade, format!("a PilotVM could not be made: {error}")))
            }
            Err(error) => {
                self.stopped.store(true, Ordering::Relaxed);
                tracing::warn!(vm = %key, %error, "it is not clear whether the PilotVM was made: this round makes no other");
                state.expectations.doubt(&self.world.installation, key);
                let text = format!("it is not clear whether a PilotVM was made, and no other is until it is: {error}");
                Err(Unmade::of(&launch, Reason::PilotVMsNotMade, text))
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
