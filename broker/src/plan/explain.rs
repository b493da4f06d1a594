//! Why jobs get no VM: all that binds where they come nearest to one, and the one change that would start one more.

use std::{collections::HashMap, sync::Arc};

use super::{
    Bound, Change, Reason, Unmet,
    account::{Account, Lack},
    fill::Fill,
    life::Free,
    need::Need,
    snapshot::{Offering, Pool},
};
use crate::{demand::TaskQueue, experience::money::Unit};

/// As many pools of a VO are looked at, and offers of each.
const POOLS: usize = 16;
const OFFERS: usize = 6;

/// What binds one offer.
#[derive(Clone, Debug)]
struct Near {
    bounds: Vec<Bound>,
    change: Option<Change>,
}

/// Explanations; those that are equal are made once.
#[derive(Default)]
pub struct Explain {
    /// By VO, pool and need, where no hold names a class.
    near: HashMap<(usize, usize, Need), Arc<Near>>,
}

impl Explain {
    /// Why `jobs` jobs of the class with number `n` get no VM.
    pub fn explain(&mut self, fill: &Fill<'_, '_>, n: usize, jobs: u64) -> Unmet {
        let class = &fill.classes[n];
        let name = fill.snapshot.vos[class.vo].name.clone();
        let unmet = |pool: Option<&Pool>, bounds: Vec<Bound>, change| Unmet {
            vo: name.clone(),
            pool: pool.map(|p| p.name.clone()),
            jobs,
            reason: bounds.first().map_or(Reason::NoMatch, |b| b.reason),
            message: sentence(&bounds),
            limits: bounds,
            change,
        };
        let one = |reason, message: String| vec![Bound { reason, message }];
        let pools = &fill.pools_of[class.vo];
        let Some(&closest) = pools.iter().find(|pool| fill.may_run(n, **pool)).or(pools.first()) else {
            let message = format!("no pool serves VO {name}: name it in spec.vos of a PilotPool");
            return unmet(None, one(Reason::NoPool, message), None);
        };
        let mut best: Option<(usize, Arc<Near>)> = None;
        let mut looked = 0;
        for &pool in fill.pools_of[class.vo].iter().filter(|pool| fill.may_run(n, **pool)) {
            if looked == POOLS {
                break;
            }
            let Some(near) = self.near(fill, n, pool) else { continue };
            looked += 1;
            let reasons = |near: &Near| distance(near.bounds.iter().map(|bound| bound.reason));
            if best.as_ref().is_none_or(|(_, b)| reasons(&near) < reasons(b)) {
                best = Some((pool, near));
            }
        }
        if let Some((pool, near)) = best {
            return unmet(Some(&fill.snapshot.pools[pool]), near.bounds.clone(), near.change.clone());
        }
        let pool = &fill.snapshot.pools[closest];
        if fill.market.offers_of(closest).is_empty() {
            let message = format!("no cloud of pool {} can be used and has a flavor that the pool takes", pool.name);
            return unmet(Some(pool), one(Reason::NoOffering, message), None);
        }
        let message = format!("no pool takes them: {}", obstacle(class.queue, pool));
        unmet(None, one(Reason::NoMatch, message), None)
    }

    /// What binds the offer of a pool that comes nearest; `None`: none of its offers fits.
    fn near(&mut self, fill: &Fill<'_, '_>, n: usize, pool: usize) -> Option<Arc<Near>> {
        let class = &fill.classes[n];
        let place = (class.vo, pool, class.need);
        if let Some(near) = self.near.get(&place) {
            return Some(near.clone());
        }
        let mut best: Option<Near> = None;
        let (mut looked, mut general) = (0, true);
        for &number in fill.market.offers_of(pool) {
            let offer = fill.market.offer(number);
            let (full, cpu_time) = (Free::all(offer.offering), fill.snapshot.pools[pool].cpu_time);
            if !fill.index.fits(n, class, fill.says_of[pool], full, cpu_time) {
                continue;
            }
            looked += 1;
            general &= !fill.books.names_a_class(number);
            let thought = fill.thought(pool, class.vo, Some(n), number);
            let cloud = &fill.snapshot.clouds[offer.cloud].name;
            let binding = fill.books.binding(thought);
            let far = distance(binding.iter().map(|(n, _)| fill.books.account(*n).reason));
            if best.as_ref().is_none_or(|b| far < distance(b.bounds.iter().map(|bound| bound.reason))) {
                let said = |(n, lack): &(usize, Lack)| bound(fill.books.account(*n), *lack, offer.offering, cloud);
                let change = match binding[..] {
                    [(n, lack)] => change(fill.books.account(n), lack, offer.offering, cloud),
                    _ => None,
                };
                best = Some(Near { bounds: binding.iter().map(said).collect(), change });
            }
            if looked == OFFERS {
                break;
            }
        }
        let near = Arc::new(best?);
        if general {
            self.near.insert(place, near.clone());
        }
        Some(near)
    }
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
        _ => format!(
            "{whose} leaves no room: it allows {limit} {}; {by} more would start one more {flavor} on {cloud}",
            account.word(what)
        ),
    };
    Bound { reason: account.reason, message }
}

fn change(account: &Account, lack: Lack, offering: &Offering, cloud: &str) -> Option<Change> {
    let may = !is_hold(account) && !matches!(account.reason, Reason::Pace | Reason::NoPrice);
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
