//! Amounts of machinery: counts of VMs, cores, memory and GPUs that limit or describe something.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rule::rules;

/// An upper bound on machinery. What is absent is not bounded here; 0 means none at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ceiling {
    /// Number of VMs, for example 200. Absent: not bounded here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub vms: Option<i64>,
    /// Number of virtual cores of all VMs together, for example 1600. Absent: not bounded here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000_000))]
    pub cores: Option<i64>,
    /// Memory of all VMs together in GiB, for example 6400. Absent: not bounded here.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "ramGiB")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub ram_gib: Option<i64>,
    /// Number of GPUs of all VMs together, for example 4. Absent: not bounded here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub gpus: Option<i64>,
}

/// The schema of a [`Ceiling`] that the operator reports: a provider may say any number, and the status must hold it.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
pub struct Reported {
    /// Number of VMs. Absent: unlimited or unknown.
    #[serde(default)]
    vms: Option<i64>,
    /// Number of virtual cores. Absent: unlimited or unknown.
    #[serde(default)]
    cores: Option<i64>,
    /// Memory in GiB. Absent: unlimited or unknown.
    #[serde(default, rename = "ramGiB")]
    ram_gib: Option<i64>,
    /// Number of GPUs. Absent: unlimited or unknown.
    #[serde(default)]
    gpus: Option<i64>,
}

/// A closed interval of whole numbers; an absent end is open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("!has(self.min) || !has(self.max) || self.min <= self.max", "min is larger than max, so nothing fits: lower min or raise max"),
    ("has(self.min) || has(self.max)", "give min, max or both, or leave the whole range out"),
])))]
pub struct Range {
    /// The smallest accepted number. Absent: no lower end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub min: Option<i64>,
    /// The largest accepted number. Absent: no upper end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub max: Option<i64>,
}

impl Range {
    /// Whether `n` lies in the interval.
    pub fn contains(&self, n: i64) -> bool {
        self.min.is_none_or(|min| n >= min) && self.max.is_none_or(|max| n <= max)
    }
}
