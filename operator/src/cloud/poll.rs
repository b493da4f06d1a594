//! One cloud's poller: everything that is asked of the provider regularly is asked here, and nowhere else.

use std::{sync::Arc, time::Duration};

use broker::cloud::{Cloud, CloudError, Disposition, VmState};
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

/// Polls until dropped.
pub async fn poll(ctx: Arc<Context>, key: Key) {
    let handle = ctx.state.clouds.get(&key);
    let mut driven = Driven::default();
    let mut catalogue_due = Instant::now();
    loop {
        let cloud = ctx.state.stores.clouds.get(&key);
        if let Some(cloud) = &cloud
            && driven.refresh(&ctx, cloud, &handle).await
        {
            catalogue_due = Instant::now();
        }
        let mut pause = None;
        if let Some(driver) = handle.facts().driver {
            if Instant::now() >= catalogue_due || handle.facts().refused.is_some() {
                let first = handle.facts().catalogue.is_none();
                match read_catalogue(&ctx, driver.as_ref(), &handle).await {
                    Ok(()) => {
                        if first {
                            replan(&ctx, &key);
                        }
                        catalogue_due = Instant::now() + ctx.args.catalogue_interval;
                    }
                    Err(error) => pause = Some(pause_after(&error, &ctx)),
                }
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
        Disposition::Retry => ctx.args.busy_interval * 2,
        Disposition::Elsewhere | Disposition::GiveUp | Disposition::Gone => ctx.args.list_interval,
    }
}

async fn read_catalogue(ctx: &Context, driver: &dyn Cloud, handle: &Handle) -> Result<(), CloudError> {
    let started = ctx.clock.now();
    match driver.catalogue().await {
        Ok(catalogue) => {
            handle.update(|f| {
                f.catalogue = Some((started, Arc::new(catalogue)));
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
