//! `Downtime` (`dt`): a site or cloud goes away, or wants part of its capacity back, by a deadline.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Duration, LocalRef, quantity::Ceiling};

/// A planned absence of a site or cloud.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "diracgrid.org",
    version = "v1alpha1",
    kind = "Downtime",
    namespaced,
    status = "DowntimeStatus",
    shortname = "dt",
    category = "dirac-all"
)]
#[serde(rename_all = "camelCase")]
pub struct DowntimeSpec {
    /// The site concerned.
    pub site_ref: LocalRef,
    /// One cloud of the site; absent: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_ref: Option<LocalRef>,
    /// When it begins.
    #[schemars(with = "String")]
    pub start: Timestamp,
    /// When it ends.
    #[schemars(with = "String")]
    pub end: Timestamp,
    /// What may stay; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Ceiling>,
    /// How long before the start draining begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_for: Option<Duration>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What the operator knows of the downtime.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DowntimeStatus {
    /// The generation these conditions speak of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The truth about the object.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}
