//! The pace of what is sent to one cloud: below a rate that it bears, silent for as long as it asks, and never many calls at a cloud that
//! does not answer.
//!
//! Each service and class of action has a lane of its own: a Glance that is overrun does not silence Nova, and creates do not use up the
//! lists' share. A lane's rate is halved when it is throttled and grows back slowly (additive increase, multiplicative decrease).
//! Nobody waits long here: where a turn is far away the caller hears [`CloudError::Throttled`] at once, and comes back then.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until, timeout},
};

use crate::{clock::moment, cloud::CloudError};

/// The longest that a caller waits for its turn.
const PATIENCE: Duration = Duration::from_secs(2);
/// Calls of a class that may be under way at once.
const IN_FLIGHT: usize = 8;
/// The shortest silence after a throttling that names no usable time. Each further one doubles it.
const SHORTEST_SILENCE: Duration = Duration::from_secs(1);
/// The longest silence that nobody asked for.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);
/// After this many calls in a row without any answer the lane is silent for a while.
const UNANSWERED: u32 = 5;
/// The first silence of such a lane.
const UNANSWERED_SILENCE: Duration = Duration::from_secs(5);
/// The slowest rate, in calls a second.
const SLOWEST: f64 = 0.2;
/// The part of the full rate that a call that went well gives back.
const GROWTH: f64 = 0.02;

/// How fast a provider may be asked, in each class of action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second in the long run.
    pub per_second: NonZeroU32,
    /// Requests at once after a pause.
    pub burst: NonZeroU32,
}

impl Default for Rate {
    fn default() -> Self {
        let (per_second, burst) = (NonZeroU32::MIN.saturating_add(9), NonZeroU32::MIN.saturating_add(19));
        Self { per_second, burst }
    }
}

/// Classes of calls. Each has a rate of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Orders a VM.
    Create,
    /// Takes one away.
    Delete,
    /// Lists our VMs.
    List,
    /// Looks at one VM, or at one other thing.
    Look,
    /// Reads what is on offer.
    Catalogue,
}

impl Action {
    /// Whether its caller holds a place that others wait for: then it does not queue for its turn.
    fn is_pressing(self) -> bool {
        matches!(self, Self::Create | Self::Delete)
    }
}

/// A pace that all who send to one cloud keep together.
pub struct Pace {
    /// Calls under way, by action.
    in_flight: [Arc<Semaphore>; 5],
    state: Mutex<State>,
}

struct State {
    rate: Rate,
    lanes: HashMap<(String, Action), Lane>,
    /// Services that named a time: all lanes of theirs are silent until then.
    services: HashMap<String, Instant>,
}

struct Lane {
    /// Calls a second now.
    rate: f64,
    /// When the calls so far would have been spread evenly (the "theoretical arrival time" of the generic cell rate algorithm).
    spread: Instant,
    silent_until: Instant,
    /// The last silence that was not asked for.
    silence: Duration,
    unanswered: u32,
}

/// A turn; the call counts as under way until it is dropped.
pub struct Turn<'a> {
    pace: &'a Pace,
    lane: (String, Action),
    _permit: OwnedSemaphorePermit,
}

impl Pace {
    /// A pace at this rate, with nothing sent yet.
    pub fn new(rate: Rate) -> Self {
        let in_flight = std::array::from_fn(|_| Arc::new(Semaphore::new(IN_FLIGHT)));
        let state = State { rate, lanes: HashMap::new(), services: HashMap::new() };
        Self { in_flight, state: Mutex::new(state) }
    }

    /// Another rate from now on. What the cloud has said stays: silences, and lanes that it made slower.
    pub fn adjust(&self, rate: Rate) {
        let mut state = self.locked();
        let (before, full) = (f64::from(state.rate.per_second.get()), f64::from(rate.per_second.get()));
        for lane in state.lanes.values_mut() {
            lane.rate = if lane.rate < before { lane.rate.min(full) } else { full };
        }
        state.rate = rate;
    }

    /// Whether it keeps a silence now.
    pub fn is_silent(&self) -> bool {
        let (now, state) = (moment(), self.locked());
        state.services.values().any(|until| *until > now) || state.lanes.values().any(|lane| lane.silent_until > now)
    }

    /// For how long nothing is sent of what takes one of these actions, at the services that were asked for such before; `None`: calls go
    /// out now, or in a moment.
    pub fn rests(&self, actions: &[Action]) -> Option<Duration> {
        let (now, state) = (moment(), self.locked());
        let lanes = state.lanes.iter().filter(|((_, action), _)| actions.contains(action));
        let until =
            lanes.flat_map(|((service, _), lane)| [Some(lane.silent_until), state.services.get(service).copied()]);
        let left = until.flatten().max()?.saturating_duration_since(now);
        (left > PATIENCE).then_some(left)
    }

