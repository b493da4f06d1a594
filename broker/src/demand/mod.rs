//! What waits: task queues, DIRAC's rules for matching them, and the sources they are read from.

use async_trait::async_trait;

pub mod diset;
mod fault;
pub mod matching;
pub mod task_queue;

pub use fault::Fault;
pub use task_queue::TaskQueue;

/// Where task queues are read from.
#[async_trait]
pub trait DemandSource: Send + Sync {
    /// Every task queue with waiting jobs, in one request. An error means "unknown", never "nothing waits".
    async fn task_queues(&self) -> Result<Demand, DemandError>;
}

/// The task queues with waiting jobs, as read in one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Demand {
    /// Those that could be read, sorted by number.
    pub queues: Vec<TaskQueue>,
    /// Those that could not; `None` where there are none. How many jobs wait in them is unknown, and these jobs get no VM.
    pub unreadable: Option<Unreadable>,
}

/// Task queues that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// How many: 1 or more.
    pub queues: usize,
    /// What is wrong with one of them, which the words name.
    pub example: String,
}

/// Why demand is unknown. Each text is a sentence for the condition `DemandRead` of the installation.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct DemandError {
    /// What went wrong.
    pub fault: Fault,
    /// A sentence that names the address, what was tried and what to do. Holds no secret.
    pub message: String,
}
