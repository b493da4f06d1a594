//! OpenID Connect: one identity at one provider, and the access tokens that it gets there.
//!
//! | question | file |
//! |---|---|
//! | which access token is used, when is another asked for | here, `state`, `access` |
//! | what is sent to the provider, what do its refusals mean | `provider` |
//! | where are refresh tokens kept | `keeps` |
//! | when does a token end that says so itself | `jwt` |
//!
//! Some providers give another refresh token with each access token, and take the old one no more; some even end every token of a login
//! when an old one comes again. So all clouds of one Secret share one identity, which asks once for all; before each use it reads which
//! refresh token is kept, and a new one is kept before anything else is done with it. Nothing of this is cut off.

mod access;
mod jwt;
mod keeps;
mod provider;
mod state;

use std::{
    collections::{VecDeque, hash_map::DefaultHasher},
    fmt,
    hash::{Hash, Hasher},
    sync::{Arc, Mutex as Lock, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Mutex, oneshot};

pub use access::Access;
pub use keeps::{Keeps, Kept};
pub use provider::{Asks, Client};

use self::state::{Rotated, State};
use super::hold::Hold;
use crate::{
    clock::{Clock, moment},
    cloud::{CloudError, Disposition},
};

/// Whoever waited while the provider did not answer hears that it did not, instead of waiting as long again.
const SILENCE_HOLDS: Duration = Duration::from_secs(1);
/// Refresh tokens of ours that are recognised in the Secret: it may be read while the next one is written.
const RECOGNISED: usize = 16;
/// Whoever renews an access token that lasts no longer than this does so all the time.
const SHORT: SignedDuration = SignedDuration::from_hours(24);
/// An end that has moved on by more than this moves with each use.
const MOVES: SignedDuration = SignedDuration::from_secs(60);

/// How access tokens are got.
#[derive(Clone, Debug)]
pub enum Grant {
    /// With a refresh token, which is kept.
    RefreshToken(Client),
    /// With the client's own secret: the client is the identity.
    ClientCredentials(Client),
    /// Something else renews one that is kept.
    AccessToken,
}

/// One identity at one provider.
pub struct Identity {
    issuer: String,
    grant: Grant,
    scopes: Vec<String>,
    keeps: Arc<dyn Keeps>,
    clock: Clock,
    state: Arc<Mutex<State>>,
    /// Marks of the refresh tokens that were ours, the newest last.
    ours: Lock<VecDeque<u64>>,
    told: Lock<Told>,
}

/// What is known of an identity beside its tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// When nobody can ask for access tokens any more, where that is known.
    pub ends: Option<Timestamp>,
    /// Why the last access token could not be had. The one before it may still serve.
    pub refused: Option<CloudError>,
    /// Why the present refresh token is not kept: it would be lost with this process.
    pub not_kept: Option<CloudError>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Identity {
    /// The identity that these keep; `first` is the refresh token that they keep now.
    pub fn new(
        issuer: &str,
        grant: Grant,
        scopes: Vec<String>,
        first: Option<&SecretString>,
        keeps: Arc<dyn Keeps>,
        clock: Clock,
    ) -> Self {
        Self {
            issuer: issuer.trim_end_matches('/').to_owned(),
            grant,
            scopes,
            keeps,
            clock,
            state: Arc::default(),
            ours: Lock::new(first.map(mark).into_iter().collect()),
            told: Lock::default(),
        }
    }

    /// Whether this refresh token is one that this identity was given or got: another was put there by somebody else.
    pub fn knows(&self, token: &SecretString) -> bool {
        self.ours.lock().unwrap_or_else(PoisonError::into_inner).contains(&mark(token))
    }

    /// What is known of it.
    pub fn told(&self) -> Told {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tell(&self, change: impl FnOnce(&mut Told)) {
        change(&mut self.told.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// An access token, asked for where there is none, or where the one there is was `refused`.
    ///
    /// Whoever comes first asks while the others wait. Once the provider is asked this goes on although the caller is dropped.
    pub async fn access(
        self: &Arc<Self>,
        asks: &Asks,
        refused: Option<&Arc<Access>>,
    ) -> Result<Arc<Access>, CloudError> {
        let mut state = self.state.clone().lock_owned().await;
        if let Some(answer) = state.answer(refused) {
            return answer;
        }
        let (sender, outcome) = oneshot::channel();
        let (it, asks, refused) = (self.clone(), asks.clone(), refused.cloned());
        let work = async move {
            let renewed = it.renewed(&mut state, &asks, refused.as_ref()).await;
            // Whoever asked may be gone.
            let _ = sender.send(renewed);
        };
        self.keeps.undisturbed(Box::pin(work)).await;
        let stopped = |_| Err(CloudError::Transient("no access token is asked for: the operator stops".to_owned()));
        outcome.await.unwrap_or_else(stopped)
    }

    async fn renewed(
        &self,
        state: &mut State,
        asks: &Asks,
        refused: Option<&Arc<Access>>,
    ) -> Result<Arc<Access>, CloudError> {
        match self.another(state, asks).await {
            Ok(access) => {
                let access = Arc::new(access);
                (state.access, state.failed, state.refusals) = (Some(access.clone()), None, Hold::default());
                self.tell(|told| told.refused = None);
                Ok(access)
            }
            Err(error) => {
                let now = moment();
                let until = match (&error, error.disposition()) {
                    (CloudError::Unauthorized(_), _) => state.refusals.grow(now),
                    (CloudError::Throttled { .. }, Disposition::RetryAfter(pause)) => now + pause,
                    _ => now + SILENCE_HOLDS,
                };
                self.tell(|told| told.refused = Some(error.clone()));
                state.failed = Some((until, error.clone()));
                state.answer(refused).unwrap_or(Err(error))
            }
        }
    }

    async fn another(&self, state: &mut State, asks: &Asks) -> Result<Access, CloudError> {
        let client = match &self.grant {
            Grant::AccessToken => return self.given(state).await,
            Grant::ClientCredentials(client) => {
                let answer = provider::ask(asks, &self.issuer, client, None, &self.scopes).await?;
                return Access::lasting(answer.access_token.expose_secret(), answer.lasts);
            }
            Grant::RefreshToken(client) => client,
        };
        self.keep(state).await;
        let spent = match &state.not_kept {
            Some(rotated) => rotated.new.clone(),
            None => self.keeps.read().await?,
        };
        self.recognise(&spent);
        let answer = provider::ask(asks, &self.issuer, client, Some(&spent), &self.scopes).await?;
        let present = answer.refresh_token.as_ref().filter(|new| new.expose_secret() != spent.expose_secret());
        if let Some(new) = present {
            self.recognise(new);
            let old = state.not_kept.take().map_or_else(|| spent.clone(), |rotated| rotated.old);
            state.not_kept = Some(Rotated { old, new: new.clone() });
            self.keep(state).await;
        }
        let said = answer.refresh_lasts.and_then(|lasts| self.clock.now().checked_add(lasts).ok());
        self.ends(state, said.or_else(|| jwt::span(present.unwrap_or(&spent)).map(|span| span.end)));
        Access::lasting(answer.access_token.expose_secret(), answer.lasts)
    }

    /// Keeps the refresh token that is not kept yet. Where that fails it is used all the same, and said: VMs must be deleted.
    async fn keep(&self, state: &mut State) {
        let Some(rotated) = &state.not_kept else { return };
        let why = match self.keeps.keep(&rotated.old, &rotated.new).await {
            Ok(Kept::Written) => None,
            Ok(Kept::Another) => {
                tracing::info!(issuer = self.issuer, "somebody put another refresh token in place of ours: it is used");
                None
            }
            Err(error) => {
                tracing::warn!(issuer = self.issuer, %error, "the new refresh token is kept in memory only");
                Some(error)
            }
        };
        if why.is_none() {
            state.not_kept = None;
        }
        self.tell(|told| told.not_kept = why);
    }

    /// The access token that something else renews.
    async fn given(&self, state: &State) -> Result<Access, CloudError> {
        let token = self.keeps.read().await?;
        let span = jwt::span(&token);
        let end = span.map(|span| span.end);
        // A short one is renewed all the time, so that its end is not that of the credential.
        let is_long = span.is_some_and(|s| s.since.is_none_or(|since| s.end.duration_since(since) > SHORT));
        self.tell(|told| told.ends = end.filter(|_| is_long));
        let now = self.clock.now();
        let lasts = end.map(|end| Duration::try_from(end.duration_since(now)).unwrap_or_default());
        let access = Access::lasting(token.expose_secret(), lasts)?;
        let is_same = state.access.as_ref().is_some_and(|a| a.header == access.header);
        match end {
            Some(end) if end <= now => Err(CloudError::Unauthorized(format!(
                "the access token in the Secret ended at {end}: whatever renews it must put another there"
            ))),
            _ if is_same && state.access.as_ref().is_some_and(|a| !a.is_old()) => Err(CloudError::Unauthorized(
                "the access token in the Secret was refused: whatever renews it must put another there".to_owned(),
            )),
            _ => Ok(access),
        }
    }

    /// Takes note of when the refresh token ends. An end that moves on with each use is none.
    fn ends(&self, state: &mut State, end: Option<Timestamp>) {
        if let (Some(before), Some(end)) = (state.end, end) {
            state.end_moves |= end.duration_since(before) > MOVES;
        }
        state.end = end;
        let known = end.filter(|_| !state.end_moves);
        self.tell(|told| told.ends = known);
    }

    fn recognise(&self, token: &SecretString) {
        let mut ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        let mark = mark(token);
        ours.retain(|other| *other != mark);
        ours.push_back(mark);
        while ours.len() > RECOGNISED {
            ours.pop_front();
        }
    }
}

/// By which a token is recognised without being remembered. It stays in memory.
fn mark(token: &SecretString) -> u64 {
    let mut hasher = DefaultHasher::new();
    token.expose_secret().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
#[path = "oidc_tests.rs"]
mod tests;
