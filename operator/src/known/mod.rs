//! What the operator remembers. All of it can be read again from the API server, the clouds and DIRAC: memory is a cache.

pub mod accounts;
pub mod brake;
pub mod change;
pub mod cloud;
pub mod expectations;
pub mod familiar;
pub mod frozen;
pub mod identities;
pub mod installation;
pub mod intents;
pub mod jobs;
pub mod listing;
pub mod lots;
pub mod memory;
pub mod missing;
pub mod numbers;
pub mod paces;
pub mod permits;
pub mod restraints;
pub mod secrets;
pub mod services;
pub mod turns;

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, RwLock},
};

use crate::names::Key;

/// What is known of one thing outside, shared by those who learn it and those who go by it.
#[derive(Default)]
pub struct Known<F> {
    /// How much may be asked of it at once for single PilotVMs.
    pub permits: permits::Permits,
    facts: RwLock<F>,
}

impl<F: Clone + Default> Known<F> {
    /// A copy of what is known.
    pub fn facts(&self) -> F {
        self.facts.read().map(|f| f.clone()).unwrap_or_default()
    }

    pub fn update(&self, change: impl FnOnce(&mut F)) {
        if let Ok(mut facts) = self.facts.write() {
            change(&mut facts);
        }
    }
}

/// Handles that live as long as the operator, made when first asked for.
pub struct Registry<H>(RwLock<HashMap<Key, Arc<H>>>);

impl<H> Default for Registry<H> {
    fn default() -> Self {
        Self(RwLock::new(HashMap::new()))
    }
}

impl<H: Default> Registry<H> {
    /// The handle of this object.
    pub fn get(&self, key: &Key) -> Arc<H> {
        if let Some(handle) = self.0.read().ok().and_then(|map| map.get(key).cloned()) {
            return handle;
        }
        match self.0.write() {
            Ok(mut map) => map.entry(key.clone()).or_default().clone(),
            Err(_) => Arc::default(),
        }
    }

    /// Forgets the handles that `keep` does not name.
    pub fn retain(&self, keep: impl Fn(&Key) -> bool) {
        if let Ok(mut map) = self.0.write() {
            map.retain(|key, _| keep(key));
        }
    }
}

/// A map behind a lock.
#[derive(Debug)]
pub struct Shared<K, V>(Mutex<HashMap<K, V>>);

impl<K, V> Default for Shared<K, V> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Eq + Hash, V> Shared<K, V> {
    pub fn with<T: Default>(&self, work: impl FnOnce(&mut HashMap<K, V>) -> T) -> T {
        self.0.lock().map(|mut map| work(&mut map)).unwrap_or_default()
    }
}
