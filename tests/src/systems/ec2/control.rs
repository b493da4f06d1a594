//! What a test does behind the cloud's back. Each is one POST to the stand-in (`files/bed/control.py`).

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::Ec2;

/// What becomes of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// It is carried out, and the connection ends without an answer.
    Reply,
    /// The connection ends, and it is never carried out.
    Request,
    /// The connection ends at once, and it is carried out this much later.
    Late(Duration),
    /// It is not carried out; the answer has this status, code and message.
    Answer(u16, String, String),
    /// It is taken and never answered, and not carried out. It ends when [`Ec2::always`] says something else, or the client gives up.
    Hang,
}

impl Loss {
    fn json(&self) -> Value {
        match self {
            Self::Reply => json!({"kind": "reply"}),
            Self::Request => json!({"kind": "request"}),
            Self::Late(by) => json!({"kind": "late", "seconds": by.as_secs_f64()}),
            Self::Answer(status, code, message) => {
                json!({"kind": "answer", "status": status, "code": code, "message": message})
            }
            Self::Hang => json!({"kind": "hang"}),
        }
    }
}

/// The way in which capacity is bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purchase {
    /// On demand.
    OnDemand,
    /// Spot.
    Spot,
}

impl Purchase {
    fn word(self) -> &'static str {
        match self {
            Self::OnDemand => "on-demand",
            Self::Spot => "spot",
        }
    }
}

/// Which launches [`Ec2::refuse`] refuses: those that have all that is said here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    /// Instance type.
    pub kind: Option<String>,
    /// Availability zone.
    pub zone: Option<String>,
    /// Way of buying.
    pub purchase: Option<Purchase>,
    /// Subnet.
    pub subnet: Option<String>,
    /// Not launches but every call of this action, for example `DescribeInstances`.
    pub action: Option<String>,
}

impl Pool {
    fn json(&self) -> Value {
        let purchase = self.purchase.map(|p| p.word().to_owned());
        let all = [
            ("type", &self.kind),
            ("zone", &self.zone),
            ("purchase", &purchase),
            ("subnet", &self.subnet),
            ("action", &self.action),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Value::from(value.clone()?)))).collect()
    }
}

/// How often Spot instances of some offerings are taken back at random.
#[derive(Clone, Debug, PartialEq)]
pub struct Reclaims {
    /// Instance type; it may have the wildcard `*`.
    pub kind: String,
    /// Availability zone; it may have the wildcard too.
    pub zone: String,
    /// How often an hour each instance is, in the mean.
    pub per_hour: f64,
}

pub(super) async fn ask(http: &reqwest::Client, endpoint: &str, name: &str, arguments: &Value) -> Result<Value> {
    let answer = http.post(format!("{endpoint}/_bed/{name}")).json(arguments).send().await;
    let answer = answer.with_context(|| format!("the EC2 stand-in does not answer ({name})"))?;
    let (status, text) = (answer.status(), answer.text().await?);
    if !status.is_success() {
        bail!("the EC2 stand-in refuses {name} {arguments}: {text}");
    }
    serde_json::from_str(&text).with_context(|| format!("what the EC2 stand-in says of {name}"))
}

impl Ec2 {
    pub(super) async fn control(&self, name: &str, arguments: Value) -> Result<Value> {
        ask(&self.http, &self.endpoint, name, &arguments).await
    }

    async fn order(&self, name: &str, arguments: Value) -> Result<()> {
        self.control(name, arguments).await.map(|_| ())
    }

    /// The next call that launches (RunInstances or CreateFleet) suffers this; several wait in a row.
    pub async fn lose(&self, loss: Loss) -> Result<()> {
        self.order("lose", json!({"losses": [loss.json()]})).await
    }

    /// Every call suffers this, until this is called with `None`.
    pub async fn always(&self, loss: Option<Loss>) -> Result<()> {
        self.order("always", json!({"loss": loss.as_ref().map(Loss::json)})).await
    }

    /// Lists by tag or filter lack these instances; by their ids they are told.
    pub async fn hide(&self, ids: &[String]) -> Result<()> {
        self.order("hide", json!({"ids": ids})).await
    }

