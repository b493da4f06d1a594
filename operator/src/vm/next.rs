//! The next step in a PilotVM's life: pure, from what was observed.
//!
//! Finalizer on; attempt written down; row registered; VM made or adopted; the row says Running before the boot deadline; an end
//! (halted, failed, proven gone, given back, never booted, hung); VM taken away and proven gone; row closed; its jobs given back where
//! the installation says so; object deleted; finalizer off.

mod afterwards;
mod alive;
mod lost;

use std::time::Duration;

use broker::{
    cloud::{Vm, VmState},
    pilot::rows::PilotStatus,
};
use crds::{ConditionType, PilotVM};
use jiff::{SignedDuration, Timestamp};

use afterwards::afterwards;
use alive::alive;

pub use super::observed::{Machine, Observed};
use crate::{
    ending::Ending,
    known::{
        cloud::Announced,
        memory::{Call, Drain},
    },
    life::{deadline, launched, ran},
    names::{VM_FINALIZER, deleting, holds, let_go},
};

/// An order is sent within this time after its attempt was written down, or not at all: whoever took over meanwhile counts on it.
const ORDERED_WITHIN: SignedDuration = SignedDuration::from_secs(10);

#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    AddFinalizer,
    /// Register the pilot's row.
    Register,
    /// Write down that this attempt to make the VM begins.
    Begin(u32),
    /// Have the VM made by this attempt; with `repeated` it may have been called before, and is only looked for.
    Create {
        n: u32,
        since: Timestamp,
        repeated: bool,
    },
    /// Write down the VM that was found: an attempt of which nobody knew made it.
    Adopt(Box<Vm>),
    /// Write down that the pilot asks for work, and whether it has a job.
    RecordRunning,
    /// Write this into the row: what it does not say yet, or what it says already so that DIRAC does not think the pilot lost.
    WriteRow(PilotStatus),
    /// Read the row, since what was read is too old to end a VM by.
    ReadRow,
    /// Ask the provider for this very VM: by its id, or by its owner where no id was written down.
    Ask,
    /// Write down what the provider announced.
    SayLeaving(Announced),
    /// Write down that the VM drains, or that it does not any more.
    SayDrain(Drain),
    /// Write down that lists lack the VM, and that it counts as alive.
    SayMissing,
    /// Write down that it is found again.
    SayFound,
    /// The provider says that there is no such VM: end it, unless too many go at once.
    Lose,
    /// Keep the console log where it helps, and write the end down.
    End(Ending),
    /// Delete the VM with this id.
    TakeAway(String),
    /// Say that the provider does not finish the deletion.
    SayDeleting,
    /// Close the row with this status.
    CloseRow(PilotStatus),
    /// Leave the row of a deleted installation as it is, and say so.
    LeaveRow,
    /// Give back to DIRAC's queue what it still has on the pilot.
    GiveJobsBack,
    /// Leave these jobs to DIRAC, and say so.
    LeaveJobs,
    DeleteObject,
    /// Take the finalizer off.
    Release,
    /// Take the finalizer off and leave everything else: the administrator said so.
    LetGo,
    /// Say that its pool does not exist: nothing is made for it.
    SayNoPool,
    /// Put back labels that somebody took off or changed.
    MendLabels,
    /// Put back what somebody took out of the status and what follows from the rest.
    MendStatus,
    /// Say that a pause holds this PilotVM.
    SayPaused(String),
    /// Say that no pause holds it any more.
    SayGoesOn,
    /// Wait for a list that knows, and say so where none can come.
    AwaitList,
    /// Wait for a list, a row, a change; at most until then.
    Wait(Option<Timestamp>),
    /// Wait for this time at most.
    Pause(Duration),
}

impl Step {
    /// Whether it makes or takes away, which a pause forbids.
    fn is_held_by_a_pause(&self) -> bool {
        match self {
            Self::End(ending) => ending.is_decided(),
            Self::Register
            | Self::Begin(_)
            | Self::Create { .. }
            | Self::TakeAway(_)
            | Self::CloseRow(_)
            | Self::LeaveRow
            | Self::GiveJobsBack
            | Self::LeaveJobs
            | Self::DeleteObject
            | Self::Release => true,
            _ => false,
        }
    }
}

pub fn next(o: &Observed<'_>) -> Step {
    let step = unpaused(o);
    let said = o.vm.status.as_ref().is_some_and(|s| ConditionType::Paused.holds(&s.conditions));
    match &o.paused {
        Some(_) if step.is_held_by_a_pause() && said => Step::Pause(Duration::from_secs(20)),
        Some(by) if step.is_held_by_a_pause() => Step::SayPaused(by.clone()),
        None if said && !matches!(step, Step::Release | Step::LetGo) => Step::SayGoesOn,
        _ => step,
    }
}

fn unpaused(o: &Observed<'_>) -> Step {
    let held = holds(o.vm, VM_FINALIZER);
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

/// A launch that is late is given up, unless an attempt at it is in doubt: a VM may come of that one, and is adopted.
fn before(o: &Observed<'_>) -> Step {
    if let Machine::Present(vm) = &o.machine
        && vm.state != VmState::Deleting
        && vm.is_held()
    {
        return Step::Adopt(vm.clone());
    }
    let doubted = matches!(o.call(), Some(Call::InDoubt(_)));
    if !doubted && o.now > deadline(o.vm) {
        return Step::End(Ending::never_launched(o.vm));
    }
    // Such a PilotVM was made by hand. One whose pool was deleted meanwhile is drained by the pools' loop.
    if !o.has_pool && o.attempt().is_none() {
        return Step::SayNoPool;
    }
    match (o.attempt(), o.call()) {
        // One in doubt is looked for although DIRAC may be away.
        (Some((n, since)), Some(Call::InDoubt(_))) => Step::Create { n, since, repeated: true },
        // DIRAC has no unique key for rows: only whoever wrote the attempt down looks for the row and adds it, so that two operators
        // that both lead add no second one.
        (Some(_), Some(Call::Begun)) if !o.remembered.is_registered => Step::Register,
        (Some((n, since)), Some(Call::Begun)) if o.now.duration_since(since) < ORDERED_WITHIN => {
            Step::Create { n, since, repeated: false }
        }
        // Nobody was called with it: it may begin again.
        (Some((n, _)), Some(Call::Begun)) => Step::Begin(n),
        (Some((n, _)), Some(Call::Over)) => Step::Begin(n.saturating_add(1)),
        (Some(_), None) | (None, _) => Step::Begin(1),
    }
}

fn is_ask_due(o: &Observed<'_>) -> bool {
    o.cloud_away.is_none() && until_asked(o).is_zero()
}

fn until_asked(o: &Observed<'_>) -> Duration {
    o.remembered.answer.as_ref().map_or(Duration::ZERO, |answer| answer.again().saturating_duration_since(o.moment))
}

/// Whether the object asks for something else than when it failed last.
pub fn wish_of(vm: &PilotVM) -> crate::known::memory::Wish {
    (vm.metadata.generation, deleting(vm), let_go(vm))
}
