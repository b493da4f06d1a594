//! The session: one token for all calls, renewed once however many calls find it expired; answers become typed errors with
//! their `Retry-After`, and nothing that is sent or received is ever logged.

mod sdk;

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, Uri};
use jiff::SignedDuration;
use reqwest::{Certificate, Method, StatusCode, redirect};
use tokio::{sync::Mutex, time::Instant};

use super::{
    answer,
    config::{Config, Credential},
    federation::{self, Entry},
    hold::Hold,
    identity::{self, Token},
    oidc::Asks,
    tags,
};
use crate::{
    clock::{Clock, moment},
    cloud::{
        CloudError, Disposition,
        pace::{Action, Pace},
        room::Room,
        transport,
    },
};

/// Longest time for a connection, and for a whole call.
const CONNECT: Duration = Duration::from_secs(10);
const CALL: Duration = Duration::from_secs(60);
/// Longest time for an authentication: all calls wait for it.
const AUTHENTICATION: Duration = Duration::from_secs(20);
/// Connections that are kept for the next call.
const IDLE_CONNECTIONS: usize = 4;
/// Bytes that a server may send on a connection before they are read.
const WINDOW: u32 = 128 << 10;
/// Calls that waited while Keystone did not answer hear that it did not, instead of each waiting as long again.
const SILENCE_HOLDS: Duration = Duration::from_secs(1);
/// An order whose answer was lost may still be carried out for this long: Nova's own waits for its services (60 s each) one after the
/// other, and ours for its answer.
pub const CARRIED_OUT_WITHIN: SignedDuration = SignedDuration::from_secs(180);

/// A session with one project of one cloud.
pub struct Session {
    pub(super) config: Config,
    http: reqwest::Client,
    token: Mutex<Known>,
    /// Services that refuse tokens that Keystone just gave: not every call to them asks for another.
    spurning: std::sync::Mutex<HashMap<String, Hold>>,
    pace: Arc<Pace>,
    /// Room for what is answered.
    pub(super) room: Room,
    pub(super) clock: Clock,
    authentications: AtomicU64,
}

#[derive(Default)]
struct Known {
    token: Option<Arc<Token>>,
    /// Why there is none, and until when nobody asks again.
    failed: Option<(Instant, CloudError)>,
    /// A refused credential is tried again ever more rarely: a changed Secret is another driver, and accounts get locked.
    refusals: Hold,
}

impl Known {
    /// The token that serves still, though another may be due, and is not the `refused` one.
    fn serving(&self, refused: Option<&Arc<Token>>) -> Option<Arc<Token>> {
        let serves = |token: &&Arc<Token>| !token.is_over() && refused.is_none_or(|r| !Arc::ptr_eq(r, token));
        self.token.as_ref().filter(serves).cloned()
    }
}

