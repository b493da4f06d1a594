//! An OpenStack driver, from the Cloud object and the Secrets that it names.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use broker::{
    clock::Clock,
    cloud::{
        Gpu, Pace, Room,
        openstack::{Config, Credential, NameOrId, OpenStackCloud, Project, oidc::Identity},
    },
};
use crds::{
    Reason, SecretRef,
    cloud::{CloudSpec, FlavorFacts, FlavorGpus, Image, NamedOrId, OpenStack},
    pool::Purchase,
};

use super::login;
use crate::{amounts::count, context::Context, names::Key, trouble::Trouble};

/// A driver with this configuration, and with room for its answers.
pub fn make(config: Config, pace: Arc<Pace>, room: Room, clock: Clock) -> Result<OpenStackCloud, Trouble> {
    let cloud = OpenStackCloud::new(config, pace, clock).map_err(|error| Trouble::from(&error))?;
    Ok(cloud.within(room))
}

/// Who is asked: two Clouds of one address and project are one for the provider.
pub fn address(openstack: &OpenStack) -> String {
    format!("{} {}", openstack.auth_url.trim_end_matches('/'), openstack.region)
}

/// The identity of another provider by which a driver of this configuration enters the cloud.
pub fn identity(config: &Config) -> Option<Arc<Identity>> {
    match &config.credential {
        Credential::Federated { identity, .. } => Some(identity.clone()),
        Credential::Password { .. } | Credential::Application { .. } => None,
    }
}

/// The driver's configuration, and the versions of the Secrets in it: another driver is made when they change.
pub async fn config(
    ctx: &Context,
    key: &Key,
    spec: &CloudSpec,
    openstack: &OpenStack,
) -> Result<(Config, String), Trouble> {
    let auth = &openstack.auth;
    let open = async |reference: &SecretRef| ctx.api.open(&key.beside(&reference.name)).await;
    let which = || {
        openstack.project.as_ref().and_then(project).ok_or_else(|| {
            Trouble::new(
                Reason::Invalid,
                format!("cloud {key} does not say which project is entered: give spec.openstack.project"),
            )
        })
    };
    let (credential, mut versions) = if let Some(via) = &auth.application_credential {
        let secret = open(&via.secret_ref).await?;
        let credential = Credential::Application { id: secret.plain("id")?, secret: secret.get("secret")? };
        (credential, secret.version)
    } else if let Some(via) = &auth.password {
        let project = which()?;
        let secret = open(&via.secret_ref).await?;
        let credential = Credential::Password {
            username: secret.plain("username")?,
            user_domain: match secret.plain("user_domain_id") {
                Ok(id) => NameOrId::Id(id),
                Err(_) => NameOrId::Name(secret.plain("user_domain").unwrap_or_else(|_| "Default".to_owned())),
            },
            password: secret.get("password")?,
            project,
        };
        (credential, secret.version)
    } else if let Some(oidc) = &auth.oidc {
        let project = which()?;
        let secret = open(&oidc.secret_ref).await?;
        let (identity, number) = login::identity(ctx, &key.beside(&oidc.secret_ref.name), oidc, &secret)?;
        let (provider, protocol) = (oidc.identity_provider.clone(), oidc.protocol.clone());
        // Not the Secret's version: the operator itself writes refresh tokens there.
        (Credential::Federated { provider, protocol, project, identity }, format!("identity {number}"))
    } else {
        return Err(Trouble::new(
            Reason::Invalid,
            format!("cloud {key} does not say how its project is entered: give spec.openstack.auth"),
        ));
    };
    let ca_pem = match &openstack.ca_secret_ref {
        Some(reference) => {
            let secret = open(reference).await?;
            versions.push(' ');
            versions.push_str(&secret.version);
            Some(secret.plain("ca.crt")?)
        }
        None => None,
    };
    let config = Config {
        auth_url: openstack.auth_url.clone(),
        region: openstack.region.clone(),
        interface: openstack.interface.clone().unwrap_or_else(|| "public".to_owned()),
        credential,
        ca_pem,
        addresses: ctx.args.addresses(),
        networks: openstack.networks.iter().map(name_or_id).collect(),
        security_groups: openstack.security_groups.clone(),
        zones: openstack.availability_zones.clone(),
        images: spec.images.iter().map(|(key, image)| (key.clone(), image_of(image))).collect(),
        config_drive: openstack.wants_config_drive(),
        root_volume_gib: openstack.root_volume_gib.and_then(|gib| u64::try_from(gib).ok()),
        gpus: gpus(&spec.flavors),
        spot: spot(&spec.flavors),
    };
    Ok((config, versions))
}

fn project(project: &crds::cloud::Project) -> Option<Project> {
    let domain = match (&project.domain_id, &project.domain) {
        (Some(id), _) => Some(NameOrId::Id(id.clone())),
        (None, name) => name.clone().map(NameOrId::Name),
    };
    match &project.id {
        Some(id) => Some(Project::Id(id.clone())),
        None => Some(Project::Named { name: project.name.clone()?, domain: domain? }),
    }
}

/// What the Cloud object says of the GPUs of its flavors.
pub fn gpus(flavors: &[FlavorFacts]) -> BTreeMap<String, Option<Gpu>> {
    let gpu = |said: &FlavorGpus| {
        let whole = count(said.count).saturating_mul(1_000);
        (whole > 0).then(|| Gpu {
            thousandths: whole.div_ceil(said.shares.map_or(1, count).max(1)),
            shared: false,
            vendor: said.vendor.clone(),
            model: said.model.clone(),
            memory_mib: said.memory_gib.map(|gib| count(gib).saturating_mul(1_024)),
        })
    };
    flavors.iter().filter_map(|f| Some((f.name.clone(), gpu(f.gpus.as_ref()?)))).collect()
}

fn image_of(image: &Image) -> NameOrId {
    name_or_id(&NamedOrId { name: image.name.clone(), id: image.id.clone() })
}

/// The flavors that the Cloud object says are Spot.
fn spot(flavors: &[FlavorFacts]) -> BTreeSet<String> {
    flavors.iter().filter(|f| f.purchase == Some(Purchase::Spot)).map(|f| f.name.clone()).collect()
}

fn name_or_id(thing: &NamedOrId) -> NameOrId {
    match (&thing.id, &thing.name) {
        (Some(id), _) => NameOrId::Id(id.clone()),
        (None, name) => NameOrId::Name(name.clone().unwrap_or_default()),
    }
}

#[cfg(test)]
#[path = "openstack_tests.rs"]
mod tests;
