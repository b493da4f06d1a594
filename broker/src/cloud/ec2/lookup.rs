//! What a Cloud object names is looked up: images, subnets, security groups, the account. What is not found, or does not fit, is a sentence.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::Image as Ami;
use jiff::Timestamp;

use super::{
    client::{Answer, Client},
    config::{Credential, ImageRef},
    fault::is_no_service,
    pages::Pages,
    resolved::{ImageFacts, Subnet, arch},
    tags::is,
};
use crate::cloud::{CloudError, Image, pace::Action, quote::shortened};

/// Images on a page, and pages that are read of one name.
const PAGE: i32 = 100;
const MOST_PAGES: usize = 10;
/// Longest id, zone or architecture, and longest name of a device, in bytes; what is longer is none.
const LONGEST_ID: usize = 64;
const LONGEST_DEVICE: usize = 255;

/// The images, by the pools' name for them, and a sentence for each that was not found.
pub async fn images(client: &Client) -> Result<(BTreeMap<String, ImageFacts>, Vec<String>), CloudError> {
    let (mut found, mut missing) = (BTreeMap::new(), Vec::new());
    for (key, wanted) in &client.config.images {
        let image = match wanted {
            ImageRef::Id(id) => by_id(client, id).await?,
            ImageRef::Newest { name, owner } => newest(client, name, owner).await?,
            ImageRef::Parameter(name) => match parameter(client, name).await? {
                Ok(id) => by_id(client, &id).await?,
                Err(sentence) => Err(sentence),
            },
        };
        match image.and_then(|image| facts(&image)) {
            Ok(image) => {
                if let Some(volume) = client.config.root_volume_gib.filter(|volume| *volume < image.gib) {
                    missing.push(format!(
                        "the image {} of spec.images.{key} needs a volume of {} GiB and spec.ec2.rootVolumeGiB is {volume}: make it larger",
                        image.id, image.gib
                    ));
                }
                found.insert(key.clone(), image);
            }
            Err(sentence) => missing.push(format!("{sentence}, for spec.images.{key}")),
        }
    }
    Ok((found, missing))
}

async fn by_id(client: &Client, id: &str) -> Result<Result<Ami, String>, CloudError> {
    let call = client.apis().await?.ec2.describe_images().image_ids(id).send();
    let none = || Err(format!("there is no image {} in this region that this account can use", shortened(id)));
    match client.call("look an image up", Action::Catalogue, call).await {
        Ok(answer) => Ok(answer.images().first().cloned().map_or_else(none, Ok)),
        Err(fault) if matches!(fault.error, CloudError::NotFound(_) | CloudError::Invalid(_)) => Ok(none()),
        Err(fault) => Err(fault.into()),
    }
}

async fn newest(client: &Client, name: &str, owner: &str) -> Result<Result<Ami, String>, CloudError> {
    let (mut best, mut pages): (Option<Ami>, _) = (None, Pages::at_most(MOST_PAGES));
    while let Some(at) = pages.next() {
        let ask = client.apis().await?.ec2.describe_images().owners(owner).filters(is("name", [name]));
        let ask = ask.filters(is("state", ["available"])).max_results(PAGE).set_next_token(at);
        let answer = client.call("look an image up", Action::Catalogue, ask.send()).await?;
        // The dates are of one form (ISO 8601, UTC), so that their texts are in order.
        let newest =
            answer.images().iter().cloned().chain(best.take()).max_by(|a, b| a.creation_date().cmp(&b.creation_date()));
        best = newest;
        pages.read(answer.next_token());
    }
    if pages.whole("look an image up").is_err() {
        return Ok(Err(format!(
            "more images of owner {owner} are called {} than are read, and which is the newest is not known: give a name that fewer have",
            shortened(name)
        )));
    }
    let none = || format!("there is no image called {} of owner {owner} in this region", shortened(name));
    Ok(best.ok_or_else(none))
}

async fn parameter(client: &Client, name: &str) -> Result<Result<String, String>, CloudError> {
    let call = client.apis().await?.ssm.get_parameter().name(name).send();
    match client.call_of("SSM", "read a parameter", Action::Catalogue, call).await {
        Ok(answer) => {
            let value = answer.parameter().and_then(|p| p.value()).unwrap_or_default();
            // A parameter of the type aws:ec2:image, or one of AWS's own, has the id alone.
            let id = value.trim();
            Ok(if id.starts_with("ami-") && id.len() <= 64 {
                Ok(id.to_owned())
            } else {
                Err(format!("the parameter {} has no image's id", shortened(name)))
            })
        }
        Err(fault) if is_no_service(&fault) => Ok(Err(fault.error.to_string())),
        Err(fault) => Err(fault.into()),
    }
}

fn facts(image: &Ami) -> Result<ImageFacts, String> {
    let id = image.image_id().unwrap_or_default().to_owned();
    if image.state().is_some_and(|state| state.as_str() != "available") {
        return Err(format!("the image {id} is not available"));
    }
    if id.is_empty() || id.len() > LONGEST_ID {
        return Err("an image is told of that has no id of EC2's".to_owned());
    }
    let Some(root_device) = image.root_device_name().filter(|name| name.len() <= LONGEST_DEVICE).map(str::to_owned)
    else {
        return Err(format!("the image {id} says no root device, and VMs boot from a volume"));
    };
    if image.root_device_type().is_some_and(|t| t.as_str() != "ebs") {
        return Err(format!("the image {id} boots from no volume: make one that does (root device type ebs)"));
    }
    let root = image.block_device_mappings().iter().find(|m| m.device_name() == Some(&root_device));
    let gib = root.and_then(|m| m.ebs()?.volume_size()).and_then(|gib| u64::try_from(gib).ok()).unwrap_or(0);
    let word = image.architecture().map(|a| a.as_str()).filter(|word| word.len() <= LONGEST_ID).unwrap_or("x86_64");
    Ok(ImageFacts { id, arch: arch(word), root_device, gib })
}

