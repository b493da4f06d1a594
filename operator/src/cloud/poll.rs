//! One cloud's poller: everything that is asked of the provider regularly is asked here, and nowhere else.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use broker::cloud::{Cloud, CloudError, Disposition, VmState};
use crds::PilotVM;
use jiff::Timestamp;
use kube::ResourceExt;

use super::{Handle, Listing, driver::Driven, finalizer};
use crate::{
    collect,
    context::Context,
    names::{Key, deleting},
    vm::{Ending, launched, ran},
};

/// Polls until dropped.
pub async fn run(ctx: Arc<Context>, key: Key) {
    let handle = ctx.clouds.get(&key);
    let mut driven = Driven::default();
    let mut catalogue_due = Instant::now();
    loop {
        let cloud = ctx.stores.clouds.get(&key);
        if let Some(cloud) = &cloud
            && driven.refresh(&ctx, cloud, &handle).await
        {
            catalogue_due = Instant::now();
        }
        let mut pause = None;
        if let Some(driver) = handle.facts().driver {
            if Instant::now() >= catalogue_due || handle.facts().refused.is_some() {
                let first = handle.facts().catalogue.is_none();
                match read_catalogue(driver.as_ref(), &handle).await {
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
        ctx.dirty.notify_one();
        rest(&ctx, &key, &handle, pause).await;
    }
}

/// Jobs may have waited for this cloud to be known.
fn replan(ctx: &Context, key: &Key) {
    for installation in ctx.stores.installations.within(&key.namespace) {
        ctx.installations.get(&Key::of(installation.as_ref())).replan.notify_one();
    }
}

/// Waits for the next turn: shortly while something boots or ends, long otherwise, and never less than the short pause.
async fn rest(ctx: &Context, key: &Key, handle: &Handle, pause: Option<Duration>) {
    let shortest = ctx.args.busy_interval.min(ctx.args.list_interval);
    tokio::time::sleep(pause.unwrap_or(shortest).max(shortest)).await;
    if pause.is_none() && !is_busy(ctx, key) {
        let left = ctx.args.list_interval.saturating_sub(shortest);
        tokio::select! {
            () = handle.wake.notified() => {}
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

async fn read_catalogue(driver: &dyn Cloud, handle: &Handle) -> Result<(), CloudError> {
    let started = Timestamp::now();
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
    let started = Timestamp::now();
    match driver.list(&ctx.cluster).await {
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

fn of_cloud(vm: &PilotVM, key: &Key) -> bool {
    vm.spec.cloud_ref.name == key.name && vm.namespace().as_deref() == Some(key.namespace.as_str())
}

fn is_settled(vm: &PilotVM) -> bool {
    launched(vm).is_some() && ran(vm) && !deleting(vm) && Ending::recorded(vm).is_none()
}

fn is_busy(ctx: &Context, key: &Key) -> bool {
    !ctx.vms_where(|vm| of_cloud(vm, key) && !is_settled(vm)).is_empty()
}

/// Wakes the PilotVMs for which the list may have news: those that boot or end, and those whose VM is not up any more.
fn wake(ctx: &Context, key: &Key, listing: &Listing) {
    let is_up = |vm: &PilotVM| {
        let twins = vm.uid().and_then(|uid| listing.vms.get(&uid));
        twins.is_some_and(|t| t.iter().all(|vm| vm.state == VmState::Active))
    };
    for vm in ctx.vms_where(|vm| of_cloud(vm, key) && !(is_settled(vm) && is_up(vm))) {
        ctx.wake(&vm);
    }
}
