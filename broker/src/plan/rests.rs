//! What new VMs have left: classes that come later have it before more VMs are made.

use std::collections::BTreeMap;

use super::{
    lane::{Lane, Pace},
    life::Free,
    need::{Need, Pin},
};

/// The most new VMs with something left that are looked at for one class.
const LOOKED_AT: usize = 64;
/// The most leases that are written into one VM: what it serves beyond them it serves without a claim.
const MOST_LEASES: usize = 8;

/// What a new VM has left.
#[derive(Clone, Copy)]
pub struct Rest {
    pub lane: Lane,
    pub full: Free,
    /// What its pilot says: see `Index`.
    pub says: usize,
    pub cpu_time: u64,
    /// What its pilot asks for alone.
    pub pin: Option<Pin>,
    /// How many classes have a lease on it.
    pub leases: usize,
}

/// Drafts that follow each other and are alike.
#[derive(Clone, Copy)]
pub struct Run {
    /// The number of the first draft.
    pub first: usize,
    pub vms: usize,
}

/// What the new VMs of one VO have left, by the cores that are free and the number of the first draft: how many are alike.
#[derive(Clone, Default)]
pub struct Rests(BTreeMap<(u64, usize), (usize, Rest)>);

impl Rests {
    /// Keeps what each VM of a run has left.
    pub fn keep(&mut self, run: Run, rest: Rest) {
        if run.vms > 0 && rest.lane.free.cores > 0 {
            self.0.insert((rest.lane.free.cores, run.first), (run.vms, rest));
        }
    }

    /// Gives up to `jobs` jobs to VMs that `may` take them, first to what is smallest: the drafts, and how many jobs each of a run got.
    pub fn serve(&mut self, need: &Need, pace: Pace, jobs: u64, may: impl Fn(&Rest) -> bool) -> Vec<(Run, u64)> {
        let (mut left, mut looked) = (jobs, 0);
        let mut chosen = Vec::new();
        for (&(cores, first), (vms, rest)) in self.0.range((need.cores, 0)..) {
            if left == 0 || looked >= LOOKED_AT {
                break;
            }
            let vms = (*vms).min(LOOKED_AT - looked);
            looked += vms;
            let each = rest.lane.starts(need, rest.full, pace);
            let pinned = || rest.pin.is_none_or(|pin| need.pin() == Some(pin));
            if each > 0 && rest.leases < MOST_LEASES && pinned() && may(rest) {
                let full = usize::try_from(left / each).unwrap_or(usize::MAX).min(vms);
                // One more takes what is left of the jobs.
                let last = if full < vms { left - full as u64 * each } else { 0 };
                left -= full as u64 * each + last;
                chosen.push(((cores, first), [(full, each), (usize::from(last > 0), last)]));
            }
        }
        let mut served = Vec::new();
        for (key, parts) in chosen {
            let Some((vms, rest)) = self.0.remove(&key) else { continue };
            let mut next = key.1;
            for (vms, jobs) in parts {
                let run = Run { first: next, vms };
                next += vms;
                if let (Some(lane), _) = Lane::largest(rest.lane.after(need, rest.full, pace, jobs)) {
                    self.keep(run, Rest { lane, leases: rest.leases + 1, ..rest });
                }
                served.push((run, jobs));
            }
            self.keep(Run { first: next, vms: key.1 + vms - next }, rest);
        }
        served
    }
}
