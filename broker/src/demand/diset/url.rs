//! Addresses of DIRAC services: `dips://host:port/System/Service`, several of them separated by commas as in DIRAC's configuration.

use std::{fmt, str::FromStr};

use super::DisetError;

/// Where a service is, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceUrl {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// `System/Service`, such as `WorkloadManagement/Matcher`.
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

    /// The address with this number, counted round and round.
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
