//! Addresses of DIRAC services: `dips://host:port/System/Service`.

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
