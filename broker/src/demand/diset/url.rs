//! Addresses of DIRAC services: `dips://host:port/System/Service`, several of them separated by commas as in DIRAC's configuration.

use std::{fmt, str::FromStr};

use super::DisetError;

/// The address of one service of DIRAC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceUrl {
    /// Host name or address.
    pub host: String,
    /// TCP port. It must be written: DISET has no default port.
    pub port: u16,
    /// `System/Service`, for example `WorkloadManagement/Matcher`.
    pub service: String,
}

impl FromStr for ServiceUrl {
    type Err = DisetError;
    fn from_str(text: &str) -> Result<Self, DisetError> {
        let parse = || {
            let (authority, service) = text.strip_prefix("dips://")?.split_once('/')?;
            let (host, port) = authority.rsplit_once(':')?;
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let parts = service.split('/').filter(|p| !p.is_empty()).count();
            let fits = !host.is_empty() && parts == 2 && !service.ends_with('/');
            fits.then_some(Self { host: host.to_owned(), port: port.parse().ok()?, service: service.to_owned() })
        };
        parse().ok_or_else(|| DisetError::BadUrl(text.chars().take(200).collect()))
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dips://{}:{}/{}", self.host, self.port, self.service)
    }
}

/// The addresses of one service: at least one. DIRAC's configuration writes a service that runs more than once as
/// `dips://a:9170/WorkloadManagement/Matcher, dips://b:9170/WorkloadManagement/Matcher` (`/Systems/<System>/URLs`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses(Vec<ServiceUrl>);

impl Addresses {
    /// How many there are: 1 or more.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// The address with this number; after the last comes the first.
    pub(super) fn at(&self, number: usize) -> &ServiceUrl {
        &self.0[number % self.0.len()]
    }
}

impl From<ServiceUrl> for Addresses {
    fn from(url: ServiceUrl) -> Self {
        Self(vec![url])
    }
}

impl FromStr for Addresses {
    type Err = DisetError;
    fn from_str(text: &str) -> Result<Self, DisetError> {
        text.split(',').map(|one| one.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_or_refused() {
        let url: ServiceUrl = "dips://dirac.example.org:9170/WorkloadManagement/Matcher".parse().unwrap();
        assert_eq!(
            (url.host.as_str(), url.port, url.service.as_str()),
            ("dirac.example.org", 9170, "WorkloadManagement/Matcher")
        );
        assert_eq!(url.to_string(), "dips://dirac.example.org:9170/WorkloadManagement/Matcher");
        for bad in [
            "",
            "dips://",
            "https://h:1/A/B",
            "dips://h/A/B",
            "dips://h:1/A",
            "dips://h:99999/A/B",
            "dips://:1/A/B",
            "dips://h:1/A/B/C",
        ] {
            assert!(bad.parse::<ServiceUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn several_addresses_are_read_as_dirac_writes_them() {
        let text = "dips://a.example.org:9170/WorkloadManagement/Matcher, dips://[::1]:9170/WorkloadManagement/Matcher";
        let both: Addresses = text.parse().unwrap();
        assert_eq!((both.count(), both.at(0).host.as_str(), both.at(1).host.as_str()), (2, "a.example.org", "::1"));
        for bad in ["", ",", "dips://a:1/A/B,", "dips://a:1/A/B,http://b"] {
            assert!(bad.parse::<Addresses>().is_err(), "{bad}");
        }
    }
}
