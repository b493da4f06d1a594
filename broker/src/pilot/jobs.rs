//! The jobs that pilots got, and their states in DIRAC.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::rows::RowsError;

/// DIRAC's words for a job's state (`DIRACCommon/WorkloadManagementSystem/Client/JobStatus.py`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum JobStatus {
    /// Its submission is not complete.
    Submitting,
    /// DIRAC has it, and has not looked at it.
    Received,
    /// The optimizers look at it.
    Checking,
    /// Jobs like it are tried first: it waits for the result of a scout job.
    Scouting,
    /// Its input is brought from tape.
    Staging,
    /// It is in a task queue.
    Waiting,
    /// A pilot has it and has not begun it. A pilot that breaks now leaves it so for hours.
    Matched,
    /// It goes back to the task queues.
    Rescheduled,
    /// A pilot runs it.
    Running,
    /// It has not been heard of for long: its VM may be gone, or cut off.
    Stalled,
    /// Its payload has ended; the pilot brings its output away.
    Completing,
    /// It ended well.
    Done,
    /// It ended, and what is left to do is done without the pilot.
    Completed,
    /// It ended badly. It may be rescheduled.
    Failed,
    /// Somebody deleted it: its owner, or an administrator.
    Deleted,
    /// Somebody ended it.
    Killed,
    /// DIRAC has another word.
    Unknown,
}

impl JobStatus {
    /// All of DIRAC's words.
    pub const ALL: [Self; 16] = [
        Self::Submitting,
        Self::Received,
        Self::Checking,
        Self::Scouting,
        Self::Staging,
        Self::Waiting,
        Self::Matched,
        Self::Rescheduled,
        Self::Running,
        Self::Stalled,
        Self::Completing,
        Self::Done,
        Self::Completed,
        Self::Failed,
        Self::Deleted,
        Self::Killed,
    ];

    /// DIRAC's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submitting => "Submitting",
            Self::Received => "Received",
            Self::Checking => "Checking",
            Self::Scouting => "Scouting",
            Self::Staging => "Staging",
            Self::Waiting => "Waiting",
            Self::Matched => "Matched",
            Self::Rescheduled => "Rescheduled",
            Self::Running => "Running",
            Self::Stalled => "Stalled",
            Self::Completing => "Completing",
            Self::Done => "Done",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Deleted => "Deleted",
            Self::Killed => "Killed",
            Self::Unknown => "Unknown",
        }
    }

    /// The state that DIRAC calls so.
    pub fn of(word: &str) -> Self {
        Self::ALL.into_iter().find(|status| status.as_str() == word).unwrap_or(Self::Unknown)
    }

    /// What it says of the pilot that got the job.
    pub fn place(self) -> Place {
        match self {
            Self::Matched | Self::Running | Self::Stalled | Self::Completing => Place::OnPilot,
            Self::Done | Self::Completed | Self::Failed | Self::Deleted | Self::Killed => Place::Ended,
            Self::Submitting
            | Self::Received
            | Self::Checking
            | Self::Scouting
            | Self::Staging
            | Self::Waiting
            | Self::Rescheduled => Place::BackInQueue,
            Self::Unknown => Place::Unknown,
        }
    }
}

/// Where a job is that some pilot got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Some pilot has it, running or not.
    OnPilot,
    /// It ended. Only a word that says so means this.
    Ended,
    /// No pilot has it any more: it was rescheduled, and waits for another.
    BackInQueue,
    /// Nobody says.
    Unknown,
}

/// Where the states of jobs are read: in DIRAC, from JobMonitoring.
#[async_trait]
pub trait JobStates: Send + Sync {
    /// The states of these jobs, by number, thousands in a request. A job of which nothing is said is left out, which does not mean that
    /// it ended.
    async fn states(&self, jobs: &[u64]) -> Result<BTreeMap<u64, JobStatus>, RowsError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_word_that_says_so_means_that_a_job_ended() {
        let ended: Vec<_> =
            JobStatus::ALL.into_iter().filter(|s| s.place() == Place::Ended).map(JobStatus::as_str).collect();
        assert_eq!(ended, ["Done", "Completed", "Failed", "Deleted", "Killed"]);
        for word in ["", "done", "Finished", "Unknown"] {
            assert_eq!(JobStatus::of(word).place(), Place::Unknown, "{word}");
        }
    }

    #[test]
    fn every_word_is_read_as_it_is_written() {
        for status in JobStatus::ALL {
            assert_eq!(JobStatus::of(status.as_str()), status);
        }
    }
}
