//! Why jobs get no VM: all that binds where they come nearest to one, and the one change that would start one more.

use super::{
    Bound, Change, Reason, Unmet,
    account::{Account, Lack},
    fill::Fill,
    snapshot::{Offering, Pool},
};
use crate::{demand::TaskQueue, experience::money::Unit};

/// The most pools of a VO that are looked at, and the most offers of each.
const POOLS: usize = 16;
const OFFERS: usize = 6;

/// Why `jobs` jobs of the class with number `n` get no VM, after VMs were made for all that had room.
pub fn explain(fill: &mut Fill<'_, '_>, n: usize, jobs: u64) -> Unmet {
    let class = &fill.classes[n];
    let vo = &fill.snapshot.vos[class.vo].name;
    let unmet = |pool: Option<&Pool>, limits: Vec<Bound>, change| Unmet {
        vo: vo.clone(),
        pool: pool.map(|p| p.name.clone()),
        jobs,
        reason: limits.first().map_or(Reason::NoMatch, |b| b.reason),
        message: sentence(&limits),
        limits,
        change,
    };
    let one = |reason, message: String| vec![Bound { reason, message }];
    let pools = &fill.pools_of[class.vo];
    let suited = if fill.index.count(n, &fill.all_say[class.vo]) == 0 { &[][..] } else { pools };
    let Some(&closest) = suited.iter().find(|pool| fill.may_run(n, **pool)).or(pools.first()) else {
        let message = format!("no pool serves VO {vo}: name it in spec.vos of a PilotPool");
        return unmet(None, one(Reason::NoPool, message), None);
    };
    if !suited.is_empty()
        && let Some((pool, number)) = nearest(fill, n)
    {
        let binding: Vec<_> = fill.books.binding(fill.thought(pool, class.vo, Some(n), number)).collect();
        let offer = fill.market.offer(number);
        let cloud = &fill.snapshot.clouds[offer.cloud].name;
        let bounds = binding.iter().map(|(n, lack)| bound(fill.books.account(*n), *lack, offer.offering, cloud));
        let change = match binding[..] {
            [(n, lack)] => change(fill.books.account(n), lack, offer.offering, cloud),
            _ => None,
        };
        return unmet(Some(&fill.snapshot.pools[pool]), bounds.collect(), change);
    }
    let pool = &fill.snapshot.pools[closest];
    if fill.market.has_nothing(fill.market.catalogue_of(closest)) {
        let message = format!("no cloud of pool {} can be used and has a flavor that the pool takes", pool.name);
        return unmet(Some(pool), one(Reason::NoOffering, message), None);
    }
    let message = format!("no pool takes them: {}", obstacle(class.queue, pool));
    unmet(None, one(Reason::NoMatch, message), None)
}

/// The pool and the number of the offer that come nearest to a VM; `None`: no pool could ever run the jobs.
fn nearest(fill: &mut Fill<'_, '_>, n: usize) -> Option<(usize, u32)> {
    let (vo, need) = (fill.classes[n].vo, fill.need_of(Some(n)));
    let mut best: Option<((usize, bool), (usize, u32))> = None;
    let (mut looked, mut seen, got_none, is_done) = (0, Vec::new(), fill.got_none(n), fill.books.is_done());
    for i in 0..fill.pools_of[vo].len() {
        let pool = fill.pools_of[vo][i];
        if looked == POOLS {
            break;
        }
        // Where the plan made all that it may make, the first pool with room says enough: the next plan begins anew.
        let is_passed = || is_done && best.is_some() && fill.books.is_full(pool);
        if !fill.may_run(n, pool) || is_passed() {
            continue;
        }
        let offers = fill.market.fitting(fill.market.catalogue_of(pool), need, OFFERS);
        looked += usize::from(!offers.is_empty());
        // Of pools that are alike the first is as near as the others, but where some have had VMs for these jobs.
        let alike = (fill.aisles.alike(pool), fill.books.is_full(pool));
        if got_none && seen.contains(&alike) {
            continue;
        }
        seen.push(alike);
        for &number in offers.iter() {
            let binding = fill.books.binding(fill.thought(pool, vo, Some(n), number));
            let far = distance(binding.map(|(n, _)| fill.books.account(n).reason));
            if best.is_none_or(|(least, _)| far < least) {
                best = Some((far, (pool, number)));
            }
            // Nothing can be nearer.
            if far == (0, false)
                || far.0 == 0 && !fill.books.near.anyone_waits()
                || is_done && !fill.books.is_full(pool)
            {
                return Some((pool, number));
            }
        }
    }
    best.map(|(_, place)| place)
}

