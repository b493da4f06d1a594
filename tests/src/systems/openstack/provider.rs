//! An OpenID provider of this process, as EGI Check-in is one: tokens that mean nothing by themselves, refresh tokens that are taken once,
//! and introspection (RFC 7662), by which Keystone's web server learns whose a token is.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use super::lossy::http::{answer, message, method_and_path};

/// Its only client.
pub const CLIENT: &str = "dirac-operator";
/// That client's secret.
pub const CLIENT_SECRET: &str = "client of the testbed: 100%";

/// Who logged in, and in which VOs that person is.
#[derive(Clone, Debug, Default)]
struct Login {
    subject: String,
    vos: Vec<String>,
}

/// What the provider does, and what it has given.
#[derive(Debug)]
pub struct Provider {
    /// Whether each use of a refresh token gives another. The old one is then taken no more, and ends the login where it comes again.
    pub rotates: bool,
    /// How long access tokens last.
    pub access_lives: Duration,
    /// Whether it answers nothing but errors.
    pub is_down: bool,
    /// Uses of refresh tokens, each by its number: `1 taken`, `1 refused`.
    pub log: Vec<String>,
    issuer: String,
    logins: Vec<Login>,
    /// The login of each refresh token, and whether it was used up.
    refresh: BTreeMap<String, (usize, bool)>,
    access: BTreeMap<String, (Login, Instant)>,
    given: usize,
}

impl Provider {
    /// Somebody logs in; the refresh token.
    pub fn login(&mut self, subject: &str, vos: &[&str]) -> String {
        self.logins.push(Login { subject: subject.to_owned(), vos: vos.iter().map(|vo| (*vo).to_owned()).collect() });
        self.refresh_token(self.logins.len() - 1)
    }

    /// An access token without a refresh token, as a person gets one.
    pub fn access_token(&mut self, subject: &str, vos: &[&str]) -> String {
        let vos = vos.iter().map(|vo| (*vo).to_owned()).collect();
        self.access(Login { subject: subject.to_owned(), vos })
    }

    /// Ends everything that was given.
    pub fn revoke_all(&mut self) {
        self.access.clear();
        self.refresh.clear();
    }

    /// Ends the access tokens that were given.
    pub fn revoke_access_tokens(&mut self) {
        self.access.clear();
    }

    fn refresh_token(&mut self, login: usize) -> String {
        self.given += 1;
        let token = format!("refresh-{}-{:016x}", self.given, rand::random::<u64>());
        self.refresh.insert(token.clone(), (login, false));
        token
    }

    fn access(&mut self, login: Login) -> String {
        let token = format!("access-{:016x}", rand::random::<u64>());
        self.access.insert(token.clone(), (login, Instant::now() + self.access_lives));
        token
    }

