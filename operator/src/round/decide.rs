//! What one round does: nothing, only tell, or act. Pure.

use broker::plan::{Plan, Reason, Unmet};

use super::world::World;

/// What a round may do with its plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hands {
    /// Make VMs and give VMs back.
    Free,
    /// Only tell what would be done, and this sentence.
    Bound(String),
}

/// Whether the round may act. Whether pilots run is not known without their rows, and new ones could not be registered. Of two
/// installations that read one DIRAC only the older one buys: each would buy for all its jobs.
pub fn hands(world: &World) -> Hands {
    if let Some(first) = &world.first_reader {
        return Hands::Bound(format!(
            "no PilotVM is made: DiracInstallation {first} is older and reads the same Matcher, and buys for its jobs; delete one of \
             the two"
        ));
    }
    // Such a VM counts for nobody, and must count for all.
    if let Some(vm) = world.unread.iter().find(|vm| vm.cloud.is_none() || vm.vo.is_none()) {
        return Hands::Bound(format!(
            "this version cannot read PilotVM {}, and its labels do not say against which limits it counts: no PilotVM is made until it is \
             mended or gone",
            vm.name
        ));
    }
    match (&world.rows_unknown, &world.rows) {
        (Some(trouble), _) => {
            Hands::Bound(format!("no PilotVM is made while the pilots' rows are unknown: {}", trouble.message))
        }
        (None, None) => {
            Hands::Bound("no PilotVM is made before the pilots' rows have been read for the first time".to_owned())
        }
        (None, Some(_)) => Hands::Free,
    }
}

/// The plan without what a pause forbids: VMs of a paused pool or cloud are not given back, and jobs that wait since their pool is
/// paused, or every cloud of it that could serve them, say so.
pub fn respect_pauses(world: &World, mut plan: Plan) -> Plan {
    plan.surplus.retain(|surplus| {
        let Some(vm) = world.vm(&surplus.vm) else { return false };
        let pool = world.pool(&vm.spec.pool_ref.name);
        pool.is_some_and(|pool| world.paused_by(Some(pool), [vm.spec.cloud_ref.name.as_str()]).is_none())
    });
    for unmet in &mut plan.unmet {
        if let Some(by) = waits_for(world, unmet) {
            unmet.reason = Reason::Paused;
            unmet.change = None;
            unmet.message = format!("{by} is paused: take the annotation {} off to go on", crds::annotation::PAUSED);
        }
    }
    plan
}

/// The paused object that these jobs wait for.
fn waits_for(world: &World, unmet: &Unmet) -> Option<String> {
    let pool = world.pool(unmet.pool.as_deref()?)?;
    if let Some(by) = world.paused_by(Some(pool), []) {
        return Some(by);
    }
    // A limit that binds on the clouds that are left binds all the same.
    let nowhere = matches!(unmet.reason, Reason::NoOffering | Reason::NoCapacity | Reason::CloudQuota);
    let clouds = pool.spec.clouds.iter().map(|c| c.name.as_str());
    nowhere.then(|| world.paused_by(Some(pool), clouds)).flatten()
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
