//! The installation's own certificate authority, where the manifest names no certificate, and the host certificate that it signs.

use std::collections::BTreeMap;

use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};
use k8s_openapi::ByteString;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};

/// What a Secret of Kubernetes's type `kubernetes.io/tls` has, and the authorities beside it.
pub const CERTIFICATE: &str = "tls.crt";
pub const KEY: &str = "tls.key";
pub const AUTHORITIES: &str = "ca.crt";

/// Years for which an authority is good, and days for which a host certificate is.
const AUTHORITY_YEARS: i64 = 10;
const HOST_DAYS: i64 = 365;
/// A host certificate is signed anew when it has no more days than this.
pub const RENEWED_BEFORE_DAYS: i64 = 60;

/// Why keys cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("a signing key cannot be made: {0}")]
pub struct NoKey(#[from] rcgen::Error);

/// The `data` of a Secret.
pub type Data = BTreeMap<String, ByteString>;

/// A new authority, called after the installation.
pub fn make(installation: &str, now: Timestamp) -> Result<Data, NoKey> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = authority(installation, now).self_signed(&key)?.pem();
    Ok(data([(CERTIFICATE, certificate), (KEY, key.serialize_pem())]))
}

/// A host certificate of the installation's authority for these names, the first of which is the host's.
pub fn sign(authority_of: &str, authority: &Data, names: &[String], now: Timestamp) -> Result<Data, NoKey> {
    let text = |name: &str| {
        let bytes = authority.get(name).map(|value| value.0.as_slice()).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| rcgen::Error::CouldNotParseKeyPair)
    };
    let issuer = Issuer::new(self::authority(authority_of, now), KeyPair::from_pem(text(KEY)?)?);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name = name(names.first().map_or("localhost", String::as_str));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let today = day(now);
    let end = today.checked_add(Span::new().days(HOST_DAYS)).unwrap_or(today);
    between(&mut params, today, end);
    let signed = params.signed_by(&key, &issuer)?.pem();
    Ok(data([(CERTIFICATE, signed), (KEY, key.serialize_pem()), (AUTHORITIES, text(CERTIFICATE)?.to_owned())]))
}

fn authority(installation: &str, now: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(&format!("{installation} CA"));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let today = day(now);
    between(&mut params, today, today.checked_add(Span::new().years(AUTHORITY_YEARS)).unwrap_or(today));
    params
}

/// Valid until this day. Clocks of nodes differ: from yesterday on.
fn between(params: &mut CertificateParams, today: Date, end: Date) {
    let of = |day: Date| date_time_ymd(i32::from(day.year()), day.month().unsigned_abs(), day.day().unsigned_abs());
    (params.not_before, params.not_after) = (of(today.yesterday().unwrap_or(today)), of(end));
}

fn data<const N: usize>(values: [(&str, String); N]) -> Data {
    values.into_iter().map(|(name, text)| (name.to_owned(), ByteString(text.into_bytes()))).collect()
}

/// A name as DIRAC shows it: `/O=DIRAC/CN=dirac.example.org`.
fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "DIRAC");
    name.push(DnType::CommonName, common);
    name
}

fn day(now: Timestamp) -> Date {
    now.to_zoned(TimeZone::UTC).date()
}

#[cfg(test)]
mod tests {
    use broker::demand::diset::Credentials;
    use secrecy::SecretString;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-30T12:00:00Z".parse().unwrap()
    }

    fn text(data: &Data, name: &str) -> SecretString {
        String::from_utf8(data[name].0.clone()).unwrap().into()
    }

    #[test]
    fn a_host_certificate_has_the_hosts_name_and_ends_in_a_year() {
        let authority = make("escape", now()).unwrap();
        let host = sign("escape", &authority, &["dirac.example.org".into(), "escape.dirac.svc".into()], now()).unwrap();
        let credentials =
            Credentials { certificate: text(&host, CERTIFICATE), key: text(&host, KEY), ca: text(&host, AUTHORITIES) };
        assert_eq!(credentials.subject().as_deref(), Some("/O=DIRAC/CN=dirac.example.org"));
        let days = (credentials.ends().unwrap().as_second() - now().as_second()) / 86_400;
        assert!((HOST_DAYS - 1..=HOST_DAYS).contains(&days), "{days}");
        assert_eq!(host[AUTHORITIES], authority[CERTIFICATE]);
    }

    #[test]
    fn a_broken_authority_signs_nothing_and_its_key_is_not_told() {
        let mut authority = make("escape", now()).unwrap();
        authority.insert(
            KEY.into(),
            ByteString(b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n".to_vec()),
        );
        let error = sign("escape", &authority, &["dirac.example.org".into()], now()).unwrap_err().to_string();
        assert!(!error.contains("c2VjcmV0"), "{error}");
    }
}
