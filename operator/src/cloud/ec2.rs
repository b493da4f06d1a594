//! An EC2 driver, from the Cloud object and the Secret that it names.

use std::{path::PathBuf, sync::Arc};

use broker::{
    clock::Clock,
    cloud::{
        Pace, Room,
        ec2::{Config, Credential, Ec2Cloud, ImageRef, Role, Template},
    },
};
use crds::{
    Reason,
    cloud::{CloudSpec, Ec2, Image, NamedOrId},
};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::openstack::gpus;
use crate::{api::Api, args::Run, names::Key, trouble::Trouble};

/// Where a service account's token is that AWS knows: what EKS puts into a pod whose account is annotated with a role.
const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
/// Longest name of a session of a role (STS API reference, `RoleSessionName`).
const LONGEST_SESSION: usize = 64;

/// A driver with this configuration, and with room for its answers.
pub fn make(config: Config, pace: Arc<Pace>, room: Room, clock: Clock) -> Result<Ec2Cloud, Trouble> {
    Ec2Cloud::new(config, pace, room, clock).map_err(|error| Trouble::from(&error))
}

/// The driver's configuration, and the version of the Secret in it: another driver is made when it changes.
pub async fn config(
    api: &Api,
    args: &Run,
    key: &Key,
    spec: &CloudSpec,
    ec2: &Ec2,
) -> Result<(Config, String), Trouble> {
    let (credential, version) = credential(api, args, key, ec2).await?;
    let auth = ec2.auth.as_ref();
    let role = auth.and_then(|auth| Some(Role { arn: auth.role_arn.clone()?, external_id: auth.external_id.clone() }));
    let config = Config {
        region: ec2.region.clone(),
        endpoint: ec2.endpoint.clone(),
        credential,
        role,
        session: session(key),
        addresses: args.addresses(),
        subnets: ec2.subnets.clone(),
        security_groups: ec2.security_groups.clone(),
        images: spec.images.iter().map(|(name, image)| (name.clone(), image_ref(image))).collect(),
        launch_template: ec2.launch_template.as_ref().map(template),
        root_volume_gib: ec2.root_volume_gib.and_then(|gib| u64::try_from(gib).ok()),
        queue: ec2.interruption_queue.clone(),
        gpus: gpus(&spec.flavors),
    };
    Ok((config, version))
}

/// Whose rights are used. The pod's own are the operator's, and whoever may write a Cloud would have them: so only where the installation
/// says so.
async fn credential(api: &Api, args: &Run, key: &Key, ec2: &Ec2) -> Result<(Credential, String), Trouble> {
    let auth = ec2.auth.as_ref();
    if let Some(reference) = auth.and_then(|auth| auth.secret_ref.as_ref()) {
        let secret = api.open(&key.beside(&reference.name)).await?;
        let keys = Credential::Keys {
            id: secret.plain("access_key_id")?,
            secret: secret.get("secret_access_key")?,
            session_token: secret.optional("session_token")?,
            expires: secret.optional("expiration")?.map(|text| expiration(&text)).transpose()?,
        };
        return Ok((keys, secret.version));
    }
    if !args.pod_role {
        return Err(Trouble::new(
            Reason::PodRoleNotAllowed,
            format!(
                "cloud {key} is entered with the rights of the operator's own pod, which this operator was installed without: name a \
                 Secret with keys in spec.ec2.auth.secretRef, or install the chart with podRole, if everybody who may write a Cloud \
                 may use these rights"
            ),
        ));
    }
    let Some(identity) = auth.and_then(|auth| auth.web_identity.as_ref()) else {
        return Ok((Credential::Pod, String::new()));
    };
    let Some(token_file) = std::env::var_os(TOKEN_FILE) else {
        return Err(Trouble::new(
            Reason::PodRoleNotAllowed,
            format!(
                "cloud {key} is entered by a web identity, and the operator's pod has no token for AWS ({TOKEN_FILE} is not set): annotate \
                 its service account with eks.amazonaws.com/role-arn, or mount a token and set the variable (extraEnv of the chart)"
            ),
        ));
    };
    Ok((
        Credential::WebIdentity { role: identity.role_arn.clone(), token_file: PathBuf::from(token_file) },
        String::new(),
    ))
}

fn expiration(text: &SecretString) -> Result<Timestamp, Trouble> {
    text.expose_secret().parse().map_err(|_| {
        let text =
            "the key \"expiration\" of the Secret is no time: write it as STS does, for example 2026-12-01T12:00:00Z";
        Trouble::new(Reason::SecretIncomplete, text.to_owned())
    })
}

/// The name under which a role's sessions stand in the provider's logs.
fn session(key: &Key) -> String {
    let mut name = format!("dirac-operator-{}-{}", key.namespace, key.name);
    name.truncate(LONGEST_SESSION);
    name
}

/// Who is asked: two Clouds of one address and account are one for the provider.
pub fn address(ec2: &Ec2) -> String {
    format!("ec2 {} {}", ec2.endpoint.as_deref().unwrap_or("aws").trim_end_matches('/'), ec2.region)
}

fn image_ref(image: &Image) -> ImageRef {
    match (&image.id, &image.name, &image.parameter) {
        (Some(id), ..) => ImageRef::Id(id.clone()),
        (None, Some(name), _) => {
            ImageRef::Newest { name: name.clone(), owner: image.owner.clone().unwrap_or_else(|| "self".to_owned()) }
        }
        (None, None, parameter) => ImageRef::Parameter(parameter.clone().unwrap_or_default()),
    }
}

fn template(named: &NamedOrId) -> Template {
    match (&named.id, &named.name) {
        (Some(id), _) => Template::Id(id.clone()),
        (None, name) => Template::Name(name.clone().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_called_after_its_cloud_and_fits() {
        let name = |namespace: &str, name: &str| session(&Key { namespace: namespace.into(), name: name.into() });
        assert_eq!(name("dirac", "aws-paris"), "dirac-operator-dirac-aws-paris");
        assert_eq!(name(&"n".repeat(63), "c").len(), LONGEST_SESSION);
    }

    #[test]
    fn an_image_is_the_accounts_own_unless_somebody_elses_is_named() {
        let named = Image { name: Some("dirac-pilot-*".to_owned()), ..Image::default() };
        let own = ImageRef::Newest { name: "dirac-pilot-*".to_owned(), owner: "self".to_owned() };
        assert_eq!(image_ref(&named), own);
        let theirs = Image { owner: Some("amazon".to_owned()), ..named };
        assert!(matches!(image_ref(&theirs), ImageRef::Newest { owner, .. } if owner == "amazon"));
    }
}
