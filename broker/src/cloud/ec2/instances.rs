//! Our instances: lists by tag, those that a list lacks asked by their ids, and when "no such instance" is to be believed.
//!
//! EC2 is eventually consistent: what was just made may be missing from every answer for minutes ("Eventual consistency in the Amazon EC2
//! API"). So an instance that was known is dropped only when EC2 shows how it ended, or denies its id when it is no longer young.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use aws_sdk_ec2::types::{Filter, Instance};
use jiff::Timestamp;
use tokio::time::Instant;

use super::{SETTLE, client::Client, pages::Pages, state::state, tags};
use crate::{
    clock::moment,
    cloud::{
        Choice, CloudError, Owner, Purchase, Vm, VmState,
        pace::Action,
        quote::shortened,
        room::{Kept, too_much},
    },
};

/// Instances on a page: the most that EC2 gives.
const PAGE: i32 = 1_000;
/// Pages that are read of one list.
const MOST_PAGES: usize = 50;
/// Instances that are asked for by id with each list.
const MOST_ASKED: usize = 20;
/// What an instance has in memory, in bytes: it has few texts, and short ones.
const WEIGHT: usize = 640;
/// Longest id, type, zone or UID, and longest name that is kept, in bytes.
const LONGEST_ID: usize = 64;
const LONGEST_NAME: usize = 128;
/// States of instances that have not ended.
const ALIVE: [&str; 5] = ["pending", "running", "shutting-down", "stopping", "stopped"];

/// Instances as last heard of.
pub struct Known {
    started: Instant,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    cluster: String,
    vms: BTreeMap<String, Entry>,
    /// Those that were seen to end and are shown no more, and since when: EC2 is believed at once that it has none of them.
    gone: BTreeMap<String, Instant>,
    kept: Kept,
}

struct Entry {
    vm: Vm,
    /// When this driver made it, or found it for the first time.
    since: Instant,
}

impl Default for Known {
    fn default() -> Self {
        Self { started: moment(), heard: Mutex::default() }
    }
}

impl Known {
    /// All instances of the cluster; those that ended are among them as long as EC2 shows them.
    pub async fn list(&self, client: &Client, cluster: &str) -> Result<Vec<Vm>, CloudError> {
        let begun = moment();
        let ours = [tags::with(tags::CLUSTER, cluster)];
        let listed = pages(client, Action::List, "list instances", cluster, &ours, PAGE).await?;
        let listed: BTreeMap<String, Vm> = listed.into_iter().map(|vm| (vm.id.clone(), vm)).collect();
        let lacking = {
            let mut heard = self.heard();
            if heard.cluster != cluster {
                heard.cluster = cluster.to_owned();
                heard.vms.retain(|_, entry| entry.vm.owner.cluster == cluster);
            }
            let weight = (heard.vms.len() + heard.gone.len() + listed.len()) * WEIGHT;
            if !client.room.keep(&mut heard.kept, weight) {
                return Err(too_much("list instances"));
            }
            heard.forget(&listed, begun);
            let lacking = heard.vms.iter().filter(|(id, entry)| !listed.contains_key(*id) && entry.since < begun);
            let lacking: Vec<String> = lacking.map(|(id, _)| id.clone()).collect();
            for vm in listed.into_values() {
                heard.hear(vm, begun);
            }
            lacking
        };
        for id in lacking.iter().take(MOST_ASKED) {
            // Whatever the answer is, it is remembered; none is no news.
            let _ = self.get(client, id).await;
        }
        let mut heard = self.heard();
        for id in &lacking {
            if let Some(entry) = heard.vms.get_mut(id)
                && !self.is_young(entry.since)
                && matches!(entry.vm.state, VmState::Building | VmState::Active)
            {
                entry.vm.state = VmState::Unknown;
            }
        }
        Ok(heard.vms.values().map(|entry| entry.vm.clone()).collect())
    }

    /// The instances of one owner that have not ended, asked now.
    pub async fn find(&self, client: &Client, owner: &Owner) -> Result<Vec<Vm>, CloudError> {
        let filters = [
            tags::with(tags::CLUSTER, &owner.cluster),
            tags::with(tags::PILOT_VM, &owner.uid),
            tags::is("instance-state-name", ALIVE),
        ];
        let mut found = pages(client, Action::Look, "find an instance", &owner.cluster, &filters, 100).await?;
        found.retain(|vm| vm.owner == *owner);
        Ok(found)
    }

    /// One instance by its id. It is denied only by EC2, and only when it is not young.
    pub async fn get(&self, client: &Client, id: &str) -> Result<Option<Vm>, CloudError> {
        let what = format!("look at instance {}", shortened(id));
        let call = client.apis().await?.ec2.describe_instances().instance_ids(id).send();
        match client.call(&what, Action::Look, call).await {
            Ok(answer) => {
                let found =
                    answer.reservations().iter().flat_map(|r| r.instances()).find(|i| i.instance_id() == Some(id));
                let Some(found) = found else {
                    return Err(CloudError::Transient(format!(
                        "{what}: the answer has no instance and does not deny it"
                    )));
                };
                let vm = vm(found).ok_or_else(|| CloudError::Invalid(format!("{what}: it is not ours")))?;
                possible(&what, &vm)?;
                self.heard().hear(vm.clone(), moment());
                Ok(Some(vm))
            }
            Err(fault) if fault.is("InvalidInstanceID.NotFound") => {
                let may_be_young = self.heard().may_be_young(id, self.started);
                if may_be_young.is_some_and(|since| self.is_young(since)) {
                    return Err(CloudError::Transient(format!(
                        "{}; EC2 may not know of what was just made, so it is asked again",
                        fault.error
                    )));
                }
                self.heard().vms.remove(id);
                Ok(None)
            }
            Err(fault) => Err(fault.into()),
        }
    }

