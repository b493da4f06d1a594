//! What is observed, from a state without any client.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use broker::{
    clock::{Clock, Reading},
    cloud::{Owner, VmState},
    pilot::rows::PilotStatus,
};
use crds::vm::PilotVMSpec;
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::{
    known::installation::Rows,
    vm::{
        next::{Step, next},
        record::{MadeFrom, Record},
    },
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + seconds).unwrap()
}

fn server(id: &str, created: i64) -> Vm {
    Vm {
        id: id.into(),
        owner: Owner { cluster: "c".into(), uid: "u".into() },
        name: String::new(),
        state: VmState::Active,
        provider_status: "ACTIVE".into(),
        created: at(created),
        bought: None,
        released: false,
    }
}

/// A PilotVM whose VM was made at 0.
fn launched_vm() -> PilotVM {
    let spec = PilotVMSpec { boot_deadline: crds::Duration::from_secs(600), ..PilotVMSpec::default() };
    let mut vm = PilotVM::new("cpu-1", spec);
    (vm.spec.cloud_ref.name, vm.spec.installation_ref.name) = ("c".into(), "i".into());
    vm.metadata.uid = Some("u".into());
    vm.metadata.namespace = Some("demo".into());
    vm.metadata.creation_timestamp = Some(Time(at(-10)));
    vm.metadata.finalizers = Some(vec![crate::names::VM_FINALIZER.into()]);
    vm.status = Some(Record::of(&vm, at(0)).launched(&vm, &server("id", 0)).finish());
    vm
}

fn list_of(started: i64, vms: Vec<Vm>) -> Listing {
    Listing::new(at(started), vms, Duration::ZERO)
}

fn answer(asked: i64, found: Found) -> Answer {
    Answer { at: at(asked), moment: Instant::now(), times: 0, found }
}

#[test]
fn the_younger_of_a_list_and_the_providers_own_answer_counts() {
    let vm = launched_vm();
    let seen = |listing: &Listing, answer: Option<&Answer>| {
        machine(listed(Some(listing), &vm, at(0)), Some(listing), at(0), answer)
    };
    let (with, without) = (list_of(10, vec![server("id", 0)]), list_of(10, vec![]));
    let nothing = |asked| answer(asked, Found::Nothing);
    assert_eq!(seen(&with, Some(&nothing(11))), Machine::Gone);
    assert!(matches!(seen(&with, Some(&nothing(9))), Machine::Present(_)));
    assert_eq!(seen(&without, Some(&nothing(9))), Machine::Gone, "a proof holds until a list shows the VM");
    assert!(matches!(
        seen(&without, Some(&answer(11, Found::Present(Box::new(server("id", 0)))))),
        Machine::Present(_)
    ));
    assert_eq!(seen(&without, Some(&answer(11, Found::Unclear(String::new())))), Machine::Missing);
}

#[test]
fn what_was_answered_before_the_vm_was_made_proves_nothing() {
    let listing = list_of(10, vec![]);
    let in_list = listed(Some(&listing), &launched_vm(), at(5));
    assert_eq!(machine(in_list, Some(&listing), at(5), Some(&answer(4, Found::Nothing))), Machine::Missing);
}

#[test]
fn of_twins_the_one_that_is_written_down_is_the_vm_and_its_absence_is_asked_for() {
    let vm = launched_vm();
    let two = list_of(30, vec![server("older", -5), server("id", 0)]);
    assert!(matches!(listed(Some(&two), &vm, at(0)), listing::Machine::Present(found) if found.id == "id"));
    let other = list_of(30, vec![server("older", -5)]);
    assert_eq!(listed(Some(&other), &vm, at(0)), listing::Machine::Missing);
    let mut unwritten = vm.clone();
    unwritten.status = None;
    assert!(matches!(listed(Some(&other), &unwritten, at(0)), listing::Machine::Present(_)), "it is adopted");
}

