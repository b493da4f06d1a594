//! What is wrong with something outside, in the words of a condition. This is where what others answer becomes a reason of ours.

use broker::{
    cloud::CloudError,
    demand::{DemandError, diset::DisetError},
    pilot::rows::RowsError,
};
use crds::Reason;
use serde::{Deserialize, Serialize};

/// What is wrong: the reason and the sentence of a condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// The reason.
    pub reason: Reason,
    /// The sentence.
    pub message: String,
}

impl Trouble {
    /// A trouble with this reason and sentence.
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
fn of_diset(error: &DisetError) -> Reason {
    match error {
        DisetError::BadUrl(_) => Reason::BadUrl,
        DisetError::BadCredentials(_) => Reason::BadCredentials,
        DisetError::CertificateExpired { .. } => Reason::CertificateExpired,
        DisetError::CertificateNotYetValid { .. } => Reason::CertificateNotYetValid,
        DisetError::AddressNotAllowed(_) => Reason::AddressNotAllowed,
        DisetError::Unreachable { .. } => Reason::Unreachable,
        DisetError::CertificateRefused { .. } => Reason::CertificateRefused,
        DisetError::NoTls { .. } => Reason::NoTls,
        DisetError::Unauthorized { .. } => Reason::Unauthorized,
        DisetError::UnknownMethod { .. } => Reason::UnknownMethod,
        DisetError::Service { .. } => Reason::ServiceError,
        DisetError::Timeout { .. } => Reason::Timeout,
        DisetError::TooLarge { .. } => Reason::AnswerTooLarge,
        DisetError::Garbage { .. } => Reason::Garbage,
    }
}

/// The reason of this word, as the broker's errors about DIRAC carry it.
pub fn of_word(word: &str) -> Reason {
    word.parse().unwrap_or(Reason::ServiceError)
}

impl From<&CloudError> for Trouble {
    fn from(error: &CloudError) -> Self {
        Self::new(of_cloud(error), error.to_string())
    }
}

impl From<DemandError> for Trouble {
    fn from(error: DemandError) -> Self {
        Self::new(of_word(error.reason), error.message)
    }
}

impl From<RowsError> for Trouble {
    fn from(error: RowsError) -> Self {
        Self::new(of_word(error.reason), error.message)
    }
}

impl From<DisetError> for Trouble {
    fn from(error: DisetError) -> Self {
        Self::new(of_diset(&error), error.to_string())
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

    #[test]
    fn every_word_of_a_diset_error_is_a_reason() {
        let source = include_str!("../../broker/src/demand/diset/error.rs");
        let words: Vec<&str> = source.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(words.len() > 12, "{words:?}");
        for word in words {
            assert_eq!(of_word(word).as_str(), word);
        }
    }
}
