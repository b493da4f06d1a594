//! Turns to write down why PilotVMs wait. A provider or DIRAC that does not answer holds up all of its PilotVMs at the same moment, perhaps
//! thousands. Each says so in its status, and the API server has work of others to do meanwhile.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Two are this far apart.
const APART: Duration = Duration::from_millis(50);
/// Nobody waits longer for a turn.
const LONGEST: Duration = Duration::from_secs(10);

/// The turns of the PilotVMs of one cloud.
#[derive(Debug, Default)]
pub struct Turns(Mutex<Option<Instant>>);

impl Turns {
    /// The next turn, which is the caller's; `None` where it is far away.
    pub fn take(&self, now: Instant) -> Option<Instant> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = last.map_or(now, |last| now.max(last + APART));
        if next > now + LONGEST {
            return None;
        }
        *last = Some(next);
        Some(next)
    }
}

/// After how long a PilotVM for which there was no turn looks for another: within a minute, not all of them at once.
pub fn again(uid: &str) -> Duration {
    let mut hasher = DefaultHasher::new();
    uid.hash(&mut hasher);
    LONGEST + Duration::from_millis(hasher.finish() % 50_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_apart_and_one_that_is_far_away_is_nobodys() {
        let (turns, now) = (Turns::default(), Instant::now());
        let taken: Vec<_> = std::iter::from_fn(|| turns.take(now)).collect();
        assert_eq!((taken.len(), taken[0], taken[200]), (201, now, now + LONGEST));
        assert_eq!(turns.take(now + APART), Some(now + LONGEST + APART), "time goes on");
        let later = now + LONGEST * 3;
        assert_eq!(turns.take(later), Some(later), "nobody saves turns");
    }
}
