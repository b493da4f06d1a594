//! The next step in a PilotVM's life: pure, from what was observed.
//!
//! 1. finalizer on · 2. row registered, VM made or adopted · 3. the row says Running before the boot deadline ·
//! 4. an end: halted, failed, vanished, given back, never booted · 5. VM taken away · 6. row closed, object gone.

use broker::{
    cloud::{End, VmState},
    pilot::rows::{PilotRow, PilotStatus},
};
use crds::PilotVM;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use crate::{
    ending::Ending,
    known::{listing::Machine, memory::Remembered},
    life::{deadline, is_late, launched, ran},
    names::{VM_FINALIZER, deleting, let_go},
};

/// Rows not touched for three days are closed by DIRAC's PilotStatusAgent: ours are touched daily.
const TOUCH_ROW_AFTER: SignedDuration = SignedDuration::from_hours(20);
/// A deletion that the provider accepted and did not carry out is asked for again.
const DELETE_AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// All that is known of a PilotVM at one moment.
#[derive(Debug)]
pub struct Observed<'a> {
    /// The object.
    pub vm: &'a PilotVM,
    /// What the cloud's list says.
    pub machine: Machine<'a>,
    /// Its row, as last read.
    pub row: Option<&'a PilotRow>,
    /// When the rows were last asked for.
    pub rows_read: Option<Timestamp>,
    /// Since when pilots can ask for work; `None`: they cannot now.
    pub asking: Option<Timestamp>,
    /// What is remembered.
    pub remembered: &'a Remembered,
    /// The clock.
    pub now: Timestamp,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Put the finalizer on.
    AddFinalizer,
    /// Register the row, make or adopt the VM, write both down.
    Launch,
    /// Write down that the pilot asks for work, and whether it has a job.
    RecordRunning,
    /// Write this into the row: what it does not say yet, or what it says already so that DIRAC does not think the pilot lost.
    WriteRow(PilotStatus),
    /// Keep the console log where it helps, and write the end down.
    End(Ending),
    /// Ask the provider for VMs of this owner: no list can know whether there is one.
    Look,
    /// Delete the VM with this id.
    TakeAway(String),
    /// Close the row, delete the object, take the finalizer off.
    Finish(PilotStatus),
    /// Take the finalizer off and leave everything else: the administrator said so.
    LetGo,
    /// Wait for a list that knows, and say so where none can come.
    AwaitList,
    /// Wait for a list, a row, a change; at most until then.
    Wait(Option<Timestamp>),
}

/// The next step.
pub fn next(o: &Observed<'_>) -> Step {
    let held = o.vm.finalizers().iter().any(|f| f == VM_FINALIZER);
    if deleting(o.vm) && !held {
        return Step::Wait(None);
    }
    if deleting(o.vm) && let_go(o.vm) {
        return Step::LetGo;
    }
    match Ending::recorded(o.vm) {
        Some(ending) => afterwards(o, &ending),
        None if deleting(o.vm) => Step::End(Ending::given_back(o.remembered.surplus.as_deref(), ran(o.vm))),
        None if !held => Step::AddFinalizer,
        None if launched(o.vm).is_none() => before(o),
        None => alive(o),
    }
}

/// A launch that is late is given up, unless it made a VM that was not written down: that one is adopted, and may run jobs.
fn before(o: &Observed<'_>) -> Step {
    if o.now <= deadline(o.vm) {
        return Step::Launch;
    }
    match o.machine {
        Machine::Present(_) => Step::Launch,
        Machine::Missing | Machine::Unknown => Step::AwaitList,
    }
}

fn alive(o: &Observed<'_>) -> Step {
    match o.machine {
        Machine::Present(vm) => match &vm.state {
            VmState::Ended(End::PoweredOff) => return Step::End(Ending::halted(ran(o.vm) || row_runs(o))),
            VmState::Ended(End::Failed(error)) => return Step::End(Ending::failed(error, ran(o.vm))),
            VmState::Deleting | VmState::Ended(End::Reclaimed | End::Deleted) => {
                return Step::End(Ending::vanished(ran(o.vm)));
            }
            VmState::Building | VmState::Active | VmState::Unknown => {}
        },
        Machine::Missing | Machine::Unknown => {}
    }
    let has_job = o.row.is_some_and(|r| r.current_job > 0);
    let served = o.vm.status.as_ref().is_some_and(|s| s.served_job);
    if (row_runs(o) && !ran(o.vm)) || (has_job && !served) {
        return Step::RecordRunning;
    }
    if !ran(o.vm) {
        return if row_is_behind(o) { Step::WriteRow(PilotStatus::Waiting) } else { boot(o) };
    }
    match touch_due(o) {
        Some(due) if due <= o.now => Step::WriteRow(PilotStatus::Running),
        due => Step::Wait(due),
    }
}

/// The VM exists, and its row, read after the last time we wrote it, does not say so.
fn row_is_behind(o: &Observed<'_>) -> bool {
    o.row.is_some_and(|r| r.status == PilotStatus::Submitted) && o.remembered.row_written < o.rows_read
}

/// When the row must be touched again; nothing where it was not read.
fn touch_due(o: &Observed<'_>) -> Option<Timestamp> {
    let idle = i64::try_from(o.row?.idle_seconds?).unwrap_or(0);
    let touched = o.rows_read? - SignedDuration::from_secs(idle.min(TOUCH_ROW_AFTER.as_secs()));
    Some(o.remembered.row_written.map_or(touched, |ours| ours.max(touched)) + TOUCH_ROW_AFTER)
}

fn boot(o: &Observed<'_>) -> Step {
    let deadline = deadline(o.vm);
    if o.now <= deadline {
        Step::Wait(Some(deadline))
    } else if is_late(o.vm, o.rows_read, o.asking, o.now) {
        Step::End(Ending::never_booted(o.vm))
    } else {
        // Every reading of the rows wakes it.
        Step::Wait(None)
    }
}

fn row_runs(o: &Observed<'_>) -> bool {
    o.row.is_some_and(|r| r.status == PilotStatus::Running)
}

fn afterwards(o: &Observed<'_>, ending: &Ending) -> Step {
    match o.machine {
        Machine::Present(vm) if vm.state == VmState::Deleting => Step::Wait(None),
        // A provider may show a VM for a while that is gone.
        Machine::Present(vm) if !vm.is_held() => Step::Finish(ending.row),
        Machine::Present(vm) => match o.remembered.delete_asked {
            Some(asked) if o.now < asked + DELETE_AGAIN_AFTER => Step::Wait(Some(asked + DELETE_AGAIN_AFTER)),
            _ => Step::TakeAway(vm.id.clone()),
        },
        // A VM that was written down has been in a list or will be: one list without it, asked for after its end, is enough.
        Machine::Missing if launched(o.vm).is_some() => Step::Finish(ending.row),
        Machine::Missing | Machine::Unknown if launched(o.vm).is_none() => Step::Look,
        Machine::Missing | Machine::Unknown => Step::AwaitList,
    }
}
