//! `PilotPool` (`pool`): what VMs may be made for which VOs on which clouds, how they match jobs, and how they scale and age.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Duration, LocalRef, condition,
    disruption::Disruption,
    duration::{between, seconds},
    reference::DNS_LABEL,
    restraint::Breaker,
    rule::{WORD, no_name_twice, no_text_twice, rules},
    unmet,
};
pub use crate::{
    purchase::Purchase,
    requirements::{GpuRequirement, Requirements},
    unmet::UnmetDemand,
};

/// A pool of pilot VMs: for which VOs, on which clouds, of what kind, for what jobs, how many and how long.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "diracgrid.org",
    version = "v1alpha1",
    kind = "PilotPool",
    namespaced,
    status = "PilotPoolStatus",
    shortname = "pool",
    category = "dirac-all",
    doc = "A pool of pilot VMs (short name `pool`): it grows with the jobs that wait in DIRAC and shrinks when there are none. `kubectl scale pool NAME --replicas N` sets its upper bound, spec.scaling.max; 0 drains it (where more than five VMs run, a person is asked first). A pool that is deleted drains first: no job is killed.\n\nAnnotations for people, each shown in a condition while it holds. `diracgrid.org/paused: \"true\"`: no VM is made or taken away for this pool; all is still shown. `diracgrid.org/acknowledge-change: \"N\"`, after the condition Frozen asked: the VMs that a change would drain at once may all drain if they are no more than N, and none of them if they are more. `diracgrid.org/delete-vms: now`: a pool that is being deleted does not wait for its jobs; its VMs are deleted with the jobs on them.",
    selectable = ".spec.siteRef.name",
    scale(spec_replicas_path = ".spec.scaling.max", status_replicas_path = ".status.vms"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(
        name = "Waiting",
        type_ = "integer",
        description = "waiting jobs given to this pool",
        json_path = ".status.waitingJobs"
    ),
    printcolumn(
        name = "VMs",
        type_ = "integer",
        description = "PilotVMs that wait for their VM, boot, run or end",
        json_path = ".status.vms"
    ),
    printcolumn(
        name = "Booting",
        type_ = "integer",
        description = "of these, those whose pilot has not asked for work",
        json_path = ".status.booting"
    ),
    printcolumn(
        name = "Running",
        type_ = "integer",
        description = "of these, those whose pilot asks for work or runs jobs",
        json_path = ".status.running"
    ),
    printcolumn(
        name = "Draining",
        type_ = "integer",
        priority = 1,
        description = "of these, VMs that go when they have no job",
        json_path = ".status.draining"
    ),
    printcolumn(
        name = "Drifted",
        type_ = "integer",
        priority = 1,
        description = "VMs that are not as the pool says now: image, flavor, user-data or VO; they drain by and by",
        json_path = ".status.drifted"
    ),
    printcolumn(name = "Max", type_ = "integer", json_path = ".spec.scaling.max"),
    printcolumn(
        name = "Met",
        type_ = "string",
        priority = 1,
        description = "whether all demand that fits is served",
        json_path = ".status.conditions[?(@.type=='DemandMet')].status"
    ),
    printcolumn(name = "Site", type_ = "string", priority = 1, json_path = ".spec.siteRef.name"),
    printcolumn(name = "VOs", type_ = "string", priority = 1, json_path = ".spec.vos"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("self.siteRef.name == oldSelf.siteRef.name",
     "siteRef cannot change, the pool's pilots carry the site's name: make another PilotPool and scale this one to 0"),
    ("self.strategy != 'InOrder' || !has(self.machine.requirements) || (has(self.machine.requirements.gpus) && has(self.machine.requirements.gpus.models) && size(self.machine.requirements.gpus.models) > 0)",
     "requirements without models of GPUs are no order of flavors: name flavors in machine.flavors, or write strategy: Cheapest"),
])))]
pub struct PilotPoolSpec {
    /// The Site to which the pool's VMs belong. Jobs ask for a site, or ban it, by its name in DIRAC. Cannot change.
    pub site_ref: LocalRef,
    /// Names of the VirtualOrganization objects that the pool serves. Each VM belongs to one of them. `max` and the numbers of the status
    /// count the VMs of all of them.
    #[schemars(
        length(min = 1, max = 128),
        inner(length(min = 1, max = 63), regex(pattern = DNS_LABEL)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub vos: Vec<String>,
    /// Cloud objects on which VMs may be made, for example `[{name: cppm-openstack}, {name: aws-paris}]`; `strategy` says which of them comes
    /// first. When a cloud is taken off the list, it gets no new VMs, and the VMs that it has go on.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-validations" = no_name_twice()))]
    pub clouds: Vec<LocalRef>,
    /// What is bought first. `Cheapest`: what costs least for each core that the waiting jobs use, and where costs are alike, within five in
    /// a hundred, what stands first in `clouds` and `machine.flavors`. `InOrder`: what stands first, whatever it costs; the next one is
    /// bought when the first has no room.
    #[serde(default)]
    pub strategy: Strategy,
    /// What a VM is: flavor, image, way of buying.
    pub machine: Machine,
    /// Which jobs the VMs take.
    pub matching: Matching,
    /// How many VMs there are, and how long each lives.
    pub scaling: Scaling,
    /// How many VMs drain by drift at the same moment, and when such a drain may begin. A VM has drifted when it runs with another image,
    /// flavor or user-data than the pool says now, or belongs to a VO that the pool serves no more; VMs that boot are left alone. Give
    /// maxVMs or maxPercent. With neither, or where this is absent, 10 percent of the pool's VMs drain at a time, and at least one. This
    /// bounds drift alone: VMs beyond a limit, VMs before a Downtime, and VMs that boot for jobs which are gone go whatever stands here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disruption: Option<Disruption>,
}

/// What is bought first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Strategy {
    /// What costs least for each core that is used.
    #[default]
    Cheapest,
    /// What stands first in the manifest.
    InOrder,
}

