//! `DiracInstallation` (`dirac`): a DIRAC v9 + DiracX installation, run elsewhere, simulated, or run here.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Duration, SecretRef, condition,
    duration::between,
    quantity::Ceiling,
    reference::{DNS_LABEL, refuse_inline},
    rule::{NO_SUCH_PORT, PORT, WORD, no_secret_in, rules, web_address},
    unmet,
    unmet::UnmetDemand,
};
pub use crate::{
    lost::LostJobs,
    managed::{Managed, Part},
};

/// A DIRAC installation: where waiting jobs are read and pilots are registered. Exactly one of `external`, `simulated` and `managed` says
/// what it is. That cannot change: another kind of installation is another object.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "diracgrid.org",
    version = "v1alpha1",
    kind = "DiracInstallation",
    namespaced,
    status = "DiracInstallationStatus",
    shortname = "dirac",
    category = "dirac-all",
    doc = "A DIRAC installation (short name `dirac`): the operator reads its waiting jobs, registers pilots with it and makes VMs for them. VirtualOrganization and Site objects name it.\n\nAnnotations for people. `diracgrid.org/paused: \"true\"`: no VM is made or taken away for this installation; all is still shown, and the condition Paused says so. `diracgrid.org/let-go: \"true\"`: an installation that is being deleted goes at once, and the rows of pilots that it still has are left as they are.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(
        name = "Waiting",
        type_ = "integer",
        description = "jobs that wait in task queues",
        json_path = ".status.waitingJobs"
    ),
    printcolumn(
        name = "VMs",
        type_ = "integer",
        description = "PilotVMs that wait for their VM, boot, run or end",
        json_path = ".status.vms"
    ),
    printcolumn(
        name = "Met",
        type_ = "string",
        priority = 1,
        description = "whether every waiting job has a VM or gets one",
        json_path = ".status.conditions[?(@.type=='DemandMet')].status"
    ),
    printcolumn(
        name = "Queues",
        type_ = "integer",
        priority = 1,
        description = "task queues with waiting jobs",
        json_path = ".status.taskQueues"
    ),
    printcolumn(
        name = "Read",
        type_ = "date",
        priority = 1,
        description = "when demand was last read",
        json_path = ".status.lastDemandTime"
    ),
    printcolumn(name = "Matcher", type_ = "string", priority = 1, json_path = ".spec.external.matcher"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("has(self.external) || has(self.simulated) || has(self.managed)",
     "say what installation it is: give exactly one of external, simulated and managed"),
    ("[has(self.external), has(self.simulated), has(self.managed)].filter(given, given).size() <= 1",
     "an installation is one thing: keep one of external, simulated and managed"),
    ("has(self.external) == has(oldSelf.external) && has(self.simulated) == has(oldSelf.simulated) && has(self.managed) == has(oldSelf.managed)",
     "the kind of an installation cannot change, its pilots would be lost: make another DiracInstallation"),
])))]
pub struct DiracInstallationSpec {
    /// An installation that runs elsewhere and that this operator uses as a client: the usual case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<External>,
    /// A queue that exists only in the operator's memory, for trying things out without a DIRAC: its jobs arrive, wait, run
    /// on simulated VMs and end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulated: Option<SimulatedQueue>,
    /// A whole DIRAC installation run by this operator, in pods of the object's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<Managed>,
    /// How often the task queues are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = json!({})))]
    pub demand: Option<DemandSettings>,
    /// What all VMs of the installation may hold at once, over all VOs, sites and clouds, for example `{vms: 1000}`: the last limit, where
    /// no other one holds. Absent: only the others limit it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Ceiling>,
}

impl DiracInstallationSpec {
    /// Names of the Secrets without which its DIRAC cannot be asked.
    pub fn secrets(&self) -> BTreeSet<String> {
        self.external.iter().map(|e| e.credentials.certificate_secret_ref.name.clone()).collect()
    }
}

