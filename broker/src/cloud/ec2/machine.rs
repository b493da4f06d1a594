//! What one instance is ordered with.

use aws_sdk_ec2::types::{BlockDeviceMapping, EbsBlockDevice, Tag};
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::{Ec2Cloud, config::Template, tags};
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
        let first = order.choices.first().ok_or_else(|| CloudError::Invalid("an order without a choice".to_owned()))?;
        let mut places = Vec::new();
        // A fleet buys in one way.
        for choice in order.choices.iter().filter(|choice| choice.purchase == first.purchase) {
            resolved.suits(image, &choice.flavor)?;
            for subnet in resolved.subnets_in(choice.zone.as_deref())? {
                places.push(Place { choice: choice.clone(), subnet });
            }
        }
        if !cloud.client.has_fleets() || order.choices.len() == 1 {
            places.truncate(1);
        }
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
        })
    }
}

/// The token of an owner's attempt: EC2 takes at most 64 ASCII characters, and knows one account's tokens, whoever gives them.
fn token(owner: &Owner, n: u32) -> String {
    let hash = Sha256::digest(format!("{}\n{}\n{n}", owner.cluster, owner.uid));
    hash.iter().take(24).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
