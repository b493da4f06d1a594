//! Certificates for testbeds: a CA of their own and what it signs, in PEM.

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};

/// A certificate authority that signs for one testbed.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate in PEM.
    pub certificate: String,
}

/// A certificate and its key, both PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate in PEM.
    pub certificate: String,
    /// The private key in PEM (PKCS #8).
    pub key: String,
}

/// A distinguished name from its parts in order, such as `[("O", "system:masters"), ("CN", "admin")]`.
fn name(parts: &[(&str, &str)]) -> DistinguishedName {
    let mut dn = DistinguishedName::new();
    for (kind, value) in parts {
        let kind = match *kind {
            "C" => DnType::CountryName,
            "O" => DnType::OrganizationName,
            "OU" => DnType::OrganizationalUnitName,
            _ => DnType::CommonName,
        };
        dn.push(kind, *value);
    }
    dn
}

/// For longer than any test. From 2050 on dates have another form, which DIRAC's client cannot read.
fn valid(params: &mut CertificateParams) {
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2049, 12, 31));
}

impl Authority {
    /// An authority whose subject has these parts, for example `("CN", "DIRAC CA")`.
    pub fn new(parts: &[(&str, &str)]) -> Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = name(parts);
        valid(&mut params);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), certificate })
    }

    /// A certificate for a server and client, with these subject alternative names (DNS names or addresses).
    pub fn issue(&self, parts: &[(&str, &str)], names: &[&str]) -> Result<Identity> {
        self.issue_with(parts, names, |_| ())
    }

    /// The same, with a validity that ended on the first day of `year`.
    pub fn issue_expired(&self, parts: &[(&str, &str)], names: &[&str], year: i32) -> Result<Identity> {
        self.issue_with(parts, names, |params| {
            (params.not_before, params.not_after) = (date_time_ymd(year - 1, 1, 1), date_time_ymd(year, 1, 1));
        })
    }

    fn issue_with(
        &self,
        parts: &[(&str, &str)],
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Result<Identity> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>())?;
        params.distinguished_name = name(parts);
        valid(&mut params);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Identity { certificate, key: key.serialize_pem() })
    }
}
