//! The words of a scenario's file. A word that is not here is refused.

use std::collections::BTreeMap;

use crds::Duration;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::CloudWords;
use crate::dice::Spread;

/// A scenario as its file says it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Scenario {
    /// What it shows, in a sentence.
    pub about: String,
    /// The date on which it begins, for manifests that name dates (Downtime).
    #[serde(default)]
    pub begins: Timestamp,
    /// How long the scenario lasts.
    #[serde(default = "day")]
    pub lasts: Duration,
    /// How often the operator looks at the world.
    #[serde(default = "ten_seconds")]
    pub poll: Duration,
    /// Seed, where the command line gives none.
    #[serde(default)]
    pub seed: u64,
    /// How DIRAC and its pilots are set. What is absent is as DIRAC ships it.
    #[serde(default)]
    pub dirac: DiracWords,
    /// How the SiteDirector and its computing elements are set.
    #[serde(default)]
    pub site_director: SiteDirectorWords,
    /// Objects of `diracgrid.org`: VirtualOrganization, Site, Cloud, PilotPool, Downtime.
    pub manifests: Vec<Value>,
    /// Streams of jobs that arrive.
    pub arrivals: Vec<Arrivals>,
    /// How each Cloud behaves, by the name of its object.
    #[serde(default)]
    pub clouds: BTreeMap<String, CloudWords>,
    /// What else goes wrong.
    #[serde(default)]
    pub faults: Faults,
}

fn day() -> Duration {
    Duration::from_secs(86_400)
}
fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

/// Settings of DIRAC. The defaults are those of DIRAC 9.1.22 (`WorkloadManagementSystem/ConfigTemplate.cfg`, `JobAgent.__init__`) and of
/// the pilot with a Pool (`Pilot/pilotCommands.py`, `LaunchAgent.__setInnerCEOpts`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct DiracWords {
    /// JobAgent `SubmissionDelay`: pause after each job that was taken.
    pub submission_delay: Duration,
    /// JobAgent `PollingTime`: time between two cycles.
    pub polling_time: Duration,
    /// JobAgent `StopAfterFailedMatches`; the pilot raises it to the number of processors.
    pub stop_after_failed_matches: u32,
    /// JobAgent `MinimumTimeLeft`, in normalised seconds.
    pub minimum_time_left: u64,
    /// JobWrapper `StopMargin`.
    pub stop_margin: Duration,
    /// JobAgent `StopAfterHostFailures`.
    pub stop_after_host_failures: u32,
    /// Agent `MaxCycles`.
    pub max_cycles: u32,
    /// Whether the JobAgent tells PoolComputingElement how much memory a job needs. DIRAC 9.1.22 does not (`JobAgent._submitJob` has no
    /// MinRAM among its arguments), so that no memory is ever reserved.
    pub passes_memory: bool,
    /// JobDB `MaxRescheduling`.
    pub max_rescheduling: u32,
    /// Time from a match to the start of the job, and of a request that finds nothing.
    pub match_time: Duration,
    /// Whether jobs that are lost with their VM are put back into the queues when StalledJobAgent finds them
    /// (`StalledJobsToRescheduleSites`). Otherwise they fail.
    pub reschedule_lost: bool,
    /// `JobShare` of groups; 1000 for groups that are not here.
    pub job_shares: BTreeMap<String, f64>,
}

impl Default for DiracWords {
    fn default() -> Self {
        Self {
            submission_delay: Duration::from_secs(10),
            polling_time: Duration::from_secs(20),
            stop_after_failed_matches: 10,
            minimum_time_left: 5_000,
            stop_margin: Duration::from_secs(300),
            stop_after_host_failures: 3,
            max_cycles: 5_000,
            passes_memory: false,
            max_rescheduling: 3,
            match_time: Duration::from_secs(1),
            reschedule_lost: false,
            job_shares: BTreeMap::new(),
        }
    }
}

