//! Our servers: the list by tag, what changed since, and what a server's state means.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use openstack_sdk_compute::v2::server::{get_20 as get, list_detailed_21 as detailed};
use openstack_sdk_core::api::{QueryAsync, raw};
use tokio::sync::Mutex;

use super::{
    fault,
    session::Session,
    tags,
    wire::{Server, Servers},
};
use crate::cloud::{CloudError, Owner, Vm, VmState};

/// A whole list heals whatever the lists of changes missed.
const WHOLE_EVERY: Duration = Duration::from_secs(300);
/// Lists of changes overlap by this, for the clocks of the hosts that write `updated` differ.
const OVERLAP: SignedDuration = SignedDuration::from_secs(60);
/// Servers on a page; Nova gives fewer where its own limit is lower.
const PAGE: u32 = 1_000;
/// A server in ERROR may get its fault text a moment later; it is waited for no longer than this.
const FAULT_COMES_WITHIN: Duration = Duration::from_secs(15);

/// Servers as last listed.
#[derive(Default)]
pub struct Known {
    inner: Mutex<Option<Listed>>,
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

impl Known {
    /// All servers of the cluster: a whole list by tag now and then, and what changed since in between.
    ///
    /// The list of changes cannot be filtered by tag: a deleted server has lost its tags. And it tells all only of servers that are
    /// up: of one that is deleted while it is built Nova takes the record away without a change of `updated`. So changes are
    /// asked for while all is quiet, which is when there are many lists and little news.
    pub async fn list(&self, session: &Session, cluster: &str) -> Result<Vec<Vm>, CloudError> {
        let mut known = self.inner.lock().await;
        let still_good = |l: &&mut Listed| {
            l.cluster == cluster && l.whole_at.elapsed() < WHOLE_EVERY && l.servers.values().all(is_settled)
        };
        match known.as_mut().filter(still_good) {
            Some(listed) => {
                let (changed, date) = pages(session, &Filter::ChangedSince(listed.since - OVERLAP)).await?;
                for server in changed {
                    let ours = tags::owner(&server.tags).is_some_and(|o| o.cluster == cluster);
                    if ours && !is_gone(&server) {
                        listed.servers.insert(server.id.clone(), server);
                    } else {
                        listed.servers.remove(&server.id);
                    }
                }
                if let Some(date) = date {
                    listed.since = date;
                }
            }
            None => {
                let whole_at = Instant::now();
                let wanted = [tags::OURS.to_owned(), tags::cluster(cluster)];
                let (servers, date) = pages(session, &Filter::Tags(&wanted)).await?;
                let mut servers: BTreeMap<_, _> = servers.into_iter().map(|s| (s.id.clone(), s)).collect();
                let Some(since) = date else {
                    // Without Nova's clock nobody can ask what changed.
                    *known = None;
                    hear(session, servers.values_mut()).await?;
                    return Ok(self.vms(servers.values()));
                };
                *known = Some(Listed { cluster: cluster.to_owned(), whole_at, since, servers });
            }
        }
        let Some(listed) = known.as_mut() else { return Ok(Vec::new()) };
        hear(session, listed.servers.values_mut()).await?;
        Ok(self.vms(listed.servers.values()))
    }

    /// The servers of one owner, asked now.
    pub async fn find(&self, session: &Session, owner: &Owner) -> Result<Vec<Vm>, CloudError> {
        let (mut servers, _) = pages(session, &Filter::Tags(&tags::of(owner))).await?;
        hear(session, servers.iter_mut()).await?;
        Ok(self.vms(servers.iter()))
    }

    /// Remembers a server that was just made: it has no `updated` yet, and a list of changes would miss it.
    pub async fn made(&self, id: &str, name: &str, owner: &Owner, now: Timestamp) {
        if let Some(listed) = self.inner.lock().await.as_mut().filter(|l| l.cluster == owner.cluster) {
            let server = Server {
                id: id.to_owned(),
                name: name.to_owned(),
                status: "BUILD".to_owned(),
                task_state: None,
                created: Some(now),
                tags: tags::of(owner).to_vec(),
                flavor: None,
                fault: None,
            };
            listed.servers.entry(id.to_owned()).or_insert(server);
        }
    }

