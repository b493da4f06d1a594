//! The identity by which a cloud is entered that takes access tokens of an OpenID provider, and where its refresh token is kept: in the
//! Secret from which it came.

use std::{
    future::Future,
    hash::{DefaultHasher, Hash, Hasher},
    pin::Pin,
    sync::Arc,
};

use async_trait::async_trait;
use broker::cloud::{
    CloudError,
    openstack::oidc::{Client, Grant, Identity, Keeps, Kept},
};
use crds::{
    Reason,
    cloud::{Oidc, OidcGrant},
};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    api::{
        Api,
        secret::{Exchanged, Opened},
    },
    context::Context,
    errands::Errands,
    known::identities::Made,
    names::Key,
    trouble::Trouble,
};

/// Keys of the Secret.
const REFRESH_TOKEN: &str = "refresh_token";
const ACCESS_TOKEN: &str = "access_token";

/// The identity of this Secret, and a number that changes where another takes its place.
pub fn identity(ctx: &Context, key: &Key, oidc: &Oidc, secret: &Opened) -> Result<(Arc<Identity>, u64), Trouble> {
    let (grant, token, kept) = match oidc.grant.unwrap_or_default() {
        OidcGrant::RefreshToken => {
            // A public client has no secret.
            let client = Client { id: secret.plain("client_id")?, secret: secret.optional("client_secret")? };
            (Grant::RefreshToken(client), Some(secret.get(REFRESH_TOKEN)?), REFRESH_TOKEN)
        }
        OidcGrant::ClientCredentials => {
            let client = Client { id: secret.plain("client_id")?, secret: Some(secret.get("client_secret")?) };
            (Grant::ClientCredentials(client), None, REFRESH_TOKEN)
        }
        OidcGrant::AccessToken => {
            secret.get(ACCESS_TOKEN)?;
            (Grant::AccessToken, None, ACCESS_TOKEN)
        }
    };
    let from = made_from(oidc, &grant);
    let keeps = || Shelf { api: ctx.api.clone(), errands: ctx.errands.clone(), secret: key.clone(), name: kept };
    let make = || {
        let (issuer, scopes) = (&oidc.issuer, oidc.scopes.clone());
        Identity::new(issuer, grant, scopes, token.as_ref(), Arc::new(keeps()), ctx.clock.clone())
    };
    Ok(ctx.state.identities.of(key, from, token.as_ref(), make))
}

fn made_from(oidc: &Oidc, grant: &Grant) -> Made {
    let mut hasher = DefaultHasher::new();
    (&oidc.issuer, &oidc.scopes).hash(&mut hasher);
    let client = match grant {
        Grant::RefreshToken(client) => Some((1, client)),
        Grant::ClientCredentials(client) => Some((2, client)),
        Grant::AccessToken => None,
    };
    let client = client.map(|(kind, c)| (kind, &c.id, c.secret.as_ref().map(ExposeSecret::expose_secret)));
    client.hash(&mut hasher);
    Made(hasher.finish())
}

/// A token in a Secret.
struct Shelf {
    api: Api,
    errands: Arc<Errands>,
    secret: Key,
    name: &'static str,
}

#[async_trait]
impl Keeps for Shelf {
    async fn read(&self) -> Result<SecretString, CloudError> {
        let opened = self.api.open(&self.secret).await.map_err(answer)?;
        opened.get(self.name).map_err(answer)
    }

    async fn keep(&self, old: &SecretString, new: &SecretString) -> Result<Kept, CloudError> {
        match self.api.exchange(&self.secret, self.name, old, new).await {
            Ok(Exchanged::Written) => Ok(Kept::Written),
            Ok(Exchanged::Another) => Ok(Kept::Another),
            Err(trouble) => Err(answer(trouble)),
        }
    }

    async fn undisturbed(&self, work: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.errands.carry(work).await;
    }
}

/// What the driver hears of a Secret.
fn answer(trouble: Trouble) -> CloudError {
    match trouble.reason {
        Reason::SecretUnreadable | Reason::ApiServer => CloudError::Transient(trouble.message),
        _ => CloudError::Unauthorized(trouble.message),
    }
}

#[cfg(test)]
#[path = "login_tests.rs"]
mod tests;
