//! A PilotVM's life, step by step, from observations.

use broker::{
    cloud::{CloudError, Coming, End, Owner, Scope, Vm, VmState},
    pilot::rows::{PilotRow, PilotStatus},
};
use crds::{PilotVM, Reason, vm::PilotVMSpec};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use tokio::time::Instant;

use super::{
    next::{Step, next},
    observed::{Machine, Observed},
    record::{MadeFrom, Record},
};
use crate::{
    ending::{Ending, Why},
    known::{
        cloud::Announced,
        memory::{Answer, Call, Found, Remembered, Tried},
    },
    names::{LET_GO, VM_FINALIZER},
};

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1_000)
}

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
    vm.metadata.labels = Some(crate::names::labels(&vm.spec));
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
        released: false,
    }
}

fn launched_vm(seconds_ago: i64) -> PilotVM {
    let mut vm = fresh();
    vm.status = Some(Record::of(&vm, ago(seconds_ago)).launched(&vm, &machine(VmState::Building)).finish());
    vm
}

fn running_vm(seconds_ago: i64, has_job: bool) -> PilotVM {
    let mut vm = launched_vm(seconds_ago);
    vm.status = Some(Record::of(&vm, ago(seconds_ago)).running(has_job, None, None).finish());
    vm
}

fn ended_vm(mut vm: PilotVM, ending: &Ending) -> PilotVM {
    vm.status = Some(Record::of(&vm, now()).ended(ending, None, None).finish());
    vm
}

/// A PilotVM whose attempt was written down.
fn begun_vm(seconds_ago: i64) -> PilotVM {
    let mut vm = fresh();
    vm.status = Some(Record::of(&vm, ago(seconds_ago)).begins(1, MadeFrom::default()).finish());
    vm
}

fn row(status: PilotStatus, job: u64) -> PilotRow {
    PilotRow {
        reference: "cloud://u".into(),
        status,
        current_job: job,
        idle_seconds: Some(10),
        updated: None,
        jobs: None,
        running: None,
        power: None,
    }
}

fn observed<'a>(vm: &'a PilotVM, machine: Machine, row: Option<&PilotRow>) -> Observed<'a> {
    Observed {
        vm,
        machine,
        cloud_away: None,
        notice: None,
        row: row.cloned(),
        rows_read: Some(now()),
        idle_since: None,
        // The Matcher has never been away.
        asking: Some(Timestamp::UNIX_EPOCH),
        has_pool: true,
        gives_back: false,
        installation_gone: false,
        paused: None,
        remembered: Remembered { is_registered: true, row_written: Some(ago(0)), ..Remembered::default() },
        now: now(),
        moment: Instant::now(),
    }
}

fn step(vm: &PilotVM, machine: Machine, row: Option<&PilotRow>) -> Step {
    next(&observed(vm, machine, row))
}

fn present(state: VmState) -> Machine {
    Machine::Present(Box::new(machine(state)))
}

fn active() -> Machine {
    present(VmState::Active)
}

fn asked(found: Found, seconds_ago: i64, times: u32) -> Option<Answer> {
    Some(Answer { at: ago(seconds_ago), moment: Instant::now(), times, found })
}

fn tried(n: u32, call: Call) -> Option<Tried> {
    Some(Tried { n, call })
}

fn deleted(mut vm: PilotVM) -> PilotVM {
    vm.metadata.deletion_timestamp = Some(Time(now()));
    vm
}

#[test]
fn the_finalizer_comes_first_then_the_attempt_then_the_row_and_only_then_the_order() {
    let mut bare = fresh();
    bare.metadata.finalizers = None;
    assert_eq!(step(&bare, Machine::Unknown, None), Step::AddFinalizer);
    let vm = fresh();
    let mut o = observed(&vm, Machine::Unknown, None);
    o.remembered.is_registered = false;
    assert_eq!(next(&o), Step::Begin(1));
    let vm = begun_vm(2);
    let mut o = observed(&vm, Machine::Unknown, None);
    o.remembered.is_registered = false;
    o.remembered.tried = tried(1, Call::Begun);
    assert_eq!(next(&o), Step::Register);
    o.remembered.is_registered = true;
    assert_eq!(next(&o), Step::Create { n: 1, since: ago(2), repeated: false });
}