    fn answer(&mut self, path: &str, authorization: &str, form: &BTreeMap<String, String>) -> (u16, Value) {
        if self.is_down {
            return (503, json!({}));
        }
        match path {
            "/realm/.well-known/openid-configuration" => (
                200,
                json!({"issuer": self.issuer, "token_endpoint": format!("{}/token", self.issuer),
                       "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"]}),
            ),
            "/realm/token" => self.token(authorization, form),
            "/introspect" => (200, self.introspect(form)),
            _ => (404, json!({})),
        }
    }

    fn token(&mut self, authorization: &str, form: &BTreeMap<String, String>) -> (u16, Value) {
        let refused = |error: &str, why: &str| (400, json!({"error": error, "error_description": why}));
        let id = "client+of+the+testbed%3A+100%25";
        if authorization != format!("Basic {}", STANDARD.encode(format!("{CLIENT}:{id}"))) {
            return (401, json!({"error": "invalid_client", "error_description": "no such client"}));
        }
        let lives = self.access_lives.as_secs();
        match form.get("grant_type").map(String::as_str) {
            Some("client_credentials") => {
                let login = Login { subject: CLIENT.to_owned(), vos: vec![super::PROJECT.to_owned()] };
                (200, json!({"access_token": self.access(login), "token_type": "Bearer", "expires_in": lives}))
            }
            Some("refresh_token") => {
                let token = form.get("refresh_token").cloned().unwrap_or_default();
                let number = token.split('-').nth(1).unwrap_or("?").to_owned();
                let Some((login, is_spent)) = self.refresh.get(&token).copied() else {
                    self.log.push(format!("{number} refused"));
                    return refused("invalid_grant", "Token is not active");
                };
                if is_spent {
                    self.log.push(format!("{number} refused"));
                    self.refresh.retain(|_, (of, _)| *of != login);
                    return refused("invalid_grant", "Maximum allowed refresh token reuse exceeded");
                }
                self.log.push(format!("{number} taken"));
                let access = self.access(self.logins[login].clone());
                let mut given = json!({"access_token": access, "token_type": "Bearer", "expires_in": lives});
                if self.rotates {
                    self.refresh.insert(token, (login, true));
                    given["refresh_token"] = self.refresh_token(login).into();
                }
                (200, given)
            }
            _ => refused("unsupported_grant_type", ""),
        }
    }

    fn introspect(&self, form: &BTreeMap<String, String>) -> Value {
        let found = form.get("token").and_then(|token| self.access.get(token));
        let Some((login, ends)) = found.filter(|(_, ends)| Instant::now() < *ends) else {
            return json!({"active": false});
        };
        let now = jiff::Timestamp::now().as_second();
        let left = i64::try_from(ends.saturating_duration_since(Instant::now()).as_secs()).unwrap_or(0);
        let entitlements: Vec<String> =
            login.vos.iter().map(|vo| format!("urn:mace:egi.eu:group:{vo}:role=vm_operator#aai.egi.eu")).collect();
        json!({"active": true, "iss": self.issuer, "sub": login.subject, "client_id": CLIENT, "iat": now, "exp": now + left,
               "token_type": "Bearer", "scope": "openid", "eduperson_entitlement": entitlements})
    }
}

/// The provider where it listens: with http for who logs in, and with TLS for introspection, which Keystone's web server wants so.
pub struct Listening {
    /// The provider itself.
    pub provider: Arc<Mutex<Provider>>,
    /// Address of its tokens' issuer.
    pub issuer: String,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Listening {
    /// Begins to listen on these ports.
    pub async fn open(port: u16, tls_port: u16) -> Result<Self> {
        let issuer = format!("http://127.0.0.1:{port}/realm");
        let provider = Arc::new(Mutex::new(Provider {
            rotates: true,
            access_lives: Duration::from_secs(3_600),
            is_down: false,
            log: Vec::new(),
            issuer: issuer.clone(),
            logins: Vec::new(),
            refresh: BTreeMap::new(),
            access: BTreeMap::new(),
            given: 0,
        }));
        let plain = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let own = provider.clone();
        let first = tokio::spawn(async move {
            while let Ok((mut client, _)) = plain.accept().await {
                let own = own.clone();
                tokio::spawn(async move { drop(serve(&own, &mut client).await) });
            }
        });
        let (tls, acceptor) = (TcpListener::bind((Ipv4Addr::LOCALHOST, tls_port)).await?, acceptor()?);
        let own = provider.clone();
        let second = tokio::spawn(async move {
            while let Ok((client, _)) = tls.accept().await {
                let (own, acceptor) = (own.clone(), acceptor.clone());
                tokio::spawn(async move {
                    if let Ok(mut client) = acceptor.accept(client).await {
                        drop(serve(&own, &mut client).await);
                    }
                });
            }
        });
        Ok(Self { provider, issuer, tasks: vec![first, second] })
    }
}

fn acceptor() -> Result<TlsAcceptor> {
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn serve(provider: &Mutex<Provider>, client: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<()> {
    let request = String::from_utf8(message(client).await?).context("a request is no text")?;
    let (head, body) = request.split_once("\r\n\r\n").context("a request has no head")?;
    let (_, path) = method_and_path(head.lines().next().unwrap_or_default());
    let header = |line: &str| Some(line.split_once(": ")?.1.to_owned());
    let authorization = head.lines().find(|l| l.to_lowercase().starts_with("authorization:")).and_then(header);
    let (status, said) = {
        let mut provider = provider.lock().unwrap_or_else(PoisonError::into_inner);
        provider.answer(path, &authorization.unwrap_or_default(), &form(body))
    };
    let status = format!("{status} So");
    answer(client, &status, "Content-Type: application/json\r\n", said.to_string().as_bytes()).await
}

/// A form. The tokens that are in it have no character that is encoded.
fn form(body: &str) -> BTreeMap<String, String> {
    body.split('&').filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}
