//! What was measured, put into a snapshot.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::Kind;
use crate::{
    experience::{Classes, Lot, Times, times},
    plan::{self, Free, Life, LiveVm, Measured, Offering, RunTime, Snapshot, Soon},
};

/// Jobs that end within the same five seconds end together.
const STEP: u64 = 5;

/// How long jobs of the classes that wait run, and each offering with what its lots have shown: of several images, the quickest. `boots`: what
/// would boot on a cloud of this name now, as lots call it.
pub fn tell(to: &mut Snapshot, times: &Times, classes: &Classes, boots: impl FnMut(&str) -> HashSet<Arc<str>>) {
    let run_time = |(name, class): (&times::JobClass, &plan::JobClass)| {
        let seconds = times.run_time(name)?.mean;
        Some(RunTime { vo: name.vo.as_ref().into(), class: class.clone(), seconds })
    };
    to.run_times = classes.iter().filter_map(run_time).collect();
    tell_offers(to, times, boots);
}

fn tell_offers(to: &mut Snapshot, times: &Times, mut boots: impl FnMut(&str) -> HashSet<Arc<str>>) {
    // By what is bought: a round has many more offerings and images than lots of which anything is known.
    let mut known: HashMap<_, Vec<&Lot>> = HashMap::new();
    for lot in times.lots() {
        known.entry((&*lot.cloud, lot.zone.as_deref(), &*lot.flavor, lot.purchase)).or_default().push(lot);
    }
    for cloud in &mut to.clouds {
        let images = boots(&cloud.name);
        for offering in &mut cloud.offerings {
            let bought = (cloud.name.as_str(), offering.zone.as_deref(), offering.flavor.as_str(), offering.purchase);
            let alike = known.get(&bought).map_or(&[][..], Vec::as_slice);
            let all: Vec<&Lot> = alike.iter().copied().filter(|lot| images.contains(&lot.image)).collect();
            if all.is_empty() {
                continue;
            }
            let least = |measured: &dyn Fn(&Lot) -> Option<u64>| all.iter().filter_map(|lot| measured(lot)).min();
            let measured = Measured {
                boot: least(&|lot| times.boot(lot).map(|boot| boot.median)),
                late: least(&|lot| times.boot(lot).map(|boot| boot.ninetieth)),
                success: least(&|lot| times.success(lot)),
                fetch: least(&|lot| times.fill_milliseconds(lot).map(|milliseconds| milliseconds.div_ceil(1_000))),
                // It is the cloud's, whatever boots there.
                reclaims: offering.measured.reclaims,
            };
            let power = least(&|lot| times.power(lot));
            let offering = Arc::make_mut(offering);
            (offering.measured, offering.power) = (measured, power);
        }
    }
}

/// No new VM is later than this to begin a job: what ends after it is no supply. In seconds.
pub fn horizon(of: &Snapshot) -> u64 {
    let late = of.clouds.iter().flat_map(|cloud| &cloud.offerings).filter_map(|offering| offering.measured.late);
    late.chain(of.pools.iter().filter_map(|pool| pool.max_wait)).max().unwrap_or(0)
}

/// Of one VM: how fast its cores are, by its `own` word or as others of its lot, and when it is expected to take its first job, ordered so many
/// seconds ago. Gives its power, in hundredths.
pub fn tell_vm(live: &mut LiveVm, times: &Times, lot: &Lot, own: Option<u64>, ordered: u64) -> Option<u64> {
    let (power, success) = (own.or_else(|| times.power(lot)), times.success(lot));
    if power.is_some() || success.is_some() {
        let offering: &mut Offering = Arc::make_mut(&mut live.offering);
        (offering.power, offering.measured.success) = (power, success);
    }
    if let (Life::Booting { ready_in }, Some(boot)) = (&mut live.life, times.boot(lot)) {
        *ready_in = boot.median.saturating_sub(ordered);
    }
    power
}

/// Adds to what of a whole VM becomes free what its jobs leave within the `horizon`, where they are of this kind and have been running for so
/// many seconds each. What is there says when its pilot asks next: nobody has a core before.
pub fn add_soon(
    to: &mut Vec<Soon>,
    full: Free,
    kind: &Kind,
    running: impl Iterator<Item = u64>,
    times: &Times,
    horizon: u64,
) {
    let asks = to.first().map_or(0, |soon| soon.in_seconds);
    let ends = running.filter_map(|seconds| times.rest(&kind.name, seconds));
    let mut ends: Vec<u64> =
        ends.map(|rest| rest.next_multiple_of(STEP).max(asks)).filter(|rest| *rest <= horizon).collect();
    ends.sort_unstable();
    let together = ends.chunk_by(|a, b| a == b);
    to.extend(
        together.map(|ends| Soon { in_seconds: ends[0], free: kind.class.takes(full, ends.len() as u64).up_to(full) }),
    );
}