#[test]
fn of_two_operators_that_lead_at_once_only_the_one_whose_attempt_is_written_registers_the_row() {
    let vm = begun_vm(2);
    let mut o = observed(&vm, Machine::Unknown, None);
    o.remembered.is_registered = false;
    assert!(matches!(next(&o), Step::Create { repeated: true, .. }), "the other only looks for the VM");
    o.remembered.tried = tried(1, Call::Over);
    assert_eq!(next(&o), Step::Begin(2), "and when none can come any more it writes an attempt of its own first");
}

#[test]
fn an_attempt_of_which_nobody_knows_how_it_went_is_only_looked_for() {
    let vm = begun_vm(2);
    assert_eq!(
        step(&vm, Machine::Unknown, None),
        Step::Create { n: 1, since: ago(2), repeated: true },
        "after a restart"
    );
    let mut o = observed(&vm, Machine::Unknown, None);
    o.remembered.is_registered = false;
    assert!(matches!(next(&o), Step::Create { repeated: true, .. }), "also while DIRAC is away");
    o.remembered.is_registered = true;
    o.remembered.tried = tried(1, Call::InDoubt(Some(ago(-100))));
    assert!(matches!(next(&o), Step::Create { repeated: true, .. }));
    o.remembered.tried = tried(1, Call::Over);
    assert_eq!(next(&o), Step::Begin(2), "the next attempt comes when the last is known to have made nothing");
}

#[test]
fn an_order_that_was_not_sent_at_once_is_written_down_again_before_it_is_sent() {
    let vm = begun_vm(30);
    let mut o = observed(&vm, Machine::Unknown, None);
    o.remembered.tried = tried(1, Call::Begun);
    assert_eq!(next(&o), Step::Begin(1), "whoever took over meanwhile counts on the time that is written down");
}

#[test]
fn a_launch_that_is_late_is_given_up_unless_an_attempt_is_in_doubt() {
    let mut vm = begun_vm(4_000);
    vm.metadata.creation_timestamp = Some(Time(ago(5_000)));
    let mut o = observed(&vm, Machine::Missing, None);
    assert!(matches!(next(&o), Step::Create { repeated: true, .. }));
    o.remembered.tried = tried(1, Call::Over);
    assert!(matches!(next(&o), Step::End(e) if e.why == Why::LaunchTimedOut));
}

#[test]
fn a_vm_that_was_made_and_not_written_down_is_adopted_after_any_time() {
    let mut vm = begun_vm(4_000);
    vm.metadata.creation_timestamp = Some(Time(ago(5_000)));
    assert_eq!(step(&vm, active(), None), Step::Adopt(Box::new(machine(VmState::Active))));
}

#[test]
fn a_vm_is_running_when_its_row_says_so_not_when_the_cloud_says_active() {
    let waiting = row(PilotStatus::Waiting, 0);
    assert!(matches!(step(&launched_vm(60), active(), Some(&waiting)), Step::Wait(Some(_))));
    let running = row(PilotStatus::Running, 0);
    assert_eq!(step(&launched_vm(60), active(), Some(&running)), Step::RecordRunning);
}

#[test]
fn a_pilot_that_is_late_ends_its_vm_only_when_the_rows_could_be_read() {
    let (waiting, late) = (row(PilotStatus::Waiting, 0), launched_vm(700));
    assert!(matches!(step(&late, active(), Some(&waiting)), Step::End(e) if e.why == Why::BootDeadlineMissed));
    let mut dirac_is_down = observed(&late, active(), None);
    dirac_is_down.rows_read = Some(ago(300));
    assert!(matches!(next(&dirac_is_down), Step::Wait(_)));
}

#[test]
fn a_pilot_that_could_not_ask_is_not_late_until_it_had_the_time_to() {
    let (late, waiting) = (launched_vm(700), row(PilotStatus::Waiting, 0));
    let at = |asking: Option<Timestamp>| next(&Observed { asking, ..observed(&late, active(), Some(&waiting)) });
    assert_eq!(at(None), Step::Wait(None), "the Matcher is away");
    assert_eq!(at(Some(ago(100))), Step::Wait(None), "it is just back");
    assert!(matches!(at(Some(ago(400))), Step::End(_)));
}

