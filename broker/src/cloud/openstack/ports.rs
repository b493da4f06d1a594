//! Ports that a server leaves behind. Nova makes a port for each network and takes it away with the server, but not always: where a
//! hypervisor or Neutron fails in the middle, the port stays, and the project's quota of ports is used up by servers that are gone.
//!
//! Only the ports of servers that were ours are looked at, which this driver deleted or found gone; and a port is taken away only when
//! Nova says that there is no such server. A port with a name was made by a person, and stays.

use std::{
    borrow::Cow,
    collections::{HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use openstack_sdk_core::api::{QueryAsync, ignore, rest_endpoint_prelude::*};
use openstack_sdk_network::v2::port::delete;
use tokio::time::Instant;

use super::{ask::ask, bounded::List, fault, pages::one, session::Session, wire};
use crate::{clock::moment, cloud::CloudError};

/// Nova takes its ports away within this time after a deletion was asked for, nearly always.
const AFTER: Duration = Duration::from_secs(30);
/// Servers that one question names, and questions of one sweep.
const BATCH: usize = 50;
const BATCHES: usize = 4;
/// Servers that are remembered; beyond this the oldest are forgotten.
const MOST: usize = 5_000;
/// Begins the owner of a port that Nova made.
const OF_NOVA: &str = "compute:";

/// Servers of ours that went, and whose ports are to be looked for.
#[derive(Default)]
pub struct Left {
    servers: Mutex<VecDeque<(Instant, String)>>,
}

impl Left {
    /// Remembers a server that goes or is gone.
    pub fn went(&self, id: &str) {
        let mut servers = self.servers();
        if servers.iter().rev().take(BATCH).any(|(_, known)| known == id) {
            return;
        }
        if servers.len() == MOST {
            servers.pop_front();
        }
        servers.push_back((moment(), id.to_owned()));
    }

    /// Takes the ports away that were left by servers that went. A sweep that fails is tried again with the next.
    pub async fn sweep(&self, session: &Session, now: Instant) {
        for _ in 0..BATCHES {
            let due = self.due(now);
            if due.is_empty() {
                return;
            }
            if let Err(error) = self.look(session, &due).await {
                tracing::debug!(%error, "ports that servers may have left behind could not be looked for");
                // As young as the others: what cannot be looked for does not stand in the way.
                self.servers().extend(due.into_iter().map(|id| (now, id)));
                return;
            }
        }
    }

    fn due(&self, now: Instant) -> Vec<String> {
        let mut servers = self.servers();
        let is_due = |(at, _): &(Instant, String)| now.saturating_duration_since(*at) >= AFTER;
        let n = servers.iter().take(BATCH).take_while(|entry| is_due(entry)).count();
        servers.drain(..n).map(|(_, id)| id).collect()
    }

    async fn look(&self, session: &Session, servers: &[String]) -> Result<(), CloudError> {
        let ports: List<wire::Port> = ask(session, "list ports", Ok::<_, CloudError>(PortsOf(servers))).await?;
        let ours: HashSet<&str> = servers.iter().map(String::as_str).collect();
        let project = session.token(None).await?.project.clone();
        let left = |port: &&wire::Port| {
            ours.contains(port.device_id.as_str())
                && port.device_owner.starts_with(OF_NOVA)
                && port.name.is_empty()
                && port.tenant_id == project
        };
        for port in ports.0.iter().filter(left) {
            // Nova has the last word: a deletion may take long, or have failed.
            if one(session, &port.device_id).await?.is_some() {
                self.servers().push_back((moment(), port.device_id.clone()));
                continue;
            }
            let request = delete::Request::builder().id(port.id.clone()).build();
            let request = request.map_err(|e| CloudError::Invalid(format!("delete a port: {e}")))?;
            match ignore(request).query_async(session).await.map_err(|e| fault::of_sdk("delete a port", e)) {
                Ok(()) => {
                    tracing::info!(port = port.id, server = port.device_id, "a port was left behind, and is deleted")
                }
                Err(CloudError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn servers(&self) -> MutexGuard<'_, VecDeque<(Instant, String)>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `GET /v2.0/ports` of several devices: Neutron takes a filter more than once (Networking API reference, "Filtering").
struct PortsOf<'a>(&'a [String]);

impl RestEndpoint for PortsOf<'_> {
    fn method(&self) -> http::Method {
        http::Method::GET
    }

    fn endpoint(&self) -> Cow<'static, str> {
        "ports".into()
    }

    fn parameters(&self) -> QueryParams<'_> {
        let mut parameters = QueryParams::default();
        parameters.extend(self.0.iter().map(|id| ("device_id", id)));
        parameters
    }

    fn service_type(&self) -> ServiceType {
        ServiceType::Network
    }

    fn response_key(&self) -> Option<Cow<'static, str>> {
        Some("ports".into())
    }

    fn min_version(&self) -> Option<ApiVersion> {
        Some(ApiVersion::new(2, 0))
    }
}

#[cfg(test)]
#[path = "ports_tests.rs"]
mod tests;
