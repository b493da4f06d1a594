//! Progress: each loop beats while it turns, and whoever has not beaten within its bound hangs. `/healthz` says so, and the kubelet
//! starts the operator again, or another replica leads.
//!
//! A bound is generous: a turn may make many calls, each of which ends in time. A loop that rests beats while it rests.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// A loop that rests beats this often.
const WHILE_RESTING: Duration = Duration::from_secs(10);

/// The loops that run now, and when each last beat.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Mutex<Loops>>);

#[derive(Debug, Default)]
struct Loops {
    next: u64,
    running: HashMap<u64, Loop>,
}

#[derive(Debug)]
struct Loop {
    name: String,
    bound: Duration,
    beat: Instant,
}

/// The pulse of one loop. Its end is no fault: a loop that is dropped is forgotten.
#[derive(Debug)]
pub struct Pulse {
    progress: Progress,
    number: u64,
}

impl Progress {
    /// A loop of this name begins; it beats at least once in every `bound`.
    pub fn begins(&self, name: impl Into<String>, bound: Duration) -> Pulse {
        let number = self.with(|loops| {
            loops.next += 1;
            loops.running.insert(loops.next, Loop { name: name.into(), bound, beat: Instant::now() });
            loops.next
        });
        Pulse { progress: self.clone(), number }
    }

    /// The names of the loops that hang, sorted.
    pub fn late(&self) -> Vec<String> {
        let mut names: Vec<String> = self.with(|loops| {
            let late = |l: &&Loop| l.beat.elapsed() > l.bound;
            let words = |l: &Loop| format!("{} (nothing for {} s)", l.name, l.beat.elapsed().as_secs());
            loops.running.values().filter(late).map(words).collect()
        });
        names.sort();
        names
    }

    fn with<T>(&self, work: impl FnOnce(&mut Loops) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Pulse {
    /// The loop turns.
    pub fn beat(&self) {
        self.progress.with(|loops| {
            if let Some(own) = loops.running.get_mut(&self.number) {
                own.beat = Instant::now();
            }
        });
    }

    /// Rests until `until` is there. It may take as long as it likes.
    pub async fn rests<T>(&self, until: impl Future<Output = T>) -> T {
        let mut until = std::pin::pin!(until);
        loop {
            self.beat();
            if let Ok(there) = tokio::time::timeout(WHILE_RESTING, &mut until).await {
                self.beat();
                return there;
            }
        }
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.progress.with(|loops| loops.running.remove(&self.number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_does_not_beat_within_its_bound_is_named() {
        let progress = Progress::default();
        let (works, hangs) = (progress.begins("cloud a", MINUTE), progress.begins("cloud b", MINUTE));
        tokio::time::advance(MINUTE / 2).await;
        works.beat();
        assert!(progress.late().is_empty());
        tokio::time::advance(MINUTE / 2 + Duration::from_secs(1)).await;
        assert_eq!(progress.late(), ["cloud b (nothing for 61 s)"]);
        hangs.beat();
        assert!(progress.late().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_rests_does_not_hang() {
        let progress = Progress::default();
        let pulse = progress.begins("round", MINUTE);
        let watcher = progress.clone();
        let rest = pulse.rests(tokio::time::sleep(60 * MINUTE));
        let watch = async move {
            for _ in 0..59 {
                tokio::time::sleep(MINUTE).await;
                assert!(watcher.late().is_empty());
            }
        };
        tokio::join!(rest, watch);
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_ended_is_forgotten() {
        let progress = Progress::default();
        drop(progress.begins("round", MINUTE));
        tokio::time::advance(2 * MINUTE).await;
        assert!(progress.late().is_empty());
    }
}
