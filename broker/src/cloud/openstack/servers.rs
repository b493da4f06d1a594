//! Our servers: the list by tag, what changed since, and what a server's state means.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use super::{
    fault,
    pages::{Filter, hear, pages},
    session::Session,
    tags,
    wire::Server,
};
use crate::cloud::{CloudError, Owner, Vm, VmState};

/// A whole list heals whatever the lists of changes missed.
const WHOLE_EVERY: Duration = Duration::from_secs(300);
/// Lists of changes overlap by this, for the clocks of the hosts that write `updated` differ.
const OVERLAP: SignedDuration = SignedDuration::from_secs(60);
/// A server in ERROR may get its fault text a moment later; it is waited for no longer than this.
const FAULT_COMES_WITHIN: Duration = Duration::from_secs(15);

/// Servers as last listed.
#[derive(Default)]
pub struct Known {
    listed: Mutex<Option<Listed>>,
    /// Servers that were made or adopted and that no whole list has told of since. Not under the lock of the list: who makes a
    /// server does not wait for a list that is under way.
    fresh: std::sync::Mutex<Vec<Fresh>>,
    /// When a server was first seen in ERROR without a fault text.
    mute: std::sync::Mutex<HashMap<String, Instant>>,
}

struct Listed {
    cluster: String,
    whole_at: Instant,
    /// Nova's clock when the last list began.
    since: Timestamp,
    servers: BTreeMap<String, Server>,
}

struct Fresh {
    at: Instant,
    cluster: String,
    server: Server,
}

impl Known {
    /// All servers of the cluster: a whole list by tag now and then, and what changed since in between.
    ///
    /// The list of changes cannot be filtered by tag: a deleted server has lost its tags. And it tells all only of servers that are
    /// up: of one that is deleted while it is built Nova takes the record away without a change of `updated`, and one that was
    /// just made has no `updated` yet. So changes are asked for while all is quiet, which is when there are many lists and
    /// little news.
    pub async fn list(&self, session: &Session, cluster: &str) -> Result<Vec<Vm>, CloudError> {
        let mut known = self.listed.lock().await;
        let begun = Instant::now();
        let quiet = lock(&self.fresh).is_empty();
        let still_good = |l: &&mut Listed| {
            quiet
                && l.cluster == cluster
                && l.whole_at.elapsed() < WHOLE_EVERY
                && l.servers.values().all(Server::is_settled)
        };
        match known.as_mut().filter(still_good) {
            Some(listed) => {
                let (changed, date) = pages(session, &Filter::ChangedSince(listed.since - OVERLAP)).await?;
                for server in changed {
                    let ours = tags::owner(&server.tags).is_some_and(|o| o.cluster == cluster);
                    if ours && !server.is_gone() {
                        listed.servers.insert(server.id.clone(), server);
                    } else {
                        listed.servers.remove(&server.id);
                    }
                }
                if let Some(date) = date {
                    listed.since = date;
                }
                self.join_fresh(cluster, &mut listed.servers);
            }
            None => {
                let wanted = [tags::OURS.to_owned(), tags::cluster(cluster)];
                let (servers, date) = pages(session, &Filter::Tags(&wanted)).await?;
                let mut servers: BTreeMap<_, _> = servers.into_iter().map(|s| (s.id.clone(), s)).collect();
                // What was made before this list began is in it, or gone.
                lock(&self.fresh).retain(|fresh| fresh.at >= begun);
                self.join_fresh(cluster, &mut servers);
                let Some(since) = date else {
                    // Without Nova's clock nobody can ask what changed.
                    *known = None;
                    hear(session, servers.values_mut()).await?;
                    return Ok(self.all(&servers));
                };
                *known = Some(Listed { cluster: cluster.to_owned(), whole_at: begun, since, servers });
            }
        }
        let Some(listed) = known.as_mut() else { return Ok(Vec::new()) };
        hear(session, listed.servers.values_mut()).await?;
        Ok(self.all(&listed.servers))
    }

    /// The servers of one owner, asked now.
    pub async fn find(&self, session: &Session, owner: &Owner) -> Result<Vec<Vm>, CloudError> {
        let (mut servers, _) = pages(session, &Filter::Tags(&tags::of(owner))).await?;
        hear(session, servers.iter_mut()).await?;
        Ok(self.vms(servers.iter()))
    }

    /// Remembers a server that was just made or adopted: a list that is under way may have begun too early to tell of it, and
    /// a list of changes would miss it as long as it has no `updated`. The next list is a whole one.
    pub fn made(&self, vm: &Vm) {
        let server = Server {
            id: vm.id.clone(),
            name: vm.name.clone(),
            status: "BUILD".to_owned(),
            task_state: None,
            created: Some(vm.created),
            tags: tags::of(&vm.owner).to_vec(),
            flavor: None,
            fault: None,
        };
        lock(&self.fresh).push(Fresh { at: Instant::now(), cluster: vm.owner.cluster.clone(), server });
    }

    fn join_fresh(&self, cluster: &str, servers: &mut BTreeMap<String, Server>) {
        for fresh in lock(&self.fresh).iter().filter(|f| f.cluster == cluster) {
            servers.entry(fresh.server.id.clone()).or_insert_with(|| fresh.server.clone());
        }
    }

    /// All there are: whoever is not among them need not be remembered.
    fn all(&self, servers: &BTreeMap<String, Server>) -> Vec<Vm> {
        lock(&self.mute).retain(|id, _| servers.contains_key(id));
        self.vms(servers.values())
    }

    fn vms<'a>(&self, servers: impl Iterator<Item = &'a Server>) -> Vec<Vm> {
        let mut mute = lock(&self.mute);
        let mut vms = Vec::new();
        for server in servers.filter(|s| !s.is_gone()) {
            let Some(owner) = tags::owner(&server.tags) else { continue };
            let silent_for = if server.is_mute() {
                Some(mute.entry(server.id.clone()).or_insert_with(Instant::now).elapsed())
            } else {
                mute.remove(&server.id);
                None
            };
            vms.push(Vm {
                id: server.id.clone(),
                owner,
                name: server.name.clone(),
                state: state(server, silent_for),
                provider_status: server.status.clone(),
                created: server.created.unwrap_or_else(Timestamp::now),
                flavor: server.flavor.as_ref().and_then(|f| f.original_name.clone()),
            });
        }
        vms
    }
}

fn lock<T>(mutex: &std::sync::Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a server's status means. `silent_for`: how long it has been in ERROR without saying why.
fn state(server: &Server, silent_for: Option<Duration>) -> VmState {
    if matches!(server.task_state.as_deref(), Some("deleting" | "soft-deleting")) {
        return VmState::Deleting;
    }
    match server.status.as_str() {
        "BUILD" | "REBUILD" => VmState::Building,
        "SHUTOFF" | "SHELVED" | "SHELVED_OFFLOADED" => VmState::Halted,
        "ERROR" => match (&server.fault, silent_for) {
            (Some(fault), _) => VmState::Failed(fault::of_server(&fault.message)),
            (None, Some(silent)) if silent < FAULT_COMES_WITHIN => VmState::Building,
            (None, _) => {
                VmState::Failed(CloudError::Transient("the server is in ERROR and says nothing more".to_owned()))
            }
        },
        // Paused, rescued, migrated...: somebody's doing at the provider's, and it may come back.
        _ => VmState::Active,
    }
}

#[cfg(test)]
#[path = "servers_tests.rs"]
mod tests;
