//! `PilotVM` (`pvm`): one VM and its pilot, from wish to gone. Only the operator writes it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Duration, LocalRef, Price, condition, pool::Purchase, rule::rules};

/// One VM and its pilot. The spec is decided once and never changes. What is needed to go on after a restart is here, follows from the UID,
/// or is read in the cloud and in DIRAC.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "diracgrid.org",
    version = "v1alpha1",
    kind = "PilotVM",
    plural = "pilotvms",
    namespaced,
    status = "PilotVMStatus",
    shortname = "pvm",
    category = "dirac-all",
    doc = "One VM and its pilot (short name `pvm`), from wish to gone. Only the operator writes it; deleting it gives the VM back, with the jobs on it.\n\nAnnotation for people: `diracgrid.org/let-go: \"true\"`: a PilotVM that is being deleted goes at once, although its cloud or its DIRAC does not answer; the VM, if there is one, is left to whoever pays for it.",
    selectable = ".spec.installationRef.name",
    selectable = ".spec.poolRef.name",
    selectable = ".spec.cloudRef.name",
    selectable = ".spec.vo",
    selectable = ".spec.offering.flavor",
    selectable = ".status.phase",
    printcolumn(name = "Pool", type_ = "string", json_path = ".spec.poolRef.name"),
    printcolumn(name = "VO", type_ = "string", json_path = ".spec.vo"),
    printcolumn(name = "Cloud", type_ = "string", json_path = ".spec.cloudRef.name"),
    printcolumn(name = "Flavor", type_ = "string", json_path = ".spec.offering.flavor"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(
        name = "Pilot",
        type_ = "string",
        description = "the pilot's status in DIRAC",
        json_path = ".status.pilotStatus"
    ),
    printcolumn(
        name = "Served",
        type_ = "boolean",
        priority = 1,
        description = "whether a job was ever seen on it",
        json_path = ".status.servedJob"
    ),
    printcolumn(
        name = "Provider",
        type_ = "string",
        priority = 1,
        description = "the provider's word for the VM's state",
        json_path = ".status.providerStatus"
    ),
    printcolumn(
        name = "ID",
        type_ = "string",
        priority = 1,
        description = "the provider's id of the VM",
        json_path = ".status.providerId"
    ),
    printcolumn(
        name = "Why",
        type_ = "string",
        priority = 1,
        description = "why it was made",
        json_path = ".spec.reason"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "self == oldSelf",
    "a PilotVM is never edited: change its PilotPool, which holds for new VMs, or delete the PilotVM to have it replaced",
)])))]
pub struct PilotVMSpec {
    /// The installation whose jobs it runs.
    pub installation_ref: LocalRef,
    /// The PilotPool for which it was made.
    pub pool_ref: LocalRef,
    /// The Cloud from which the VM is bought.
    pub cloud_ref: LocalRef,
    /// The VirtualOrganization object to which its pilot belongs.
    #[schemars(length(min = 1, max = 63))]
    pub vo: String,
    /// The VO's name in DIRAC.
    #[schemars(length(min = 1, max = 128))]
    pub dirac_vo: String,
    /// DIRAC group as which the pilot acts: that of the VO's spec.pilot.
    #[schemars(length(min = 1, max = 128))]
    pub group: String,
    /// DIRAC name of the site.
    #[schemars(length(min = 1, max = 128))]
    pub site: String,
    /// DIRAC name of the CE.
    #[schemars(length(min = 1, max = 255))]
    pub ce: String,
    /// DIRAC name of the queue.
    #[schemars(length(min = 1, max = 255))]
    pub queue: String,
    /// What is to be bought. What was really bought is in status.bought.
    pub offering: Offering,
    /// Name of the image in `Cloud.spec.images`.
    #[schemars(length(min = 1, max = 63))]
    pub image: String,
    /// CPU time that the pilot offers to the Matcher: matching.maxCpuTime of the pool when it was made. It is less where the VM is to be gone
    /// before a Downtime, and where it is lent: its VO has its part of a limit already, and spec.reason says of which.
    pub max_cpu_time: Duration,
    /// Tags that the pilot offers to the Matcher. Jobs that require another tag do not get it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 64)), extend("x-kubernetes-list-type" = "set"))]
    pub tags: Vec<String>,
    /// Tags that jobs must have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 64)), extend("x-kubernetes-list-type" = "set"))]
    pub required_tags: Vec<String>,
    /// DIRAC platform that the pilot offers. Absent: none, and jobs match whichever platform they ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub platform: Option<String>,
    /// Time within which the pilot must ask for work.
    pub boot_deadline: Duration,
    /// Time without a job after which the VM stops by itself.
    pub idle_timeout: Duration,
    /// Age from which the VM counts as ending: no jobs are planned for it, and it goes when it finds no more work.
    pub max_lifetime: Duration,
    /// When it is to be gone, since a Downtime begins then: maxCpuTime and maxLifetime are cut to it, so that DIRAC gives its pilot no job
    /// that would run longer, as far as jobs say how long they run. Absent: no such end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(max = 40), extend("format" = "date-time"))]
    pub until: Option<Time>,
    /// The waiting jobs that it was made for. They have the first claim on it until its pilot had its first job. Empty: its pool keeps
    /// it whatever waits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub for_jobs: Vec<JobsOfClass>,
    /// Why it was made, as a sentence: for how many jobs, and of whom.
    #[schemars(length(max = 4096))]
    pub reason: String,
}

