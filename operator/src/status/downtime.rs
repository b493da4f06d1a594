//! Downtimes: accepted and kept; this version says that it does not act on them.

use crds::{ConditionType, Downtime, downtime::DowntimeStatus};

use super::pass::Pass;
use crate::conditions::Conditions;

/// The status of this downtime now.
pub fn status(pass: &Pass<'_>, downtime: &Downtime) -> DowntimeStatus {
    let old = downtime.status.as_ref().map(|s| &s.conditions);
    let mut conditions = Conditions::of(old, downtime.metadata.generation, pass.now);
    conditions.supported(&["downtimes: set spec.scaling.max of the pools concerned by hand"]);
    conditions.ready(&[ConditionType::Supported], "the downtime is acted on");
    DowntimeStatus { observed_generation: downtime.metadata.generation, conditions: conditions.finish() }
}
