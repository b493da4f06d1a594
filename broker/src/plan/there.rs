//! What is there: the VMs that run or boot, what they have to give, and what of them nobody needs.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashSet},
};

use super::{
    closing::Closings,
    fill::Fill,
    lane::Lane,
    life::{Free, Life},
    ours::Ours,
    snapshot::LiveVm,
    supply::{Given, Kind, Supply},
    surplus::Unused,
};

/// Booting VMs of one VO and kind whose whole time is free, the oldest last.
pub type Booting<'a> = BTreeMap<(usize, Kind), Vec<&'a LiveVm>>;

/// What the VMs have to give, after the jobs that they were bought for had theirs.
pub fn there<'a>(
    ours: &[Ours<'a>],
    fill: &Fill<'_, '_>,
    left: &mut [u64],
    given: &mut [Given],
) -> (Supply, Booting<'a>) {
    let mut supply = Supply::new(fill.snapshot.vos.len());
    let mut booting: Booting<'a> = BTreeMap::new();
    let failing = will_fail(ours);
    let closings = Closings::of(fill.snapshot);
    // VMs between whose CPU times left no class asks for one are alike.
    let mut asked: Vec<u64> = fill.classes.iter().map(|class| class.queue.cpu_time).collect();
    asked.sort_unstable();
    asked.dedup();
    let enough_for = |left: u64| asked[..asked.partition_point(|asked| *asked <= left)].last().copied();
    for Ours { vm, pool, vo, says, claims, .. } in ours {
        let (Some(pool), Some(vo)) = (*pool, *vo) else { continue };
        let full = Free::all(&vm.offering);
        let (mut lane, soon) = match &vm.life {
            Life::Booting { ready_in } if !failing.contains(vm.name.as_str()) => {
                (Lane::new(full, *ready_in, true), &[][..])
            }
            Life::Running { free, soon } => (Lane::new(free.up_to(full), 0, false), &soon[..]),
            Life::Booting { .. } | Life::Draining | Life::Ending => continue,
        };
        let cpu_time = enough_for(closings.cpu_time(vm)).unwrap_or(0);
        let kind = Kind { pool, says: *says, cpu_time, size: full };
        let untouched = lane.free == full;
        let mut lanes = Vec::new();
        // Until its pilot had its first job.
        for (lease, n) in vm.lease.iter().zip(claims).filter(|_| untouched) {
            let Some(n) = *n else { continue };
            let need = &fill.classes[n].need;
            let jobs = lane.starts(need, full, fill.paces[n]).min(lease.jobs).min(left[n]);
            if jobs == 0 {
                continue;
            }
            left[n] -= jobs;
            let mine = if lane.boots { &mut given[pool].booting } else { &mut given[pool].running };
            *mine = mine.saturating_add(jobs);
            let (largest, others) = Lane::largest(lane.after(need, full, fill.paces[n], jobs));
            match largest {
                Some(largest) => lane = largest,
                None => lane.free = Free::default(),
            }
            lanes.extend(others);
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
fn will_fail<'a>(ours: &[Ours<'a>]) -> HashSet<&'a str> {
    let mut groups: BTreeMap<(&str, &str, &Option<String>, u64), Vec<&LiveVm>> = BTreeMap::new();
    for vm in ours.iter().map(|ours| ours.vm).filter(|vm| matches!(vm.life, Life::Booting { .. })) {
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

/// The VMs that boot and that no job is planned for, of each kind the youngest: how many, by index of the pool, and their names.
pub fn unused<'a>(supply: &mut Supply, booting: &Booting<'a>, pools: usize) -> (Vec<u64>, Unused<'a>) {
    let (mut of_pool, mut names) = (vec![0; pools], Unused::new());
    let counts = supply.unused();
    for (place, vms) in booting {
        let count = counts.get(place).copied().unwrap_or(0);
        let unused = vms.iter().take(usize::try_from(count).unwrap_or(usize::MAX));
        names.extend(unused.map(|vm| vm.name.as_str()));
        of_pool[place.1.pool] += count.min(vms.len() as u64);
    }
    (of_pool, names)
}
