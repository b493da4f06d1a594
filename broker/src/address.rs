//! Which addresses may be asked. Whoever may write a Cloud chooses where the operator connects, and the operator stands where they do
//! not: beside the API server, the cluster's pods and the metadata service of the machine.
//!
//! Names are checked where they are resolved, and the connection goes to the very address that was checked: a name that resolves
//! differently the next time gains nothing. Through a proxy (`HTTPS_PROXY`) it is the proxy that connects, and its own name is what
//! is resolved here.

use std::{
    error::Error,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use http::Uri;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// What is allowed beyond https and public addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Plain http, where anyone on the way reads what is sent.
    pub http: bool,
    /// Private and loopback addresses, such as 10.0.0.0/8, 127.0.0.0/8 and fc00::/7. A cluster's pods and services have such.
    pub private: bool,
}

/// Why an address is not asked. Nothing was sent, and the text does not tell what is there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// It is http; the text names the address.
    #[error("{0} is not asked, since it is not https: use https, or install the chart with allowHttp")]
    Http(String),
    /// It is private or loopback: the address itself, or all that the name stands for.
    #[error(
        "{0} is not asked, since its address is not public: use a public one, or install the chart with allowPrivateAddresses"
    )]
    Private(String),
    /// An address that is never asked.
    #[error("{0} is not asked, since no service of a cloud or of DIRAC has such an address")]
    Never(String),
}

/// Where an address lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Public,
    Private,
    /// Of this link only, of no single host, reserved, or a metadata service.
    Never,
}

/// Metadata services that are not at a link-local address such as 169.254.169.254: AWS's over IPv6, and Azure's, from
/// which a machine's agent gets its configuration (learn.microsoft.com, "What is IP address 168.63.129.16?").
const METADATA: [IpAddr; 2] =
    [IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)), IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16))];

impl Policy {
    /// Everything that can be asked at all: for testbeds, and where an installation says so.
    pub const OPEN: Self = Self { http: true, private: true };

    /// An error where this URL may not be asked. A host that is a name is checked when it is resolved.
    pub fn url(self, url: &Uri) -> Result<(), NotAllowed> {
        let host = url.host().unwrap_or_default();
        match url.scheme_str() {
            Some("https") => {}
            Some("http") if self.http => {}
            _ => return Err(NotAllowed::Http(host.to_owned())),
        }
        match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            Ok(ip) => self.ip(ip, host),
            Err(_) => Ok(()),
        }
    }

    /// Those of the addresses of `host` that may be connected to; an error where there were some and none of them may.
    pub fn among(
        self,
        host: &str,
        addresses: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Vec<SocketAddr>, NotAllowed> {
        let mut why = None;
        let mut allowed = Vec::new();
        for address in addresses {
            match self.ip(address.ip(), host) {
                Ok(()) => allowed.push(address),
                Err(error) => why = why.or(Some(error)),
            }
        }
        match why {
            Some(why) if allowed.is_empty() => Err(why),
            Some(_) | None => Ok(allowed),
        }
    }

    fn ip(self, ip: IpAddr, host: &str) -> Result<(), NotAllowed> {
        match reach(ip) {
            Reach::Public => Ok(()),
            Reach::Private if self.private => Ok(()),
            Reach::Private => Err(NotAllowed::Private(host.to_owned())),
            Reach::Never => Err(NotAllowed::Never(host.to_owned())),
        }
    }
}

impl Resolve for Policy {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = *self;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed = policy.among(name.as_str(), found)?;
            Ok::<Addrs, Box<dyn Error + Send + Sync>>(Box::new(allowed.into_iter()))
        })
    }
}

/// The refusal among the causes of an error, where one is there.
pub fn refusal<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a NotAllowed> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<NotAllowed>() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

fn reach(ip: IpAddr) -> Reach {
    let ip = match ip {
        IpAddr::V6(ip) => embedded(ip).map_or(IpAddr::V6(ip), IpAddr::V4),
        IpAddr::V4(_) => ip,
    };
    match ip {
        _ if METADATA.contains(&ip) => Reach::Never,
        IpAddr::V4(ip) => reach_v4(ip),
        IpAddr::V6(ip) => reach_v6(ip),
    }
}

