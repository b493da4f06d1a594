//! The operator's clock: the only place that asks the machine for the time.
//!
//! Two kinds of time. *Steady* time only says how long something took: pauses, time-outs and intervals use it, and so does
//! everything that is forgotten at a restart. It is Tokio's, which tests can pause. *Wall* time is for what is written down or was
//! written down by others: creation times, deadlines that outlive a restart. It is asked of this clock.
//!
//! Wall time follows the machine's clock slowly, by at most one second a minute: a machine whose clock jumps an hour forward would
//! otherwise take every booting VM for late, and one whose clock jumps back would stop everything for an hour.

use std::{
    fmt,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Wall time corrects this part of the steady time that passed: one second a minute.
const FOLLOWS: i32 = 60;

/// What a machine's two clocks show at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The date.
    pub wall: Timestamp,
    /// Time since some moment that stays the same; it never goes back.
    pub steady: Duration,
}

/// The clock.
#[derive(Clone)]
pub struct Clock(Arc<Inner>);

struct Inner {
    read: Box<dyn Fn() -> Reading + Send + Sync>,
    /// What was told last.
    told: Mutex<Reading>,
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new(machine)
    }
}

impl Clock {
    /// A clock that is read this way.
    pub fn new(read: impl Fn() -> Reading + Send + Sync + 'static) -> Self {
        let told = Mutex::new(read());
        Self(Arc::new(Inner { read: Box::new(read), told }))
    }

    /// Wall time.
    pub fn now(&self) -> Timestamp {
        let mut told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        let read = (self.0.read)();
        let passed = SignedDuration::try_from(read.steady.saturating_sub(told.steady)).unwrap_or_default();
        let steady = told.wall.saturating_add(passed).unwrap_or(told.wall);
        let most = passed / FOLLOWS;
        let wrong = read.wall.duration_since(steady).clamp(-most, most);
        *told = Reading { wall: steady.saturating_add(wrong).unwrap_or(steady), steady: read.steady.max(told.steady) };
        told.wall
    }
}

/// The machine's clocks. Tokio's is the steady one, so that tests may pause it.
#[allow(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
fn machine() -> Reading {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let start = *START;
    Reading { wall: Timestamp::now(), steady: start.elapsed() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock, and the hands that move it: date and steady time, in seconds.
    fn by_hand() -> (Clock, Arc<Mutex<(i64, u64)>>) {
        let hands = Arc::new(Mutex::new((1_000_000, 0)));
        let read = hands.clone();
        let clock = Clock::new(move || {
            let (wall, steady) = *read.lock().unwrap();
            Reading { wall: Timestamp::from_second(wall).unwrap(), steady: Duration::from_secs(steady) }
        });
        (clock, hands)
    }

    #[test]
    fn wall_time_goes_as_steady_time_goes() {
        let (clock, hands) = by_hand();
        *hands.lock().unwrap() = (1_000_060, 60);
        assert_eq!(clock.now().as_second(), 1_000_060);
    }

    #[test]
    fn a_jump_of_an_hour_forward_or_back_moves_wall_time_by_a_second_a_minute() {
        for jump in [3_600, -3_600] {
            let (clock, hands) = by_hand();
            for minute in 1..=10 {
                *hands.lock().unwrap() = (1_000_000 + jump + 60 * minute, 60 * minute.cast_unsigned());
                let told = clock.now().as_second() - 1_000_000 - 60 * minute;
                assert_eq!(told, minute * jump.signum(), "after {minute} minutes");
            }
        }
    }

    #[test]
    fn wall_time_never_goes_back() {
        let (clock, hands) = by_hand();
        let before = clock.now();
        *hands.lock().unwrap() = (0, 0);
        assert!(clock.now() >= before);
    }
}
