//! The pilot's row in DIRAC: registered before the VM exists, updated on every change, touched daily, closed at the end.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::demand::Fault;

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
    /// The VM ended with an error.
    Failed,
    /// The VM was taken away.
    Deleted,
    /// The pilot never ran.
    Aborted,
    /// DIRAC has another word in the row.
    Unknown,
}

impl PilotStatus {
    /// Whether a row with this state is closed.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Deleted | Self::Aborted)
    }

    /// Whether the pilot has asked for work: it has a job or had one, or it ended by itself. Others than the pilot close a row as
    /// Deleted or Aborted.
    pub fn has_asked(self) -> bool {
        matches!(self, Self::Running | Self::Done | Self::Failed)
    }

    /// Whether a row with this state may be given the state `next`. A closed row stays closed. A row that the Matcher has set to Running
    /// does not go back: a launch that is repeated after a crash knows less than the Matcher.
    pub fn may_become(self, next: Self) -> bool {
        let back = self == Self::Running && matches!(next, Self::Submitted | Self::Waiting);
        !self.is_final() && !back
    }
    /// DIRAC's word.
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

/// A pilot that is to have a row, and what the row says of it.
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
    /// The pilot's reference.
    pub reference: String,
    /// The state. The Matcher writes Running when it gives the pilot its first job.
    pub status: PilotStatus,
    /// The job the pilot got last; 0: none yet.
    pub current_job: u64,
    /// Seconds since DIRAC last wrote the row, by our clock; `None`: the answer does not say.
    pub idle_seconds: Option<u64>,
    /// When DIRAC last wrote the row (`LastUpdateTime`), by DIRAC's clock; `None`: the answer does not say.
    pub updated: Option<Timestamp>,
    /// The jobs that the pilot got so far, with those that ended (`Jobs`, from JobToPilotMapping); `None`: the answer does not say, which
    /// is not the same as no job.
    pub jobs: Option<Vec<u64>>,
    /// How many of these run now; `None`: nobody says, which is not the same as none. DIRAC's PilotManager does not know it.
    pub running: Option<u64>,
    /// Power of one core, in hundredths of DIRAC's unit, as the pilot reported it when it asked for its first job (`BenchMark`); `None`:
    /// the answer does not say.
    #[serde(default)]
    pub power: Option<u64>,
}

/// Where the pilots' rows are. Each call may be repeated without harm.
#[async_trait]
pub trait PilotRows: Send + Sync {
    /// Sees to it that the pilot has a row, with its site, CE and queue. A new row says Submitted. DIRAC has no unique key, so the row is
    /// looked for before it is made: a repeated call leaves one row. After an error it is not known whether there is a row.
    async fn register(&self, pilot: &NewPilot) -> Result<(), RowsError>;
    /// Writes the state, where [`PilotStatus::may_become`] allows it, and otherwise does nothing. A row that has the state already is
    /// written too, so that DIRAC takes it for alive.
    async fn set_status(&self, pilot: &NewPilot, status: PilotStatus, reason: &str) -> Result<(), RowsError>;
    /// The rows of these references, read a thousand at a time. A reference without a row is left out.
    async fn rows(&self, references: &[String]) -> Result<Vec<PilotRow>, RowsError>;
}

/// Why rows could not be read or written. The call is to be tried again.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct RowsError {
    /// What went wrong.
    pub fault: Fault,
    /// The sentence. Holds no secret.
    pub message: String,
}
