//! One cloud's poller: everything that is asked of the provider regularly is asked here, and nowhere else.

use std::{sync::Arc, time::Duration};

use broker::cloud::{Cloud, CloudError, Disposition, VmState, Wanted};
use crds::PilotVM;
use kube::ResourceExt;
use tokio::time::Instant;

use super::{collect, driver::Driven, finalizer};
use crate::{
    context::Context,
    known::{cloud::Handle, listing::Listing},
    life::is_settled,
    names::Key,
};

/// So many readings of the headroom go by before the offers are read again.
const OFFERS_EVERY: u32 = 15;

/// Polls until dropped.
pub async fn poll(ctx: Arc<Context>, key: Key) {
    let handle = ctx.state.clouds.get(&key);
    let mut driven = Driven::default();
    let (mut offers_due, mut headroom_due) = (Instant::now(), Instant::now());
    loop {
        let cloud = ctx.state.stores.clouds.get(&key);
        if let Some(cloud) = &cloud
            && driven.refresh(&ctx, cloud, &handle).await
        {
            (offers_due, headroom_due) = (Instant::now(), Instant::now());
        }
        let mut pause = None;
        if let Some(driver) = handle.facts().driver {
            let first = handle.facts().offers.is_none() || handle.facts().headroom.is_none();
            let unauthorized = matches!(handle.facts().refused, Some(CloudError::Unauthorized(_)));
            let mut answered = Ok(());
            if Instant::now() >= offers_due || unauthorized {
                answered = read_offers(driver.as_ref(), &handle).await;
                if answered.is_ok() {
                    offers_due = Instant::now() + next_offers(&handle, ctx.args.catalogue_interval);
                }
            }
            if answered.is_ok() && (Instant::now() >= headroom_due || handle.facts().refused.is_some()) {
                answered = read_headroom(&ctx, driver.as_ref(), &handle).await;
                if answered.is_ok() {
                    headroom_due = Instant::now() + ctx.args.catalogue_interval;
                    if first {
                        replan(&ctx, &key);
                    }
                }
            }
            if let Err(error) = answered {
                pause = Some(pause_after(&error, &ctx));
            }
            match list(&ctx, driver.as_ref(), &handle).await {
                Ok(listing) => {
                    collect::collect(&ctx, &key, driver.as_ref(), &handle, &listing).await;
                    wake(&ctx, &key, &listing);
                }
                Err(error) => pause = Some(pause_after(&error, &ctx)),
            }
        }
        if let Some(cloud) = &cloud {
            finalizer::settle(&ctx, cloud).await;
        }
        ctx.bells.tell_statuses();
        rest(&ctx, &key, pause).await;
    }
}

/// Jobs may have waited for this cloud to be known.
fn replan(ctx: &Context, key: &Key) {
    for installation in ctx.state.stores.installations.within(&key.namespace) {
        ctx.bells.plan(&Key::of(installation.as_ref()));
    }
}

/// Waits for the next turn: shortly while something boots or ends, long otherwise, and never less than the short pause.
async fn rest(ctx: &Context, key: &Key, pause: Option<Duration>) {
    let shortest = ctx.args.busy_interval.min(ctx.args.list_interval);
    tokio::time::sleep(pause.unwrap_or(shortest).max(shortest)).await;
    if pause.is_none() && !is_busy(ctx, key) {
        let left = ctx.args.list_interval.saturating_sub(shortest);
        tokio::select! {
            () = ctx.bells.to_poll(key) => {}
            () = tokio::time::sleep(left) => {}
        }
    }
}

fn pause_after(error: &CloudError, ctx: &Context) -> Duration {
    match error.disposition() {
        Disposition::RetryAfter(pause) => pause,
        Disposition::Retry | Disposition::LookUntil(_) => ctx.args.busy_interval * 2,
        Disposition::Elsewhere(_) | Disposition::GiveUp | Disposition::Gone => ctx.args.list_interval,
    }
}

/// When the offers are read again: rarely, and soon where something is missing that its owner may be about to mend.
fn next_offers(handle: &Handle, interval: Duration) -> Duration {
    let complete = handle.facts().offers.is_some_and(|offers| offers.missing.is_empty());
    if complete { interval * OFFERS_EVERY } else { interval }
}

async fn read_offers(driver: &dyn Cloud, handle: &Handle) -> Result<(), CloudError> {
    match driver.offers(&Wanted::default()).await {
        Ok(offers) => {
            handle.update(|f| f.offers = Some(Arc::new(offers)));
            Ok(())
        }
        Err(error) => {
            handle.update(|f| f.refused = Some(error.clone()));
            Err(error)
        }
    }
}

async fn read_headroom(ctx: &Context, driver: &dyn Cloud, handle: &Handle) -> Result<(), CloudError> {
    let started = ctx.clock.now();
    match driver.headroom().await {
        Ok(headroom) => {
            handle.update(|f| {
                f.headroom = Some((started, Arc::new(headroom)));
                f.refused = None;
            });
            Ok(())
        }
        Err(error) => {
            handle.update(|f| f.refused = Some(error.clone()));
            Err(error)
        }
    }
}

async fn list(ctx: &Context, driver: &dyn Cloud, handle: &Handle) -> Result<Arc<Listing>, CloudError> {
    let started = ctx.clock.now();
    match driver.list(&ctx.state.cluster).await {
        Ok(vms) => {
            let listing = Arc::new(Listing::new(started, vms, handle.facts().listing.as_deref()));
            handle.update(|f| f.listing = Some(listing.clone()));
            Ok(listing)
        }
        Err(error) => {
            handle.update(|f| f.refused = Some(error.clone()));
            Err(error)
        }
    }
}

fn is_busy(ctx: &Context, key: &Key) -> bool {
    !ctx.state.stores.vms_of_cloud(key).iter().all(|vm| is_settled(vm))
}

/// Wakes the PilotVMs for which the list may have news: those that boot or end, and those whose VM is not up any more.
fn wake(ctx: &Context, key: &Key, listing: &Listing) {
    let is_up = |vm: &PilotVM| {
        let twins = vm.uid().and_then(|uid| listing.vms.get(&uid));
        twins.is_some_and(|t| t.iter().all(|vm| vm.state == VmState::Active))
    };
    for vm in ctx.state.stores.vms_of_cloud(key) {
        if !(is_settled(&vm) && is_up(&vm)) {
            ctx.bells.look_at(Key::of(vm.as_ref()));
        }
    }
}