impl Session {
    /// Prepares a session; nothing is asked yet.
    pub fn new(config: Config, pace: Arc<Pace>, clock: Clock) -> Result<Self, CloudError> {
        let keystone: Uri = config
            .auth_url
            .parse()
            .map_err(|e| CloudError::Invalid(format!("{:?} is not a URL: {e}; correct authUrl", config.auth_url)))?;
        config.addresses.url(&keystone)?;
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(CALL)
            // An idle connection holds one of the few worker threads of a small site's API.
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            // What comes before it is read is in memory, too, whatever room there is for it.
            .http2_initial_stream_window_size(WINDOW)
            .http2_initial_connection_window_size(WINDOW)
            // A redirect would carry the token to wherever it points.
            .redirect(redirect::Policy::none())
            .dns_resolver(config.addresses)
            .user_agent(concat!("dirac-operator/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = &config.ca_pem {
            let refuse = |why: String| {
                CloudError::Invalid(format!("ca.crt of caSecretRef cannot be read as PEM certificates: {why}"))
            };
            let certificates = Certificate::from_pem_bundle(pem.as_bytes()).map_err(|e| refuse(e.to_string()))?;
            if certificates.is_empty() {
                return Err(refuse("there is none in it".to_owned()));
            }
            http = http.tls_certs_merge(certificates);
        }
        let http = http.build().map_err(|e| CloudError::Invalid(format!("the HTTP client cannot be made: {e}")))?;
        Ok(Self {
            config,
            http,
            token: Mutex::default(),
            spurning: std::sync::Mutex::default(),
            pace,
            room: Room::default(),
            clock,
            authentications: AtomicU64::new(0),
        })
    }

    /// For how long no server is looked at or ordered.
    pub(super) fn rests(&self) -> Option<Duration> {
        self.pace.rests(&[Action::Look, Action::Create])
    }

    /// How often Keystone was asked for a token.
    pub fn authentications(&self) -> u64 {
        self.authentications.load(Ordering::Relaxed)
    }

    /// The token, asked for where there is none, or where the one there is was `refused`.
    ///
    /// Whoever comes first asks Keystone while the others wait at the lock and then find the new token.
    pub(super) async fn token(&self, refused: Option<&Arc<Token>>) -> Result<Arc<Token>, CloudError> {
        let mut known = self.token.lock().await;
        if let Some(token) = known.serving(refused).filter(|token| !token.is_old()) {
            return Ok(token);
        }
        if let Some((until, error)) = &known.failed
            && moment() < *until
        {
            return known.serving(refused).ok_or_else(|| error.clone());
        }
        match self.authenticate().await {
            Ok(token) => {
                let token = Arc::new(token);
                *known = Known { token: Some(token.clone()), ..Known::default() };
                Ok(token)
            }
            Err(error) => {
                let now = moment();
                let until = match (&error, error.disposition()) {
                    (CloudError::Unauthorized(_), _) => known.refusals.grow(now),
                    (CloudError::Throttled { .. }, Disposition::RetryAfter(pause)) => now + pause,
                    _ => now + SILENCE_HOLDS,
                };
                known.failed = Some((until, error.clone()));
                // While no other is to be had, the old one serves until its end: VMs can be deleted that long.
                known.token = known.serving(refused);
                known.token.clone().ok_or(error)
            }
        }
    }

    async fn authenticate(&self) -> Result<Token, CloudError> {
        let turn = self.pace.turn("Keystone", Action::Look).await?;
        self.authentications.fetch_add(1, Ordering::Relaxed);
        let (http, config, room) = (&self.http, &self.config, &self.room);
        let outcome = match (&config.credential, identity::login(&config.credential)) {
            (_, Some(login)) => identity::authenticate(http, config, room, AUTHENTICATION, &login).await,
            (Credential::Federated { provider, protocol, project, identity }, None) => {
                let asks = Asks { http: http.clone(), addresses: config.addresses, room: room.clone() };
                let entry = Entry { provider, protocol, project, identity };
                federation::enter(&asks, config, AUTHENTICATION, &entry).await
            }
            (_, None) => Err(CloudError::Invalid("the credential proves nothing".to_owned())),
        };
        // Its silences are remembered by who asks, with their reasons.
        drop(turn);
        outcome
    }

    /// Sends a request with a token; a 401 renews the token and repeats the request, which was not carried out, once.
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Bytes>, CloudError> {
        let what = format!("{} {}", request.method(), request.uri().path());
        let (parts, body) = request.into_parts();
        // The catalogue, and with it whoever answers as Keystone, chooses where to.
        self.config.addresses.url(&parts.uri)?;
        let (service, action) = (service(&parts.uri), action(&parts.method, &parts.uri));
        let body = Bytes::from(body);
        let mut refused = None;
        loop {
            let token = self.token(refused.as_ref()).await?;
            let mut headers = parts.headers.clone();
            headers.insert("x-auth-token", token.value.clone());
            let turn = self.pace.turn(&service, action).await?;
            let call =
                self.http.request(parts.method.clone(), parts.uri.to_string()).headers(headers).body(body.clone());
            let answer = match call.send().await {
                Ok(answer) => answer,
                Err(error) => {
                    turn.unanswered();
                    let said = transport::failed(&what, &error);
                    // Whoever was not even reached has carried nothing out.
                    return Err(if error.is_connect() { said } else { self.in_doubt(action, said) });
                }
            };
            if self.is_worth_another_token(&service, answer.status(), refused.is_some()) {
                turn.answered(None);
                refused = Some(token);
                continue;
            }
            let (status, headers) = (answer.status(), answer.headers().clone());
            let answer = answer::read(&what, action, answer, &self.room).await;
            turn.answered(answer.as_ref().err());
            // Not of a POST that was carried out: what it made is made. A look always goes before it. And a "no such thing" of
            // whatever stands before Nova proves nothing.
            if parts.method == Method::GET && status.is_success() {
                answer::in_our_microversion(&what, &parts.headers, &headers)?;
            } else if matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE) {
                answer::in_our_microversion(&what, &parts.headers, &headers)
                    .map_err(|error| CloudError::Transient(format!("{status}, and not from Nova: {error}")))?;
            }
            return answer.map_err(|error| self.in_doubt(action, error));
        }
    }