/// How far a VM is that these things bind: the fewer, the nearer, and where jobs merely wait for others to show something it is nearest.
/// Jobs that have room somewhere and get no VM wait for something cheaper, which is what is to be said.
fn distance(bounds: impl Iterator<Item = Reason>) -> (usize, bool) {
    let (mut count, mut waits) = (0_usize, true);
    for reason in bounds {
        count += 1;
        waits &= reason == Reason::Ramp;
    }
    (count.checked_sub(1).unwrap_or(usize::MAX), !waits)
}

/// All of the bounds in one text.
fn sentence(bounds: &[Bound]) -> String {
    let mut texts = bounds.iter().map(|b| b.message.as_str());
    let first = texts.next().unwrap_or("the next round makes a VM for them").to_owned();
    texts.fold(first, |all, text| format!("{all}; and {text}"))
}

fn is_hold(account: &Account) -> bool {
    matches!(
        account.reason,
        Reason::NoCapacity | Reason::VmsFail | Reason::Ramp | Reason::NeverMatched | Reason::JobsDie | Reason::Paused
    )
}

fn bound(account: &Account, lack: Lack, offering: &Offering, cloud: &str) -> Bound {
    let Lack { what, limit, by } = lack;
    let (whose, flavor) = (&account.whose, &offering.flavor);
    let message = match account.reason {
        _ if is_hold(account) => whose.clone(),
        Reason::Downtime => {
            format!(
                "{whose}; {by} more {} that may stay (spec.keep) would start one more {flavor} on {cloud}",
                account.word(what)
            )
        }
        Reason::CredentialEnds => format!("{whose}: renew it, or add another cloud to the pool"),
        Reason::Pace => format!("one round makes {limit} VMs at most: the next one goes on"),
        Reason::Budget => {
            let said = |amount| account.unit.as_ref().map_or_else(String::new, |unit| unit.amount(amount));
            format!(
                "{whose} leaves no room: {} are left, and one more {flavor} on {cloud} needs {} more",
                said(limit),
                said(by)
            )
        }
        Reason::NoPrice => {
            let currency = match &account.unit {
                Some(Unit::Money(currency)) => currency,
                Some(Unit::CoreHours) | None => "",
            };
            format!(
                "{whose} counts in {currency}, in which no price of {flavor} on {cloud} is known: name it in spec.prices of the Cloud"
            )
        }
        _ => {
            let word = account.word(what);
            let allowed = if limit == 1 { word.trim_end_matches('s') } else { &word };
            format!(
                "{whose} leaves no room: it allows {limit} {allowed}; {by} more would start one more {flavor} on {cloud}"
            )
        }
    };
    Bound { reason: account.reason, message }
}

fn change(account: &Account, lack: Lack, offering: &Offering, cloud: &str) -> Option<Change> {
    let may = !is_hold(account) && !matches!(account.reason, Reason::Pace | Reason::NoPrice | Reason::CredentialEnds);
    may.then(|| Change {
        whose: account.whose.clone(),
        reason: account.reason,
        what: account.word(lack.what),
        by: lack.by,
        starts: format!("one {} on {cloud}", offering.flavor),
    })
}

/// Why jobs of `queue` do not fit `pool`, as a part of a sentence that has named the jobs: the first obstacle that is found.
fn obstacle(queue: &TaskQueue, pool: &Pool) -> String {
    let mut missing: Vec<&str> = queue.tags.iter().filter(|t| !pool.tags.contains(t)).map(String::as_str).collect();
    missing.retain(|tag| !super::need::is_of_size(tag));
    let Pool { name, site, .. } = pool;
    if queue.cpu_time > pool.cpu_time {
        format!(
            "they ask for {} s of CPU time, and pool {name} offers {} s (spec.matching.maxCpuTime)",
            queue.cpu_time, pool.cpu_time
        )
    } else if !missing.is_empty() {
        format!(
            "they ask for the tags {}, and pool {name} does not offer them (spec.matching.tags)",
            missing.join(", ")
        )
    } else if pool.required_tags.iter().any(|t| !queue.tags.contains(t)) {
        format!(
            "pool {name} takes only jobs with the tags {} (spec.matching.requiredTags)",
            pool.required_tags.join(", ")
        )
    } else if !queue.sites.is_empty() && !queue.sites.contains(site) {
        format!("they may run only at {}, and pool {name} is at {site}", queue.sites.join(", "))
    } else if queue.banned_sites.contains(site) {
        format!("they ban the site {site} of pool {name}")
    } else {
        format!(
            "no flavor of pool {name} has the cores ({}) and memory ({} MB) that they ask for, or they ask for another platform or CE",
            queue.tags.iter().find(|t| t.ends_with("Processors")).map_or("1", String::as_str),
            queue.min_ram_mb
        )
    }
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
