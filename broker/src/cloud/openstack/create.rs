//! Making one server, at most one for an attempt: Nova has no idempotency token, so whatever is unclear is looked up by our tags.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use openstack_sdk_compute::v2::server::create_257 as create;
use openstack_sdk_core::api::{QueryAsync, raw};
use secrecy::ExposeSecret;
use serde_json::Value;

use super::{OpenStackCloud, fault, offers::Resolved, session::CARRIED_OUT_WITHIN, tags, wire::Made};
use crate::cloud::{Choice, Cloud, CloudError, Limits, Order, Purchase, Vm, VmState, keep};

/// Pauses between the looks right after an order whose outcome is unclear. Most doubts end here; the others last minutes, and are the
/// caller's to wait for.
const LOOKS: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(2)];
/// Nova's limit for the value of a metadata item.
const LONGEST_METADATA: usize = 255;

/// Makes the order's server, or adopts the one that an attempt already made.
pub async fn create(cloud: &OpenStackCloud, order: &Order) -> Result<Vm, CloudError> {
    let until = order.attempt.since + CARRIED_OUT_WITHIN;
    // An earlier call may have been cut off, by a crash of ours or a time-out: its server counts. Whoever cannot look does not
    // know that there is none, whatever keeps it from looking.
    match adopt(cloud, order).await {
        Ok(Some(vm)) => return Ok(vm),
        Ok(None) if order.attempt.repeated => return Err(nothing_yet(order, until, cloud.session.clock.now())),
        Ok(None) => {}
        Err(error) if order.attempt.repeated => return Err(unclear(error, until)),
        Err(error) => return Err(cannot_look(error)),
    }
    let resolved = cloud.resolved().await?;
    match post(cloud, request(cloud, order, &resolved)?, until).await {
        Ok(made) => {
            let vm = Vm {
                id: made.id,
                owner: order.owner.clone(),
                name: order.name.clone(),
                state: VmState::Building,
                provider_status: "BUILD".to_owned(),
                created: cloud.session.clock.now(),
                bought: order.choices.first().cloned(),
            };
            cloud.known.made(&vm);
            Ok(vm)
        }
        Err(CloudError::Unclear { message, .. }) => look(cloud, order, message, until).await,
        // What the order names is missing here: that makes the order invalid, and nothing else.
        Err(CloudError::NotFound(said)) => Err(CloudError::Invalid(said)),
        // Two things of one name, of which Nova will not choose: neither time nor another flavor helps.
        Err(CloudError::Conflict(said)) if said.contains("Multiple possible networks") => {
            Err(CloudError::Invalid(format!("{said}; say which in spec.openstack.networks")))
        }
        Err(CloudError::Conflict(said)) => {
            Err(CloudError::Invalid(format!("{said}; correct spec.openstack (networks, securityGroups)")))
        }
        Err(clear) => Err(clear),
    }
}

/// Sends the order. An acceptance that nobody can read is in doubt, too.
async fn post(cloud: &OpenStackCloud, request: create::Request<'_>, until: Timestamp) -> Result<Made, CloudError> {
    let what = "make a server";
    let answer = raw(request).query_async(&cloud.session).await.map_err(|e| fault::of_sdk(what, e))?;
    let made = serde_json::from_slice::<Value>(answer.body())
        .and_then(|mut answer| serde_json::from_value(answer["server"].take()))
        .map_err(|e| format!("{what}: the answer was not understood: {e}"));
    made.map_err(|message| CloudError::Unclear { message, until })
}

/// Looks for a moment; where no server appears, the caller repeats the attempt, which looks again.
async fn look(cloud: &OpenStackCloud, order: &Order, message: String, until: Timestamp) -> Result<Vm, CloudError> {
    tracing::debug!(server = order.name, message, "unclear whether the server was made; looking for it");
    for pause in LOOKS {
        tokio::time::sleep(pause).await;
        match adopt(cloud, order).await {
            Ok(Some(vm)) => return Ok(vm),
            Ok(None) => {}
            Err(error) => return Err(unclear(error, until)),
        }
    }
    Err(CloudError::Unclear { message, until })
}

/// The outcome of a look that found nothing, for an order that was sent.
fn nothing_yet(order: &Order, until: Timestamp, now: Timestamp) -> CloudError {
    let n = order.attempt.n;
    if now < until {
        let message = format!("no server of attempt {n} has appeared yet, and one may until {until}");
        CloudError::Unclear { message, until }
    } else {
        CloudError::Transient(format!(
            "no server came of attempt {n} until {until}, and none will: another attempt can be made"
        ))
    }
}

/// While an order is in doubt, whatever goes wrong with a look leaves it there.
fn unclear(error: CloudError, until: Timestamp) -> CloudError {
    match error {
        error @ (CloudError::Unclear { .. } | CloudError::Conflict(_)) => error,
        other => CloudError::Unclear { message: other.to_string(), until },
    }
}

/// Nothing was ordered. Only "come again" may be said: an earlier attempt's server may be there.
fn cannot_look(error: CloudError) -> CloudError {
    match error {
        error @ (CloudError::Transient(_) | CloudError::Throttled { .. } | CloudError::Conflict(_)) => error,
        other => CloudError::Transient(format!("whether there is a server already cannot be looked up: {other}")),
    }
}

/// The server of this owner that is there already; its twins are deleted.
async fn adopt(cloud: &OpenStackCloud, order: &Order) -> Result<Option<Vm>, CloudError> {
    let mut found = cloud.find(&order.owner).await.map_err(|error| match error {
        CloudError::Conflict(said) => CloudError::Transient(said),
        other => other,
    })?;
    let going = found.iter().any(|vm| vm.state == VmState::Deleting);
    found.retain(|vm| vm.state != VmState::Deleting);
    let Some((kept, twins)) = keep(found) else {
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

fn chosen(order: &Order) -> Result<&Choice, CloudError> {
    let choice = order.choices.first().ok_or_else(|| CloudError::Invalid("the order names no flavor".to_owned()))?;
    if choice.purchase == Purchase::Spot {
        return Err(CloudError::Invalid(
            "OpenStack sells no spot VMs: correct machine.purchase of the pool".to_owned(),
        ));
    }
    Ok(choice)
}

fn request<'a>(cloud: &OpenStackCloud, order: &Order, resolved: &Resolved) -> Result<create::Request<'a>, CloudError> {
    let choice = chosen(order)?;
    let flavor = resolved.flavors.get(&choice.flavor).ok_or_else(|| {
        CloudError::Invalid(format!("flavor {:?} does not exist any more, is disabled or has no disk", choice.flavor))
    })?;
    if !resolved.no_networks.is_empty() {
        // On the networks that are left the server would not be what was ordered.
        return Err(CloudError::Invalid(format!(
            "{}: correct spec.openstack.networks",
            resolved.no_networks.join("; ")
        )));
    }
    let user_data = order.user_data.expose_secret();
    Limits::NOVA.check(user_data).map_err(CloudError::Invalid)?;
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
        .user_data(STANDARD.encode(user_data))
        .tags(tags::of(&order.owner).into_iter().map(Into::into).collect::<Vec<_>>())
        .metadata(
            order.metadata.iter().map(|(k, v)| (k.clone(), v.chars().take(LONGEST_METADATA).collect::<String>())),
        );
    if let Some(zone) = &choice.zone {
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
