//! What a Cloud says of flavors: in its spec what the provider does not, and in its status what there is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Price, purchase::Purchase, rule::rules};

/// What is said of a flavor in place of what the provider says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FlavorFacts {
    /// Name of the flavor at the provider, for example `g1.a100`. A name that the provider does not have is left aside.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// The GPUs of a VM of this flavor. Needed where the provider's properties do not say them, or take another device for a GPU:
    /// OpenStack has no rule for such properties.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpus: Option<FlavorGpus>,
    /// `Spot`: the site takes VMs of this flavor back when it needs the room, and pools buy it only where machine.purchase names Spot. For
    /// an OpenStack cloud, where the site's administrator says which flavors are so. Absent: they stay until they are given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase: Option<Purchase>,
}

/// The GPUs of one VM of a flavor, said by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("self.count > 0 || !(has(self.vendor) || has(self.model) || has(self.memoryGiB) || has(self.shares))",
     "a flavor without GPUs has no model of them, vendor, memory and shares: remove these, or write how many GPUs there are in count"),
    ("self.count <= 1 || !has(self.shares) || self.shares == 1",
     "shares divides one GPU among VMs: write count: 1 beside it, or remove shares where a VM has several whole GPUs"),
])))]
#[serde(rename_all = "camelCase")]
pub struct FlavorGpus {
    /// Number of GPUs of a VM, for example 1. 0: it has none, and the device that the provider names is something else. A part of a GPU
    /// counts as 1: see `shares`.
    #[schemars(range(min = 0, max = 64))]
    pub count: i64,
    /// How many VMs divide one GPU, for example 4: each VM has a quarter of it (NVIDIA's vGPU or MIG). Absent or 1: the VM has whole GPUs.
    /// Pools take a part of a GPU only with machine.requirements.gpus.allowShares, or where they name the flavor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub shares: Option<i64>,
    /// Who makes them, for example `NVIDIA`. Absent: as their model lets one know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub vendor: Option<String>,
    /// Their model, for example `A100`. Pools ask for it in machine.requirements.gpus.models. Absent: unknown, and pools that ask for a
    /// model do not take the flavor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub model: Option<String>,
    /// Memory of one GPU in GiB, for example 40; of the part that the VM has, where VMs divide a GPU. Absent: unknown, and pools that ask
    /// for memory of the GPU do not take the flavor.
    #[serde(default, rename = "memoryGiB", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_536))]
    pub memory_gib: Option<i64>,
}

/// What an hour of one flavor costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FlavorPrice {
    /// Name of the flavor at the provider, for example `m1.large`.
    #[schemars(length(min = 1, max = 255))]
    pub flavor: String,
    /// Price of an hour, a quoted decimal number, for example `"0.05"`.
    pub per_hour: Price,
}

/// A flavor of the provider, with what the spec's `flavors` and `prices` say of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudFlavor {
    /// Name of the flavor at the provider.
    pub name: String,
    /// Cores of a VM.
    pub cores: i64,
    /// Memory of a VM in MiB.
    #[serde(rename = "ramMiB")]
    pub ram_mib: i64,
    /// GPUs of a VM. A part of a GPU counts as one: see gpuShare.
    #[serde(default)]
    pub gpus: i64,
    /// Which part of a GPU a VM has, for example `"0.25"`; `unknown`: other VMs have parts of the same GPU, and nobody says how large they
    /// are. Absent: whole GPUs, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_share: Option<String>,
    /// Who makes the GPUs, where known: what machine.requirements.gpus.vendor of a pool is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_vendor: Option<String>,
    /// Model of the GPUs, where known: what machine.requirements.gpus.models of a pool is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_model: Option<String>,
    /// Memory of one GPU in GiB, rounded down, or of the part that a VM has, where known: what machine.requirements.gpus.memoryGiB of a
    /// pool is compared with.
    #[serde(default, rename = "gpuMemoryGiB", skip_serializing_if = "Option::is_none")]
    pub gpu_memory_gib: Option<i64>,
    /// Price of an hour: that of the spec's `prices`, or else what the provider says. Absent: unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub per_hour: Option<Price>,
}
