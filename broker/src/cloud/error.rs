//! The closed set of errors that drives all policy towards clouds.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::address::NotAllowed;

/// How far a refusal reaches: what else would be refused now for the same reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// This flavor in this zone, bought in this way. Nova: no host has room. EC2: `InsufficientInstanceCapacity`, or
    /// `SpotMaxPriceTooLow`.
    Offer,
    /// Everything in this zone. EC2: `InsufficientFreeAddressesInSubnet`.
    Zone,
    /// Everything of this quota class. EC2: `VcpuLimitExceeded`, `MaxSpotInstanceCountExceeded`.
    Class,
    /// Everything. Nova: the quotas of servers and ports, no address left. EC2: `InstanceLimitExceeded`, `PendingVerification`.
    Cloud,
}

/// What a provider said, reduced to what one can do about it. Texts are lower-case sentences without secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloudError {
    /// The provider has no such thing; the text says which.
    #[error("not found: {0}")]
    NotFound(String),
    /// The state of the thing does not allow it now.
    #[error("conflict: {0}")]
    Conflict(String),
    /// The provider has no room.
    #[error("no capacity: {message}")]
    NoCapacity {
        /// The provider's words, shortened.
        message: String,
        /// What else has no room now.
        scope: Scope,
    },
    /// A quota is used up.
    #[error("quota: {message}")]
    Quota {
        /// The provider's words, shortened.
        message: String,
        /// What else the quota stops.
        scope: Scope,
    },
    /// Too many requests. It was not carried out.
    #[error("throttled: {message}")]
    Throttled {
        /// The provider's words, shortened.
        message: String,
        /// When to come back, where anybody knows.
        retry_after: Option<Duration>,
    },
    /// The credential is refused, expired or has too few rights.
    #[error("unauthorized: {0}")]
    Unauthorized(String),
    /// The request can never work as it is.
    #[error("invalid: {0}")]
    Invalid(String),
    /// The operator may not ask this address. Nothing was sent.
    #[error("address not allowed: {0}")]
    AddressNotAllowed(String),
    /// No answer, or a server error, and nothing was carried out: nobody was reached, it was only a question, or it was looked into.
    #[error("transient: {0}")]
    Transient(String),
    /// An order that may have been carried out, or may still be: the reply was lost, or a gateway answered instead of it.
    #[error("it is not clear whether the VM was made: {message}")]
    Unclear {
        /// What happened to the call, in words.
        message: String,
        /// Until then the same attempt is repeated, which only looks. What has not appeared by then will not appear.
        until: Timestamp,
    },
}

/// What the caller does next, by the error alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Repeat the call after a growing pause; a create as the next attempt.
    Retry,
    /// The same, not before this pause.
    RetryAfter(Duration),
    /// Repeat the same attempt after a pause, which only looks. The doubt ends at this moment.
    LookUntil(Timestamp),
    /// What the scope names is of no use now: give the demand to another.
    Elsewhere(Scope),
    /// Nothing will help but a change of credential or manifest: say so, look again slowly.
    GiveUp,
    /// The thing is not there: for a delete that is success.
    Gone,
}

impl From<NotAllowed> for CloudError {
    fn from(refusal: NotAllowed) -> Self {
        Self::AddressNotAllowed(refusal.to_string())
    }
}

impl CloudError {
    /// What to do next; nothing else decides that.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::NotFound(_) => Disposition::Gone,
            Self::Conflict(_) | Self::Transient(_) => Disposition::Retry,
            Self::NoCapacity { scope, .. } | Self::Quota { scope, .. } => Disposition::Elsewhere(*scope),
            Self::Throttled { retry_after, .. } => {
                Disposition::RetryAfter(retry_after.unwrap_or(Duration::from_secs(10)))
            }
            Self::Unclear { until, .. } => Disposition::LookUntil(*until),
            Self::Unauthorized(_) | Self::Invalid(_) | Self::AddressNotAllowed(_) => Disposition::GiveUp,
        }
    }

    /// Machine-readable reason: the condition's reason and the metric label.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "NotFound",
            Self::AddressNotAllowed(_) => "AddressNotAllowed",
            Self::Conflict(_) => "Conflict",
            Self::NoCapacity { .. } => "NoCapacity",
            Self::Quota { .. } => "QuotaExceeded",
            Self::Throttled { .. } => "Throttled",
            Self::Unauthorized(_) => "Unauthorized",
            Self::Invalid(_) => "Invalid",
            Self::Transient(_) => "Transient",
            Self::Unclear { .. } => "Unclear",
        }
    }
}