/// Waiting jobs with equal requirements: what DIRAC's task queue says of them. Jobs that say more than fits here have no claim.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobsOfClass {
    /// Number of these jobs.
    #[schemars(range(min = 0, max = 1_000_000_000_000_i64))]
    pub jobs: i64,
    /// CPU time that a job asks for, in DIRAC's normalised seconds.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000_000_000_i64))]
    pub cpu_time: i64,
    /// Memory that a job asks for, in MB; 0: none said.
    #[serde(default, rename = "minRamMB")]
    #[schemars(range(min = 0, max = 1_000_000_000_000_i64))]
    pub min_ram_mb: i64,
    /// Tags that each of the jobs requires.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 255)))]
    pub tags: Vec<String>,
    /// The jobs may run only at these sites. Empty: at any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 255)))]
    pub sites: Vec<String>,
    /// The jobs may not run at these sites.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 255)))]
    pub banned_sites: Vec<String>,
    /// The jobs may run only on these CEs. Empty: on any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 255)))]
    pub ces: Vec<String>,
    /// The jobs need one of these DIRAC platforms. Empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 255)))]
    pub platforms: Vec<String>,
    /// Types of the jobs, for example `User`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 255)))]
    pub job_types: Vec<String>,
}

/// What is to be bought: a flavor in a zone, in one way of buying.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Offering {
    /// Name of the flavor at the provider.
    #[schemars(length(min = 1, max = 255))]
    pub flavor: String,
    /// Availability zone; absent: the provider decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub zone: Option<String>,
    /// `OnDemand`, or `Spot`, which the provider may take back at any time.
    #[serde(default)]
    pub purchase: Purchase,
    /// Cores of the VM.
    #[schemars(range(min = 1, max = 4096))]
    pub cores: i64,
    /// Memory of the VM in MiB.
    #[serde(rename = "ramMiB")]
    #[schemars(range(min = 1, max = 67_108_864))]
    pub ram_mib: i64,
    /// GPUs of the VM.
    #[serde(default)]
    #[schemars(range(min = 0, max = 64))]
    pub gpus: i64,
    /// Model of the GPUs, where known: the pilot finds it in `DIRAC_GPU_MODEL`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub gpu_model: Option<String>,
    /// Cores of each GPU, where the pool says it: the others of the VM take jobs without a GPU. Absent: each GPU has its part of all cores.
    #[serde(default, rename = "coresPerGPU", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4096))]
    pub cores_per_gpu: Option<i64>,
    /// Price of an hour when it was planned, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_hour: Option<Price>,
    /// Other zones in which the same may be bought where that zone has no room, the cheapest first: one order names them all, and one VM
    /// comes of it. status.bought says where it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 15),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["zone"])
    )]
    pub other_zones: Vec<OtherZone>,
}

