//! Everything a round decides from, of one moment: objects, and what is known of clouds and pilots, as data. It is sorted, and JSON both
//! ways: a bug report becomes a test.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use broker::{
    clock::moment,
    cloud::{Headroom, Offers},
    experience::Waits,
};
use crds::{Cloud, DiracInstallation, Downtime, PilotPool, PilotVM, Site, VirtualOrganization};
use jiff::Timestamp;
use kube::{Resource, ResourceExt};
use serde::{Deserialize, Serialize};

use crate::{
    api::unread::Unread,
    context::State,
    known::{
        accounts::Figures,
        cloud::Bought,
        installation::{Facts, Rows},
    },
    life,
    names::{CLOUD_LABEL, Key, POOL_LABEL, VO_LABEL, deleting, is_paused},
    resolve::first_reader,
    trouble::Trouble,
};

/// A cloud and what is known of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CloudView {
    pub object: Arc<Cloud>,
    /// Whether VMs may be bought there now, as far as the cloud is concerned.
    #[serde(default)]
    pub usable: bool,
    /// Whether one order there may name several zones.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asks_for_all: bool,
    /// What it offers, of what pools want; `None`: it has not said so since the start.
    #[serde(default)]
    pub offers: Option<Arc<Offers>>,
    /// What may still be bought, and when that was asked for.
    #[serde(default)]
    pub headroom: Option<(Timestamp, Arc<Headroom>)>,
    /// What was learnt by buying there.
    #[serde(default)]
    pub bought: Bought,
    /// UIDs of PilotVMs whose VMs it says have stopped, failed or are being deleted.
    #[serde(default)]
    pub stopped: BTreeSet<String>,
    /// UIDs of PilotVMs whose VMs it says are up.
    #[serde(default)]
    pub up: BTreeSet<String>,
}

/// A PilotVM that this version cannot read: what its labels say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnreadVm {
    pub name: String,
    /// Its pool: what its label says, or else the first part of its name.
    pub pool: String,
    /// Its cloud, where a label says it.
    pub cloud: Option<String>,
    /// Its VO, where a label says it.
    pub vo: Option<String>,
}

impl UnreadVm {
    fn of(vm: &Unread<PilotVM>) -> Self {
        let owned = |label: &str| vm.label(label).map(str::to_owned);
        let by_name = || vm.key.name.rsplit_once('-').map_or("", |(pool, _)| pool).to_owned();
        Self {
            name: vm.key.name.clone(),
            pool: owned(POOL_LABEL).unwrap_or_else(by_name),
            cloud: owned(CLOUD_LABEL),
            vo: owned(VO_LABEL),
        }
    }
}

/// The objects of an installation's namespace at one moment, each kind sorted by name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct World {
    pub installation: Key,
    /// All installations of the namespace, this one among them.
    pub installations: Vec<Arc<DiracInstallation>>,
    /// An older installation, of any namespace, that reads the same DIRAC.
    pub first_reader: Option<Key>,
    pub sites: Vec<Arc<Site>>,
    pub vos: Vec<Arc<VirtualOrganization>>,
    pub clouds: Vec<CloudView>,
    pub pools: Vec<Arc<PilotPool>>,
    /// The downtimes.
    pub downtimes: Vec<Arc<Downtime>>,
    /// Pools whose user-data template cannot be used.
    pub unusable_templates: BTreeSet<String>,
    /// The VMs, those of other installations too: they use up the same clouds.
    pub vms: Vec<Arc<PilotVM>>,
    /// VMs whose PilotVM this version cannot read. They count against every limit.
    pub unread: Vec<UnreadVm>,
    /// The pilots' rows; nothing while they have not been read since the start.
    pub rows: Option<Arc<Rows>>,
    /// Why the rows could not be read last time.
    pub rows_unknown: Option<Trouble>,
    /// VMs that boot and for which the last round planned no job, by name: since when.
    pub unneeded: BTreeMap<String, Timestamp>,
    /// Since when jobs of each class wait without a pause; absent: none waited at the last round.
    pub waiting: Vec<Waits>,
    /// Since when pilots can ask for work, where they could not.
    pub asking: Timestamp,
    /// What the VOs used, what is left of their budgets, and how long VMs live.
    #[serde(skip_serializing_if = "is_default")]
    pub figures: Figures,
    pub now: Timestamp,
}

fn is_default(figures: &Figures) -> bool {
    *figures == Figures::default()
}

