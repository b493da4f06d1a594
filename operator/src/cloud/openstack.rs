//! An OpenStack driver, from the Cloud object and the Secrets that it names.

use std::sync::Arc;

use broker::{
    address::Policy,
    clock::Clock,
    cloud::{
        Pace,
        openstack::{Config, Credential, NameOrId, OpenStackCloud},
    },
};
use crds::cloud::{CloudSpec, NamedOrId, OpenStack, Project};
use secrecy::ExposeSecret;

use crate::{
    api::{Api, secret::Opened},
    names::Key,
    trouble::Trouble,
};

/// A driver with this configuration.
pub fn make(config: Config, pace: Arc<Pace>, clock: Clock) -> Result<OpenStackCloud, Trouble> {
    OpenStackCloud::new(config, pace, clock).map_err(|error| Trouble::from(&error))
}

/// Who is asked: two Clouds of one address and project are one for the provider.
pub fn address(openstack: &OpenStack) -> String {
    format!("{} {}", openstack.auth_url.trim_end_matches('/'), openstack.region)
}

/// The driver's configuration, and the versions of the Secrets in it: the driver is made anew when they change.
pub async fn config(
    api: &Api,
    addresses: Policy,
    key: &Key,
    spec: &CloudSpec,
    openstack: &OpenStack,
) -> Result<(Config, String), Trouble> {
    let mut versions = String::new();
    let auth = &openstack.auth;
    let credential = if let Some(via) = &auth.application_credential {
        let secret = api.open(&key.beside(&via.secret_ref.name)).await?;
        versions.push_str(&secret.version);
        Credential::Application { id: plain(&secret, "id")?, secret: secret.get("secret")? }
    } else if let (Some(via), Some(Project { name: Some(project), domain: Some(domain), .. })) =
        (&auth.password, &openstack.project)
    {
        let secret = api.open(&key.beside(&via.secret_ref.name)).await?;
        versions.push_str(&secret.version);
        Credential::Password {
            username: plain(&secret, "username")?,
            user_domain: plain(&secret, "user_domain").unwrap_or_else(|_| "Default".to_owned()),
            password: secret.get("password")?,
            project: project.clone(),
            project_domain: domain.clone(),
        }
    } else if auth.password.is_some() {
        return Err(Trouble::new(
            "NotSupported",
            format!(
                "cloud {key} names its project or its domain by id, which this version of the operator cannot do with a password: name \
                 both in spec.openstack.project, or use an application credential"
            ),
        ));
    } else {
        return Err(Trouble::new(
            "NotSupported",
            format!(
                "cloud {key} is entered with OpenID Connect, which this version of the operator cannot do; until one can, make an \
                 application credential with it and name that in spec.openstack.auth"
            ),
        ));
    };
    let ca_pem = match &openstack.ca_secret_ref {
        Some(reference) => {
            let secret = api.open(&key.beside(&reference.name)).await?;
            versions.push(' ');
            versions.push_str(&secret.version);
            Some(plain(&secret, "ca.crt")?)
        }
        None => None,
    };
    let config = Config {
        auth_url: openstack.auth_url.clone(),
        region: openstack.region.clone(),
        interface: openstack.interface.clone().unwrap_or_else(|| "public".to_owned()),
        credential,
        ca_pem,
        addresses,
        networks: openstack.networks.iter().map(name_or_id).collect(),
        security_groups: openstack.security_groups.clone(),
        zones: openstack.availability_zones.clone(),
        images: spec.images.iter().map(|(key, image)| (key.clone(), name_or_id(image))).collect(),
    };
    Ok((config, versions))
}

/// A value that is no secret in itself.
fn plain(secret: &Opened, name: &str) -> Result<String, Trouble> {
    Ok(secret.get(name)?.expose_secret().to_owned())
}

fn name_or_id(thing: &NamedOrId) -> NameOrId {
    match (&thing.id, &thing.name) {
        (Some(id), _) => NameOrId::Id(id.clone()),
        (None, name) => NameOrId::Name(name.clone().unwrap_or_default()),
    }
}