#[test]
fn a_row_that_was_read_for_the_pilotvm_itself_counts_when_it_is_the_younger() {
    let (state, vm) = (State::default(), launched_vm());
    let row = |job: u64| PilotRow {
        reference: stamp::reference("u"),
        status: PilotStatus::Running,
        current_job: job,
        idle_seconds: None,
        updated: None,
        jobs: None,
        running: None,
        power: None,
    };
    let rows =
        Rows { started: at(10), by_reference: [(stamp::reference("u"), Arc::new(row(0)))].into(), ..Rows::default() };
    state.installations.get(&Key::of(&vm).beside("i")).update(|f| f.read = Some(Arc::new(rows)));
    let job = |state: &State| Observed::of(state, &vm, at(20), Instant::now()).row.map(|r| r.current_job);
    assert_eq!(job(&state), Some(0));
    state.memory.note("u", |m| m.row = Some(Box::new((at(15), Some(row(7))))));
    assert_eq!(job(&state), Some(7));
    state.memory.note("u", |m| m.row = Some(Box::new((at(5), Some(row(7))))));
    assert_eq!(job(&state), Some(0));
}

/// The row is read once more before a VM is ended by it: that reading must say whether a job runs, or no idle pilot is ever ended.
#[test]
fn a_pilot_stays_idle_when_its_row_is_read_for_itself_and_says_so_too_and_not_when_it_says_nothing_of_jobs() {
    let (state, vm) = (State::default(), launched_vm());
    let row = |running: Option<u64>| PilotRow {
        reference: stamp::reference("u"),
        status: PilotStatus::Running,
        current_job: 7,
        idle_seconds: None,
        updated: None,
        jobs: Some(vec![7]),
        running,
        power: None,
    };
    let rows = Rows::all(at(10), vec![row(Some(0))]);
    state.installations.get(&Key::of(&vm).beside("i")).update(|f| f.read = Some(Arc::new(rows)));
    let idle = |running: Option<u64>| {
        state.memory.note("u", |m| m.row = Some(Box::new((at(15), Some(row(running))))));
        Observed::of(&state, &vm, at(20), Instant::now()).idle_since
    };
    assert_eq!(idle(Some(0)), Some(at(10)));
    assert_eq!((idle(Some(1)), idle(None)), (None, None));
}

#[test]
fn an_attempt_that_another_process_wrote_down_is_in_doubt() {
    let (state, mut vm) = (State::default(), launched_vm());
    vm.status = Some(Record::of(&vm, at(0)).begins(3, MadeFrom::default()).finish());
    let call = |state: &State| Observed::of(state, &vm, at(20), Instant::now()).call();
    assert_eq!(call(&state), Some(Call::InDoubt(None)));
    state.memory.note("u", |m| m.tried = Some(crate::known::memory::Tried { n: 2, call: Call::Over }));
    assert_eq!(call(&state), Some(Call::InDoubt(None)), "what is known of an older attempt says nothing of this one");
    state.memory.note("u", |m| m.tried = Some(crate::known::memory::Tried { n: 3, call: Call::Over }));
    assert_eq!(call(&state), Some(Call::Over));
}

#[test]
fn a_cloud_without_a_driver_is_away_and_an_installation_without_an_object_is_gone() {
    let (state, vm) = (State::default(), launched_vm());
    let seen = Observed::of(&state, &vm, at(20), Instant::now());
    assert!(seen.cloud_away.is_some() && seen.installation_gone);
    assert_eq!((seen.machine, seen.paused), (Machine::Unknown, None));
}

#[test]
fn a_clock_that_jumps_an_hour_forward_and_back_ends_no_booting_vm() {
    let hands = Arc::new(Mutex::new((1_000_000_i64, 0_u64)));
    let read = hands.clone();
    let clock = Clock::following(move || {
        let (wall, steady) = *read.lock().unwrap();
        Reading { wall: Timestamp::from_second(wall).unwrap(), steady: Duration::from_secs(steady) }
    });
    let (state, vm) = (State::default(), launched_vm());
    for jump in [3_600, 0] {
        hands.lock().unwrap().1 += 60;
        let steady = hands.lock().unwrap().1;
        hands.lock().unwrap().0 = 1_000_000 + jump + i64::try_from(steady).unwrap();
        let now = clock.now();
        let rows = Rows { started: now, ..Rows::default() };
        state.installations.get(&Key::of(&vm).beside("i")).update(|f| f.read = Some(Arc::new(rows)));
        let seen = Observed::of(&state, &vm, now, Instant::now());
        assert!(!matches!(next(&seen), Step::End(_)), "after a jump of {jump} s");
        assert!(now.duration_since(at(0)) < SignedDuration::from_secs(200));
    }
}