    /// An instance was made, or adopted.
    pub fn made(&self, vm: &Vm) {
        self.heard().hear(vm.clone(), moment());
    }

    /// Whose instances were listed last.
    pub fn cluster(&self) -> Option<String> {
        Some(self.heard().cluster.clone()).filter(|cluster| !cluster.is_empty())
    }

    /// Whether EC2 may not know yet of what was made then.
    fn is_young(&self, since: Instant) -> bool {
        moment().duration_since(since) < SETTLE
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heard {
    /// Forgets what ended and is not listed any more: how it ended was shown, and nothing more is to be heard of it.
    fn forget(&mut self, listed: &BTreeMap<String, Vm>, now: Instant) {
        self.gone.retain(|_, since| now.duration_since(*since) < SETTLE);
        let gone: Vec<String> = self
            .vms
            .iter()
            .filter(|(id, entry)| entry.vm.released && !listed.contains_key(*id))
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            self.vms.remove(&id);
            self.gone.insert(id, now);
        }
    }

    /// Since when this instance may be there without EC2 knowing it; nothing where it was seen to end. `started`: of one of which nothing is
    /// known, which somebody may have made just before.
    fn may_be_young(&self, id: &str, started: Instant) -> Option<Instant> {
        match self.vms.get(id) {
            Some(entry) => (!entry.vm.released).then_some(entry.since),
            None => (!self.gone.contains_key(id)).then_some(started),
        }
    }

    fn hear(&mut self, vm: Vm, at: Instant) {
        let since = self.vms.get(&vm.id).map_or(at, |entry| entry.since);
        self.vms.insert(vm.id.clone(), Entry { vm, since });
    }
}

/// All pages of a question, as VMs of this cluster: what is not ours is left out.
async fn pages(
    client: &Client,
    action: Action,
    what: &str,
    cluster: &str,
    filters: &[Filter],
    page: i32,
) -> Result<Vec<Vm>, CloudError> {
    // Given back when the list is whole: whoever remembers it has room for that.
    let mut kept = Kept::default();
    let (mut all, mut pages) = (Vec::new(), Pages::at_most(MOST_PAGES));
    while let Some(at) = pages.next() {
        let ask = client.apis().await?.ec2.describe_instances().set_filters(Some(filters.to_vec()));
        let answer = client.call(what, action, ask.max_results(page).set_next_token(at).send()).await?;
        for vm in answer.reservations().iter().flat_map(|r| r.instances()).filter_map(vm) {
            possible(what, &vm)?;
            all.extend((vm.owner.cluster == cluster).then_some(vm));
        }
        if !client.room.keep(&mut kept, all.len() * WEIGHT) {
            return Err(too_much(what));
        }
        pages.read(answer.next_token());
    }
    pages.whole(what)?;
    Ok(all)
}

/// An error where a text is longer than any of EC2's.
fn possible(what: &str, vm: &Vm) -> Result<(), CloudError> {
    let bought = vm.bought.as_ref();
    let mut texts =
        [Some(&vm.id), Some(&vm.owner.uid), bought.map(|b| &b.flavor), bought.and_then(|b| b.zone.as_ref())]
            .into_iter()
            .flatten();
    if texts.any(|text| text.len() > LONGEST_ID) {
        return Err(CloudError::Transient(format!("{what}: the answer has an instance whose id is none of EC2's")));
    }
    Ok(())
}

/// The beginning of a text, of at most so many bytes.
fn cut(text: &str, longest: usize) -> String {
    text[..text.floor_char_boundary(longest)].to_owned()
}

/// An instance of ours as a VM.
pub fn vm(instance: &Instance) -> Option<Vm> {
    let owner = tags::owner(instance.tags())?;
    let status = instance.state().and_then(|s| s.name()).map(|n| n.as_str()).unwrap_or_default();
    let spot = instance.instance_lifecycle().is_some_and(|l| l.as_str() == "spot");
    let made = instance.launch_time().and_then(|at| Timestamp::from_second(at.secs()).ok());
    Some(Vm {
        id: instance.instance_id()?.to_owned(),
        owner,
        name: cut(&tags::name(instance.tags()), LONGEST_NAME),
        state: state(instance),
        provider_status: cut(&shortened(status), LONGEST_ID),
        created: made.unwrap_or(Timestamp::UNIX_EPOCH),
        bought: instance.instance_type().map(|flavor| Choice {
            flavor: flavor.as_str().to_owned(),
            zone: instance.placement().and_then(|p| p.availability_zone()).map(str::to_owned),
            purchase: if spot { Purchase::Spot } else { Purchase::OnDemand },
            max_price_micros: None,
        }),
        released: status == "terminated",
    })
}