    fn vms<'a>(&self, servers: impl Iterator<Item = &'a Server>) -> Vec<Vm> {
        let mut mute = self.mute.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut vms = Vec::new();
        for server in servers.filter(|s| !is_gone(s)) {
            let Some(owner) = tags::owner(&server.tags) else { continue };
            let silent_for = if is_mute(server) {
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
        mute.retain(|_, since| since.elapsed() < FAULT_COMES_WITHIN * 20);
        vms
    }
}

enum Filter<'a> {
    /// All of these tags.
    Tags(&'a [String]),
    /// Changed after this moment, deleted ones included.
    ChangedSince(Timestamp),
}

/// All pages, each server once, and Nova's clock when the first was asked for.
///
/// Nova sorts by a moment that changes when a server passes from its API's database to a cell's: a later page can bring such a
/// server again, and who takes the two for twins deletes the only one.
async fn pages(session: &Session, filter: &Filter<'_>) -> Result<(Vec<Server>, Option<Timestamp>), CloudError> {
    let what = "list servers";
    let mut all: BTreeMap<String, Server> = BTreeMap::new();
    let (mut last, mut date) = (None, None);
    loop {
        let mut request = detailed::Request::builder();
        request.limit(PAGE);
        match filter {
            Filter::Tags(tags) => request.tags(tags.join(",")),
            Filter::ChangedSince(since) => request.changes_since(since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        };
        if let Some(last) = last {
            request.marker::<String>(last);
        }
        let request = request.build().map_err(|e| CloudError::Invalid(format!("{what}: {e}")))?;
        let answer = raw(request).query_async(session).await.map_err(|e| fault::of_sdk(what, e))?;
        if date.is_none() {
            let header = answer.headers().get(http::header::DATE);
            date = header.and_then(|d| d.to_str().ok()).and_then(fault::http_date);
        }
        let page: Servers = serde_json::from_slice(answer.body())
            .map_err(|e| CloudError::Transient(format!("{what}: the answer was not understood: {e}")))?;
        let more = page.servers_links.iter().any(|l| l.rel == "next") && !page.servers.is_empty();
        last = page.servers.last().map(|s| s.id.clone());
        all.extend(page.servers.into_iter().map(|s| (s.id.clone(), s)));
        if !more {
            return Ok((all.into_values().collect(), date));
        }
    }
}

/// Asks the servers in ERROR why, one by one: Nova's list leaves the fault out of a server that no host ever took (it is in cell 0).
async fn hear(session: &Session, servers: impl Iterator<Item = &mut Server>) -> Result<(), CloudError> {
    let what = "look a failed server up";
    for server in servers.filter(|s| is_mute(s)) {
        let request = get::Request::builder().id(server.id.clone()).build();
        let request = request.map_err(|e| CloudError::Invalid(format!("{what}: {e}")))?;
        let answer: Result<Server, _> = request.query_async(session).await.map_err(|e| fault::of_sdk(what, e));
        match answer {
            Ok(found) => server.fault = found.fault,
            Err(CloudError::NotFound(_)) => "DELETED".clone_into(&mut server.status),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_gone(server: &Server) -> bool {
    matches!(server.status.as_str(), "DELETED" | "SOFT_DELETED")
}

fn is_settled(server: &Server) -> bool {
    server.status == "ACTIVE" && server.task_state.is_none()
}

fn is_mute(server: &Server) -> bool {
    server.status == "ERROR" && server.fault.is_none()
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
mod tests {
    use super::*;

    fn server(status: &str, task: Option<&str>, fault: Option<&str>) -> Server {
        let json = serde_json::json!({
            "id": "1", "name": "n", "status": status, "OS-EXT-STS:task_state": task,
            "fault": fault.map(|message| serde_json::json!({"message": message, "code": 500})),
        });
        let mut value = json;
        if fault.is_none() {
            value.as_object_mut().unwrap().remove("fault");
        }
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_state_is_what_can_be_done_about_it() {
        let of = |status, task| state(&server(status, task, None), None);
        assert_eq!(of("BUILD", Some("spawning")), VmState::Building);
        assert_eq!(of("ACTIVE", None), VmState::Active);
        assert_eq!(of("ACTIVE", Some("deleting")), VmState::Deleting);
        assert_eq!(of("SHUTOFF", None), VmState::Halted);
        assert_eq!(of("PAUSED", None), VmState::Active);
    }

    #[test]
    fn a_fault_that_comes_late_is_waited_for_and_no_longer() {
        let mute = server("ERROR", None, None);
        assert_eq!(state(&mute, Some(Duration::from_secs(1))), VmState::Building);
        assert!(matches!(state(&mute, Some(FAULT_COMES_WITHIN)), VmState::Failed(CloudError::Transient(_))));
        let spoken = server("ERROR", None, Some("No valid host was found."));
        assert!(matches!(state(&spoken, None), VmState::Failed(CloudError::NoCapacity(_))));
    }
}