#[test]
fn a_halted_vm_and_a_broken_one_end_with_their_reasons() {
    let reason = |state: VmState| match step(&launched_vm(60), present(state), None) {
        Step::End(ending) => ending.why.reason().to_string(),
        other => format!("{other:?}"),
    };
    assert_eq!(reason(VmState::Ended(End::PoweredOff)), "NeverRan");
    let full = CloudError::Quota { message: "cores".into(), scope: Scope::Offer };
    assert_eq!(reason(VmState::Ended(End::Failed(full))), "QuotaExceeded");
}

#[test]
fn a_vm_that_the_provider_took_back_ends_with_a_reason_of_its_own() {
    let end = step(&running_vm(60, true), present(VmState::Ended(End::Reclaimed)), None);
    let Step::End(ending) = end else { panic!("{end:?}") };
    assert_eq!((ending.why, ending.row), (Why::Reclaimed, PilotStatus::Deleted));
    let never_ran = step(&launched_vm(60), present(VmState::Ended(End::Reclaimed)), None);
    assert!(matches!(never_ran, Step::End(e) if e.why == Why::Reclaimed && e.row == PilotStatus::Aborted));
}

#[test]
fn what_the_provider_announces_is_written_down_once_and_the_vm_goes_on() {
    let (mut vm, busy) = (running_vm(60, true), row(PilotStatus::Running, 7));
    let says = |vm: &PilotVM, what| {
        let notice = Announced { what, at: ago(-120), heard: now() };
        next(&Observed { notice: Some(notice), ..observed(vm, active(), Some(&busy)) })
    };
    assert!(matches!(says(&vm, Coming::Rebalance), Step::SayLeaving(said) if said.what == Coming::Rebalance));
    vm.status = Some(Record::of(&vm, now()).leaves(Reason::RebalanceAnnounced, "soon").finish());
    assert!(matches!(says(&vm, Coming::Rebalance), Step::Wait(_)), "its job runs on");
    assert!(matches!(says(&vm, Coming::Reclaim), Step::SayLeaving(_)), "what is worse is written down too");
    assert!(matches!(step(&vm, active(), Some(&busy)), Step::Wait(_)), "after a restart nothing is heard again");
    let ended = ended_vm(vm, &Ending::halted(true));
    let notice = Some(Announced { what: Coming::Reclaim, at: now(), heard: now() });
    let o = Observed { notice, ..observed(&ended, present(VmState::Ended(End::PoweredOff)), None) };
    assert_eq!(next(&o), Step::TakeAway("id".into()));
}

#[test]
fn a_vm_that_lists_lack_is_asked_for_and_lives_until_the_provider_says_that_there_is_no_such_vm() {
    let (vm, busy) = (running_vm(60, true), row(PilotStatus::Running, 7));
    assert_eq!(step(&vm, Machine::Missing, Some(&busy)), Step::Ask);
    let mut o = observed(&vm, Machine::Missing, Some(&busy));
    o.remembered.answer = asked(Found::Unclear("a cell is down".into()), 1, 0).map(Box::new);
    assert!(matches!(next(&o), Step::Pause(_)), "it is asked for again after a pause");
    let mut away = observed(&vm, Machine::Missing, Some(&busy));
    away.cloud_away = Some("it has no working driver".into());
    assert_eq!(next(&away), Step::Pause(std::time::Duration::from_secs(5)), "a cloud that is away is not asked");
    assert_eq!(step(&vm, Machine::Gone, Some(&busy)), Step::Lose);
    assert_eq!(step(&vm, present(VmState::Ended(End::Deleted)), Some(&busy)), Step::Lose);
}

#[test]
fn a_vm_of_which_the_provider_cannot_say_what_it_does_counts_as_alive_and_that_is_written_down_once() {
    let mut vm = running_vm(60, true);
    let busy = row(PilotStatus::Running, 7);
    assert_eq!(step(&vm, present(VmState::Unknown), Some(&busy)), Step::SayMissing);
    vm.status = Some(Record::of(&vm, now()).missing("why").finish());
    assert!(matches!(step(&vm, present(VmState::Unknown), Some(&busy)), Step::Wait(_)));
    assert_eq!(step(&vm, active(), Some(&busy)), Step::SayFound);
}

