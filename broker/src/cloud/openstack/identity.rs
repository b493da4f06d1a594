//! Keystone: a token for a credential, and the catalogue of endpoints that comes with it.
//!
//! Bodies and headers as in the Identity API v3 reference, "Authentication and token management".

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use reqwest::header::HeaderValue;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    bounded::{self, few, page},
    config::{Config, Credential, NameOrId, Project},
    fault,
    said::{not_understood, sentence},
};
use crate::{
    clock::moment,
    cloud::{CloudError, room::Room, transport},
};

const AUTHENTICATE: &str = "authenticate at Keystone";
/// Largest answer of Keystone that is read: the catalogue of a large site has 100 kB.
const LARGEST_ANSWER: usize = 1 << 20;
/// Services that are remembered of a catalogue: those that are asked, and those whose absence is said.
const SERVICES: [&str; 7] = ["compute", "image", "network", "block-storage", "volumev3", "volumev2", "volume"];
/// Longest address of one.
const LONGEST_URL: usize = 1_024;
/// Longest id of a project, user or credential: Keystone's have 64 characters.
const LONGEST_ID: usize = 255;
/// A token is renewed this long before it ends, or a tenth of its life where that is shorter.
const RENEWED_BEFORE: Duration = Duration::from_secs(300);

/// What an authentication brought.
pub struct Token {
    /// The token; marked sensitive, so that no header of it is ever printed.
    pub value: HeaderValue,
    /// The project that it opens.
    pub project: String,
    pub user: String,
    /// Id of the application credential that it was made with; `None`: it was made with something else.
    pub application_credential: Option<String>,
    /// When the user's password ends, where Keystone says so.
    pub password_expires: Option<Timestamp>,
    /// From when on another is asked for, before this one ends.
    renew: Option<Instant>,
    /// When it ends.
    ends: Option<Instant>,
    /// Address of each service's endpoint in our region, by service type.
    endpoints: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    project: Option<Id>,
    user: User,
    #[serde(default)]
    application_credential: Option<Id>,
    #[serde(default, deserialize_with = "page")]
    catalog: Vec<Service>,
    #[serde(default)]
    issued_at: Option<String>,
    #[serde(default)]
    expires_at: Option<String>,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
struct User {
    id: String,
    /// Without a zone: UTC.
    #[serde(default)]
    password_expires_at: Option<String>,
}

#[derive(Deserialize)]
struct Service {
    #[serde(rename = "type")]
    type_: String,
    #[serde(default, deserialize_with = "few")]
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    #[serde(default)]
    region_id: Option<String>,
    #[serde(default)]
    region: Option<String>,
    interface: String,
    url: String,
}

/// Asks Keystone for a token with what this credential proves itself.
pub async fn authenticate(
    http: &reqwest::Client,
    config: &Config,
    room: &Room,
    longest: Duration,
    login: &Login<'_>,
) -> Result<Token, CloudError> {
    scoped(http, config, room, longest, login).await.map_err(|error| match error {
        CloudError::Unauthorized(said) => CloudError::Unauthorized(format!(
            "{said}; the credential is wrong, expired or of another Keystone: renew the Secret"
        )),
        other => other,
    })
}

/// A request for a token, and the secret in it.
pub struct Login<'a> {
    pub body: Value,
    pub secret: &'a str,
}

/// Asks Keystone for the token of a project.
pub async fn scoped(
    http: &reqwest::Client,
    config: &Config,
    room: &Room,
    longest: Duration,
    login: &Login<'_>,
) -> Result<Token, CloudError> {
    let url = format!("{}/auth/tokens", config.auth_url.trim_end_matches('/'));
    let request = http.post(&url).timeout(longest).json(&login.body);
    let (value, body) = issued(AUTHENTICATE, &url, request, room, login.secret).await?;
    let token: Body =
        bounded::under(Some("token"), &body).map_err(|e| no_keystone(AUTHENTICATE, &url, &not_understood(&e)))?;
    let [renew, ends] = [renewal(&token), life(&token)].map(|lasts| moment().checked_add(lasts?));
    let project = token.project.ok_or_else(|| no_keystone(AUTHENTICATE, &url, "the token opens no project"))?.id;
    let credential = token.application_credential.map(|c| c.id);
    if [Some(&project), Some(&token.user.id), credential.as_ref()].into_iter().flatten().any(|id| id.len() > LONGEST_ID)
    {
        return Err(no_keystone(AUTHENTICATE, &url, "an id that is longer than Keystone's"));
    }
    Ok(Token {
        value,
        project,
        renew,
        ends,
        application_credential: credential,
        password_expires: token.user.password_expires_at.as_deref().and_then(utc),
        user: token.user.id,
        endpoints: endpoints(token.catalog, config),
    })
}

