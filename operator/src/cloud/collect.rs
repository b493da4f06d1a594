//! Takes garbage away: a few orphans a turn, none while there are too many, and young twins at once.
//!
//! The cloud is listed before the API server: a VM whose PilotVM was made in between is then found there. Nothing is deleted while the
//! API server cannot say which PilotVMs there are, nor where the Cloud is paused.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use broker::{
    clock::moment,
    cloud::{Cloud, Vm},
};
use crds::{PilotVM, annotation::ACKNOWLEDGE_ORPHANS, reason::Reason};
use kube::ResourceExt;

use super::{
    bounded::in_time,
    garbage::{Suspects, is_young, may_be_taken, orphans, twins},
    sight::{asked, hold},
};
use crate::{
    context::Context,
    known::{
        brake::{Limit, Sight},
        cloud::Handle,
        frozen::{Frozen, What},
        listing::Listing,
    },
    names::{Key, SERVER_PREFIX, is_paused},
};

/// Orphans that are deleted in one turn.
const AT_ONCE: usize = 3;
/// A deletion that has no answer after this time has failed.
const LONGEST_DELETION: Duration = Duration::from_secs(60);

/// What is kept from one list to the next.
#[derive(Default)]
pub struct Collector {
    suspects: Suspects,
    twins: Suspects,
    has_seen: bool,
}

impl Collector {
    /// Takes away the garbage of one list.
    pub async fn collect(&mut self, ctx: &Context, key: &Key, driver: &dyn Cloud, handle: &Handle, listing: &Listing) {
        let orphans = self.see(ctx, key, handle, listing).await;
        if ctx.state.stores.clouds.get(key).is_some_and(|cloud| is_paused(cloud.as_ref())) {
            return;
        }
        let now = moment();
        let is_due = |vm: &&Vm| may_be_taken(vm) && self.suspects.is_due(&vm.id, ctx.args.orphan_age, now);
        let due: Vec<&Vm> = orphans.into_iter().filter(is_due).take(AT_ONCE).collect();
        for vm in due {
            if !handle.orphans(|brake| brake.may_pass(&vm.id, now)) {
                break;
            }
            if !self.take_orphan(ctx, key, driver, handle, vm).await {
                self.suspects.failed(&vm.id, moment());
            }
        }
        self.take_twins(ctx, key, driver, listing).await;
    }

