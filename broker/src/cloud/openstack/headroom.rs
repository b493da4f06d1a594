//! What the project may still hold: Nova's limits and Neutron's quota of ports.

use openstack_sdk_compute::v2::limit;
use openstack_sdk_network::v2::quota;

use super::{ask::ask, session::Session, wire};
use crate::cloud::{Allowance, CloudError, Headroom, QuotaClass};

/// The one class of quota that a project has.
pub const CLASS: &str = "project";

/// Reads it; the calls go out together.
pub async fn read(session: &Session) -> Result<Headroom, CloudError> {
    let limits = ask::<wire::Limits, _>(session, "read the limits", limit::list_21::Request::builder().build());
    let (limits, ports) = tokio::try_join!(limits, ports(session))?;
    let l = limits.absolute;
    let class = QuotaClass {
        name: CLASS.to_owned(),
        vms: allowance(l.max_total_instances, l.total_instances_used),
        cores: allowance(l.max_total_cores, l.total_cores_used),
        ram_mib: allowance(l.max_total_ram_size, l.total_ram_used),
        gpus: Allowance::default(),
        ports,
        // Without a network of its own a VM is on the project's only one.
        ports_per_vm: session.config.networks.len().max(1) as u64,
    };
    Ok(Headroom { classes: vec![class] })
}

/// The quota of ports. A Neutron that does not tell (the extension `quota_details` came with Pike, and its policy may forbid it) has none
/// that is known.
async fn ports(session: &Session) -> Result<Allowance, CloudError> {
    let project = session.token(None).await?.project.clone();
    let request = quota::details::Request::builder().id(project).build();
    match ask::<wire::NetworkQuota, _>(session, "read the quota of ports", request).await {
        Ok(wire::NetworkQuota { port: Some(port) }) => {
            Ok(allowance(port.limit, port.used.saturating_add(port.reserved)))
        }
        Ok(_) => Ok(Allowance::default()),
        Err(error @ CloudError::Throttled { .. }) => Err(error),
        Err(error) => {
            tracing::debug!(%error, "the quota of ports is not known");
            Ok(Allowance::default())
        }
    }
}

fn allowance(limit: i64, used: i64) -> Allowance {
    Allowance { limit: u64::try_from(limit).ok(), used: u64::try_from(used).unwrap_or(0) }
}
