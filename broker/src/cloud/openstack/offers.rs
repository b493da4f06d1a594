//! What the project offers: flavors in zones, and the ids of images and networks that are known by name.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use openstack_sdk_compute::v2::{availability_zone, flavor};
use openstack_sdk_image::v2::image;
use openstack_sdk_network::v2::{network, security_group};
use serde_json::Value;

use super::{
    ask::ask,
    config::NameOrId,
    gpu,
    headroom::CLASS,
    identity,
    session::Session,
    wire::{self, Named},
};
use crate::cloud::{CloudError, Flavor, Gpu, Image, Offer, Offers, Purchase, Wanted};

/// Flavors on a page.
const PAGE: u32 = 500;

/// Ids of what orders name.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    /// Flavor ids by name.
    pub flavors: BTreeMap<String, String>,
    /// Network ids, in the order of the Cloud object.
    pub networks: Vec<String>,
    /// A sentence for each network of the Cloud object that is missing or ambiguous: nothing is bought while there is one.
    pub no_networks: Vec<String>,
}

/// Reads everything; the calls go out together.
pub async fn read(session: &Session, wanted: &Wanted) -> Result<(Offers, Resolved), CloudError> {
    let (flavors, (images, no_images), (networks, no_networks), no_groups, no_zones, credential_expires) = tokio::try_join!(
        flavors(session),
        images(session),
        networks(session),
        missing_groups(session),
        missing_zones(session),
        expiry(session),
    )?;
    let mut resolved = Resolved { networks, no_networks: no_networks.clone(), ..Resolved::default() };
    let mut missing: Vec<String> = [no_images, no_networks, no_groups, no_zones].concat();
    let (mut offered, mut offers) = (Vec::new(), Vec::new());
    let zones: Vec<Option<String>> = match session.config.zones.as_slice() {
        [] => vec![None],
        zones => zones.iter().cloned().map(Some).collect(),
    };
    // Servers are made from an image on the hypervisor's own disk: a flavor without one would need a volume, and Nova refuses it.
    for wire in flavors.into_iter().filter(|f| !f.disabled && f.disk != Some(0)) {
        if resolved.flavors.insert(wire.name.clone(), wire.id).is_some() {
            missing.push(format!("two flavors are called {:?}: one of them is used; have one renamed", wire.name));
            continue;
        }
        let (gpus, gpu_model) = gpu::of(&wire.extra_specs);
        let flavor = Flavor {
            name: wire.name,
            cores: wire.vcpus,
            ram_mib: wire.ram,
            disk_gib: wire.disk,
            arch: None,
            gpu: Gpu::whole(gpus, gpu_model),
        };
        if !wanted.suits(&flavor, Purchase::OnDemand) {
            continue;
        }
        offers.extend(zones.iter().map(|zone| Offer {
            flavor: flavor.name.clone(),
            zone: zone.clone(),
            purchase: Purchase::OnDemand,
            price_micros: None,
            quota_class: CLASS.to_owned(),
        }));
        offered.push(flavor);
    }
    let project = Some(session.token(None).await?.project.clone());
    Ok((Offers { flavors: offered, offers, images, missing, credential_expires, project }, resolved))
}

