//! What a failed TLS handshake means: a sentence that says whose certificate is wrong, and what to do.

use jiff::Timestamp;
use rustls::{AlertDescription, CertificateError, Error};
use rustls_pki_types::UnixTime;

use super::{error::day, validity::Validity};

/// The sentence, where the error is about a certificate; `None` where it is about something else. `own` are the dates of our certificate,
/// where they are known.
pub fn refused(error: &Error, own: Option<Validity>) -> Option<String> {
    match error {
        Error::InvalidCertificate(reason) => Some(format!("we refuse the server's certificate: {}", theirs(reason))),
        Error::AlertReceived(alert) if is_about_a_certificate(*alert) => {
            Some(format!("the server refuses our certificate ({alert:?}): {}", ours(*alert, own)))
        }
        _ => None,
    }
}

/// Whether servers refuse a client's certificate with this alert (RFC 8446 §6.2). Some servers only say that the handshake failed.
fn is_about_a_certificate(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::NoCertificate
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
            | Alert::HandshakeFailure
            | Alert::CertificateRequired
    )
}

fn theirs(reason: &CertificateError) -> String {
    let when = |t: &UnixTime| {
        let second = i64::try_from(t.as_secs()).ok().and_then(|s| Timestamp::from_second(s).ok());
        second.map_or_else(|| "an unknown day".to_owned(), day)
    };
    match reason {
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("it ended on {}; the service's host certificate must be renewed", when(not_after))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("it is valid only from {}; compare the clocks of both hosts", when(not_before))
        }
        CertificateError::UnknownIssuer => {
            format!("{reason}; put the CA that signed it into ca.crt of the secret")
        }
        CertificateError::NotValidForNameContext { .. } => {
            format!("{reason}; write the address with a host name that is in the certificate")
        }
        other => {
            format!(
                "{other}; check that ca.crt of the secret holds the CA that signed it and that the host name is in the certificate"
            )
        }
    }
}

fn ours(alert: AlertDescription, own: Option<Validity>) -> String {
    match (alert, own) {
        (AlertDescription::CertificateExpired, Some(own)) => format!(
            "the server says that it has ended, and its last moment is {}; renew it in the secret, or compare the clocks of both hosts",
            day(own.ends)
        ),
        (AlertDescription::CertificateExpired, None) => {
            "the server says that it has ended; renew it in the secret".to_owned()
        }
        (AlertDescription::UnknownCA, _) => "DIRAC's host must trust the CA that signed it".to_owned(),
        (AlertDescription::CertificateRevoked, _) => "it was revoked; put a new one into the secret".to_owned(),
        _ => "check that it is a client certificate and that DIRAC's host trusts its CA".to_owned(),
    }
}
