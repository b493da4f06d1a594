//! What is wrong with something outside, in the words of a condition. This is where what others answer becomes a reason of ours.

use broker::{
    cloud::CloudError,
    demand::{DemandError, Fault, diset::DisetError},
    pilot::rows::RowsError,
};
use crds::Reason;
use serde::{Deserialize, Serialize};

/// What is wrong: the reason and the sentence of a condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    pub reason: Reason,
    /// A sentence for people.
    pub message: String,
}

impl Trouble {
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// The reason of what a provider said.
pub fn of_cloud(error: &CloudError) -> Reason {
    match error {
        CloudError::NotFound(_) => Reason::NotFound,
        CloudError::AddressNotAllowed(_) => Reason::AddressNotAllowed,
        CloudError::Conflict(_) => Reason::Conflict,
        CloudError::NoCapacity { .. } => Reason::NoCapacity,
        CloudError::Quota { .. } => Reason::QuotaExceeded,
        CloudError::Throttled { .. } => Reason::Throttled,
        CloudError::Unauthorized(_) => Reason::Unauthorized,
        CloudError::Invalid(_) => Reason::Invalid,
        CloudError::Transient(_) => Reason::Transient,
        CloudError::Unclear { .. } => Reason::Unclear,
    }
}

/// The reason of what a DIRAC service said, or did not say.
pub fn of_dirac(fault: Fault) -> Reason {
    match fault {
        Fault::BadUrl => Reason::BadUrl,
        Fault::BadCredentials => Reason::BadCredentials,
        Fault::CertificateExpired => Reason::CertificateExpired,
        Fault::CertificateNotYetValid => Reason::CertificateNotYetValid,
        Fault::AddressNotAllowed => Reason::AddressNotAllowed,
        Fault::Unreachable => Reason::Unreachable,
        Fault::CertificateRefused => Reason::CertificateRefused,
        Fault::NoTls => Reason::NoTls,
        Fault::Unauthorized => Reason::Unauthorized,
        Fault::UnknownMethod => Reason::UnknownMethod,
        Fault::ServiceError => Reason::ServiceError,
        Fault::Timeout => Reason::Timeout,
        Fault::AnswerTooLarge => Reason::AnswerTooLarge,
        Fault::Garbage => Reason::Garbage,
    }
}

impl From<&CloudError> for Trouble {
    fn from(error: &CloudError) -> Self {
        Self::new(of_cloud(error), error.to_string())
    }
}

impl From<DemandError> for Trouble {
    fn from(error: DemandError) -> Self {
        Self::new(of_dirac(error.fault), error.message)
    }
}

impl From<RowsError> for Trouble {
    fn from(error: RowsError) -> Self {
        Self::new(of_dirac(error.fault), error.message)
    }
}

impl From<DisetError> for Trouble {
    fn from(error: DisetError) -> Self {
        Self::new(of_dirac(error.fault()), error.to_string())
    }
}

/// The reason of what the plan says.
pub fn of_plan(reason: broker::plan::Reason) -> Reason {
    use broker::plan::Reason as Said;
    match reason {
        Said::NoPool => Reason::NoPool,
        Said::NoMatch => Reason::NoMatch,
        Said::NoOffering => Reason::NoOffering,
        Said::PoolMax => Reason::PoolMax,
        Said::VoLimit => Reason::VoLimit,
        Said::CloudCeiling => Reason::CloudCeiling,
        Said::CloudQuota => Reason::CloudQuota,
        Said::NoCapacity => Reason::NoCapacity,
        Said::VmsFail => Reason::VmsFail,
        Said::Ramp => Reason::Ramp,
        Said::NeverMatched => Reason::NeverMatched,
        Said::JobsDie => Reason::JobsDie,
        Said::SiteLimit => Reason::SiteLimit,
        Said::InstallationLimit => Reason::InstallationLimit,
        Said::Budget => Reason::Budget,
        Said::NoPrice => Reason::NoPrice,
        Said::Downtime => Reason::Downtime,
        Said::CredentialEnds => Reason::CredentialEnds,
        Said::Drifted => Reason::Drifted,
        Said::Pace => Reason::Pace,
        Said::Paused => Reason::Paused,
        Said::Held => Reason::Held,
        Said::PilotVMsNotMade => Reason::PilotVMsNotMade,
    }
}

#[cfg(test)]
mod tests {
    use broker::cloud::Scope;
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn what_a_provider_said_has_the_word_under_which_its_calls_are_counted() {
        let text = String::new;
        let errors = [
            CloudError::NotFound(text()),
            CloudError::AddressNotAllowed(text()),
            CloudError::Conflict(text()),
            CloudError::NoCapacity { message: text(), scope: Scope::Offer },
            CloudError::Quota { message: text(), scope: Scope::Cloud },
            CloudError::Throttled { message: text(), retry_after: None },
            CloudError::Unauthorized(text()),
            CloudError::Invalid(text()),
            CloudError::Transient(text()),
            CloudError::Unclear { message: text(), until: Timestamp::UNIX_EPOCH },
        ];
        for error in errors {
            assert_eq!(of_cloud(&error).as_str(), error.reason());
        }
    }
}
