//! What a PilotVM's object says of its life: questions that several rooms ask of it. Pure.

use crds::{PilotVM, condition, vm::PilotVMStatus};
use jiff::{SignedDuration, Timestamp};
use kube::Resource;

use crate::{amounts::seconds, names::deleting};

/// A pilot that could not ask, because the Matcher was away, does so within this time.
const ASKS_AGAIN_WITHIN: SignedDuration = SignedDuration::from_mins(5);

/// When the VM was made, where that is written down.
pub fn launched(vm: &PilotVM) -> Option<Timestamp> {
    vm.status.as_ref().and_then(|s| s.launched_at.as_ref()).map(|t| t.0)
}

/// Whether the pilot ever asked for work.
pub fn ran(vm: &PilotVM) -> bool {
    vm.status
        .as_ref()
        .is_some_and(|s| condition::is_true(&s.conditions, condition::RUNNING) || s.running_since.is_some())
}

/// Whether an end of the VM's life is written down.
pub fn is_ended(vm: &PilotVM) -> bool {
    vm.status.as_ref().is_some_and(|s| condition::is_true(&s.conditions, condition::ENDED))
}

/// Whether the VM runs and nothing is expected of it soon.
pub fn is_settled(vm: &PilotVM) -> bool {
    launched(vm).is_some() && ran(vm) && !deleting(vm) && !is_ended(vm)
}

/// When the PilotVM was made.
pub fn created(vm: &PilotVM) -> Timestamp {
    vm.meta().creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |t| t.0)
}

/// When its pilot must have asked for work.
pub fn deadline(vm: &PilotVM) -> Timestamp {
    launched(vm).unwrap_or_else(|| created(vm)) + seconds(vm.spec.boot_deadline)
}

/// Whether the VM has reached the age at which it is given back.
pub fn is_old(vm: &PilotVM, now: Timestamp) -> bool {
    now > created(vm) + seconds(vm.spec.max_lifetime)
}

/// Whether the pilot of a VM that was made and does not run is late: its row was read after the deadline, and it could ask all the
/// time. With DIRAC down nothing is deleted or replaced by guess.
pub fn is_late(vm: &PilotVM, rows_read: Option<Timestamp>, asking: Option<Timestamp>, now: Timestamp) -> bool {
    let deadline = deadline(vm);
    let could_ask = asking.is_some_and(|since| since == Timestamp::default() || now > since + ASKS_AGAIN_WITHIN);
    now > deadline && could_ask && rows_read.is_some_and(|read| read > deadline)
}

/// The phase, derived from the conditions.
pub fn phase(status: &PilotVMStatus) -> &'static str {
    let is = |type_| condition::is_true(&status.conditions, type_);
    if is(condition::ENDED) {
        "Ending"
    } else if is(condition::RUNNING) {
        "Running"
    } else if is(condition::LAUNCHED) {
        "Booting"
    } else {
        "Pending"
    }
}
