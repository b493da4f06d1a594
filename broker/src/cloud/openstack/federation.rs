//! Keystone by the identity of another provider: an access token becomes an unscoped token, and that the token of a project.
//!
//! As in the Identity API's extension OS-FEDERATION, "Request an unscoped OS-FEDERATION token", and keystoneauth's `v3oidcaccesstoken`.

use std::{sync::Arc, time::Duration};

use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;
use serde_json::json;

use super::{
    bounded::{self, few},
    config::{Config, Project},
    identity::{self, Login, Token},
    oidc::{Access, Asks, Identity},
};
use crate::{
    clock::moment,
    cloud::{CloudError, quote::shortened, transport},
};

const ENTER: &str = "enter Keystone by the identity provider";
/// Largest list of projects that is read.
const LARGEST_LIST: usize = 256 << 10;
/// Projects that a sentence names.
const MOST_NAMED: usize = 10;

/// Who enters which project, and by which way.
pub struct Entry<'a> {
    pub provider: &'a str,
    pub protocol: &'a str,
    pub project: &'a Project,
    pub identity: &'a Arc<Identity>,
}

#[derive(Deserialize)]
struct Projects {
    #[serde(deserialize_with = "few")]
    projects: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
    name: String,
}

/// The token of the project. An access token that was got before and is refused is asked for once more.
pub async fn enter(asks: &Asks, config: &Config, longest: Duration, entry: &Entry<'_>) -> Result<Token, CloudError> {
    let began = moment();
    let access = entry.identity.access(asks, None).await?;
    let unscoped = match unscoped(asks, config, longest, entry, &access).await {
        Err(CloudError::Unauthorized(_)) if access.since < began => {
            let another = entry.identity.access(asks, Some(&access)).await?;
            self::unscoped(asks, config, longest, entry, &another).await
        }
        outcome => outcome,
    }?;
    let secret = unscoped.to_str().map_err(|e| CloudError::Invalid(format!("{ENTER}: the token is no text: {e}")))?;
    let body = json!({"auth": {
        "identity": {"methods": ["token"], "token": {"id": secret}},
        "scope": {"project": identity::named(entry.project)},
    }});
    match identity::scoped(&asks.http, config, &asks.room, longest, &Login { body, secret }).await {
        Err(CloudError::Unauthorized(said)) => {
            let open = projects(asks, config, longest, &unscoped).await;
            Err(CloudError::Unauthorized(format!("{said}; {}", wrong_project(open))))
        }
        outcome => outcome,
    }
}

async fn unscoped(
    asks: &Asks,
    config: &Config,
    longest: Duration,
    entry: &Entry<'_>,
    access: &Access,
) -> Result<HeaderValue, CloudError> {
    let (provider, protocol) = (encoded(entry.provider), encoded(entry.protocol));
    let keystone = config.auth_url.trim_end_matches('/');
    let url = format!("{keystone}/OS-FEDERATION/identity_providers/{provider}/protocols/{protocol}/auth");
    let request = asks.http.post(&url).timeout(longest).header(AUTHORIZATION, access.header.clone());
    let secret = access.header.to_str().unwrap_or_default().trim_start_matches("Bearer ").to_owned();
    match identity::issued(ENTER, &url, request, &asks.room, &secret).await {
        Ok((token, _)) => Ok(token),
        Err(CloudError::Unauthorized(said)) => Err(CloudError::Unauthorized(format!(
            "{said}; the site lets this identity not in: it must trust the issuer, and the identity must belong to a VO that the site \
             serves (`fedcloud endpoint projects --site SITE` shows which projects a token opens)"
        ))),
        Err(CloudError::Invalid(said)) => Err(CloudError::Invalid(format!(
            "{said}; or Keystone has no identity provider {:?} with the protocol {:?}, or asks browsers only: correct \
             auth.oidc.identityProvider and protocol",
            entry.provider, entry.protocol
        ))),
        Err(other) => Err(other),
    }
}

/// Names and ids of the projects that the identity may enter; `None`: Keystone does not say.
async fn projects(asks: &Asks, config: &Config, longest: Duration, token: &HeaderValue) -> Option<Vec<Named>> {
    let url = format!("{}/auth/projects", config.auth_url.trim_end_matches('/'));
    let request = asks.http.get(&url).timeout(longest).header("x-auth-token", token.clone());
    let what = "list the projects of an identity";
    let mut answer = request.send().await.map_err(|e| transport::failed(what, &e)).ok()?;
    if !answer.status().is_success() {
        return None;
    }
    let body = transport::body(what, &mut answer, LARGEST_LIST, &asks.room).await.ok()?;
    bounded::under::<Projects>(None, &body).ok().map(|all| all.projects)
}

fn wrong_project(open: Option<Vec<Named>>) -> String {
    let correct = "correct spec.openstack.project";
    match open {
        Some(open) if open.is_empty() => {
            "the identity may enter no project of this site: have its VO, or its group there, given a role".to_owned()
        }
        Some(open) => {
            let more = open.len().saturating_sub(MOST_NAMED);
            let one = |p: &Named| format!("{} (id {})", shortened(&p.name), shortened(&p.id));
            let mut named = open.iter().take(MOST_NAMED).map(one).collect::<Vec<_>>().join(", ");
            if more > 0 {
                named.push_str(&format!(" and {more} more"));
            }
            format!("the identity may enter the projects {named}: {correct}")
        }
        None => format!("the identity may not enter this project: {correct}, or have its VO given a role there"),
    }
}

/// A name as one segment of a path.
fn encoded(name: &str) -> String {
    let mut all = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => all.push(byte.into()),
            _ => all.push_str(&format!("%{byte:02X}")),
        }
    }
    all
}

#[cfg(test)]
#[path = "federation_tests.rs"]
mod tests;