#[test]
fn an_ended_vm_is_taken_away_and_proven_gone_and_only_then_its_row_is_closed_and_its_object_deleted() {
    let vm = ended_vm(running_vm(60, false), &Ending::halted(true));
    assert_eq!(step(&vm, present(VmState::Ended(End::PoweredOff)), None), Step::TakeAway("id".into()));
    assert_eq!(step(&vm, Machine::Unknown, None), Step::AwaitList);
    assert_eq!(step(&vm, Machine::Missing, None), Step::Ask, "a list without it is not enough");
    assert_eq!(step(&vm, Machine::Gone, None), Step::CloseRow(PilotStatus::Done));
    let mut o = observed(&vm, Machine::Gone, None);
    o.remembered.row_closed = true;
    assert_eq!(next(&o), Step::DeleteObject);
    let vm = deleted(vm);
    let mut o = observed(&vm, Machine::Gone, None);
    o.remembered.row_closed = true;
    assert_eq!(next(&o), Step::Release);
}

#[test]
fn a_deletion_that_the_provider_does_not_finish_is_said() {
    let mut vm = launched_vm(600);
    vm.status = Some(Record::of(&vm, ago(10)).ended(&Ending::halted(true), None, None).finish());
    assert!(matches!(step(&vm, present(VmState::Deleting), None), Step::Wait(Some(_))));
    let mut vm = launched_vm(600);
    vm.status = Some(Record::of(&vm, ago(400)).ended(&Ending::halted(true), None, None).finish());
    assert_eq!(step(&vm, present(VmState::Deleting), None), Step::SayDeleting);
}

#[test]
fn a_deleted_object_whose_vm_is_in_no_list_is_asked_for_at_the_provider() {
    let mut vm = deleted(fresh());
    assert!(matches!(step(&vm, Machine::Unknown, None), Step::End(e) if e.why == Why::Deleted));
    vm = ended_vm(vm, &Ending::given_back(None, false));
    assert_eq!(step(&vm, Machine::Unknown, None), Step::Ask);
    vm.metadata.annotations = Some([(LET_GO.to_owned(), "true".to_owned())].into());
    assert_eq!(step(&vm, Machine::Unknown, None), Step::LetGo);
}

#[test]
fn a_vm_that_may_still_come_of_a_cut_off_order_is_waited_for_before_its_object_goes() {
    let gone = |since: i64, looked: i64| {
        let vm = deleted(ended_vm(begun_vm(since), &Ending::given_back(None, false)));
        let mut o = observed(&vm, Machine::Gone, None);
        o.remembered.answer = asked(Found::Nothing, looked, 0).map(Box::new);
        next(&o)
    };
    assert!(matches!(gone(60, 1), Step::Wait(Some(_))));
    assert_eq!(gone(400, 150), Step::Ask, "the look was made while a VM might still come");
    assert!(matches!(gone(400, 1), Step::CloseRow(_)));
}

#[test]
fn the_row_of_a_deleted_installation_is_left_after_ten_minutes_and_of_one_that_lives_never() {
    let vm = deleted(ended_vm(launched_vm(60), &Ending::given_back(None, false)));
    let at = |installation_gone: bool, minutes: u64| {
        let mut o = observed(&vm, Machine::Gone, None);
        o.installation_gone = installation_gone;
        o.remembered.row_tried = Some(o.moment);
        o.moment += std::time::Duration::from_secs(60 * minutes);
        next(&o)
    };
    assert!(matches!(at(true, 9), Step::CloseRow(_)));
    assert_eq!(at(true, 11), Step::LeaveRow);
    assert!(matches!(at(false, 600), Step::CloseRow(_)));
}

#[test]
fn a_pilot_that_never_had_a_job_is_ended_after_its_idle_time_and_a_grace_by_a_row_that_was_just_read() {
    let idle = row(PilotStatus::Running, 0);
    let mut vm = running_vm(599, false);
    vm.spec.idle_timeout = crds::Duration::from_secs(300);
    assert!(matches!(step(&vm, active(), Some(&idle)), Step::Wait(Some(_))));
    let mut vm = running_vm(700, false);
    vm.spec.idle_timeout = crds::Duration::from_secs(300);
    assert!(matches!(step(&vm, active(), Some(&idle)), Step::End(e) if e.why == Why::PilotSilent));
    let mut o = observed(&vm, active(), Some(&idle));
    o.rows_read = Some(ago(20));
    assert_eq!(next(&o), Step::ReadRow, "it might just have got a job");
    o.asking = None;
    assert!(matches!(next(&o), Step::Wait(_)), "the Matcher is away");
    o.asking = Some(ago(100));
    assert!(matches!(next(&o), Step::Wait(_)), "it could not have got a job before");
    assert!(matches!(step(&vm, active(), None), Step::Pause(_)), "an absent row proves nothing");
}

