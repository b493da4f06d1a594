//! What is asked of an OpenID provider: where its token endpoint is (OpenID Connect Discovery 1.0), and a token there (RFC 6749).

use std::time::Duration;

use http::Uri;
use jiff::SignedDuration;
use reqwest::{StatusCode, header::HeaderMap};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};

use super::super::{
    bounded::{self, few},
    fault,
    said::not_understood,
};
use crate::{
    address::Policy,
    cloud::{CloudError, quote::shortened, room::Room, transport},
};

/// Largest answer that is read: a token with the memberships of a busy person has some kB.
const LARGEST_ANSWER: usize = 256 << 10;
/// Longest time for each of the two questions.
const LONGEST: Duration = Duration::from_secs(20);
/// Refusals of a token endpoint whose words are quoted (RFC 6749 §5.2, RFC 8628, OpenID Connect Core).
const REFUSALS: [&str; 9] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "access_denied",
    "invalid_token",
    "temporarily_unavailable",
];

/// With what a provider is asked.
#[derive(Clone)]
pub struct Asks {
    /// The client. It follows no redirect, and resolves names by the policy.
    pub http: reqwest::Client,
    /// Which addresses may be asked: the provider's own words lead to its token endpoint.
    pub addresses: Policy,
    /// Room for its answers.
    pub room: Room,
}

/// A client as it is registered at the provider.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its id.
    pub id: String,
    /// Its secret; a public client has none.
    pub secret: Option<SecretString>,
}

/// What a token endpoint gave.
pub struct Answer {
    pub access_token: SecretString,
    /// How long it lasts, where that is said.
    pub lasts: Option<Duration>,
    /// The refresh token from now on, where another is given.
    pub refresh_token: Option<SecretString>,
    /// How long that, or the present one, lasts, where that is said (Keycloak does).
    pub refresh_lasts: Option<SignedDuration>,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    token_endpoint: String,
    #[serde(default, deserialize_with = "few")]
    token_endpoint_auth_methods_supported: Vec<String>,
}

#[derive(Deserialize)]
struct Tokens {
    access_token: SecretString,
    #[serde(default)]
    expires_in: Option<u32>,
    #[serde(default)]
    refresh_token: Option<SecretString>,
    /// 0: it does not end.
    #[serde(default)]
    refresh_expires_in: Option<u32>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    error_description: Option<String>,
}

/// Asks for an access token with this refresh token, or, without one, with the client's own secret.
pub async fn ask(
    asks: &Asks,
    issuer: &str,
    client: &Client,
    refresh: Option<&SecretString>,
    scopes: &[String],
) -> Result<Answer, CloudError> {
    let known = discover(asks, issuer).await?;
    let what = "ask the identity provider for an access token";
    allowed(asks.addresses, &known.token_endpoint)?;
    let mut form = match refresh {
        Some(token) => vec![("grant_type", "refresh_token"), ("refresh_token", token.expose_secret())],
        None => vec![("grant_type", "client_credentials")],
    };
    let scope = scopes.join(" ");
    if !scope.is_empty() {
        form.push(("scope", &scope));
    }
    let mut request = asks.http.post(&known.token_endpoint).timeout(LONGEST);
    match &client.secret {
        None => form.push(("client_id", &client.id)),
        Some(secret) if known.takes_secrets_in_the_body() => {
            form.extend([("client_id", client.id.as_str()), ("client_secret", secret.expose_secret())]);
        }
        Some(secret) => request = request.basic_auth(encoded(&client.id), Some(encoded(secret.expose_secret()))),
    }
    let hidden: Vec<&str> =
        [refresh, client.secret.as_ref()].into_iter().flatten().map(ExposeSecret::expose_secret).collect();
    let (status, headers, body) = answered(asks, what, request.form(&form)).await?;
    if !status.is_success() {
        return Err(refused(what, status, &headers, &body, &hidden, refresh.is_some()));
    }
    let tokens: Tokens = understood(what, issuer, &body)?;
    Ok(Answer {
        access_token: tokens.access_token,
        lasts: tokens.expires_in.filter(|n| *n > 0).map(|n| Duration::from_secs(n.into())),
        refresh_token: tokens.refresh_token.filter(|t| !t.expose_secret().is_empty()),
        refresh_lasts: tokens.refresh_expires_in.filter(|n| *n > 0).map(|n| SignedDuration::from_secs(n.into())),
    })
}

impl Discovery {
    /// By the header is what every provider must take (RFC 6749 §2.3.1), and what is meant where nothing is said.
    fn takes_secrets_in_the_body(&self) -> bool {
        let takes = |method: &str| self.token_endpoint_auth_methods_supported.iter().any(|m| m == method);
        takes("client_secret_post") && !takes("client_secret_basic")
    }
}

async fn discover(asks: &Asks, issuer: &str) -> Result<Discovery, CloudError> {
    let what = "ask the identity provider for its endpoints";
    let url = format!("{issuer}/.well-known/openid-configuration");
    allowed(asks.addresses, &url)?;
    let (status, headers, body) = answered(asks, what, asks.http.get(&url).timeout(LONGEST)).await?;
    if !status.is_success() {
        return Err(match fault::of_refusal(what, status, &headers, "") {
            waits @ (CloudError::Transient(_) | CloudError::Throttled { .. }) => waits,
            other => CloudError::Invalid(format!("{other}; {issuer} is no OpenID provider: correct auth.oidc.issuer")),
        });
    }
    let known: Discovery = understood(what, issuer, &body)?;
    if known.issuer.trim_end_matches('/') != issuer {
        return Err(CloudError::Invalid(format!(
            "{what}: the provider at {issuer} says that it is another: correct auth.oidc.issuer"
        )));
    }
    Ok(known)
}

