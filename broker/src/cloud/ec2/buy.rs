//! The order itself: RunInstances for one choice, CreateFleet of the type `instant` for several.
//!
//! A fleet takes no user-data but a launch template's. So an order of several choices has a template of its own, which is taken away when
//! the provider has answered; one that is left behind by a crash is swept later (`templates`).

use aws_sdk_ec2::types::{
    DefaultTargetCapacityType, FleetLaunchTemplateConfigRequest, FleetLaunchTemplateOverridesRequest,
    FleetLaunchTemplateSpecificationRequest, FleetOnDemandAllocationStrategy, FleetType, HttpTokensState,
    InstanceInterruptionBehavior, InstanceMarketOptionsRequest, InstanceMetadataEndpointState,
    InstanceMetadataOptionsRequest, InstanceMetadataTagsState, InstanceType, LaunchTemplateSpecification, MarketType,
    OnDemandOptionsRequest, ResourceType, ShutdownBehavior, SpotAllocationStrategy, SpotInstanceInterruptionBehavior,
    SpotInstanceType, SpotMarketOptions, SpotOptionsRequest, TagSpecification, TargetCapacitySpecificationRequest,
};
use secrecy::ExposeSecret;

use super::{
    client::{Answer, Client},
    config::Template,
    fault::{self, Fault},
    machine::{Machine, Place},
    templates,
};
use crate::cloud::{Choice, CloudError, Purchase, pace::Action};

/// What the provider made.
pub struct Ordered {
    pub id: String,
    pub bought: Choice,
}

impl Machine {
    /// Sends the order.
    pub async fn buy(&self, client: &Client) -> Answer<Ordered> {
        match self.places.as_slice() {
            [] => Err(Fault::unsent(CloudError::Invalid("there is no subnet for the order".to_owned()))),
            [first, ..] if self.as_fleet && client.has_fleets() => match self.fleet(client).await {
                // Others' EC2 may not know the call.
                Err(fault) if fault.is("InvalidAction") || fault.is("UnknownOperation") => {
                    client.without_fleets();
                    self.run(client, first).await
                }
                answer => answer,
            },
            [first, ..] => self.run(client, first).await,
        }
    }

    async fn run(&self, client: &Client, place: &Place) -> Answer<Ordered> {
        let tags =
            |of: ResourceType| TagSpecification::builder().resource_type(of).set_tags(Some(self.tags.clone())).build();
        let mut order = client
            .apis()
            .await
            .map_err(Fault::unsent)?
            .ec2
            .run_instances()
            .client_token(&self.token)
            .min_count(1)
            .max_count(1)
            .image_id(&self.image)
            .instance_type(InstanceType::from(place.choice.flavor.as_str()))
            .subnet_id(&place.subnet)
            .set_security_group_ids((!self.groups.is_empty()).then(|| self.groups.clone()))
            .user_data(self.user_data.expose_secret())
            .block_device_mappings(self.root.clone())
            .instance_initiated_shutdown_behavior(ShutdownBehavior::Terminate)
            .metadata_options(metadata())
            .tag_specifications(tags(ResourceType::Instance))
            .tag_specifications(tags(ResourceType::Volume))
            .tag_specifications(tags(ResourceType::NetworkInterface));
        if place.choice.purchase == Purchase::Spot {
            let spot = SpotMarketOptions::builder()
                .spot_instance_type(SpotInstanceType::OneTime)
                .instance_interruption_behavior(InstanceInterruptionBehavior::Terminate)
                .set_max_price(place.choice.max_price_micros.map(price));
            let market =
                InstanceMarketOptionsRequest::builder().market_type(MarketType::Spot).spot_options(spot.build());
            order = order.instance_market_options(market.build());
        }
        if let Some(template) = &self.template {
            let named = LaunchTemplateSpecification::builder().version("$Default");
            order = order.launch_template(match template {
                Template::Id(id) => named.launch_template_id(id).build(),
                Template::Name(name) => named.launch_template_name(name).build(),
            });
        }
        let made = client.call("make an instance", Action::Create, order.send()).await?;
        let instance = made.instances().first();
        let Some(id) = instance.and_then(|i| i.instance_id()) else { return Err(nothing_in_the_answer()) };
        if instance.and_then(|i| i.state()).and_then(|s| s.name()).is_some_and(|n| n.as_str() == "terminated") {
            return Err(Fault {
                code: Some("IdempotentInstanceTerminated".to_owned()),
                ..Fault::unsent(CloudError::Transient(format!("the instance {id} of this attempt has ended")))
            });
        }
        Ok(Ordered { id: id.to_owned(), bought: place.choice.clone() })
    }

