//! A cloud for tests that takes orders and has nothing else.

use std::time::Duration;

use async_trait::async_trait;
use broker::cloud::{Cloud, CloudError, Headroom, Limits, Offers, Order, Owner, Vm, Wanted};

/// What becomes of orders.
pub trait Takes: Send + Sync {
    /// The limits of the cloud.
    const LIMITS: Limits;

    fn take(&self, order: &Order) -> Result<Vm, CloudError>;

    fn asks_for_all(&self) -> bool {
        false
    }
}

/// The cloud.
pub struct OrdersOnly<T>(pub T);

#[async_trait]
impl<T: Takes> Cloud for OrdersOnly<T> {
    fn asks_for_all(&self) -> bool {
        self.0.asks_for_all()
    }
    async fn create(&self, order: &Order) -> Result<Vm, CloudError> {
        self.0.take(order)
    }
    async fn offers(&self, _: &Wanted) -> Result<Offers, CloudError> {
        Ok(Offers::default())
    }
    async fn headroom(&self) -> Result<Headroom, CloudError> {
        Ok(Headroom::default())
    }
    async fn list(&self, _: &str) -> Result<Vec<Vm>, CloudError> {
        Ok(Vec::new())
    }
    async fn get(&self, _: &str) -> Result<Option<Vm>, CloudError> {
        Ok(None)
    }
    async fn find(&self, _: &Owner) -> Result<Vec<Vm>, CloudError> {
        Ok(Vec::new())
    }
    fn settle(&self) -> Duration {
        Duration::ZERO
    }
    async fn delete(&self, _: &str) -> Result<(), CloudError> {
        Ok(())
    }
    async fn console(&self, _: &str, _: usize) -> Result<String, CloudError> {
        Ok(String::new())
    }
    fn limits(&self) -> Limits {
        T::LIMITS
    }
}
