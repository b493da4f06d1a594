//! What one instance is ordered with.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{BlockDeviceMapping, EbsBlockDevice, Tag};
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::{
    Ec2Cloud,
    config::Template,
    resolved::{ImageFacts, Resolved},
    tags,
};
use crate::cloud::{Choice, CloudError, Limits, Order, Owner};

/// An order in EC2's words.
pub struct Machine {
    /// The token of the attempt.
    pub token: String,
    pub image: String,
    /// Base64, as all of EC2's calls want it.
    pub user_data: SecretString,
    pub tags: Vec<Tag>,
    pub root: BlockDeviceMapping,
    pub groups: Vec<String>,
    pub template: Option<Template>,
    /// What may be bought, the best first, each in one subnet.
    pub places: Vec<Place>,
    /// Whether it is ordered as a fleet: by the order's own choices, whatever of them is there now. A token holds for one kind of call, so that
    /// a repeated order must be of the same kind.
    pub as_fleet: bool,
}

/// One thing that may be bought, in one subnet.
pub struct Place {
    pub choice: Choice,
    pub subnet: String,
}

impl Machine {
    /// The order's machine, from what the account has.
    pub async fn of(cloud: &Ec2Cloud, order: &Order) -> Result<Self, CloudError> {
        let resolved = cloud.resolved().await?;
        if let Some(why) = resolved.refused.first() {
            return Err(CloudError::Invalid(why.clone()));
        }
        let image = resolved.image(&order.image_id)?;
        let packed = Limits::EC2.pack(order.user_data.expose_secret()).map_err(CloudError::Invalid)?;
        let places = places(&order.choices, image, &resolved)?;
        let config = &cloud.client.config;
        let disk = EbsBlockDevice::builder().encrypted(true).delete_on_termination(true);
        let disk = disk.set_volume_size(config.root_volume_gib.and_then(|gib| i32::try_from(gib).ok()));
        Ok(Self {
            token: token(&order.owner, order.attempt.n),
            image: order.image_id.clone(),
            user_data: STANDARD.encode(packed).into(),
            tags: tags::of(order),
            root: BlockDeviceMapping::builder().device_name(&image.root_device).ebs(disk.build()).build(),
            groups: config.security_groups.clone(),
            template: config.launch_template.clone(),
            places,
            as_fleet: order.choices.len() > 1,
        })
    }
}

/// Where each choice may be made, in one subnet of each zone: EC2 refuses a fleet that names a type twice in a zone (`InvalidFleetConfig`).
fn places(choices: &[Choice], image: &ImageFacts, resolved: &Resolved) -> Result<Vec<Place>, CloudError> {
    let first = choices.first().ok_or_else(|| CloudError::Invalid("an order without a choice".to_owned()))?;
    let (mut places, mut named, mut nowhere) = (Vec::new(), BTreeSet::new(), None);
    // A fleet buys in one way.
    for choice in choices.iter().filter(|choice| choice.purchase == first.purchase) {
        resolved.suits(image, &choice.flavor)?;
        let subnets = match resolved.subnets_in(choice.zone.as_deref()) {
            Ok(subnets) => subnets,
            // A zone whose subnets are gone takes nothing from the others.
            Err(error) => {
                nowhere = nowhere.or(Some(error));
                continue;
            }
        };
        for subnet in subnets {
            if named.insert((&choice.flavor, &subnet.zone)) {
                places.push(Place { choice: choice.clone(), subnet: subnet.id.clone() });
            }
        }
    }
    match nowhere.filter(|_| places.is_empty()) {
        Some(error) => Err(error),
        None => Ok(places),
    }
}

/// The token of an owner's attempt: EC2 takes at most 64 ASCII characters, and knows one account's tokens, whoever gives them.
fn token(owner: &Owner, n: u32) -> String {
    let hash = Sha256::digest(format!("{}\n{}\n{n}", owner.cluster, owner.uid));
    hash.iter().take(24).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::resolved::Subnet, *};

    #[test]
    fn a_fleet_names_a_type_once_in_each_zone_and_no_zone_without_a_subnet() {
        let subnet =
            |id: &str, zone: &str, free| Subnet { id: id.into(), zone: zone.into(), free, ..Subnet::default() };
        let subnets = vec![subnet("a-1", "a", 0), subnet("a-2", "a", 9), subnet("b-1", "b", 9)];
        let resolved = Resolved { subnets, ..Resolved::default() };
        let choice = |zone: Option<&str>| Choice { zone: zone.map(str::to_owned), ..Choice::default() };
        let of = |zones: &[Option<&str>]| {
            let choices: Vec<Choice> = zones.iter().copied().map(choice).collect();
            let places = places(&choices, &ImageFacts::default(), &resolved)?;
            Ok::<_, CloudError>(places.into_iter().map(|place| place.subnet).collect::<Vec<_>>())
        };
        assert_eq!(of(&[Some("a"), Some("b")]).unwrap(), ["a-2", "b-1"], "of a zone the subnet with free addresses");
        assert_eq!(of(&[Some("c"), Some("b"), Some("b")]).unwrap(), ["b-1"]);
        assert_eq!(of(&[None]).unwrap(), ["a-2", "b-1"]);
        assert!(of(&[Some("c")]).unwrap_err().to_string().contains("no subnet in zone c"));
        assert!(of(&[]).is_err());
    }

    #[test]
    fn every_attempt_of_every_owner_has_its_own_token() {
        let owner = |cluster: &str, uid: &str| Owner { cluster: cluster.to_owned(), uid: uid.to_owned() };
        let tokens = [
            token(&owner("a", "b"), 1),
            token(&owner("a", "b"), 2),
            token(&owner("a", "c"), 1),
            token(&owner("copy-of-a", "b"), 1),
        ];
        assert!(tokens.iter().all(|token| token.len() == 48 && token.is_ascii()));
        assert!((0..4).all(|i| (0..i).all(|j| tokens[i] != tokens[j])), "{tokens:?}");
        assert_eq!(tokens[0], token(&owner("a", "b"), 1), "the same after a restart");
    }
}
