use std::time::Duration;

use broker::{
    cloud::{Offers, Purchase},
    simulation::{CloudConfig, SimulatedCloud},
};
use crds::Reason;

use super::{
    facts::{GRACE, HEADROOM_HOLDS},
    *,
};
use crate::trouble::Trouble;

fn transient() -> CloudError {
    CloudError::Transient("no answer".into())
}

/// A cloud that answers everything.
fn answering(now: Instant) -> Handle {
    let handle = Handle::default();
    handle.update(|f| {
        f.driver = Some(Arc::new(SimulatedCloud::new(
            CloudConfig::default(),
            None,
            broker::clock::Clock::driven(|| Timestamp::UNIX_EPOCH),
        )));
        f.offers = Some(Arc::default());
        f.headroom = Some((Timestamp::UNIX_EPOCH, Arc::default()));
        f.headroom_read = Some(now);
    });
    handle
}

#[test]
fn one_list_that_fails_does_not_take_a_cloud_out_of_the_plan_and_two_minutes_of_them_do() {
    let now = Instant::now();
    let handle = answering(now);
    assert!(handle.facts().usable(now));
    for second in (0..120).step_by(10) {
        handle.not_answered(Question::List, &transient(), now + Duration::from_secs(second));
        assert!(handle.facts().usable(now + Duration::from_secs(second)));
    }
    assert!(!handle.facts().usable(now + GRACE));
    handle.answered(Question::List, now + GRACE);
    assert!(handle.facts().usable(now + GRACE) && handle.facts().refused.is_none());
}

#[test]
fn a_pause_that_a_provider_wants_is_no_trouble_before_it_has_lasted_two_minutes() {
    let now = Instant::now();
    let handle = answering(now);
    let throttled = CloudError::Throttled { message: "slow down".into(), retry_after: Some(Duration::from_secs(30)) };
    handle.not_answered(Question::List, &throttled, now);
    assert!(handle.facts().usable(now) && handle.facts().refused.is_none());
    handle.not_answered(Question::Headroom, &transient(), now + GRACE / 2);
    assert_eq!(handle.facts().refused, Some(transient()), "what is worse is said");
    handle.answered(Question::Headroom, now + GRACE / 2);
    assert_eq!(handle.facts().refused, None);
    handle.not_answered(Question::List, &throttled, now + GRACE);
    assert!(!handle.facts().usable(now + GRACE) && handle.facts().refused == Some(throttled));
}

#[test]
fn a_refused_credential_takes_a_cloud_out_of_the_plan_at_once() {
    let now = Instant::now();
    let handle = answering(now);
    handle.not_answered(Question::List, &transient(), now);
    handle.not_answered(Question::Launch, &CloudError::Unauthorized("no role".into()), now + GRACE / 2);
    assert!(!handle.facts().usable(now + GRACE / 2));
    assert!(matches!(handle.facts().refused, Some(CloudError::Unauthorized(_))), "it says more than a lost list");
    handle.answered(Question::List, now + GRACE / 2);
    assert!(!handle.facts().usable(now + GRACE / 2), "a list proves nothing of the right to make VMs");
}

#[test]
fn a_cloud_of_which_the_headroom_is_not_known_or_old_is_not_bought_from() {
    let now = Instant::now();
    let handle = answering(now);
    assert!(!handle.facts().usable(now + HEADROOM_HOLDS));
    handle.update(|f| f.headroom = None);
    assert!(!handle.facts().usable(now));
}

#[test]
fn a_secret_that_cannot_be_read_for_a_moment_leaves_the_cloud_in_the_plan_and_a_wrong_project_does_not() {
    let now = Instant::now();
    let usable = |reason: Reason, after| {
        let handle = answering(now);
        handle.update(|f| f.driven(Some(Trouble::new(reason, "a sentence")), now));
        handle.update(|f| f.driven(Some(Trouble::new(reason, "a sentence")), now + after));
        handle.facts().usable(now + after)
    };
    assert!(usable(Reason::SecretUnreadable, GRACE / 2) && !usable(Reason::SecretUnreadable, GRACE));
    assert!(!usable(Reason::OtherProject, Duration::ZERO));
}

#[test]
fn a_refusal_of_a_class_is_known_by_the_offers() {
    let now = Instant::now();
    let handle = answering(now);
    let offer = |flavor: &str, class: &str| broker::cloud::Offer {
        flavor: flavor.into(),
        quota_class: class.into(),
        ..broker::cloud::Offer::default()
    };
    let offers = Offers { offers: vec![offer("c8", "standard"), offer("g1", "gpu")], ..Offers::default() };
    handle.update(|f| f.offers = Some(Arc::new(offers)));
    let lot = |flavor: &str| Lot {
        cloud: "c".into(),
        zone: None,
        flavor: flavor.into(),
        purchase: Purchase::OnDemand,
        image: "el9".into(),
    };
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    handle.refused(&lot("c8"), Scope::Class, at(0), at(0));
    assert!(handle.may_order(&lot("g1"), at(1)) && !handle.may_order(&lot("c8"), at(1)));
}

