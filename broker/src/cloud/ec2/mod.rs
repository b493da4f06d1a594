//! EC2: one account in one region, of AWS or of another provider with its API, through AWS's own crates.
//!
//! | question | file |
//! |---|---|
//! | whose rights, at which addresses | `config`, `credentials`, `http` |
//! | how is a call made, an answer or a list read, what does a refusal mean | `client`, `answer`, `pages`, `fault` |
//! | which instances are ours, in what state | `instances`, `state`, `tags` |
//! | how is at most one instance made | `create`, `machine`, `buy`, `templates` |
//! | what can be bought, how much of it | `offers`, `prices`, `lookup`, `resolved`, `quota`, `headroom` |
//! | what does the provider announce | `notices` |

mod answer;
mod buy;
mod client;
mod config;
mod create;
mod credentials;
mod fault;
mod headroom;
mod http;
mod instances;
mod lookup;
mod machine;
mod notices;
mod offers;
mod pages;
mod prices;
mod quota;
mod resolved;
mod state;
mod tags;
mod templates;

#[cfg(test)]
mod hostile_tests;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use futures::StreamExt;
use tokio::{sync::RwLock, time::Instant};

pub use config::{Config, Credential, ImageRef, Role, Template};

use self::{client::Client, headroom::Quotas, instances::Known, resolved::Resolved};
use crate::{
    clock::{Clock, moment},
    cloud::{
        Cloud, CloudError, Headroom, Limits, Notices, Offers, Order, Owner, Pace, Room, Vm, Wanted, pace::Action,
        quote::shortened,
    },
};

/// How late EC2's answers may be ("Eventual consistency in the Amazon EC2 API": it may take minutes).
const SETTLE: Duration = Duration::from_secs(180);
/// Instances of one TerminateInstances: EC2 takes 1,000, and advises to ask for fewer where it is slow.
const MOST_AT_ONCE: usize = 1_000;
/// Templates that a crash left behind are looked for this often.
const SWEPT_EVERY: Duration = Duration::from_secs(900);

/// One account in one region.
pub struct Ec2Cloud {
    client: Arc<Client>,
    known: Known,
    quotas: Quotas,
    resolved: RwLock<Option<Arc<Resolved>>>,
    swept: std::sync::Mutex<Option<Instant>>,
}

impl Ec2Cloud {
    /// A driver for this account, which sends its requests at this pace, and whose answers share this room; nothing is asked yet.
    pub fn new(config: Config, pace: Arc<Pace>, room: Room, clock: Clock) -> Result<Self, CloudError> {
        let client = Client::new(config, pace, room, clock)?;
        Ok(Self {
            client: Arc::new(client),
            known: Known::default(),
            quotas: Quotas::default(),
            resolved: RwLock::default(),
            swept: std::sync::Mutex::default(),
        })
    }

    async fn resolved(&self) -> Result<Arc<Resolved>, CloudError> {
        if let Some(resolved) = self.resolved.read().await.as_ref() {
            return Ok(resolved.clone());
        }
        self.offers(&Wanted::default()).await?;
        Ok(self.resolved.read().await.clone().unwrap_or_default())
    }

