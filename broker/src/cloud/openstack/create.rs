//! Making one server, exactly one: Nova has no idempotency token, so whatever is unclear is looked up by our tags.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use openstack_sdk_compute::v2::server::create_257 as create;
use secrecy::ExposeSecret;

use super::{OpenStackCloud, answer::ask, catalogue::Resolved, tags, wire::Made};
use crate::cloud::{Cloud, CloudError, Order, Vm, VmState};

/// Pauses between the looks for a server whose creation had no clear outcome.
const LOOKS: [Duration; 5] =
    [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];
/// Nova's limit for user-data, after base64.
const LARGEST_USER_DATA: usize = 65_535;
/// Nova's limit for the value of a metadata item.
const LONGEST_METADATA: usize = 255;

/// Makes the order's server, or adopts the one that an earlier try made.
pub async fn create(cloud: &OpenStackCloud, order: &Order) -> Result<Vm, CloudError> {
    // An earlier try may have been cut off, by a crash of ours or a time-out: its server counts. Who cannot look does not
    // know that there is none, whatever keeps it from looking.
    if let Some(vm) = adopt(cloud, order).await.map_err(in_doubt)? {
        return Ok(vm);
    }
    let resolved = cloud.resolved().await?;
    let request = request(cloud, order, &resolved)?;
    let answer: Result<Made, _> = ask(&cloud.session, "make a server", Ok::<_, CloudError>(request)).await;
    match answer {
        Ok(made) => {
            let vm = Vm {
                id: made.id,
                owner: order.owner.clone(),
                name: order.name.clone(),
                state: VmState::Building,
                provider_status: "BUILD".to_owned(),
                created: Timestamp::now(),
                flavor: Some(order.flavor.clone()),
            };
            cloud.known.made(&vm);
            Ok(vm)
        }
        Err(unclear @ CloudError::Transient(_)) => look(cloud, order, unclear).await,
        // What the order names is missing here: that makes the order invalid, and nothing else.
        Err(CloudError::NotFound(said)) => Err(CloudError::Invalid(said)),
        Err(CloudError::Conflict(said)) if said.contains("Multiple possible networks") => {
            Err(CloudError::Invalid(format!("{said}; say which in spec.openstack.networks")))
        }
        Err(clear) => Err(clear),
    }
}

/// Looks until the doubt is over; where no server appears, the caller repeats the order, which looks first again.
async fn look(cloud: &OpenStackCloud, order: &Order, unclear: CloudError) -> Result<Vm, CloudError> {
    tracing::debug!(server = order.name, error = %unclear, "unclear whether the server was made; looking for it");
    let mut outcome = unclear;
    for pause in LOOKS {
        tokio::time::sleep(pause).await;
        match adopt(cloud, order).await {
            Ok(Some(vm)) => return Ok(vm),
            Ok(None) => {}
            // Asked to be silent, it is silent; the caller comes back when that is over.
            Err(error @ CloudError::Throttled { .. }) => return Err(error),
            Err(error) => outcome = error,
        }
    }
    Err(in_doubt(outcome))
}

/// Only "repeat the same order" is safe to say while nobody knows whether there is a server.
fn in_doubt(error: CloudError) -> CloudError {
    match error {
        error @ (CloudError::Transient(_) | CloudError::Throttled { .. }) => error,
        other => CloudError::Transient(format!("it is not clear whether the server was made: {other}")),
    }
}

/// The server of this order that is there already; its twins are deleted.
async fn adopt(cloud: &OpenStackCloud, order: &Order) -> Result<Option<Vm>, CloudError> {
    let mut found = cloud.find(&order.owner).await?;
    let going = found.iter().any(|vm| vm.state == VmState::Deleting);
    found.retain(|vm| vm.state != VmState::Deleting);
    let Some((kept, twins)) = choose(found) else {
        return if going {
            Err(CloudError::Conflict(format!("the server {} of this PilotVM is still being deleted", order.name)))
        } else {
            Ok(None)
        };
    };
    // A list of changes may not tell of it, and whoever misses it buys another.
    cloud.known.made(&kept);
    for twin in twins {
        tracing::warn!(server = twin.id, kept = kept.id, "a twin is deleted");
        cloud.delete(&twin.id).await?;
    }
    Ok(Some(kept))
}

/// Of twins the one to keep: the oldest that works, else the oldest.
fn choose(mut found: Vec<Vm>) -> Option<(Vm, Vec<Vm>)> {
    let failed = |vm: &Vm| matches!(vm.state, VmState::Failed(_));
    found.sort_by(|a, b| (failed(a), a.created, &a.id).cmp(&(failed(b), b.created, &b.id)));
    let mut found = found.into_iter();
    Some((found.next()?, found.collect()))
}

fn request<'a>(cloud: &OpenStackCloud, order: &Order, resolved: &Resolved) -> Result<create::Request<'a>, CloudError> {
    let flavor = resolved.flavors.get(&order.flavor).ok_or_else(|| {
        CloudError::Invalid(format!("flavor {:?} does not exist any more, is disabled or has no disk", order.flavor))
    })?;
    if !resolved.no_networks.is_empty() {
        // On the networks that are left the server would not be what was ordered.
        return Err(CloudError::Invalid(format!(
            "{}: correct spec.openstack.networks",
            resolved.no_networks.join("; ")
        )));
    }
    let user_data = STANDARD.encode(order.user_data.expose_secret());
    if user_data.len() > LARGEST_USER_DATA {
        return Err(CloudError::Invalid(format!(
            "the user-data has {} bytes after base64, and Nova takes {LARGEST_USER_DATA}: shorten machine.userData",
            user_data.len()
        )));
    }
    let invalid = |e: &dyn std::fmt::Display| CloudError::Invalid(format!("make a server: {e}"));
    let networks = if cloud.session.config.networks.is_empty() {
        create::ServerNetworks::F2(create::NetworksStringEnum::Auto)
    } else {
        let one = |id: &String| create::NetworksBuilder::default().uuid(id.clone()).build();
        let all: Result<Vec<_>, _> = resolved.networks.iter().map(one).collect();
        create::ServerNetworks::F1(all.map_err(|e| invalid(&e))?)
    };
    let mut server = create::ServerBuilder::default();
    server
        .name(order.name.clone())
        .flavor_ref(flavor.clone())
        .image_ref(order.image_id.clone())
        .networks(networks)
        .user_data(user_data)
        .tags(tags::of(&order.owner).into_iter().map(Into::into).collect::<Vec<_>>())
        .metadata(
            order.metadata.iter().map(|(k, v)| (k.clone(), v.chars().take(LONGEST_METADATA).collect::<String>())),
        );
    if let Some(zone) = &order.zone {
        server.availability_zone(zone.clone());
    }
    if !cloud.session.config.security_groups.is_empty() {
        let one = |name: &String| create::SecurityGroupsBuilder::default().name(name.clone()).build();
        let all: Result<Vec<_>, _> = cloud.session.config.security_groups.iter().map(one).collect();
        server.security_groups(all.map_err(|e| invalid(&e))?);
    }
    let server = server.build().map_err(|e| invalid(&e))?;
    create::RequestBuilder::default().server(server).build().map_err(|e| invalid(&e))
}

#[cfg(test)]
#[path = "create_tests.rs"]
mod tests;