    /// Waits a moment for a turn at this service; [`CloudError::Throttled`] where it is far away.
    pub async fn turn(&self, service: &str, action: Action) -> Result<Turn<'_>, CloudError> {
        let lane = (service.to_owned(), action);
        // A silence is said before anybody queues.
        self.silence(&lane)?;
        let semaphore = self.in_flight[action as usize].clone();
        let busy = || throttled(format!("{IN_FLIGHT} calls like this one are under way at this cloud"), PATIENCE);
        let permit = timeout(PATIENCE, semaphore.acquire_owned()).await.map_err(|_| busy())?.map_err(|_| busy())?;
        sleep_until(self.place(&lane)?).await;
        // Whoever waited may have been told to be silent meanwhile.
        while let Some(until) = self.silence(&lane)? {
            sleep_until(until).await;
        }
        Ok(Turn { pace: self, lane, _permit: permit })
    }

    /// When a silence ends that lasts now; an error where that is far away.
    fn silence(&self, key: &(String, Action)) -> Result<Option<Instant>, CloudError> {
        let now = moment();
        let mut state = self.locked();
        let service = state.services.get(&key.0).copied();
        let lane = state.lane(key, now);
        let until = service.map_or(lane.silent_until, |s| s.max(lane.silent_until));
        let left = until.saturating_duration_since(now);
        if left > PATIENCE {
            return Err(resting(&key.0, left));
        }
        Ok((!left.is_zero()).then_some(until))
    }

    /// Takes a place in the lane: the moment of its turn. An error where that is far away and its caller must not wait.
    fn place(&self, key: &(String, Action)) -> Result<Instant, CloudError> {
        let now = moment();
        let mut state = self.locked();
        let rate = state.rate;
        let lane = state.lane(key, now);
        let interval = Duration::from_secs_f64(1.0 / lane.rate);
        // A slower lane has a smaller burst.
        let burst = f64::from(rate.burst.get()) * lane.rate / f64::from(rate.per_second.get());
        let spread = lane.spread.max(now) + interval;
        let turn = spread.checked_sub(interval.mul_f64(burst.max(1.0))).unwrap_or(now).max(now);
        let left = turn - now;
        if key.1.is_pressing() && left > PATIENCE {
            return Err(throttled(format!("the pace of this cloud leaves no turn for {} s", left.as_secs()), left));
        }
        lane.spread = spread;
        Ok(turn)
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error of a call that is not made, since nothing is sent to `whom` for so long.
pub fn resting(whom: &str, left: Duration) -> CloudError {
    let seconds = left.as_secs();
    throttled(format!("nothing is sent to {whom} for {seconds} s: it asked for silence or does not answer"), left)
}

fn throttled(message: String, left: Duration) -> CloudError {
    CloudError::Throttled { message, retry_after: Some(left) }
}

impl State {
    fn lane(&mut self, key: &(String, Action), now: Instant) -> &mut Lane {
        let full = f64::from(self.rate.per_second.get());
        self.lanes.entry(key.clone()).or_insert_with(|| Lane {
            rate: full,
            spread: now,
            silent_until: now,
            silence: Duration::ZERO,
            unanswered: 0,
        })
    }
}

impl Lane {
    /// Begins a silence twice as long as the last, unless there is one: calls that went out together count once.
    fn silence(&mut self, shortest: Duration, now: Instant) {
        if now >= self.silent_until {
            self.silence = (self.silence * 2).clamp(shortest, LONGEST_SILENCE);
            self.silent_until = now + self.silence;
        }
    }
}

impl Turn<'_> {
    /// The cloud answered this call: with success, or with an error that may slow the lane down.
    pub fn answered(self, error: Option<&CloudError>) {
        let now = moment();
        let mut state = self.pace.locked();
        let full = f64::from(state.rate.per_second.get());
        let lane = state.lane(&self.lane, now);
        lane.unanswered = 0;
        let Some(CloudError::Throttled { retry_after, .. }) = error else {
            lane.silence = Duration::ZERO;
            lane.rate = (lane.rate + full * GROWTH).min(full);
            return;
        };
        if now >= lane.silent_until {
            lane.rate = (lane.rate / 2.0).max(SLOWEST);
        }
        match retry_after {
            Some(asked) if *asked >= SHORTEST_SILENCE => {
                lane.silent_until = lane.silent_until.max(now + *asked);
                let service = state.services.entry(self.lane.0.clone()).or_insert(now);
                *service = (*service).max(now + *asked);
            }
            Some(_) | None => lane.silence(SHORTEST_SILENCE, now),
        }
    }

    /// No answer came.
    pub fn unanswered(self) {
        let now = moment();
        let mut state = self.pace.locked();
        let lane = state.lane(&self.lane, now);
        lane.unanswered = lane.unanswered.saturating_add(1);
        if lane.unanswered >= UNANSWERED {
            lane.silence(UNANSWERED_SILENCE, now);
        }
    }
}

#[cfg(test)]
#[path = "pace_tests.rs"]
mod tests;
