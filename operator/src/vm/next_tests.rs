//! A PilotVM's life, step by step, from observations.

use broker::{
    cloud::{CloudError, End, Owner, Scope, Vm, VmState},
    pilot::rows::{PilotRow, PilotStatus},
};
use crds::{PilotVM, vm::PilotVMSpec};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::{
    ending::{Ending, Why},
    known::memory::Remembered,
    names::{LET_GO, VM_FINALIZER},
    vm::record::Record,
};

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1_000)
}

/// The Matcher has never been away.
const ALWAYS: Option<Timestamp> = Some(Timestamp::UNIX_EPOCH);

fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

fn fresh() -> PilotVM {
    let spec = PilotVMSpec {
        boot_deadline: crds::Duration::from_secs(600),
        max_lifetime: crds::Duration::from_secs(86_400),
        ..PilotVMSpec::default()
    };
    let mut vm = PilotVM::new("cpu-1", spec);
    vm.metadata.uid = Some("u".into());
    vm.metadata.namespace = Some("demo".into());
    vm.metadata.creation_timestamp = Some(Time(ago(100)));
    vm.metadata.finalizers = Some(vec![VM_FINALIZER.into()]);
    vm
}

fn machine(state: VmState) -> Vm {
    Vm {
        id: "id".into(),
        owner: Owner { cluster: "c".into(), uid: "u".into() },
        name: "dirac-cpu-1".into(),
        state,
        provider_status: "WORD".into(),
        created: ago(90),
        bought: None,
    }
}

fn launched_vm(seconds_ago: i64) -> PilotVM {
    let mut vm = fresh();
    vm.status = Some(Record::of(&vm, ago(seconds_ago)).launched(&machine(VmState::Building)).finish());
    vm
}

fn row(status: PilotStatus, job: u64) -> PilotRow {
    PilotRow { reference: "cloud://u".into(), status, current_job: job, idle_seconds: Some(10) }
}

fn step(vm: &PilotVM, machine: Machine<'_>, row: Option<&PilotRow>) -> Step {
    let remembered = Remembered::default();
    next(&Observed { vm, machine, row, rows_read: Some(now()), asking: ALWAYS, remembered: &remembered, now: now() })
}

fn deleted(mut vm: PilotVM) -> PilotVM {
    vm.metadata.deletion_timestamp = Some(Time(now()));
    vm
}

#[test]
fn the_finalizer_comes_first_then_the_launch() {
    let mut bare = fresh();
    bare.metadata.finalizers = None;
    assert_eq!(step(&bare, Machine::Unknown, None), Step::AddFinalizer);
    assert_eq!(step(&fresh(), Machine::Unknown, None), Step::Launch);
}

#[test]
fn a_vm_is_running_when_its_row_says_so_not_when_the_cloud_says_active() {
    let active = machine(VmState::Active);
    let waiting = row(PilotStatus::Waiting, 0);
    assert!(matches!(step(&launched_vm(60), Machine::Present(&active), Some(&waiting)), Step::Wait(Some(_))));
    let running = row(PilotStatus::Running, 0);
    assert_eq!(step(&launched_vm(60), Machine::Present(&active), Some(&running)), Step::RecordRunning);
}

#[test]
fn a_pilot_that_is_late_ends_its_vm_only_when_the_rows_could_be_read() {
    let active = machine(VmState::Active);
    let waiting = row(PilotStatus::Waiting, 0);
    let late = launched_vm(700);
    assert!(
        matches!(step(&late, Machine::Present(&active), Some(&waiting)), Step::End(e) if e.why == Why::BootDeadlineMissed)
    );
    let remembered = Remembered::default();
    let dirac_is_down = Observed {
        vm: &late,
        machine: Machine::Present(&active),
        row: None,
        rows_read: Some(ago(300)),
        asking: ALWAYS,
        remembered: &remembered,
        now: now(),
    };
    assert!(matches!(next(&dirac_is_down), Step::Wait(_)));
}

#[test]
fn a_halted_vm_a_broken_one_and_one_that_vanished_end_with_their_reasons() {
    let reason = |state: VmState| match step(&launched_vm(60), Machine::Present(&machine(state)), None) {
        Step::End(ending) => ending.why.word().to_owned(),
        other => format!("{other:?}"),
    };
    assert_eq!(reason(VmState::Ended(End::PoweredOff)), "NeverRan");
    assert_eq!(
        reason(VmState::Ended(End::Failed(CloudError::Quota { message: "cores".into(), scope: Scope::Offer }))),
        "QuotaExceeded"
    );
    assert!(matches!(step(&launched_vm(60), Machine::Missing, None), Step::Wait(_)), "a list proves no absence");
}

