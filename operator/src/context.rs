//! What every loop is given: what is known ([`State`]), and the hands with which it acts.

use std::sync::Arc;

use broker::{
    clock::Clock,
    cloud::Budget,
    experience::{Lessons, measures::Measures},
    pilot::user_data::Verdicts,
};
use crds::PilotVM;

use crate::{
    api::{Api, Events, Stores},
    args::Run,
    bells::Bells,
    errands::Errands,
    known::{
        Registry, Shared, change::Brakes, cloud, expectations::Expectations, familiar::Familiar,
        identities::Identities, installation, intents::Intents, memory::Memory, numbers::Numbers, paces::Paces,
        secrets::Secrets,
    },
    life,
    metrics::Metrics,
    names::Key,
    progress::Progress,
};

/// What is known: the objects, and what is remembered beside them. It has no client, so that a test can build it.
#[derive(Default)]
pub struct State {
    /// The objects.
    pub stores: Stores,
    pub clouds: Registry<cloud::Handle>,
    pub installations: Registry<installation::Handle>,
    /// What the VMs of each installation have shown.
    pub lessons: Shared<Key, Lessons>,
    /// How long its VMs boot and its jobs run.
    pub measures: Shared<Key, Measures>,
    /// What is held back in each installation's pools until a person agrees.
    pub brakes: Shared<Key, Brakes>,
    /// PilotVMs of each installation that ended since its last round: some are gone before the next one looks.
    pub ended: Shared<Key, Vec<PilotVM>>,
    /// What is known of single VMs and stands nowhere else.
    pub memory: Memory,
    /// PilotVMs that were made and have not come back through the watch.
    pub expectations: Expectations,
    /// PilotVMs that rounds have decided to make.
    pub intents: Intents,
    /// What was last seen of the Secrets that objects name.
    pub secrets: Secrets,
    /// Names of PilotVMs.
    pub numbers: Numbers,
    /// How fast providers are asked.
    pub paces: Paces,
    /// Identities at OpenID providers.
    pub identities: Identities,
    /// Room for what providers answer: each namespace has its part.
    pub answers: Budget,
    /// PilotVMs that were seen, by UID.
    pub familiar: Familiar,
    /// What is known of user-data templates.
    pub templates: Arc<Verdicts>,
    /// The cluster's id, which says whose VMs are ours: the one that was given, or the UID of the namespace `kube-system`.
    pub cluster: String,
}

impl State {
    /// Which object says that nothing is made or taken away for this PilotVM.
    pub fn paused_by(&self, vm: &PilotVM) -> Option<String> {
        let key = Key::of(vm);
        life::paused_by(
            self.stores.installations.get(&key.beside(&vm.spec.installation_ref.name)).as_deref(),
            self.stores.pools.get(&key.beside(&vm.spec.pool_ref.name)).as_deref(),
            self.stores.clouds.get(&key.beside(&vm.spec.cloud_ref.name)).as_deref(),
        )
    }
}

/// What every loop is given.
pub struct Context {
    pub state: State,
    /// The command line.
    pub args: Run,
    /// Reads and writes single objects.
    pub api: Api,
    pub events: Events,
    pub metrics: Arc<Metrics>,
    /// Who is told that there is news.
    pub bells: Bells,
    /// Calls that are not cut off, and whether the operator is to stop.
    pub errands: Arc<Errands>,
    /// Whether each loop turns.
    pub progress: Progress,
    pub clock: Clock,
}

#[cfg(test)]
impl Context {
    /// What a loop is given in a test: this client and these facts.
    pub fn of(client: kube::Client, state: State) -> Self {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            run: Run,
        }
        let (metrics, clock) = (Arc::<Metrics>::default(), Clock::default());
        Self {
            events: Events::new(client.clone(), clock.clone()),
            api: Api::new(client, metrics.clone()),
            args: <Line as clap::Parser>::parse_from(["test"]).run,
            state,
            metrics,
            bells: Bells::default(),
            clock,
            errands: Default::default(),
            progress: Default::default(),
        }
    }
}
