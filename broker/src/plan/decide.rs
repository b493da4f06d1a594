//! The decision. First jobs are given to VMs that are there, then new VMs are made for the rest within all limits, then what is still
//! left is explained, and what nobody needs is given back.

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use super::{
    Assigned, Plan,
    bits::Bits,
    books::Books,
    class::{Class, Demand},
    drain::over,
    explain::explain,
    fill::Fill,
    index::{Index, Numbers},
    job_class::JobClass,
    keep::{keep, keeps},
    lane::Pace,
    life::Life,
    ours::ours,
    share::Turns,
    snapshot::{LiveVm, Pool, Says, Snapshot},
    supply::{Given, Slots},
    surplus::Returns,
    there::{there, unused},
    words::launches,
};

/// Seconds that a pilot takes to fetch one more job where it was not measured: DIRAC's `PollingTime` (`Agent/JobAgent.py`).
const FETCH: u64 = 20;

/// Plans one round. Pure: the same snapshot gives the same plan, whatever the order of its queues and VMs.
///
/// 1. Jobs that a VM was bought for have the first claim on it until its pilot had its first job.
/// 2. What is free of VMs that run or boot goes to the classes of jobs, those first that fit the fewest pools.
/// 3. For what is left VMs are made: turn by turn for the VO that has least for its share (`share.rs`), from the offering that costs least
///    for each core that is used (`market.rs`), within every limit (`books.rs`). What a VO has beyond its part of a limit is lent (`lent.rs`).
/// 4. Pools that borrow may then have more than their maximum, and pools keep the VMs that their manifests ask for.
/// 5. What got nothing is explained (`explain.rs`); what is beyond a limit or not needed is given back (`surplus.rs`)
///    or drains (`drain.rs`).
pub fn plan(snapshot: &Snapshot) -> Plan {
    let demand = Demand::of(snapshot);
    let mut numbers = Numbers::default();
    let says_of: Vec<usize> = snapshot.pools.iter().map(|pool| numbers.of(&Arc::new(says(pool)))).collect();
    let ours = ours(snapshot, &demand.classes, &mut numbers);
    let index = Index::new(numbers, &demand.classes);
    let books = Books::new(snapshot, &ours);
    let over = over(snapshot, &books, &ours);
    let mut fill = Fill::new(snapshot, &demand.classes, index, books, says_of);
    fill.paces = paces(snapshot, &demand.classes, &fill);

    let mut given: Vec<Given> = vec![Given::default(); snapshot.pools.len()];
    let mut left: Vec<u64> = demand.classes.iter().map(|c| c.jobs).collect();
    let (mut supply, booting) = there(&ours, &fill, &mut left, &mut given);
    let order = in_turn(&demand.classes, &fill);
    let there: Vec<Bits> = (0..snapshot.vos.len()).map(|vo| fill.index.set(supply.says(vo))).collect();
    for &n in &order {
        let class = &demand.classes[n];
        if fill.index.count(n, &there[class.vo]) == 0 {
            continue;
        }
        let fit = |slots: &Slots| fill.index.fits(n, class, slots.says, slots.full, slots.cpu_time);
        for (pool, served) in supply.serve(class.vo, &class.need, left[n], fill.paces[n], fit) {
            left[n] -= served.all();
            add(&mut given[pool], served);
        }
    }

    if left.iter().any(|jobs| *jobs > 0) || keeps(snapshot) {
        fill.divide(&ours);
    }
    let mut turns = Turns::new(snapshot, &ours, &demand.classes, &left, &order);
    fill.fill(&mut turns, &mut left);
    if left.iter().any(|jobs| *jobs > 0) && fill.lend() {
        turns.begin(&demand.classes, &left);
        fill.fill(&mut turns, &mut left);
    }
    let (unused, names) = unused(&mut supply, &booting, snapshot.pools.len());
    keep(snapshot, &ours, &unused, &mut fill, &mut turns);

    let lacking: Vec<(usize, u64)> = left.iter().copied().enumerate().filter(|(_, jobs)| *jobs > 0).collect();
    let unmet = lacking.into_iter().map(|(n, jobs)| explain(&mut fill, n, jobs)).collect();
    let assigned = snapshot.pools.iter().zip(given).zip(&fill.placed).map(|((pool, given), new)| {
        (pool.name.clone(), Assigned { running: given.running, booting: given.booting, new: *new })
    });
    let returns = Returns::of(snapshot, over, &ours, &names);
    let mut unneeded: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    unneeded.sort_unstable();
    Plan {
        assigned: assigned.filter(|(_, a)| a.all() > 0).collect(),
        launches: launches(&mut fill),
        surplus: returns.surplus,
        drains: returns.drains,
        unneeded,
        unmet,
        waiting: snapshot.vos.iter().zip(&demand.waiting).map(|(vo, jobs)| (vo.name.clone(), *jobs)).collect(),
        unclaimed: demand.unclaimed,
    }
}