/// Sends a request for a token: the token, marked sensitive, and what Keystone says of it.
pub async fn issued(
    what: &str,
    url: &str,
    request: reqwest::RequestBuilder,
    room: &Room,
    secret: &str,
) -> Result<(HeaderValue, bytes::Bytes), CloudError> {
    let mut answer = request.send().await.map_err(|e| transport::failed(what, &e))?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = transport::body(what, &mut answer, LARGEST_ANSWER, room).await?;
    if !status.is_success() {
        return Err(match fault::of_refusal(what, status, &headers, &redacted(&sentence(status, &body), secret)) {
            CloudError::NotFound(said) | CloudError::Invalid(said) => {
                CloudError::Invalid(format!("{said}; {url} does not answer as a Keystone v3: correct authUrl"))
            }
            other => other,
        });
    }
    let value = headers.get("x-subject-token").cloned();
    let mut value = value.ok_or_else(|| no_keystone(what, url, "no token in the answer"))?;
    value.set_sensitive(true);
    Ok((value, body))
}

fn no_keystone(what: &str, url: &str, why: &str) -> CloudError {
    CloudError::Invalid(format!("{what}: {url} does not answer as a Keystone v3 ({why}): correct authUrl"))
}

/// Whatever listens at the address may echo what it got.
fn redacted(text: &str, secret: &str) -> String {
    match secret {
        "" => text.to_owned(),
        secret => text.replace(secret, "(the secret)"),
    }
}

/// How a credential proves itself to Keystone; `None`: another provider does it.
pub fn login(credential: &Credential) -> Option<Login<'_>> {
    let (body, secret) = match credential {
        Credential::Password { username, user_domain, password, project } => {
            let password = password.expose_secret();
            let body = json!({"auth": {
                "identity": {"methods": ["password"], "password": {"user": {
                    "name": username, "domain": reference(user_domain), "password": password}}},
                "scope": {"project": named(project)},
            }});
            (body, password)
        }
        Credential::Application { id, secret } => {
            let secret = secret.expose_secret();
            let body = json!({"auth": {"identity": {
                "methods": ["application_credential"],
                "application_credential": {"id": id, "secret": secret}}}});
            (body, secret)
        }
        Credential::Federated { .. } => return None,
    };
    Some(Login { body, secret })
}

/// A project, as the scope of a token names it.
pub fn named(project: &Project) -> Value {
    match project {
        Project::Id(id) => json!({"id": id}),
        Project::Named { name, domain } => json!({"name": name, "domain": reference(domain)}),
    }
}

fn reference(domain: &NameOrId) -> Value {
    match domain {
        NameOrId::Name(name) => json!({"name": name}),
        NameOrId::Id(id) => json!({"id": id}),
    }
}

fn endpoints(catalog: Vec<Service>, config: &Config) -> BTreeMap<String, String> {
    let ours = |e: &Endpoint| {
        let region = e.region_id.as_deref().or(e.region.as_deref());
        region == Some(config.region.as_str()) && e.interface == config.interface
    };
    catalog
        .into_iter()
        .filter(|service| SERVICES.contains(&service.type_.as_str()))
        .filter_map(|service| {
            let url = service.endpoints.into_iter().find(ours)?.url;
            if url.len() > LONGEST_URL {
                return None;
            }
            Some((service.type_, url))
        })
        .collect()
}

