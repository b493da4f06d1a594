//! Counts and traces calls. The time a call waits for its turn is part of what is measured: that is what the caller feels.

use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use tracing::{Instrument, debug, debug_span};

use super::{Cloud, CloudError, Headroom, Limits, Notices, Offers, Order, Owner, Vm, Wanted};
use crate::clock::moment;

/// Labels of a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CallLabels {
    /// Cloud object, as `namespace/name`.
    pub cloud: String,
    /// What was asked.
    pub operation: &'static str,
    /// `ok`, or the error's reason.
    pub outcome: &'static str,
}

/// Labels of a call's duration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TimeLabels {
    /// Cloud object, as `namespace/name`.
    pub cloud: String,
    /// What was asked.
    pub operation: &'static str,
}

/// Metrics of all clouds' calls.
#[derive(Clone, Debug)]
pub struct CloudMetrics {
    calls: Family<CallLabels, Counter>,
    seconds: Family<TimeLabels, Histogram>,
}

impl CloudMetrics {
    /// Metrics, registered in `registry`.
    pub fn new(registry: &mut Registry) -> Self {
        let calls = Family::default();
        let seconds = Family::new_with_constructor(buckets as fn() -> Histogram);
        registry.register("cloud_calls", "Calls to clouds, by what was asked and what came of it", calls.clone());
        registry.register(
            "cloud_call_seconds",
            "Time that calls to clouds took, their wait for a turn included",
            seconds.clone(),
        );
        Self { calls, seconds }
    }

    /// Calls of this kind so far.
    pub fn calls(&self, labels: &CallLabels) -> u64 {
        self.calls.get_or_create(labels).get()
    }
}

fn buckets() -> Histogram {
    Histogram::new(exponential_buckets(0.01, 3.0, 9))
}

/// A cloud whose calls are counted.
pub struct Metered {
    inner: Arc<dyn Cloud>,
    name: String,
    metrics: CloudMetrics,
}

impl Metered {
    /// Counts the calls of `inner` under `name`.
    pub fn new(inner: Arc<dyn Cloud>, name: &str, metrics: CloudMetrics) -> Self {
        Self { inner, name: name.to_owned(), metrics }
    }

    fn count(&self, operation: &'static str, error: Option<&CloudError>) {
        if let Some(error) = error {
            debug!(cloud = %self.name, operation, %error, "the cloud refused");
        }
        let outcome = error.map_or("ok", CloudError::reason);
        self.metrics.calls.get_or_create(&CallLabels { cloud: self.name.clone(), operation, outcome }).inc();
    }

    async fn call<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, CloudError>> + Send,
    ) -> Result<T, CloudError> {
        let begun = moment();
        let outcome = call.instrument(debug_span!("cloud", name = %self.name, operation)).await;
        self.count(operation, outcome.as_ref().err());
        let time = TimeLabels { cloud: self.name.clone(), operation };
        self.metrics.seconds.get_or_create(&time).observe(begun.elapsed().as_secs_f64());
        outcome
    }
}

#[async_trait]
impl Cloud for Metered {
    async fn offers(&self, wanted: &Wanted) -> Result<Offers, CloudError> {
        self.call("offers", self.inner.offers(wanted)).await
    }
    async fn headroom(&self) -> Result<Headroom, CloudError> {
        self.call("headroom", self.inner.headroom()).await
    }
    async fn create(&self, order: &Order) -> Result<Vm, CloudError> {
        self.call("create", self.inner.create(order)).await
    }
    async fn list(&self, cluster: &str) -> Result<Vec<Vm>, CloudError> {
        self.call("list", self.inner.list(cluster)).await
    }
    async fn get(&self, id: &str) -> Result<Option<Vm>, CloudError> {
        self.call("get", self.inner.get(id)).await
    }
    async fn find(&self, owner: &Owner) -> Result<Vec<Vm>, CloudError> {
        self.call("find", self.inner.find(owner)).await
    }
    async fn delete(&self, id: &str) -> Result<(), CloudError> {
        self.call("delete", self.inner.delete(id)).await
    }
    async fn delete_many(&self, ids: &[String]) -> Vec<Result<(), CloudError>> {
        let outcomes = self.inner.delete_many(ids).await;
        for outcome in &outcomes {
            self.count("delete", outcome.as_ref().err());
        }
        outcomes
    }
    async fn console(&self, id: &str, max_bytes: usize) -> Result<String, CloudError> {
        self.call("console", self.inner.console(id, max_bytes)).await
    }
    fn settle(&self) -> Duration {
        self.inner.settle()
    }
    fn notices(&self) -> Notices {
        self.inner.notices()
    }
    fn limits(&self) -> Limits {
        self.inner.limits()
    }
}