async fn flavors(session: &Session) -> Result<Vec<wire::Flavor>, CloudError> {
    let mut all: Vec<wire::Flavor> = Vec::new();
    let mut seen = HashSet::new();
    loop {
        let mut request = flavor::list_detailed_20::Request::builder();
        request.limit(PAGE);
        if let Some(last) = all.last() {
            request.marker(last.id.clone());
        }
        let mut page: Vec<wire::Flavor> = ask(session, "list flavors", request.build()).await?;
        // Who does not know the marker gives the same page for ever.
        page.retain(|flavor| seen.insert(flavor.id.clone()));
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

async fn images(session: &Session) -> Result<(BTreeMap<String, Image>, Vec<String>), CloudError> {
    let (mut found, mut missing) = (BTreeMap::new(), Vec::new());
    for (key, wanted) in &session.config.images {
        let candidates = match wanted {
            NameOrId::Name(name) => {
                let request = image::list::Request::builder().name(name.clone()).status("active").build();
                ask::<Vec<wire::Image>, _>(session, "list images", request).await?
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
                found.insert(key.clone(), Image { id, arch, min_disk_gib });
            }
            Err(sentence) => missing.push(format!("{sentence}, for spec.images.{key}")),
        }
    }
    Ok((found, missing))
}

async fn networks(session: &Session) -> Result<(Vec<String>, Vec<String>), CloudError> {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for wanted in &session.config.networks {
        let mut request = network::list::Request::builder();
        match wanted {
            NameOrId::Name(name) => request.name(name.clone()),
            NameOrId::Id(id) => request.id(id.clone()),
        };
        match unique("network", wanted, ask(session, "list networks", request.build()).await?, "active") {
            Ok(id) => found.push(id),
            Err(sentence) => missing.push(sentence),
        }
    }
    Ok((found, missing))
}

async fn missing_groups(session: &Session) -> Result<Vec<String>, CloudError> {
    let mut missing = Vec::new();
    for name in &session.config.security_groups {
        let request = security_group::list::Request::builder().name(name.clone()).build();
        let found: Vec<Named> = ask(session, "list security groups", request).await?;
        match found.len() {
            1 => {}
            0 => missing.push(format!(
                "no security group is called {name:?}: create it or correct spec.openstack.securityGroups"
            )),
            n => {
                missing.push(format!("{n} security groups are called {name:?}, and Nova refuses to choose: rename one"))
            }
        }
    }
    Ok(missing)
}

async fn missing_zones(session: &Session) -> Result<Vec<String>, CloudError> {
    if session.config.zones.is_empty() {
        return Ok(Vec::new());
    }
    let request = availability_zone::list_21::Request::builder().build();
    let zones: Vec<wire::Zone> = ask(session, "list availability zones", request).await?;
    let there: Vec<&str> = zones.iter().map(|z| z.zone_name.as_str()).collect();
    let absent = session.config.zones.iter().filter(|zone| !there.contains(&zone.as_str()));
    Ok(absent.map(|zone| format!("no availability zone is called {zone:?}; there are {}", there.join(", "))).collect())
}

/// When the credential ends: of an application credential as Keystone keeps it, of a password as the token says.
///
/// Whatever keeps it from being known keeps nothing else from being bought: access rules may keep a credential from looking at itself.
async fn expiry(session: &Session) -> Result<Option<Timestamp>, CloudError> {
    let token = session.token(None).await?;
    let Some(id) = &token.application_credential else { return Ok(token.password_expires) };
    match session.keystone(&format!("users/{}/application_credentials/{id}", token.user)).await {
        Ok(body) => {
            let value: Value = serde_json::from_slice(&body).unwrap_or_default();
            Ok(value["application_credential"]["expires_at"].as_str().and_then(identity::utc))
        }
        Err(error) => {
            tracing::debug!(%error, "the end of the application credential is not known");
            Ok(None)
        }
    }
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
        many => Err(format!("{} {kind}s are {word} {text:?} ({}): say which by its id", many.len(), many.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(id: &str, status: &str) -> Named {
        Named { id: id.to_owned(), status: Some(status.to_owned()) }
    }

    #[test]
    fn a_name_must_mean_one_thing_that_works() {
        let wanted = NameOrId::Name("EL9".to_owned());
        assert_eq!(
            unique("image", &wanted, vec![named("1", "active"), named("2", "queued")], "active"),
            Ok("1".to_owned())
        );
        assert!(unique("image", &wanted, vec![], "active").unwrap_err().contains("no active image called \"EL9\""));
        let two = unique("network", &wanted, vec![named("1", "ACTIVE"), named("2", "ACTIVE")], "active").unwrap_err();
        assert!(two.contains("1, 2") && two.contains("by its id"), "{two}");
    }
}