/// An image in the words of the contract.
pub fn as_image(image: &ImageFacts) -> Image {
    Image { id: image.id.clone(), arch: Some(image.arch.clone()), min_disk_gib: image.gib }
}

/// The subnets, and a sentence for each thing of the network that is not there or does not fit.
pub async fn network(client: &Client) -> Result<(Vec<Subnet>, Vec<String>), CloudError> {
    let wanted = &client.config.subnets;
    let ask = client.apis().await?.ec2.describe_subnets();
    let ask = if wanted.is_empty() {
        ask.filters(is("default-for-az", ["true"]))
    } else {
        ask.filters(is("subnet-id", wanted.iter().map(String::as_str)))
    };
    let (mut subnets, mut pages) = (Vec::<Subnet>::new(), Pages::at_most(MOST_PAGES));
    while let Some(at) = pages.next() {
        let call = ask.clone().set_next_token(at).send();
        let answer = client.call("list subnets", Action::Catalogue, call).await?;
        subnets.extend(answer.subnets().iter().filter_map(|subnet| {
            let text = |text: Option<&str>| text.filter(|text| text.len() <= LONGEST_ID).map(str::to_owned);
            Some(Subnet {
                id: text(subnet.subnet_id()).filter(|id| wanted.is_empty() || wanted.contains(id))?,
                zone: text(subnet.availability_zone())?,
                vpc: text(subnet.vpc_id())?,
                free: subnet.available_ip_address_count().unwrap_or(0),
            })
        }));
        pages.read(answer.next_token());
    }
    pages.whole("list subnets")?;
    let place = |subnet: &Subnet| wanted.iter().position(|id| *id == subnet.id);
    subnets.sort_by_key(place);
    let mut refused: Vec<String> = wanted
        .iter()
        .filter(|id| !subnets.iter().any(|subnet| subnet.id == **id))
        .map(|id| format!("there is no subnet {id} in this region: correct spec.ec2.subnets"))
        .collect();
    if wanted.is_empty() && subnets.is_empty() {
        refused.push("the account has no default subnet in this region: name subnets in spec.ec2.subnets".to_owned());
    }
    let vpcs: BTreeSet<&str> = subnets.iter().map(|subnet| subnet.vpc.as_str()).collect();
    if vpcs.len() > 1 {
        let vpcs = vpcs.iter().copied().collect::<Vec<_>>().join(", ");
        refused.push(format!(
            "the subnets are of several VPCs ({vpcs}): make a Cloud for each, for security groups belong to one VPC"
        ));
    }
    refused.extend(groups(client, vpcs.first().copied()).await?);
    Ok((subnets, refused))
}

/// A sentence for each security group that is not there, or is of another VPC.
async fn groups(client: &Client, vpc: Option<&str>) -> Result<Vec<String>, CloudError> {
    let wanted = &client.config.security_groups;
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let ask = client.apis().await?.ec2.describe_security_groups();
    let ask = ask.filters(is("group-id", wanted.iter().map(String::as_str)));
    let (mut found, mut pages) = (BTreeMap::<String, String>::new(), Pages::at_most(MOST_PAGES));
    while let Some(at) = pages.next() {
        let call = ask.clone().set_next_token(at).send();
        let answer = client.call("list security groups", Action::Catalogue, call).await?;
        found.extend(answer.security_groups().iter().filter_map(|group| {
            let id = group.group_id().filter(|id| wanted.iter().any(|one| one == id))?;
            Some((id.to_owned(), shortened(group.vpc_id().unwrap_or_default())))
        }));
        pages.read(answer.next_token());
    }
    pages.whole("list security groups")?;
    let sentence = |id: &String| match (found.get(id.as_str()), vpc) {
        (None, _) => Some(format!("there is no security group {id} in this region: correct spec.ec2.securityGroups")),
        (Some(theirs), Some(vpc)) if *theirs != vpc => Some(format!(
            "the security group {id} is of {theirs} and the subnets are of {vpc}: name a group of the subnets' VPC in spec.ec2.securityGroups"
        )),
        _ => None,
    };
    Ok(wanted.iter().filter_map(sentence).collect())
}

/// Number of the account. Others' EC2 may not say it.
pub async fn account(client: &Client) -> Result<Option<String>, CloudError> {
    let call = client.apis().await?.sts.get_caller_identity().send();
    let answer: Answer<_> = client.call_of("STS", "ask whose account it is", Action::Catalogue, call).await;
    match answer {
        Ok(answer) => Ok(answer.account().filter(|id| id.len() <= 64).map(str::to_owned)),
        // Wrong keys are said here as by any other call.
        Err(fault)
            if client.config.endpoint.is_some()
                && is_no_service(&fault)
                && !matches!(fault.error, CloudError::Unauthorized(_)) =>
        {
            Ok(None)
        }
        Err(fault) => Err(fault.into()),
    }
}

/// When the credential ends, where that is known. What is entered anew whenever it ends has no end.
pub fn expires(client: &Client) -> Option<Timestamp> {
    match &client.config.credential {
        Credential::Keys { expires, .. } => *expires,
        Credential::WebIdentity { .. } | Credential::Pod => None,
    }
}
