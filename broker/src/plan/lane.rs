//! A lane: what of a VM is free from one moment on, and how many jobs begin in it before a new VM could have begun them.

use std::cmp::Reverse;

use super::{life::Free, need::Need};

/// What is free of a VM from one moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lane {
    pub free: Free,
    /// Seconds from now.
    pub at: u64,
    /// Whether its VM boots.
    pub boots: bool,
    /// Whether jobs were given to it.
    pub used: bool,
}

/// How time counts for jobs of one class. Where it is not known how long they run, each place takes one job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Seconds that a job runs; 0: unknown.
    pub runs: u64,
    /// Seconds within which a new VM would have begun a job.
    pub horizon: u64,
    /// Seconds that a pilot takes to fetch one more job.
    pub fetch: u64,
}

/// Lanes whose times differ by less than this are alike, so that there are few kinds.
const STEP: u64 = 5;

impl Lane {
    /// A lane that nobody uses yet.
    pub fn new(free: Free, at: u64, boots: bool) -> Self {
        Self { free, at: at / STEP * STEP, boots, used: false }
    }

    /// The lane with most cores, the soonest of several, and the others.
    pub fn largest(mut lanes: Vec<Self>) -> (Option<Self>, Vec<Self>) {
        let size = |lane: &Self| (lane.free.cores, Reverse(lane.at), lane.free);
        let largest = (0..lanes.len()).max_by_key(|i| size(&lanes[*i]));
        (largest.map(|i| lanes.swap_remove(i)), lanes)
    }

    /// How many jobs at once.
    fn slots(&self, need: &Need, full: Free) -> u64 {
        need.slots(full, self.free)
    }

    /// How many jobs begin here, one after the other, before a new VM could begin them; on a VM that is new itself one for each place at
    /// least, and none in what a running VM has only later.
    pub fn starts(&self, need: &Need, full: Free, pace: Pace) -> u64 {
        let slots = self.slots(need, full);
        let Some(left) = pace.horizon.checked_sub(self.at) else { return if self.boots { slots } else { 0 } };
        let Some(rounds) = left.checked_div(pace.runs) else { return slots };
        // A pilot fetches one job after the other.
        let fetched = left.checked_div(pace.fetch).map_or(u64::MAX, |n| n.saturating_add(1));
        slots.saturating_mul(rounds.saturating_add(1)).min(fetched.max(slots))
    }

    /// What is left when `jobs` jobs were given to it, at most [`Self::starts`] many. What becomes free after the horizon is no supply.
    pub fn after(&self, need: &Need, full: Free, pace: Pace, jobs: u64) -> Vec<Self> {
        let slots = self.slots(need, full).max(1);
        let (rounds, rest) = (jobs / slots, jobs % slots);
        let mut lanes = Vec::new();
        // Places that take one job more than the others, those that take `rounds`, and what no place could use.
        let all = need.times(full, slots.min(jobs.max(1)));
        let longer = need.times(full, rest);
        let kept = |free: Free, at: u64| Self { free, at: at / STEP * STEP, boots: self.boots, used: true };
        if rounds == 0 {
            lanes.push(kept(self.free.less(longer), self.at));
        } else {
            lanes.push(kept(self.free.less(all), self.at));
            if pace.runs > 0 {
                let ends = |n: u64| self.at.saturating_add(pace.runs.saturating_mul(n));
                lanes.push(kept(all.less(longer), ends(rounds)));
            }
        }
        if rest > 0 && pace.runs > 0 {
            lanes.push(kept(longer, self.at.saturating_add(pace.runs.saturating_mul(rounds.saturating_add(1)))));
        }
        lanes.retain(|lane| lane.free.cores > 0 && (lane.at <= pace.horizon || lane.at <= self.at));
        lanes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Free = Free { cores: 8, ram_mib: 16_384, gpus: 0, gpu_cores: 0 };
    const ONE: Need = Need::cores(1);

    #[test]
    fn a_place_takes_one_job_where_nobody_knows_how_long_it_runs() {
        let lane = Lane::new(FULL, 0, false);
        assert_eq!(lane.starts(&ONE, FULL, Pace::default()), 8);
        let left = lane.after(&ONE, FULL, Pace::default(), 3);
        assert_eq!(left.iter().map(|l| l.free.cores).collect::<Vec<_>>(), [5]);
        assert_eq!(lane.after(&ONE, FULL, Pace::default(), 8), []);
    }

    #[test]
    fn short_jobs_follow_each_other_until_a_new_vm_could_begin_them() {
        let pace = Pace { runs: 10, horizon: 60, fetch: 0 };
        assert_eq!(Lane::new(FULL, 0, false).starts(&ONE, FULL, pace), 56);
        assert_eq!(
            Lane::new(FULL, 50, false).starts(&ONE, FULL, pace),
            16,
            "it is free for ten seconds, and then once more"
        );
        assert_eq!(
            Lane::new(FULL, 70, true).starts(&ONE, FULL, pace),
            8,
            "a VM that comes later is supply all the same"
        );
        assert_eq!(Lane::new(FULL, 70, false).starts(&ONE, FULL, pace), 0, "a new VM begins them sooner");
    }

    #[test]
    fn a_pilot_that_fetches_slowly_is_the_bound_and_never_less_than_its_places() {
        let pace = Pace { runs: 10, horizon: 60, fetch: 5 };
        assert_eq!(Lane::new(FULL, 0, false).starts(&ONE, FULL, pace), 13);
        assert_eq!(Lane::new(FULL, 0, false).starts(&ONE, FULL, Pace { fetch: 20, ..pace }), 8);
    }

    #[test]
    fn what_jobs_leave_is_free_again_when_they_end() {
        let pace = Pace { runs: 20, horizon: 60, fetch: 1 };
        let mut left = Lane::new(FULL, 0, false).after(&ONE, FULL, pace, 11);
        left.sort_by_key(|l| l.at);
        assert_eq!(left.iter().map(|l| (l.at, l.free.cores)).collect::<Vec<_>>(), [(20, 5), (40, 3)]);
    }

    #[test]
    fn nothing_is_given_twice() {
        let need = Need::cores(3);
        let left = Lane::new(FULL, 0, false).after(&need, FULL, Pace::default(), 2);
        assert_eq!(left.iter().map(|l| l.free.cores).sum::<u64>(), 2);
    }
}
