//! All that is known of a PilotVM at one moment, put together from the objects, the lists and the rows. Pure.

use broker::{
    cloud::Vm,
    pilot::{rows::PilotRow, stamp},
};
use crds::PilotVM;
use jiff::Timestamp;
use kube::ResourceExt;
use tokio::time::Instant;

use crate::{
    context::State,
    known::{
        cloud::Announced,
        listing::{self, Listing},
        memory::{Answer, Call, Found, Remembered},
    },
    life::{gives_back, launched, served},
    names::{Key, deleting},
};

/// All that is known of a PilotVM at one moment.
#[derive(Debug)]
pub struct Observed<'a> {
    pub vm: &'a PilotVM,
    /// What is known of its VM.
    pub machine: Machine,
    /// Why the cloud cannot be asked, where it cannot.
    pub cloud_away: Option<String>,
    /// What the provider announced about it.
    pub notice: Option<Announced>,
    /// Its row, as last read.
    pub row: Option<PilotRow>,
    /// When the row was last asked for.
    pub rows_read: Option<Timestamp>,
    /// Since when the row shows that none of the pilot's jobs runs; `None`: one does, it never had one, or nobody says.
    pub idle_since: Option<Timestamp>,
    /// Since when pilots can ask for work; `None`: they cannot now.
    pub asking: Option<Timestamp>,
    /// Whether its pool is there, be it one that this version can read or not.
    pub has_pool: bool,
    /// Whether its installation gives jobs of lost VMs back.
    pub gives_back: bool,
    /// Whether its installation was deleted.
    pub installation_gone: bool,
    /// Which object says that nothing is made or taken away.
    pub paused: Option<String>,
    pub remembered: Remembered,
    /// Wall time.
    pub now: Timestamp,
    /// Steady time.
    pub moment: Instant,
}

/// What is known of a VM.
#[derive(Clone, Debug, PartialEq)]
pub enum Machine {
    /// No list is young enough to know.
    Unknown,
    /// The list lacks it, which proves nothing.
    Missing,
    /// The provider asserts that there is no such VM.
    Gone,
    /// It is there; of twins the one to keep.
    Present(Box<Vm>),
}

impl<'a> Observed<'a> {
    /// Puts together what is known of `vm`: nothing is asked.
    pub fn of(state: &State, vm: &'a PilotVM, now: Timestamp, moment: Instant) -> Self {
        let (uid, key) = (vm.uid().unwrap_or_default(), Key::of(vm));
        let remembered = state.memory.of(&uid);
        let cloud = state.clouds.get(&key.beside(&vm.spec.cloud_ref.name)).facts();
        let touched = launched(vm).max(remembered.touched).unwrap_or(Timestamp::UNIX_EPOCH);
        let cloud_away = match (&cloud.driver, &cloud.refused) {
            (None, _) => Some("it has no working driver".to_owned()),
            (Some(_), Some(error)) => Some(error.to_string()),
            (Some(_), None) => None,
        };
        let installation_key = key.beside(&vm.spec.installation_ref.name);
        let installation = state.installations.get(&installation_key).facts();
        let object = state.stores.installations.get(&installation_key);
        let reference = stamp::reference(&uid);
        let rows = installation.read.as_deref();
        let (row, rows_read) = match (remembered.row.as_deref(), rows) {
            (Some((at, row)), rows) if rows.is_none_or(|rows| rows.read_at(&reference) < *at) => {
                (row.clone(), Some(*at))
            }
            (_, rows) => (rows.and_then(|r| r.row(&reference).cloned()), rows.map(|r| r.read_at(&reference))),
        };
        let id = vm.status.as_ref().and_then(|s| s.provider_id.as_ref());
        let notice = id.and_then(|id| cloud.announced.get(id)).copied();
        let is_idle = row.as_ref().is_some_and(|row| row.running == Some(0));
        let idle_since = rows.and_then(|rows| rows.idle.get(&reference)).copied().filter(|_| is_idle);
        Self {
            vm,
            machine: machine(
                listed(cloud.listing.as_deref(), vm, touched),
                cloud.listing.as_deref(),
                touched,
                remembered.answer.as_deref(),
            ),
            cloud_away,
            notice,
            row,
            rows_read,
            idle_since,
            asking: installation.demand_unknown.is_none().then_some(installation.demand_back),
            has_pool: has_pool(state, &key.beside(&vm.spec.pool_ref.name)),
            // Of one that is gone its services may still be known.
            gives_back: object.as_ref().map_or(installation.lost.is_some(), |object| gives_back(object)),
            installation_gone: object.is_none_or(|object| deleting(object.as_ref())),
            paused: state.paused_by(vm),
            remembered,
            now,
            moment,
        }
    }

