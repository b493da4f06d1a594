//! The planning round of one installation; nothing else makes PilotVM objects.
//!
//! Flow: 1. own writes have come back through the watch, and no name is in doubt; 2. what VOs hold and spend is counted; 3. demand is
//! read; where it or the pilots' rows are unknown nothing is scaled; 4. the world, read once, and what it teaches; 5. the
//! snapshot, the plan and what of it is done, all pure, one round of all installations at a time; what a person is asked about first is held
//! back; 6. PilotVMs told to drain, given back and made; 7. what was decided is kept for the statuses.

mod apply;
mod change;
mod decide;
mod drain;
mod drift;
mod elsewhere;
mod held;
mod kinds;
mod learn;
mod lease;
mod left;
mod live;
mod lots;
mod measure;
mod money;
mod order;
mod own_writes;
mod quotas;
mod snapshot;
mod unmade;
mod wishes;
mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use broker::{
    clock::moment,
    demand::{Demand, TaskQueue},
    experience::{Circuit, Opened, Outcome, Waiting, Waits},
    plan::{Plan, Snapshot},
};
use crds::{DiracInstallation, Reason};
use jiff::Timestamp;
use tokio::time::Instant;

use apply::{Applied, Orders};
use change::hold_back;
use decide::{Hands, hands, respect_pauses};
use learn::{learn, learnt_before, restrain};
use measure::measure;
use own_writes::own_writes_are_back;
use snapshot::snapshot;
use unmade::{by_pool, give_none};
use world::World;

use crate::{
    context::Context,
    known::{
        accounts::Seen,
        change::Change,
        installation::{Facts, Handle, Round},
    },
    names::{Key, deleting},
    trouble::Trouble,
};

/// The poll interval where the installation names none.
const POLL: Duration = Duration::from_secs(20);
/// Rounds that were asked for are no closer than this.
const CLOSEST: Duration = Duration::from_secs(2);
/// Nor closer than this many times what the last one took: a round looks at every VM, and those that are asked for while many VMs come
/// would cost more for each VM the more there are.
const REST: u32 = 50;
/// It ends within this time, also where thousands of PilotVMs are made.
const TURN: Duration = Duration::from_secs(1_800);

/// Plans until dropped.
pub async fn run(ctx: Arc<Context>, key: Key) {
    let pulse = ctx.progress.begins(format!("round of {key}"), TURN);
    let handle = ctx.state.installations.get(&key);
    loop {
        let (pause, took) = match ctx.state.stores.installations.get(&key) {
            Some(installation) if !deleting(installation.as_ref()) => {
                let took = round(&ctx, &key, &installation, &handle).await;
                (interval(&installation), took.unwrap_or_default())
            }
            _ => (POLL, Duration::ZERO),
        };
        ctx.bells.tell_statuses();
        let began = Instant::now();
        let rest = async {
            tokio::select! {
                () = ctx.bells.to_plan(&key) => tokio::time::sleep(closest(took, pause).saturating_sub(began.elapsed())).await,
                () = tokio::time::sleep(pause) => {}
            }
        };
        pulse.rests(rest).await;
    }
}

fn interval(installation: &DiracInstallation) -> Duration {
    let wanted = installation.spec.demand.as_ref().and_then(|d| d.poll_interval);
    wanted.map_or(POLL, Duration::from).max(Duration::from_secs(1))
}

/// How soon after a round that took this long the next one may be asked for; it comes in any case after `pause`.
fn closest(took: Duration, pause: Duration) -> Duration {
    (took * REST).min(pause).max(CLOSEST)
}

