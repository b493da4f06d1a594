//! Garbage: VMs that carry our tag and cluster and have no PilotVM, and twins of those that have one.
//!
//! The cloud is listed before the API server: a VM whose PilotVM was made in between is then found in the second list. Nothing
//! younger than the age guard is touched, and nothing at all while the API server cannot say which PilotVMs there are.

use std::collections::HashSet;

use broker::cloud::{Cloud, Vm, VmState};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use crate::{
    context::Context,
    known::{cloud::Handle, listing::Listing},
    names::Key,
};

/// Deletes the garbage of one list.
pub async fn collect(ctx: &Context, key: &Key, driver: &dyn Cloud, handle: &Handle, listing: &Listing) {
    let known: HashSet<String> = ctx.state.stores.vms.all().iter().filter_map(|vm| vm.uid()).collect();
    let guard = SignedDuration::try_from(ctx.args.orphan_age).unwrap_or(SignedDuration::from_mins(2));
    let suspects = garbage(listing, &known, ctx.clock.now(), guard);
    if suspects.is_empty() {
        return;
    }
    // The watch may lag or see only some namespaces: what is deleted here must be unknown to the API server itself.
    let existing = match ctx.api.pilot_vms().await {
        Ok(existing) => existing,
        Err(error) => {
            tracing::warn!(cloud = %key, %error, "orphans are left alone: the PilotVMs of all namespaces could not be listed");
            return;
        }
    };
    for vm in garbage(listing, &existing, ctx.clock.now(), guard) {
        take_away(ctx, key, driver, handle, vm).await;
    }
}

/// The garbage among what was listed, when these PilotVMs exist.
fn garbage<'a>(listing: &'a Listing, existing: &HashSet<String>, now: Timestamp, guard: SignedDuration) -> Vec<&'a Vm> {
    let orphans = listing.vms.iter().filter(|(uid, _)| !existing.contains(*uid)).flat_map(|(_, vms)| vms);
    let twins = listing.vms.iter().filter(|(uid, _)| existing.contains(*uid)).flat_map(|(_, vms)| vms.iter().skip(1));
    let old = |vm: &&Vm| now.duration_since(vm.created) > guard && may_be_taken(vm);
    let mut found: Vec<_> = orphans.chain(twins).filter(old).collect();
    found.sort_by(|a, b| a.id.cmp(&b.id));
    found
}

/// Whether it holds something that nobody takes away yet. What is unknown is left alone.
fn may_be_taken(vm: &Vm) -> bool {
    vm.is_held() && !matches!(vm.state, VmState::Deleting | VmState::Unknown)
}

async fn take_away(ctx: &Context, key: &Key, driver: &dyn Cloud, handle: &Handle, vm: &Vm) {
    match driver.delete(&vm.id).await {
        Ok(()) => {
            handle.update(|f| f.orphans += 1);
            ctx.metrics.orphan(key);
            tracing::warn!(cloud = %key, id = vm.id, name = vm.name, "a VM without a PilotVM was deleted");
            if let Some(cloud) = ctx.state.stores.clouds.get(key) {
                let text = format!("VM {} ({}) carried our tag and had no PilotVM: it was deleted", vm.id, vm.name);
                ctx.events.warn(cloud.as_ref(), "OrphanDeleted", text).await;
            }
        }
        Err(error) => {
            tracing::warn!(cloud = %key, id = vm.id, %error, "an orphan could not be deleted and is tried again")
        }
    }
}

#[cfg(test)]
mod tests {
    use broker::cloud::Owner;

    use super::*;

    fn vm(id: &str, uid: &str, age: i64) -> Vm {
        Vm {
            id: id.into(),
            owner: Owner { cluster: "c".into(), uid: uid.into() },
            name: String::new(),
            state: VmState::Active,
            provider_status: String::new(),
            created: now() - SignedDuration::from_secs(age),
            bought: None,
        }
    }
    fn now() -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1)
    }
    fn found(vms: Vec<Vm>, existing: &[&str]) -> Vec<String> {
        let existing = existing.iter().map(|s| (*s).to_owned()).collect();
        let listing = Listing::new(now(), vms, None);
        garbage(&listing, &existing, now(), SignedDuration::from_secs(120)).iter().map(|v| v.id.clone()).collect()
    }

    #[test]
    fn an_old_vm_without_a_pilotvm_is_garbage() {
        assert_eq!(found(vec![vm("1", "a", 500), vm("2", "b", 500)], &["b"]), ["1"]);
    }

    #[test]
    fn a_young_vm_is_left_alone() {
        assert!(found(vec![vm("1", "a", 60)], &[]).is_empty());
    }

    #[test]
    fn of_twins_the_younger_is_garbage() {
        assert_eq!(found(vec![vm("1", "a", 300), vm("2", "a", 500)], &["a"]), ["1"]);
    }
}
