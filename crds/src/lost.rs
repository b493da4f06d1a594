//! What a DiracInstallation says of jobs whose VM is gone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is done about jobs whose VM is gone for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LostJobs {
    /// Nothing: DIRAC's StalledJobAgent finds them after some hours, and fails them or gives them to others, as it is configured.
    #[default]
    Leave,
    /// The operator gives them back to DIRAC's queue within a minute, as the group of `credentials`, which needs the property
    /// JobAdministrator. A job that has ended, or that another pilot has, is left as it is, and one that DIRAC has rescheduled as often as it
    /// does (`MaxRescheduling`) fails. `jobMonitoring` must be given.
    Reschedule,
}
