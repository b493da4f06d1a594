//! What a PilotPool object says: its VMs, the demand it was given, and what is unmet and why.

use std::sync::Arc;

use broker::clock::moment;
use broker::pilot::user_data;
use crds::{
    Cloud, PilotPool, condition,
    pool::{PilotPoolStatus, Purchase, UnmetDemand},
};
use jiff::Timestamp;
use kube::ResourceExt;

use crate::{
    amounts::whole,
    conditions::Conditions,
    context::State,
    life::phase,
    names::Key,
    resolve::{Resolved, buys_on_demand, resolve},
    trouble::Trouble,
};

/// The status of this pool now.
pub fn status(state: &State, pool: &PilotPool, now: Timestamp) -> PilotPoolStatus {
    let key = Key::of(pool);
    let namespace = key.namespace.as_str();
    let resolved = resolve(
        pool,
        &state.stores.installations.within(namespace),
        &state.stores.sites.within(namespace),
        &state.stores.vos.within(namespace),
        &state.stores.clouds.within(namespace),
    );
    let mut conditions = Conditions::of(pool.status.as_ref().map(|s| &s.conditions), pool.metadata.generation, now);
    let missing = [resolved.missing.clone(), flavors_nobody_has(state, pool, &resolved)].concat();
    conditions.resolved(&missing);
    conditions.supported(&unsupported(pool));
    match pool.spec.machine.user_data.as_deref().map(user_data::check) {
        None | Some(Ok(())) => {
            conditions.set(condition::USER_DATA_VALID, Some(true), "Valid", "the user-data template can be rendered")
        }
        Some(Err(error)) => {
            conditions.set(condition::USER_DATA_VALID, Some(false), "UserDataInvalid", &error.to_string())
        }
    }
    clouds(state, &key, buys_on_demand(pool), &resolved, &mut conditions);
    conditions.ready(
        &[condition::RESOLVED, condition::USER_DATA_VALID, condition::CLOUD_USABLE],
        "VMs are made here when jobs ask for them",
    );
    let round = resolved.installation().and_then(|i| state.installations.get(&key.beside(i)).facts().round);
    let unmet: Vec<UnmetDemand> = round
        .iter()
        .flat_map(|r| &r.plan.unmet)
        .filter(|u| u.pool.as_deref() == Some(key.name.as_str()))
        .take(50)
        .map(|u| UnmetDemand {
            vo: u.vo.clone(),
            jobs: whole(u.jobs),
            reason: u.reason.as_str().to_owned(),
            message: u.message.clone(),
        })
        .collect();
    let failed = round.as_ref().and_then(|r| r.failed.get(&key.name));
    match (unmet.first(), failed) {
        (None, None) => {
            conditions.set(condition::DEMAND_MET, Some(true), "Met", "every job given to the pool has a VM or gets one")
        }
        (_, Some(message)) => conditions.set(condition::DEMAND_MET, Some(false), "PilotVMsNotMade", message),
        (Some(first), None) => {
            let jobs: i64 = unmet.iter().map(|u| u.jobs).sum();
            conditions.set(
                condition::DEMAND_MET,
                Some(false),
                &first.reason,
                &format!("{jobs} waiting jobs get no VM: {}", first.message),
            );
        }
    }
    let ours = state.stores.vms_of_pool(&key);
    let in_phase = |wanted: &[&str]| {
        let count = ours.iter().filter(|vm| wanted.contains(&vm.status.as_ref().map_or("Pending", phase))).count();
        whole(count)
    };
    PilotPoolStatus {
        observed_generation: pool.metadata.generation,
        vms: whole(ours.len()),
        booting: in_phase(&["Pending", "Booting"]),
        running: in_phase(&["Running"]),
        waiting_jobs: round.as_ref().and_then(|r| r.plan.assigned.get(&key.name)).map_or(0, |n| whole(*n)),
        unmet,
        conditions: conditions.finish(),
    }
}

/// Says whether any of the pool's clouds can be bought from, and what is wrong with the first where none can.
fn clouds(state: &State, key: &Key, buys: bool, resolved: &Resolved, conditions: &mut Conditions) {
    if !buys {
        let text = "this version buys on demand only: add OnDemand to spec.machine.purchase";
        conditions.set(condition::CLOUD_USABLE, Some(false), "SpotOnly", text);
        return;
    }
    let facts = |cloud: &Arc<Cloud>| state.clouds.get(&key.beside(&cloud.name_any())).facts();
    let usable: Vec<String> =
        resolved.clouds.iter().filter(|c| facts(c).usable(moment())).map(|c| c.name_any()).collect();
    if !usable.is_empty() {
        let text = format!("VMs can be bought from {}", usable.join(", "));
        conditions.set(condition::CLOUD_USABLE, Some(true), "Usable", &text);
        return;
    }
    let why = |cloud: &Arc<Cloud>| {
        let facts = facts(cloud);
        facts
            .not_driven
            .or_else(|| facts.refused.as_ref().map(Trouble::from))
            .map(|t| format!("{}: {}", cloud.name_any(), t.message))
    };
    match resolved.clouds.iter().find_map(why) {
        Some(text) => conditions.set(
            condition::CLOUD_USABLE,
            Some(false),
            "NoUsableCloud",
            &format!("no cloud of the pool can be used; {text}"),
        ),
        None => conditions.set(condition::CLOUD_USABLE, None, "NotAsked", "no cloud of the pool has answered yet"),
    }
}

/// Flavors of the pool that none of its clouds has, once all have said what they have.
fn flavors_nobody_has(state: &State, pool: &PilotPool, resolved: &Resolved) -> Vec<String> {
    let key = Key::of(pool);
    let offers = |cloud: &Arc<Cloud>| state.clouds.get(&key.beside(&cloud.name_any())).facts().offers;
    let Some(all) = resolved.clouds.iter().map(offers).collect::<Option<Vec<_>>>() else { return Vec::new() };
    if all.is_empty() {
        return Vec::new();
    }
    let nobody_has = |name: &&String| !all.iter().any(|offers| offers.flavors.iter().any(|f| f.name == **name));
    let sentence = |name: &String| {
        format!(
            "no cloud of the pool has the flavor {name:?}: correct spec.machine.flavors, or have it made visible to the project"
        )
    };
    pool.spec.machine.flavors.iter().filter(nobody_has).map(sentence).collect()
}

fn unsupported(pool: &PilotPool) -> Vec<&'static str> {
    let mut not = Vec::new();
    if pool.spec.scaling.min > 0 {
        not.push("spec.scaling.min");
    }
    if pool.spec.scaling.spare > 0 {
        not.push("spec.scaling.spare");
    }
    if pool.spec.machine.purchase.contains(&Purchase::Spot) {
        not.push("spec.machine.purchase Spot");
    }
    not
}
