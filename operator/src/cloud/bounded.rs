//! Calls to a provider that end in time.

use std::{future::Future, time::Duration};

use broker::cloud::CloudError;

/// A call that ends in time, with an error where it has no answer.
pub async fn in_time<T>(longest: Duration, call: impl Future<Output = Result<T, CloudError>>) -> Result<T, CloudError> {
    let late = |_| Err(CloudError::Transient(format!("no answer within {} s", longest.as_secs())));
    tokio::time::timeout(longest, call).await.unwrap_or_else(late)
}
