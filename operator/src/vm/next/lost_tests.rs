//! Of what becomes of the jobs of a VM that is gone.

use super::*;

/// A VM that ended `seconds` ago, is proven gone, and whose row is closed.
fn lost(vm: PilotVM, ending: &Ending, seconds: i64) -> PilotVM {
    let mut vm = vm;
    vm.status = Some(Record::of(&vm, ago(seconds)).ended(ending, None, None).finish());
    vm
}

/// What is done next for its jobs.
fn for_jobs(vm: &PilotVM, row: Option<&PilotRow>, change: impl FnOnce(&mut Observed<'_>)) -> Step {
    let mut o = observed(vm, Machine::Gone, row);
    (o.gives_back, o.remembered.row_closed) = (true, true);
    change(&mut o);
    next(&o)
}

#[test]
fn the_row_of_a_vm_that_is_gone_is_closed_at_once_and_then_its_jobs_are_given_back() {
    let vm = running_vm(90, true);
    let gone = [
        (present(VmState::Ended(End::Reclaimed)), Ending::reclaimed(true)),
        (Machine::Gone, Ending::vanished(true)),
        (present(VmState::Ended(End::Deleted)), Ending::vanished(true)),
        (Machine::Gone, Ending::failed(&CloudError::Transient("its host died".into()), true)),
        (Machine::Gone, Ending::given_back(None, true)),
    ];
    for (machine, ending) in gone {
        let ended = ended_vm(vm.clone(), &ending);
        assert_eq!(step(&ended, machine.clone(), None), Step::CloseRow(ending.row), "{ending:?}");
        assert_eq!(for_jobs(&ended, None, |o| o.machine = machine), Step::GiveJobsBack, "{ending:?}");
        assert_eq!(for_jobs(&ended, None, |o| o.gives_back = false), Step::DeleteObject, "{ending:?}");
        assert_eq!(for_jobs(&ended, None, |o| o.remembered.jobs_settled = true), Step::DeleteObject, "{ending:?}");
    }
}

#[test]
fn jobs_of_a_vm_that_is_only_absent_from_a_list_are_not_given_back() {
    let ended = ended_vm(running_vm(90, true), &Ending::vanished(true));
    for machine in [Machine::Missing, Machine::Unknown, active(), present(VmState::Deleting)] {
        let step = for_jobs(&ended, None, |o| o.machine = machine.clone());
        assert!(!matches!(step, Step::GiveJobsBack | Step::CloseRow(_)), "{machine:?}: {step:?}");
    }
}

#[test]
fn a_vm_that_stopped_by_itself_has_time_to_report_and_one_without_jobs_is_not_asked_for() {
    let halted = |seconds| lost(running_vm(900, true), &Ending::halted(true), seconds);
    let running = |jobs| PilotRow { running: jobs, ..row(PilotStatus::Done, 7) };
    assert_eq!(for_jobs(&halted(5), Some(&running(Some(1))), |_| {}), Step::Wait(Some(ago(5 - 120))));
    assert_eq!(for_jobs(&halted(121), Some(&running(Some(1))), |_| {}), Step::GiveJobsBack);
    assert_eq!(for_jobs(&halted(121), None, |_| {}), Step::GiveJobsBack, "nobody says that it has none");
    assert_eq!(for_jobs(&halted(5), Some(&running(Some(0))), |_| {}), Step::DeleteObject);
    let beyond = lost(running_vm(900, true), &Ending::hard_limit(&running_vm(900, true)), 5);
    assert_eq!(for_jobs(&beyond, None, |_| {}), Step::DeleteObject, "it would run beyond its time again");
    let never_made = lost(fresh(), &Ending::never_launched(&fresh()), 5);
    assert_eq!(for_jobs(&never_made, None, |_| {}), Step::DeleteObject);
}

#[test]
fn jobs_that_cannot_be_given_back_hold_the_object_for_an_hour_and_not_for_an_installation_that_is_gone() {
    let reclaimed = |seconds| lost(running_vm(90, true), &Ending::reclaimed(true), seconds);
    assert_eq!(for_jobs(&reclaimed(3_600), None, |o| o.remembered.attempts = 9), Step::GiveJobsBack);
    assert_eq!(for_jobs(&reclaimed(3_601), None, |o| o.remembered.attempts = 9), Step::LeaveJobs);
    let gone =
        |attempts| for_jobs(&reclaimed(5), None, |o| (o.installation_gone, o.remembered.attempts) = (true, attempts));
    assert_eq!((gone(0), gone(1)), (Step::GiveJobsBack, Step::LeaveJobs));
    assert_eq!(
        for_jobs(&reclaimed(5), None, |o| o.paused = Some("Cloud demo/c".into())),
        Step::SayPaused("Cloud demo/c".into())
    );
}
