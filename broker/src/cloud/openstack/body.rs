//! The body of `POST /servers` (Compute API reference, "Create server").

use base64::{Engine, engine::general_purpose::STANDARD};
use openstack_sdk_compute::v2::server::create_257 as create;
use secrecy::ExposeSecret;

use super::{config::Config, offers::Resolved, tags};
use crate::cloud::{Choice, CloudError, Limits, Order, Purchase};

/// Nova's limit for the value of a metadata item.
const LONGEST_METADATA: usize = 255;

/// The request for this order, or why it can never work.
pub fn of<'a>(config: &Config, order: &Order, resolved: &Resolved) -> Result<create::Request<'a>, CloudError> {
    let choice = chosen(order, config)?;
    let flavor = flavor(choice, resolved)?;
    if !resolved.refused.is_empty() {
        // Without it the server would not be what was ordered.
        return Err(CloudError::Invalid(format!("{}: correct spec.openstack", resolved.refused.join("; "))));
    }
    let user_data = Limits::NOVA.pack(order.user_data.expose_secret()).map_err(CloudError::Invalid)?;
    let invalid = |e: &dyn std::fmt::Display| CloudError::Invalid(format!("make a server: {e}"));
    let networks = if config.networks.is_empty() {
        create::ServerNetworks::F2(create::NetworksStringEnum::Auto)
    } else {
        let one = |id: &String| create::NetworksBuilder::default().uuid(id.clone()).build();
        let all: Result<Vec<_>, _> = resolved.networks.iter().map(one).collect();
        create::ServerNetworks::F1(all.map_err(|e| invalid(&e))?)
    };
    let mut server = create::ServerBuilder::default();
    server
        .name(order.name.clone())
        .flavor_ref(flavor.to_owned())
        .networks(networks)
        .user_data(STANDARD.encode(user_data))
        .tags(tags::of(&order.owner).into_iter().map(Into::into).collect::<Vec<_>>())
        .metadata(
            order.metadata.iter().map(|(k, v)| (k.clone(), v.chars().take(LONGEST_METADATA).collect::<String>())),
        );
    if config.config_drive {
        server.config_drive(true);
    }
    match config.root_volume_gib {
        None => server.image_ref(order.image_id.clone()),
        Some(gib) => {
            let gib = i32::try_from(gib).map_err(|e| invalid(&e))?;
            let volume = create::BlockDeviceMappingV2Builder::default()
                .boot_index(Some("0".into()))
                .source_type(create::SourceType::Image)
                .uuid(order.image_id.clone())
                .destination_type(create::DestinationType::Volume)
                .volume_size(gib)
                .delete_on_termination(true)
                .build();
            server.block_device_mapping_v2(vec![volume.map_err(|e| invalid(&e))?])
        }
    };
    if let Some(zone) = &choice.zone {
        server.availability_zone(zone.clone());
    }
    if !config.security_groups.is_empty() {
        let one = |name: &String| create::SecurityGroupsBuilder::default().name(name.clone()).build();
        let all: Result<Vec<_>, _> = config.security_groups.iter().map(one).collect();
        server.security_groups(all.map_err(|e| invalid(&e))?);
    }
    let server = server.build().map_err(|e| invalid(&e))?;
    create::RequestBuilder::default().server(server).build().map_err(|e| invalid(&e))
}

fn chosen<'a>(order: &'a Order, config: &Config) -> Result<&'a Choice, CloudError> {
    let choice = order.choices.first().ok_or_else(|| CloudError::Invalid("the order names no flavor".to_owned()))?;
    if choice.purchase == Purchase::Spot && config.purchase(&choice.flavor) != Purchase::Spot {
        return Err(CloudError::Invalid(format!(
            "flavor {:?} is not sold as Spot: Nova has no Spot but flavors that the site takes back, which spec.flavors of the Cloud names",
            choice.flavor
        )));
    }
    Ok(choice)
}

fn flavor<'a>(choice: &Choice, resolved: &'a Resolved) -> Result<&'a str, CloudError> {
    let name = &choice.flavor;
    if let Some(id) = resolved.flavors.get(name) {
        return Ok(id);
    }
    Err(CloudError::Invalid(match resolved.left_out.get(name) {
        Some(why) => format!("the flavor cannot be bought; {}", why.sentence(name)),
        None => format!("there is no flavor {name:?} that this project can see"),
    }))
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
