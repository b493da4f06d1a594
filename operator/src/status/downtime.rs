//! Downtimes: accepted and kept; this version says that it does not act on them.

use crds::{Downtime, condition, downtime::DowntimeStatus};
use jiff::Timestamp;

use crate::conditions::Conditions;

/// The status of this downtime now.
pub fn status(downtime: &Downtime, now: Timestamp) -> DowntimeStatus {
    let mut conditions =
        Conditions::of(downtime.status.as_ref().map(|s| &s.conditions), downtime.metadata.generation, now);
    conditions.supported(&["downtimes: set spec.scaling.max of the pools concerned by hand"]);
    conditions.ready(&[condition::SUPPORTED], "the downtime is acted on");
    DowntimeStatus { observed_generation: downtime.metadata.generation, conditions: conditions.finish() }
}
