//! What every loop is given: what is known ([`State`]), and the hands with which it acts.

use std::sync::Arc;

use crds::PilotVM;
use tokio::sync::watch;

use crate::{
    api::{Api, Events, Stores},
    args::Run,
    bells::Bells,
    clock::Clock,
    known::{Registry, cloud, expectations::Expectations, installation, memory::Memory, numbers::Numbers},
    life,
    metrics::Metrics,
    names::Key,
};

/// What is known: the objects, and what is remembered beside them. It has no client, so that a test can build it.
#[derive(Default)]
pub struct State {
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
    /// UID of the `kube-system` namespace: it says whose VMs are ours.
    pub cluster: String,
}

impl State {
    /// Which object says that nothing is made or taken away for this PilotVM.
    pub fn paused_by(&self, vm: &PilotVM) -> Option<String> {
        let key = Key::of(vm);
        life::paused_by(
            self.stores.installations.get(&key.beside(&vm.spec.installation_ref.name)).as_deref(),
            self.stores.clouds.get(&key.beside(&vm.spec.cloud_ref.name)).as_deref(),
            self.stores.pools.get(&key.beside(&vm.spec.pool_ref.name)).as_deref(),
        )
    }
}

/// What every loop is given.
pub struct Context {
    /// What is known.
    pub state: State,
    /// The command line.
    pub args: Run,
    /// Reads and writes single objects.
    pub api: Api,
    /// Events.
    pub events: Events,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Who is told that there is news.
    pub bells: Bells,
    /// The time.
    pub clock: Clock,
    /// Whether every store was filled once.
    pub filled: watch::Sender<bool>,
}

impl Context {
    /// Whether every store was filled once.
    pub fn is_ready(&self) -> bool {
        *self.filled.borrow()
    }

    /// Waits until every store was filled once.
    pub async fn stores_ready(&self) {
        // The sender lives in the context itself: it cannot be gone.
        let _ = self.filled.subscribe().wait_for(|filled| *filled).await;
    }
}
