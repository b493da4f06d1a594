//! Keeps calls to a cloud below a rate, and silent for as long as the provider asked for silence.

use std::{num::NonZeroU32, sync::Arc};

use async_trait::async_trait;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::{sync::watch, time::Instant};

use crate::cloud::{Catalogue, Cloud, CloudError, Disposition, Order, Owner, Vm};

/// How fast a provider may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Calls a second in the long run.
    pub per_second: NonZeroU32,
    /// Calls at once after a pause.
    pub burst: NonZeroU32,
}

impl Default for Rate {
    fn default() -> Self {
        let (per_second, burst) = (NonZeroU32::MIN.saturating_add(9), NonZeroU32::MIN.saturating_add(19));
        Self { per_second, burst }
    }
}

/// A cloud whose calls wait for their turn.
pub struct Paced {
    inner: Arc<dyn Cloud>,
    limiter: DefaultDirectRateLimiter,
    /// No call before this moment: the provider said so.
    silent_until: watch::Sender<Instant>,
}

impl Paced {
    /// Paces the calls of `inner`.
    pub fn new(inner: Arc<dyn Cloud>, rate: Rate) -> Self {
        let limiter = RateLimiter::direct(Quota::per_second(rate.per_second).allow_burst(rate.burst));
        Self { inner, limiter, silent_until: watch::Sender::new(Instant::now()) }
    }

    async fn turn(&self) {
        loop {
            let until = *self.silent_until.borrow();
            if until <= Instant::now() {
                break;
            }
            tokio::time::sleep_until(until).await;
        }
        self.limiter.until_ready().await;
    }

    fn heed<T>(&self, outcome: Result<T, CloudError>) -> Result<T, CloudError> {
        if let Err(error @ CloudError::Throttled { .. }) = &outcome
            && let Disposition::RetryAfter(pause) = error.disposition()
        {
            let until = Instant::now() + pause;
            self.silent_until.send_if_modified(|old| {
                if until > *old {
                    *old = until;
                    true
                } else {
                    false
                }
            });
        }
        outcome
    }
}

#[async_trait]
impl Cloud for Paced {
    async fn catalogue(&self) -> Result<Catalogue, CloudError> {
        self.turn().await;
        self.heed(self.inner.catalogue().await)
    }
    async fn create(&self, order: &Order) -> Result<Vm, CloudError> {
        self.turn().await;
        self.heed(self.inner.create(order).await)
    }
    async fn list(&self, cluster: &str) -> Result<Vec<Vm>, CloudError> {
        self.turn().await;
        self.heed(self.inner.list(cluster).await)
    }
    async fn find(&self, owner: &Owner) -> Result<Vec<Vm>, CloudError> {
        self.turn().await;
        self.heed(self.inner.find(owner).await)
    }
    async fn delete(&self, id: &str) -> Result<(), CloudError> {
        self.turn().await;
        self.heed(self.inner.delete(id).await)
    }
    async fn console(&self, id: &str, max_bytes: usize) -> Result<String, CloudError> {
        self.turn().await;
        self.heed(self.inner.console(id, max_bytes).await)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        cloud::decorate::{CallLabels, CloudMetrics, wrap},
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
