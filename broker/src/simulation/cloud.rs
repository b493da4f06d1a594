//! A cloud in memory: a driver like the others, with a quota, a capacity, a boot time and seeded faults.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::sleep_until,
};

use super::{
    Clock, SimulatedDirac,
    faults::{Call, Faults},
    machines::{CLASS, State},
    trouble::{Loss, after},
};
use crate::{
    clock::moment,
    cloud::{
        Choice, Cloud, CloudError, End, Flavor, Gpu, Headroom, Image, Limits as Takes, Notice, Notices, Offer, Offers,
        Order, Owner, Pace, Purchase, Scope, Vm, Wanted,
    },
    plan::Limits,
};

/// The longest that the driver waits for an answer.
const CALL: Duration = Duration::from_secs(60);

/// Notices that a slow listener has not taken yet; more are lost, as a provider's may be.
const NOTICES: usize = 1_024;

/// A flavor of a simulated cloud.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SimulatedFlavor {
    /// Name.
    pub name: String,
    /// Cores.
    pub cores: u32,
    /// Memory in MiB.
    pub ram_mib: u64,
    /// GPUs.
    pub gpus: u32,
    /// Model of the GPUs.
    pub gpu_model: Option<String>,
    /// Price of an hour in millionths.
    pub price_micros: Option<u64>,
}

/// What a simulated cloud is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CloudConfig {
    /// Seed of the faults. It counts when the cloud is made, not when it is changed.
    pub seed: u64,
    /// Flavors.
    pub flavors: Vec<SimulatedFlavor>,
    /// Availability zones; none: orders name none.
    pub zones: Vec<String>,
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
    pace: Option<Arc<Pace>>,
    state: Mutex<State>,
    notices: broadcast::Sender<Notice>,
}

impl SimulatedCloud {
    /// A cloud whose pilots ask `dirac` for work.
    pub fn new(config: CloudConfig, dirac: Option<SimulatedDirac>, clock: Clock) -> Self {
        let state = State::new(config, clock.now());
        Self { dirac, clock, pace: None, state: Mutex::new(state), notices: broadcast::channel(NOTICES).0 }
    }

