//! How much time is left, as the operator reckons it: until clouds are closed, and to VMs.

use broker::plan::{BEFORE_THE_FIRST_JOB, Closing, Cut, Limits, STOP_MARGIN, work};

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
            is_credential: false,
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

/// CPU time that a VM's pilot was made for, without what it may use before its first job.
pub fn whole(vm: &VmSeen<'_>, is_to_be_gone: bool) -> u64 {
    vm.order.cpu_time.saturating_sub(allowance(is_to_be_gone))
}

/// CPU time that a VM's pilot still offers, as far as its row tells when it began, on cores of this `power`, in hundredths.
pub fn cpu_time(now: Ms, vm: &VmSeen<'_>, power: Option<u64>, is_to_be_gone: bool) -> u64 {
    let whole = whole(vm, is_to_be_gone);
    let Some(began) = vm.row.running_since else { return whole };
    let passed = work(power.unwrap_or(100), (now.saturating_sub(began) / SECOND).saturating_add(STOP_MARGIN));
    whole.saturating_sub(passed.saturating_sub(allowance(is_to_be_gone)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        scenario::Offer,
        world::{Order, Row, RowStatus},
    };

    #[test]
    fn cpu_time_passes_as_fast_as_the_cores_are_and_the_allowance_first() {
        let offer = Offer { cloud: 0, flavor: 0, zone: 0, spot: false };
        let vm = VmSeen {
            id: 0,
            order: Order { pool: 0, vo: 0, offer, cpu_time: 118_000, alone: None },
            cores: 8,
            ordered: 0,
            made: Some(0),
            listed: None,
            is_deleting: false,
            row: Row { status: RowStatus::Running, current_job: None, running_since: Some(0), power: None },
            running: &[],
        };
        let left = |power, is_to_be_gone| cpu_time(3_600 * SECOND, &vm, power, is_to_be_gone);
        assert_eq!((left(None, false), left(Some(1_000), false), left(Some(1_000), true)), (100_000, 79_000, 79_000));
    }
}
