//! The Cloud's finalizer: a cloud object stays while PilotVMs or VMs of ours need its driver, so that none loses the hand that deletes
//! its VM.

use std::{collections::HashSet, sync::Arc, time::Duration};

use broker::cloud::Vm;
use crds::{Cloud, reason::Reason};

use super::garbage;
use crate::{
    context::Context,
    known::{cloud::Needed, listing::Listing},
    names::{CLOUD_FINALIZER, CLOUD_LABEL, Key, deleting, holds, let_go},
};

/// The Secrets of a Cloud that nothing needs any more are let go in this time.
const SECRETS_GO_WITHIN: Duration = Duration::from_secs(5);

/// Puts the finalizer on a living cloud, and takes it off a deleted one that nobody needs any more.
pub async fn settle(ctx: &Context, cloud: &Cloud) {
    let held = holds(cloud, CLOUD_FINALIZER);
    let key = Key::of(cloud);
    let is_asked = deleting(cloud) || ctx.state.secrets.deleted(&key, &cloud.spec.secrets()).is_some();
    let needed = if is_asked { needed(ctx, cloud) } else { Needed::Unknown };
    let handle = ctx.state.clouds.get(&key);
    let asked = is_asked.then_some(needed);
    if handle.facts().needed != asked {
        handle.update(|f| f.needed = asked);
        ctx.bells.secrets_changed();
    }
    let may_go = needed == Needed::No || let_go(cloud);
    if deleting(cloud) && held && may_go && names_secrets(cloud) {
        // Where its Secrets are not let go in this time, the next turn of the poller sees it.
        let _ = tokio::time::timeout(SECRETS_GO_WITHIN, ctx.state.secrets.to_let_go(&key)).await;
    }
    let leaves_a_secret = names_secrets(cloud) && !ctx.state.secrets.lets_go(&key);
    // Also a Cloud that is let go leaves no Secret behind from which nobody would take our finalizer.
    let is_done = may_go && !leaves_a_secret;
    let wanted = if deleting(cloud) { held && !is_done } else { true };
    if held == wanted {
        return;
    }
    if !wanted && needed != Needed::No {
        let left = match needed {
            Needed::No => String::new(),
            Needed::PilotVms(n) => format!("{n} PilotVMs still name it"),
            Needed::Orphans(n) => format!("{n} VMs that carry our tag are left there"),
            Needed::Unknown => "which VMs are left there is not known".to_owned(),
        };
        let text = format!("let go by annotation: {left}; nobody deletes what is left");
        tracing::warn!(cloud = %Key::of(cloud), text, "a Cloud is let go");
        ctx.events.warn(cloud, Reason::LetGo, text).await;
    }
    ctx.api.try_hold(cloud, CLOUD_FINALIZER, wanted).await;
}

/// Whether Secrets may carry our finalizer for this Cloud.
fn names_secrets(cloud: &Cloud) -> bool {
    !cloud.spec.secrets().is_empty() || cloud.status.as_ref().is_some_and(|s| !s.secrets.is_empty())
}

fn needed(ctx: &Context, cloud: &Cloud) -> Needed {
    let (key, state) = (Key::of(cloud), &ctx.state);
    let facts = state.clouds.get(&key).facts();
    let existing: HashSet<String> = state.stores.uids();
    // A Cloud of the same project lists the same VMs, and deletes the orphans among them.
    let all = state.stores.clouds.all();
    let others = all.iter().map(|c| c.as_ref()).filter(|other| Key::of(*other) != key && !deleting(*other));
    let others: Vec<Arc<Listing>> =
        others.filter_map(|other| state.clouds.get(&Key::of(other)).facts().listing).collect();
    let was_entered = facts.offers.is_some() || cloud.status.as_ref().is_some_and(|s| s.project.is_some());
    let pilot_vms = state.stores.vms_of_cloud(&key).len() + state.stores.unknown_vms(CLOUD_LABEL, &key).len();
    decide(pilot_vms, facts.listing.as_deref(), was_entered, &existing, &others)
}

/// Whether a deleted Cloud is still needed. `was_entered`: whether its project was ever entered; where it was not, no VM was made there.
fn decide(
    pilot_vms: usize,
    listing: Option<&Listing>,
    was_entered: bool,
    existing: &HashSet<String>,
    others: &[Arc<Listing>],
) -> Needed {
    if pilot_vms > 0 {
        return Needed::PilotVms(pilot_vms);
    }
    let Some(listing) = listing else {
        return if was_entered { Needed::Unknown } else { Needed::No };
    };
    let in_list =
        |list: &Listing, vm: &Vm| list.vms.get(&vm.owner.uid).is_some_and(|l| l.iter().any(|o| o.id == vm.id));
    let orphans = garbage::orphans(listing.vms.values(), |uid| existing.contains(uid));
    match orphans.iter().filter(|vm| !others.iter().any(|list| in_list(list, vm))).count() {
        0 => Needed::No,
        left => Needed::Orphans(left),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use broker::cloud::{Owner, VmState};
    use jiff::Timestamp;

    use super::*;

    fn list(uids: &[&str]) -> Arc<Listing> {
        let vm = |uid: &&str| Vm {
            id: format!("id-{uid}"),
            owner: Owner { cluster: "c".into(), uid: (*uid).into() },
            name: String::new(),
            state: VmState::Active,
            provider_status: String::new(),
            created: Timestamp::UNIX_EPOCH,
            bought: None,
            released: false,
        };
        Arc::new(Listing::new(Timestamp::UNIX_EPOCH, uids.iter().map(vm).collect(), Duration::ZERO))
    }
    fn decided(listing: Option<&Listing>, existing: &[&str], others: &[Arc<Listing>]) -> Needed {
        decide(0, listing, true, &existing.iter().map(|s| (*s).to_owned()).collect(), others)
    }

    #[test]
    fn a_cloud_is_needed_while_pilotvms_name_it() {
        assert_eq!(decide(2, Some(&list(&[])), true, &HashSet::new(), &[]), Needed::PilotVms(2));
    }

    #[test]
    fn an_unknown_list_is_not_an_empty_one() {
        assert_eq!(decided(None, &[], &[]), Needed::Unknown);
        assert_eq!(decided(Some(&list(&[])), &[], &[]), Needed::No);
    }

    #[test]
    fn a_cloud_that_was_never_entered_goes_although_nothing_was_listed() {
        assert_eq!(decide(0, None, false, &HashSet::new(), &[]), Needed::No);
    }

    #[test]
    fn vms_of_another_cloud_of_the_same_project_do_not_hold_it() {
        assert_eq!(decided(Some(&list(&["theirs"])), &["theirs"], &[]), Needed::No);
    }

    #[test]
    fn an_orphan_holds_it_unless_another_cloud_lists_it_too() {
        assert_eq!(decided(Some(&list(&["o"])), &[], &[]), Needed::Orphans(1));
        assert_eq!(decided(Some(&list(&["o"])), &[], &[list(&["else"])]), Needed::Orphans(1));
        assert_eq!(decided(Some(&list(&["o"])), &[], &[list(&["o"])]), Needed::No);
    }
}
