//! `machine.requirements` of a PilotPool: bounds on flavors, for clouds that call their flavors differently.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    quantity::Range,
    rule::{no_text_twice, rules},
};

/// Bounds on flavors. A flavor must fulfil all bounds that are given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("has(self.gpus) || has(self.cores) || has(self.ramGiBPerCore)",
     "requirements without a bound would buy anything: give at least one of gpus, cores and ramGiBPerCore"),
])))]
pub struct Requirements {
    /// Number, models and memory of GPUs, for example `{min: 1, models: [A100, L4], memoryGiB: {min: 20}}`. Absent: only flavors without
    /// GPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpus: Option<GpuRequirement>,
    /// Number of cores, for example `{min: 4, max: 32}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<Range>,
    /// GiB of memory for each core, rounded down, for example `{min: 2}`.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "ramGiBPerCore")]
    pub ram_gib_per_core: Option<Range>,
}

/// Which GPUs a flavor must have. status.flavors of each Cloud shows what its flavors have; what is unknown there fulfils no bound: write it
/// into spec.flavors of the Cloud.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("!has(self.min) || !has(self.max) || self.min <= self.max", "min is larger than max, so nothing fits: lower min or raise max"),
])))]
pub struct GpuRequirement {
    /// The smallest number of GPUs of a VM; a part of a GPU counts as one. Absent: no lower end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 64))]
    pub min: Option<i64>,
    /// The largest number of GPUs of a VM. Absent: no upper end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 64))]
    pub max: Option<i64>,
    /// Who makes the GPUs, for example `NVIDIA`; capital and small letters count as equal. Absent: anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub vendor: Option<String>,
    /// One of these models, in order of preference, for example `[A100, L4, T4]`. With strategy Cheapest the first one is bought where
    /// costs are alike, within five in a hundred; with InOrder whatever it costs, before the order of `clouds`. The others follow when it
    /// has no room. Absent: any model. A model is known by its words, in capital or small letters: `A100` is also `NVIDIA A100-SXM4-80GB`,
    /// but not `A100X`. It comes from the provider's properties or, before them, from spec.flavors of the Cloud.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 64)), extend("x-kubernetes-validations" = no_text_twice()))]
    pub models: Vec<String>,
    /// Memory of one GPU in whole GiB, rounded down, for example `{min: 20}`: an L4 with 22,888 MiB has 22. Of a part of a GPU, the memory of
    /// that part. Absent: any.
    #[serde(default, rename = "memoryGiB", skip_serializing_if = "Option::is_none")]
    pub memory_gib: Option<Range>,
    /// Whether a part of a GPU is enough for a job, for example a MIG slice or a vGPU: `true` also takes flavors whose VMs have a part of a
    /// GPU. Where not said: only whole GPUs.
    #[serde(default)]
    pub allow_shares: bool,
}