    /// Ends [`Ec2::hide`].
    pub async fn show(&self) -> Result<()> {
        self.order("show", json!({})).await
    }

    /// Lists by tag or filter lack all instances.
    pub async fn partial(&self, on: bool) -> Result<()> {
        self.order("partial", json!({"on": on})).await
    }

    /// A new instance is in no list for so long, and by its id there is `InvalidInstanceID.NotFound`.
    pub async fn late(&self, by: Duration) -> Result<()> {
        self.order("times", json!({"late": by.as_secs_f64()})).await
    }

    /// How long an instance is `pending`; one second unless this says otherwise.
    pub async fn boots_for(&self, time: Duration) -> Result<()> {
        self.order("times", json!({"boot": time.as_secs_f64()})).await
    }

    /// How long an instance is `shutting-down`; one second unless this says otherwise.
    pub async fn ends_for(&self, time: Duration) -> Result<()> {
        self.order("times", json!({"end": time.as_secs_f64()})).await
    }

    /// How long a terminated instance is told of; an hour unless this says otherwise.
    pub async fn forgets_after(&self, time: Duration) -> Result<()> {
        self.order("times", json!({"forget": time.as_secs_f64()})).await
    }

    /// How many more instances may be had of a type in a zone (both may have the wildcard `*`); `None`: as many as one likes. An instance
    /// that ends gives its place back, unless this was set anew meanwhile.
    pub async fn capacity(&self, kind: &str, zone: &str, purchase: Purchase, left: Option<u32>) -> Result<()> {
        self.order("capacity", json!({"type": kind, "zone": zone, "purchase": purchase.word(), "left": left})).await
    }

    /// The Spot price of an hour in dollars; `None`: as at the start. The zone may be `*`.
    pub async fn spot_price(&self, kind: &str, zone: &str, dollars: Option<f64>) -> Result<()> {
        self.order("price", json!({"type": kind, "zone": zone, "dollars": dollars})).await
    }

    /// The applied value of a Service Quota, for example `L-1216C47A`; `None`: as at the start.
    pub async fn vcpus(&self, code: &str, value: Option<u32>) -> Result<()> {
        self.order("vcpus", json!({"code": code, "value": value})).await
    }

    /// How many addresses a subnet has left from now on.
    pub async fn set_free_addresses(&self, subnet: &str, count: u32) -> Result<()> {
        self.order("free-addresses", json!({"subnet": subnet, "count": count})).await
    }

    /// Another image of the account; its id. `created` is a date and time, for example `2026-11-20T08:00:00Z`.
    pub async fn add_image(&self, name: &str, architecture: &str, created: &str, gib: u32) -> Result<String> {
        let arguments = json!({"name": name, "architecture": architecture, "created": created, "size": gib});
        let id = self.control("image", arguments).await?;
        Ok(id.as_str().context("an image has an id")?.to_owned())
    }

    /// Refuses with this code and message what `which` says, until [`Ec2::relent`]. A refused choice of a fleet is one entry of its
    /// `Errors`.
    pub async fn refuse(&self, code: &str, message: &str, which: &Pool) -> Result<()> {
        self.order("refuse", json!({"code": code, "message": message, "filter": which.json()})).await
    }

    /// Ends [`Ec2::refuse`], [`Ec2::deny`] and [`Ec2::rate`].
    pub async fn relent(&self) -> Result<()> {
        self.order("relent", json!({})).await
    }

    /// Takes a right away, for example `ec2:CreateTags`: calls that need it are `UnauthorizedOperation`, until [`Ec2::relent`].
    pub async fn deny(&self, action: &str) -> Result<()> {
        self.order("deny", json!({"action": action})).await
    }

    /// So many requests of an action at once, and then so many a second; more are `RequestLimitExceeded`, until [`Ec2::relent`].
    pub async fn rate(&self, action: &str, burst: u32, per_second: f64) -> Result<()> {
        self.order("rate", json!({"action": action, "burst": burst, "per_second": per_second})).await
    }