    /// Takes one batch away; what the provider denies is gone.
    async fn terminate(&self, ids: &[String]) -> Result<(), CloudError> {
        let call = self.client.apis().await?.ec2.terminate_instances().set_instance_ids(Some(ids.to_vec())).send();
        match self.client.call("take instances away", Action::Delete, call).await {
            Ok(_) => Ok(()),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Whether templates are to be swept now.
    fn is_sweep_due(&self) -> bool {
        let mut swept = self.swept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_due = swept.is_none_or(|at| moment().duration_since(at) >= SWEPT_EVERY);
        if is_due {
            *swept = Some(moment());
        }
        is_due
    }
}

#[async_trait]
impl Cloud for Ec2Cloud {
    async fn offers(&self, wanted: &Wanted) -> Result<Offers, CloudError> {
        let (offers, resolved) = offers::read(&self.client, wanted).await?;
        self.quotas.offered(&offers);
        *self.resolved.write().await = Some(Arc::new(resolved));
        Ok(offers)
    }

    async fn headroom(&self) -> Result<Headroom, CloudError> {
        if let Some(cluster) = self.known.cluster()
            && self.client.has_fleets()
            && self.is_sweep_due()
            && let Err(error) = templates::sweep(&self.client, &cluster).await
        {
            tracing::debug!(%error, "launch templates that were left behind could not be looked for");
        }
        self.quotas.headroom(&self.client).await
    }

    async fn create(&self, order: &Order) -> Result<Vm, CloudError> {
        create::create(self, order).await
    }

    async fn list(&self, cluster: &str) -> Result<Vec<Vm>, CloudError> {
        self.known.list(&self.client, cluster).await
    }

    async fn get(&self, id: &str) -> Result<Option<Vm>, CloudError> {
        self.known.get(&self.client, id).await
    }

    async fn find(&self, owner: &Owner) -> Result<Vec<Vm>, CloudError> {
        self.known.find(&self.client, owner).await
    }

    async fn delete(&self, id: &str) -> Result<(), CloudError> {
        match self.terminate(&[id.to_owned()]).await {
            Err(CloudError::NotFound(_)) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// One that EC2 does not know makes it refuse the whole batch, and so does one that is protected: then each is asked for alone.
    async fn delete_many(&self, ids: &[String]) -> Vec<Result<(), CloudError>> {
        let mut outcomes = Vec::with_capacity(ids.len());
        for batch in ids.chunks(MOST_AT_ONCE) {
            match self.terminate(batch).await {
                Ok(()) => outcomes.extend(batch.iter().map(|_| Ok(()))),
                Err(
                    error @ (CloudError::Throttled { .. } | CloudError::Transient(_) | CloudError::Unauthorized(_)),
                ) => {
                    outcomes.extend(batch.iter().map(|_| Err(error.clone())));
                }
                Err(_) => {
                    for id in batch {
                        outcomes.push(self.delete(id).await);
                    }
                }
            }
        }
        outcomes
    }

    fn asks_for_all(&self) -> bool {
        self.client.has_fleets()
    }

    fn rests(&self) -> Option<Duration> {
        self.client.rests()
    }

    fn settle(&self) -> Duration {
        SETTLE
    }

    fn limits(&self) -> Limits {
        Limits::EC2
    }

    /// The newest lines where the type gives them (Nitro), else what EC2 kept of the boot.
    async fn console(&self, id: &str, max_bytes: usize) -> Result<String, CloudError> {
        let what = format!("read the console log of {}", shortened(id));
        let ec2 = &self.client.apis().await?.ec2;
        let latest = ec2.get_console_output().instance_id(id).latest(true).send();
        let mut answer = self.client.call(&what, Action::Look, latest).await;
        if answer
            .as_ref()
            .is_err_and(|fault| fault.is("UnsupportedOperation") || fault.is("InvalidParameterCombination"))
        {
            answer = self.client.call(&what, Action::Look, ec2.get_console_output().instance_id(id).send()).await;
        }
        match answer {
            Ok(answer) => {
                let bytes =
                    STANDARD.decode(answer.output().unwrap_or_default().replace(['\n', '\r'], "")).unwrap_or_default();
                let text = String::from_utf8_lossy(&bytes);
                Ok(crate::cloud::quote::last(&text, max_bytes).to_owned())
            }
            Err(fault) => match fault.error {
                CloudError::NotFound(_) | CloudError::Conflict(_) => Ok(String::new()),
                error => Err(error),
            },
        }
    }

    fn notices(&self) -> Notices {
        match &self.client.config.queue {
            Some(queue) => notices::notices(self.client.clone(), queue.clone()),
            None => futures::stream::empty().boxed(),
        }
    }
}
