//! The closed set of errors that drives all policy towards clouds.

use std::time::Duration;

/// What a provider said, reduced to what one can do about it. Texts are lower-case sentences without secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloudError {
    /// What was named is not there.
    #[error("not found: {0}")]
    NotFound(String),
    /// The state of the thing does not allow it now.
    #[error("conflict: {0}")]
    Conflict(String),
    /// The provider has no room for this offering.
    #[error("no capacity: {0}")]
    NoCapacity(String),
    /// The project's quota is used up.
    #[error("quota: {0}")]
    Quota(String),
    /// Too many requests.
    #[error("throttled: {message}")]
    Throttled {
        /// What was said.
        message: String,
        /// When to come back, where the provider says so.
        retry_after: Option<Duration>,
    },
    /// The credential is refused, expired or has too few rights.
    #[error("unauthorized: {0}")]
    Unauthorized(String),
    /// The request can never work as it is.
    #[error("invalid: {0}")]
    Invalid(String),
    /// Time-out, reset, server error: the outcome may be unclear.
    #[error("transient: {0}")]
    Transient(String),
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Repeat the same call after a growing pause.
    Retry,
    /// Repeat the same call not before this pause.
    RetryAfter(Duration),
    /// This offering is of no use now: give the demand to another.
    Elsewhere,
    /// Nothing will help but a change of credential or manifest: say so, look again slowly.
    GiveUp,
    /// The thing is not there: for a delete that is success.
    Gone,
}

impl CloudError {
    /// What to do next; nothing else decides that.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::NotFound(_) => Disposition::Gone,
            Self::Conflict(_) | Self::Transient(_) => Disposition::Retry,
            Self::NoCapacity(_) | Self::Quota(_) => Disposition::Elsewhere,
            Self::Throttled { retry_after, .. } => {
                Disposition::RetryAfter(retry_after.unwrap_or(Duration::from_secs(10)))
            }
            Self::Unauthorized(_) | Self::Invalid(_) => Disposition::GiveUp,
        }
    }

    /// Machine-readable reason: the condition's reason and the metric label.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "NotFound",
            Self::Conflict(_) => "Conflict",
            Self::NoCapacity(_) => "NoCapacity",
            Self::Quota(_) => "QuotaExceeded",
            Self::Throttled { .. } => "Throttled",
            Self::Unauthorized(_) => "Unauthorized",
            Self::Invalid(_) => "Invalid",
            Self::Transient(_) => "Transient",
        }
    }
}