fn add(to: &mut Given, more: Given) {
    to.running = to.running.saturating_add(more.running);
    to.booting = to.booting.saturating_add(more.booting);
}

/// What the pilots of new VMs of a pool say.
pub fn says(pool: &Pool) -> Says {
    let Pool { site, ce, platform, tags, required_tags, .. } = pool;
    Says {
        site: site.clone(),
        ce: ce.clone(),
        platform: platform.clone(),
        tags: tags.clone(),
        required_tags: required_tags.clone(),
    }
}

/// The classes in the order in which they are given what is there: those that fit the fewest pools first, then those that need most.
fn in_turn(classes: &[Class<'_>], fill: &Fill<'_, '_>) -> Vec<usize> {
    let mut order: Vec<usize> = (0..classes.len()).collect();
    order.sort_by_cached_key(|&n| {
        let Class { vo, need, queue, .. } = &classes[n];
        let most = Reverse((need.gpus, need.whole, need.cores, need.ram_mib, queue.cpu_time));
        (fill.index.count(n, &fill.all_say[*vo]), most, n)
    });
    order
}

/// How time counts for each class: where it is known how long its jobs run, those that VMs will have begun before a new VM could are not
/// bought for.
fn paces(snapshot: &Snapshot, classes: &[Class<'_>], fill: &Fill<'_, '_>) -> Vec<Pace> {
    let becomes_free = |vm: &LiveVm| matches!(&vm.life, Life::Running { soon, .. } if !soon.is_empty());
    if snapshot.run_times.is_empty() && !snapshot.vms.iter().any(becomes_free) {
        return vec![Pace::default(); classes.len()];
    }
    let runs: HashMap<(&str, &JobClass), u64> =
        snapshot.run_times.iter().map(|r| ((r.vo.as_str(), &r.class), r.seconds)).collect();
    let of_pool: Vec<(u64, u64)> = (0..snapshot.pools.len())
        .map(|pool| {
            let offers = || fill.market.offers_of(pool).map(|n| &fill.market.offer(n).offering.measured);
            let late = offers().filter_map(|m| m.late).min().unwrap_or(0);
            let fetch = offers().filter_map(|m| m.fetch).min().unwrap_or(FETCH);
            (late.max(snapshot.pools[pool].max_wait.unwrap_or(0)), fetch)
        })
        .collect();
    let pace = |(n, class): (usize, &Class<'_>)| {
        let runs = runs.get(&(snapshot.vos[class.vo].name.as_str(), &*class.key)).map_or(0, |runs| (*runs).max(1));
        let pools = fill.pools_of[class.vo].iter().filter(|p| fill.index.may_fit(n, fill.says_of[**p]));
        let (horizon, fetch) = pools.map(|p| of_pool[*p]).min().unwrap_or_default();
        Pace { runs, horizon, fetch: fetch.max(1) }
    };
    classes.iter().enumerate().map(pace).collect()
}
