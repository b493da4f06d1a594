//! How a cloud behaves, in the words of a scenario's file.

use std::collections::BTreeMap;

use crds::{Duration, Price, quantity::Ceiling};
use serde::Deserialize;

use crate::dice::Spread;

/// How a cloud behaves. What is absent is well behaved.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct CloudWords {
    /// What can be bought, of a Cloud that is no simulated one.
    pub flavors: Vec<FlavorWords>,
    /// Availability zones. Absent: one without a name.
    pub zones: Vec<String>,
    /// The project at the provider: Clouds of one project share its quota. Absent: a project of its own.
    pub project: Option<String>,
    /// The project's quota. Absent: that of the simulated Cloud, or none.
    pub quota: Option<Ceiling>,
    /// Flavors that count against a quota of their own, by the name of that class.
    pub quota_classes: BTreeMap<String, QuotaClass>,
    /// From the creation of a VM to the start of its pilot. Absent: the simulated Cloud's bootTime, or 1m.
    pub boot: Option<Spread>,
    /// From the start of the pilot to its first request for a job.
    pub first_match: Spread,
    /// CPU power of its cores, as the pilot's benchmark measures it.
    pub power: f64,
    /// Time that a call takes.
    pub latency: Duration,
    /// For this time a new VM is not in the list, and one that is gone still is.
    pub list_lag: Duration,
    /// Part of the creations that are refused for lack of capacity.
    pub refused: f64,
    /// Part of the creations that fail with a server error.
    pub transient: f64,
    /// Part of the creations that succeed and whose reply is lost.
    pub lost_reply: f64,
    /// Part of the VMs that become ERROR.
    pub error_state: f64,
    /// Part of the VMs whose pilot never starts.
    pub never_boots: f64,
    /// Part of the VMs that take five times as long to boot.
    pub slow_boot: f64,
    /// Times when creations are refused for lack of capacity.
    pub full: Vec<FullWindow>,
    /// Times when VMs of an image never come up.
    pub bad_images: Vec<BadImage>,
    /// Moments when the name of an image comes to mean a new one.
    pub new_images: Vec<NewImage>,
    /// How many of a hundred Spot VMs the provider takes back in an hour.
    pub spot_reclaims_per_hour: f64,
    /// Moments when the provider takes back a part of all Spot VMs.
    pub spot_storms: Vec<Storm>,
}

impl Default for CloudWords {
    fn default() -> Self {
        Self {
            flavors: Vec::new(),
            zones: Vec::new(),
            project: None,
            quota: None,
            quota_classes: BTreeMap::new(),
            boot: None,
            first_match: Spread { median: Duration::from_secs(33), spread: 1.15 },
            power: 10.0,
            latency: Duration::from_secs(1),
            list_lag: Duration::from_secs(0),
            refused: 0.0,
            transient: 0.0,
            lost_reply: 0.0,
            error_state: 0.0,
            never_boots: 0.0,
            slow_boot: 0.0,
            full: Vec::new(),
            bad_images: Vec::new(),
            new_images: Vec::new(),
            spot_reclaims_per_hour: 0.0,
            spot_storms: Vec::new(),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FlavorWords {
    pub name: String,
    pub cores: u64,
    #[serde(rename = "ramGiB")]
    pub ram_gib: u64,
    #[serde(default)]
    pub gpus: u64,
    pub gpu_model: Option<String>,
    /// Memory of one GPU, or of the part that a VM has. Absent: unknown.
    #[serde(rename = "gpuMemoryGiB")]
    pub gpu_memory_gib: Option<u64>,
    /// How many VMs divide one GPU. Absent: a VM has whole ones.
    pub gpu_shares: Option<u64>,
    pub per_hour: Option<Price>,
    /// Price of an hour as Spot. Absent: not sold so.
    pub spot_per_hour: Option<Price>,
    /// How many fit at once; more are refused for lack of capacity. Absent: any number.
    pub capacity: Option<u64>,
}

/// Flavors with a quota of their own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaClass {
    pub flavors: Vec<String>,
    pub quota: Ceiling,
}

/// A time when creations are refused for lack of capacity. What it does not name it does not narrow down.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FullWindow {
    /// Only this flavor. Absent: every flavor.
    pub flavor: Option<String>,
    /// Only this zone. Absent: every zone.
    pub zone: Option<String>,
    /// From when.
    pub from: Duration,
    /// Until when. Absent: to the end.
    pub until: Option<Duration>,
}

/// An image whose VMs never come up.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BadImage {
    /// Its name in `images` of the Cloud.
    pub image: String,
    #[serde(default)]
    pub from: Duration,
    /// Until when. Absent: to the end.
    pub until: Option<Duration>,
}

/// A moment when the provider, or an administrator, puts a new image under a name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewImage {
    /// Its name in `images` of the Cloud.
    pub image: String,
    pub at: Duration,
}

/// A moment when the provider takes back Spot VMs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storm {
    pub at: Duration,
    /// The part of the Spot VMs that it takes, 0 to 1.
    pub part: f64,
}