/// Settings of the SiteDirector and of CloudComputingElement.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct SiteDirectorWords {
    /// SiteDirector `PollingTime`.
    pub polling_time: Duration,
    /// SiteDirector `MaxPilotsToSubmit`.
    pub max_pilots_to_submit: u64,
    /// `MaxWaitingJobs` of each queue; 10 is what SiteDirector itself assumes where the CE says nothing.
    pub max_waiting_jobs: u64,
    /// `MaxTotalJobs` of each queue. Absent: `scaling.max` of the pool.
    pub max_total_jobs: Option<u64>,
    /// SiteDirector `FailedQueueCycleFactor`: cycles for which a queue rests after a submission failed.
    pub failed_queue_cycle_factor: u64,
    /// SiteDirector `PilotStatusUpdateCycleFactor`: stopped VMs are deleted once in this many cycles.
    pub pilot_status_update_cycle_factor: u64,
    /// `Context_MaxLifetime` of the CE.
    pub max_lifetime: Duration,
    /// Time from the pilot's end to `poweroff` (`Resources/Computing/cloudinit.template`).
    pub cooldown: Duration,
}

impl Default for SiteDirectorWords {
    fn default() -> Self {
        Self {
            polling_time: Duration::from_secs(120),
            max_pilots_to_submit: 100,
            max_waiting_jobs: 10,
            max_total_jobs: None,
            failed_queue_cycle_factor: 10,
            pilot_status_update_cycle_factor: 10,
            max_lifetime: Duration::from_secs(1_209_600),
            cooldown: Duration::from_secs(300),
        }
    }
}

/// Jobs that arrive: `jobs` of them at `at`, or `perHour` at random moments between `from` and `until`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Arrivals {
    /// DIRAC group of their owner.
    pub group: String,
    /// DIRAC user name of their owner.
    #[serde(default = "somebody")]
    pub owner: String,
    /// How many, all at once.
    pub jobs: Option<u64>,
    /// When all `jobs` arrive, from the beginning of the scenario.
    #[serde(default)]
    pub at: Duration,
    /// How many arrive in an hour on average, instead of `jobs`.
    pub per_hour: Option<f64>,
    /// From when they arrive, with `perHour`.
    #[serde(default)]
    pub from: Duration,
    /// Until when, with `perHour`. Absent: to the end.
    pub until: Option<Duration>,
    /// How long a job runs.
    pub run_time: Spread,
    /// CPU time that it asks for, in normalised seconds written as a duration.
    pub cpu_time: Duration,
    /// Cores (`NumberOfProcessors` of the JDL).
    #[serde(default = "one")]
    pub cores: u32,
    /// Whether it needs a whole VM (`WholeNode` of the JDL).
    #[serde(default)]
    pub whole_node: bool,
    /// Memory that it needs, in MB (`MinRAM`).
    #[serde(default, rename = "minRamMB")]
    pub min_ram_mb: u64,
    /// Tags beyond those of its cores.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Sites where alone it may run.
    #[serde(default)]
    pub sites: Vec<String>,
    /// Sites where it may not run.
    #[serde(default)]
    pub banned_sites: Vec<String>,
    /// The jobs need one of these DIRAC platforms. Empty: any.
    #[serde(default)]
    pub platforms: Vec<String>,
    /// `JobType` of the JDL.
    #[serde(default = "user")]
    pub job_type: String,
    /// `Priority` of the JDL, 0 to 10: a job of a higher one is drawn more often.
    #[serde(default = "one")]
    pub priority: u32,
    /// Part of the jobs that die after some seconds.
    #[serde(default)]
    pub dies_early: f64,
}

fn somebody() -> String {
    "somebody".to_owned()
}
fn one() -> u32 {
    1
}
fn user() -> String {
    "User".to_owned()
}

/// What goes wrong in DIRAC and in the pilots.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Faults {
    /// Part of the pilots that hang: they ask no more and never end. Their jobs run to their end.
    pub hung_pilots: f64,
    /// When they hang, after their first request. Absent: at once.
    pub hang_after: Option<Spread>,
    /// Sites that are banned in DIRAC for a time: pilots there get no job but those of the type Test.
    pub banned_sites: Vec<Banned>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Banned {
    /// DIRAC name of the site.
    pub site: String,
    #[serde(default)]
    pub from: Duration,
    /// Until when. Absent: to the end.
    pub until: Option<Duration>,
}
