//! What a pilot needs to exist: its reference and stamp, its row in DIRAC, and the user-data that starts it.

pub mod jobs;
pub mod lost;
pub mod rows;
pub mod stamp;
pub mod user_data;

use serde::Serialize;

/// Everything a pilot is told about itself: what the user-data template sees, and what a simulated VM acts on. No secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Pilot {
    /// `cloud://<PilotVM UID>`, see [`stamp::reference`].
    pub reference: String,
    /// 32 hexadecimal digits, see [`stamp::stamp`].
    pub stamp: String,
    /// The VO's name in DIRAC.
    pub vo: String,
    /// DIRAC group as which the pilot acts.
    pub group: String,
    /// DIRAC groups whose jobs it may take (those of its VO).
    pub owner_groups: Vec<String>,
    /// DIRAC name of the site.
    pub site: String,
    /// DIRAC name of the CE.
    pub ce: String,
    /// DIRAC name of the queue.
    pub queue: String,
    /// Cores of the VM.
    pub cores: u64,
    /// Memory of the VM in MiB.
    pub ram_mib: u64,
    /// GPUs of the VM; a part of one counts as one.
    pub gpus: u64,
    /// Model of the GPUs; empty: unknown, or there are none.
    pub gpu_model: String,
    /// Cores that go with each GPU and the job that has it; 0: no job is given a GPU of its own, since the pilot does not offer the tag GPU,
    /// or the VM has none.
    pub gpu_cores: u64,
    /// CPU time offered, in normalised seconds.
    pub cpu_time: u64,
    /// Tags that it offers to the Matcher.
    pub tags: Vec<String>,
    /// Tags that a job must have to be given to it.
    pub required_tags: Vec<String>,
    /// DIRAC platform that it offers; `None`: none, and jobs match whichever platform they ask for.
    pub platform: Option<String>,
    /// Seconds without a job after which the VM stops by itself.
    pub idle_timeout: u64,
}
