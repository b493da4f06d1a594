//! What a list shows of our own VMs: which are missing, whether too many are, and which PilotVMs are to look.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use broker::{
    clock::moment,
    cloud::{Vm, VmState},
};
use crds::{Cloud, ConditionType, PilotVM, annotation::ACKNOWLEDGE_CHANGE};
use jiff::Timestamp;
use kube::ResourceExt;
use tokio::time::Instant;

use crate::{
    context::Context,
    known::{
        brake::Sight,
        cloud::Handle,
        frozen::{Frozen, What},
        listing::Listing,
        missing::{Lacking, Missing},
    },
    life::{is_ended, is_settled, launched},
    names::{Key, deleting},
};

/// A PilotVM that boots or ends is rung this often although its VM is listed as it was.
const ANYWAY: Duration = Duration::from_secs(30);

/// What is kept from one list to the next.
#[derive(Default)]
pub struct Sighted {
    missing: Missing,
    told: Told,
    has_seen: bool,
}

/// How the VMs of PilotVMs that boot or end were listed when these were last rung, by UID. Each list has them all, and most as they
/// were.
#[derive(Default)]
struct Told(HashMap<String, (Vec<VmState>, Instant)>);

impl Told {
    /// Whether this is news, or was told long ago.
    fn is_due(&mut self, uid: &str, listed: &[Vm], now: Instant) -> bool {
        let states: Vec<VmState> = listed.iter().map(|vm| vm.state.clone()).collect();
        match self.0.get(uid) {
            Some((before, at)) if *before == states && now.duration_since(*at) < ANYWAY => false,
            _ => {
                self.0.insert(uid.to_owned(), (states, now));
                true
            }
        }
    }

    /// Whether the list may have news for a PilotVM: a VM of it was found that nobody wrote down, it boots or ends and its VM is listed
    /// as another than before, its VM is not up any more, or is missing and its turn has come.
    fn rings(
        &mut self,
        vm: &PilotVM,
        listing: &Listing,
        lacking: &BTreeSet<String>,
        due: &BTreeSet<String>,
        now: Instant,
    ) -> bool {
        let Some(uid) = vm.metadata.uid.as_deref() else { return false };
        if lacking.contains(uid) {
            return due.contains(uid);
        }
        let listed = listing.vms.get(uid).map_or(&[][..], Vec::as_slice);
        match (is_settled(vm), launched(vm)) {
            (true, _) => listed.is_empty() || listed.iter().any(|vm| vm.state != VmState::Active),
            (false, None) => !listed.is_empty(),
            // The deletion may be over, or the list too old to know.
            (false, Some(_)) => listed.is_empty() || self.is_due(uid, listed, now),
        }
    }

    /// Forgets what was told longer ago: those PilotVMs neither boot nor end any more.
    fn forget(&mut self, now: Instant) {
        self.0.retain(|_, (_, at)| now.duration_since(*at) < ANYWAY * 2);
    }
}

/// One of our VMs that should be there.
struct Ours {
    uid: String,
    key: Key,
    /// When it was last made or touched by us.
    touched: Timestamp,
    launched: Timestamp,
}