/// What a VM is made of. A change counts for new VMs at once. VMs that run with another image, flavor or user-data have drifted: they
/// drain by and by, as fast as `disruption` says, and no job is killed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("has(self.requirements) || (has(self.flavors) && size(self.flavors) > 0)",
     "say what to buy: name flavors in order of preference, or give requirements that any flavor may fulfil"),
    ("!has(self.requirements) || !has(self.flavors) || size(self.flavors) == 0",
     "name flavors or give requirements, not both: remove one of them"),
])))]
pub struct Machine {
    /// Flavors by name, for example `[m1.xlarge, m1.large]`. The one that costs least for each core that the waiting jobs use is bought
    /// first: for one job of one core a small flavor, for many such jobs a large one as well. Where costs are alike, within five in a
    /// hundred, it is the first of this list. A flavor without a price costs by its cores, and a GPU counts as sixteen. Give either this
    /// or `requirements`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 255)), extend("x-kubernetes-validations" = no_text_twice()))]
    pub flavors: Vec<String>,
    /// Any flavor that fulfils these may be bought, the cheapest for each core that the waiting jobs use first. For clouds that call their
    /// flavors differently. Give either this or `flavors`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requirements: Option<Requirements>,
    /// Ways of buying, in order of preference, for example `[Spot, OnDemand]`. Absent: `[OnDemand]`. A Spot VM is cheaper, and the provider
    /// may take it back at any time, with the jobs on it: the more often that happened lately, the dearer it counts. What costs least is
    /// bought first; where costs are alike, within five in a hundred, the order here decides before that of the flavors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2), extend("x-kubernetes-list-type" = "set"))]
    pub purchase: Vec<Purchase>,
    /// Name of the image in `images` of each Cloud of the pool.
    #[serde(default = "default_image")]
    #[schemars(length(min = 1, max = 63))]
    pub image: String,
    /// Name of the image, in `images` of each Cloud of the pool, for flavors that have GPUs or a part of one, for example `gpu`: one with
    /// their drivers. Absent: `image`. Where all flavors of the pool have GPUs, `image` alone is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub gpu_image: Option<String>,
    /// A cloud-config document that is merged into the VM's user-data. Every job on the VM can read it, so write no secret here.
    ///
    /// It is a template in a small part of the language Jinja. It may use the names `reference`, `stamp`, `vo`, `group`,
    /// `owner_groups`, `site`, `ce`, `queue`, `cores`, `ram_mib`, `gpus`, `gpu_model`, `gpu_cores`, `cpu_time`, `tags`, `required_tags`,
    /// `platform` and `idle_timeout` of the pilot, for example `vo` in two curly brackets; calculations and comparisons; filters, for example `vo | upper`, and
    /// beside Jinja's own the filters `quote` (a quoted YAML string) and `b64`; and the statements `if`, `elif`, `else`, `for`, `endif`
    /// and `endfor`. It has no other statements (such as `set`, `with`, `macro`, `include`), no lists or maps of its own, no `[index]`
    /// (use the filters `first`, `last` and `split`), no recursive loops, and not the filters `batch`, `chain`, `dictsort`, `groupby`,
    /// `items`, `map`, `pprint`, `slice`, `unique` and `zip`. It may have 16,384 characters, 3,000 names, operators and values, at most
    /// 64 of them in one pair of brackets, and loops and conditions 12 deep.
    ///
    /// The condition UserDataValid says what is wrong with a template. No VM is made with a wrong one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16_384), extend("x-kubernetes-validations" = rules(&[(
        "!self.contains('PRIVATE KEY-----')",
        "user-data is readable by every job on the VM: keep the private key out of it",
    )])))]
    pub user_data: Option<String>,
}

