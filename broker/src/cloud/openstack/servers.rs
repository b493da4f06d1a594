//! Our servers: whole lists by tag, what changed since, a few asked one by one, and what a server's state means.
//!
//! **A server that was known is never dropped because a list lacks it**: Nova's lists leave out, without a word, the servers of a cell whose
//! database does not answer (`list_records_by_skipping_down_cells`, true by default). It stays as [`VmState::Unknown`] until Nova says of
//! its id that there is no such server.

mod state;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use tokio::{sync::Mutex, time::Instant};

use state::state;

use super::{
    pages::{Filter, one, pages},
    session::Session,
    tags,
    wire::Server,
};
use crate::{
    clock::{Clock, moment},
    cloud::{
        Choice, CloudError, Owner, Purchase, Vm, VmState,
        room::{Kept, too_much},
    },
};

/// A whole list heals whatever the lists of changes missed.
const WHOLE_EVERY: Duration = Duration::from_secs(300);
/// Lists of changes overlap by this, for the clocks of the hosts that write `updated` differ.
const OVERLAP: SignedDuration = SignedDuration::from_secs(60);
/// Servers that are asked one by one with each list. Where more are in motion, a whole list is cheaper.
const MOST_ASKED: usize = 20;

/// Servers as last heard of.
#[derive(Default)]
pub struct Known {
    listed: Mutex<Listed>,
    /// What happened beside the lists, told to the next one. Not under the lock of the list: whoever makes a server does not wait for a
    /// list that is under way.
    news: std::sync::Mutex<Vec<News>>,
}

enum News {
    /// Made, adopted, or there when asked for by its id: no list of changes may tell of it.
    There(String, Box<Server>),
    /// Its deletion was asked for.
    Deleting(String),
    /// Nova said that there is no such server.
    Gone(String),
}

#[derive(Default)]
struct Listed {
    cluster: String,
    /// When the last whole list was asked for.
    whole_at: Option<Instant>,
    /// Nova's clock when the last list began; without it nobody can ask what changed.
    since: Option<Timestamp>,
    servers: BTreeMap<String, Entry>,
    /// Room for them.
    kept: Kept,
}

struct Entry {
    server: Server,
    /// Whether the last whole list, or an answer since, had it.
    seen: bool,
    /// Whether a list of changes may miss what happens to it now.
    doubted: bool,
    asked: Option<Instant>,
    /// When it was first asked why it is in ERROR and did not say.
    mute_since: Option<Instant>,
}

impl Known {
    /// All servers of the cluster: a whole list by tag now and then, and what changed since in between.
    ///
    /// The list of changes cannot be filtered by tag: a deleted server has lost its tags. And it tells all only of servers that are
    /// up: of one that is deleted while it is built Nova takes the record away without a change of `updated`, and one that was
    /// just made has no `updated` yet. Those few are asked one by one; where they are many, the list is a whole one.
    pub async fn list(&self, session: &Session, cluster: &str) -> Result<Vec<Vm>, CloudError> {
        let mut listed = self.listed.lock().await;
        if listed.cluster != cluster {
            *listed = Listed { cluster: cluster.to_owned(), ..Listed::default() };
        }
        let since = listed.since.filter(|_| !listed.is_whole_due());
        match since {
            Some(since) => {
                let (changed, date) = pages(session, &Filter::ChangedSince(since - OVERLAP)).await?;
                let is_ours = |s: &Server| !s.is_gone() && tags::owner(&s.tags).is_some_and(|o| o.cluster == cluster);
                listed.make_room(session, changed.iter().filter(|s| is_ours(s)))?;
                for server in changed {
                    if is_ours(&server) {
                        listed.hear(server);
                    } else {
                        listed.servers.remove(&server.id);
                    }
                }
                listed.since = date.or(listed.since);
            }
            None => {
                let begun = moment();
                let wanted = [tags::OURS.to_owned(), tags::cluster(cluster)];
                let (servers, date) = pages(session, &Filter::Tags(&wanted)).await?;
                listed.make_room(session, servers.iter())?;
                listed.servers.values_mut().for_each(|entry| entry.seen = false);
                servers.into_iter().filter(|s| !s.is_gone()).for_each(|server| listed.hear(server));
                (listed.whole_at, listed.since) = (Some(begun), date);
            }
        }
        for news in std::mem::take(&mut *self.news()) {
            listed.learn(news);
        }
        listed.ask(session, since.is_some()).await;
        Ok(listed.vms(&session.clock, &session.config.spot))
    }

    /// The servers of one owner, asked now.
    pub async fn find(&self, session: &Session, owner: &Owner) -> Result<Vec<Vm>, CloudError> {
        let (servers, _) = pages(session, &Filter::Tags(&tags::of(owner))).await?;
        let mut found = Listed::default();
        servers.into_iter().filter(|s| !s.is_gone()).for_each(|server| found.hear(server));
        found.ask(session, false).await;
        Ok(found.vms(&session.clock, &session.config.spot))
    }

    /// One server by its id.
    pub async fn get(&self, session: &Session, id: &str) -> Result<Option<Vm>, CloudError> {
        let Some(server) = one(session, id).await? else {
            self.tell(News::Gone(id.to_owned()));
            return Ok(None);
        };
        let mut found = Listed::default();
        found.hear(server.clone());
        let vm = found.vms(&session.clock, &session.config.spot).pop();
        if let Some(vm) = &vm {
            // A list may have left it out while its cell was down, and those of changes say nothing of a cell that is back.
            self.tell(News::There(vm.owner.cluster.clone(), Box::new(server)));
        }
        vm.map(Some).ok_or_else(|| {
            CloudError::Invalid(format!("the server {id} is there and does not carry our tags: it is somebody else's"))
        })
    }