impl Sighted {
    /// Takes in a list, and rings the PilotVMs for which it may have news. Gives whether something happens, so that the next list is
    /// wanted soon.
    pub async fn see(&mut self, ctx: &Context, key: &Key, handle: &Handle, listing: &Listing) -> bool {
        let now = moment();
        let vms = ctx.state.stores.vms_of_cloud(key);
        let ours: Vec<Ours> = vms.iter().filter_map(|vm| ours(ctx, vm)).collect();
        let lacking = lacking(&ours, listing);
        let cloud = ctx.state.stores.clouds.get(key);
        let said = cloud.as_ref().and_then(|c| c.annotations().get(ACKNOWLEDGE_CHANGE).cloned());
        let reborn = handle.facts().simulated_since;
        let standing = handle.losses(|brake| {
            if !self.has_seen && !cloud.as_ref().is_some_and(|c| asked(c, What::Losses)) {
                brake.is_old(said.as_deref());
            }
            // The VMs of a simulated cloud live in the operator's memory: those of an operator that ended are gone with it.
            let forgotten = ours.iter().filter(|vm| reborn.is_some_and(|since| vm.launched < since));
            brake.acknowledge(forgotten.map(|vm| vm.uid.clone()));
            brake.see(Sight { doubtful: lacking.clone(), all: ours.len(), said: said.as_deref() }, now);
            brake.standing()
        });
        self.has_seen = true;
        let absent = ours.iter().filter(|vm| lacking.contains(&vm.uid)).map(|vm| (vm.uid.clone(), vm.key.name.clone()));
        let before = handle.facts().missing;
        let missing = Arc::new(Lacking::of(absent, ours.len(), &before, ctx.clock.now()));
        handle.update(|f| f.missing = missing);
        hold(ctx, key, handle, Frozen { what: What::Losses, standing, all: ours.len() }).await;
        let due: BTreeSet<String> = self.missing.see(&lacking, now).into_iter().collect();
        for vm in vms.iter().filter(|vm| self.told.rings(vm, listing, &lacking, &due, now)) {
            ctx.bells.look_at(Key::of(vm.as_ref()));
        }
        self.told.forget(now);
        for vm in ours.iter().filter(|vm| due.contains(&vm.uid)) {
            tracing::debug!(cloud = %key, vm = %vm.key, "the list lacks the VM: it is asked for by its id");
        }
        self.missing.is_fresh(now) || !vms.iter().all(|vm| is_settled(vm))
    }
}

/// Whether the Cloud's status says that a person was asked: then an annotation that stands there may be the answer.
pub fn asked(cloud: &Cloud, what: What) -> bool {
    let conditions = cloud.status.as_ref().map_or(&[][..], |s| s.conditions.as_slice());
    // One condition tells of both brakes: its message names the annotation of each.
    ConditionType::Frozen.among(conditions).is_some_and(|c| {
        c.status == "True" && (c.reason == what.reason().as_str() || c.message.contains(what.annotation()))
    })
}

/// Takes note that a brake holds, or does not any more, and tells it once.
pub async fn hold(ctx: &Context, key: &Key, handle: &Handle, frozen: Frozen) {
    let was = handle.facts().frozen.iter().any(|f| f.what == frozen.what);
    handle.update(|f| {
        f.frozen.retain(|f| f.what != frozen.what);
        if frozen.standing.is_frozen {
            f.frozen.push(frozen);
        }
    });
    match (was, frozen.standing.is_frozen) {
        (false, true) => {
            let (reason, message) = (frozen.reason(), frozen.message(key));
            tracing::warn!(cloud = %key, %reason, message, "nothing is done until a person says so");
            if let Some(cloud) = ctx.state.stores.clouds.get(key) {
                ctx.events.warn(cloud.as_ref(), reason, message).await;
            }
        }
        (true, false) => tracing::info!(cloud = %key, what = ?frozen.what, "the brake is released"),
        (true, true) | (false, false) => {}
    }
}

fn ours(ctx: &Context, vm: &PilotVM) -> Option<Ours> {
    if deleting(vm) || is_ended(vm) {
        return None;
    }
    let (uid, launched) = (vm.uid()?, launched(vm)?);
    let touched = ctx.state.memory.touched(&uid).unwrap_or(launched).max(launched);
    Some(Ours { uid, key: Key::of(vm), touched, launched })
}

fn lacking(ours: &[Ours], listing: &Listing) -> BTreeSet<String> {
    ours.iter().filter(|vm| listing.lacks(&vm.uid, vm.touched)).map(|vm| vm.uid.clone()).collect()
}

#[cfg(test)]
#[path = "sight_tests.rs"]
mod tests;