    /// The same, asked at this pace.
    pub fn at_pace(self, pace: Arc<Pace>) -> Self {
        Self { pace: Some(pace), ..self }
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

    /// The next order that could be carried out suffers this.
    pub fn lose(&self, loss: Loss) {
        self.now().trouble.lose(loss);
    }

    /// Lists lack this VM for a while; it exists.
    pub fn hide(&self, id: &str, pause: Duration) {
        let mut state = self.now();
        let until = after(state.now, pause);
        state.trouble.hide(id, until);
    }

    /// Lists have no VM for a while; they exist.
    pub fn hide_all(&self, pause: Duration) {
        let mut state = self.now();
        let until = after(state.now, pause);
        state.trouble.hide_all(until);
    }

    /// Calls get no answer for a while, and do nothing.
    pub fn hang(&self, pause: Duration) {
        self.now().trouble.hangs_until = Some(moment() + pause);
    }

    /// Calls are refused for a while, with the time that is left of it.
    pub fn throttle(&self, pause: Duration) {
        self.now().trouble.throttles_until = Some(moment() + pause);
    }

    /// Refuses from now on whatever has the same offer, zone, class or cloud as `like`.
    pub fn refuse(&self, scope: Scope, like: Choice) {
        self.now().trouble.refuse(scope, like);
    }

    /// Refuses nothing any more.
    pub fn relent(&self) {
        self.now().trouble.relent();
    }

    /// Makes another VM of the order's owner, as an order does that was sent twice; its id. An error where the order cannot be had.
    pub fn twin(&self, order: &Order) -> Result<String, CloudError> {
        let mut state = self.now();
        let (flavor, choice) = state.admit(order)?;
        Ok(state.make(order, flavor, choice).id)
    }

    /// The provider takes a VM back.
    pub fn reclaim(&self, id: &str) {
        let mut state = self.now();
        let (now, mut world) = (state.now, self.dirac.as_ref().map(SimulatedDirac::now));
        if let Some(machine) = state.vms.get_mut(id) {
            machine.reclaim(now, world.as_deref_mut());
        }
    }

    /// The provider announces something about a VM.
    pub fn announce(&self, notice: Notice) {
        // Nobody may listen.
        let _ = self.notices.send(notice);
    }

    /// A VM stops by itself.
    pub fn power_off(&self, id: &str) {
        let mut state = self.now();
        let mut world = self.dirac.as_ref().map(SimulatedDirac::now);
        if let Some(machine) = state.vms.get_mut(id) {
            machine.end(End::PoweredOff, world.as_deref_mut());
        }
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
        state.advance(self.clock.now(), self.dirac.as_ref());
        state.announced.drain(..).for_each(|notice| self.announce(notice));
        state
    }

    /// A call as its caller knows it: it waits for its turn, the request travels, the cloud acts or fails, and the answer travels.
    async fn call<T: Send>(
        &self,
        call: Call,
        act: impl FnOnce(&mut State) -> Result<T, CloudError> + Send,
    ) -> Result<T, CloudError> {
        let turn = match &self.pace {
            Some(pace) => Some(pace.turn("simulated", call.action()).await?),
            None => None,
        };
        let hangs_until = self.locked().trouble.hangs_until.filter(|until| *until > moment());
        if let Some(until) = hangs_until {
            let patience = moment() + CALL;
            sleep_until(until.min(patience)).await;
            if until > patience {
                if let Some(turn) = turn {
                    turn.unanswered();
                }
                return Err(CloudError::Transient("simulated: there is no answer".to_owned()));
            }
        }
        let way = self.locked().config.faults.latency / 2;
        travel(way).await;
        let answer = {
            let mut state = self.now();
            state.fault(call).and_then(|()| act(&mut state))
        };
        travel(way).await;
        if let Some(turn) = turn {
            turn.answered(answer.as_ref().err());
        }
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

impl CloudConfig {
    fn offers(&self, wanted: &Wanted) -> Offers {
        let zones: Vec<Option<String>> = match self.zones.as_slice() {
            [] => vec![None],
            zones => zones.iter().cloned().map(Some).collect(),
        };
        let mut offers = Offers::default();
        for simulated in &self.flavors {
            let flavor = Flavor {
                name: simulated.name.clone(),
                cores: simulated.cores,
                ram_mib: simulated.ram_mib,
                gpu: Gpu::whole(simulated.gpus, simulated.gpu_model.clone()),
                ..Flavor::default()
            };
            if !wanted.suits(&flavor, Purchase::OnDemand) {
                continue;
            }
            offers.offers.extend(zones.iter().map(|zone| Offer {
                flavor: flavor.name.clone(),
                zone: zone.clone(),
                purchase: Purchase::OnDemand,
                price_micros: simulated.price_micros,
                quota_class: CLASS.to_owned(),
            }));
            offers.flavors.push(flavor);
        }
        let image = |name: &String| (name.clone(), Image { id: name.clone(), ..Image::default() });
        offers.images = self.images.iter().map(image).collect();
        offers
    }
}

#[async_trait]
impl Cloud for SimulatedCloud {
    async fn offers(&self, wanted: &Wanted) -> Result<Offers, CloudError> {
        self.call(Call::Offers, |state| Ok(state.config.offers(wanted))).await
    }

    async fn headroom(&self) -> Result<Headroom, CloudError> {
        self.call(Call::Headroom, |state| Ok(state.headroom())).await
    }

    async fn create(&self, order: &Order) -> Result<Vm, CloudError> {
        self.call(Call::Create, |state| state.create(order)).await
    }

    async fn list(&self, cluster: &str) -> Result<Vec<Vm>, CloudError> {
        self.call(Call::List, |state| Ok(state.listed(cluster))).await
    }

    async fn get(&self, id: &str) -> Result<Option<Vm>, CloudError> {
        self.call(Call::Get, |state| {
            if state.strangers.iter().any(|stranger| stranger == id) {
                return Err(CloudError::Invalid(format!("the VM {id} is somebody else's")));
            }
            Ok(state.vms.get(id).map(|machine| machine.vm.clone()))
        })
        .await
    }

    async fn find(&self, owner: &Owner) -> Result<Vec<Vm>, CloudError> {
        self.call(Call::Find, |state| Ok(state.of(owner).into_iter().filter(Vm::is_held).collect())).await
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

    fn settle(&self) -> Duration {
        Duration::from_secs(self.locked().config.faults.list_lag)
    }

    fn notices(&self) -> Notices {
        stream::unfold(self.notices.subscribe(), |mut notices| async move {
            loop {
                match notices.recv().await {
                    Ok(notice) => return Some((notice, notices)),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        })
        .boxed()
    }

    fn limits(&self) -> Takes {
        Takes::WIDEST
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