fn default_image() -> String {
    "default".to_owned()
}

/// What the pilots say of themselves to DIRAC's Matcher. A change counts for new VMs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("!has(self.requiredTags) || (has(self.tags) && self.requiredTags.all(tag, tag in self.tags))",
     "a job with a required tag matches only where the tag is also offered: add every one of requiredTags to tags"),
    ("!has(self.coresPerGPU) || (has(self.tags) && 'GPU' in self.tags)",
     "coresPerGPU divides VMs between jobs with the tag GPU and others: add GPU to tags, or remove coresPerGPU"),
    ("!has(self.coresPerGPU) || !has(self.requiredTags) || size(self.requiredTags) == 0",
     "coresPerGPU lets jobs without a GPU in, and requiredTags keeps them out: remove one of them"),
])))]
pub struct Matching {
    /// Name of the CE in DIRAC. Absent: `<pool>.<namespace>.dirac-operator`. Change it where DIRAC's accounting or
    /// configuration already knows another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?$"))]
    pub ce: Option<String>,
    /// Name of the queue in DIRAC. Absent: the name of the flavor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?$"))]
    pub queue: Option<String>,
    /// The longest CPU time of a job, 1m to 60d, for example `48h`. Jobs that ask for more do not match. Keep it well below
    /// scaling.maxLifetime, so that a VM can run several jobs, one after the other.
    #[schemars(extend("x-kubernetes-validations" = between("1m", "60d")))]
    pub max_cpu_time: Duration,
    /// Tags that the VMs offer, for example `[GPU]`. A job matches only if the VM offers all of its tags. Tags of the number of processors
    /// are made by DIRAC. The tag `GPU` is also required, so that jobs without it do not take VMs with GPUs, unless coresPerGPU lets them in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        inner(length(min = 1, max = 64), regex(pattern = WORD)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub tags: Vec<String>,
    /// Tags that a job must have, for example `[GPU]`, so that jobs without it do not take these VMs. Each must also be in `tags`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        inner(length(min = 1, max = 64), regex(pattern = WORD)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub required_tags: Vec<String>,
    /// Lets jobs without the tag GPU run beside those with it, on VMs with GPUs: so many cores, for example 4, are kept for each GPU and the
    /// job that has it, and the other cores of the VM take jobs without a GPU. Absent: only jobs with the tag GPU run there, each with one
    /// GPU and an equal part of all cores. Either way a GPU has one job at a time.
    #[serde(default, rename = "coresPerGPU", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub cores_per_gpu: Option<i64>,
    /// Which jobs a VM takes that is made for jobs of several cores. `MultiCore`: only jobs with the same number of processors. Its pilot
    /// requires their tag, for example `8Processors`. Otherwise DIRAC gives its cores to jobs of one core as long as such jobs wait, and
    /// a job of eight cores never finds eight free ones. `Never`: any job that fits.
    #[serde(default)]
    pub pin: Pin,
    /// DIRAC platform of the image, for example `Linux_x86_64_glibc-2.34`. Absent: the pilots name none, and jobs match
    /// whichever platform they ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = WORD))]
    pub platform: Option<String>,
}

