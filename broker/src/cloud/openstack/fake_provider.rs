//! A small OpenID provider and a shelf for its refresh tokens, for unit tests; with [`Site`] it lets identities into its Keystone.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::{
    Config, Credential, Project,
    fake::{Asked, Said, Site},
    oidc::{Asks, Client, Grant, Identity, Keeps, Kept},
};
use crate::{clock::Clock, cloud::CloudError};

/// What the provider does and remembers, and what the shelf holds.
#[derive(Default)]
pub struct World {
    /// What happened, in order: `spent r0`, `kept r1`, `given a1`.
    pub log: Vec<String>,
    /// Whether each use of a refresh token gives another, and ends the old one.
    pub rotates: bool,
    /// Seconds that an access token lives; 0: it is not said.
    pub access_lives: u32,
    /// Seconds that a refresh token lives, said with each.
    pub refresh_lives: Option<u32>,
    /// What it answers instead.
    pub instead: Option<(u16, String)>,
    /// How long it takes to answer.
    pub slow: Duration,
    /// Access tokens that Keystone takes no more.
    pub revoked: Vec<String>,
    /// What the shelf holds.
    pub shelf: String,
    /// Whether the shelf takes nothing.
    pub full: bool,
    present: usize,
    given: usize,
}

#[derive(Clone, Default)]
pub struct Provider(pub Arc<Mutex<World>>);

impl Provider {
    /// One whose shelf holds the first refresh token, `r0`.
    pub fn rotating() -> Self {
        let provider = Self::default();
        provider.with(|w| (w.rotates, w.access_lives, w.shelf) = (true, 3_600, "r0".to_owned()));
        provider
    }

    pub fn with<T>(&self, work: impl FnOnce(&mut World) -> T) -> T {
        work(&mut self.0.lock().unwrap())
    }

    pub fn log(&self) -> Vec<String> {
        self.with(|w| w.log.clone())
    }

    /// A site with this provider at `/idp`.
    pub async fn site(&self) -> Site {
        let it = self.clone();
        Site::open(move |asked| it.answer(asked)).await
    }

    pub fn answer(&self, asked: &Asked) -> Option<Said> {
        let mut world = self.0.lock().unwrap();
        let slow = world.slow;
        if asked.is("GET /idp/.well-known/openid-configuration") {
            let own = asked.host();
            return Some(Said::json(
                200,
                &json!({"issuer": format!("{own}/idp"), "token_endpoint": format!("{own}/idp/token")}),
            ));
        }
        if asked.is("POST /idp/token") {
            if let Some((status, body)) = &world.instead {
                return Some(Said::new(*status, body.clone()).after(slow));
            }
            return Some(world.token(&asked.body).after(slow));
        }
        if asked.is("POST /v3/OS-FEDERATION/identity_providers/egi.eu/protocols/openid/auth") {
            let access = asked.authorization.trim_start_matches("Bearer ").to_owned();
            let is_good = access.starts_with('a') && !world.revoked.contains(&access);
            world.log.push(format!("entered by {access}"));
            return Some(match is_good {
                true => Said::json(201, &json!({"token": {"user": {"id": "u"}}})).with("X-Subject-Token", "unscoped"),
                false => Said::new(401, "<html>Unauthorized</html>"),
            });
        }
        if asked.is("GET /v3/auth/projects") {
            return Some(Said::json(200, &json!({"projects": [{"id": "p-1", "name": "biomed", "links": {}}]})));
        }
        None
    }

    pub fn identity(&self, site: &Site, grant: Grant) -> Arc<Identity> {
        self.identity_at(site, grant, Clock::system())
    }

    pub fn identity_at(&self, site: &Site, grant: Grant, clock: Clock) -> Arc<Identity> {
        let (issuer, first) = (format!("{}/idp", site.address), SecretString::from("r0"));
        Arc::new(Identity::new(&issuer, grant, Vec::new(), Some(&first), Arc::new(self.clone()), clock))
    }

    /// With a refresh token, and a client that has a secret.
    pub fn by_refresh_token() -> Grant {
        Grant::RefreshToken(client())
    }

    pub fn config(&self, site: &Site, identity: Arc<Identity>) -> Config {
        let credential = Credential::Federated {
            provider: "egi.eu".to_owned(),
            protocol: "openid".to_owned(),
            project: Project::Id("p-1".to_owned()),
            identity,
        };
        Config { credential, ..site.config() }
    }
}

pub fn client() -> Client {
    Client { id: "dirac".to_owned(), secret: Some("cl1ent".into()) }
}

pub fn asks() -> Asks {
    Asks { http: reqwest::Client::new(), addresses: crate::address::Policy::OPEN, room: Default::default() }
}

impl World {
    fn token(&mut self, form: &str) -> Said {
        let value =
            |name: &str| form.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}="))).map(str::to_owned);
        if let Some(token) = value("refresh_token") {
            self.log.push(format!("spent {token}"));
            let is_present = token == format!("r{}", self.present);
            if !is_present {
                return Said::json(
                    400,
                    &json!({"error": "invalid_grant", "error_description": "Token was used already"}),
                );
            }
        }
        self.given += 1;
        let access = format!("a{}", self.given);
        self.log.push(format!("given {access}"));
        let mut answer = json!({"access_token": access, "token_type": "Bearer"});
        if self.access_lives > 0 {
            answer["expires_in"] = json!(self.access_lives);
        }
        if value("refresh_token").is_some() {
            self.present += usize::from(self.rotates);
            answer["refresh_token"] = json!(format!("r{}", self.present));
            answer["refresh_expires_in"] = json!(self.refresh_lives);
        }
        Said::json(200, &answer)
    }
}

#[async_trait]
impl Keeps for Provider {
    async fn read(&self) -> Result<SecretString, CloudError> {
        Ok(self.with(|w| w.shelf.clone()).into())
    }

    async fn keep(&self, old: &SecretString, new: &SecretString) -> Result<Kept, CloudError> {
        self.with(|w| {
            if w.full {
                w.log.push("not kept".to_owned());
                return Err(CloudError::Transient("the shelf is full".to_owned()));
            }
            if w.shelf != old.expose_secret() {
                return Ok(Kept::Another);
            }
            w.shelf = new.expose_secret().to_owned();
            w.log.push(format!("kept {}", w.shelf));
            Ok(Kept::Written)
        })
    }

    async fn undisturbed(&self, work: Pin<Box<dyn Future<Output = ()> + Send>>) {
        let _ = tokio::spawn(work).await;
    }
}