#[test]
fn a_vm_that_is_seen_twice_is_granted_once() {
    let (handle, now) = (Handle::default(), Timestamp::UNIX_EPOCH);
    let lot =
        Lot { cloud: "c".into(), zone: None, flavor: "c8".into(), purchase: Purchase::OnDemand, image: "i".into() };
    assert!(handle.may_order(&lot, now));
    handle.granted("a", &lot, now, now);
    let once = handle.learnt();
    handle.granted("a", &lot, now, now);
    assert_eq!(handle.learnt(), once);
    handle.granted("b", &lot, now, now);
    assert_ne!(handle.learnt().budgets, once.budgets);
    handle.retain_made(|uid| uid == "b");
    assert_eq!(handle.learnt().made.iter().collect::<Vec<_>>(), ["b"]);
}

#[test]
fn what_was_announced_is_kept_while_lists_have_the_vm_and_the_worst_of_it_stays() {
    use broker::cloud::{Owner, Vm, VmState};
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    let list = |started: i64, ids: &[&str]| {
        let vm = |id: &&str| Vm {
            id: (*id).into(),
            owner: Owner { cluster: "k".into(), uid: (*id).into() },
            name: String::new(),
            state: VmState::Active,
            provider_status: String::new(),
            created: at(0),
            bought: None,
            released: false,
        };
        Listing::new(at(started), ids.iter().map(vm).collect(), Duration::ZERO)
    };
    let handle = Handle::default();
    let says = |what| handle.announced(&Notice { id: "a".into(), at: at(100), what }, at(10));
    says(Coming::Rebalance);
    says(Coming::Reclaim);
    says(Coming::Rebalance);
    let what = || handle.facts().announced.get("a").map(|said| said.what);
    assert_eq!(what(), Some(Coming::Reclaim));
    handle.forget_announced(&list(9, &[]));
    assert!(what().is_some(), "the list is older than the announcement");
    handle.forget_announced(&list(20, &["a"]));
    assert!(what().is_some());
    handle.forget_announced(&list(20, &["b"]));
    assert_eq!(what(), None);
}

#[test]
fn no_vm_is_lost_before_a_first_list() {
    let (handle, now) = (Handle::default(), Instant::now());
    assert!(!handle.may_lose("a", now));
    handle.losses(|brake| brake.see(super::super::brake::Sight { all: 1, ..Default::default() }, now));
    assert!(handle.may_lose("a", now));
}

#[test]
fn what_was_refused_before_the_start_is_taken_over_once_and_before_anything_is_bought() {
    let now: Timestamp = "2026-11-24T12:05:00Z".parse().unwrap();
    let status = serde_json::json!({"conditions": [], "vms": 0, "cores": 0, "refusals": [{"reach": "Offering", "flavor": "c8", "purchase": "OnDemand",
        "since": "2026-11-24T12:00:00Z", "nextTry": "2026-11-24T12:06:00Z", "inARow": 4, "pauses": 4}]});
    let spec = serde_json::json!({"siteRef": {"name": "lyon"}, "images": {}, "simulated": {"flavors": []}});
    let mut cloud = Cloud::new("lyon", serde_json::from_value(spec).unwrap());
    cloud.status = Some(serde_json::from_value(status).unwrap());
    let lot = Lot {
        cloud: "lyon".into(),
        zone: None,
        flavor: "c8".into(),
        purchase: Purchase::OnDemand,
        image: "el9".into(),
    };
    let handle = Handle::default();
    assert_eq!(handle.written(now), None, "nothing may be written over it yet");
    handle.remember(&cloud, now);
    assert_eq!(handle.written(now).unwrap().0, cloud.status.as_ref().unwrap().refusals);
    assert!(!handle.may_order(&lot, now) && handle.may_order(&lot, now + Duration::from_secs(60)));
    handle.granted("u", &lot, now + Duration::from_secs(60), now + Duration::from_secs(70));
    handle.remember(&cloud, now);
    assert_eq!(handle.written(now).unwrap().0, [], "it is over");
}

#[test]
fn what_was_taken_back_before_the_start_counts_after_it() {
    let now: Timestamp = "2026-11-24T12:05:00Z".parse().unwrap();
    let status = serde_json::json!({"conditions": [], "vms": 0, "cores": 0, "reclaims": [{"flavor": "c8", "purchase": "Spot", "vms": 4.0,
        "hours": 20.0, "at": "2026-11-24T12:00:00Z"}]});
    let spec = serde_json::json!({"siteRef": {"name": "lyon"}, "images": {}, "simulated": {"flavors": []}});
    let mut cloud = Cloud::new("lyon", serde_json::from_value(spec).unwrap());
    cloud.status = Some(serde_json::from_value(status).unwrap());
    let lot =
        Lot { cloud: "lyon".into(), zone: None, flavor: "c8".into(), purchase: Purchase::Spot, image: "el9".into() };
    let handle = Handle::default();
    handle.remember(&cloud, now);
    let rate = |handle: &Handle| {
        handle.learnt().reclaims.per_thousand_hours(&broker::experience::reclaims::Offering::of(&lot), 0, now)
    };
    assert_eq!(rate(&handle), Some(100));
    handle.lived(&lot, 3_600, true, now);
    assert_eq!(rate(&handle), Some(122));
    let written = handle.written(now).unwrap().2;
    assert_eq!((written.len(), written[0].vms > 4.9), (1, true));
}