    /// Whether the pilot has asked for work, by its row: it runs, or has ended by itself.
    pub fn has_asked(&self) -> bool {
        self.row.as_ref().is_some_and(|r| r.status.has_asked())
    }

    /// Whether the pilot ever had a job, as far as anybody knows.
    pub fn had_job(&self) -> bool {
        let in_row = |r: &PilotRow| r.current_job > 0 || r.jobs.as_ref().is_some_and(|jobs| !jobs.is_empty());
        served(self.vm) || self.row.as_ref().is_some_and(in_row)
    }

    /// The number of the attempt that is written down.
    pub fn attempt(&self) -> Option<(u32, Timestamp)> {
        let attempt = self.vm.status.as_ref()?.attempt.as_ref()?;
        Some((u32::try_from(attempt.number).unwrap_or(u32::MAX), attempt.since.0))
    }

    /// How the attempt that is written down went. Of one that another process made nobody knows.
    pub fn call(&self) -> Option<Call> {
        let (n, _) = self.attempt()?;
        Some(self.remembered.tried.filter(|tried| tried.n == n).map_or(Call::InDoubt(None), |tried| tried.call))
    }
}

fn has_pool(state: &State, pool: &Key) -> bool {
    let pools = &state.stores.pools;
    pools.get(pool).is_some() || pools.unread().iter().any(|unread| unread.key == *pool)
}

/// What the list says. The VM that is written down is the one, whatever else there is of the same owner: the collector of garbage keeps
/// it too.
fn listed<'a>(listing: Option<&'a Listing>, vm: &PilotVM, touched: Timestamp) -> listing::Machine<'a> {
    let uid = vm.uid().unwrap_or_default();
    let recorded = vm.status.as_ref().and_then(|s| s.provider_id.as_ref());
    let Some(listing) = listing else { return listing::Machine::Unknown };
    let of_owner = listing.vms.get(&uid).map(Vec::as_slice).unwrap_or_default();
    match (listing.machine(&uid, touched), recorded) {
        (listing::Machine::Present(_), Some(id)) => {
            of_owner.iter().find(|vm| vm.id == *id).map_or(listing::Machine::Missing, listing::Machine::Present)
        }
        (found, _) => found,
    }
}

/// The younger of the list and the provider's own answer counts; a proof of absence holds until a younger list shows the VM.
fn machine(
    listed: listing::Machine<'_>,
    listing: Option<&Listing>,
    touched: Timestamp,
    answer: Option<&Answer>,
) -> Machine {
    let answer = answer.filter(|answer| answer.at >= touched);
    let is_younger = |answer: &&Answer| listing.is_none_or(|list| list.started < answer.at);
    match (listed, answer) {
        (listing::Machine::Present(vm), answer) => match answer.filter(is_younger).map(|a| &a.found) {
            Some(Found::Nothing) => Machine::Gone,
            Some(Found::Present(younger)) => Machine::Present(younger.clone()),
            Some(Found::Unclear(_)) | None => Machine::Present(Box::new(vm.clone())),
        },
        (_, Some(Answer { found: Found::Nothing, .. })) => Machine::Gone,
        (_, Some(Answer { found: Found::Present(vm), .. })) if answer.filter(is_younger).is_some() => {
            Machine::Present(vm.clone())
        }
        (listing::Machine::Unknown, _) => Machine::Unknown,
        (listing::Machine::Missing, _) => Machine::Missing,
    }
}

#[cfg(test)]
#[path = "observed_tests.rs"]
mod tests;
