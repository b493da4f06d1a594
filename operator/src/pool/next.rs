//! What is to be done for a pool. Pure.

use std::sync::Arc;

use crds::{PilotPool, PilotVM, annotation::DELETE_VMS};
use kube::ResourceExt;

use crate::{
    life::is_ended,
    names::{POOL_FINALIZER, deleting, holds, is_paused, let_go},
};

#[derive(Clone, Debug)]
pub enum Step {
    /// Nothing is to be done.
    Rest,
    /// Put the finalizer on: no VM is made before.
    Hold,
    /// Take the finalizer off.
    Release,
    /// Give back those of these VMs that have no job.
    Drain(Vec<Arc<PilotVM>>),
    /// Delete these VMs with their jobs.
    DeleteAll(Vec<Arc<PilotVM>>),
}

/// The next step of this pool, whose PilotVMs are these. `is_awaited`: one more may have been made that the watch has not shown.
pub fn next(pool: &PilotPool, vms: &[Arc<PilotVM>], is_awaited: bool) -> Step {
    let is_held = holds(pool, POOL_FINALIZER);
    match (deleting(pool), is_held) {
        (false, true) | (true, false) => return Step::Rest,
        (false, false) => return Step::Hold,
        (true, true) => {}
    }
    if let_go(pool) || (vms.is_empty() && !is_awaited) {
        return Step::Release;
    }
    if is_paused(pool) {
        return Step::Rest;
    }
    if pool.annotations().get(DELETE_VMS).is_some_and(|value| value == "now") {
        return Step::DeleteAll(vms.iter().filter(|vm| !deleting(vm.as_ref())).cloned().collect());
    }
    Step::Drain(drainable(vms))
}

/// Those of these VMs that may be given back when they have no job; the others go already.
pub fn drainable(vms: &[Arc<PilotVM>]) -> Vec<Arc<PilotVM>> {
    vms.iter().filter(|vm| !deleting(vm.as_ref()) && !is_ended(vm)).cloned().collect()
}
