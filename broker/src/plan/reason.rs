//! Why waiting jobs get no VM, and why VMs drain: the word and the meaning of each reason.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why waiting jobs get no VM. Its word stands in JSON, as the reason of a condition, and as a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// No pool serves the VO. Belongs to no pool.
    NoPool,
    /// Pools serve the VO, and none could ever run these jobs: tags, CPU time, site, cores or memory do not fit.
    /// Belongs to no pool.
    NoMatch,
    /// No cloud of the pool can be used and has a flavor that the pool takes.
    NoOffering,
    /// The pool has its maximum of VMs (`spec.scaling.max`).
    PoolMax,
    /// The VO holds as much as it may (`spec.limits`).
    VoLimit,
    /// The administrator's ceiling of the cloud is reached (`spec.ceiling`).
    CloudCeiling,
    /// The provider's quota is used up.
    CloudQuota,
    /// The cloud had no room for the flavor a short time ago.
    NoCapacity,
    /// The pool's last VMs of this flavor on this cloud never asked for work.
    VmsFail,
    /// As many VMs of this kind boot as are allowed until more of them have shown that they work.
    Ramp,
    /// VMs of this kind asked for work and never got a job of this kind.
    NeverMatched,
    /// Jobs of this kind died soon after they began on VMs of this kind.
    JobsDie,
    /// The site holds as much as it may (`spec.limits`).
    SiteLimit,
    /// The installation holds as much as it may (`spec.limits`).
    InstallationLimit,
    /// What is left of the VO's budget does not pay for another VM (`spec.budget`).
    Budget,
    /// The VO has a budget, and in its currency no price is known of what could be bought (`spec.prices` of the Cloud).
    NoPrice,
    /// The cloud is, or will soon be, closed but for what may stay (a Downtime), and the jobs would not end in time.
    Downtime,
    /// The credential with which VMs of the cloud are deleted has ended, or ends before the jobs would.
    CredentialEnds,
    /// A VM is not as its pool says any more. Only a drain has this reason.
    Drifted,
    /// One round makes no more VMs; the next one goes on.
    Pace,
    /// A person asked that nothing is made here. The plan does not give this reason: the operator adds it.
    Paused,
    /// What was planned is not done now, for a reason beyond the plan. The plan does not give this reason: the operator adds it.
    Held,
    /// The VM was planned, and its object could not be made. The plan does not give this reason: the operator adds it.
    PilotVMsNotMade,
}

impl Reason {
    /// All reasons, for whoever says what each of them means.
    pub const ALL: [Self; 23] = [
        Self::NoPool,
        Self::NoMatch,
        Self::NoOffering,
        Self::PoolMax,
        Self::VoLimit,
        Self::CloudCeiling,
        Self::CloudQuota,
        Self::NoCapacity,
        Self::VmsFail,
        Self::Ramp,
        Self::NeverMatched,
        Self::JobsDie,
        Self::SiteLimit,
        Self::InstallationLimit,
        Self::Budget,
        Self::NoPrice,
        Self::Downtime,
        Self::CredentialEnds,
        Self::Drifted,
        Self::Pace,
        Self::Paused,
        Self::Held,
        Self::PilotVMsNotMade,
    ];

    /// The word, in CamelCase. It never changes: alerts are written with it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoPool => "NoPool",
            Self::NoMatch => "NoMatch",
            Self::NoOffering => "NoOffering",
            Self::PoolMax => "PoolMax",
            Self::VoLimit => "VoLimit",
            Self::CloudCeiling => "CloudCeiling",
            Self::CloudQuota => "CloudQuota",
            Self::NoCapacity => "NoCapacity",
            Self::VmsFail => "VmsFail",
            Self::Ramp => "Ramp",
            Self::NeverMatched => "NeverMatched",
            Self::JobsDie => "JobsDie",
            Self::SiteLimit => "SiteLimit",
            Self::InstallationLimit => "InstallationLimit",
            Self::Budget => "Budget",
            Self::NoPrice => "NoPrice",
            Self::Downtime => "Downtime",
            Self::CredentialEnds => "CredentialEnds",
            Self::Drifted => "Drifted",
            Self::Pace => "Pace",
            Self::Paused => "Paused",
            Self::Held => "Held",
            Self::PilotVMsNotMade => "PilotVMsNotMade",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_written_and_read_by_its_word() {
        for reason in Reason::ALL {
            let word = serde_json::to_value(reason).unwrap();
            assert_eq!(word, reason.as_str());
            assert_eq!(serde_json::from_value::<Reason>(word).unwrap(), reason);
        }
    }
}
