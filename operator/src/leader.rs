//! Leader election by Lease. Two replicas that act at once make no second PilotVM, since they choose the same names; they might make
//! a second server of one, which is deleted as a twin. So a replica acts only while it knows that the Lease is its own.

mod candidate;

use std::time::Duration;

use anyhow::Context as _;
use broker::clock::{Clock, moment};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, Client,
    api::{ApiResource, NotUsed, Object, Patch, PatchParams, PostParams},
};
use rand::{RngExt, distr::Alphanumeric};
use serde_json::json;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout, timeout_at},
};

use crate::{api::is_conflict, names::OPERATOR, progress::Pulse};
use candidate::{Action, Candidate, Found, Record};

/// How often the Lease is looked at, and the part of this that a pause is longer at most, so that replicas do not go in step.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(2);
const JITTER: f64 = 0.2;
/// A call is given up after this time.
const PATIENCE: Duration = Duration::from_secs(4);
/// A connection on which nothing comes for this time is given up, and the next call has a new one: a pause, and then a call.
const SILENCE: Duration = Duration::from_secs(7);
/// Time to give the Lease back: as long as two calls and a little may take.
const GIVEN_BACK: Duration = Duration::from_secs(10);

/// A Lease whose dates are text.
type Held = Object<Option<Record>, NotUsed>;

/// Whether this replica leads, kept up to date.
pub struct Leadership {
    /// `true` while it leads.
    pub leads: watch::Receiver<bool>,
    keeper: JoinSet<()>,
    alone: Option<watch::Sender<bool>>,
}

impl Leadership {
    /// Leads at once: there is one replica.
    pub fn alone() -> Self {
        let (sender, leads) = watch::channel(true);
        Self { leads, keeper: JoinSet::new(), alone: Some(sender) }
    }

    /// Seeks the Lease of this name in this namespace, on a connection of its own: no other call is in its way.
    pub fn seek(
        mut config: kube::Config,
        namespace: &str,
        lease: &str,
        clock: Clock,
        pulse: Pulse,
    ) -> anyhow::Result<Self> {
        let silence = Some(SILENCE);
        (config.connect_timeout, config.read_timeout, config.write_timeout) = (silence, silence, silence);
        let client = Client::try_from(config).context("the client of the API server cannot be made")?;
        Ok(Self::seek_by(client, namespace, lease, clock, pulse))
    }

    fn seek_by(client: Client, namespace: &str, lease: &str, clock: Clock, pulse: Pulse) -> Self {
        let random: String = rand::rng().sample_iter(&Alphanumeric).take(12).map(char::from).collect();
        let identity = format!("{}_{random}", std::env::var("HOSTNAME").unwrap_or_else(|_| lease.to_owned()));
        let (sender, leads) = watch::channel(false);
        let mut keeper = JoinSet::new();
        keeper.spawn(
            Keeper {
                leases: Api::namespaced_with(client, namespace, &ApiResource::erase::<Lease>(&())),
                name: lease.to_owned(),
                candidate: Candidate::new(identity),
                clock,
                leads: sender,
                pulse,
                fails: false,
            }
            .keep(),
        );
        Self { leads, keeper, alone: None }
    }

    /// Gives the Lease back, so that another replica need not wait for its end.
    pub async fn resign(self) {
        let Self { leads, mut keeper, alone } = self;
        // The keeper gives the Lease back and ends when nobody listens to it.
        drop(leads);
        drop(alone);
        if timeout(GIVEN_BACK, keeper.join_next()).await.is_err() {
            tracing::warn!("the Lease was not given back in time: it ends by itself");
        }
    }
}

/// Looks at the Lease, takes and renews it, and says whether this replica leads.
struct Keeper {
    leases: Api<Held>,
    name: String,
    candidate: Candidate,
    clock: Clock,
    leads: watch::Sender<bool>,
    pulse: Pulse,
    /// Whether the last turn failed.
    fails: bool,
}

impl Keeper {
    async fn keep(mut self) {
        loop {
            self.pulse.beat();
            self.tell();
            let turned = self.turn().await;
            self.tell();
            self.say(turned);
            tokio::select! {
                () = self.leads.closed() => break,
                () = sleep(self.pause()) => {}
            }
        }
        if let Err(error) = self.give_back().await {
            tracing::warn!(error = format!("{error:#}"), "the Lease was not given back: it ends by itself");
        }
    }

