use std::time::Duration;

use broker::cloud::{Owner, Vm};
use crds::{
    Reason,
    vm::{PilotVMSpec, PilotVMStatus},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::{
    api::{Stores, fake::Fake, watch::Objects},
    context::State,
};

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
        released: false,
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

/// Whether a first list rings it.
fn is_rung(vm: &PilotVM, list: &Listing, lacking: &[&str], due: &[&str]) -> bool {
    Told::default().rings(vm, list, &set(lacking), &set(due), moment())
}
/// A PilotVM whose VM is not made yet.
fn pending(uid: &str) -> PilotVM {
    PilotVM { status: None, ..pilot_vm(uid, false) }
}

#[test]
fn a_vm_that_runs_and_is_listed_is_left_in_peace() {
    let list = listing(&[("a", VmState::Active)]);
    assert!(!is_rung(&pilot_vm("a", true), &list, &[], &[]));
    assert!(is_rung(&pilot_vm("a", false), &list, &[], &[]), "it boots");
}

#[test]
fn a_vm_that_boots_is_rung_when_it_is_listed_as_another_and_now_and_then() {
    let (mut told, now, vm) = (Told::default(), moment(), pilot_vm("a", false));
    let mut rings = |state: VmState, seconds: u64| {
        told.rings(&vm, &listing(&[("a", state)]), &set(&[]), &set(&[]), now + Duration::from_secs(seconds))
    };
    assert!(rings(VmState::Building, 0) && !rings(VmState::Building, 5));
    assert!(rings(VmState::Active, 10) && !rings(VmState::Active, 39));
    assert!(rings(VmState::Active, 40));
}

#[test]
fn twenty_thousand_pilotvms_that_wait_for_their_vms_are_not_rung_at_each_list_and_one_whose_vm_is_found_is() {
    assert!(!is_rung(&pending("a"), &listing(&[("b", VmState::Building)]), &[], &[]));
    assert!(is_rung(&pending("b"), &listing(&[("b", VmState::Building)]), &[], &[]));
}

#[test]
fn a_pilotvm_whose_vm_is_being_taken_away_is_rung_when_the_list_lacks_it() {
    let mut vm = pilot_vm("a", true);
    vm.metadata.deletion_timestamp = Some(Time(at(50)));
    let (mut told, now) = (Told::default(), moment());
    let mut rings = |listed: &[(&str, VmState)]| told.rings(&vm, &listing(listed), &set(&[]), &set(&[]), now);
    assert!(rings(&[("a", VmState::Deleting)]) && !rings(&[("a", VmState::Deleting)]));
    assert!(rings(&[]) && rings(&[]));
}

#[test]
fn a_vm_that_is_not_up_any_more_is_rung_at_each_list() {
    let list = listing(&[("a", VmState::Ended(broker::cloud::End::PoweredOff))]);
    assert!(is_rung(&pilot_vm("a", true), &list, &[], &[]));
}

#[test]
fn a_vm_that_is_missing_is_rung_when_its_turn_has_come() {
    let list = listing(&[]);
    for ran in [true, false] {
        assert!(is_rung(&pilot_vm("a", ran), &list, &["a"], &["a"]));
        assert!(!is_rung(&pilot_vm("a", ran), &list, &["a"], &[]));
    }
}

#[test]
fn what_the_list_lacks_are_the_vms_that_it_should_have() {
    let vm =
        |uid: &str, touched| Ours { uid: uid.into(), key: Key::default(), touched: at(touched), launched: at(touched) };
    let list = listing(&[("there", VmState::Active), ("unknown", VmState::Unknown)]);
    let ours = [vm("there", 1), vm("unknown", 1), vm("missing", 1), vm("just made", 100)];
    assert_eq!(lacking(&ours, &list), set(&["missing", "unknown"]));
}

/// What is seen in lists, one after the other, in each of which the VM of `cpu-1` is in this state or lacking: how many VMs are in doubt
/// after each, and whether its PilotVM was rung.
async fn seen(lists: &[Option<VmState>]) -> Vec<(usize, bool)> {
    let key = Key { namespace: "demo".into(), name: "sky".into() };
    let mut vm = pilot_vm("u", true);
    (vm.metadata.name, vm.metadata.namespace) = (Some("cpu-1".into()), Some("demo".into()));
    vm.spec.cloud_ref.name = "sky".into();
    let stores = Stores { vms: Objects::of([vm]), ..Stores::default() };
    let ctx = Context::of(Fake::default().client(), State { stores, ..State::default() });
    let (handle, mut sighted, mut bell) = (ctx.state.clouds.get(&key), Sighted::default(), ctx.bells.vms());
    let mut all = Vec::new();
    for list in lists {
        let list: Vec<_> = list.iter().map(|state| ("u", state.clone())).collect();
        sighted.see(&ctx, &key, &handle, &listing(&list)).await;
        all.push((handle.facts().missing.len(), bell.try_recv().is_ok()));
    }
    all
}

#[tokio::test]
async fn a_vm_that_the_list_hides_is_in_doubt_and_asked_for_until_a_list_has_it() {
    let active = || Some(VmState::Active);
    let all = seen(&[active(), None, None, active()]).await;
    assert_eq!(all, [(0, false), (1, true), (1, false), (0, false)], "rung once: the next time is in a minute");
    assert_eq!(seen(&[None]).await, [(1, true)], "also by an operator that has just begun");
    assert_eq!(seen(&[Some(VmState::Unknown)]).await, [(1, true)], "and where the list says that it does not know");
}

#[test]
fn an_annotation_answers_only_the_question_that_the_status_asks() {
    let mut cloud = Cloud::new("c", Default::default());
    assert!(!asked(&cloud, What::Losses));
    let condition = |status, reason| ConditionType::Frozen.says(Some(status), reason, "a sentence", None);
    let mut says = |condition| {
        cloud.status = Some(crds::cloud::CloudStatus { conditions: vec![condition], ..Default::default() });
        (asked(&cloud, What::Losses), asked(&cloud, What::Orphans))
    };
    assert_eq!(says(condition(true, Reason::MassLoss)), (true, false));
    assert_eq!(says(condition(true, Reason::OrphansNotAcknowledged)), (false, true));
    assert_eq!(says(condition(false, Reason::NotFrozen)), (false, false));
}
