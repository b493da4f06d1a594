//! TLS with a client certificate.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::{ClientConfig, RootCertStore, client::Resumption};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use secrecy::{ExposeSecret, SecretString};

use super::{
    DisetError, subject,
    validity::{self, Validity},
};

/// The most certificates that are read of a bundle; the whole grid has some hundred authorities.
const MOST_AUTHORITIES: usize = 2_000;

/// How we show DIRAC who we are, in PEM.
#[derive(Clone)]
pub struct Credentials {
    /// The client certificate, followed by those that chain it to the CA.
    pub certificate: SecretString,
    /// The private key of the client certificate.
    pub key: SecretString,
    /// The CA certificates against which servers are checked.
    pub ca: SecretString,
}

impl Credentials {
    /// Of whom the client certificate is, as DIRAC writes names; `None` where that cannot be read.
    pub fn subject(&self) -> Option<String> {
        subject::of_chain(&certificates(&self.certificate, "tls.crt").ok()?)
    }

    /// When the client certificate, or one of its chain, ends; `None` where that cannot be read.
    pub fn ends(&self) -> Option<Timestamp> {
        Some(validity(self)?.ends)
    }
}

/// When the client certificate and its whole chain are valid; `None` where that cannot be read.
pub fn validity(credentials: &Credentials) -> Option<Validity> {
    let chain = certificates(&credentials.certificate, "tls.crt").ok()?;
    chain.iter().filter_map(|c| validity::of(c)).reduce(Validity::and)
}

/// A TLS configuration for these credentials.
pub fn config(credentials: &Credentials) -> Result<ClientConfig, DisetError> {
    let roots = authorities(&credentials.ca)?;
    let chain = certificates(&credentials.certificate, "tls.crt")?;
    let key = PrivateKeyDer::from_pem_slice(credentials.key.expose_secret().as_bytes())
        .map_err(|_| bad("tls.key holds no private key in PEM"))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| bad(&e.to_string()))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|e| bad(&format!("tls.crt and tls.key: {e}")))?;
    // DIRAC's server closes the second connection of a resumed session without an answer.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The authorities of a bundle. Bundles of grid authorities hold some that a TLS library cannot read: these are left out, which the log
/// says, and the rest is used.
fn authorities(bundle: &SecretString) -> Result<RootCertStore, DisetError> {
    let mut roots = RootCertStore::empty();
    let (mut unread, mut readable) = (0_usize, Vec::new());
    for certificate in CertificateDer::pem_slice_iter(bundle.expose_secret().as_bytes()).take(MOST_AUTHORITIES) {
        match certificate {
            Ok(certificate) => readable.push(certificate),
            Err(_) => unread += 1,
        }
    }
    let (used, unusable) = roots.add_parsable_certificates(readable);
    if used == 0 {
        return Err(bad("ca.crt holds no certificate in PEM that can be used as an authority"));
    }
    if unread + unusable > 0 {
        let left_out = unread + unusable;
        tracing::warn!(left_out, used, "certificates of ca.crt cannot be read and are left out");
    }
    Ok(roots)
}

fn certificates(pem: &SecretString, name: &str) -> Result<Vec<CertificateDer<'static>>, DisetError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.expose_secret().as_bytes()).collect();
    match all {
        Ok(list) if !list.is_empty() => Ok(list),
        Ok(_) => Err(bad(&format!("{name} holds no certificate in PEM"))),
        Err(_) => Err(bad(&format!("{name} is not PEM"))),
    }
}

fn bad(what: &str) -> DisetError {
    DisetError::BadCredentials(what.to_owned())
}