#[test]
fn our_own_touch_of_the_row_hides_no_idle_pilot() {
    let touched = PilotRow { idle_seconds: Some(1), updated: Some(ago(1)), ..row(PilotStatus::Running, 0) };
    let mut vm = running_vm(90_000, false);
    vm.spec.idle_timeout = crds::Duration::from_secs(300);
    vm.spec.max_lifetime = crds::Duration::from_secs(900_000);
    assert!(matches!(step(&vm, active(), Some(&touched)), Step::End(e) if e.why == Why::PilotSilent));
}

/// A pilot that had job 7, and of which the row says that so many of its jobs run, none since then.
fn after_a_job(vm: &PilotVM, running: Option<u64>, idle: Option<i64>) -> Observed<'_> {
    let row = PilotRow { running, ..row(PilotStatus::Running, 7) };
    Observed { idle_since: idle.map(ago), ..observed(vm, active(), Some(&row)) }
}

#[test]
fn a_pilot_that_had_a_job_and_has_none_any_more_is_ended_like_one_that_never_had_one_unless_that_is_unknown() {
    let mut vm = running_vm(5_000, true);
    vm.spec.idle_timeout = crds::Duration::from_secs(300);
    vm.spec.max_cpu_time = crds::Duration::from_secs(3_600);
    let mut said = vm.clone();
    said.status = Some(Record::of(&vm, ago(700)).running(true, Some(ago(700)), None).finish());
    assert!(matches!(next(&after_a_job(&said, Some(0), Some(599))), Step::Wait(Some(_))));
    assert!(matches!(next(&after_a_job(&said, Some(0), Some(601))), Step::End(e) if e.why == Why::PilotSilent));
    assert!(matches!(next(&after_a_job(&vm, None, None)), Step::Wait(Some(_))), "nobody says whether job 7 runs");
    let mut o = after_a_job(&said, Some(0), Some(601));
    o.rows_read = Some(ago(20));
    assert_eq!(next(&o), Step::ReadRow, "it might just have got another");
    o.asking = Some(ago(100));
    assert!(matches!(next(&o), Step::Wait(_)), "the Matcher was away: it could not have got another");
}

#[test]
fn that_a_pilot_has_no_job_any_more_is_written_after_five_minutes_and_that_it_has_one_again_at_once() {
    let mut vm = running_vm(5_000, true);
    vm.spec.idle_timeout = crds::Duration::from_secs(900);
    let in_a_second = Step::Wait(Some(now() + SignedDuration::from_secs(1)));
    assert_eq!(next(&after_a_job(&vm, Some(0), Some(299))), in_a_second, "it is looked at again in time");
    assert_eq!(next(&after_a_job(&vm, Some(0), Some(301))), Step::RecordRunning);
    let idle = Record::of(&vm, now()).running(true, Some(ago(301)), None).finish();
    assert_eq!((idle.idle_since.clone(), idle.last_asked_at.clone()), (Some(Time(ago(301))), Some(Time(ago(301)))));
    vm.status = Some(idle);
    assert!(matches!(next(&after_a_job(&vm, Some(0), Some(302))), Step::Wait(_)), "once");
    assert_eq!(next(&after_a_job(&vm, Some(1), None)), Step::RecordRunning);
    let busy = Record::of(&vm, now()).running(true, None, None).finish();
    assert_eq!((busy.idle_since, busy.last_asked_at), (None, Some(Time(now()))));
}

#[test]
fn a_vm_with_a_job_is_ended_only_at_the_hard_limit() {
    let busy = row(PilotStatus::Running, 7);
    let at = |age: i64| {
        let mut vm = running_vm(age - 10, true);
        vm.metadata.creation_timestamp = Some(Time(ago(age)));
        vm.spec.idle_timeout = crds::Duration::from_secs(300);
        vm.spec.max_lifetime = crds::Duration::from_secs(7_200);
        vm.spec.max_cpu_time = crds::Duration::from_secs(3_600);
        step(&vm, active(), Some(&busy))
    };
    assert!(matches!(at(7_200 + 3_600 + 299), Step::Wait(_)));
    assert!(matches!(at(7_200 + 3_600 + 301), Step::End(e) if e.why == Why::HardLimit));
}