#[test]
fn an_ended_vm_is_taken_away_and_only_then_its_row_closed() {
    let mut vm = launched_vm(60);
    let ending = Ending::halted(true);
    vm.status = Some(Record::of(&vm, now()).running(true, None).finish());
    vm.status = Some(Record::of(&vm, now()).ended(&ending, None, None).finish());
    let halted = machine(VmState::Ended(End::PoweredOff));
    assert_eq!(step(&vm, Machine::Present(&halted), None), Step::TakeAway("id".into()));
    assert_eq!(step(&vm, Machine::Missing, None), Step::Finish(PilotStatus::Done));
}

#[test]
fn a_deleted_object_whose_vm_is_in_no_list_is_asked_for_at_the_provider() {
    let mut vm = deleted(fresh());
    assert!(matches!(step(&vm, Machine::Unknown, None), Step::End(e) if e.why == Why::Deleted));
    vm.status = Some(Record::of(&vm, now()).ended(&Ending::given_back(None, false), None, None).finish());
    assert_eq!(step(&vm, Machine::Unknown, None), Step::Look);
    vm.metadata.annotations = Some([(LET_GO.to_owned(), "true".to_owned())].into());
    assert_eq!(step(&vm, Machine::Unknown, None), Step::LetGo);
}

#[test]
fn a_row_that_does_not_say_that_the_vm_exists_is_written_once_a_reading() {
    let (vm, active, submitted) = (launched_vm(60), machine(VmState::Active), row(PilotStatus::Submitted, 0));
    let at = |written: Option<Timestamp>| {
        let remembered = Remembered { row_written: written, ..Remembered::default() };
        let rows_read = Some(ago(10));
        let machine = Machine::Present(&active);
        next(&Observed {
            vm: &vm,
            machine,
            row: Some(&submitted),
            rows_read,
            asking: ALWAYS,
            remembered: &remembered,
            now: now(),
        })
    };
    assert_eq!(at(None), Step::WriteRow(PilotStatus::Waiting));
    assert_eq!(at(Some(ago(20))), Step::WriteRow(PilotStatus::Waiting));
    assert!(matches!(at(Some(ago(5))), Step::Wait(Some(_))), "the reading knows nothing of that writing");
}

#[test]
fn the_row_of_a_job_of_many_days_is_touched_daily() {
    let hour = 3_600;
    let mut vm = launched_vm(60);
    vm.status = Some(Record::of(&vm, now()).running(true, None).finish());
    let active = machine(VmState::Active);
    let at = |idle_hours: u64, written: Option<Timestamp>| {
        let remembered = Remembered { row_written: written, ..Remembered::default() };
        let row = PilotRow { idle_seconds: Some(idle_hours * 3_600), ..row(PilotStatus::Running, 7) };
        let (machine, rows_read) = (Machine::Present(&active), Some(now()));
        next(&Observed {
            vm: &vm,
            machine,
            row: Some(&row),
            rows_read,
            asking: ALWAYS,
            remembered: &remembered,
            now: now(),
        })
    };
    let in_hours = |hours: i64| Step::Wait(Some(now() + SignedDuration::from_hours(hours)));
    assert_eq!(at(1, None), in_hours(19), "it is looked at again in time, though nothing else happens to it");
    assert_eq!(at(21, None), Step::WriteRow(PilotStatus::Running));
    assert_eq!(at(500, None), Step::WriteRow(PilotStatus::Running));
    assert_eq!(at(21, Some(ago(2 * hour))), in_hours(18), "what we wrote is not yet in the rows that were read");
}

#[test]
fn a_pilot_that_could_not_ask_is_not_late_until_it_had_the_time_to() {
    let (late, active, waiting) = (launched_vm(700), machine(VmState::Active), row(PilotStatus::Waiting, 0));
    let remembered = Remembered::default();
    let at = |asking: Option<Timestamp>| {
        let (machine, rows_read) = (Machine::Present(&active), Some(now()));
        next(&Observed {
            vm: &late,
            machine,
            row: Some(&waiting),
            rows_read,
            asking,
            remembered: &remembered,
            now: now(),
        })
    };
    assert_eq!(at(None), Step::Wait(None), "the Matcher is away");
    assert_eq!(at(Some(ago(100))), Step::Wait(None), "it is just back");
    assert!(matches!(at(Some(ago(400))), Step::End(_)));
}

#[test]
fn a_vm_that_was_made_and_not_written_down_is_adopted_after_any_time() {
    let mut vm = fresh();
    vm.metadata.creation_timestamp = Some(Time(ago(5_000)));
    let active = machine(VmState::Active);
    assert_eq!(step(&vm, Machine::Present(&active), None), Step::Launch);
    assert_eq!(step(&vm, Machine::Unknown, None), Step::AwaitList);
    assert_eq!(step(&vm, Machine::Missing, None), Step::AwaitList);
}
