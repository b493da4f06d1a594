//! Downtimes: accepted and kept; this version says that it does not act on them.

use crds::{Downtime, condition, downtime::DowntimeStatus};

use crate::status::Conditions;

/// The status of this downtime now.
pub fn status(downtime: &Downtime) -> DowntimeStatus {
    let mut conditions = Conditions::of(downtime.status.as_ref().map(|s| &s.conditions), downtime.metadata.generation);
    conditions.supported(&["downtimes: set spec.scaling.max of the pools concerned by hand"]);
    conditions.ready(&[condition::SUPPORTED], "the downtime is acted on");
    DowntimeStatus { observed_generation: downtime.metadata.generation, conditions: conditions.finish() }
}
