//! What the last rounds decided, and why jobs wait, as JSON. Bounded: of long lists the first entries are told, and how many were left out.
//!
//! Only the replica that leads makes rounds; another tells what it decided when it led, if it ever did.

use std::{collections::BTreeMap, sync::Arc};

use broker::plan::{Drain, Launch, Plan, Surplus, Unmet};
use serde_json::{Value, json};

use crate::{
    api::watch::{Kind, Objects},
    conditions::clip,
    context::State,
    known::installation::{Facts, Round},
    names::Key,
};

/// The most entries of one list in an answer, over all installations.
const MOST: usize = 500;
/// The most installations of which an answer tells.
const MOST_INSTALLATIONS: usize = 100;
/// A sentence is cut to this many characters: it quotes tags and sites of jobs, which users write.
const LONGEST: usize = 300;

/// What is asked: names of objects, plain or as `namespace/name`. What is absent is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub installation: Option<String>,
    pub vo: Option<String>,
    pub pool: Option<String>,
}

impl Asked {
    /// Reads the part of an address after `?`. An error is a sentence.
    pub fn read(query: &str, words: &[&str]) -> Result<Self, String> {
        let mut asked = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (word, value) = pair.split_once('=').unwrap_or((pair, ""));
            let known = words.contains(&word) && !value.is_empty();
            let place = match word {
                "installation" if known => &mut asked.installation,
                "vo" if known => &mut asked.vo,
                "pool" if known => &mut asked.pool,
                _ => return Err(format!("ask with {}: each with the name of an object", words.join("=, ") + "=")),
            };
            *place = Some(value.replace("%2F", "/").replace("%2f", "/"));
        }
        Ok(asked)
    }
}

/// Whether an object of this namespace is the one that is asked for.
fn is_asked(asked: Option<&String>, namespace: &str, name: &str) -> bool {
    asked.is_none_or(|asked| match asked.split_once('/') {
        Some((of, called)) => of == namespace && called == name,
        None => asked == name,
    })
}

/// The installations that are asked for, with what is known of them; `left_out` counts the others.
fn installations(state: &State, asked: &Asked) -> (Vec<(Key, Facts)>, usize) {
    let all = state.stores.installations.all();
    let mut keys: Vec<Key> = all.iter().map(|object| Key::of(object.as_ref())).collect();
    keys.retain(|key| is_asked(asked.installation.as_ref(), &key.namespace, &key.name));
    keys.sort();
    let left_out = keys.len().saturating_sub(MOST_INSTALLATIONS);
    keys.truncate(MOST_INSTALLATIONS);
    let facts = |key: Key| {
        let facts = state.installations.get(&key).facts();
        (key, facts)
    };
    (keys.into_iter().map(facts).collect(), left_out)
}

/// What the last round of each installation decided.
pub fn plan(state: &State, asked: &Asked) -> Value {
    let (all, left_out) = installations(state, asked);
    let each = each(&all);
    let told = all.iter().map(|(key, facts)| match facts.round.as_deref() {
        None => json!({"installation": key.to_string(), "planned": false}),
        Some(round) => decided(key, round, each),
    });
    json!({"installations": told.collect::<Vec<_>>(), "installationsLeftOut": left_out})
}

fn decided(key: &Key, round: &Round, each: usize) -> Value {
    let Plan { launches, surplus, drains, unneeded, unmet, assigned, waiting, unclaimed } = &round.plan;
    let vms = launches.len();
    let (launches, launches_left_out) = most(alike(launches), each);
    let (given_back, given_back_left_out) = most(surplus.iter().map(give_back).collect(), each);
    let (drains, drains_left_out) = most(drains.iter().map(drain).collect(), each);
    let (unmet, unmet_left_out) = most(unmet.iter().map(why).collect(), each);
    let unmade = round.unmade.iter().map(|(pool, (_, text))| (pool.clone(), clip(text, LONGEST))).collect();
    let kept = round.kept.iter().map(|(pool, text)| (pool.clone(), clip(text, LONGEST))).collect();
    let held_back =
        round.frozen.iter().map(|(pool, change)| (pool.clone(), change.message(&key.beside(pool)))).collect();
    json!({
        "installation": key.to_string(),
        "planned": true,
        "read": round.at.to_string(),
        "taskQueues": round.queues,
        "waitingJobs": round.jobs,
        "waiting": first(waiting, each),
        "unclaimed": first(unclaimed, each),
        "assigned": first(assigned, each),
        "vmsToMake": vms,
        "launches": launches,
        "launchesLeftOut": launches_left_out,
        "giveBacks": given_back,
        "giveBacksLeftOut": given_back_left_out,
        "drains": drains,
        "drainsLeftOut": drains_left_out,
        "vmsThatBootForNobody": unneeded.len(),
        "unmet": unmet,
        "unmetLeftOut": unmet_left_out,
        "notMade": first(&unmade, each),
        "notGivenBack": first(&kept, each),
        "heldBack": first(&held_back, each),
    })
}

