//! The API server: objects watched into stores, written, and told events of; Secrets read.
//!
//! Every call but a watch ends within [`LONGEST_CALL`]: kube's client has no time-out of its own, and a call that hangs would stop
//! whoever waits for it.

mod events;
#[cfg(test)]
pub mod fake;
mod kind;
mod objects;
pub mod secret;
mod stores;
mod tally;
pub mod unread;
pub mod watch;
mod write;

use std::{future::Future, sync::Arc, time::Duration};

use kube::Client;
use tokio::sync::Semaphore;

pub use events::Events;
pub use stores::Stores;
pub use tally::{PHASES, Tally};
pub use write::{is_conflict, is_forbidden, is_gone};

use crate::metrics::Metrics;

/// A call that has no answer after this time has failed. The time in which it waits for its turn counts.
pub const LONGEST_CALL: Duration = Duration::from_secs(20);
/// The most calls for single objects that are under way at one time. Of 20,000 PilotVMs any number may have something
/// to write, and an API server gives one client some tens of its seats.
const AT_ONCE: usize = 16;

/// The hand that reads and writes single objects.
#[derive(Clone)]
pub struct Api {
    client: Client,
    metrics: Arc<Metrics>,
    slots: Arc<Semaphore>,
}

impl Api {
    /// Reads and writes with this client, and counts the writes.
    pub fn new(client: Client, metrics: Arc<Metrics>) -> Self {
        Self { client, metrics, slots: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// A call that has its turn, and ends in time.
    async fn call<T>(&self, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
        in_turn(&self.slots, call).await
    }
}

/// The API server did not answer.
#[derive(Debug, thiserror::Error)]
#[error("the API server did not answer within {} s", LONGEST_CALL.as_secs())]
struct NoAnswer;

/// A call that ends in time, with an error where it has no answer, and begins when one of these slots is free.
async fn in_turn<T>(slots: &Semaphore, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    let in_turn = async {
        // The semaphore is never closed.
        let _slot = slots.acquire().await;
        call.await
    };
    in_time(in_turn).await
}

/// A call that ends in time, with an error where it has no answer.
async fn in_time<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    tokio::time::timeout(LONGEST_CALL, call).await.unwrap_or_else(|_| Err(kube::Error::Service(Box::new(NoAnswer))))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_never_answered_is_an_error_after_a_while() {
        let outcome = in_turn(&Semaphore::new(1), std::future::pending::<Result<(), kube::Error>>()).await;
        assert!(outcome.unwrap_err().to_string().contains("did not answer"));
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_thousand_calls_at_once_some_are_under_way_and_each_has_its_turn() {
        let api = Api::new(fake::Fake::default().client(), Arc::default());
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let calls = (0..1_000).map(|_| {
            api.call(async {
                most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(20)).await;
                now.fetch_sub(1, Ordering::Relaxed);
                Ok(())
            })
        });
        assert!(join_all(calls).await.iter().all(Result::is_ok));
        assert_eq!(most.into_inner(), AT_ONCE);
    }
}
