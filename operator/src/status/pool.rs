//! What a PilotPool object says: its VMs, the demand it was given, and what is unmet and why.

use std::sync::Arc;

use broker::clock::moment;
use crds::{Cloud, ConditionType, PilotPool, Reason, pool::PilotPoolStatus, restraint::Breaker};
use kube::ResourceExt;

use super::{
    demand::{self, Lacking},
    pass::{Pass, identities_of_pool},
    unread,
};
use crate::{
    amounts::whole,
    conditions::Conditions,
    known::{
        cloud,
        installation::{Facts, Round},
        restraints,
    },
    names::{Key, POOL_LABEL, deleting},
    resolve::{Resolved, resolve},
    trouble::{Trouble, of_plan},
};

pub fn status(pass: &Pass<'_>, pool: &PilotPool) -> PilotPoolStatus {
    let key = Key::of(pool);
    let beside = pass.beside(&key);
    let resolved = resolve(pool, &beside.installations, &beside.sites, &beside.vos, &beside.clouds);
    let old = pool.status.as_ref();
    let mut conditions = Conditions::of(old.map(|s| &s.conditions), pool.metadata.generation, pass.now);
    let missing = [resolved.missing.clone(), flavors_nobody_has(pass, pool, &resolved)].concat();
    let rival = pass.rival(pool, identities_of_pool(pool, &beside.clouds)).map(|other| {
        format!(
            "PilotPool {other:?} has the same CE and queue (spec.matching, and where that names no queue the flavors): give each its own, or \
             delete one of the two"
        )
    });
    conditions.resolved(&missing, rival.as_deref());
    conditions.supported(&[]);
    conditions.paused(pool);
    conditions.readable(&unread::sentences(&pass.state.stores.unknown_vms(POOL_LABEL, &key)));
    match pool.spec.machine.user_data.as_deref().map(|template| pass.state.templates.of(template)) {
        None | Some(Ok(())) => {
            let text = "the user-data template can be rendered";
            conditions.says(ConditionType::UserDataValid, Some(true), Reason::Valid, text);
        }
        Some(Err(error)) => {
            let text = error.to_string();
            conditions.says(ConditionType::UserDataValid, Some(false), Reason::UserDataInvalid, &text);
        }
    }
    clouds(pass, &key, &resolved, &mut conditions);
    let tally = pass.tally.pool(&key);
    let facts = resolved.installation().and_then(|name| pass.installation(&key.beside(name)));
    let round = facts.and_then(|f| f.round.as_deref());
    let is_held = round.is_some_and(|round| frozen(round, &key, &mut conditions));
    ready(pool, tally.vms, is_held, &mut conditions);
    let lacking =
        round.map(|r| demand::lacking(r, |u| u.pool.as_deref() == Some(key.name.as_str()))).unwrap_or_default();
    demand_met(&key, &resolved, facts, &lacking, &mut conditions);
    // What has not been read since the start is not nothing: the last numbers stay.
    let (waiting_jobs, unmet) = match (round, old) {
        (Some(round), _) => (waiting(round, &key, &lacking), lacking.entries),
        (None, Some(old)) if facts.is_some() => (old.waiting_jobs, old.unmet.clone()),
        (None, _) => (0, Vec::new()),
    };
    let breakers = resolved.installation().and_then(|name| breakers(pass, &key.beside(name), &key));
    PilotPoolStatus {
        observed_generation: pool.metadata.generation,
        vms: tally.vms,
        booting: tally.in_phase("Pending") + tally.in_phase("Booting"),
        running: tally.in_phase("Running") + tally.in_phase("Draining"),
        draining: tally.in_phase("Draining"),
        drifted: drifted(round, &key, old),
        draining_by_drift: tally.drift,
        waiting_jobs,
        unmet,
        breakers: breakers.or_else(|| old.map(|old| old.breakers.clone())).unwrap_or_default(),
        life_seconds: life_seconds(facts, &key, old),
        conditions: conditions.finish(),
    }
}

/// What VMs of the pool came to; `None` as long as it is not known what was learnt before the operator started.
fn breakers(pass: &Pass<'_>, installation: &Key, pool: &Key) -> Option<Vec<Breaker>> {
    pass.state.lessons.with(|all| Some(restraints::breakers(all.get(installation)?.closed(&pool.name))))
}

/// How long the VMs live on average. What was not counted since the start is not nothing: the last number stays.
fn life_seconds(facts: Option<&Facts>, key: &Key, old: Option<&PilotPoolStatus>) -> Option<i64> {
    match facts.filter(|facts| facts.accounts.is_known()) {
        Some(facts) => facts.accounts.life(&key.name).map(whole),
        None => old.and_then(|old| old.life_seconds),
    }
}

/// Says whether a change is held back, and gives it. Before the first round, what was asked before the start is still asked.
fn frozen(round: &Round, key: &Key, conditions: &mut Conditions) -> bool {
    let held = round.frozen.get(&key.name);
    match held {
        Some(change) => {
            conditions.says(ConditionType::Frozen, Some(true), Reason::MassChange, &change.message(key));
        }
        None => {
            let text = "no change of a manifest is held back";
            conditions.says(ConditionType::Frozen, Some(false), Reason::NotFrozen, text);
        }
    }
    held.is_some()
}

