//! What the project offers: flavors in zones, and the ids of images and networks that are known by name.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use jiff::Timestamp;
use openstack_sdk_compute::v2::flavor;

use super::{
    ask::ask,
    bounded::{self, List},
    config::{Config, Credential},
    gpu,
    headroom::CLASS,
    identity,
    lookup::{groups, images, networks, zones},
    session::Session,
    wire,
};
use crate::cloud::{
    CloudError, Flavor, Offer, Offers, Wanted,
    room::{Kept, too_much},
};

/// Flavors on a page, and pages that are read.
const PAGE: u32 = 200;
const MOST_PAGES: usize = 25;
/// Names of flavors that a sentence has.
const MOST_NAMED: usize = 10;
/// What Keystone's catalogue calls Cinder: the name of today, and the older ones (OpenStack's service types authority).
const CINDER: [&str; 4] = ["block-storage", "volumev3", "volumev2", "volume"];

/// Ids of what orders name.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    /// Flavor ids by name.
    pub flavors: BTreeMap<String, String>,
    /// Flavors that are there and cannot be bought, and why.
    pub left_out: BTreeMap<String, LeftOut>,
    /// Room for the flavors.
    _kept: Arc<Kept>,
    /// Network ids, in the order of the Cloud object.
    pub networks: Vec<String>,
    /// A sentence for each thing without which no server is made as the Cloud object wants it: nothing is bought while there is one.
    pub refused: Vec<String>,
}

/// Why a flavor cannot be bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOut {
    /// It has no disk, and servers boot from it.
    NoDisk,
    /// The provider sells it no more.
    Disabled,
}

impl LeftOut {
    fn of(flavor: &wire::Flavor, config: &Config) -> Option<Self> {
        match (flavor.disabled, flavor.disk, config.root_volume_gib) {
            (true, ..) => Some(Self::Disabled),
            (false, Some(0), None) => Some(Self::NoDisk),
            _ => None,
        }
    }

    /// In words, with what can be done.
    pub fn sentence(self, name: &str) -> String {
        match self {
            Self::NoDisk => format!(
                "{name}: no disk of its own; set spec.openstack.rootVolumeGiB, so that VMs boot from volumes, where the site has Cinder"
            ),
            Self::Disabled => format!("{name}: disabled by the provider"),
        }
    }
}

/// Reads everything; the calls go out together.
pub async fn read(session: &Session, wanted: &Wanted) -> Result<(Offers, Resolved), CloudError> {
    let (
        (flavors, kept),
        (images, no_images),
        (networks, no_networks),
        ((), no_groups),
        ((), no_zones),
        credential_expires,
    ) = tokio::try_join!(
        flavors(session),
        images(session),
        networks(session),
        groups(session),
        zones(session),
        expiry(session),
    )?;
    let config = &session.config;
    let token = session.token(None).await?;
    let no_cinder = (config.root_volume_gib.is_some() && !token.has_any(&CINDER)).then(|| {
        "spec.openstack.rootVolumeGiB wants volumes, and Keystone's catalogue has no block storage (Cinder) for this region and interface: \
         remove it, and use flavors that have a disk"
            .to_owned()
    });
    let refused: Vec<String> = no_networks.into_iter().chain(no_cinder).collect();
    let mut missing: Vec<String> = [no_images, refused.clone(), no_groups, no_zones].concat();
    let mut resolved = Resolved { networks, refused, _kept: Arc::new(kept), ..Resolved::default() };
    let (mut offered, mut offers) = (Vec::new(), Vec::new());
    let zones: Vec<Option<String>> = match config.zones.as_slice() {
        [] => vec![None],
        zones => zones.iter().cloned().map(Some).collect(),
    };
    for wire in flavors {
        if let Some(why) = LeftOut::of(&wire, config) {
            resolved.left_out.insert(wire.name, why);
            continue;
        }
        if resolved.flavors.insert(wire.name.clone(), wire.id).is_some() {
            missing.push(format!("two flavors are called {:?}: one of them is used; have one renamed", wire.name));
            continue;
        }
        let flavor = Flavor {
            gpu: config.gpus.get(&wire.name).cloned().unwrap_or_else(|| gpu::of(&wire.extra_specs)),
            name: wire.name,
            cores: wire.vcpus,
            ram_mib: wire.ram,
            disk_gib: config.root_volume_gib.or(wire.disk),
            arch: None,
        };
        let purchase = config.purchase(&flavor.name);
        if !wanted.suits(&flavor, purchase) {
            continue;
        }
        offers.extend(zones.iter().map(|zone| Offer {
            flavor: flavor.name.clone(),
            zone: zone.clone(),
            purchase,
            price_micros: None,
            quota_class: CLASS.to_owned(),
        }));
        offered.push(flavor);
    }
    let left_out = sentences(&resolved.left_out);
    if resolved.flavors.is_empty() && !left_out.is_empty() {
        missing.push(format!("no flavor can be bought: {}", left_out.join("; ")));
    }
    let project = Some(token.project.clone());
    Ok((
        Offers { flavors: offered, offers, currency: None, images, missing, left_out, credential_expires, project },
        resolved,
    ))
}

