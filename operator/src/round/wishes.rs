//! How a pool wishes to grow and to change: its `scaling`, `strategy` and `disruption`, and the limits of its site, in the words of the
//! plan. Pure.

use broker::plan::{
    Disruption, Most, Pool, Strategy,
    window::{Window, is_time},
};
use crds::{
    PilotPool, Site,
    disruption::{self, Day},
    pool::{self, Borrow},
};
use jiff::Timestamp;

use crate::amounts::{count, limits};

/// A pool of which only this is said.
pub fn scaling(pool: &PilotPool, site: &Site) -> Pool {
    let scaling = &pool.spec.scaling;
    Pool {
        site_limits: limits(site.spec.limits.as_ref()),
        strategy: match pool.spec.strategy {
            pool::Strategy::Cheapest => Strategy::Cheapest,
            pool::Strategy::InOrder => Strategy::InOrder,
        },
        max: count(scaling.max),
        // A maximum of 0 drains the pool: it borrows nothing.
        borrows: scaling.max > 0 && scaling.borrow == Borrow::WhatIsFree,
        min: count(scaling.min),
        spare: count(scaling.spare),
        idle_seconds: scaling.idle_timeout.as_secs(),
        max_wait: scaling.max_wait.map(crds::Duration::as_secs),
        ..Pool::default()
    }
}

/// How fast VMs of the pool may drain by drift now.
pub fn disruption(pool: &PilotPool, now: Timestamp) -> Disruption {
    let Some(said) = &pool.spec.disruption else { return Disruption::default() };
    let windows: Vec<Window> = said.schedule.iter().flat_map(windows).collect();
    Disruption {
        most: match (said.max_vms, said.max_percent) {
            (Some(vms), _) => Most::Vms(count(vms)),
            (None, Some(part)) => Most::Percent(count(part)),
            (None, None) => Most::default(),
        },
        is_open: is_time(&windows, now),
    }
}

/// One for each day on which it begins.
fn windows(said: &disruption::Window) -> impl Iterator<Item = Window> {
    let begins = |day: &Day| said.days.is_empty() || said.days.contains(day);
    let days = (0..).zip(Day::ALL).filter(move |(_, day)| begins(day));
    days.map(|(day, _)| Window::new(day, said.start.minutes(), said.duration.as_secs()))
}
