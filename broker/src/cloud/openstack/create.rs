//! Making one server, exactly one: Nova has no idempotency token, so whatever is unclear is looked up by our tags.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use openstack_sdk_compute::v2::server::create_257 as create;
use openstack_sdk_core::api::QueryAsync;
use secrecy::ExposeSecret;

use super::{OpenStackCloud, catalogue::Resolved, fault, tags, wire::Made};
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
    // An earlier try may have been cut off, by a crash of ours or a time-out: its server counts.
    if let Some(vm) = adopt(cloud, order).await? {
        return Ok(vm);
    }
    let resolved = cloud.resolved().await?;
    let request = request(cloud, order, &resolved)?;
    let answer: Result<Made, _> =
        request.query_async(&cloud.session).await.map_err(|e| fault::of_sdk("make a server", e));
    match answer {
        Ok(made) => {
            let now = Timestamp::now();
            cloud.known.made(&made.id, &order.name, &order.owner, now).await;
            Ok(Vm {
                id: made.id,
                owner: order.owner.clone(),
                name: order.name.clone(),
                state: VmState::Building,
                provider_status: "BUILD".to_owned(),
                created: now,
                flavor: Some(order.flavor.clone()),
            })
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
            Err(error) => outcome = error,
        }
    }
    // Only "repeat the same order" is safe to say while the doubt lasts.
    Err(match outcome {
        error @ (CloudError::Transient(_) | CloudError::Throttled { .. }) => error,
        other => CloudError::Transient(format!("it is not clear whether the server was made: {other}")),
    })
}

/// The server of this order that is there already; its twins are deleted. The oldest is kept, as the garbage collection does.
async fn adopt(cloud: &OpenStackCloud, order: &Order) -> Result<Option<Vm>, CloudError> {
    let mut found = cloud.find(&order.owner).await?;
    let going = found.iter().any(|vm| vm.state == VmState::Deleting);
    found.retain(|vm| vm.state != VmState::Deleting);
    found.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
    let mut found = found.into_iter();
    let Some(kept) = found.next() else {
        return if going {
            Err(CloudError::Conflict(format!("the server {} of this PilotVM is still being deleted", order.name)))
        } else {
            Ok(None)
        };
    };
    for twin in found {
        tracing::warn!(server = twin.id, kept = kept.id, "a twin is deleted");
        cloud.delete(&twin.id).await?;
    }
    Ok(Some(kept))
}

fn request<'a>(cloud: &OpenStackCloud, order: &Order, resolved: &Resolved) -> Result<create::Request<'a>, CloudError> {
    let flavor = resolved.flavors.get(&order.flavor).ok_or_else(|| {
        CloudError::Invalid(format!("flavor {:?} does not exist any more, or is disabled", order.flavor))
    })?;
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
