//! The Cloud's finalizer: a cloud object stays while PilotVMs or VMs of ours need its driver, so that none loses the hand that deletes
//! its VM.

use crds::Cloud;
use kube::ResourceExt;

use crate::{
    context::Context,
    names::{CLOUD_FINALIZER, Key, deleting, let_go},
    write,
};

/// Puts the finalizer on a living cloud, and takes it off a deleted one that nobody needs any more.
pub async fn settle(ctx: &Context, cloud: &Cloud) {
    let held = cloud.finalizers().iter().any(|f| f == CLOUD_FINALIZER);
    let wanted = if deleting(cloud) { held && is_needed(ctx, cloud) && !let_go(cloud) } else { true };
    if held == wanted {
        return;
    }
    match write::hold(ctx, cloud, CLOUD_FINALIZER, wanted).await {
        Ok(_) => {}
        Err(error) if write::is_gone(&error) || write::is_conflict(&error) => {}
        Err(error) => tracing::warn!(cloud = %Key::of(cloud), %error, "the cloud's finalizer could not be written"),
    }
}

/// How many PilotVMs need the cloud.
pub fn needed_by(ctx: &Context, cloud: &Cloud) -> usize {
    let key = Key::of(cloud);
    ctx.vms_where(|vm| vm.spec.cloud_ref.name == key.name && vm.namespace().as_deref() == Some(key.namespace.as_str()))
        .len()
}

/// VMs of ours that the last list had. One without a PilotVM is an orphan, which is deleted once it is old enough.
pub fn listed(ctx: &Context, cloud: &Cloud) -> usize {
    ctx.clouds.get(&Key::of(cloud)).facts().listing.map_or(0, |list| list.vms.len())
}

fn is_needed(ctx: &Context, cloud: &Cloud) -> bool {
    needed_by(ctx, cloud) > 0 || listed(ctx, cloud) > 0
}
