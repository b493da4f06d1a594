//! What is tried with one VM at a time: what a provider refuses, and what came to nothing. It stands in statuses, so that people see it and
//! it outlives a restart of the operator.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::purchase::Purchase;

/// The most entries of each kind in a status: those of which one VM tries last.
pub const MOST: usize = 32;

/// Since when, and when one VM tries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pause {
    /// Since when.
    pub since: Time,
    /// When one VM tries. If it comes to nothing too, the next pause is longer; if it does well, this entry goes.
    pub next_try: Time,
    /// How many came to nothing, one after the other.
    pub in_a_row: i64,
    /// How many pauses there were so far, less what went well since: the more, the longer is the next.
    pub pauses: i64,
}

/// How far a refusal of a provider reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RefusalReach {
    /// One flavor in one zone, bought in one way.
    Offering,
    /// One zone.
    Zone,
    /// All flavors that count against one quota.
    Quota,
    /// The whole cloud.
    Cloud,
}

/// What the provider refuses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// How far it reaches. `Offering`: one flavor in one zone, bought in one way. `Zone`: one zone. `Quota`: all flavors that count
    /// against one quota. `Cloud`: the whole cloud.
    pub reach: RefusalReach,
    /// The flavor, where the refusal reaches an offering.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flavor: Option<String>,
    /// The availability zone, where the refusal reaches an offering or a zone. Absent: the provider chose the zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// How it was bought, where the refusal reaches an offering.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase: Option<Purchase>,
    /// The quota by name, where the refusal reaches a quota.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<String>,
    /// Since when, and when one VM tries.
    #[serde(flatten)]
    pub pause: Pause,
}

/// What was bought, where the pilots of the last VMs never asked for work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Silent {
    /// The flavor.
    pub flavor: String,
    /// The availability zone. Absent: the provider chose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// How it was bought.
    pub purchase: Purchase,
    /// What booted: the image with the provider's id of it, and the user-data where the pool has its own. When one of them is changed this
    /// entry counts no more.
    pub image: String,
    /// Since when, and when one VM tries.
    #[serde(flatten)]
    pub pause: Pause,
}

/// What the provider took back of one offering, as it counted at one moment. All of it counts half after twelve hours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reclaim {
    /// The flavor.
    pub flavor: String,
    /// The availability zone. Absent: the provider chose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// How it was bought.
    pub purchase: Purchase,
    /// VMs that were taken back.
    pub vms: f64,
    /// Hours that VMs lived which are gone, those that were not taken back too.
    pub hours: f64,
    /// The moment at which it counted so much.
    pub at: Time,
}

/// What VMs of a pool came to that were made for the same jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CameTo {
    /// Their pilots asked for work and got none, though such jobs waited.
    NeverMatched,
    /// Their jobs died within two minutes.
    JobsDied,
    /// Their pilots never asked for work.
    NeverAsked,
}

/// VMs of a pool that came to nothing, and are made one at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Breaker {
    /// What the last of them came to. `NeverMatched`: the pilot asked for work and got none, though such jobs waited. `JobsDied`: its jobs
    /// died within two minutes. `NeverAsked`: the pilot never asked for work.
    pub came_to: CameTo,
    /// The VirtualOrganization.
    pub vo: String,
    /// What the jobs need for which the VMs were made, in words.
    pub jobs: String,
    /// The Cloud.
    pub cloud: String,
    /// What was bought there.
    #[serde(flatten)]
    pub bought: Silent,
}
