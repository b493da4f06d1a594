//! The launches in words.

use std::{collections::HashMap, sync::Arc};

use super::{
    Launch, Offering,
    account::Number,
    fill::{Draft, Fill, Why},
    need::Pin,
    zones,
};

/// The drafts in words; afterwards there are none.
pub fn launches(fill: &mut Fill<'_, '_>) -> Vec<Launch> {
    let drafts = std::mem::take(&mut fill.drafts);
    let elsewhere = zones::others(fill, &drafts);
    let shared = |name: &String| -> Arc<str> { Arc::from(name.as_str()) };
    let pools: Vec<Arc<str>> = fill.snapshot.pools.iter().map(|p| shared(&p.name)).collect();
    let vos: Vec<Arc<str>> = fill.snapshot.vos.iter().map(|v| shared(&v.name)).collect();
    let clouds: Vec<Arc<str>> = fill.snapshot.clouds.iter().map(|c| shared(&c.name)).collect();
    let mut wanted: Vec<u64> = vec![0; fill.classes.len()];
    for draft in &drafts {
        if let (Why::Class(n), Some(lease)) = (draft.why, draft.lease.first()) {
            wanted[n] = wanted[n].saturating_add(lease.jobs);
        }
    }
    let mut of_classes: Vec<Option<Arc<str>>> = vec![None; fill.classes.len()];
    let mut others: HashMap<(usize, Why, Option<Number>), Arc<str>> = HashMap::new();
    let mut pins: HashMap<Pin, Arc<str>> = HashMap::new();
    let launch = |(draft, zones): (Draft, Vec<Arc<Offering>>)| {
        let offer = fill.market.offer(draft.offer);
        let reason = match draft.why {
            Why::Class(n) if draft.lent.is_none() => {
                of_classes[n].get_or_insert_with(|| Arc::from(sentence(fill, &draft, wanted[n])))
            }
            why => {
                let key = (if matches!(why, Why::Class(_)) { 0 } else { draft.pool }, why, draft.lent);
                others.entry(key).or_insert_with(|| {
                    let jobs = if let Why::Class(n) = why { wanted[n] } else { 0 };
                    Arc::from(sentence(fill, &draft, jobs) + &lent(fill, &draft))
                })
            }
        };
        let reason = reason.clone();
        Launch {
            pool: pools[draft.pool].clone(),
            cloud: clouds[offer.cloud].clone(),
            vo: vos[draft.vo].clone(),
            offering: offer.offering.clone(),
            others: zones,
            jobs: draft.lease.iter().fold(0, |all, lease| lease.jobs.saturating_add(all)),
            lease: draft.lease,
            cut: draft.cut,
            pin: draft.pin.map(|pin| pins.entry(pin).or_insert_with(|| Arc::from(pin.to_string())).clone()),
            reason,
        }
    };
    drafts.into_iter().zip(elsewhere).map(launch).collect()
}

/// Why a VM is made for a while.
fn lent(fill: &Fill<'_, '_>, draft: &Draft) -> String {
    let Some(account) = draft.lent else { return String::new() };
    let (vo, whose) = (&fill.snapshot.vos[draft.vo].name, &fill.books.account(account).whose);
    format!("; it is lent: {vo} has its part of what {whose} allows, so this VM takes jobs for a while only")
}

fn vms(n: u64) -> String {
    if n == 1 { "1 VM".to_owned() } else { format!("{n} VMs") }
}

/// Why a VM is made.
fn sentence(fill: &Fill<'_, '_>, draft: &Draft, jobs: u64) -> String {
    let pool = &fill.snapshot.pools[draft.pool];
    match draft.why {
        Why::Min => format!("pool {} keeps {} whatever waits (spec.scaling.min)", pool.name, vms(pool.min)),
        Why::Spare => format!("pool {} keeps {} without work (spec.scaling.spare)", pool.name, vms(pool.spare)),
        Why::Class(n) => {
            let tags = &fill.classes[n].key.tags;
            let with = if tags.is_empty() { String::new() } else { format!(" with the tags {}", tags.join(", ")) };
            let vo = &fill.snapshot.vos[draft.vo].name;
            let (jobs, wait, them) =
                if jobs == 1 { ("1 job".to_owned(), "waits", "it") } else { (format!("{jobs} jobs"), "wait", "them") };
            format!("{jobs} of {vo}{with} {wait} and no VM that runs or boots has room for {them}")
        }
    }
}