impl Matching {
    /// The tags that pilots require of jobs: `required_tags`, and GPU where it is offered and no cores are kept for jobs without it.
    pub fn requires(&self) -> Vec<String> {
        let gpu = self.tags.iter().filter(|tag| self.cores_per_gpu.is_none() && tag.eq_ignore_ascii_case("GPU"));
        let more = gpu.filter(|tag| !self.required_tags.iter().any(|required| required.eq_ignore_ascii_case(tag)));
        self.required_tags.iter().chain(more).cloned().collect()
    }
}

impl Machine {
    /// The name of the image for a flavor with this number of GPUs.
    pub fn image_for(&self, gpus: i64) -> &str {
        self.gpu_image.as_deref().filter(|_| gpus > 0).unwrap_or(&self.image)
    }

    /// The names of all its images.
    pub fn images(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.image.as_str()).chain(self.gpu_image.as_deref().filter(|name| *name != self.image))
    }
}

/// Which jobs a VM takes that is made for jobs of several cores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Pin {
    /// Only jobs with the same number of processors.
    #[default]
    MultiCore,
    /// Any job that fits.
    Never,
}

/// How many VMs there are, and how long each lives. VMs are made for waiting jobs, up to `max`. A VM without a job stops by itself after
/// `idleTimeout`. To empty a pool without losing a job, set `max` to 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("self.max <= 0 || self.min <= self.max", "min is larger than max: raise max or lower min (max: 0 alone drains the pool whatever min says)"),
    ("self.max <= 0 || self.spare <= self.max", "spare is larger than max: raise max or lower spare"),
    (&format!("{} < {}", seconds("self.bootDeadline"), seconds("self.maxLifetime")),
     "bootDeadline must be shorter than maxLifetime, or no VM lives to run a job"),
    (&format!("{} <= {}", seconds("self.idleTimeout"), seconds("self.maxLifetime")),
     "idleTimeout must not be longer than maxLifetime: shorten it or raise maxLifetime"),
])))]
pub struct Scaling {
    /// VMs to keep whatever waits, for example 2, so that the first jobs need not wait for a boot. They cost money while they have no job.
    /// Such a VM, too, stops after idleTimeout without a job, and another takes its place: with `min`, write a long idleTimeout, or each
    /// of them is booted again and again. max and all other limits hold for them too.
    #[serde(default)]
    #[schemars(range(min = 0, max = 20_000))]
    pub min: i64,
    /// The most VMs at once over all clouds and VOs of the pool, those that boot included. VMs beyond it drain: one whose pilot has
    /// not asked for work is given back, and the others when they have no job, or they go by themselves when they find no more work. 0
    /// drains the whole pool. No job is killed. Where more than half of the VMs that run, and more than five, would drain at once, none does
    /// until a person agrees: see the condition Frozen. `kubectl scale` sets it.
    #[schemars(range(min = 0, max = 20_000))]
    pub max: i64,
    /// What the pool may have beyond `max`. `Never`: nothing. `WhatIsFree`: when every waiting job of the installation has been given what
    /// it may have within the pools' maxima, and there is room left on the clouds, this pool takes of that room for jobs that still wait.
    /// So `max` is the part that is surely the pool's own. Ceilings, quotas and the limits of VOs hold all the same. What was borrowed is not
    /// taken away: its VMs take jobs for about forty minutes and go then. A pool with max: 0 drains and borrows nothing.
    #[serde(default)]
    pub borrow: Borrow,
    /// How long a job may be kept waiting for VMs that are there, for example `30m`, 0s to 7d: no VM is bought for a job that those VMs are
    /// expected to have begun within this time. A longer time saves money, a shorter one saves waiting. It acts where the operator has
    /// measured how long such jobs run. Absent: as long as a new VM needs to its first job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = between("0s", "7d")))]
    pub max_wait: Option<Duration>,
    /// VMs without a job to keep beyond those that waiting jobs need, for example 2, so that the first jobs of a burst start at once. When
    /// one of them gets a job, another is made. They cost money while they have no job, and stop after idleTimeout as all VMs do: with
    /// `spare`, write a long idleTimeout. max and all other limits hold for them too.
    #[serde(default)]
    #[schemars(range(min = 0, max = 20_000))]
    pub spare: i64,
    /// Time from the launch of a VM within which its pilot must ask for work, 1m to 24h. A VM whose pilot does not is replaced, and its
    /// console log is kept. Until then the VM counts as supply. Raise it for images that boot slowly.
    #[serde(default = "default_boot_deadline")]
    #[schemars(extend("x-kubernetes-validations" = between("1m", "24h")))]
    pub boot_deadline: Duration,
    /// Time without a job after which a VM stops by itself, 30s to 7d. A longer time saves boots between bursts; a shorter one saves money.
    /// The VM finds it in `DIRAC_IDLE_TIMEOUT`, in seconds. What starts the pilot (the image, or `machine.userData`) must obey it: DIRAC's
    /// JobAgent does not know it. By its own settings (StopAfterFailedMatches, PollingTime) an idle one stops only after about 43 minutes,
    /// and later on VMs with more than ten cores.
    #[serde(default = "default_idle_timeout")]
    #[schemars(extend("x-kubernetes-validations" = between("30s", "7d")))]
    pub idle_timeout: Duration,
    /// Age, 10m to 90d, from which a VM counts as ending: no jobs are planned for it any more, and it goes when it finds no more work. With a
    /// shorter time new images come into use sooner, also where `disruption` lets no VM drain. Keep it well above matching.maxCpuTime: a VM
    /// that is older than both together is deleted with what is on it.
    #[serde(default = "default_max_lifetime")]
    #[schemars(extend("x-kubernetes-validations" = between("10m", "90d")))]
    pub max_lifetime: Duration,
}