#[test]
fn a_pilot_whose_row_lists_a_job_had_one_although_it_has_none_now() {
    let had = PilotRow { jobs: Some(vec![5]), ..row(PilotStatus::Running, 0) };
    let mut vm = running_vm(5_000, false);
    vm.spec.idle_timeout = crds::Duration::from_secs(300);
    assert_eq!(step(&vm, active(), Some(&had)), Step::RecordRunning);
}

#[test]
fn a_pause_holds_back_whatever_makes_or_takes_away_and_says_so_and_lets_the_rest_go_on() {
    let by = || Some("pool demo/cpu".to_owned());
    let paused = |vm: &PilotVM, machine: Machine, row: Option<&PilotRow>| {
        next(&Observed { paused: by(), ..observed(vm, machine, row) })
    };
    let held = Step::SayPaused("pool demo/cpu".into());
    let waiting = row(PilotStatus::Waiting, 0);
    assert_eq!(paused(&fresh(), Machine::Unknown, None), held);
    assert_eq!(paused(&launched_vm(700), active(), Some(&waiting)), held, "it would miss its boot deadline");
    assert_eq!(paused(&deleted(launched_vm(60)), active(), None), held);
    let ended = ended_vm(launched_vm(60), &Ending::halted(true));
    assert_eq!(paused(&ended, present(VmState::Ended(End::PoweredOff)), None), held);
    assert_eq!(paused(&launched_vm(60), active(), Some(&row(PilotStatus::Running, 0))), Step::RecordRunning);
    assert!(
        matches!(paused(&launched_vm(60), present(VmState::Ended(End::PoweredOff)), None), Step::End(_)),
        "it is seen to have ended"
    );
    let mut said = fresh();
    said.status = Some(Record::of(&said, now()).paused(Some("pool demo/cpu")).finish());
    assert!(matches!(paused(&said, Machine::Unknown, None), Step::Pause(_)));
    assert_eq!(step(&said, Machine::Unknown, None), Step::SayGoesOn);
}

#[test]
fn a_row_that_does_not_say_that_the_vm_exists_is_written_once_a_reading() {
    let (vm, submitted) = (launched_vm(60), row(PilotStatus::Submitted, 0));
    let at = |written: Option<Timestamp>| {
        let mut o = observed(&vm, active(), Some(&submitted));
        (o.rows_read, o.remembered.row_written) = (Some(ago(10)), written);
        next(&o)
    };
    assert_eq!(at(None), Step::WriteRow(PilotStatus::Waiting));
    assert_eq!(at(Some(ago(20))), Step::WriteRow(PilotStatus::Waiting));
    assert!(matches!(at(Some(ago(5))), Step::Wait(Some(_))), "the reading knows nothing of that writing");
}

#[test]
fn the_row_of_a_job_of_many_days_is_touched_daily() {
    let mut vm = running_vm(60, true);
    vm.spec.max_lifetime = crds::Duration::from_secs(10 * 86_400);
    let at = |idle_hours: u64, written: Option<Timestamp>| {
        let row = PilotRow { idle_seconds: Some(idle_hours * 3_600), ..row(PilotStatus::Running, 7) };
        let mut o = observed(&vm, active(), Some(&row));
        o.remembered.row_written = written;
        next(&o)
    };
    let in_hours = |hours: i64| Step::Wait(Some(now() + SignedDuration::from_hours(hours)));
    assert_eq!(at(1, None), in_hours(19), "it is looked at again in time, though nothing else happens to it");
    assert_eq!(at(21, None), Step::WriteRow(PilotStatus::Running));
    assert_eq!(at(500, None), Step::WriteRow(PilotStatus::Running));
    assert_eq!(at(21, Some(ago(2 * 3_600))), in_hours(18), "what we wrote is not yet in the rows that were read");
}

