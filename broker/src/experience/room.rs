//! What of a running VM is free for jobs that wait, from the jobs that its pilot has, and when the pilot can take them. Pure.
//!
//! A JobAgent that was given no job sleeps, and the longer the more often that happened: an hour after its last job a pilot with free cores
//! may sleep for six minutes, longer than a new VM boots. Jobs that come meanwhile are not begun before it wakes.

use jiff::{SignedDuration, Timestamp};

use super::moment::{after, seconds};
use crate::plan::{Free, JobClass, Soon};

/// DIRAC's `PollingTime`: from one cycle of the agent to the next (`Agent/JobAgent.py`, `LaunchAgent`: 20 at most).
const CYCLE: u64 = 20;
/// After so many requests without a job the agent stops (`StopAfterFailedMatches`), or after as many as it has cores, if these are more.
const FAILURES: u64 = 10;
/// So much later than it began, at most, a job is seen: the rows are read each poll.
const SEEN_WITHIN: u64 = 40;
/// What is free within this time is free now.
const NOW: u64 = 60;

/// A VM, and what is known of the jobs for which it has room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The whole VM, as if no job ran on it.
    pub all: Free,
    /// Since when its pilot asks for work.
    pub asks_since: Timestamp,
    /// Since when jobs that could run on it have waited without a pause: before, there was nothing to take.
    pub waits_since: Timestamp,
    /// An idle pilot goes on asking for this time.
    pub idle_timeout: SignedDuration,
}

/// What a pilot has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Has {
    /// Its jobs.
    pub jobs: u64,
    /// When the last of these began; `None`: it has none.
    pub began: Option<Timestamp>,
    /// When a job of it last began or ended.
    pub changed: Option<Timestamp>,
}

/// What is free for jobs that wait, where each of its jobs takes what a job of `class` does: now, and when its pilot asks next.
///
/// An idle pilot is supply until it gives up, and a VM that fills or has just lost a job until it should have taken another.
pub fn free(room: &Room, has: &Has, class: &JobClass, now: Timestamp) -> (Free, Option<Soon>) {
    let changed = has.changed.map_or(room.asks_since, |at| at.max(room.asks_since));
    let left = room.all.less(class.takes(room.all, has.jobs));
    // One that was full asks as soon as a job has ended; else it goes on from its last job.
    let was_full = room.all.less(class.takes(room.all, has.jobs + 1)).cores == 0;
    let since = if was_full { changed } else { has.began.unwrap_or(changed).max(room.asks_since) };
    let none = (Free::default(), None);
    if left.cores == 0 {
        return none;
    }
    if has.jobs == 0 {
        let ends = after(changed, u64::try_from(room.idle_timeout.as_secs()).unwrap_or(0));
        return if now <= ends { (left, None) } else { none };
    }
    let Some(asks) = asks(since, room.all.cores).find(|asks| *asks > room.waits_since) else { return none };
    match seconds(now, asks) {
        _ if after(asks, SEEN_WITHIN) < now => none,
        0..=NOW => (left, None),
        in_seconds => (Free::default(), Some(Soon { in_seconds, free: left })),
    }
}

/// When an agent asks that had its last job at this moment, if it gets none (`JobAgent._checkMatchingIssues` and `execute`).
fn asks(since: Timestamp, cores: u64) -> impl Iterator<Item = Timestamp> {
    let sleep = |failures: u64| 2 * CYCLE * (failures + 1) + 1;
    let times = (0..=FAILURES.max(cores)).scan(CYCLE, move |at, failures| {
        let this = *at;
        *at += sleep(failures + 1);
        Some(this)
    });
    times.map(move |seconds| after(since, seconds))
}

#[cfg(test)]
#[path = "room_tests.rs"]
mod tests;
