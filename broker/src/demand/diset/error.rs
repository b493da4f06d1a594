//! Everything that can go wrong in a DISET call, each with a sentence that says what to do.

use std::time::Duration;

use jiff::Timestamp;

use crate::demand::Fault;

/// Why a call failed. `url` is the service's address, `method` what was called. No text holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum DisetError {
    /// The address cannot be read.
    #[error("{0:?} is not the address of a DIRAC service: write dips://host:port/System/Service")]
    BadUrl(String),
    /// Certificate, key or CA cannot be read, or do not fit each other.
    #[error("the client certificate cannot be used: {0}; look at tls.crt, tls.key and ca.crt of the secret")]
    BadCredentials(String),
    /// Our certificate, or a certificate of its chain, has ended. Nothing was sent.
    #[error("the client certificate ended on {}; put a renewed one into tls.crt and tls.key of the secret", day(*ended))]
    CertificateExpired {
        /// Its last moment.
        ended: Timestamp,
    },
    /// Our certificate, or a certificate of its chain, is not valid yet. Nothing was sent.
    #[error("the client certificate is valid only from {}; compare the clock of the operator's host", day(*begins))]
    CertificateNotYetValid {
        /// Its first moment.
        begins: Timestamp,
    },
    /// The operator may not ask this address. Nothing was sent.
    #[error("{0}")]
    AddressNotAllowed(String),
    /// No connection to the address comes about.
    #[error("{url} cannot be reached: {what}; check that the service runs and that the address is right")]
    Unreachable {
        /// The service's address.
        url: String,
        /// The system's words.
        what: String,
    },
    /// One side refused the other's certificate.
    #[error("{url}: the TLS handshake failed: {what}")]
    CertificateRefused {
        /// The service's address.
        url: String,
        /// Whose certificate was refused, and what to do.
        what: String,
    },
    /// What answers does not speak TLS, or no version of it that we speak.
    #[error("{url}: no TLS connection could be made: {what}; check that the address is that of a DIRAC service")]
    NoTls {
        /// The service's address.
        url: String,
        /// What the TLS library says.
        what: String,
    },
    /// DIRAC does not let us do this.
    #[error(
        "{url} does not let us call {method}: {what}; check the group in the credentials and its properties in DIRAC's registry"
    )]
    Unauthorized {
        /// The service's address.
        url: String,
        /// The method that was called.
        method: String,
        /// DIRAC's words.
        what: String,
    },
    /// The service has no such method.
    #[error("{url} does not have the method {method}: {what}; check that the address is that of the right service")]
    UnknownMethod {
        /// The service's address.
        url: String,
        /// The method that was called.
        method: String,
        /// DIRAC's words.
        what: String,
    },
    /// The service answered with an error of its own.
    #[error("{url} answered {method} with an error ({errno}): {what}")]
    Service {
        /// The service's address.
        url: String,
        /// The method that was called.
        method: String,
        /// DIRAC's number of the error; 0: none said.
        errno: i64,
        /// DIRAC's words.
        what: String,
    },
    /// No answer within the deadline of the call.
    #[error("{url} has not answered {method} within {} s; it may be down or overloaded", deadline.as_secs())]
    Timeout {
        /// The service's address.
        url: String,
        /// The method that was called.
        method: String,
        /// The time that the whole call had.
        deadline: Duration,
    },
    /// The answer is larger than we read.
    #[error(
        "the answer of {url} to {method} has {size} {of}, more than the {limit} that are read at most; check that the address is that of the right service"
    )]
    TooLarge {
        /// The service's address.
        url: String,
        /// The method that was called.
        method: String,
        /// How large the answer is, counted in `of`.
        size: usize,
        /// The largest size that is read, in `of`.
        limit: usize,
        /// The unit: `bytes` or `JSON values`.
        of: &'static str,
    },
    /// The answer cannot be read as DISET.
    #[error("the answer of {url} to {method} is not DISET: {what}; check that the address is that of a DIRAC service")]
    Garbage {
        /// The service's address.
        url: String,
        /// The method that was called.
        method: String,
        /// What in the answer could not be read.
        what: String,
    },
}

impl DisetError {
    /// What went wrong, without the circumstances.
    pub fn fault(&self) -> Fault {
        match self {
            Self::BadUrl(_) => Fault::BadUrl,
            Self::BadCredentials(_) => Fault::BadCredentials,
            Self::CertificateExpired { .. } => Fault::CertificateExpired,
            Self::CertificateNotYetValid { .. } => Fault::CertificateNotYetValid,
            Self::AddressNotAllowed(_) => Fault::AddressNotAllowed,
            Self::Unreachable { .. } => Fault::Unreachable,
            Self::CertificateRefused { .. } => Fault::CertificateRefused,
            Self::NoTls { .. } => Fault::NoTls,
            Self::Unauthorized { .. } => Fault::Unauthorized,
            Self::UnknownMethod { .. } => Fault::UnknownMethod,
            Self::Service { .. } => Fault::ServiceError,
            Self::Timeout { .. } => Fault::Timeout,
            Self::TooLarge { .. } => Fault::AnswerTooLarge,
            Self::Garbage { .. } => Fault::Garbage,
        }
    }
}

/// A moment for people: `2026-01-02 03:04 UTC`.
pub fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