/// How many VMs are not as the pool says any more. Where no round has looked, the last number stays.
fn drifted(round: Option<&Round>, key: &Key, old: Option<&PilotPoolStatus>) -> i64 {
    match round.and_then(|round| round.drifted.get(&key.name)) {
        Some(vms) => whole(*vms),
        None => old.map_or(0, |old| old.drifted),
    }
}

/// Jobs that wait for the pool: those that it serves, and those that fit it and get no VM.
fn waiting(round: &Round, key: &Key, lacking: &Lacking) -> i64 {
    let given = round.plan.assigned.get(&key.name).map_or(0, |assigned| assigned.all());
    whole(given.saturating_add(lacking.jobs))
}

fn ready(pool: &PilotPool, vms: i64, is_held: bool, conditions: &mut Conditions) {
    let drains = |text: &str, conditions: &mut Conditions| {
        let then = match is_held {
            true => "stay until a person agrees: see the condition Frozen",
            false => "go when their jobs are done",
        };
        let text = format!("{text}: no VM is made here, and the {vms} that exist {then}");
        conditions.says(ConditionType::Ready, Some(false), Reason::Draining, &text);
    };
    if deleting(pool) {
        drains("the pool was deleted", conditions);
    } else if pool.spec.scaling.max <= 0 {
        drains("spec.scaling.max is 0", conditions);
    } else {
        let needs = [ConditionType::Resolved, ConditionType::UserDataValid, ConditionType::CloudUsable];
        conditions.ready(&needs, "VMs are made here when jobs ask for them");
    }
}

fn demand_met(key: &Key, resolved: &Resolved, facts: Option<&Facts>, lacking: &Lacking, conditions: &mut Conditions) {
    let round = match demand::known(facts) {
        Ok(round) => round,
        Err(unknown) => return demand::met(conditions, Err(unknown), ""),
    };
    // Also where no job waits for them: a pool may keep VMs whatever waits.
    if let Some((reason, message)) = round.unmade.get(&key.name) {
        return conditions.says(ConditionType::DemandMet, Some(false), of_plan(*reason), message);
    }
    if lacking.jobs == 0 && (resolved.vos.is_empty() || resolved.clouds.is_empty()) {
        // The plan left the pool out: that no job is unmet in it says nothing.
        let text = "the pool names no VO or no cloud that exists and fits, so no jobs are given to it";
        return conditions.says(ConditionType::DemandMet, None, Reason::ReferenceMissing, text);
    }
    demand::met(conditions, Ok(lacking), "every job given to the pool has a VM or gets one");
}

/// Says whether any of the pool's clouds can be bought from, and what each of them lacks where none can.
fn clouds(pass: &Pass<'_>, key: &Key, resolved: &Resolved, conditions: &mut Conditions) {
    let usable = ConditionType::CloudUsable;
    if resolved.clouds.is_empty() {
        let text = "none of the clouds in spec.clouds exists and fits; the condition Resolved says why";
        return conditions.says(usable, Some(false), Reason::NoUsableCloud, text);
    }
    let facts = |cloud: &Arc<Cloud>| pass.cloud(&key.beside(&cloud.name_any()));
    let can = |cloud: &&Arc<Cloud>| facts(cloud).is_some_and(|f| f.usable(moment()));
    let open: Vec<String> = resolved.clouds.iter().filter(can).map(|c| c.name_any()).collect();
    if !open.is_empty() {
        return conditions.says(
            usable,
            Some(true),
            Reason::Usable,
            &format!("VMs can be bought from {}", open.join(", ")),
        );
    }
    let why = |cloud: &Arc<Cloud>| {
        let facts = facts(cloud)?;
        let trouble = facts.not_driven.clone().or_else(|| facts.refused.as_ref().map(Trouble::from))?;
        Some(format!("{}: {}", cloud.name_any(), trouble.message))
    };
    let all: Vec<String> = resolved.clouds.iter().filter_map(why).collect();
    if all.is_empty() {
        return conditions.says(usable, None, Reason::NotAsked, "no cloud of the pool has answered yet");
    }
    let text = format!("no cloud of the pool can be used; {}", all.join("; "));
    conditions.says(usable, Some(false), Reason::NoUsableCloud, &text);
}

/// Flavors of the pool that none of its clouds has, once all have said what they have.
fn flavors_nobody_has(pass: &Pass<'_>, pool: &PilotPool, resolved: &Resolved) -> Vec<String> {
    let key = Key::of(pool);
    // Offers that were read before the pool was there may lack its flavors.
    let named = |facts: &&cloud::Facts| {
        let shapes = &facts.wanted.shapes;
        shapes.is_empty() || shapes.iter().any(|shape| shape.flavors == pool.spec.machine.flavors)
    };
    let offers = |cloud: &Arc<Cloud>| {
        pass.cloud(&key.beside(&cloud.name_any())).filter(named).and_then(|facts| facts.offers.clone())
    };
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