/// What a pool may have beyond its maximum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Borrow {
    /// No VM beyond the maximum.
    #[default]
    Never,
    /// What is left when all pools and VOs had their turns.
    WhatIsFree,
}

fn default_boot_deadline() -> Duration {
    Duration::from_secs(20 * 60)
}
fn default_idle_timeout() -> Duration {
    Duration::from_secs(5 * 60)
}
fn default_max_lifetime() -> Duration {
    Duration::from_secs(7 * 86_400)
}

/// What the operator knows of the pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PilotPoolStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The truth about the object: Ready, Resolved, UserDataValid, CloudUsable, DemandMet, Supported, Paused, Frozen. docs/conditions.md
    /// says what each reason means and what to do.
    #[serde(default)]
    #[schemars(schema_with = "condition::schema")]
    pub conditions: Vec<Condition>,
    /// PilotVMs of the pool: those that wait for their VM, and VMs that boot, run or end.
    #[serde(default)]
    pub vms: i64,
    /// Of these, those whose pilot has not asked for work yet, also where the VM is not made yet.
    #[serde(default)]
    pub booting: i64,
    /// Of these, those whose pilot asks for work or runs jobs, also while they drain.
    #[serde(default)]
    pub running: i64,
    /// Of these, VMs that drain: no job is planned for them, and they go when they have none.
    #[serde(default)]
    pub draining: i64,
    /// VMs that run and have drifted: they are not as the pool says now (image, flavor, user-data, VO). They drain by and by, as fast as
    /// spec.disruption says. VMs of which nobody wrote down what they were made from are not counted.
    #[serde(default)]
    pub drifted: i64,
    /// VMs that drain by drift. spec.disruption bounds how many.
    #[serde(default)]
    pub draining_by_drift: i64,
    /// Waiting jobs that the last round gave to this pool.
    #[serde(default)]
    pub waiting_jobs: i64,
    /// Waiting jobs that fit the pool and get no VM, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "unmet::schema")]
    pub unmet: Vec<UnmetDemand>,
    /// VMs that came to nothing: they are made one at a time, with longer and longer pauses, until one of them runs a job of the kind for
    /// which it was made. Kept over restarts of the operator. At most 32 entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breakers: Vec<Breaker>,
    /// Seconds that VMs of the pool live on average, as far as they belong to VOs with a budget: what a new one costs in this time
    /// is what a budget reserves. Absent: none has ended yet, and bootDeadline, maxCpuTime and idleTimeout together count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub life_seconds: Option<i64>,
}