/// How long the decision took; none where nothing was decided.
async fn round(ctx: &Context, key: &Key, installation: &DiracInstallation, handle: &Handle) -> Option<Duration> {
    if !own_writes_are_back(ctx, key).await {
        return None;
    }
    keep_accounts(ctx, key, handle);
    let before = handle.facts();
    let source = before.demand?;
    let at = ctx.clock.now();
    let Demand { queues, unreadable } = match source.task_queues().await {
        Ok(demand) => demand,
        Err(error) => {
            tracing::warn!(installation = %key, reason = %error.fault, %error, "demand is unknown: nothing is scaled");
            if before.demand_unknown.is_none() {
                ctx.events.warn(installation, Reason::DemandUnknown, error.message.clone()).await;
            }
            let trouble = Trouble::from(error);
            handle.update(|f| f.demand_unknown = Some(trouble));
            ctx.metrics.demand_failed(key);
            return None;
        }
    };
    if before.demand_unknown.is_some() {
        handle.update(|f| {
            f.demand_unknown = None;
            f.demand_back = at;
        });
        ctx.events.note(installation, Reason::DemandKnown, "the task queues can be read again").await;
    }
    let (queue_count, jobs) = (queues.len() as u64, queues.iter().map(|q| q.jobs).sum());
    // Read after the demand, which can take its time: rows that came meanwhile count.
    let facts = handle.facts();
    let Decided { world, taken, mut plan, waiting, opened, frozen, todo, took } = decide(ctx, key, &facts, queues);
    say_opened(ctx, &world, &opened).await;
    say_frozen(ctx, &world, &frozen, facts.round.as_deref()).await;
    tracing::info!(
        installation = %key, jobs, vms = taken.vms.len(), launches = plan.launches.len(), surplus = plan.surplus.len(),
        drains = plan.drains.len(),
        unmet = plan.unmet.iter().map(|u| u.jobs).sum::<u64>(), "planned"
    );
    let Applied { unmade, kept } = match todo {
        Ok(orders) => {
            apply::tell_drains(ctx, drain::told(&world, &taken, &plan));
            apply::apply(ctx, &world, facts.rows.as_deref(), &plan, orders).await
        }
        Err(why) => {
            tracing::warn!(installation = %key, why, "nothing is scaled");
            Applied { unmade: unmade::all(&plan, &why), ..Applied::default() }
        }
    };
    give_none(&mut plan, &unmade);
    let unmade = by_pool(unmade);
    let (unneeded, drifted) = (unneeded(&world, &plan), drift::counted(&taken));
    handle.update(|f| {
        f.round = Some(Arc::new(Round {
            at,
            queues: queue_count,
            unreadable,
            jobs,
            plan,
            unmade,
            kept,
            frozen,
            drifted,
            unneeded,
            waiting,
        }));
    });
    Some(took)
}

/// What one round decided.
struct Decided {
    world: World,
    taken: Snapshot,
    plan: Plan,
    /// Since when jobs of each class wait.
    waiting: Vec<Waits>,
    /// The breakers that have just opened.
    opened: Vec<(Circuit, Opened)>,
    /// What is held back until a person agrees.
    frozen: BTreeMap<String, Change>,
    /// What is to be made; an error is a sentence: why nothing may be made or given back.
    todo: Result<Orders, String>,
    /// How long all this took.
    took: Duration,
}

