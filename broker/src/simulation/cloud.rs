//! A cloud in memory: a driver like the others, with a quota, a capacity, a boot time and seeded faults.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use super::{
    Clock, SimulatedDirac,
    faults::{Call, Faults},
    machines::State,
};
use crate::{
    cloud::{Catalogue, Cloud, CloudError, Flavor, Order, Owner, Vm},
    plan::Limits,
};

/// A flavor of a simulated cloud.
pub type SimulatedFlavor = Flavor;

/// What a simulated cloud is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CloudConfig {
    /// Seed of the faults. It counts when the cloud is made, not when it is changed.
    pub seed: u64,
    /// Flavors.
    pub flavors: Vec<SimulatedFlavor>,
    /// How many VMs of a flavor fit at once, by the flavor's name; any number of a flavor that is not named.
    pub capacity: BTreeMap<String, u64>,
    /// Images by name, which is also their id; any name is found when this is empty.
    pub images: Vec<String>,
    /// The quota.
    pub quota: Limits,
    /// Seconds from the order to the pilot's first request.
    pub boot_seconds: u64,
    /// What goes wrong.
    pub faults: Faults,
}

/// The cloud. What it holds ends with the process: nothing of it is real.
pub struct SimulatedCloud {
    dirac: Option<SimulatedDirac>,
    clock: Clock,
    state: Mutex<State>,
}

impl SimulatedCloud {
    /// A cloud whose pilots ask `dirac` for work.
    pub fn new(config: CloudConfig, dirac: Option<SimulatedDirac>, clock: Clock) -> Self {
        let state = State::new(config, clock());
        Self { dirac, clock, state: Mutex::new(state) }
    }

    /// Changes what the cloud is; its VMs stay, and so does the chance that the seed gave.
    pub fn configure(&self, config: CloudConfig) {
        self.now().config = config;
    }

    /// The next call fails with this error and does nothing.
    pub fn fail_next(&self, error: CloudError) {
        self.now().script.push(None, error);
    }

    /// The next call of this kind fails with this error and does nothing; calls of other kinds are not touched.
    pub fn fail_next_call(&self, call: Call, error: CloudError) {
        self.now().script.push(Some(call), error);
    }

    /// Puts a VM into the project that is not ours; its id.
    pub fn add_stranger(&self) -> String {
        let mut state = self.now();
        let id = format!("stranger-{}", state.next_id());
        state.strangers.push(id.clone());
        id
    }

    /// Whether the stranger is still there.
    pub fn has_stranger(&self, id: &str) -> bool {
        self.now().strangers.iter().any(|s| s == id)
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, moved to the present.
    fn now(&self) -> MutexGuard<'_, State> {
        let mut state = self.locked();
        state.advance((self.clock)(), self.dirac.as_ref());
        state
    }

    /// A call as its caller knows it: the request travels, the cloud acts or fails, and the answer travels.
    async fn call<T: Send>(
        &self,
        call: Call,
        act: impl FnOnce(&mut State) -> Result<T, CloudError> + Send,
    ) -> Result<T, CloudError> {
        let way = self.locked().config.faults.latency / 2;
        travel(way).await;
        let answer = {
            let mut state = self.now();
            state.fault(call).and_then(|()| act(&mut state))
        };
        travel(way).await;
        answer
    }
}

async fn travel(way: Duration) {
    if !way.is_zero() {
        tokio::time::sleep(way).await;
    }
}

/// The last part of a text that has at most `max_bytes`, cut between characters.
fn tail(text: &str, max_bytes: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(max_bytes))..]
}

#[async_trait]
impl Cloud for SimulatedCloud {
    async fn catalogue(&self) -> Result<Catalogue, CloudError> {
        self.call(Call::Catalogue, |state| {
            let images = state.config.images.iter().map(|i| (i.clone(), i.clone())).collect();
            Ok(Catalogue {
                flavors: state.config.flavors.clone(),
                quota: state.quota(),
                images,
                ..Catalogue::default()
            })
        })
        .await
    }

    async fn create(&self, order: &Order) -> Result<Vm, CloudError> {
        self.call(Call::Create, |state| state.create(order)).await
    }

    async fn list(&self, cluster: &str) -> Result<Vec<Vm>, CloudError> {
        self.call(Call::List, |state| Ok(state.listed(cluster))).await
    }

    async fn find(&self, owner: &Owner) -> Result<Vec<Vm>, CloudError> {
        self.call(Call::Find, |state| Ok(state.of(owner).into_iter().collect())).await
    }

    async fn delete(&self, id: &str) -> Result<(), CloudError> {
        self.call(Call::Delete, |state| {
            if let Some(machine) = state.vms.remove(id)
                && let Some(dirac) = &self.dirac
            {
                dirac.now().pilot_gone(&machine.pilot.reference);
            }
            Ok(())
        })
        .await
    }

    async fn console(&self, id: &str, max_bytes: usize) -> Result<String, CloudError> {
        self.call(Call::Console, |state| {
            let Some(machine) = state.vms.get(id) else { return Ok(String::new()) };
            let (pilot, now) = (&machine.pilot.reference, &machine.vm.state);
            Ok(tail(&format!("simulated VM {id}, pilot {pilot}, state {now:?}\n"), max_bytes).to_owned())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::tail;

    #[test]
    fn the_end_of_a_text_is_kept_and_no_character_is_cut() {
        for (max_bytes, kept) in [(0, ""), (1, "t"), (3, "est"), (4, "est"), (5, "èest"), (7, "trèest"), (99, "trèest")]
        {
            assert_eq!(tail("trèest", max_bytes), kept, "{max_bytes} bytes");
        }
    }
}
