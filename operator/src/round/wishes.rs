//! How a pool wishes to grow: its `scaling` and `strategy`, and the limits of its site, in the words of the plan. Pure.

use broker::plan::{Pool, Strategy};
use crds::{
    PilotPool, Site,
    pool::{self, Borrow},
};

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