    /// Remembers a server that was just made or adopted.
    pub fn made(&self, vm: &Vm) {
        let server = Server {
            id: vm.id.clone(),
            name: vm.name.clone(),
            status: "BUILD".to_owned(),
            task_state: None,
            created: Some(vm.created),
            tags: tags::of(&vm.owner).to_vec(),
            flavor: None,
            zone: None,
            fault: None,
        };
        self.tell(News::There(vm.owner.cluster.clone(), Box::new(server)));
    }

    /// Remembers that the server's deletion was asked for.
    pub fn deleting(&self, id: &str) {
        self.tell(News::Deleting(id.to_owned()));
    }

    fn tell(&self, news: News) {
        self.news().push(news);
    }

    fn news(&self) -> MutexGuard<'_, Vec<News>> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listed {
    fn is_whole_due(&self) -> bool {
        let moving = self.servers.values().filter(|e| e.seen && (e.doubted || e.server.is_moving())).count();
        moving > MOST_ASKED || self.whole_at.is_none_or(|at| at.elapsed() >= WHOLE_EVERY)
    }

    /// Has room for what is known and for these; an error where there is none, and then nothing of them is heard.
    fn make_room<'a>(&mut self, session: &Session, new: impl Iterator<Item = &'a Server>) -> Result<(), CloudError> {
        let new: usize = new.filter(|s| !self.servers.contains_key(&s.id)).map(Server::weight).sum();
        let known: usize = self.servers.values().map(|entry| entry.server.weight()).sum();
        let has_room = session.room.keep(&mut self.kept, known + new);
        has_room.then_some(()).ok_or_else(|| too_much("list servers"))
    }

    /// What an answer says of a server. A list leaves the fault out of one that no host ever took (it is in cell 0): it is kept.
    fn hear(&mut self, mut server: Server) {
        let old = self.servers.remove(&server.id);
        let (asked, mute_since) = old.as_ref().map(|e| (e.asked, e.mute_since)).unwrap_or_default();
        if server.is_mute() {
            server.fault = old.and_then(|e| e.server.fault);
        }
        let mute_since = mute_since.filter(|_| server.is_mute());
        self.servers.insert(server.id.clone(), Entry { server, seen: true, doubted: false, asked, mute_since });
    }

    fn learn(&mut self, news: News) {
        match news {
            News::There(cluster, server) if cluster == self.cluster => {
                let entry = Entry { server: *server, seen: true, doubted: true, asked: None, mute_since: None };
                self.servers.entry(entry.server.id.clone()).or_insert(entry);
            }
            News::There(..) => {}
            News::Deleting(id) => {
                if let Some(entry) = self.servers.get_mut(&id) {
                    entry.doubted = true;
                }
            }
            News::Gone(id) => {
                self.servers.remove(&id);
            }
        }
    }

    /// Asks some servers one by one: those that the list lacks, those that do not say why they failed, and with `moving` those in
    /// motion. Those that were asked longest ago come first. Where no answer comes the server stays as it is.
    async fn ask(&mut self, session: &Session, moving: bool) {
        let open = |e: &&Entry| !e.seen || e.doubted || e.server.is_mute() || (moving && e.server.is_moving());
        let mut open: Vec<_> = self.servers.values().filter(open).map(|e| (e.asked, e.server.id.clone())).collect();
        open.sort();
        open.truncate(MOST_ASKED);
        let answers = join_all(open.into_iter().map(async |(_, id)| (one(session, &id).await, id))).await;
        let now = moment();
        for (answer, id) in answers {
            match answer {
                Ok(None) => {
                    self.servers.remove(&id);
                }
                Ok(Some(server)) => self.hear(server),
                Err(error) => tracing::debug!(server = id, %error, "nothing is known of a server now"),
            }
            if let Some(entry) = self.servers.get_mut(&id) {
                entry.asked = Some(now);
                if entry.server.is_mute() {
                    entry.mute_since.get_or_insert(now);
                }
            }
        }
    }

    fn vms(&self, clock: &Clock, spot: &BTreeSet<String>) -> Vec<Vm> {
        let vm = |entry: &Entry| {
            let server = &entry.server;
            let flavor = server.flavor.as_ref().and_then(|f| f.original_name.clone());
            let zone = server.zone.clone().filter(|zone| !zone.is_empty());
            Some(Vm {
                id: server.id.clone(),
                owner: tags::owner(&server.tags)?,
                name: server.name.clone(),
                state: if entry.seen {
                    state(server, entry.mute_since.map(|at| at.elapsed()))
                } else {
                    VmState::Unknown
                },
                provider_status: server.status.clone(),
                created: server.created.unwrap_or_else(|| clock.now()),
                bought: flavor.map(|flavor| {
                    let purchase = if spot.contains(&flavor) { Purchase::Spot } else { Purchase::OnDemand };
                    Choice { flavor, zone, purchase, max_price_micros: None }
                }),
                released: false,
            })
        };
        self.servers.values().filter_map(vm).collect()
    }
}

#[cfg(test)]
#[path = "servers_tests.rs"]
mod tests;