    async fn turn(&mut self) -> anyhow::Result<()> {
        let found = self.look().await?;
        let action = self.candidate.decide(found, moment(), self.clock.now());
        // Another replica may have the Lease now: this one stops before it tries again.
        self.tell();
        self.act(action).await
    }

    /// A slower writer than another is no failure: the next look shows who was quicker.
    async fn act(&mut self, action: Action) -> anyhow::Result<()> {
        let began = moment();
        let (written, record) = match action {
            Action::Rest => return Ok(()),
            Action::Make(record) => (self.in_time(self.make(&record)).await, record),
            Action::Write { record, over } => (self.in_time(self.write(&record, &over)).await, record),
        };
        match written? {
            Ok(()) => self.candidate.wrote(record, began),
            Err(error) if is_conflict(&error) => tracing::debug!("another replica wrote the Lease first"),
            Err(error) => return Err(error).context("the Lease cannot be written"),
        }
        Ok(())
    }

    async fn look(&self) -> anyhow::Result<Option<Found>> {
        let found = self.in_time(self.leases.get_opt(&self.name)).await?.context("the Lease cannot be read")?;
        found
            .map(|held| {
                let version = held.metadata.resource_version.context("the Lease has no resourceVersion")?;
                Ok(Found { record: held.spec.unwrap_or_default(), version })
            })
            .transpose()
    }

    async fn make(&self, record: &Record) -> kube::Result<()> {
        let held = Held::new(&self.name, &ApiResource::erase::<Lease>(&()), Some(record.clone()));
        let params = PostParams { field_manager: Some(OPERATOR.to_owned()), ..PostParams::default() };
        self.leases.create(&params, &held).await.map(drop)
    }

    async fn write(&self, record: &Record, over: &str) -> kube::Result<()> {
        let patch = json!({"metadata": {"resourceVersion": over}, "spec": record});
        let params = PatchParams { field_manager: Some(OPERATOR.to_owned()), ..PatchParams::default() };
        self.leases.patch(&self.name, &params, &Patch::Merge(&patch)).await.map(drop)
    }

    /// A call hangs no longer than this replica may act: the keeper has to say then that it leads no more.
    async fn in_time<T>(&self, call: impl Future<Output = T>) -> anyhow::Result<T> {
        let given_up = moment() + PATIENCE;
        let ends = self.candidate.acts_until().filter(|until| *until > moment());
        let answer = timeout_at(ends.map_or(given_up, |until| until.min(given_up)), call).await;
        answer.context("the API server did not answer when it was asked for the Lease")
    }

    fn tell(&self) {
        let now = self.candidate.leads(moment());
        self.leads.send_if_modified(|before| std::mem::replace(before, now) != now);
    }

    /// Says the first of failures in a row, and their end.
    fn say(&mut self, turned: anyhow::Result<()>) {
        let failed = std::mem::replace(&mut self.fails, turned.is_err());
        match turned {
            Err(error) if !failed => tracing::warn!(error = format!("{error:#}"), "the Lease is out of reach"),
            Err(error) => tracing::debug!(error = format!("{error:#}"), "the Lease is still out of reach"),
            Ok(()) if failed => tracing::info!("the Lease is within reach again"),
            Ok(()) => {}
        }
    }

    /// Time until the next look, or until this replica may act no longer.
    fn pause(&self) -> Duration {
        let pause = LOOKED_AT_EVERY.mul_f64(1.0 + JITTER * rand::rng().random::<f64>());
        let now = moment();
        let ends = self.candidate.acts_until().filter(|until| *until > now);
        ends.map_or(pause, |until| pause.min(until - now))
    }

    async fn give_back(&mut self) -> anyhow::Result<()> {
        let Some(found) = self.look().await? else { return Ok(()) };
        let Some(action) = self.candidate.give_back(found, self.clock.now()) else { return Ok(()) };
        self.act(action).await
    }
}

#[cfg(test)]
#[path = "leader_tests.rs"]
mod tests;
