//! What a Cloud object names is looked up: images, networks, security groups, availability zones. What is not found, or stands for
//! several things, is a sentence.

use std::collections::BTreeMap;

use openstack_sdk_compute::v2::availability_zone;
use openstack_sdk_image::v2::image;
use openstack_sdk_network::v2::{network, security_group};

use super::{
    ask::ask,
    bounded::List,
    config::NameOrId,
    session::Session,
    wire::{self, Named},
};
use crate::cloud::{CloudError, Image, quote::some};

/// What was found, and a sentence for each that was not.
pub type Found<T> = Result<(T, Vec<String>), CloudError>;

/// The images, by the pools' name for them.
pub async fn images(session: &Session) -> Found<BTreeMap<String, Image>> {
    let (mut found, mut missing) = (BTreeMap::new(), Vec::new());
    for (key, wanted) in &session.config.images {
        let candidates = match wanted {
            NameOrId::Name(name) => {
                let request = image::list::Request::builder().name(name.clone()).status("active").build();
                ask::<List<wire::Image>, _>(session, "list images", request).await?.0
            }
            NameOrId::Id(id) => {
                one(ask(session, "look an image up", image::get::Request::builder().id(id.clone()).build()).await)?
            }
        };
        let named = candidates.iter().map(|image| image.named.clone()).collect();
        match unique("image", wanted, named, "active") {
            Ok(id) => {
                let image = candidates.into_iter().find(|image| image.named.id == id);
                let (arch, min_disk_gib) = image.map(|i| (i.architecture, i.min_disk)).unwrap_or_default();
                if let Some(volume) = session.config.root_volume_gib.filter(|volume| *volume < min_disk_gib) {
                    missing.push(format!(
                        "the image of spec.images.{key} needs a disk of {min_disk_gib} GiB and spec.openstack.rootVolumeGiB is {volume}: \
                         make it larger"
                    ));
                }
                found.insert(key.clone(), Image { id, arch, min_disk_gib });
            }
            Err(sentence) => missing.push(format!("{sentence}, for spec.images.{key}")),
        }
    }
    Ok((found, missing))
}

/// Ids of the networks, in order.
pub async fn networks(session: &Session) -> Found<Vec<String>> {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for wanted in &session.config.networks {
        let mut request = network::list::Request::builder();
        match wanted {
            NameOrId::Name(name) => request.name(name.clone()),
            NameOrId::Id(id) => request.id(id.clone()),
        };
        let candidates: List<Named> = ask(session, "list networks", request.build()).await?;
        match unique("network", wanted, candidates.0, "active") {
            Ok(id) => found.push(id),
            Err(sentence) => missing.push(sentence),
        }
    }
    Ok((found, missing))
}

/// Security groups that Nova would refuse.
///
/// Nova takes a group by name or id, and looks for names in the project alone: a group of the same name that another project shares does
/// not count (`validate_name` in its `network/security_group_api.py`). Neutron lists what is shared, too, unless asked for one project.
pub async fn groups(session: &Session) -> Found<()> {
    let project = session.token(None).await?.project.clone();
    let mut missing = Vec::new();
    for group in &session.config.security_groups {
        let request = security_group::list::Request::builder().name(group.clone()).tenant_id(project.clone()).build();
        let named: List<Named> = ask(session, "list security groups", request).await?;
        let ids: Vec<&str> = named.0.iter().map(|group| group.id.as_str()).collect();
        match ids.as_slice() {
            [_] => continue,
            [] => {}
            many => {
                missing.push(format!(
                    "{} security groups of the project are called {group:?} ({}), and Nova refuses to choose: give the id of one",
                    many.len(),
                    some(many)
                ));
                continue;
            }
        }
        let request = security_group::list::Request::builder().id(group.clone()).build();
        if ask::<List<Named>, _>(session, "list security groups", request).await?.0.is_empty() {
            missing.push(format!(
                "no security group of the project is called {group:?} or has it as its id: create it or correct \
                 spec.openstack.securityGroups"
            ));
        }
    }
    Ok(((), missing))
}

/// The zones of the configuration that Nova does not have.
pub async fn zones(session: &Session) -> Found<()> {
    if session.config.zones.is_empty() {
        return Ok(((), Vec::new()));
    }
    let request = availability_zone::list_21::Request::builder().build();
    let zones: List<wire::Zone> = ask(session, "list availability zones", request).await?;
    let there: Vec<&str> = zones.0.iter().map(|z| z.zone_name.as_str()).collect();
    let absent = session.config.zones.iter().filter(|zone| !there.contains(&zone.as_str()));
    let sentence = |zone| format!("no availability zone is called {zone:?}; there are {}", some(&there));
    Ok(((), absent.map(sentence).collect()))
}

fn one<T>(found: Result<T, CloudError>) -> Result<Vec<T>, CloudError> {
    match found {
        Ok(one) => Ok(vec![one]),
        Err(CloudError::NotFound(_)) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The one candidate that works, or a sentence.
fn unique(kind: &str, wanted: &NameOrId, mut found: Vec<Named>, working: &str) -> Result<String, String> {
    let (word, text) = match wanted {
        NameOrId::Name(name) => ("called", name),
        NameOrId::Id(id) => ("with the id", id),
    };
    found.retain(|n| n.status.as_deref().is_none_or(|s| s.eq_ignore_ascii_case(working)));
    let ids: Vec<&str> = found.iter().map(|n| n.id.as_str()).collect();
    match ids.as_slice() {
        [] => Err(format!("there is no {working} {kind} {word} {text:?} that this project can see")),
        [id] => Ok((*id).to_owned()),
        many => Err(format!("{} {kind}s are {word} {text:?} ({}): say which by its id", many.len(), some(many))),
    }
}

#[cfg(test)]
#[path = "lookup_tests.rs"]
mod tests;