/// Addresses and credentials of an installation that runs elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = external_rules()))]
pub struct External {
    /// DISET address of the Matcher, whose task queues are read, for example
    /// `dips://dirac.example.org:9170/WorkloadManagement/Matcher`. DIRAC's configuration has it under
    /// `/Systems/WorkloadManagement/URLs/Matcher`. Several addresses may stand here with commas between them, as DIRAC writes them: they
    /// are tried one after the other.
    #[schemars(length(max = 2048), extend("x-kubernetes-validations" = diset_address("WorkloadManagement/Matcher", 9170)))]
    pub matcher: String,
    /// DISET address of the PilotManager, where pilots are registered, for example
    /// `dips://dirac.example.org:9171/WorkloadManagement/PilotManager`, or several with commas between them.
    #[schemars(length(max = 2048), extend("x-kubernetes-validations" = diset_address("WorkloadManagement/PilotManager", 9171)))]
    pub pilot_manager: String,
    /// DISET address of the JobMonitoring, which says which of the pilots' jobs still run, for example
    /// `dips://dirac.example.org:9130/WorkloadManagement/JobMonitoring`, or several with commas between them. Then a VM that is free again
    /// gets new jobs planned onto it, and one whose pilot hangs after its jobs is replaced. Absent: a VM whose pilot had a job is taken to
    /// be busy until it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), extend("x-kubernetes-validations" = diset_address("WorkloadManagement/JobMonitoring", 9130)))]
    pub job_monitoring: Option<String>,
    /// What is done about jobs whose VM is gone for good, although DIRAC has them on its pilot: the provider took the VM back or lost it, or
    /// somebody deleted it.
    #[serde(default)]
    pub lost_jobs: LostJobs,
    /// DISET address of the JobManager, where jobs are given back as `lostJobs` says, for example
    /// `dips://dirac.example.org:9132/WorkloadManagement/JobManager`, or several with commas between them. Absent: port 9132 of the
    /// Matcher's host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), extend("x-kubernetes-validations" = diset_address("WorkloadManagement/JobManager", 9132)))]
    pub job_manager: Option<String>,
    /// DISET address of the Configuration server, for example `dips://dirac.example.org:9135/Configuration/Server`, or several with commas
    /// between them. The operator reads there every ten minutes whether DIRAC knows what pilots need, and says so in the condition
    /// DiracReady; it writes nothing. Absent: port 9135 of the Matcher's host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), extend("x-kubernetes-validations" = diset_address("Configuration/Server", 9135)))]
    pub configuration: Option<String>,
    /// Address of DiracX, for example `https://diracx.example.org`. Absent: the installation has none; DISET alone is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), extend("x-kubernetes-validations" = web_address()))]
    pub diracx: Option<String>,
    /// How the operator shows DIRAC who it is.
    pub credentials: DiracCredentials,
}

fn external_rules() -> serde_json::Value {
    let addresses = ["matcher", "pilotManager", "jobMonitoring", "jobManager", "configuration", "diracx"];
    let (clean, said) = no_secret_in(&addresses);
    rules(&[
        (&clean, &said),
        (
            "!has(self.lostJobs) || self.lostJobs != 'Reschedule' || has(self.jobMonitoring)",
            "lostJobs: Reschedule needs to know which jobs have ended: give jobMonitoring too",
        ),
    ])
}

fn diset_address(service: &str, port: u16) -> serde_json::Value {
    let name = match service.split_once('/') {
        Some(("WorkloadManagement", name)) => name,
        _ => "the Configuration server",
    };
    let list = |number: &str| {
        let one = format!("dips://[^/,[:space:]]+:{number}/{service}");
        format!("self.matches('^{one}( *, *{one})*$')")
    };
    let (form, ports) = (list("[0-9]+"), list(PORT));
    rules(&[
        (
            &format!("self.contains('@') || {form}"),
            &format!(
                "write {name}'s whole DISET address, for example dips://dirac.example.org:{port}/{service}, or \
                 several with commas between"
            ),
        ),
        // What is not an address at all gets the sentence above, and no second one.
        (&format!("self.contains('@') || !{form} || {ports}"), NO_SUCH_PORT),
    ])
}

/// A client certificate and the DIRAC group to act as.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = no_inline_certificate)]
pub struct DiracCredentials {
    /// Secret with `tls.crt` (certificate and chain), `tls.key` and `ca.crt` (the authorities that signed the certificates of DIRAC's
    /// hosts). A Secret that cert-manager makes has these keys.
    pub certificate_secret_ref: SecretRef,
    /// The DIRAC group as which the operator acts. The certificate's owner must be in it. It needs the properties JobAdministrator, to read
    /// the task queues, and Operator, to register pilots. For a host certificate write `hosts`.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z0-9][A-Za-z0-9_.-]*$"))]
    pub group: String,
}

fn no_inline_certificate(schema: &mut Schema) {
    refuse_inline(schema, &["certificate", "key", "password"], Some("certificateSecretRef"));
}

