//! A job.

use super::VmId;
use crate::{dirac::Task, time::Ms};

/// Where a job is: exactly one of these at any moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// In a task queue, or on the way to one.
    Waiting,
    /// A pilot runs it.
    Running,
    /// It ended as it should.
    Done,
    /// It ended otherwise.
    Failed,
    /// Its VM went with it.
    Lost,
}

/// A job and where it is.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// Index of the arrivals that it is one of.
    pub stream: u32,
    /// Number of the definition of its task queue.
    pub definition: u32,
    /// When it came into a task queue for the first time.
    pub submitted: Ms,
    /// How long it runs if nothing ends it sooner.
    pub runs: Ms,
    /// Whether it ends as it should.
    pub ends_well: bool,
    /// Waiting, running, ended or lost.
    pub state: JobState,
    /// How often it was matched and put back.
    pub attempt: u8,
    /// Its VM, while it runs.
    pub vm: VmId,
    /// When it began to run, in the present attempt.
    pub began: Ms,
    /// What it holds while it runs.
    pub task: Task,
}
