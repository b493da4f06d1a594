//! How much time is left, as the operator reckons it: until clouds are closed, and to VMs.

use broker::plan::{BEFORE_THE_FIRST_JOB, Closing, Cut, Limits};

use crate::{
    policy::VmSeen,
    scenario::Model,
    time::{Ms, SECOND},
};

/// What Downtimes close, seen from now.
pub fn closings(now: Ms, model: &Model) -> Vec<Closing> {
    let mut all: Vec<Closing> = Vec::new();
    for closed in model.closed.iter().filter(|closed| now < closed.until) {
        let cloud = model.clouds[closed.cloud].name.clone();
        if let Some(closing) = all.iter_mut().find(|closing| closing.name == closed.name) {
            closing.clouds.push(cloud);
            continue;
        }
        let [vms, cores, ram_mib, gpus] = closed.keep.0;
        all.push(Closing {
            name: closed.name.clone(),
            clouds: vec![cloud],
            drains_in: closed.drains.saturating_sub(now) / SECOND,
            starts_in: closed.from.saturating_sub(now) / SECOND,
            keep: Limits { vms, cores, ram_mib, gpus },
            message: format!("Downtime {}", closed.name),
        });
    }
    all
}

/// CPU time that the pilot of a new VM is given, where its pool says so much and it may be cut.
pub fn given(pool: u64, cut: Option<Cut>) -> u64 {
    let cpu_time = cut.map_or(pool, |cut| cut.cpu_time);
    cpu_time.saturating_add(allowance(cut.is_some_and(|cut| cut.until.is_some())))
}

/// What a pilot may use before its first job. One that is to be gone at a moment has nothing for that.
fn allowance(is_to_be_gone: bool) -> u64 {
    if is_to_be_gone { 0 } else { BEFORE_THE_FIRST_JOB }
}

/// CPU time that a VM's pilot still offers, as far as its row tells when it began. `until`: the VM is to be gone then.
pub fn cpu_time(now: Ms, vm: &VmSeen<'_>, until: Option<Ms>) -> u64 {
    let allowance = allowance(until.is_some());
    let whole = vm.order.cpu_time.saturating_sub(allowance);
    let passed = vm.row.running_since.map_or(0, |began| now.saturating_sub(began) / SECOND);
    whole.saturating_sub(passed.saturating_sub(allowance))
}