    /// The endpoint knows no fleets, as EC2 of others: CreateFleet is `InvalidAction`.
    pub async fn no_fleets(&self) -> Result<()> {
        self.order("fleets", json!({"on": false})).await
    }

    /// A fleet that comes to nothing names the cause at one choice, and `UnfulfillableCapacity` at the others, as AWS often does.
    pub async fn masked(&self, on: bool) -> Result<()> {
        self.order("masked", json!({"on": on})).await
    }

    /// AWS's clock is ahead of this machine's by so many seconds; behind, where they are negative.
    pub async fn clock(&self, seconds: f64) -> Result<()> {
        self.order("clock", json!({"seconds": seconds})).await
    }

    /// Every session that STS has given ends now.
    pub async fn expire_token(&self) -> Result<()> {
        self.order("expire-token", json!({})).await
    }

    /// A launch template of the account, with this `LaunchTemplateData`; its id.
    pub async fn add_template(&self, name: &str, data: &Value) -> Result<String> {
        let id = self.control("add-template", json!({"name": name, "data": data})).await?;
        Ok(id.as_str().context("a template has an id")?.to_owned())
    }

    /// An instance that somebody else makes, with these tags: m5.large of the image `default` in the first subnet, on demand, whose own
    /// power-off terminates it; its id.
    pub async fn run_instance(&self, tags: &BTreeMap<String, String>, client_token: &str) -> Result<String> {
        self.run_with(tags, client_token, Purchase::OnDemand, "").await
    }

    /// The same, bought in this way and with this user-data.
    pub async fn run_with(
        &self,
        tags: &BTreeMap<String, String>,
        client_token: &str,
        purchase: Purchase,
        user_data: &str,
    ) -> Result<String> {
        let arguments = json!({
            "tags": tags, "client_token": client_token, "purchase": purchase.word(), "user_data": user_data,
        });
        let id = self.control("run", arguments).await?;
        Ok(id.as_str().context("an instance has an id")?.to_owned())
    }

    /// EC2 takes a Spot instance back: it is announced in the queue and in the instance's metadata, and ends after `notice`.
    pub async fn reclaim(&self, id: &str, notice: Duration) -> Result<()> {
        self.order("reclaim", json!({"id": id, "notice": notice.as_secs_f64()})).await
    }

    /// EC2 says that a Spot instance is at a higher risk.
    pub async fn rebalance(&self, id: &str) -> Result<()> {
        self.order("rebalance", json!({"id": id})).await
    }

    /// Takes back a part (0 to 1) of the Spot instances that live, chosen by chance; their ids.
    pub async fn storm(&self, part: f64, notice: Duration) -> Result<Vec<String>> {
        let taken = self.control("storm", json!({"part": part, "notice": notice.as_secs_f64()})).await?;
        serde_json::from_value(taken).context("which instances are taken back")
    }

    /// From now on Spot instances are taken back at random, each at the rate of the first entry that its offering fits; nothing: none any
    /// more. When it is follows from the seed and from how many of the same offering came before it, so that a test can have it again.
    pub async fn reclaim_at_random(&self, seed: u64, rates: &[Reclaims], notice: Duration) -> Result<()> {
        let rate = |rate: &Reclaims| json!({"type": rate.kind, "zone": rate.zone, "per_hour": rate.per_hour});
        let rates: Vec<Value> = rates.iter().map(rate).collect();
        self.order("reclaim-at-random", json!({"seed": seed, "rates": rates, "notice": notice.as_secs_f64()})).await
    }

    /// The guest powers itself off: the instance is terminated, or stopped where it was launched so.
    pub async fn power_off(&self, id: &str) -> Result<()> {
        self.order("power-off", json!({"id": id})).await
    }

    /// A person terminates an instance.
    pub async fn terminate(&self, id: &str) -> Result<()> {
        self.order("terminate", json!({"id": id})).await
    }

    /// An instance fails with this code of StateReason, for example `Server.InternalError`.
    pub async fn fail(&self, id: &str, code: &str) -> Result<()> {
        self.order("fail", json!({"id": id, "code": code})).await
    }
}
