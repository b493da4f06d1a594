//! When certificates are valid: the two dates of an X.509 certificate, and nothing else of it.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use super::der::{Element, INTEGER, SEQUENCE, element, expect};

/// The time in which a certificate, or a whole chain, is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub begins: Timestamp,
    /// The last moment.
    pub ends: Timestamp,
}

impl Validity {
    /// The time in which both are valid.
    pub fn and(self, other: Self) -> Self {
        Self { begins: self.begins.max(other.begins), ends: self.ends.min(other.ends) }
    }
}

/// The dates of a certificate in DER (RFC 5280 §4.1); `None` where they cannot be found.
pub fn of(certificate: &[u8]) -> Option<Validity> {
    let (dates, _) = expect(SEQUENCE, from_dates(certificate)?)?;
    let (begins, rest) = element(dates)?;
    let (ends, _) = element(rest)?;
    Some(Validity { begins: time(begins)?, ends: time(ends)? })
}

/// What a certificate signs, from its dates on: they and the subject follow serial number, algorithm and issuer (RFC 5280 §4.1).
pub(super) fn from_dates(certificate: &[u8]) -> Option<&[u8]> {
    const VERSION: u8 = 0xa0;
    let (content, _) = expect(SEQUENCE, certificate)?;
    let (mut signed, _) = expect(SEQUENCE, content)?;
    if let Some((_, rest)) = expect(VERSION, signed) {
        signed = rest;
    }
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        (_, signed) = expect(tag, signed)?;
    }
    Some(signed)
}

/// `UTCTime` with two digits of the year, or `GeneralizedTime` with four; both end in Z.
fn time((tag, content): Element<'_>) -> Option<Timestamp> {
    const UTC_TIME: u8 = 0x17;
    const GENERALIZED_TIME: u8 = 0x18;
    let text = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    let century = match (tag, text.get(..2)?) {
        (UTC_TIME, year) if year < "50" => "20",
        (UTC_TIME, _) => "19",
        (GENERALIZED_TIME, _) => "",
        _ => return None,
    };
    let civil = DateTime::strptime("%Y%m%d%H%M%S", format!("{century}{text}")).ok()?;
    civil.to_zoned(TimeZone::UTC).ok().map(|z| z.timestamp())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn dates(from: i32, to: i32) -> Validity {
        let mut params =
            CertificateParams::new(vec!["a name so long that lengths need more bytes. ".repeat(4)]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(from, 3, 1), date_time_ymd(to, 11, 30));
        of(params.self_signed(&KeyPair::generate().unwrap()).unwrap().der()).unwrap()
    }

    #[test]
    fn dates_of_all_centuries_are_read() {
        for (from, to) in [(1975, 1999), (2000, 2049), (2026, 2050), (2026, 4096)] {
            let found = dates(from, to);
            assert_eq!(found.begins.to_string(), format!("{from}-03-01T00:00:00Z"));
            assert_eq!(found.ends.to_string(), format!("{to}-11-30T00:00:00Z"));
        }
    }

    #[test]
    fn a_chain_is_valid_while_all_of_it_is() {
        let (one, two) = (dates(2020, 2030), dates(2024, 2028));
        assert_eq!(one.and(two), two);
        assert_eq!(two.and(dates(2025, 2040)).ends, two.ends);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let whole = rcgen::CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap();
        for cut in 0..whole.der().len().min(200) {
            of(&whole.der()[..cut]);
            let mut bent = whole.der().to_vec();
            bent[cut] ^= 0xff;
            of(&bent);
        }
        assert_eq!(of(b"\x30\x84\xff\xff\xff\xff"), None);
    }
}
