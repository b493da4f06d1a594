//! OpenStack: one project in one region, through openstack_sdk's generated endpoints and a session of our own.
//!
//! | question | file |
//! |---|---|
//! | how is the project entered, where are its services | `identity`; by another provider's identity: `federation`, `oidc/` |
//! | which version of an API is used | `endpoint`, `wire` |
//! | how is a call made, a token renewed | `session`, `hold` |
//! | how is an answer read, how much of all at once | `answer`, `ask`, `bounded` |
//! | what does a refusal mean, what of it is quoted | `fault`, `said` |
//! | which servers are ours, in what state | `servers`, `pages`, `tags` |
//! | what do servers leave behind | `ports` |
//! | how is at most one server made | `create`, `body` |
//! | what can be bought, how much of it | `offers`, `lookup`, `gpu`, `headroom` |

mod answer;
mod ask;
mod body;
mod bounded;
mod config;
mod create;
mod endpoint;
#[cfg(test)]
pub(super) mod fake;
#[cfg(test)]
mod fake_provider;
mod fault;
mod federation;
mod gpu;
mod headroom;
mod hold;
mod identity;
mod lookup;
mod offers;
pub mod oidc;
mod pages;
mod ports;
mod said;
mod servers;
mod session;
mod tags;
mod wire;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use openstack_sdk_compute::v2::server::{delete, os_get_console_output as console};
use openstack_sdk_core::api::{QueryAsync, ignore};
use tokio::sync::RwLock;

pub use config::{Config, Credential, NameOrId, Project};

use self::{offers::Resolved, ports::Left, servers::Known, session::Session};
use crate::{
    clock::{Clock, moment},
    cloud::{Cloud, CloudError, Headroom, Limits, Offers, Order, Owner, Pace, Room, Vm, Wanted, quote},
};

/// Lines of a console log that are asked for: Nova counts lines, we count bytes.
const CONSOLE_LINES: i32 = 2_000;
/// How far the databases behind several API hosts of a site may be apart.
const SETTLE: Duration = Duration::from_secs(5);

/// One project in one region.
pub struct OpenStackCloud {
    session: Session,
    known: Known,
    left: Left,
    resolved: RwLock<Option<Resolved>>,
}

impl OpenStackCloud {
    /// A driver for this project, which sends its requests at this pace; nothing is asked yet.
    pub fn new(config: Config, pace: Arc<Pace>, clock: Clock) -> Result<Self, CloudError> {
        let session = Session::new(config, pace, clock)?;
        Ok(Self { session, known: Known::default(), left: Left::default(), resolved: RwLock::default() })
    }

    /// The same, whose answers share this room with those of other clouds.
    pub fn within(mut self, room: Room) -> Self {
        self.session.room = room;
        self
    }

    /// How often Keystone was asked for a token.
    pub fn authentications(&self) -> u64 {
        self.session.authentications()
    }

    async fn resolved(&self) -> Result<Resolved, CloudError> {
        if let Some(resolved) = self.resolved.read().await.as_ref() {
            return Ok(resolved.clone());
        }
        self.offers(&Wanted::default()).await?;
        Ok(self.resolved.read().await.clone().unwrap_or_default())
    }
}

#[async_trait]
impl Cloud for OpenStackCloud {
    async fn offers(&self, wanted: &Wanted) -> Result<Offers, CloudError> {
        let (offers, resolved) = offers::read(&self.session, wanted).await?;
        *self.resolved.write().await = Some(resolved);
        Ok(offers)
    }

    async fn headroom(&self) -> Result<Headroom, CloudError> {
        // It is asked for each minute, and what is left behind is what it lacks.
        self.left.sweep(&self.session, moment()).await;
        headroom::read(&self.session).await
    }

    async fn create(&self, order: &Order) -> Result<Vm, CloudError> {
        create::create(self, order).await
    }

    async fn list(&self, cluster: &str) -> Result<Vec<Vm>, CloudError> {
        self.known.list(&self.session, cluster).await
    }

    async fn get(&self, id: &str) -> Result<Option<Vm>, CloudError> {
        let found = self.known.get(&self.session, id).await;
        if found == Ok(None) {
            self.left.went(id);
        }
        found
    }

    async fn find(&self, owner: &Owner) -> Result<Vec<Vm>, CloudError> {
        self.known.find(&self.session, owner).await
    }

    async fn delete(&self, id: &str) -> Result<(), CloudError> {
        let request = delete::Request::builder().id(id.to_owned()).build();
        let request = request.map_err(|e| CloudError::Invalid(format!("delete a server: {e}")))?;
        match ignore(request).query_async(&self.session).await.map_err(|e| fault::of_sdk("delete a server", e)) {
            Err(CloudError::NotFound(_)) | Ok(()) => {
                self.known.deleting(id);
                self.left.went(id);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn rests(&self) -> Option<Duration> {
        self.session.rests()
    }

    fn settle(&self) -> Duration {
        SETTLE
    }

    fn limits(&self) -> Limits {
        Limits::NOVA
    }

    async fn console(&self, id: &str, max_bytes: usize) -> Result<String, CloudError> {
        let what = "read a console log";
        let output = console::OsGetConsoleOutputBuilder::default().length(Some(CONSOLE_LINES)).build();
        let output = output.map_err(|e| CloudError::Invalid(format!("{what}: {e}")))?;
        let request = console::Request::builder().id(id.to_owned()).os_get_console_output(output).build();
        let console: Result<wire::Console, _> = ask::ask(&self.session, what, request).await;
        match console {
            Ok(console) => Ok(quote::last(&console.output, max_bytes).to_owned()),
            // No log of this hypervisor, or none yet.
            Err(CloudError::NotFound(_) | CloudError::Conflict(_)) => Ok(String::new()),
            Err(CloudError::Transient(said)) if said.contains(" 501 ") => Ok(String::new()),
            Err(error) => Err(error),
        }
    }
}
