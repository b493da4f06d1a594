//! The planning round of one installation; nothing else makes PilotVM objects.
//!
//! Flow: 1. own writes have come back through the watch; 2. demand is read; where it or the pilots' rows are unknown nothing is
//! scaled; 3. one snapshot; 4. the plan, pure; 5. PilotVMs made and given back; 6. what was decided is kept for the statuses.

mod apply;
mod live;
mod snapshot;

use std::{sync::Arc, time::Duration};

use broker::clock::moment;
use crds::DiracInstallation;
use tokio::time::Instant;

use snapshot::{CloudView, World, snapshot};

use crate::{
    context::Context,
    known::{
        installation::{Handle, Round},
        place::Place,
    },
    names::{Key, deleting},
    trouble::Trouble,
};

/// The poll interval where the installation names none.
const POLL: Duration = Duration::from_secs(20);
/// Rounds that were asked for are no closer than this.
const CLOSEST: Duration = Duration::from_secs(2);
/// After this time a write that did not come back is looked for in the API server.
const WATCH_IS_LATE: Duration = Duration::from_secs(10);

/// Plans until dropped.
pub async fn run(ctx: Arc<Context>, key: Key) {
    let handle = ctx.state.installations.get(&key);
    loop {
        let pause = match ctx.state.stores.installations.get(&key) {
            Some(installation) if !deleting(installation.as_ref()) => {
                round(&ctx, &key, &installation, &handle).await;
                interval(&installation)
            }
            _ => POLL,
        };
        ctx.bells.tell_statuses();
        let began = Instant::now();
        tokio::select! {
            () = ctx.bells.to_plan(&key) => tokio::time::sleep(CLOSEST.saturating_sub(began.elapsed())).await,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

fn interval(installation: &DiracInstallation) -> Duration {
    let wanted = installation.spec.demand.as_ref().and_then(|d| d.poll_interval);
    wanted.map_or(POLL, Duration::from).max(Duration::from_secs(1))
}

async fn round(ctx: &Context, key: &Key, installation: &DiracInstallation, handle: &Handle) {
    if !own_writes_are_back(ctx, key).await {
        return;
    }
    let facts = handle.facts();
    let Some(source) = facts.demand else { return };
    let at = ctx.clock.now();
    let queues = match source.task_queues().await {
        Ok(queues) => queues,
        Err(error) => {
            tracing::warn!(installation = %key, reason = error.reason, %error, "demand is unknown: nothing is scaled");
            if facts.demand_unknown.is_none() {
                ctx.events.warn(installation, "DemandUnknown", error.message.clone()).await;
            }
            let trouble = Trouble::from(error);
            handle.update(|f| f.demand_unknown = Some(trouble));
            ctx.metrics.demand_failed(key);
            return;
        }
    };
    if facts.demand_unknown.is_some() {
        handle.update(|f| {
            f.demand_unknown = None;
            f.demand_back = at;
        });
        ctx.events.note(installation, "DemandKnown", "the task queues can be read again").await;
    }
    let (queue_count, jobs) = (queues.len() as u64, queues.iter().map(|q| q.jobs).sum());
    let world = world(ctx, key, handle);
    let taken = snapshot(&world, queues);
    let began = Instant::now();
    let plan = broker::plan::plan(&taken);
    ctx.metrics.planned(began.elapsed());
    tracing::info!(
        installation = %key, jobs, vms = taken.vms.len(), launches = plan.launches.len(), surplus = plan.surplus.len(),
        unmet = plan.unmet.iter().map(|u| u.jobs).sum::<u64>(), "planned"
    );
    let failed = match handle.facts().rows_unknown {
        None => apply::apply(ctx, &world, &plan).await,
        // Whether pilots run is not known, and new ones could not be registered: the plan is only told.
        Some(trouble) => {
            tracing::warn!(installation = %key, reason = trouble.reason, "the pilots' rows are unknown: nothing is scaled");
            let why = format!("no PilotVM is made while the pilots' rows are unknown: {}", trouble.message);
            plan.launches.iter().map(|launch| (launch.pool.to_string(), why.clone())).collect()
        }
    };
    handle.update(|f| {
        f.round = Some(Arc::new(Round { at, queues: queue_count, jobs, plan, failed }));
    });
}

/// Whether all own writes have been seen; a late one is looked for in the API server.
async fn own_writes_are_back(ctx: &Context, key: &Key) -> bool {
    for late in ctx.state.expectations.settle(key, WATCH_IS_LATE, |vm| ctx.state.stores.vms.get(vm)).await {
        match ctx.api.read::<crds::PilotVM>(&late.vm).await {
            Ok(Some(vm)) if vm.metadata.uid.as_deref() == Some(late.uid.as_str()) => {
                tracing::warn!(vm = %late.vm, "an own write has not come back through the watch: this round does not plan");
                return false;
            }
            Ok(_) => ctx.state.expectations.drop(&late.uid),
            Err(error) => {
                tracing::warn!(vm = %late.vm, %error, "an own write could not be verified: this round does not plan");
                return false;
            }
        }
    }
    true
}

fn world(ctx: &Context, key: &Key, handle: &Handle) -> World {
    let now = ctx.clock.now();
    let namespace = key.namespace.as_str();
    let facts = handle.facts();
    let view = |object: Arc<crds::Cloud>| {
        let cloud = ctx.state.clouds.get(&Key::of(object.as_ref()));
        let facts = cloud.facts();
        let (failed, refused) = (cloud.clone(), cloud.refused_places(moment()));
        CloudView {
            object,
            facts,
            failing: Box::new(move |pool| {
                failed.failing(pool, moment()).into_iter().map(|p| (p.flavor, p.zone)).collect()
            }),
            refused: Box::new(move |flavor, zone| refused.contains(&Place::on_demand(flavor, zone))),
        }
    };
    World {
        installation: key.clone(),
        installations: ctx.state.stores.installations.within(namespace),
        sites: ctx.state.stores.sites.within(namespace),
        vos: ctx.state.stores.vos.within(namespace),
        clouds: ctx.state.stores.clouds.within(namespace).into_iter().map(view).collect(),
        pools: ctx.state.stores.pools.within(namespace),
        // VMs of other installations of the namespace still use up its clouds.
        vms: ctx.state.stores.vms.within(namespace),
        rows: facts.read,
        asking: facts.demand_back,
        now,
    }
}
