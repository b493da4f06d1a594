//! What waits: task queues, DIRAC's rules for matching them, and the sources they are read from.

use async_trait::async_trait;

pub mod diset;
pub mod matching;
pub mod task_queue;

pub use task_queue::TaskQueue;

/// Where task queues are read from.
#[async_trait]
pub trait DemandSource: Send + Sync {
    /// Every task queue with waiting jobs, in one request. An error means "unknown", never "nothing waits".
    async fn task_queues(&self) -> Result<Vec<TaskQueue>, DemandError>;
}

/// Why demand is unknown. Each text is a sentence for the condition `DemandRead` of the installation.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct DemandError {
    /// Machine-readable reason in CamelCase, such as `CertificateRefused`: the condition's reason and a metric label.
    pub reason: &'static str,
    /// A sentence that names the address, what was tried and what to do. Holds no secret.
    pub message: String,
}