/// IANA's registry of IPv4 special-purpose addresses (RFC 6890). 100.64.0.0/10 is shared by providers and used for pods.
fn reach_v4(ip: Ipv4Addr) -> Reach {
    let [a, b, c, _] = ip.octets();
    if ip.is_private()
        || ip.is_loopback()
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (18..20).contains(&b))
    {
        Reach::Private
    } else if a == 0 || a >= 224 || ip.is_link_local() || ip.is_documentation() || (a, b, c) == (192, 0, 0) {
        Reach::Never
    } else {
        Reach::Public
    }
}

/// Only 2000::/3 is given out as global (RFC 4291), and 2001:db8::/32 of it is for documentation.
fn reach_v6(ip: Ipv6Addr) -> Reach {
    let [first, second, ..] = ip.segments();
    if ip.is_loopback() || ip.is_unique_local() {
        Reach::Private
    } else if (first & 0xe000) == 0x2000 && (first, second) != (0x2001, 0x0db8) {
        Reach::Public
    } else {
        Reach::Never
    }
}

/// The IPv4 address that an IPv6 address leads to: mapped (RFC 4291), by NAT64 (RFC 6052), by 6to4 (RFC 3056).
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = ip.segments();
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match (a, b) {
        (0, 0) => ip.to_ipv4_mapped(),
        (0x64, 0xff9b) if [c, d, e, f] == [0; 4] => Some(of(g, h)),
        (0x2002, _) => Some(of(b, c)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Policy = Policy { http: false, private: false };

    fn asks(policy: Policy, url: &str) -> bool {
        policy.url(&url.parse().unwrap()).is_ok()
    }

    #[test]
    fn only_https_is_asked_unless_http_is_allowed() {
        assert!(asks(STRICT, "https://keystone.example.org:5000/v3"));
        assert!(
            !asks(STRICT, "http://keystone.example.org/v3") && asks(Policy::OPEN, "http://keystone.example.org/v3")
        );
        for policy in [STRICT, Policy::OPEN] {
            assert!(!asks(policy, "/v3") && !asks(policy, "ftp://example.org/"));
        }
    }

    #[test]
    fn private_addresses_are_asked_only_where_they_are_allowed() {
        for host in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "[::1]",
            "[fd00::1]",
            "[::ffff:10.0.0.1]",
            "[64:ff9b::10.0.0.1]",
            "[2002:7f00:1::]",
        ] {
            let url = format!("https://{host}/v3");
            assert!(!asks(STRICT, &url) && asks(Policy::OPEN, &url), "{host}");
        }
    }

    #[test]
    fn link_local_multicast_and_reserved_addresses_and_metadata_services_are_never_asked() {
        for host in [
            "169.254.169.254",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.0.1",
            "[fe80::1]",
            "[ff02::1]",
            "[::]",
            "[::ffff:169.254.169.254]",
            "[fd00:ec2::254]",
            "168.63.129.16",
            "[::ffff:168.63.129.16]",
            "[64:ff9b::a9fe:a9fe]",
            "[2001:db8::1]",
        ] {
            assert!(!asks(Policy::OPEN, &format!("https://{host}/v3")), "{host}");
        }
    }

    #[test]
    fn public_addresses_are_asked() {
        for host in ["8.8.8.8", "134.158.0.1", "[2001:660:1::1]", "[2002:808:808::]"] {
            assert!(asks(STRICT, &format!("https://{host}/v3")), "{host}");
        }
    }

    #[test]
    fn of_a_names_addresses_only_the_allowed_ones_are_connected_to() {
        let (inside, outside) = ("10.0.0.1:0".parse().unwrap(), "8.8.8.8:0".parse().unwrap());
        assert_eq!(STRICT.among("a.org", [inside, outside]), Ok(vec![outside]));
        assert_eq!(STRICT.among("a.org", [inside]), Err(NotAllowed::Private("a.org".to_owned())));
        assert_eq!(STRICT.among("a.org", []), Ok(vec![]));
    }

    #[tokio::test]
    async fn a_name_of_this_machine_is_not_connected_to_and_the_answer_does_not_tell_what_listens() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap().port();
        let http = reqwest::Client::builder().no_proxy().dns_resolver(STRICT).build().unwrap();
        let mut said = Vec::new();
        for port in [open, 1] {
            let error = http.get(format!("http://localhost:{port}/")).send().await.unwrap_err();
            said.push(refusal(&error).unwrap().clone());
        }
        assert_eq!(said[0], said[1]);
        assert_eq!(said[0], NotAllowed::Private("localhost".to_owned()));
        assert!(tokio::time::timeout(std::time::Duration::from_millis(50), listener.accept()).await.is_err());
    }
}
