//! The decision. First jobs are given to VMs that are there, then new VMs are made for the rest within all limits, then what is still
//! left is explained, and what nobody needs is given back.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use super::{
    Assigned, Launch, Plan,
    books::Books,
    class::{Class, Demand},
    explain::Explain,
    fill::{Draft, Fill, Keeps},
    index::{Index, Numbers},
    job_class::JobClass,
    lane::{Lane, Pace},
    life::{Free, Life},
    share::Turns,
    snapshot::{Lease, LiveVm, Pool, Says, Snapshot, places},
    supply::{Given, Kind, Slots, Supply},
    surplus::{Unused, surplus},
};

/// Seconds that a pilot takes to fetch one more job where it was not measured: DIRAC's `PollingTime` (`Agent/JobAgent.py`).
const FETCH: u64 = 20;

/// Plans one round. Pure: the same snapshot gives the same plan, whatever the order of its queues and VMs.
///
/// 1. Jobs that a VM was bought for have the first claim on it until its pilot had its first job.
/// 2. What is free of VMs that run or boot goes to the classes of jobs, those first that fit the fewest pools.
/// 3. For what is left VMs are made: turn by turn for the VO that has least for its share (`share.rs`), from the offering that costs least
///    for each core that is used (`market.rs`), within every limit (`books.rs`).
/// 4. Pools that borrow may then have more than their maximum, and pools keep the VMs that their manifests ask for.
/// 5. What got nothing is explained (`explain.rs`); what is beyond a limit and does not work yet is given back (`surplus.rs`).
pub fn plan(snapshot: &Snapshot) -> Plan {
    let demand = Demand::of(snapshot);
    let mut numbers = Numbers::default();
    let says_of: Vec<usize> = snapshot.pools.iter().map(|pool| numbers.of(&Arc::new(says(pool)))).collect();
    let said: Vec<usize> = snapshot.vms.iter().map(|vm| numbers.of(&vm.says)).collect();
    let index = Index::new(numbers, &demand.classes);
    let mut fill = Fill::new(snapshot, &demand.classes, index, Books::new(snapshot), says_of);
    fill.paces = paces(snapshot, &demand.classes, &fill);

    let mut given: Vec<Given> = vec![Given::default(); snapshot.pools.len()];
    let mut left: Vec<u64> = demand.classes.iter().map(|c| c.jobs).collect();
    let (mut supply, booting) = there(snapshot, &demand.classes, &fill, &said, &mut left, &mut given);
    for n in in_turn(&demand.classes, &fill) {
        let class = &demand.classes[n];
        for slots in supply.of(class.vo) {
            if left[n] == 0 {
                break;
            }
            if slots.may_take(&class.need) && fill.index.fits(n, class, slots.says, slots.full, slots.cpu_time) {
                let served = slots.serve(&class.need, left[n], fill.paces[n]);
                left[n] -= served.all();
                add(&mut given[slots.pool], served);
            }
        }
    }

    let mut turns = Turns::new(snapshot, &demand.classes, &left);
    fill.fill(&mut turns, &mut left);
    if left.iter().any(|jobs| *jobs > 0) && fill.lend() {
        turns.begin(&demand.classes, &left);
        fill.fill(&mut turns, &mut left);
    }
    let unused = unused(&mut supply, &booting);
    keep(snapshot, &mut fill, &mut turns, &unused);

    let mut explain = Explain::default();
    let lacking: Vec<(usize, u64)> = left.iter().copied().enumerate().filter(|(_, jobs)| *jobs > 0).collect();
    let unmet = lacking.into_iter().map(|(n, jobs)| explain.explain(&fill, n, jobs)).collect();
    let assigned = snapshot.pools.iter().zip(given).zip(&fill.placed).map(|((pool, given), new)| {
        (pool.name.clone(), Assigned { running: given.running, booting: given.booting, new: *new })
    });
    Plan {
        assigned: assigned.filter(|(_, a)| a.all() > 0).collect(),
        launches: launches(&fill),
        surplus: surplus(snapshot, &unused.values().flatten().cloned().collect()),
        unmet,
        waiting: snapshot.vos.iter().zip(&demand.waiting).map(|(vo, jobs)| (vo.name.clone(), *jobs)).collect(),
        unclaimed: demand.unclaimed,
    }
}