/// How often the task queues are read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DemandSettings {
    /// Time between two readings of the task queues, 1s to 1h. Each reading is one request to the Matcher. With a shorter time new jobs get
    /// VMs sooner. For an installation with many thousand task queues 60s is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "20s", "x-kubernetes-validations" = between("1s", "1h")))]
    pub poll_interval: Option<Duration>,
}

/// A seeded queue whose jobs arrive, wait, run on simulated VMs and end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("self.seed == oldSelf.seed",
     "seed cannot change, the jobs that it gives have begun to arrive: make another DiracInstallation"),
])))]
pub struct SimulatedQueue {
    /// Seed of the arrivals: the same seed gives the same jobs at the same times. Cannot change.
    #[serde(default)]
    #[schemars(with = "i64", range(min = 0, max = 4_294_967_295_i64))]
    pub seed: u32,
    /// Streams of jobs; the jobs of a stream are equal. They can be changed at any time: a stream that is taken out brings no more jobs
    /// (jobs that wait or run stay), a stream that is put in begins, and two equal entries are two streams.
    #[schemars(length(min = 1, max = 64))]
    pub arrivals: Vec<Arrival>,
}

/// One stream of equal jobs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Arrival {
    /// Name of the VirtualOrganization object to which the jobs belong.
    #[schemars(length(min = 1, max = 63), regex(pattern = DNS_LABEL))]
    pub vo: String,
    /// DIRAC group of the jobs' owner: one of the VO's groups.
    #[schemars(length(min = 1, max = 128), regex(pattern = WORD))]
    pub group: String,
    /// Mean rate of arrival, in jobs per hour. The times between jobs are random.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub jobs_per_hour: i64,
    /// CPU time that a job asks for, for example `2h`. Pools with a smaller matching.maxCpuTime do not take it.
    #[schemars(extend("x-kubernetes-validations" = between("1s", "60d")))]
    pub cpu_time: Duration,
    /// How long a job really runs, for example `1m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "1m", "x-kubernetes-validations" = between("1s", "60d")))]
    pub run_time: Option<Duration>,
    /// Cores that a job needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024), extend("default" = 1))]
    pub processors: Option<i64>,
    /// Tags of the jobs, for example `[GPU]`. Only pools that offer all of them take the jobs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 64), regex(pattern = WORD)), extend("x-kubernetes-list-type" = "set"))]
    pub tags: Vec<String>,
    /// Arrivals end after this many jobs. Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub jobs: Option<i64>,
}

/// What the operator knows of the installation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiracInstallationStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The truth about the object: Ready, Supported (False when this version does not act on what is asked), DemandRead, RowsRead,
    /// DemandMet, DiracReady, Paused; of a managed one ServicesReady. docs/conditions.md says what each reason means and what to do.
    #[serde(default)]
    #[schemars(schema_with = "condition::schema")]
    pub conditions: Vec<Condition>,
    /// Jobs that wait in task queues, as last read.
    #[serde(default)]
    pub waiting_jobs: i64,
    /// Task queues with waiting jobs that could be read at the last reading.
    #[serde(default)]
    pub task_queues: i64,
    /// When the task queues were last read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_demand_time: Option<Time>,
    /// Groups with waiting jobs that no VirtualOrganization claims. Their jobs get no VM until a VO has the group in its `groups`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unclaimed: Vec<UnclaimedGroup>,
    /// Waiting jobs of all VOs that get no VM, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "unmet::schema")]
    pub unmet: Vec<UnmetDemand>,
    /// When the certificate ends by which DIRAC knows the operator, or one of its chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_expires: Option<Time>,
    /// PilotVMs of the installation: those that wait for their VM, and VMs that boot, run or end.
    #[serde(default)]
    pub vms: i64,
    /// The parts of a managed installation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub parts: Vec<Part>,
    /// The address of a managed installation's one Service outside the cluster, to which its host name must lead; that within the cluster while
    /// no load balancer has given one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Secrets that the operator keeps by the finalizer diracgrid.org/in-use while VMs can be deleted only with them: those that the spec
    /// names, and earlier ones that are not let go yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
}

/// A group with waiting jobs that belongs to no VirtualOrganization object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UnclaimedGroup {
    /// Name of the group in DIRAC.
    pub group: String,
    /// Jobs of this group that wait in task queues, as last read.
    pub jobs: i64,
}