async fn answered(
    asks: &Asks,
    what: &str,
    request: reqwest::RequestBuilder,
) -> Result<(StatusCode, HeaderMap, bytes::Bytes), CloudError> {
    let mut answer = request.send().await.map_err(|e| transport::failed(what, &e))?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = transport::body(what, &mut answer, LARGEST_ANSWER, &asks.room).await?;
    Ok((status, headers, body))
}

fn understood<T: DeserializeOwned>(what: &str, issuer: &str, body: &[u8]) -> Result<T, CloudError> {
    bounded::under(None, body).map_err(|e| {
        let why = not_understood(&e);
        CloudError::Invalid(format!(
            "{what}: {issuer} does not answer as an OpenID provider ({why}): correct auth.oidc.issuer"
        ))
    })
}

fn allowed(addresses: Policy, url: &str) -> Result<(), CloudError> {
    let uri: Uri = url.parse().map_err(|e| CloudError::Invalid(format!("{url:?} is not a URL: {e}")))?;
    Ok(addresses.url(&uri)?)
}

/// What the refusal of a token endpoint means. Its words are quoted where it has the shape of one, without what was `hidden` in the
/// request.
fn refused(
    what: &str,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    hidden: &[&str],
    is_refresh: bool,
) -> CloudError {
    let refusal: Option<Refusal> =
        serde_json::from_slice(body).ok().filter(|r: &Refusal| REFUSALS.contains(&r.error.as_str()));
    let Some(refusal) = refusal else { return fault::of_refusal(what, status, headers, "") };
    let mut words = refusal.error_description.unwrap_or_default();
    for secret in hidden.iter().filter(|secret| !secret.is_empty()) {
        words = words.replace(secret, "(the secret)");
    }
    let error = &refusal.error;
    let said = shortened(&format!("{error} {words}"));
    match error.as_str() {
        _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            fault::of_refusal(what, status, headers, &said)
        }
        "temporarily_unavailable" => CloudError::Transient(format!("{what}: {said}")),
        "invalid_grant" | "invalid_token" | "access_denied" if is_refresh => CloudError::Unauthorized(format!(
            "{what}: {said}; the refresh token ended, was revoked, or was used twice: some providers take each one once, and end the \
             whole login when an old one comes again, so that nothing else may use the one in the Secret. Log in again and put another \
             refresh token into the Secret"
        )),
        "invalid_client" | "unauthorized_client" => CloudError::Unauthorized(format!(
            "{what}: {said}; the provider does not know this client, or not for this grant: correct client_id and client_secret in the \
             Secret"
        )),
        "invalid_grant" | "invalid_token" | "access_denied" => CloudError::Unauthorized(format!("{what}: {said}")),
        "invalid_scope" => CloudError::Invalid(format!("{what}: {said}; correct auth.oidc.scopes")),
        _ => CloudError::Invalid(format!(
            "{what}: {said}; correct auth.oidc.grant, or have the client allowed to use it"
        )),
    }
}

/// RFC 6749 §2.3.1: id and secret are form-encoded before they go into the header.
fn encoded(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => all.push(byte.into()),
            b' ' => all.push('+'),
            _ => all.push_str(&format!("%{byte:02X}")),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str, is_refresh: bool) -> CloudError {
        let status = StatusCode::from_u16(status).unwrap();
        refused("ask", status, &HeaderMap::new(), body.as_bytes(), &["r3fresh"], is_refresh)
    }

    #[test]
    fn each_refusal_says_what_to_correct_and_no_secret() {
        let twice = refusal(400, r#"{"error": "invalid_grant", "error_description": "r3fresh was used"}"#, true);
        let CloudError::Unauthorized(text) = &twice else { panic!("{twice:?}") };
        assert!(
            text.contains("used twice") && text.contains("(the secret) was used") && !text.contains("r3fresh"),
            "{text}"
        );
        for (body, part) in [
            (r#"{"error": "invalid_client"}"#, "client_id"),
            (r#"{"error": "invalid_scope"}"#, "auth.oidc.scopes"),
            (r#"{"error": "unsupported_grant_type"}"#, "auth.oidc.grant"),
        ] {
            assert!(refusal(400, body, true).to_string().contains(part), "{body}");
        }
        let waits = refusal(503, r#"{"error": "temporarily_unavailable"}"#, true);
        assert!(matches!(waits, CloudError::Transient(_)), "{waits:?}");
        let other = refusal(400, r#"{"error": "root", "error_description": "inside"}"#, true);
        assert!(!other.to_string().contains("inside"), "{other}");
        assert!(
            matches!(refusal(401, "<html>inside</html>", false), CloudError::Unauthorized(text) if !text.contains("inside"))
        );
    }

    #[test]
    fn ids_and_secrets_are_form_encoded_for_the_header() {
        assert_eq!(encoded("a b:c%é*"), "a+b%3Ac%25%C3%A9*");
    }
}
