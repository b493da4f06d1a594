//! `simulated` of a Cloud: what can be bought in a cloud that exists only in the operator's memory, and what goes wrong there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Duration, Price, duration::between, quantity::Ceiling, rule::rules};

/// A cloud that exists only in the operator's memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("self.seed == oldSelf.seed",
     "seed cannot change, the faults that it gives have begun: make another Cloud"),
])))]
pub struct SimulatedCloud {
    /// Seed of the faults: the same seed gives the same faults in the same order of calls. Cannot change.
    #[serde(default)]
    #[schemars(with = "i64", range(min = 0, max = 4_294_967_295_i64))]
    pub seed: u32,
    /// Time from creation to the pilot's first request for work, up to 24h, for example `40s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "1m", "x-kubernetes-validations" = between("0s", "24h")))]
    pub boot_time: Option<Duration>,
    /// The provider's quota: a create beyond it is refused. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Ceiling>,
    /// What can be bought, by name.
    #[schemars(
        length(min = 1, max = 256),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub flavors: Vec<SimulatedFlavor>,
    /// What goes wrong, and how often. Absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faults: Option<SimulatedFaults>,
}

/// A size of VM that the simulated cloud sells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("!has(self.gpuShares) || self.gpuShares == 1 || self.gpus == 1",
     "gpuShares divides one GPU among VMs: write gpus: 1 beside it"),
])))]
pub struct SimulatedFlavor {
    /// Name, for example `c8`.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// Cores of a VM, for example 8.
    #[schemars(range(min = 1, max = 4096))]
    pub cores: i64,
    /// Memory of a VM in GiB.
    #[serde(rename = "ramGiB")]
    #[schemars(range(min = 1, max = 65_536))]
    pub ram_gib: i64,
    /// GPUs of a VM. Absent: none.
    #[serde(default)]
    #[schemars(range(min = 0, max = 64))]
    pub gpus: i64,
    /// Model of the GPUs, for example `L4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub gpu_model: Option<String>,
    /// Memory of one GPU in GiB, for example 24; of the part that a VM has, where gpuShares is given. Absent: unknown.
    #[serde(default, rename = "gpuMemoryGiB", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_536))]
    pub gpu_memory_gib: Option<i64>,
    /// How many VMs divide one GPU, for example 4: each has a quarter of it. Absent: a VM has whole GPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub gpu_shares: Option<i64>,
    /// Price of an hour, a quoted decimal number, for example `"0.10"`. Absent: free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_hour: Option<Price>,
    /// How many VMs of this flavor fit at once, for example 20. A create beyond them is refused for lack of capacity. Unlike the quota, it
    /// cannot be read before. Absent: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub capacity: Option<i64>,
    /// It is sold as Spot, too, to pools whose machine.purchase names Spot. Absent: on demand alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot: Option<SimulatedSpot>,
}

/// How a flavor is sold as Spot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SimulatedSpot {
    /// Price of an hour, a quoted decimal number, for example `"0.03"`. Absent: free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_hour: Option<Price>,
    /// How likely the provider takes a running VM back in each hour, for example 0.05 for one in twenty. Its jobs wait again.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    pub reclaim: f64,
}

/// Faults: how likely each of them is, from 0 (never) to 1 (always), and how slowly the cloud answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SimulatedFaults {
    /// A create is refused for lack of capacity, for example 0.05 for one in twenty.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    pub capacity: f64,
    /// A VM never boots: its pilot never asks for work.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    pub boot_failure: f64,
    /// A create succeeds and its reply is lost.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    pub lost_reply: f64,
    /// Any call fails with a server error.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    pub transient: f64,
    /// A VM takes five times bootTime to boot, for example 0.1 for one in ten. It is replaced if that is longer than scaling.bootDeadline.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    pub slow_boot: f64,
    /// The provider takes back a running VM, as it may with spot VMs: how likely that is in each hour that the VM runs, for example 0.1 for
    /// one in ten. Its jobs wait again. A change counts for new VMs.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    pub spot_reclaim: f64,
    /// Time for which a new VM is missing from the provider's list, up to 1h, for example `30s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "0s", "x-kubernetes-validations" = between("0s", "1h")))]
    pub list_lag: Option<Duration>,
    /// Time that each call to the provider takes, up to 1m, for example `2s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "0s", "x-kubernetes-validations" = between("0s", "1m")))]
    pub latency: Option<Duration>,
}