    async fn fleet(&self, client: &Client) -> Answer<Ordered> {
        let template = templates::make(client, self).await?;
        let overrides = self.places.iter().zip(0_u32..).map(|(place, n)| {
            FleetLaunchTemplateOverridesRequest::builder()
                .instance_type(InstanceType::from(place.choice.flavor.as_str()))
                .subnet_id(&place.subnet)
                .priority(f64::from(n))
                .set_max_price(place.choice.max_price_micros.map(price))
                .build()
        });
        let named = FleetLaunchTemplateSpecificationRequest::builder()
            .launch_template_id(&template.id)
            .version(template.version.to_string());
        let choices = FleetLaunchTemplateConfigRequest::builder()
            .launch_template_specification(named.build())
            .set_overrides(Some(overrides.collect()));
        let spot = self.places[0].choice.purchase == Purchase::Spot;
        let capacity =
            TargetCapacitySpecificationRequest::builder().total_target_capacity(1).default_target_capacity_type(
                if spot { DefaultTargetCapacityType::Spot } else { DefaultTargetCapacityType::OnDemand },
            );
        let mut order = client
            .apis()
            .await
            .map_err(Fault::unsent)?
            .ec2
            .create_fleet()
            .client_token(&self.token)
            .r#type(FleetType::Instant)
            .launch_template_configs(choices.build())
            .target_capacity_specification(capacity.build());
        order = if spot {
            // Of pools that are priced alike the one that is least likely to be taken back; the order decides among those.
            let options = SpotOptionsRequest::builder()
                .allocation_strategy(SpotAllocationStrategy::CapacityOptimizedPrioritized)
                .instance_interruption_behavior(SpotInstanceInterruptionBehavior::Terminate);
            order.spot_options(options.build())
        } else {
            let options =
                OnDemandOptionsRequest::builder().allocation_strategy(FleetOnDemandAllocationStrategy::Prioritized);
            order.on_demand_options(options.build())
        };
        let answer = client.call("make an instance", Action::Create, order.send()).await;
        // While the outcome is in doubt the attempt may be repeated, and the token asks for the same template.
        if !matches!(&answer, Err(fault) if fault.in_doubt) {
            templates::remove(client, &template).await;
        }
        let answer = answer?;
        if let Some(made) = answer.instances().iter().find(|made| !made.instance_ids().is_empty()) {
            let overrides = made.launch_template_and_overrides().and_then(|l| l.overrides());
            let flavor = made.instance_type().or_else(|| overrides?.instance_type());
            let subnet = made.subnet_id().or_else(|| overrides?.subnet_id());
            let place = self.places.iter().find(|place| {
                flavor.is_some_and(|f| f.as_str() == place.choice.flavor) && subnet.is_none_or(|s| s == place.subnet)
            });
            let bought = place.unwrap_or(&self.places[0]).choice.clone();
            return Ok(Ordered { id: made.instance_ids()[0].clone(), bought });
        }
        let refusals = answer.errors().iter().map(|refused| {
            let (code, message) =
                (refused.error_code().unwrap_or_default(), refused.error_message().unwrap_or_default());
            (code, fault::of_code("make an instance", code, message, 400, None))
        });
        // The widest says what is of no use at all; what is no refusal at all comes before any.
        match refusals.max_by_key(|(_, error)| fault::reach(error).map_or(9, |scope| scope as u8)) {
            Some((code, error)) => Err(Fault { code: Some(code.to_owned()), answered: true, ..Fault::unsent(error) }),
            None => Err(nothing_in_the_answer()),
        }
    }
}

/// The provider took the order, and says neither what it made nor why it made nothing.
fn nothing_in_the_answer() -> Fault {
    let error = CloudError::Transient("make an instance: the answer names no instance".to_owned());
    Fault { in_doubt: true, answered: true, ..Fault::unsent(error) }
}

/// A price of an hour, from millionths, as EC2 writes it.
fn price(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// Only with a token, only from the instance itself, and with its tags.
fn metadata() -> InstanceMetadataOptionsRequest {
    InstanceMetadataOptionsRequest::builder()
        .http_tokens(HttpTokensState::Required)
        .http_put_response_hop_limit(1)
        .http_endpoint(InstanceMetadataEndpointState::Enabled)
        .instance_metadata_tags(InstanceMetadataTagsState::Enabled)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_has_all_its_millionths() {
        assert_eq!([price(31_250), price(1_000_000), price(12_345_678)], ["0.031250", "1.000000", "12.345678"]);
    }
}
