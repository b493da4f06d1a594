//! Events: what an administrator would want to be told, without flooding.
//!
//! They are made here and not by kube's recorder: that one keeps every event of the last six minutes in memory, and looks through all of
//! them at each new one.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use broker::clock::Clock;
use crds::Reason;
use k8s_openapi::{
    api::events::v1::Event,
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, Resource, api::PostParams};
use tokio::{sync::Semaphore, time::Instant};

use super::in_turn;
use crate::names::OPERATOR;

/// The same reason on the same object is told again after this time.
const QUIET: Duration = Duration::from_secs(300);
/// What was told longer ago than [`QUIET`] is forgotten this often.
const FORGETS: Duration = Duration::from_secs(30);
/// The API server refuses longer notes.
const LONGEST_NOTE: usize = 1000;
/// The most events that are told at one time.
const AT_ONCE: usize = 4;

/// Tells Kubernetes events, at most [`AT_ONCE`] at a time.
pub struct Events {
    client: Client,
    clock: Clock,
    slots: Arc<Semaphore>,
    told: Mutex<Told>,
}

/// What was told, and when: of 20,000 VMs some ten thousand reasons in five minutes, so each is kept as a number.
#[derive(Debug)]
struct Told {
    numbers: RandomState,
    at: HashMap<u64, Instant>,
    forgot: Instant,
}

impl Events {
    /// Events reported by this operator.
    pub fn new(client: Client, clock: Clock) -> Self {
        Self { client, clock, slots: Arc::new(Semaphore::new(AT_ONCE)), told: Mutex::default() }
    }

    /// Tells that something happened.
    pub async fn note<K: Resource<DynamicType = ()>>(&self, about: &K, reason: Reason, text: impl Into<String>) {
        self.publish(about, "Normal", reason, text.into()).await;
    }

    /// Tells that something is wrong; gives whether it was told now, and not a moment ago.
    pub async fn warn<K: Resource<DynamicType = ()>>(
        &self,
        about: &K,
        reason: Reason,
        text: impl Into<String>,
    ) -> bool {
        self.publish(about, "Warning", reason, text.into()).await
    }

    async fn publish<K: Resource<DynamicType = ()>>(
        &self,
        about: &K,
        type_: &str,
        reason: Reason,
        note: String,
    ) -> bool {
        let uid = about.meta().uid.as_deref().unwrap_or_default();
        if !self.told.lock().unwrap_or_else(PoisonError::into_inner).is_due(uid, reason, Instant::now()) {
            return false;
        }
        let regarding = about.object_ref(&());
        let namespace = regarding.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let event = Event {
            metadata: ObjectMeta {
                generate_name: Some(format!("{}-", regarding.name.as_deref().unwrap_or(OPERATOR))),
                namespace: Some(namespace.clone()),
                ..ObjectMeta::default()
            },
            type_: Some(type_.to_owned()),
            reason: Some(reason.as_str().to_owned()),
            action: Some(reason.as_str().to_owned()),
            note: Some(note.chars().take(LONGEST_NOTE).collect()),
            event_time: Some(MicroTime(self.clock.now())),
            regarding: Some(regarding),
            reporting_controller: Some(OPERATOR.to_owned()),
            reporting_instance: Some(OPERATOR.to_owned()),
            ..Event::default()
        };
        let api = Api::<Event>::namespaced(self.client.clone(), &namespace);
        // An event is a courtesy: when it cannot be told (a namespace that ends refuses new objects) work goes on.
        if let Err(error) = in_turn(&self.slots, api.create(&PostParams::default(), &event)).await {
            tracing::debug!(%error, %reason, "an event could not be told");
        }
        true
    }
}

impl Default for Told {
    fn default() -> Self {
        Self { numbers: RandomState::new(), at: HashMap::new(), forgot: Instant::now() }
    }
}

impl Told {
    fn is_due(&mut self, uid: &str, reason: Reason, now: Instant) -> bool {
        if now.duration_since(self.forgot) >= FORGETS {
            self.at.retain(|_, at| now.duration_since(*at) < QUIET);
            self.forgot = now;
        }
        let number = self.numbers.hash_one((uid, reason.as_str()));
        if self.at.get(&number).is_some_and(|at| now.duration_since(*at) < QUIET) {
            return false;
        }
        self.at.insert(number, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use crds::Reason::{LetGo, Running};

    use super::*;

    #[test]
    fn the_same_reason_on_the_same_object_is_told_again_after_five_minutes() {
        let (mut told, now) = (Told::default(), Instant::now());
        assert!(told.is_due("a", LetGo, now) && told.is_due("b", LetGo, now) && told.is_due("a", Running, now));
        assert!(!told.is_due("a", LetGo, now + QUIET - Duration::from_secs(1)));
        assert!(told.is_due("a", LetGo, now + QUIET));
    }

    #[test]
    fn what_was_told_long_ago_is_forgotten() {
        let (mut told, now) = (Told::default(), Instant::now());
        for n in 0..1_000 {
            told.is_due(&n.to_string(), LetGo, now);
        }
        told.is_due("a", LetGo, now + QUIET + FORGETS);
        assert_eq!(told.at.len(), 1);
    }
}
