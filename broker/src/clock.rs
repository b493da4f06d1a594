//! The clock, of the broker and of the operator: the only place that asks the machine for the time.
//!
//! Two kinds of time. *Steady* time only says how long something took: pauses, time-outs and intervals use it, and so does
//! everything that is forgotten at a restart. It is Tokio's, which a test can pause: [`moment`]. *Wall* time is for what is written
//! down, or was written down by another process: creation times, deadlines that outlive a restart. A [`Clock`] tells it.
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
    /// What the machine takes for the date. It may jump.
    pub wall: Timestamp,
    /// Time since some moment that stays the same; it never goes back.
    pub steady: Duration,
}

/// A clock of wall time. Clones of it tell the same time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The machine's clock, followed slowly.
    pub fn system() -> Self {
        Self::following(machine)
    }

    /// A clock that follows slowly what `read` shows.
    pub fn following(read: impl Fn() -> Reading + Send + Sync + 'static) -> Self {
        let told = Mutex::new(read());
        Self(Arc::new(move || {
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            *told = follow(*told, read());
            told.wall
        }))
    }

    /// A clock that tells at once whatever `wall` says: for simulated time.
    pub fn driven(wall: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(wall))
    }

    /// Wall time.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// What is told next: what was told last and the steady time since, corrected towards what the machine shows.
fn follow(told: Reading, read: Reading) -> Reading {
    let passed = SignedDuration::try_from(read.steady.saturating_sub(told.steady)).unwrap_or_default();
    let steady = told.wall.saturating_add(passed).unwrap_or(told.wall);
    let most = passed / FOLLOWS;
    let wrong = read.wall.duration_since(steady).clamp(-most, most);
    Reading { wall: steady.saturating_add(wrong).unwrap_or(steady), steady: read.steady.max(told.steady) }
}

/// The machine's clocks. Tokio's is the steady one, so that a test can pause it.
#[allow(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
fn machine() -> Reading {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let start = *START;
    Reading { wall: Timestamp::now(), steady: start.elapsed() }
}

/// The present moment, for pauses and time-outs.
pub fn moment() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock, and the hands that move it: date and steady time, in seconds.
    fn by_hand() -> (Clock, Arc<Mutex<(i64, u64)>>) {
        let hands = Arc::new(Mutex::new((1_000_000, 0)));
        let read = hands.clone();
        let clock = Clock::following(move || {
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

    #[test]
    fn a_clone_tells_the_same_time() {
        let (clock, hands) = by_hand();
        let clone = clock.clone();
        *hands.lock().unwrap() = (1_003_600, 60);
        assert_eq!(clock.now(), clone.now());
    }

    #[test]
    fn simulated_time_is_told_at_once() {
        let hand = Arc::new(Mutex::new(0));
        let read = hand.clone();
        let clock = Clock::driven(move || Timestamp::from_second(*read.lock().unwrap()).unwrap());
        *hand.lock().unwrap() = 3_600;
        assert_eq!(clock.now().as_second(), 3_600);
    }
}