impl World {
    /// What is known now. `facts` are those of the installation, read once for a whole round.
    pub fn of(state: &State, installation: &Key, facts: &Facts, now: Timestamp) -> Self {
        let namespace = installation.namespace.as_str();
        let pools = sorted(state.stores.pools.within(namespace));
        let unusable = |pool: &&Arc<PilotPool>| {
            let template = pool.spec.machine.user_data.as_deref();
            template.is_some_and(|template| state.templates.of(template).is_err())
        };
        let unusable_templates = pools.iter().filter(unusable).map(|pool| pool.name_any()).collect();
        let view = |object: Arc<Cloud>| {
            let handle = state.clouds.get(&Key::of(object.as_ref()));
            let facts = handle.facts();
            CloudView {
                usable: facts.usable(moment()),
                asks_for_all: facts.driver.as_ref().is_some_and(|driver| driver.asks_for_all()),
                bought: handle.learnt(),
                stopped: facts.listing.iter().flat_map(|listing| listing.stopped()).map(str::to_owned).collect(),
                up: facts.listing.iter().flat_map(|listing| listing.up()).map(str::to_owned).collect(),
                offers: facts.offers,
                headroom: facts.headroom,
                object,
            }
        };
        let own = state.stores.installations.get(installation);
        Self {
            installation: installation.clone(),
            first_reader: own.and_then(|own| {
                first_reader(&own, &state.stores.installations.all(), |key| {
                    state.installations.get(key).facts().reads()
                })
            }),
            installations: sorted(state.stores.installations.within(namespace)),
            sites: sorted(state.stores.sites.within(namespace)),
            vos: sorted(state.stores.vos.within(namespace)),
            clouds: sorted(state.stores.clouds.within(namespace)).into_iter().map(view).collect(),
            vms: sorted(vms(state, installation)),
            downtimes: sorted(state.stores.downtimes.within(namespace)),
            unread: unread(state, namespace),
            unusable_templates,
            rows: facts.read.clone(),
            rows_unknown: facts.rows_unknown.clone(),
            unneeded: facts.round.as_ref().map(|round| round.unneeded.clone()).unwrap_or_default(),
            waiting: facts.round.as_ref().map(|round| round.waiting.clone()).unwrap_or_default(),
            asking: facts.demand_back,
            figures: facts.accounts.figures(now),
            pools,
            now,
        }
    }

    pub fn own(&self) -> Option<&Arc<DiracInstallation>> {
        self.installations.iter().find(|i| i.name_any() == self.installation.name)
    }

    pub fn pool(&self, name: &str) -> Option<&Arc<PilotPool>> {
        self.pools.iter().find(|pool| pool.metadata.name.as_deref() == Some(name))
    }

    pub fn cloud(&self, name: &str) -> Option<&CloudView> {
        self.clouds.iter().find(|view| view.object.metadata.name.as_deref() == Some(name))
    }

    pub fn vm(&self, name: &str) -> Option<&Arc<PilotVM>> {
        self.vms.iter().find(|vm| vm.metadata.name.as_deref() == Some(name))
    }

    /// Which object says that nothing is made or taken away in this pool on any of these clouds.
    pub fn paused_by<'a>(
        &'a self,
        pool: Option<&PilotPool>,
        clouds: impl IntoIterator<Item = &'a str>,
    ) -> Option<String> {
        let clouds = clouds.into_iter().filter_map(|name| self.cloud(name)).map(|view| view.object.as_ref());
        life::paused_by(self.own().map(Arc::as_ref), pool, clouds)
    }
}

/// The VMs of the namespace, and those that others are about to make.
pub fn vms(state: &State, installation: &Key) -> Vec<Arc<PilotVM>> {
    let mut vms = state.stores.vms.within(&installation.namespace);
    let intended = state.intents.of_others(installation);
    vms.extend(intended.into_iter().filter(|vm| state.stores.vms.get(&Key::of(vm.as_ref())).is_none()));
    vms
}

impl CloudView {
    /// Whether the plan may buy there.
    pub fn is_open(&self) -> bool {
        self.usable && !deleting(self.object.as_ref()) && !is_paused(self.object.as_ref())
    }
}

fn unread(state: &State, namespace: &str) -> Vec<UnreadVm> {
    let all = state.stores.vms.unknown();
    let mut here: Vec<UnreadVm> =
        all.iter().filter(|vm| vm.key.namespace == namespace).map(|vm| UnreadVm::of(vm)).collect();
    here.sort();
    here
}

fn sorted<K: Resource>(mut objects: Vec<Arc<K>>) -> Vec<Arc<K>> {
    objects.sort_by(|a, b| a.meta().name.cmp(&b.meta().name));
    objects
}