/// Why jobs of a VO or a pool wait. `None`: no object is called so.
pub fn explain(state: &State, asked: &Asked) -> Option<Value> {
    fn keys<K: Kind>(objects: &Objects<K>) -> Vec<Key> {
        objects.all().iter().map(|object| Key::of(object.as_ref())).collect()
    }
    let among = |asked: &Option<String>, all: Vec<Key>| {
        asked.is_none() || all.iter().any(|key| is_asked(asked.as_ref(), &key.namespace, &key.name))
    };
    let exist = among(&asked.vo, keys(&state.stores.vos)) && among(&asked.pool, keys(&state.stores.pools));
    exist.then(|| {
        let (all, left_out) = installations(state, asked);
        let told: Vec<Value> = all.iter().filter_map(|(key, facts)| explained(key, facts, asked, each(&all))).collect();
        json!({"installations": told, "installationsLeftOut": left_out})
    })
}

fn explained(key: &Key, facts: &Facts, asked: &Asked, each: usize) -> Option<Value> {
    let round = facts.round.as_deref()?;
    let is_vo = |name: &str| is_asked(asked.vo.as_ref(), &key.namespace, name);
    let is_pool = |name: &str| is_asked(asked.pool.as_ref(), &key.namespace, name);
    let ours = |unmet: &&Unmet| is_vo(&unmet.vo) && unmet.pool.as_deref().map_or(asked.pool.is_none(), is_pool);
    let unmet: Vec<&Unmet> = round.plan.unmet.iter().filter(ours).collect();
    let jobs = unmet.iter().fold(0_u64, |sum, unmet| sum.saturating_add(unmet.jobs));
    let (entries, left_out) = most(unmet.into_iter().map(why).collect(), each);
    let waiting = round.plan.waiting.iter().filter(|(vo, _)| is_vo(vo)).map(|(vo, n)| (vo.clone(), *n)).collect();
    let assigned = round.plan.assigned.iter().filter(|(pool, _)| is_pool(pool)).map(|(pool, n)| (pool.clone(), *n));
    Some(json!({
        "installation": key.to_string(),
        "read": round.at.to_string(),
        "waiting": first(&waiting, each),
        "assigned": first(&assigned.collect(), each),
        "unmetJobs": jobs,
        "unmet": entries,
        "unmetLeftOut": left_out,
    }))
}

/// One entry for all launches that are alike, with their number.
fn alike(launches: &[Launch]) -> Vec<Value> {
    type Kind<'a> = (&'a str, &'a str, &'a str, &'a str, &'a Option<String>, &'a Arc<str>);
    let mut all: BTreeMap<Kind<'_>, (u64, u64)> = BTreeMap::new();
    for launch in launches {
        let (vo, offering) = (&*launch.vo, &launch.offering);
        let kind = (&*launch.pool, vo, &*launch.cloud, offering.flavor.as_str(), &offering.zone, &launch.reason);
        let (vms, jobs) = all.entry(kind).or_default();
        (*vms, *jobs) = (*vms + 1, jobs.saturating_add(launch.jobs));
    }
    let entry = |((pool, vo, cloud, flavor, zone, reason), (vms, jobs)): (Kind<'_>, (u64, u64))| json!({"pool": pool, "vo": vo, "cloud": cloud, "flavor": flavor, "zone": zone, "vms": vms, "jobs": jobs, "reason": clip(reason, LONGEST)});
    all.into_iter().map(entry).collect()
}

fn give_back(surplus: &Surplus) -> Value {
    json!({"vm": surplus.vm, "reason": clip(&surplus.reason, LONGEST)})
}

fn drain(drain: &Drain) -> Value {
    json!({"vm": drain.vm, "why": drain.why, "reason": clip(&drain.reason, LONGEST)})
}

fn why(unmet: &Unmet) -> Value {
    let limit = |bound: &broker::plan::Bound| json!({"reason": bound.reason, "message": clip(&bound.message, LONGEST)});
    json!({
        "vo": unmet.vo,
        "pool": unmet.pool,
        "jobs": unmet.jobs,
        "reason": unmet.reason,
        "message": clip(&unmet.message, LONGEST),
        "limits": unmet.limits.iter().take(16).map(limit).collect::<Vec<_>>(),
        "change": unmet.change,
    })
}

/// The most entries of one list that an answer has for each of these.
fn each(installations: &[(Key, Facts)]) -> usize {
    MOST / installations.len().max(1)
}

/// The first of a list, and how many were left out.
fn most(mut list: Vec<Value>, most: usize) -> (Vec<Value>, usize) {
    let left_out = list.len().saturating_sub(most);
    list.truncate(most);
    (list, left_out)
}

/// The first `most` entries.
fn first<V: Clone>(map: &BTreeMap<String, V>, most: usize) -> BTreeMap<String, V> {
    map.iter().take(most).map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
#[path = "plans_tests.rs"]
mod tests;