fn add(to: &mut Given, more: Given) {
    to.running += more.running;
    to.booting += more.booting;
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
    let pools: Vec<_> =
        fill.pools_of.iter().map(|pools| fill.index.set(pools.iter().map(|pool| fill.says_of[*pool]))).collect();
    let mut order: Vec<usize> = (0..classes.len()).collect();
    order.sort_by_cached_key(|&n| {
        let Class { vo, need, queue, .. } = &classes[n];
        let most = Reverse((need.gpus, need.whole, need.cores, need.ram_mib, queue.cpu_time));
        (fill.index.count(n, &pools[*vo]), most, n)
    });
    order
}

/// How time counts for each class: where it is known how long its jobs run, those that VMs will have begun before a new VM could are not
/// bought for.
fn paces(snapshot: &Snapshot, classes: &[Class<'_>], fill: &Fill<'_, '_>) -> Vec<Pace> {
    let runs: HashMap<(&str, &JobClass), u64> =
        snapshot.run_times.iter().map(|r| ((r.vo.as_str(), &r.class), r.seconds)).collect();
    let of_pool: Vec<(u64, u64)> = (0..snapshot.pools.len())
        .map(|pool| {
            let offers = || fill.market.offers_of(pool).iter().map(|n| &fill.market.offer(*n).offering.measured);
            let late = offers().filter_map(|m| m.late).min().unwrap_or(0);
            let fetch = offers().filter_map(|m| m.fetch).min().unwrap_or(FETCH);
            (late.max(snapshot.pools[pool].max_wait.unwrap_or(0)), fetch)
        })
        .collect();
    let pace = |(n, class): (usize, &Class<'_>)| {
        let Some(&runs) = runs.get(&(snapshot.vos[class.vo].name.as_str(), &*class.key)) else {
            return Pace::default();
        };
        let pools = fill.pools_of[class.vo].iter().filter(|p| fill.index.may_fit(n, fill.says_of[**p]));
        let (horizon, fetch) = pools.map(|p| of_pool[*p]).min().unwrap_or_default();
        Pace { runs: runs.max(1), horizon, fetch: fetch.max(1) }
    };
    classes.iter().enumerate().map(pace).collect()
}

/// Booting VMs of one VO and kind whose whole time is free, the oldest last.
type Booting<'a> = BTreeMap<(usize, Kind), Vec<&'a LiveVm>>;

/// What the VMs have to give, after the jobs that they were bought for had theirs.
fn there<'a>(
    snapshot: &'a Snapshot,
    classes: &[Class<'_>],
    fill: &Fill<'_, '_>,
    said: &[usize],
    left: &mut [u64],
    given: &mut [Given],
) -> (Supply, Booting<'a>) {
    let pools = places(snapshot.pools.iter().map(|p| &p.name));
    let vos = places(snapshot.vos.iter().map(|v| &v.name));
    let by_key: HashMap<(usize, &JobClass), usize> =
        classes.iter().enumerate().map(|(n, c)| ((c.vo, &*c.key), n)).collect();
    let mut supply = Supply::new(snapshot.vos.len());
    let mut booting: Booting<'a> = BTreeMap::new();
    let mut order: Vec<usize> = (0..snapshot.vms.len()).collect();
    order.sort_by_key(|i| &snapshot.vms[*i].name);
    let failing = will_fail(snapshot);
    for i in order {
        let vm = &snapshot.vms[i];
        let (Some(&pool), Some(&vo)) = (pools.get(vm.pool.as_str()), vos.get(vm.vo.as_str())) else { continue };
        let full = Free::all(&vm.offering);
        let (mut lane, soon) = match &vm.life {
            Life::Booting { ready_in } if !failing.contains(vm.name.as_str()) => {
                (Lane::new(full, *ready_in, true), &[][..])
            }
            Life::Running { free, soon } => (Lane::new(free.up_to(full), 0, false), &soon[..]),
            Life::Booting { .. } | Life::Draining | Life::Ending => continue,
        };
        let kind = Kind { pool, says: said[i], cpu_time: vm.cpu_time, size: [full.gpus, full.cores, full.ram_mib] };
        let untouched = lane.free == full;
        let mut lanes = Vec::new();
        // Until its pilot had its first job.
        for lease in vm.lease.iter().filter(|_| untouched) {
            let Some(&n) = by_key.get(&(vo, &*lease.class)) else { continue };
            let need = &classes[n].need;
            let jobs = lane.starts(need, full, fill.paces[n]).min(lease.jobs).min(left[n]);
            if jobs == 0 {
                continue;
            }
            left[n] -= jobs;
            let mine = if lane.boots { &mut given[pool].booting } else { &mut given[pool].running };
            *mine += jobs;
            let mut rest = lane.after(need, full, fill.paces[n], jobs);
            rest.sort_by_key(|lane| (Reverse(lane.free.cores), lane.at));
            let mut rest = rest.into_iter();
            match rest.next() {
                Some(largest) => lane = largest,
                None => lane.free = Free::default(),
            }
            lanes.extend(rest);
        }
        lanes.push(lane);
        lanes.extend(soon.iter().map(|soon| Lane { used: true, ..Lane::new(soon.free, soon.in_seconds, false) }));
        if lane.boots && !lane.used {
            booting.entry((vo, kind)).or_default().push(vm);
        }
        let slots = supply.slots(vo, kind);
        lanes.into_iter().for_each(|lane| slots.add(lane));
    }
    for vms in booting.values_mut() {
        vms.sort_by_key(|vm| (vm.age_seconds, &vm.name));
    }
    supply.sort();
    (supply, booting)
}

/// Of the VMs that boot as many as their offering lets one expect will not come to work: the oldest.
fn will_fail(snapshot: &Snapshot) -> HashSet<&str> {
    let mut groups: BTreeMap<(&str, &str, &Option<String>, u64), Vec<&LiveVm>> = BTreeMap::new();
    for vm in snapshot.vms.iter().filter(|vm| matches!(vm.life, Life::Booting { .. })) {
        let success = vm.offering.measured.success.unwrap_or(100).min(100);
        if success < 100 {
            let place = (vm.cloud.as_str(), vm.offering.flavor.as_str(), &vm.offering.zone, success);
            groups.entry(place).or_default().push(vm);
        }
    }
    let mut all = HashSet::new();
    for ((_, _, _, success), mut vms) in groups {
        let count = u64::try_from(vms.len()).unwrap_or(0);
        let lost = usize::try_from(count * (100 - success) / 100).unwrap_or(0);
        vms.sort_by_key(|vm| (Reverse(vm.age_seconds), &vm.name));
        all.extend(vms.into_iter().take(lost).map(|vm| vm.name.as_str()));
    }
    all
}

/// The VMs that boot and that no job is planned for, by pool: of each kind the youngest.
fn unused(supply: &mut Supply, booting: &Booting<'_>) -> BTreeMap<usize, Unused> {
    let mut all: BTreeMap<usize, Unused> = BTreeMap::new();
    for ((vo, kind), vms) in booting {
        let count = supply.of(*vo).iter().filter(|s| s.is(kind)).map(Slots::unused).sum::<u64>();
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        all.entry(kind.pool).or_default().extend(vms.iter().take(count).map(|vm| vm.name.clone()));
    }
    all
}

/// The VMs that pools keep whatever waits.
fn keep(snapshot: &Snapshot, fill: &mut Fill<'_, '_>, turns: &mut Turns, unused: &BTreeMap<usize, Unused>) {
    for (p, pool) in snapshot.pools.iter().enumerate().filter(|(_, pool)| pool.min > 0 || pool.spare > 0) {
        let ours = || snapshot.vms.iter().filter(|vm| vm.pool == pool.name);
        let lives = ours().filter(|vm| matches!(vm.life, Life::Booting { .. } | Life::Running { .. })).count();
        let idle = |vm: &&LiveVm| matches!(&vm.life, Life::Running { free, .. } if *free == Free::all(&vm.offering));
        let spare = ours().filter(idle).count() + unused.get(&p).map_or(0, Unused::len);
        let new = fill.drafts.iter().filter(|draft| draft.pool == p).count();
        let lacks = |wanted: u64, has: usize| usize::try_from(wanted).unwrap_or(usize::MAX).saturating_sub(has);
        let for_min = lacks(pool.min.min(pool.max), lives + new);
        let for_spare = lacks(pool.spare, spare).saturating_sub(for_min);
        let all = std::iter::repeat_n(Keeps::Min, for_min).chain(std::iter::repeat_n(Keeps::Spare, for_spare));
        for keeps in all {
            let vos = snapshot.vos.iter().enumerate().filter(|(_, vo)| pool.vos.contains(&vo.name));
            let Some((vo, _)) = vos.min_by_key(|(i, _)| (turns.score(*i), *i)) else { break };
            if !fill.keep(p, vo, keeps, turns) {
                break;
            }
        }
    }
}

/// The drafts in words.
fn launches(fill: &Fill<'_, '_>) -> Vec<Launch> {
    let snapshot = fill.snapshot;
    let pools: Vec<Arc<str>> = snapshot.pools.iter().map(|p| Arc::from(p.name.as_str())).collect();
    let vos: Vec<Arc<str>> = snapshot.vos.iter().map(|v| Arc::from(v.name.as_str())).collect();
    let clouds: Vec<Arc<str>> = snapshot.clouds.iter().map(|c| Arc::from(c.name.as_str())).collect();
    let mut wanted: HashMap<usize, u64> = HashMap::new();
    for (n, jobs) in fill.drafts.iter().filter_map(|d| d.lease.first()) {
        *wanted.entry(*n).or_default() += jobs;
    }
    let mut words: HashMap<(usize, Option<Keeps>), Arc<str>> = HashMap::new();
    let mut why = |draft: &Draft| -> Arc<str> {
        let first = draft.lease.first().map_or(usize::MAX, |(n, _)| *n);
        let place = (if draft.keeps.is_some() { draft.pool } else { first }, draft.keeps);
        words
            .entry(place)
            .or_insert_with(|| Arc::from(sentence(fill, draft, wanted.get(&first).copied().unwrap_or(0))))
            .clone()
    };
    let launch = |draft: &Draft| {
        let offer = fill.market.offer(draft.offer);
        Launch {
            pool: pools[draft.pool].clone(),
            cloud: clouds[offer.cloud].clone(),
            vo: vos[draft.vo].clone(),
            offering: offer.offering.clone(),
            jobs: draft.lease.iter().map(|(_, jobs)| jobs).sum(),
            lease: draft
                .lease
                .iter()
                .map(|(n, jobs)| Lease { class: fill.classes[*n].key.clone(), jobs: *jobs })
                .collect(),
            pin: draft.pin.as_deref().map(Arc::from),
            reason: why(draft),
        }
    };
    fill.drafts.iter().map(launch).collect()
}

/// Why a VM is made.
fn sentence(fill: &Fill<'_, '_>, draft: &Draft, jobs: u64) -> String {
    let pool = &fill.snapshot.pools[draft.pool];
    match draft.keeps {
        Some(Keeps::Min) => format!("pool {} keeps {} VMs whatever waits (spec.scaling.min)", pool.name, pool.min),
        Some(Keeps::Spare) => format!("pool {} keeps {} VMs without work (spec.scaling.spare)", pool.name, pool.spare),
        None => {
            let tags = draft.lease.first().map_or(&[][..], |(n, _)| &fill.classes[*n].key.tags[..]);
            let with = if tags.is_empty() { String::new() } else { format!(" with the tags {}", tags.join(", ")) };
            let vo = &fill.snapshot.vos[draft.vo].name;
            format!("{jobs} jobs of {vo}{with} wait and no VM that runs or boots has room for them")
        }
    }
}
