use std::time::Duration;

use broker::cloud::{Owner, Vm};
use crds::vm::{PilotVMSpec, PilotVMStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(seconds)
}
fn listing(vms: &[(&str, VmState)]) -> Listing {
    let vm = |(uid, state): &(&str, VmState)| Vm {
        id: format!("id-{uid}"),
        owner: Owner { cluster: "c".into(), uid: (*uid).into() },
        name: String::new(),
        state: state.clone(),
        provider_status: String::new(),
        created: at(0),
        bought: None,
    };
    Listing::new(at(100), vms.iter().map(vm).collect(), Duration::ZERO)
}
/// A PilotVM whose VM was made, and whose pilot asked for work if it `ran`.
fn pilot_vm(uid: &str, ran: bool) -> PilotVM {
    let mut vm = PilotVM::new(uid, PilotVMSpec::default());
    vm.metadata.uid = Some(uid.into());
    vm.status = Some(PilotVMStatus {
        launched_at: Some(Time(at(1))),
        running_since: ran.then(|| Time(at(2))),
        ..PilotVMStatus::default()
    });
    vm
}
fn set(uids: &[&str]) -> BTreeSet<String> {
    uids.iter().map(|uid| (*uid).to_owned()).collect()
}

#[test]
fn a_vm_that_runs_and_is_listed_is_left_in_peace() {
    let list = listing(&[("a", VmState::Active)]);
    assert!(!is_rung(&pilot_vm("a", true), &list, &set(&[]), &set(&[])));
    assert!(is_rung(&pilot_vm("a", false), &list, &set(&[]), &set(&[])), "it boots");
}

#[test]
fn a_vm_that_is_not_up_any_more_is_rung_at_each_list() {
    let list = listing(&[("a", VmState::Ended(broker::cloud::End::PoweredOff))]);
    assert!(is_rung(&pilot_vm("a", true), &list, &set(&[]), &set(&[])));
}

#[test]
fn a_vm_that_is_missing_is_rung_when_its_turn_has_come() {
    let list = listing(&[]);
    assert!(is_rung(&pilot_vm("a", true), &list, &set(&["a"]), &set(&["a"])));
    assert!(!is_rung(&pilot_vm("a", true), &list, &set(&["a"]), &set(&[])));
}

#[test]
fn what_the_list_lacks_are_the_vms_that_it_should_have() {
    let vm =
        |uid: &str, touched| Ours { uid: uid.into(), key: Key::default(), touched: at(touched), launched: at(touched) };
    let list = listing(&[("there", VmState::Active), ("unknown", VmState::Unknown)]);
    let ours = [vm("there", 1), vm("unknown", 1), vm("missing", 1), vm("just made", 100)];
    assert_eq!(lacking(&ours, &list), set(&["missing", "unknown"]));
}

#[test]
fn an_annotation_answers_only_the_question_that_the_status_asks() {
    let mut cloud = Cloud::new("c", Default::default());
    assert!(!asked(&cloud, What::Losses));
    let condition = |status, reason: &str| condition::new(condition::FROZEN, Some(status), reason, "a sentence", None);
    let mut says = |condition| {
        cloud.status = Some(crds::cloud::CloudStatus { conditions: vec![condition], ..Default::default() });
        (asked(&cloud, What::Losses), asked(&cloud, What::Orphans))
    };
    assert_eq!(says(condition(true, "MassLoss")), (true, false));
    assert_eq!(says(condition(true, "OrphansNotAcknowledged")), (false, true));
    assert_eq!(says(condition(false, "NotFrozen")), (false, false));
}