/// Looks at the world, plans and decides, without a wait: no other round does so meanwhile.
fn decide(ctx: &Context, key: &Key, facts: &Facts, queues: Vec<TaskQueue>) -> Decided {
    let state = &ctx.state;
    let _turn = state.intents.turn();
    let since = Instant::now();
    let mut world = World::of(state, key, facts, ctx.clock.now());
    learn(&mut world, |cloud| state.clouds.get(&key.beside(cloud)));
    for vm in &world.unread {
        state.numbers.saw(&key.beside(&vm.pool), &vm.name);
    }
    let mut taken = snapshot(&world, queues);
    let waiting = Waiting::of(&taken.vos, &taken.queues);
    let ended = state.ended.with(|all| all.remove(key).unwrap_or_default());
    let opened = state.lessons.with(|all| {
        let lessons = all.entry(key.clone()).or_insert_with(|| learnt_before(&world));
        let before: BTreeSet<Circuit> = lessons.opened().map(|(circuit, _)| circuit.clone()).collect();
        restrain(&mut taken, lessons, &world, &ended, &waiting);
        state.measures.with(|all| {
            measure(&mut taken, all.entry(key.clone()).or_default(), &world, &ended, &waiting.classes);
        });
        let new = lessons.opened().filter(|(circuit, _)| !before.contains(circuit));
        new.map(|(circuit, opened)| (circuit.clone(), *opened)).collect::<Vec<_>>()
    });
    let began = Instant::now();
    let mut plan = respect_pauses(&world, broker::plan::plan(&taken));
    ctx.metrics.planned(began.elapsed());
    let frozen =
        state.brakes.with(|all| hold_back(&world, &taken, &mut plan, all.entry(key.clone()).or_default(), moment()));
    let todo = match hands(&world) {
        Hands::Free => Ok(apply::decide(state, &world, &plan)),
        Hands::Bound(why) => Err(why),
    };
    let waiting = waiting.since(&world.waiting, world.now);
    Decided { world, taken, plan, waiting, opened, frozen, todo, took: since.elapsed() }
}

/// What the VOs hold and spend is counted also while nothing can be planned.
fn keep_accounts(ctx: &Context, key: &Key, handle: &Handle) {
    let stores = &ctx.state.stores;
    let (vms, vos) = (stores.vms.within(&key.namespace), stores.vos.within(&key.namespace));
    let (pools, clouds) = (stores.pools.within(&key.namespace), stores.clouds.within(&key.namespace));
    let (installation, now) = (key.name.as_str(), ctx.clock.now());
    let seen = Seen { installation, vms: &vms, vos: &vos, pools: &pools, clouds: &clouds, now };
    handle.update(|facts| Arc::make_mut(&mut facts.accounts).round(&seen));
}

/// Tells of each breaker that has just opened, at its pool.
async fn say_opened(ctx: &Context, world: &World, opened: &[(Circuit, Opened)]) {
    for (circuit, opened) in opened {
        let Some(pool) = world.pool(&circuit.pool) else { continue };
        let reason = match opened.by {
            Outcome::NeverMatched => Reason::NeverMatched,
            Outcome::JobsDied => Reason::JobsDie,
            Outcome::NeverAsked => Reason::VmsFail,
        };
        ctx.events.warn(pool.as_ref(), reason, opened.message(circuit)).await;
    }
}

/// Tells of each change that is held back since this round, at its pool.
async fn say_frozen(ctx: &Context, world: &World, frozen: &BTreeMap<String, Change>, before: Option<&Round>) {
    for (name, change) in frozen.iter().filter(|(name, _)| !before.is_some_and(|b| b.frozen.contains_key(*name))) {
        let Some(pool) = world.pool(name) else { continue };
        let message = change.message(&Key::of(pool.as_ref()));
        tracing::warn!(pool = %Key::of(pool.as_ref()), message, "VMs do not drain until a person says so");
        ctx.events.warn(pool.as_ref(), Reason::MassChange, message).await;
    }
}

/// Since when no waiting job has been planned for each of the VMs that boot.
fn unneeded(world: &World, plan: &Plan) -> BTreeMap<String, Timestamp> {
    let since = |name: &String| (name.clone(), world.unneeded.get(name).copied().unwrap_or(world.now).min(world.now));
    plan.unneeded.iter().map(since).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_that_are_asked_for_rest_longer_the_longer_they_take_and_never_beyond_the_poll_interval() {
        let (ms, s) = (Duration::from_millis, Duration::from_secs);
        for (took, pause, rest) in [
            (ms(0), s(20), s(2)),
            (ms(40), s(20), s(2)),
            (ms(100), s(20), s(5)),
            (s(3), s(20), s(20)),
            (s(3), s(1), s(2)),
        ] {
            assert_eq!(closest(took, pause), rest, "{took:?} {pause:?}");
        }
    }
}