    /// The orphans of a list; too many of them are held.
    async fn see<'a>(&mut self, ctx: &Context, key: &Key, handle: &Handle, listing: &'a Listing) -> Vec<&'a Vm> {
        let now = moment();
        let familiar = &ctx.state.familiar;
        let mut found = orphans(listing.vms.values(), |uid| familiar.has(uid));
        if !found.is_empty() {
            // The watch may just have filled the store: what is there counts, be it one that this version can read or not.
            let existing = ctx.state.stores.uids();
            found.retain(|vm| !existing.contains(&vm.owner.uid));
        }
        let ids: BTreeSet<String> = found.iter().map(|vm| vm.id.clone()).collect();
        self.suspects.see(&ids, now);
        let sees_all = ctx.args.release.watch_namespaces.is_empty() || ctx.args.release.cluster_id.is_some();
        familiar.forget(now);
        // Where other operators of this cluster may have PilotVMs that this one cannot see, a VM that it never knew may be theirs.
        let are_ours = sees_all || familiar.knows(found.iter().map(|vm| vm.owner.uid.as_str()));
        let cloud = ctx.state.stores.clouds.get(key);
        let said = cloud.as_ref().and_then(|c| c.annotations().get(ACKNOWLEDGE_ORPHANS).cloned());
        let all: usize = listing.vms.values().map(Vec::len).sum();
        let standing = handle.orphans(|brake| {
            if !self.has_seen && !cloud.as_ref().is_some_and(|c| asked(c, What::Orphans)) {
                brake.is_old(said.as_deref());
            }
            brake.limit(if are_ours { Limit::ORPHANS } else { Limit::NONE });
            brake.see(Sight { doubtful: ids, all, said: said.as_deref() }, now);
            brake.standing()
        });
        self.has_seen = true;
        handle.update(|f| f.orphans = u64::try_from(found.len()).unwrap_or(u64::MAX));
        hold(ctx, key, handle, Frozen { what: What::Orphans, standing, all }).await;
        found
    }

    /// Deletes an orphan, unless the API server knows its PilotVM. Gives whether that is settled.
    async fn take_orphan(&self, ctx: &Context, key: &Key, driver: &dyn Cloud, handle: &Handle, vm: &Vm) -> bool {
        // A PilotVM gives its VM the name; where somebody changed that, all PilotVMs are asked for.
        let name = vm.name.strip_prefix(SERVER_PREFIX);
        // An id of the whole cluster is shared with operators of other namespaces; one that was given is this release's own.
        let namespaces = ctx.args.release.cluster_id.as_ref().map_or(&[][..], |_| &ctx.args.release.watch_namespaces);
        match ctx.api.pilot_vms(namespaces, name).await {
            Ok(existing) if existing.contains(&vm.owner.uid) => {
                tracing::warn!(cloud = %key, id = vm.id, "the watch has not shown the PilotVM of this VM: it is left alone");
                return false;
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(cloud = %key, id = vm.id, %error, "an orphan is left alone: the PilotVMs could not be listed");
                return false;
            }
        }
        if !delete(key, driver, vm, "a VM without a PilotVM").await {
            return false;
        }
        handle.update(|f| f.orphans_deleted += 1);
        ctx.metrics.orphan(key);
        if let Some(cloud) = ctx.state.stores.clouds.get(key) {
            let text = format!("VM {} ({}) carried our tag and had no PilotVM: it was deleted", vm.id, vm.name);
            ctx.events.warn(cloud.as_ref(), Reason::OrphanDeleted, text).await;
        }
        true
    }

    /// Deletes the twins of VMs that live: young ones at once, others when they have been seen for a while.
    async fn take_twins(&mut self, ctx: &Context, key: &Key, driver: &dyn Cloud, listing: &Listing) {
        let mut found: Vec<(Arc<PilotVM>, &Vm)> = Vec::new();
        if listing.vms.values().any(|vms| vms.len() > 1) {
            for object in ctx.state.stores.vms_of_cloud(key) {
                let listed = object.uid().and_then(|uid| listing.vms.get(&uid)).map_or(&[][..], Vec::as_slice);
                found.extend(twins(listed, recorded(&object)).into_iter().map(|twin| (object.clone(), twin)));
            }
        }
        let (now, wall) = (moment(), ctx.clock.now());
        self.twins.see(&found.iter().map(|(_, twin)| twin.id.clone()).collect(), now);
        for (object, twin) in found {
            let guard = if is_young(twin, wall) { Duration::ZERO } else { ctx.args.orphan_age };
            if !self.twins.is_due(&twin.id, guard, now) {
                continue;
            }
            // The store may be late: what the API server has now says which of the two is kept.
            let Ok(Some(fresh)) = ctx.api.read::<PilotVM>(&Key::of(object.as_ref())).await else { continue };
            let is_same = fresh.uid() == object.uid() && recorded(&fresh) == recorded(&object);
            if is_same && !delete(key, driver, twin, "a second VM of one PilotVM").await {
                self.twins.failed(&twin.id, moment());
            }
        }
    }
}

/// The provider's id of its VM, where it is written down.
fn recorded(vm: &PilotVM) -> Option<&str> {
    vm.status.as_ref()?.provider_id.as_deref()
}

/// Deletes a VM, and says so. Gives whether the provider accepted it.
async fn delete(key: &Key, driver: &dyn Cloud, vm: &Vm, what: &'static str) -> bool {
    match in_time(LONGEST_DELETION, driver.delete(&vm.id)).await {
        Ok(()) => {
            tracing::warn!(cloud = %key, id = vm.id, name = vm.name, what, "garbage was deleted");
            true
        }
        Err(error) => {
            tracing::warn!(cloud = %key, id = vm.id, what, %error, "garbage could not be deleted and is tried again");
            false
        }
    }
}

#[cfg(test)]
#[path = "collect_tests.rs"]
mod tests;
