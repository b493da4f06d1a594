//! Identities at OpenID providers, by the Secret that holds their tokens. Clouds of one Secret share one: a refresh token is often taken only
//! once. An identity outlives the driver, and the operator's own writes of its Secret; where somebody else changed that, another takes its
//! place.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use broker::cloud::openstack::oidc::Identity;
use secrecy::SecretString;

use crate::names::Key;

/// The identities.
#[derive(Default)]
pub struct Identities(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    all: HashMap<Key, HashMap<Made, (Arc<Identity>, u64)>>,
    made: u64,
}

/// What an identity is made from beside its token: issuer, grant, client and scopes. It stays in memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Made(pub u64);

impl Identities {
    /// The identity of this Secret, and a number that no other has; `token` is the refresh token that is in the Secret now.
    pub fn of(
        &self,
        secret: &Key,
        from: Made,
        token: Option<&SecretString>,
        make: impl FnOnce() -> Identity,
    ) -> (Arc<Identity>, u64) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |identity: &Identity| token.is_none_or(|token| identity.knows(token));
        let there = kept.all.get(secret).and_then(|all| all.get(&from)).filter(|(identity, _)| is_same(identity));
        if let Some((identity, number)) = there {
            return (identity.clone(), *number);
        }
        kept.made += 1;
        let made = (Arc::new(make()), kept.made);
        kept.all.entry(secret.clone()).or_default().insert(from, made.clone());
        made
    }

    /// Forgets the identities of Secrets that `keep` does not name.
    pub fn retain(&self, keep: impl Fn(&Key) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).all.retain(|secret, _| keep(secret));
    }
}
