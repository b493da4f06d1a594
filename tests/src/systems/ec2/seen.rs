//! What the stand-in's own book says: its instances, their history, and the calls that came. None of it goes through the API of EC2, so
//! that losses and late lists do not touch it.

use std::{collections::BTreeMap, fs};

use anyhow::{Context, Result};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use super::Ec2;

/// The reason of a Spot instance that was taken back.
pub const TAKEN_BACK: &str = "Server.SpotInstanceTermination";

/// An instance by the stand-in's own book. Terminated ones are in it until they are forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// Instance type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Availability zone.
    pub zone: String,
    /// State as the API names it: `pending`, `running`, `shutting-down`, `terminated`, `stopping`, `stopped`.
    pub state: String,
    /// Whether it is a Spot instance.
    pub spot: bool,
    /// Tags of the instance, EC2's own (`aws:`) among them.
    pub tags: BTreeMap<String, String>,
    /// The token of the RunInstances or CreateFleet that made it; empty where there was none.
    pub client_token: String,
    /// The code of its StateReason.
    pub reason: Option<String>,
    /// Its image.
    pub image: String,
    /// Its subnet.
    pub subnet: String,
    /// The code of the quota that it counts against.
    pub quota_class: Option<String>,
    /// Tags of its root volume.
    pub volume_tags: BTreeMap<String, String>,
    /// Tags of its network interface.
    pub interface_tags: BTreeMap<String, String>,
    /// Whether its root volume is encrypted.
    pub encrypted: bool,
    /// Whether its root volume goes when it is terminated.
    pub volume_ends: bool,
    /// `stop` or `terminate`: what its own power-off does.
    pub on_shutdown: String,
    /// `optional`, or `required`: only version 2 of the metadata service answers.
    pub http_tokens: String,
    /// How many hops an answer with a token may make.
    pub hop_limit: u32,
    /// The port of 127.0.0.1 where its metadata service answers, while it runs.
    pub metadata_port: Option<u16>,
    /// The name of its key pair.
    pub key_name: Option<String>,
    /// The size of its user-data.
    pub user_data_bytes: usize,
}

impl Instance {
    /// Whether it costs money: it has not ended and is not about to.
    pub fn lives(&self) -> bool {
        !matches!(self.state.as_str(), "shutting-down" | "terminated")
    }
}

/// The life of an instance by the stand-in's own book, from its launch to where it costs nothing any more.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Lived {
    /// Its id.
    pub id: String,
    /// Instance type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Cores of that type.
    pub cores: u64,
    /// Whether it is a Spot instance.
    pub spot: bool,
    /// Tags of the instance.
    pub tags: BTreeMap<String, String>,
    /// The code of the quota that it counts against.
    pub quota_class: Option<String>,
    /// When it was launched, in seconds since 1970.
    pub began: f64,
    /// When it began to shut down: AWS counts and bills it no more. `None`: it is there.
    pub ended: Option<f64>,
    /// The code of its StateReason.
    pub reason: Option<String>,
    /// Its user-data as a guest reads them.
    pub user_data: String,
    /// The size of its user-data as EC2 has them.
    pub user_data_bytes: usize,
}

/// A turn in the life of an instance.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Event {
    /// When, in seconds since 1970.
    pub at: f64,
    /// Which instance.
    pub id: String,
    /// `launched`, or the state that it entered.
    pub what: String,
    /// Why it ends, once it does.
    pub reason: Option<String>,
    /// As in [`Instance`].
    pub client_token: String,
    /// Its tags at that moment.
    pub tags: BTreeMap<String, String>,
}

impl Ec2 {
    async fn look<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        serde_json::from_value(self.control(name, json!({})).await?)
            .with_context(|| format!("what control says of {name}"))
    }

    /// All instances.
    pub async fn instances(&self) -> Result<Vec<Instance>> {
        self.look("instances").await
    }

    /// Every launch, change of state and end since the start, in order; it outlives the instances.
    pub async fn history(&self) -> Result<Vec<Event>> {
        self.look("history").await
    }

    /// All instances from launch to end, until they are forgotten.
    pub async fn lives(&self) -> Result<Vec<Lived>> {
        self.look("lives").await
    }

    /// How many calls came, by `service:Action` as IAM names them, whatever became of them.
    pub async fn calls(&self) -> Result<BTreeMap<String, u64>> {
        self.look("calls").await
    }

    /// The same with the rights that calls need beside their own, for example `ec2:CreateTags` for a launch with tags: what a policy must
    /// allow. Calls without a valid signature are not among them.
    pub async fn rights(&self) -> Result<BTreeMap<String, u64>> {
        self.look("rights").await
    }

    /// How many versions a launch template has.
    pub async fn template_versions(&self, name: &str) -> Result<u64> {
        let all: Vec<serde_json::Value> = self.look("templates").await?;
        let found = all.iter().find(|one| one["name"] == name).context("the template is there")?;
        found["versions"].as_u64().context("a template has versions")
    }

    /// Names of the launch templates that there are.
    pub async fn templates(&self) -> Result<Vec<String>> {
        let all: Vec<serde_json::Value> = self.look("templates").await?;
        Ok(all.iter().filter_map(|one| Some(one["name"].as_str()?.to_owned())).collect())
    }

    /// Calls of [`super::Loss::Late`] that were carried out by now.
    pub async fn delivered_late(&self) -> Result<usize> {
        self.look("late-done").await
    }

    /// Losses of [`Ec2::lose`] that have not happened yet.
    pub async fn losses_left(&self) -> Result<usize> {
        self.look("losses-left").await
    }

    /// What a guest wrote to its console, from its file: it stays when the instance is gone.
    pub fn old_console(&self, id: &str) -> String {
        let file = self.state.join("guests").join(id).join("console.log");
        fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}
