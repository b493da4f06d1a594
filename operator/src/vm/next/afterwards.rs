//! The next step of a PilotVM whose life has ended: its VM is taken away and proven gone, its row closed, its jobs
//! given back, the object released.

use std::time::Duration;

use broker::cloud::VmState;
use crds::ConditionType;
use jiff::{SignedDuration, Timestamp};

use super::{Machine, Observed, Step, is_ask_due, lost, until_asked};
use crate::{
    ending::Ending,
    known::memory::{Call, Found},
    life::launched,
    names::deleting,
};

/// A deletion that the provider accepted and did not carry out is asked for again.
const DELETE_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// A deletion that takes longer is said.
const DELETES_WITHIN: SignedDuration = SignedDuration::from_mins(3);
/// After this time an order of which nobody knows how it went has been carried out, or will not be (see `CloudError::Unclear`).
const CARRIED_OUT_WITHIN: SignedDuration = SignedDuration::from_mins(5);
/// A row of a deleted installation that cannot be closed for this time is left as it is.
const CLOSES_ROW_WITHIN: Duration = Duration::from_secs(600);

/// The next step after the VM's life has ended for this reason.
pub fn afterwards(o: &Observed<'_>, ending: &Ending) -> Step {
    match &o.machine {
        Machine::Present(vm) if vm.state == VmState::Deleting => deletes(o),
        // A provider may show a VM for a while that is gone.
        Machine::Present(vm) if !vm.is_held() => gone(o, ending),
        Machine::Present(vm) => match o.remembered.delete_asked.map(|asked| asked + DELETE_AGAIN_AFTER) {
            Some(again) if o.moment < again => Step::Pause(again.duration_since(o.moment)),
            _ => Step::TakeAway(vm.id.clone()),
        },
        Machine::Gone => match may_come_until(o) {
            Some(until) if o.now > until => Step::Ask,
            Some(until) => Step::Wait(Some(until)),
            None => gone(o, ending),
        },
        // A VM that was written down is asked for once the list lacks it; of one that was not, lists know too little.
        Machine::Unknown if launched(o.vm).is_some() => Step::AwaitList,
        Machine::Missing | Machine::Unknown if o.cloud_away.is_some() => Step::AwaitList,
        Machine::Missing | Machine::Unknown if is_ask_due(o) => Step::Ask,
        Machine::Missing | Machine::Unknown => Step::Pause(until_asked(o)),
    }
}

/// Until when an order of which nobody knows the outcome may still make a VM; nothing once a look from after that time found none.
fn may_come_until(o: &Observed<'_>) -> Option<Timestamp> {
    let (None, Some((_, since)), Some(Call::InDoubt(until))) = (launched(o.vm), o.attempt(), o.call()) else {
        return None;
    };
    let over = until.unwrap_or(since).max(since + CARRIED_OUT_WITHIN);
    let looked = o.remembered.answer.as_ref().filter(|a| a.found == Found::Nothing).map(|a| a.at);
    looked.is_none_or(|at| at <= over).then_some(over)
}

fn deletes(o: &Observed<'_>) -> Step {
    let ended =
        o.vm.status.as_ref().and_then(|s| ConditionType::Ended.among(&s.conditions)).map(|c| c.last_transition_time.0);
    match ended.map(|ended| ended + DELETES_WITHIN) {
        Some(slow) if o.now <= slow => Step::Wait(Some(slow)),
        _ => Step::SayDeleting,
    }
}

fn gone(o: &Observed<'_>, ending: &Ending) -> Step {
    if !o.remembered.row_closed {
        let tried = o.remembered.row_tried.map(|since| o.moment.duration_since(since));
        return match tried {
            Some(long) if o.installation_gone && long > CLOSES_ROW_WITHIN => Step::LeaveRow,
            _ => Step::CloseRow(ending.row),
        };
    }
    if let Some(step) = lost::jobs(o, ending) {
        return step;
    }
    if deleting(o.vm) { Step::Release } else { Step::DeleteObject }
}