#[test]
fn a_pilotvm_made_by_hand_for_a_pool_that_does_not_exist_gets_no_vm() {
    let vm = fresh();
    let without = |vm, machine| next(&Observed { has_pool: false, ..observed(vm, machine, None) });
    assert_eq!(without(&vm, Machine::Unknown), Step::SayNoPool);
    let begun = begun_vm(3);
    assert!(matches!(without(&begun, Machine::Unknown), Step::Create { repeated: true, .. }), "a VM may come of it");
    assert!(matches!(without(&launched_vm(10), active()), Step::Wait(_)), "it has a VM, which goes on");
}

#[test]
fn labels_that_somebody_took_off_are_put_back_and_not_again_at_once() {
    let mut vm = running_vm(100, true);
    vm.metadata.labels = Some([("team".to_owned(), "grid".to_owned())].into());
    let running = row(PilotStatus::Running, 7);
    assert_eq!(step(&vm, active(), Some(&running)), Step::MendLabels);
    let mut o = observed(&vm, active(), Some(&running));
    o.remembered.labelled = Some(o.moment);
    assert!(matches!(next(&o), Step::Wait(_)));
}

#[test]
fn what_somebody_overwrote_in_a_status_is_put_back_from_the_rest_of_it() {
    let running = row(PilotStatus::Running, 7);
    let whole = running_vm(100, true);
    assert!(matches!(step(&whole, active(), Some(&running)), Step::Wait(_)));
    let changes: [fn(&mut crds::vm::PilotVMStatus); 4] = [
        |s| s.phase = Some("Pending".into()),
        |s| s.pilot_reference = Some("cloud://another".into()),
        |s| s.conditions.clear(),
        |s| s.conditions.retain(|c| c.type_ != "Running"),
    ];
    for change in changes {
        let mut vm = whole.clone();
        change(vm.status.as_mut().unwrap());
        assert_eq!(step(&vm, active(), Some(&running)), Step::MendStatus);
        let uid = vm.metadata.uid.clone().unwrap();
        let mended = Record::of(&vm, now()).mended(&uid).finish();
        let words = |s: &crds::vm::PilotVMStatus| {
            let mut all: Vec<_> = s.conditions.iter().map(|c| (c.type_.clone(), c.status.clone())).collect();
            all.sort();
            (s.phase.clone(), s.pilot_reference.clone(), all)
        };
        assert_eq!(words(&mended), words(whole.status.as_ref().unwrap()));
    }
}

#[test]
fn a_pilot_that_found_no_job_and_closed_its_row_has_asked_for_work() {
    // DIRAC's Matcher writes Running with the first job alone; the JobAgent writes Done at its end.
    let done = row(PilotStatus::Done, 0);
    let halted = step(&launched_vm(60), present(VmState::Ended(End::PoweredOff)), Some(&done));
    assert!(matches!(halted, Step::End(e) if e.why == Why::Idle), "it came to something: no offering is blamed");
    assert_eq!(step(&launched_vm(60), active(), Some(&done)), Step::RecordRunning);
    let mut vm = running_vm(700, false);
    vm.spec.idle_timeout = crds::Duration::from_secs(300);
    assert!(matches!(step(&vm, active(), Some(&done)), Step::End(e) if e.why == Why::PilotSilent), "its guest hangs");
    let aborted = row(PilotStatus::Aborted, 0);
    assert!(matches!(step(&launched_vm(60), active(), Some(&aborted)), Step::Wait(_)), "somebody else closed the row");
}

#[test]
fn a_spot_vm_that_stops_with_jobs_was_taken_back_and_one_that_stops_without_ended_by_itself() {
    let ended = |purchase, jobs: Option<u64>| {
        let mut vm = running_vm(90, true);
        vm.spec.offering.purchase = purchase;
        vm.metadata.labels = Some(crate::names::labels(&vm.spec));
        let row = PilotRow { running: jobs, ..row(PilotStatus::Running, 7) };
        match step(&vm, present(VmState::Ended(End::PoweredOff)), Some(&row)) {
            Step::End(ending) => ending.why,
            step => panic!("{step:?}"),
        }
    };
    use crds::pool::Purchase::{OnDemand, Spot};
    assert_eq!(ended(Spot, Some(1)), Why::Reclaimed);
    for (purchase, jobs) in [(Spot, Some(0)), (Spot, None), (OnDemand, Some(1))] {
        assert_eq!(ended(purchase, jobs), Why::Idle, "{purchase:?} {jobs:?}");
    }
}

#[path = "next/lost_tests.rs"]
mod lost;
