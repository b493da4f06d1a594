//! Counts and traces calls. The time a call waits for its turn is part of what is measured: that is what the caller feels.

use std::{
    collections::HashSet,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

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

/// Labels of the metric `cloud_calls`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CallLabels {
    /// Namespace of the Cloud object.
    pub namespace: String,
    /// Name of the Cloud object.
    pub cloud: String,
    /// The method of [`super::Cloud`], for example `create`.
    pub operation: &'static str,
    /// `ok`, or the error's reason.
    pub outcome: &'static str,
}

/// Labels of the metric `cloud_call_seconds`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TimeLabels {
    /// Namespace of the Cloud object.
    pub namespace: String,
    pub cloud: String,
    pub operation: &'static str,
}

/// The metrics `cloud_calls` and `cloud_call_seconds`, for all clouds.
#[derive(Clone, Debug)]
pub struct CloudMetrics {
    calls: Family<CallLabels, Counter>,
    seconds: Family<TimeLabels, Histogram>,
    /// Every series of `calls`, so that those of a cloud that is gone can be taken away.
    known: Arc<Mutex<HashSet<CallLabels>>>,
}

impl CloudMetrics {
    /// New metrics, registered in `registry`.
    pub fn new(registry: &mut Registry) -> Self {
        let calls = Family::default();
        let seconds = Family::new_with_constructor(buckets as fn() -> Histogram);
        registry.register("cloud_calls", "Calls to clouds, by what was asked and what came of it", calls.clone());
        registry.register(
            "cloud_call_seconds",
            "Time that calls to clouds took, their wait for a turn included",
            seconds.clone(),
        );
        Self { calls, seconds, known: Arc::default() }
    }

    /// Calls with these labels since the operator started.
    pub fn calls(&self, labels: &CallLabels) -> u64 {
        self.calls.get_or_create(labels).get()
    }

    fn count(&self, labels: CallLabels) {
        self.calls.get_or_create(&labels).inc();
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(labels);
    }

    /// Takes away the series of clouds, by namespace and name, that `keep` does not name.
    pub fn retain(&self, keep: impl Fn(&str, &str) -> bool) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).retain(|labels| {
            let kept = keep(&labels.namespace, &labels.cloud);
            if !kept {
                self.calls.remove(labels);
                let CallLabels { namespace, cloud, operation, .. } = labels.clone();
                self.seconds.remove(&TimeLabels { namespace, cloud, operation });
            }
            kept
        });
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

    /// Namespace and name of the Cloud object.
    fn labels(&self) -> (String, String) {
        let (namespace, name) = self.name.split_once('/').unwrap_or(("", &self.name));
        (namespace.to_owned(), name.to_owned())
    }

    fn count(&self, operation: &'static str, error: Option<&CloudError>) {
        if let Some(error) = error {
            debug!(cloud = %self.name, operation, %error, "the cloud refused");
        }
        let outcome = error.map_or("ok", CloudError::reason);
        let (namespace, cloud) = self.labels();
        self.metrics.count(CallLabels { namespace, cloud, operation, outcome });
    }

    async fn call<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, CloudError>> + Send,
    ) -> Result<T, CloudError> {
        let begun = moment();
        let outcome = call.instrument(debug_span!("cloud", name = %self.name, operation)).await;
        self.count(operation, outcome.as_ref().err());
        let (namespace, cloud) = self.labels();
        let time = TimeLabels { namespace, cloud, operation };
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
    fn asks_for_all(&self) -> bool {
        self.inner.asks_for_all()
    }
    fn rests(&self) -> Option<Duration> {
        self.inner.rests()
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

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;
    use crate::{
        clock::Clock,
        simulation::{CloudConfig, SimulatedCloud},
    };

    #[tokio::test]
    async fn the_series_of_a_cloud_that_is_gone_go_with_it_and_those_of_others_stay() {
        let mut registry = Registry::default();
        let metrics = CloudMetrics::new(&mut registry);
        let sky: Arc<dyn Cloud> = Arc::new(SimulatedCloud::new(CloudConfig::default(), None, Clock::system()));
        let called = async |name: &str| {
            let cloud = Metered::new(sky.clone(), name, metrics.clone());
            cloud.list("k").await.unwrap();
            cloud.headroom().await.unwrap();
            cloud.get("nobody").await.ok();
        };
        let series = |of: &str| {
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            text.lines().filter(|line| line.contains(of)).count()
        };
        called("a/gone").await;
        called("a/stays").await;
        called("b/gone").await;
        let (gone, stays) = (r#"namespace="a",cloud="gone""#, r#"namespace="a",cloud="stays""#);
        let each = series(gone);
        assert!(each > 30, "counters and histograms of three calls: {each}");
        metrics.retain(|namespace, cloud| (namespace, cloud) != ("a", "gone"));
        let of_others = [series(stays), series(r#"namespace="b",cloud="gone""#)];
        assert_eq!((series(gone), of_others), (0, [each; 2]));
        called("a/gone").await;
        assert_eq!(series(gone), each, "a cloud of the same name begins anew");
        metrics.retain(|_, _| false);
        assert_eq!(series("namespace="), 0);
    }
}