/// Another zone in which the same may be bought.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OtherZone {
    /// Availability zone.
    #[schemars(length(min = 1, max = 255))]
    pub zone: String,
    /// Price of an hour there when it was planned, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_hour: Option<Price>,
}

/// One attempt to have the VM made. At most one VM comes of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Its number, from 1. While the outcome of an attempt is not clear, there is no next attempt: first it must be known that it made no
    /// VM.
    pub number: i64,
    /// When it began: the moment at which it was written down.
    pub since: Time,
    /// The provider's id of the image that it asks for. Where the pool's image has another id later, the VM has drifted. Absent: unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    /// A hash of the pool's machine.userData, as it stood then, before anything of this VM was put in. Where the pool has another text
    /// later, the VM has drifted. Absent: unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data_hash: Option<String>,
    /// The zones of spec.offering.otherZones that its order names too, in this order: it is the same order when it is repeated after a crash.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 15), inner(length(min = 1, max = 255)), extend("x-kubernetes-list-type" = "atomic"))]
    pub other_zones: Vec<String>,
}

/// What was bought, as the provider says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bought {
    /// Name of the flavor at the provider.
    pub flavor: String,
    /// Availability zone, where the provider says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Way of buying.
    #[serde(default)]
    pub purchase: Purchase,
    /// Price of an hour when it was bought. Absent: unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub per_hour: Option<Price>,
}

/// What the operator knows of the VM.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PilotVMStatus {
    /// The truth about the object: Registered, Launched, Running, Draining, Ended. docs/conditions.md says what each reason means and what to do.
    #[serde(default)]
    #[schemars(schema_with = "condition::schema")]
    pub conditions: Vec<Condition>,
    /// Derived from the conditions, for people: Pending, Booting, Running, Draining, Ending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The pilot's reference in DIRAC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pilot_reference: Option<String>,
    /// The pilot's stamp in DIRAC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pilot_stamp: Option<String>,
    /// The pilot's status in DIRAC, as last read or written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pilot_status: Option<String>,
    /// Id of the VM at the provider. Absent until the provider has made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// The provider's word for the VM's state, as last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_status: Option<String>,
    /// The present or last attempt to have the VM made. It is written before the provider is asked, so that whoever goes on after a
    /// crash knows that a VM may exist, and looks for it instead of asking for a second one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,
    /// What was really bought; spec.offering says what was wanted. Absent until the provider has made the VM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bought: Option<Bought>,
    /// When the provider's answer that it has made the VM was written down. The boot deadline counts from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launched_at: Option<Time>,
    /// When the pilot first asked for work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_since: Option<Time>,
    /// When the pilot was last seen to ask for work or to run a job. It is written when the pilot first asks, when it gets its first
    /// job, when it has had none for five minutes, and when it has one again; not at every ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_asked_at: Option<Time>,
    /// Since when the pilot has had no job, as far as DIRAC's rows tell. Absent while it has one, before it first asks, and where the rows
    /// tell only which jobs it got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_since: Option<Time>,
    /// Since when the provider's lists lack the VM. It is not believed gone, and counts as alive, until the provider answers a
    /// question for this very VM with "no such thing". Absent while the lists have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_since: Option<Time>,
    /// Whether a job was ever seen on it.
    #[serde(default)]
    pub served_job: bool,
    /// Name of the ConfigMap that keeps the console log of a VM that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console_log: Option<String>,
}
