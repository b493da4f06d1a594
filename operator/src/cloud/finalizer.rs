//! The Cloud's finalizer: a cloud object stays while PilotVMs or VMs of ours need its driver, so that none loses the hand that deletes
//! its VM.

use crds::Cloud;
use kube::ResourceExt;

use crate::{
    api,
    context::Context,
    names::{CLOUD_FINALIZER, Key, deleting, let_go},
};

/// Puts the finalizer on a living cloud, and takes it off a deleted one that nobody needs any more.
pub async fn settle(ctx: &Context, cloud: &Cloud) {
    let held = cloud.finalizers().iter().any(|f| f == CLOUD_FINALIZER);
    let wanted = if deleting(cloud) { held && is_needed(ctx, &Key::of(cloud)) && !let_go(cloud) } else { true };
    if held == wanted {
        return;
    }
    match ctx.api.hold(cloud, CLOUD_FINALIZER, wanted).await {
        Ok(_) => {}
        Err(error) if api::is_gone(&error) || api::is_conflict(&error) => {}
        Err(error) => tracing::warn!(cloud = %Key::of(cloud), %error, "the cloud's finalizer could not be written"),
    }
}

fn is_needed(ctx: &Context, key: &Key) -> bool {
    let listed = ctx.state.clouds.get(key).facts().listing.map_or(0, |list| list.vms.len());
    !ctx.state.stores.vms_of_cloud(key).is_empty() || listed > 0
}
