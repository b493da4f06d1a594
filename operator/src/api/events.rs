//! Events: what an administrator would want to be told, without flooding.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};

use tokio::time::Instant;

use super::LONGEST_CALL;
use crate::names::OPERATOR;

/// The same reason on the same object is told again after this time.
const QUIET: Duration = Duration::from_secs(300);
/// The API server refuses longer notes.
const LONGEST_NOTE: usize = 1000;

/// Tells events.
pub struct Events {
    recorder: Recorder,
    told: Mutex<HashMap<(String, String), Instant>>,
}

impl Events {
    /// Events reported by this operator.
    pub fn new(client: Client) -> Self {
        let recorder = Recorder::new(client, Reporter { controller: OPERATOR.to_owned(), instance: None });
        Self { recorder, told: Mutex::new(HashMap::new()) }
    }

    /// Tells that something happened.
    pub async fn note<K: Resource<DynamicType = ()>>(&self, about: &K, reason: &str, text: impl Into<String>) {
        self.publish(about, EventType::Normal, reason, text.into()).await;
    }

    /// Tells that something is wrong; gives whether it was told now, and not a moment ago.
    pub async fn warn<K: Resource<DynamicType = ()>>(&self, about: &K, reason: &str, text: impl Into<String>) -> bool {
        self.publish(about, EventType::Warning, reason, text.into()).await
    }

    async fn publish<K: Resource<DynamicType = ()>>(
        &self,
        about: &K,
        type_: EventType,
        reason: &str,
        note: String,
    ) -> bool {
        let uid = about.meta().uid.clone().unwrap_or_default();
        if !self.due((uid, reason.to_owned())) {
            return false;
        }
        let note = note.chars().take(LONGEST_NOTE).collect();
        let event =
            Event { type_, reason: reason.to_owned(), note: Some(note), action: reason.to_owned(), secondary: None };
        // An event is a courtesy: when it cannot be told (a namespace that ends refuses new objects) work goes on.
        match tokio::time::timeout(LONGEST_CALL, self.recorder.publish(&event, &about.object_ref(&()))).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, reason, "an event could not be told"),
            Err(_) => tracing::debug!(reason, "an event could not be told in time"),
        }
        true
    }

    fn due(&self, key: (String, String)) -> bool {
        let Ok(mut told) = self.told.lock() else { return false };
        told.retain(|_, at| at.elapsed() < QUIET);
        if told.contains_key(&key) {
            return false;
        }
        told.insert(key, Instant::now());
        true
    }
}
