//! The pilot's row in DIRAC: registered before the VM exists, updated on every change, touched daily, closed at the end.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// DIRAC's words for a pilot's state (`WorkloadManagementSystem/Client/PilotStatus.py`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PilotStatus {
    /// Registered; no VM yet.
    Submitted,
    /// The VM exists; its pilot has not asked for work.
    Waiting,
    /// The Matcher has given the pilot its first job (`Client/Matcher.py`, `_updatePilotInfo`, after a match alone); or the pilot itself
    /// says so, as DIRAC's Pilot does when it registers. A pilot that asks and gets nothing stays Waiting.
    Running,
    /// Ended by itself: the JobAgent says so at its end (`Agent/JobAgent.py`, `finalize`), whether it ever had a job or not.
    Done,
    /// Ended with an error.
    Failed,
    /// Taken away.
    Deleted,
    /// Never ran.
    Aborted,
    /// DIRAC says something else.
    Unknown,
}

impl PilotStatus {
    /// Whether the row is closed.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Deleted | Self::Aborted)
    }
    /// Whether the pilot has asked for work: it has a job or had one, or it ended by itself. Others than the pilot close a row as
    /// Deleted or Aborted.
    pub fn has_asked(self) -> bool {
        matches!(self, Self::Running | Self::Done | Self::Failed)
    }
    /// Whether a row that says this may be written to say `next`: a closed row stays closed, and one that the Matcher has set to
    /// Running does not go back, since a launch that is repeated after a crash knows less than the Matcher.
    pub fn may_become(self, next: Self) -> bool {
        let back = self == Self::Running && matches!(next, Self::Submitted | Self::Waiting);
        !self.is_final() && !back
    }
    /// DIRAC's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "Submitted",
            Self::Waiting => "Waiting",
            Self::Running => "Running",
            Self::Done => "Done",
            Self::Failed => "Failed",
            Self::Deleted => "Deleted",
            Self::Aborted => "Aborted",
            Self::Unknown => "Unknown",
        }
    }
}

/// What is registered for a pilot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPilot {
    /// `cloud://<PilotVM UID>`.
    pub reference: String,
    /// 32 hexadecimal digits.
    pub stamp: String,
    /// The VO's name in DIRAC.
    pub vo: String,
    /// DIRAC name of the site.
    pub site: String,
    /// DIRAC name of the CE.
    pub ce: String,
    /// DIRAC name of the queue.
    pub queue: String,
}

/// A pilot's row as DIRAC has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PilotRow {
    /// The reference.
    pub reference: String,
    /// The state. The Matcher writes Running when it gives the pilot its first job.
    pub status: PilotStatus,
    /// The job the pilot got last; 0: none yet.
    pub current_job: u64,
    /// Seconds since DIRAC last touched the row by our clock; `None`: the answer does not say.
    pub idle_seconds: Option<u64>,
    /// When DIRAC last touched the row (`LastUpdateTime`, by DIRAC's clock); `None`: the answer does not say.
    pub updated: Option<Timestamp>,
    /// The jobs that the pilot got so far, ended ones included (`Jobs`, from JobToPilotMapping); `None`: the answer does not say,
    /// which is not the same as no job.
    pub jobs: Option<Vec<u64>>,
    /// How many of these run now; `None`: nobody says, which is not the same as none. DIRAC's PilotManager does not know it.
    pub running: Option<u64>,
}

/// The pilots' rows. All calls may be repeated without harm.
#[async_trait]
pub trait PilotRows: Send + Sync {
    /// Makes the row, unless there is one with this reference (DIRAC has no unique key: look first, insert, so that a
    /// repeated call leaves one row). The row says Submitted.
    async fn register(&self, pilot: &NewPilot) -> Result<(), RowsError>;
    /// Writes the state where [`PilotStatus::may_become`] allows it. Touches the row even when the state is the same.
    async fn set_status(&self, pilot: &NewPilot, status: PilotStatus, reason: &str) -> Result<(), RowsError>;
    /// The rows of these references, a thousand a request; absent ones are left out.
    async fn rows(&self, references: &[String]) -> Result<Vec<PilotRow>, RowsError>;
}

/// Why the rows could not be read or written; to be tried again. The text is a sentence without secrets.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct RowsError {
    /// Machine-readable reason in CamelCase: the condition's reason and a metric label.
    pub reason: &'static str,
    /// The sentence.
    pub message: String,
}
