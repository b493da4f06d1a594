//! The API server: objects watched into stores, written, and told events of; Secrets read.
//!
//! Every call but a watch ends within [`LONGEST_CALL`]: kube's client has no time-out of its own, and a call that hangs would stop
//! whoever waits for it.

mod events;
#[cfg(test)]
pub mod fake;
pub mod secret;
mod stores;
mod tally;
pub mod unread;
pub mod watch;
mod write;

use std::{future::Future, sync::Arc, time::Duration};

use kube::Client;

pub use events::Events;
pub use stores::Stores;
pub use tally::{PHASES, Tally};
pub use write::{is_conflict, is_forbidden, is_gone};

use crate::metrics::Metrics;

/// A call that has no answer after this time has failed.
pub const LONGEST_CALL: Duration = Duration::from_secs(20);

/// The hand that reads and writes single objects.
#[derive(Clone)]
pub struct Api {
    client: Client,
    metrics: Arc<Metrics>,
}

impl Api {
    /// Reads and writes with this client, and counts the writes.
    pub fn new(client: Client, metrics: Arc<Metrics>) -> Self {
        Self { client, metrics }
    }
}

/// The API server did not answer.
#[derive(Debug, thiserror::Error)]
#[error("the API server did not answer within {} s", LONGEST_CALL.as_secs())]
struct NoAnswer;

/// A call that ends in time, with an error where it has no answer.
async fn in_time<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    tokio::time::timeout(LONGEST_CALL, call).await.unwrap_or_else(|_| Err(kube::Error::Service(Box::new(NoAnswer))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_never_answered_is_an_error_after_a_while() {
        let outcome = in_time(std::future::pending::<Result<(), kube::Error>>()).await;
        assert!(outcome.unwrap_err().to_string().contains("did not answer"));
    }
}