/// A sentence for each reason, with the first of the flavors.
fn sentences(left_out: &BTreeMap<String, LeftOut>) -> Vec<String> {
    let mut by_reason: BTreeMap<LeftOut, Vec<&str>> = BTreeMap::new();
    for (name, why) in left_out {
        by_reason.entry(*why).or_default().push(name);
    }
    let one = |(why, names): (LeftOut, Vec<&str>)| {
        let more = names.len().saturating_sub(MOST_NAMED);
        let mut named = names.into_iter().take(MOST_NAMED).collect::<Vec<_>>().join(", ");
        if more > 0 {
            named.push_str(&format!(" and {more} more"));
        }
        why.sentence(&named)
    };
    by_reason.into_iter().map(one).collect()
}

async fn flavors(session: &Session) -> Result<(Vec<wire::Flavor>, Kept), CloudError> {
    let what = "list flavors";
    let (mut all, mut kept): (Vec<wire::Flavor>, _) = (Vec::new(), Kept::default());
    let mut seen = HashSet::new();
    for _ in 0..MOST_PAGES {
        let mut request = flavor::list_detailed_20::Request::builder();
        request.limit(PAGE);
        if let Some(last) = all.last() {
            request.marker(last.id.clone());
        }
        let List(mut page): List<wire::Flavor> = ask(session, what, request.build()).await?;
        // Who does not know the marker gives the same page for ever.
        page.retain(|flavor| seen.insert(flavor.id.clone()));
        if page.is_empty() {
            return Ok((all, kept));
        }
        page.iter_mut().for_each(wire::Flavor::cut);
        all.extend(page);
        if !session.room.keep(&mut kept, all.iter().map(wire::Flavor::weight).sum()) {
            return Err(too_much(what));
        }
    }
    Err(CloudError::Transient(format!("{what}: the list does not end after {} of them", all.len())))
}

/// When the credential ends: of an application credential as Keystone keeps it, of a password as the token says, of an identity of another
/// provider as that said.
///
/// Whatever keeps it from being known keeps nothing else from being bought: access rules may keep a credential from looking at itself.
async fn expiry(session: &Session) -> Result<Option<Timestamp>, CloudError> {
    let token = session.token(None).await?;
    if let Credential::Federated { identity, .. } = &session.config.credential {
        return Ok(identity.told().ends);
    }
    let Some(id) = &token.application_credential else { return Ok(token.password_expires) };
    match session.keystone(&format!("users/{}/application_credentials/{id}", token.user)).await {
        Ok(body) => {
            let kept: Option<wire::Expiry> = bounded::under(Some("application_credential"), &body).ok();
            Ok(kept.and_then(|kept| kept.expires_at).as_deref().and_then(identity::utc))
        }
        Err(error) => {
            tracing::debug!(%error, "the end of the application credential is not known");
            Ok(None)
        }
    }
}

#[cfg(test)]
#[path = "offers_tests.rs"]
mod tests;
