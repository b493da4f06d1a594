//! Keeps the calls to a cloud in pace, for drivers that do not do so with their requests.

use std::sync::Arc;

use async_trait::async_trait;

use super::Pace;
use crate::cloud::{Catalogue, Cloud, CloudError, Order, Owner, Vm};

/// A cloud whose calls wait for their turn.
pub struct Paced {
    inner: Arc<dyn Cloud>,
    pace: Arc<Pace>,
}

impl Paced {
    /// Paces the calls of `inner`.
    pub fn new(inner: Arc<dyn Cloud>, pace: Arc<Pace>) -> Self {
        Self { inner, pace }
    }

    fn heed<T>(&self, outcome: Result<T, CloudError>) -> Result<T, CloudError> {
        outcome.inspect_err(|error| self.pace.heed(error))
    }
}

#[async_trait]
impl Cloud for Paced {
    async fn catalogue(&self) -> Result<Catalogue, CloudError> {
        self.pace.turn().await;
        self.heed(self.inner.catalogue().await)
    }
    async fn create(&self, order: &Order) -> Result<Vm, CloudError> {
        self.pace.turn().await;
        self.heed(self.inner.create(order).await)
    }
    async fn list(&self, cluster: &str) -> Result<Vec<Vm>, CloudError> {
        self.pace.turn().await;
        self.heed(self.inner.list(cluster).await)
    }
    async fn find(&self, owner: &Owner) -> Result<Vec<Vm>, CloudError> {
        self.pace.turn().await;
        self.heed(self.inner.find(owner).await)
    }
    async fn delete(&self, id: &str) -> Result<(), CloudError> {
        self.pace.turn().await;
        self.heed(self.inner.delete(id).await)
    }
    async fn console(&self, id: &str, max_bytes: usize) -> Result<String, CloudError> {
        self.pace.turn().await;
        self.heed(self.inner.console(id, max_bytes).await)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::{
        cloud::decorate::{CallLabels, CloudMetrics, Rate, wrap},
        simulation::{CloudConfig, SimulatedCloud},
    };

    #[tokio::test(start_paused = true)]
    async fn a_throttled_cloud_is_left_alone_for_as_long_as_it_asked_and_calls_are_counted() {
        let cloud = Arc::new(SimulatedCloud::new(CloudConfig::default(), None, Arc::new(jiff::Timestamp::now)));
        cloud.fail_next(CloudError::Throttled {
            message: "slow down".into(),
            retry_after: Some(Duration::from_secs(30)),
        });
        let metrics = CloudMetrics::new(&mut prometheus_client::registry::Registry::default());
        let wrapped = wrap(cloud, "demo/demo", Rate::default(), &metrics);
        let begun = Instant::now();
        assert!(wrapped.list("k").await.is_err());
        assert!(begun.elapsed() < Duration::from_secs(1));
        assert!(wrapped.list("k").await.is_ok());
        assert!(begun.elapsed() >= Duration::from_secs(30));
        let labels = |outcome| CallLabels { cloud: "demo/demo".into(), operation: "list", outcome };
        assert_eq!((metrics.calls(&labels("Throttled")), metrics.calls(&labels("ok"))), (1, 1));
    }
}
