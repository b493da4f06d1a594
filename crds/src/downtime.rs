//! `Downtime` (`dt`): a site or cloud goes away, or wants part of its capacity back, by a deadline.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Duration, LocalRef, condition, duration::between, quantity::Ceiling, rule::rules};

/// A planned absence of a site or cloud, or of a part of its capacity.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "diracgrid.org",
    version = "v1alpha1",
    kind = "Downtime",
    namespaced,
    status = "DowntimeStatus",
    shortname = "dt",
    category = "dirac-all",
    doc = "A planned absence (short name `dt`): a site or one of its clouds goes away, or wants part of its capacity back, from start to end. VMs beyond `keep` drain before it; none is killed. VMs that are bought for the time before are cut to it: DIRAC gives their pilots only jobs that say that they end in time. Deleting it ends it: VMs that drained for it work on.",
    selectable = ".spec.siteRef.name",
    selectable = ".spec.cloudRef.name",
    printcolumn(name = "Site", type_ = "string", json_path = ".spec.siteRef.name"),
    printcolumn(name = "Cloud", type_ = "string", json_path = ".spec.cloudRef.name"),
    printcolumn(name = "Start", type_ = "string", json_path = ".spec.start"),
    printcolumn(name = "End", type_ = "string", json_path = ".spec.end"),
    printcolumn(
        name = "Draining",
        type_ = "string",
        description = "whether VMs beyond what may stay drain",
        json_path = ".status.conditions[?(@.type=='Draining')].status"
    ),
    printcolumn(
        name = "Active",
        type_ = "string",
        description = "whether it has begun and is not over",
        json_path = ".status.conditions[?(@.type=='Active')].status"
    ),
    printcolumn(
        name = "VMs",
        type_ = "integer",
        description = "VMs on the clouds concerned",
        json_path = ".status.vms"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Drain", type_ = "string", priority = 1, json_path = ".spec.drainFor"),
    printcolumn(name = "Reason", type_ = "string", priority = 1, json_path = ".spec.reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("self.start < self.end", "end is not after start: write the time at which the capacity comes back"),
    ("self.end - self.start <= duration('8784h')",
     "a downtime lasts at most 366 days: for something that does not come back lower the cloud's ceiling or delete the cloud"),
    ("self.siteRef.name == oldSelf.siteRef.name", "siteRef cannot change: make another Downtime"),
    ("has(self.cloudRef) == has(oldSelf.cloudRef) && (!has(self.cloudRef) || self.cloudRef.name == oldSelf.cloudRef.name)",
     "cloudRef cannot change: make another Downtime"),
])))]
pub struct DowntimeSpec {
    /// The Site concerned. Cannot change.
    pub site_ref: LocalRef,
    /// One Cloud of the site. Absent: the whole site. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_ref: Option<LocalRef>,
    /// When it begins, with a time zone, for example `"2026-12-07T06:00:00Z"`. From then on VMs are made only within `keep`. What is still
    /// there beyond it goes when its jobs are done; until then the condition Active says so.
    #[schemars(with = "String", length(max = 40), extend("format" = "date-time"))]
    pub start: Timestamp,
    /// When it ends, at most 366 days later. From then on VMs are made again.
    #[schemars(with = "String", length(max = 40), extend("format" = "date-time"))]
    pub end: Timestamp,
    /// What may stay, for example `{cores: 800}`. Absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Ceiling>,
    /// How long before `start` the draining begins, up to 60d. From then on VMs beyond `keep` get no planned jobs, and new ones are made
    /// there only for jobs that end before `start`, as far as jobs say how long they run. Absent: the longest matching.maxCpuTime of the
    /// pools concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = between("0s", "60d")))]
    pub drain_for: Option<Duration>,
    /// Why, for people, for example `power works in the machine room`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
}

/// What the operator knows of the downtime.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DowntimeStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When the draining begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drains_at: Option<Time>,
    /// VMs on the clouds concerned.
    #[serde(default)]
    pub vms: i64,
    /// Of these, VMs that drain.
    #[serde(default)]
    pub draining: i64,
    /// The truth about the object: Ready, Resolved, Supported, Draining, Active.
    #[serde(default)]
    #[schemars(schema_with = "condition::schema")]
    pub conditions: Vec<Condition>,
}
