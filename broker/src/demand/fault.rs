//! Why DIRAC could not be read or written: one word for the condition, the metric and the log.

use std::fmt;

/// Why a call to DIRAC failed. Its word is the variant's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The address cannot be read.
    BadUrl,
    /// Certificate, key or CA cannot be read, or do not fit each other.
    BadCredentials,
    /// Our certificate has ended.
    CertificateExpired,
    /// Our certificate will be valid only later.
    CertificateNotYetValid,
    /// The operator may not ask this address.
    AddressNotAllowed,
    /// No connection comes about.
    Unreachable,
    /// One side refused the other's certificate.
    CertificateRefused,
    /// What answers does not speak TLS.
    NoTls,
    /// DIRAC does not let us do this.
    Unauthorized,
    /// The service has no such method.
    UnknownMethod,
    /// The service answered with an error of its own.
    ServiceError,
    /// No answer within the deadline.
    Timeout,
    /// The answer is larger than we read.
    AnswerTooLarge,
    /// The answer is not what the service says by its protocol.
    Garbage,
}

impl fmt::Display for Fault {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, to)
    }
}