/// A time of Keystone, which writes its zone or means UTC.
pub fn utc(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| {
        let plain: jiff::civil::DateTime = text.parse().ok()?;
        plain.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    })
}

/// How long a token lasts. Both times are of Keystone's clock, so that ours does not matter.
fn life(token: &Body) -> Option<Duration> {
    let (issued, expires) = (utc(token.issued_at.as_deref()?)?, utc(token.expires_at.as_deref()?)?);
    Duration::try_from(expires.duration_since(issued)).ok()
}

/// How long it is used before another is asked for.
fn renewal(token: &Body) -> Option<Duration> {
    let lasts = life(token)?;
    Some(lasts - RENEWED_BEFORE.min(lasts / 10))
}

impl Token {
    /// Whether another is to be asked for: it ends soon, and a call that it ends in the middle of could not be repeated.
    pub fn is_old(&self) -> bool {
        self.renew.is_some_and(|at| moment() >= at)
    }

    /// Whether it serves no more.
    pub fn is_over(&self) -> bool {
        self.ends.is_some_and(|at| moment() >= at)
    }

    /// Whether the catalogue has an endpoint of a service of one of these types.
    pub fn has_any(&self, types: &[&str]) -> bool {
        types.iter().any(|service| self.endpoints.contains_key(*service))
    }

    /// Address of a service's endpoint.
    pub fn endpoint(&self, service: &str, config: &Config) -> Result<&str, CloudError> {
        self.endpoints.get(service).map(String::as_str).ok_or_else(|| {
            CloudError::Invalid(format!(
                "Keystone's catalogue has no {} endpoint of a {service} service in region {:?}: correct region or interface",
                config.interface, config.region
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_is_echoed_is_not_quoted() {
        assert_eq!(redacted("not s3cret", "s3cret"), "not (the secret)");
        assert_eq!(redacted("as it is", ""), "as it is");
    }

    #[test]
    fn a_project_and_both_domains_are_named_by_name_or_by_id() {
        let body = |user_domain: NameOrId, project: Project| {
            let credential =
                Credential::Password { username: "u".to_owned(), user_domain, password: "x".into(), project };
            let body = login(&credential).unwrap().body["auth"].take();
            (body["identity"]["password"]["user"]["domain"].clone(), body["scope"].clone())
        };
        let (name, id) = (|n: &str| NameOrId::Name(n.to_owned()), |i: &str| NameOrId::Id(i.to_owned()));
        let named = |domain| Project::Named { name: "biomed".to_owned(), domain };
        let in_domain = |domain: Value| json!({"project": {"name": "biomed", "domain": domain}});
        assert_eq!(
            body(name("Default"), named(name("egi.eu"))),
            (json!({"name": "Default"}), in_domain(json!({"name": "egi.eu"})))
        );
        assert_eq!(body(id("default"), named(id("d-1"))), (json!({"id": "default"}), in_domain(json!({"id": "d-1"}))));
        let by_id = body(name("Default"), Project::Id("p-1".to_owned()));
        assert_eq!(by_id.1, json!({"project": {"id": "p-1"}}), "an id alone: with a domain Keystone refuses it");
    }

    #[test]
    fn a_token_is_used_until_five_minutes_before_its_end_by_keystones_clock() {
        let body = |issued: &str, expires: &str| -> Body {
            serde_json::from_value(json!({"user": {"id": "u"}, "issued_at": issued, "expires_at": expires})).unwrap()
        };
        let hour = body("2001-01-01T00:00:00.000000Z", "2001-01-01T01:00:00.000000Z");
        assert_eq!(renewal(&hour), Some(Duration::from_secs(3_300)));
        let short = body("2001-01-01T00:00:00Z", "2001-01-01T00:00:10Z");
        assert_eq!(renewal(&short), Some(Duration::from_secs(9)));
        assert_eq!(renewal(&body("", "2001-01-01T00:00:10Z")), None);
        assert_eq!(renewal(&body("2001-01-01T01:00:00Z", "2001-01-01T00:00:00Z")), None);
    }
}
