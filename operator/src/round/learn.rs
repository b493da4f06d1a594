//! What is learnt of clouds from what a round sees: VMs that were made, and after a restart VMs that work. What single PilotVMs come to
//! is told when it happens (`vm/write_down.rs`).

use std::{collections::BTreeMap, sync::Arc};

use broker::experience::Lot;
use crds::PilotVM;
use kube::ResourceExt;

use super::world::{CloudView, World};
use crate::{
    known::{cloud::Handle, lots::lot},
    life::{is_ended, launched, ordered, ran},
    names::deleting,
};

/// Tells each cloud what is seen of it, and takes over what is known of it then.
pub fn learn(world: &mut World, cloud: impl Fn(&str) -> Arc<Handle>) {
    let mut learnt = Vec::new();
    for view in &world.clouds {
        let (name, handle) = (view.object.name_any(), cloud(&view.object.name_any()));
        let here: Vec<&Arc<PilotVM>> = world.vms.iter().filter(|vm| vm.spec.cloud_ref.name == name).collect();
        handle.retain_made(|uid| here.iter().any(|vm| vm.metadata.uid.as_deref() == Some(uid)));
        for vm in here.iter().filter(|vm| was_made(vm, view)) {
            handle.granted(&vm.uid().unwrap_or_default(), &lot_of(world, view, vm), ordered(vm), world.now);
        }
        let mut works: BTreeMap<Lot, u64> = BTreeMap::new();
        for vm in here.iter().filter(|vm| ran(vm) && !deleting(vm.as_ref()) && !is_ended(vm)) {
            *works.entry(lot_of(world, view, vm)).or_default() += 1;
        }
        works.into_iter().for_each(|(lot, vms)| handle.works(&lot, vms, world.now));
        learnt.push(handle.learnt());
    }
    world.clouds.iter_mut().zip(learnt).for_each(|(view, learnt)| view.bought = learnt);
}

/// Whether the provider's list shows for the first time that the VM is up.
fn was_made(vm: &PilotVM, view: &CloudView) -> bool {
    let uid = vm.metadata.uid.as_deref().unwrap_or_default();
    launched(vm).is_some() && !ran(vm) && view.up.contains(uid) && !view.bought.made.contains(uid)
}

fn lot_of(world: &World, view: &CloudView, vm: &PilotVM) -> Lot {
    lot(vm, world.pool(&vm.spec.pool_ref.name).map(Arc::as_ref), view.offers.as_deref())
}

#[cfg(test)]
mod tests {
    use broker::cloud::Scope;
    use serde_json::json;

    use super::*;
    use crate::round::snapshot::tests::world;

    /// A world whose VM was ordered a minute ago, after a refusal; what is allowed after a round.
    fn after(change: impl FnOnce(&mut serde_json::Value)) -> (Arc<Handle>, World) {
        let handle = Arc::new(Handle::default());
        let mut world = world(change);
        let now = world.now;
        let lot = lot_of(&world, &world.clouds[0], &world.vms[0]);
        assert!(handle.may_order(&lot, ordered(&world.vms[0])));
        handle.refused(&lot, Scope::Offer, ordered(&world.vms[0]) - jiff::SignedDuration::from_secs(9), now);
        learn(&mut world, |_| handle.clone());
        (handle, world)
    }

    #[test]
    fn a_vm_that_the_list_shows_to_be_up_is_granted_once() {
        let launched = json!({"launchedAt": "2026-11-24T11:59:10Z"});
        let made = |up: &[&str]| {
            let (handle, mut world) = after(|w| {
                w["vms"][0]["status"] = launched.clone();
                w["clouds"][0]["up"] = json!(up);
            });
            let first = handle.learnt();
            learn(&mut world, |_| handle.clone());
            assert_eq!(handle.learnt(), first, "the second round learns nothing");
            assert_eq!(world.clouds[0].bought, first);
            first.made.len()
        };
        assert_eq!((made(&[]), made(&["u"]), made(&["another"])), (0, 1, 0));
    }

    #[test]
    fn after_a_restart_vms_that_work_show_that_their_image_does() {
        let (handle, mut world) = after(|w| {
            w["vms"][0]["status"] =
                json!({"launchedAt": "2026-11-24T11:59:10Z", "runningSince": "2026-11-24T11:59:30Z"});
        });
        let flight = broker::experience::Flight::default();
        let lot = lot_of(&world, &world.clouds[0], &world.vms[0]);
        let may_boot = |handle: &Handle| handle.learnt().budgets.proof(&lot, &flight, world.now).most;
        assert_eq!((may_boot(&Handle::default()), may_boot(&handle)), (8, 16));
        learn(&mut world, |_| handle.clone());
        assert_eq!(handle.learnt().budgets.proof(&lot, &flight, world.now).most, 16, "it is told once");
    }
}
