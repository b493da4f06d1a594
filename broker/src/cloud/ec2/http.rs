//! How AWS's libraries send: through the one HTTP client that keeps to the policy of addresses, and reads answers up to a bound.

use std::{fmt, time::Duration};

use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use reqwest::redirect;

use super::answer;
use crate::{
    address::Policy,
    cloud::{CloudError, Room, transport},
};

/// Longest time for a connection, and for a whole call.
const CONNECT: Duration = Duration::from_secs(10);
const CALL: Duration = Duration::from_secs(60);
/// Connections that are kept for the next call.
const IDLE_CONNECTIONS: usize = 4;
/// Bytes that a server may send on a connection before they are read.
const WINDOW: u32 = 128 << 10;
/// Largest answer that is read: a thousand instances have 5 to 6 MB, and a hundred instance types 1 MB.
const LARGEST: usize = 10 << 20;

/// A client for one cloud.
#[derive(Clone)]
pub struct Http {
    client: reqwest::Client,
    /// Which addresses it asks; `None`: any.
    addresses: Option<Policy>,
    room: Room,
}

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct NoAnswer {
    /// The meaning.
    pub error: CloudError,
    /// Whether the request may have been read.
    pub reached: bool,
}

impl Http {
    /// A client that asks only what may be asked, and whose answers share this room.
    pub fn new(addresses: Policy, room: Room) -> Result<Self, CloudError> {
        Self::made(Some(addresses), room, CALL)
    }

    /// A client for the addresses from which a pod has its role: they are of its own machine, and no manifest names them.
    pub fn of_the_pod(room: Room) -> Result<Self, CloudError> {
        Self::made(None, room, CALL)
    }

    pub(super) fn made(addresses: Option<Policy>, room: Room, longest: Duration) -> Result<Self, CloudError> {
        let mut client = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(longest)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http2_initial_stream_window_size(WINDOW)
            .http2_initial_connection_window_size(WINDOW)
            .redirect(redirect::Policy::none());
        if let Some(addresses) = addresses {
            client = client.dns_resolver(addresses);
        }
        let client = client.build().map_err(|e| CloudError::Invalid(format!("the HTTP client cannot be made: {e}")))?;
        Ok(Self { client, addresses, room })
    }

    pub(super) async fn send(self, request: HttpRequest) -> Result<HttpResponse, NoAnswer> {
        let unsent = |error: CloudError| NoAnswer { error, reached: false };
        let odd = |why: String| unsent(CloudError::Invalid(format!("the request cannot be sent: {why}")));
        let request: http::Request<SdkBody> = request.try_into_http1x().map_err(|e| odd(e.to_string()))?;
        let (parts, body) = request.into_parts();
        self.addresses.map_or(Ok(()), |policy| policy.url(&parts.uri)).map_err(|refusal| unsent(refusal.into()))?;
        let body = body.bytes().map(Bytes::copy_from_slice).ok_or_else(|| odd("its body is a stream".to_owned()))?;
        let told = told(&parts.headers, &body);
        let call = self.client.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body);
        let what = "ask EC2";
        let mut answer = call
            .send()
            .await
            .map_err(|error| NoAnswer { reached: !error.is_connect(), error: transport::failed(what, &error) })?;
        let lost = |error: CloudError| NoAnswer { error, reached: true };
        let (status, headers) = (answer.status(), answer.headers().clone());
        if status.is_redirection() {
            return Err(lost(CloudError::Invalid(format!(
                "{what}: the endpoint answers {} and sends elsewhere, where nothing of ours is sent: correct spec.ec2.endpoint",
                status.as_u16()
            ))));
        }
        let mut body = transport::body(what, &mut answer, LARGEST, &self.room).await.map_err(lost)?;
        if status.is_success() {
            let refuse = |why| lost(CloudError::Transient(format!("{what}: the answer was not understood: {why}")));
            answer::check(&body).map_err(refuse)?;
        } else {
            body = without(&told, body);
        }
        let mut response = http::Response::new(SdkBody::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        HttpResponse::try_from(response)
            .map_err(|e| lost(CloudError::Transient(format!("{what}: the answer was not understood: {e}"))))
    }
}

/// What a request carries and nobody else is to read: a refusal may say it again, and refusals are quoted.
fn told(headers: &http::HeaderMap, body: &[u8]) -> Vec<String> {
    let of_headers = ["x-amz-security-token", "authorization"].into_iter().filter_map(|name| headers.get(name));
    let mut told: Vec<String> = of_headers.filter_map(|value| Some(value.to_str().ok()?.to_owned())).collect();
    let text = String::from_utf8_lossy(body);
    let secret = |name: &str| name.ends_with("UserData") || name == "WebIdentityToken";
    for (_, value) in text.split('&').filter_map(|pair| pair.split_once('=')).filter(|(name, _)| secret(name)) {
        // Base64, of which only these characters are written otherwise.
        told.extend([value.to_owned(), value.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=")]);
    }
    told.retain(|secret| !secret.is_empty());
    told
}

/// A refusal without what the request told.
fn without(told: &[String], refusal: Bytes) -> Bytes {
    let text = String::from_utf8_lossy(&refusal);
    if !told.iter().any(|secret| text.contains(secret)) {
        return refusal;
    }
    let text = told.iter().fold(text.into_owned(), |text, secret| text.replace(secret, "…"));
    Bytes::from(text)
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

impl HttpConnector for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let http = self.clone();
        HttpConnectorFuture::new_boxed(Box::pin(async move {
            http.send(request).await.map_err(|none| ConnectorError::io(Box::new(none)))
        }))
    }
}

impl HttpClient for Http {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