    /// What is transient for a question leaves an order in doubt.
    fn in_doubt(&self, action: Action, error: CloudError) -> CloudError {
        match (action, error) {
            (Action::Create, CloudError::Transient(message)) => {
                CloudError::Unclear { message, until: self.clock.now() + CARRIED_OUT_WITHIN }
            }
            (_, error) => error,
        }
    }

    /// Whether a request that got this status is to be repeated with another token; `fresh`: its token was already another.
    fn is_worth_another_token(&self, service: &str, status: StatusCode, fresh: bool) -> bool {
        let mut spurning = self.spurning.lock().unwrap_or_else(PoisonError::into_inner);
        let now = moment();
        match (status, fresh) {
            (StatusCode::UNAUTHORIZED, true) => {
                spurning.entry(service.to_owned()).or_default().grow(now);
                false
            }
            (StatusCode::UNAUTHORIZED, false) => !spurning.get(service).is_some_and(|hold| hold.is_on(now)),
            // A server error may have come before anybody looked at the token.
            (status, _) if status.is_server_error() => false,
            _ => {
                spurning.remove(service);
                false
            }
        }
    }

    /// Asks Keystone itself; `path` is below `/v3`.
    pub(super) async fn keystone(&self, path: &str) -> Result<Bytes, CloudError> {
        let uri = format!("{}/{path}", self.config.auth_url.trim_end_matches('/'));
        let request = Request::get(uri).body(Vec::new()).map_err(|e| CloudError::Invalid(e.to_string()))?;
        Ok(self.send(request).await?.into_body())
    }
}

/// Which service an address belongs to: several may share a host.
fn service(uri: &Uri) -> String {
    let first = uri.path().split('/').find(|s| !s.is_empty()).unwrap_or_default();
    format!("{}/{first}", uri.authority().map(|a| a.as_str()).unwrap_or_default())
}

/// The class of a call, of Nova's or another service's. A list of one owner's servers is a look: as many are made as VMs are ordered, and
/// the cluster's list is not to wait behind them.
fn action(method: &Method, uri: &Uri) -> Action {
    let mut end = uri.path().trim_end_matches('/').rsplit('/');
    let (last, before) = (end.next().unwrap_or_default(), end.next().unwrap_or_default());
    match (method, before, last) {
        (&Method::POST, _, "servers") => Action::Create,
        (&Method::DELETE, ..) => Action::Delete,
        (_, "servers", "detail") if uri.query().is_some_and(|query| query.contains(tags::PVM)) => Action::Look,
        (_, "servers", "detail") => Action::List,
        (_, "servers", _) | (_, _, "action") => Action::Look,
        _ => Action::Catalogue,
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
