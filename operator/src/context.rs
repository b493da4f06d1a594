//! What every part of the operator shares: the client, the stores, and what is known of clouds and installations.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, RwLock},
};

use crds::{Cloud, DiracInstallation, Downtime, PilotPool, PilotVM, Site, VirtualOrganization};
use kube::Client;
use tokio::sync::{Notify, broadcast, watch};

use crate::{
    args::Run,
    cloud,
    events::Events,
    installation,
    names::{Key, Numbers},
    round::Expectations,
    serve::Metrics,
    vm::Memory,
    watch::Objects,
};

/// The stores, one a kind.
#[derive(Clone)]
pub struct Stores {
    /// Installations.
    pub installations: Objects<DiracInstallation>,
    /// VOs.
    pub vos: Objects<VirtualOrganization>,
    /// Sites.
    pub sites: Objects<Site>,
    /// Clouds.
    pub clouds: Objects<Cloud>,
    /// Pools.
    pub pools: Objects<PilotPool>,
    /// VMs.
    pub vms: Objects<PilotVM>,
    /// Downtimes.
    pub downtimes: Objects<Downtime>,
}

/// Handles that live as long as the operator, made when first asked for.
pub struct Registry<H>(RwLock<HashMap<Key, Arc<H>>>);

impl<H> Default for Registry<H> {
    fn default() -> Self {
        Self(RwLock::new(HashMap::new()))
    }
}

impl<H: Default> Registry<H> {
    /// The handle of this object.
    pub fn get(&self, key: &Key) -> Arc<H> {
        if let Some(handle) = self.0.read().ok().and_then(|map| map.get(key).cloned()) {
            return handle;
        }
        match self.0.write() {
            Ok(mut map) => map.entry(key.clone()).or_default().clone(),
            Err(_) => Arc::default(),
        }
    }

    /// Forgets the handles that `keep` does not name.
    pub fn retain(&self, keep: impl Fn(&Key) -> bool) {
        if let Ok(mut map) = self.0.write() {
            map.retain(|key, _| keep(key));
        }
    }
}

/// What every part shares.
pub struct Context {
    /// The command line.
    pub args: Run,
    /// The API server.
    pub client: Client,
    /// The objects.
    pub stores: Stores,
    /// What is known of clouds.
    pub clouds: Registry<cloud::Handle>,
    /// What is known of installations.
    pub installations: Registry<installation::Handle>,
    /// What is known of single VMs and stands nowhere else.
    pub memory: Memory,
    /// PilotVMs that were made and have not come back through the watch.
    pub expectations: Expectations,
    /// Names of PilotVMs.
    pub numbers: Numbers,
    /// Events.
    pub events: Events,
    /// Metrics.
    pub metrics: Metrics,
    /// UID of the `kube-system` namespace: whose VMs are ours.
    pub cluster: String,
    /// PilotVMs to look at now.
    pub wake: broadcast::Sender<Key>,
    /// Something changed that a status might show.
    pub dirty: Notify,
    /// The set or spec of clouds changed.
    pub reshaped_clouds: Notify,
    /// The set or spec of installations changed.
    pub reshaped_installations: Notify,
    /// Whether every store was filled once.
    pub filled: watch::Sender<bool>,
}

impl Context {
    /// Whether every store was filled once.
    pub fn is_ready(&self) -> bool {
        *self.filled.borrow()
    }

    /// Has a PilotVM looked at now.
    pub fn wake(&self, vm: &PilotVM) {
        // Nobody listens on a replica that does not lead.
        let _ = self.wake.send(Key::of(vm));
    }

    /// The PilotVMs that `belong`.
    pub fn vms_where(&self, belong: impl Fn(&PilotVM) -> bool) -> Vec<Arc<PilotVM>> {
        self.stores.vms.all().into_iter().filter(|vm| belong(vm)).collect()
    }
}

/// A set behind a lock that cannot fail to be taken.
#[derive(Debug)]
pub struct Shared<K, V>(Mutex<HashMap<K, V>>);

impl<K, V> Default for Shared<K, V> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Eq + Hash, V> Shared<K, V> {
    /// Works on the map.
    pub fn with<T: Default>(&self, work: impl FnOnce(&mut HashMap<K, V>) -> T) -> T {
        self.0.lock().map(|mut map| work(&mut map)).unwrap_or_default()
    }
}
