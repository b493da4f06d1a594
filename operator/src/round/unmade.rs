//! Jobs whose VMs were planned and whose PilotVMs are not made: they get no VM, and the plan that is shown says so. Pure.

use std::collections::BTreeMap;

use broker::plan::{Bound, Launch, Plan, Reason, Unmet};

/// A VM that was planned and whose PilotVM is not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmade {
    pub pool: String,
    pub vo: String,
    /// Waiting jobs for which it was planned.
    pub jobs: u64,
    pub reason: Reason,
    /// The sentence: what hinders, and what would help.
    pub message: String,
}

impl Unmade {
    pub fn of(launch: &Launch, reason: Reason, message: impl Into<String>) -> Self {
        let (pool, vo) = (launch.pool.to_string(), launch.vo.to_string());
        Self { pool, vo, jobs: launch.jobs, reason, message: message.into() }
    }
}

/// All VMs of a plan that is not carried out now.
pub fn all(plan: &Plan, why: &str) -> Vec<Unmade> {
    plan.launches.iter().map(|launch| Unmade::of(launch, Reason::Held, why)).collect()
}

/// Moves the jobs of these VMs from those that get a VM to those that get none.
pub fn give_none(plan: &mut Plan, unmade: &[Unmade]) {
    let mut all: BTreeMap<(&str, &str, Reason, &str), u64> = BTreeMap::new();
    for vm in unmade.iter().filter(|vm| vm.jobs > 0) {
        let jobs = all.entry((&vm.vo, &vm.pool, vm.reason, &vm.message)).or_default();
        *jobs = jobs.saturating_add(vm.jobs);
        if let Some(assigned) = plan.assigned.get_mut(&vm.pool) {
            assigned.new = assigned.new.saturating_sub(vm.jobs);
        }
    }
    plan.assigned.retain(|_, assigned| assigned.all() > 0);
    plan.unmet.extend(all.into_iter().map(|((vo, pool, reason, message), jobs)| Unmet {
        vo: vo.to_owned(),
        pool: Some(pool.to_owned()),
        jobs,
        reason,
        message: message.to_owned(),
        limits: vec![Bound { reason, message: message.to_owned() }],
        change: None,
    }));
}

/// By pool, why VMs of it that were planned are not made: one of its reasons.
pub fn by_pool(unmade: Vec<Unmade>) -> BTreeMap<String, (Reason, String)> {
    unmade.into_iter().map(|vm| (vm.pool, (vm.reason, vm.message))).collect()
}

#[cfg(test)]
mod tests {
    use broker::plan::Assigned;

    use super::*;

    fn unmade(vo: &str, jobs: u64, message: &str) -> Unmade {
        let (pool, message) = ("cpu".to_owned(), message.to_owned());
        Unmade { pool, vo: vo.into(), jobs, reason: Reason::PilotVMsNotMade, message }
    }
    fn told(all: &[Unmade]) -> (u64, Vec<(String, u64)>) {
        let given = Assigned { running: 0, booting: 1, new: 20 };
        let mut plan = Plan { assigned: [("cpu".to_owned(), given)].into(), ..Plan::default() };
        give_none(&mut plan, all);
        (plan.assigned["cpu"].all(), plan.unmet.into_iter().map(|unmet| (unmet.message, unmet.jobs)).collect())
    }

    #[test]
    fn jobs_of_vms_that_are_not_made_are_unmet_and_are_given_to_no_vm() {
        let (given, unmet) = told(&[unmade("a", 8, "a quota"), unmade("a", 3, "a quota"), unmade("b", 1, "a quota")]);
        assert_eq!((given, unmet), (9, vec![("a quota".to_owned(), 11), ("a quota".to_owned(), 1)]));
    }

    #[test]
    fn a_vm_that_a_pool_keeps_whatever_waits_leaves_no_job_unmet() {
        assert_eq!(told(&[unmade("a", 0, "a quota")]), (21, vec![]));
        assert_eq!(by_pool(vec![unmade("a", 0, "a quota")])["cpu"], (Reason::PilotVMsNotMade, "a quota".to_owned()));
    }
}
