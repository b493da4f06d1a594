//! Who a certificate is of, as DIRAC writes names: `/C=ch/O=TestGrid/CN=opuser`.

use std::fmt::Write;

use super::{
    der::{SEQUENCE, SET, element, expect},
    validity,
};

/// The parts of names that have a short word in OpenSSL, which makes DIRAC's text, by their identifiers in DER.
const WORDS: [(&[u8], &str); 11] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 4], "SN"),
    (&[0x55, 4, 5], "serialNumber"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 42], "GN"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1], "emailAddress"),
];
/// The extension that makes a certificate a proxy (RFC 3820), with the tag and length of its identifier.
const PROXY: [u8; 10] = [0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x0e];

/// Of whom this chain is, the client's certificate first: a proxy acts for who signed it. `None` where the name cannot be read.
pub(super) fn of_chain<C: AsRef<[u8]>>(chain: &[C]) -> Option<String> {
    let is_proxy = |certificate: &[u8]| certificate.windows(PROXY.len()).any(|bytes| bytes == PROXY);
    of(chain.iter().map(AsRef::as_ref).find(|certificate| !is_proxy(certificate))?)
}

/// The subject of a certificate in DER.
fn of(certificate: &[u8]) -> Option<String> {
    let (_, rest) = expect(SEQUENCE, validity::from_dates(certificate)?)?;
    let (mut names, _) = expect(SEQUENCE, rest)?;
    let mut text = String::new();
    while !names.is_empty() {
        let (mut set, rest) = expect(SET, names)?;
        names = rest;
        while !set.is_empty() {
            let (pair, rest) = expect(SEQUENCE, set)?;
            set = rest;
            name(&mut text, pair)?;
        }
    }
    (!text.is_empty()).then_some(text)
}

/// Writes one part, as OpenSSL's `X509_NAME_oneline` does: bytes that are not plain ASCII are written by their number.
fn name(text: &mut String, pair: &[u8]) -> Option<()> {
    const IDENTIFIER: u8 = 0x06;
    let (identifier, rest) = expect(IDENTIFIER, pair)?;
    let (_, word) = WORDS.iter().find(|(known, _)| *known == identifier)?;
    let ((_, value), _) = element(rest)?;
    write!(text, "/{word}=").ok()?;
    for byte in value {
        match byte {
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => write!(text, "\\x{byte:02X}").ok()?,
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CustomExtension, DistinguishedName, DnType, KeyPair};

    use super::*;

    fn certificate(names: &[(DnType, &str)], is_proxy: bool) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (type_, value) in names {
            params.distinguished_name.push(type_.clone(), *value);
        }
        if is_proxy {
            params.custom_extensions =
                vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 14], vec![0x30, 0x00])];
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn names_are_written_as_dirac_writes_them() {
        let email = DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]);
        let domain = DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 25]);
        for (names, text) in [
            (
                vec![
                    (DnType::CountryName, "ch"),
                    (DnType::OrganizationName, "TestGrid"),
                    (DnType::CommonName, "opuser"),
                ],
                "/C=ch/O=TestGrid/CN=opuser",
            ),
            (vec![(domain, "org"), (DnType::CommonName, "a/b"), (email, "a@b")], "/DC=org/CN=a/b/emailAddress=a@b"),
            (vec![(DnType::OrganizationalUnitName, "é")], "/OU=\\xC3\\xA9"),
        ] {
            assert_eq!(of_chain(&[certificate(&names, false)]).as_deref(), Some(text));
        }
        let odd = DnType::CustomDnType(vec![1, 2, 3, 4]);
        assert_eq!(
            of_chain(&[certificate(&[(odd, "x")], false)]),
            None,
            "a name of which a part is unknown is unknown"
        );
    }

    #[test]
    fn a_proxy_is_of_who_signed_it() {
        let (user, proxy) = ([(DnType::CommonName, "opuser")], [(DnType::CommonName, "12345")]);
        let chain = [certificate(&proxy, true), certificate(&user, false)];
        assert_eq!(of_chain(&chain).as_deref(), Some("/CN=opuser"));
        assert_eq!(of_chain(&chain[..1]), None);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let whole = certificate(&[(DnType::CommonName, "opuser")], false);
        for cut in 0..whole.len().min(300) {
            of(&whole[..cut]);
            let mut bent = whole.clone();
            bent[cut] ^= 0xff;
            of(&bent);
        }
    }
}
