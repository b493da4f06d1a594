//! A cloud in memory: a driver like the others, with a quota, a capacity, a boot time and seeded faults.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::sleep_until,
};

use super::{Clock, SimulatedDirac, config::CloudConfig, faults::Call, machines::State};
use crate::{
    clock::moment,
    cloud::{Cloud, CloudError, Headroom, Limits, Notice, Notices, Offers, Order, Owner, Pace, Vm, Wanted},
};

/// The longest that the driver waits for an answer.
const CALL: Duration = Duration::from_secs(60);

/// Notices that a slow listener has not taken yet; more are lost, as a provider's may be.
const NOTICES: usize = 1_024;

/// The cloud. What it holds ends with the process: nothing of it is real.
pub struct SimulatedCloud {
    pub(super) dirac: Option<SimulatedDirac>,
    clock: Clock,
    pace: Option<Arc<Pace>>,
    state: Mutex<State>,
    pub(super) notices: broadcast::Sender<Notice>,
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

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, moved to the present.
    pub(super) fn now(&self) -> MutexGuard<'_, State> {
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

#[async_trait]
impl Cloud for SimulatedCloud {
    async fn offers(&self, wanted: &Wanted) -> Result<Offers, CloudError> {
        self.call(Call::Offers, |state| Ok(state.config.offers(wanted))).await
    }

    async fn headroom(&self) -> Result<Headroom, CloudError> {
        self.call(Call::Headroom, |state| Ok(state.headroom())).await
    }

    fn asks_for_all(&self) -> bool {
        true
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
            Ok(state.fleet.get(id).map(|machine| machine.vm.clone()))
        })
        .await
    }

    async fn find(&self, owner: &Owner) -> Result<Vec<Vm>, CloudError> {
        self.call(Call::Find, |state| Ok(state.of(owner).into_iter().filter(Vm::is_held).collect())).await
    }

    async fn delete(&self, id: &str) -> Result<(), CloudError> {
        self.call(Call::Delete, |state| {
            if let Some(machine) = state.fleet.remove(id)
                && let Some(dirac) = &self.dirac
            {
                dirac.now().pilot_gone(&machine.pilot);
            }
            Ok(())
        })
        .await
    }

    async fn console(&self, id: &str, max_bytes: usize) -> Result<String, CloudError> {
        self.call(Call::Console, |state| {
            let Some(machine) = state.fleet.get(id) else { return Ok(String::new()) };
            let (pilot, now) = (&machine.pilot, &machine.vm.state);
            Ok(tail(&format!("simulated VM {id}, pilot {pilot}, state {now:?}\n"), max_bytes).to_owned())
        })
        .await
    }

    fn rests(&self) -> Option<Duration> {
        self.pace.as_ref()?.rests(&[Call::Create.action()])
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

    fn limits(&self) -> Limits {
        Limits::WIDEST
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
