//! Downtimes: which clouds each closes, when they drain, and how far it is. Pure, on a clock that is given: planning and the status both
//! go by it.

use std::sync::Arc;

use broker::plan::{Closing, Limits};
use crds::{Cloud, Downtime, PilotPool, quantity::Ceiling};
use jiff::Timestamp;
use kube::ResourceExt;

use crate::{
    amounts::{limits, seconds, seconds_between},
    names::deleting,
};

/// The course of a downtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// The Cloud objects that it closes.
    pub clouds: Vec<String>,
    /// When these begin to drain.
    pub drains: Timestamp,
    /// When it begins.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
}

/// How far a downtime is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It is announced, and nothing drains yet.
    Announced,
    /// Its clouds drain.
    Draining,
    /// It has begun.
    Active,
    /// It is over.
    Over,
}

impl Course {
    /// The course of `downtime` among the clouds and pools of its namespace. Where it does not say how long its clouds drain, they do for
    /// the longest CPU time that a job may have there.
    pub fn of(downtime: &Downtime, clouds: &[Arc<Cloud>], pools: &[Arc<PilotPool>]) -> Self {
        let spec = &downtime.spec;
        let closes = |cloud: &&Arc<Cloud>| match &spec.cloud_ref {
            Some(one) => cloud.name_any() == one.name,
            None => cloud.spec.site_ref.name == spec.site_ref.name,
        };
        let clouds: Vec<String> = clouds.iter().filter(closes).map(|cloud| cloud.name_any()).collect();
        let drains = spec.drain_for.or_else(|| longest(&clouds, pools)).map(seconds).unwrap_or_default();
        Self {
            clouds,
            drains: spec.start.checked_sub(drains).unwrap_or(Timestamp::MIN),
            start: spec.start,
            end: spec.end,
        }
    }

    /// How far it is. One that ends before it begins never is.
    pub fn stage(&self, now: Timestamp) -> Stage {
        if now >= self.end || self.end <= self.start {
            Stage::Over
        } else if now >= self.start {
            Stage::Active
        } else if now >= self.drains {
            Stage::Draining
        } else {
            Stage::Announced
        }
    }

    /// What it closes, seen from `now`; nothing when it is over.
    pub fn closing(&self, downtime: &Downtime, now: Timestamp) -> Option<Closing> {
        (self.stage(now) != Stage::Over && !deleting(downtime)).then(|| Closing {
            name: downtime.name_any(),
            is_credential: false,
            clouds: self.clouds.clone(),
            drains_in: seconds_between(now, self.drains),
            starts_in: seconds_between(now, self.start),
            keep: keep(downtime),
            message: sentence(downtime),
        })
    }
}

/// The longest CPU time that a job may have on these clouds.
pub fn longest(clouds: &[String], pools: &[Arc<PilotPool>]) -> Option<crds::Duration> {
    let buys = |pool: &&Arc<PilotPool>| pool.spec.clouds.iter().any(|cloud| clouds.contains(&cloud.name));
    pools.iter().filter(buys).map(|pool| pool.spec.matching.max_cpu_time).max()
}

/// Nothing may stay.
pub const NOTHING: Limits = Limits { vms: Some(0), cores: Some(0), ram_mib: Some(0), gpus: Some(0) };

/// What may stay.
pub fn keep(downtime: &Downtime) -> Limits {
    downtime.spec.keep.as_ref().map_or(NOTHING, |keep| limits(Some(keep)))
}

/// What is closed, and when.
pub fn sentence(downtime: &Downtime) -> String {
    let spec = &downtime.spec;
    let what = match &spec.cloud_ref {
        Some(cloud) => format!("cloud {}", cloud.name),
        None => format!("site {}", spec.site_ref.name),
    };
    let kept = spec.keep.as_ref().map(in_words).filter(|words| !words.is_empty());
    let kept = kept.map_or_else(|| "nothing may stay".to_owned(), |words| format!("{words} may stay"));
    format!("Downtime {} closes {what} from {} to {}, and {kept}", downtime.name_any(), spec.start, spec.end)
}

fn in_words(keep: &Ceiling) -> String {
    let Ceiling { vms, cores, ram_gib, gpus } = keep;
    let parts = [(vms, "VMs"), (cores, "cores"), (ram_gib, "GiB of memory"), (gpus, "GPUs")];
    let parts: Vec<String> = parts.iter().filter_map(|(n, what)| Some(format!("{} {what}", (**n)?))).collect();
    parts.join(", ")
}

#[cfg(test)]
#[path = "downtime_tests.rs"]
mod tests;
