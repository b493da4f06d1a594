//! When each PilotVM is looked at: once it is rung, and after the time that its last look asked for. Never twice at once, and any number
//! side by side: permits bound what is asked of each cloud and each DIRAC, so that one slow cloud holds up nobody else.
//!
//! kube's `Controller` does the same, but at each event it polls every look that is under way and compares every key that waits for its
//! own: with thousands under way that took two fifths of the operator's CPU. Here an event costs the same however many there are.

use std::{
    collections::{HashMap, hash_map::Entry},
    pin::pin,
    time::Duration,
};

use futures::{StreamExt, channel::mpsc};
use kube::runtime::scheduler::{ScheduleRequest, scheduler};
use tokio::{sync::mpsc::UnboundedReceiver, task::JoinSet, time::Instant};

use crate::{names::Key, progress::Pulse};

/// Looks at each PilotVM that is rung, until `stopped`; what is begun then is finished. `look` is the look at one, where it is there; its
/// outcome is the time after which it is looked at again, or none until it is rung.
pub async fn each<L>(
    pulse: Pulse,
    mut rung: UnboundedReceiver<Key>,
    look: impl Fn(&Key) -> Option<L>,
    stopped: impl Future<Output = ()>,
) where
    L: Future<Output = Option<Duration>> + Send + 'static,
{
    let (ask, asked) = mpsc::unbounded();
    let after = |message: Key, pause: Duration| {
        // It is heard as long as this runs.
        let _ = ask.unbounded_send(ScheduleRequest { message, run_at: Instant::now() + pause });
    };
    let mut due = pin!(scheduler(asked));
    let mut stopped = pin!(stopped);
    let mut looks = Looks::default();
    loop {
        let event = async {
            tokio::select! {
                () = &mut stopped => Event::Stopped,
                Some(key) = rung.recv() => Event::Rung(key),
                Some(key) = due.next() => Event::Due(key),
                Some((key, again)) = looks.ended() => Event::Ended(key, again),
            }
        };
        match pulse.rests(event).await {
            Event::Rung(key) if looks.rung(&key) => {}
            Event::Rung(key) => after(key, Duration::ZERO),
            Event::Due(key) => looks.begin(key, &look),
            Event::Ended(key, Some(pause)) => after(key, pause),
            Event::Ended(_, None) => {}
            Event::Stopped => break,
        }
    }
    while pulse.rests(looks.ended()).await.is_some() {}
}

enum Event {
    Rung(Key),
    /// Its time has come.
    Due(Key),
    /// A look ended, and the next is due after this time.
    Ended(Key, Option<Duration>),
    Stopped,
}

/// The looks that are under way.
#[derive(Default)]
struct Looks {
    tasks: JoinSet<(Key, Option<Duration>)>,
    /// Whose they are, and whether it was rung since its look began: then another follows at once.
    rung_since: HashMap<Key, bool>,
}

impl Looks {
    /// Whether a look at it is under way; then another follows.
    fn rung(&mut self, key: &Key) -> bool {
        self.rung_since.get_mut(key).map(|rung| *rung = true).is_some()
    }

    fn begin<L>(&mut self, key: Key, look: impl Fn(&Key) -> Option<L>)
    where
        L: Future<Output = Option<Duration>> + Send + 'static,
    {
        match self.rung_since.entry(key) {
            Entry::Occupied(mut under_way) => _ = under_way.insert(true),
            Entry::Vacant(free) => {
                // One that went between its ring and its turn needs no look.
                let Some(look) = look(free.key()) else { return };
                let key = free.key().clone();
                free.insert(false);
                self.tasks.spawn(async move { (key, look.await) });
            }
        }
    }

    /// Waits until a look ends: whose it was, and when the next is due. `None`: none is under way.
    async fn ended(&mut self) -> Option<(Key, Option<Duration>)> {
        let (key, again) = match self.tasks.join_next().await? {
            Ok(ended) => ended,
            Err(failed) => match failed.try_into_panic() {
                // The operator does not go on with a PilotVM that nobody looks after.
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return None,
            },
        };
        let rung = self.rung_since.remove(&key).unwrap_or_default();
        Some((key, if rung { Some(Duration::ZERO) } else { again }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::{
        sync::{Notify, mpsc::unbounded_channel},
        time::sleep,
    };

    use super::*;
    use crate::progress::Progress;

    fn pulse() -> Pulse {
        Progress::default().begins("PilotVMs", Duration::from_secs(60))
    }

    fn key(name: &str) -> Key {
        Key { namespace: "demo".into(), name: name.into() }
    }

    /// What was looked at, and when: seconds from the start.
    #[derive(Clone)]
    struct Seen(Arc<Mutex<Vec<(String, u64)>>>, Instant);

    impl Seen {
        fn now() -> Self {
            Self(Arc::default(), Instant::now())
        }

        fn note(&self, name: &str) {
            self.0.lock().unwrap().push((name.to_owned(), self.1.elapsed().as_secs()));
        }

        fn of(&self, name: &str) -> Vec<u64> {
            self.0.lock().unwrap().iter().filter(|(seen, _)| seen == name).map(|(_, at)| *at).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_rung_during_its_look_is_looked_at_once_more_when_that_has_ended() {
        let (ring, rung) = unbounded_channel();
        let seen = Seen::now();
        let look = |key: &Key| {
            let (seen, name) = (seen.clone(), key.name.clone());
            Some(async move {
                seen.note(&name);
                sleep(Duration::from_secs(10)).await;
                None
            })
        };
        let rings = async {
            for _ in 0..3 {
                ring.send(key("a")).unwrap();
                sleep(Duration::from_secs(1)).await;
            }
            ring.send(key("b")).unwrap();
            sleep(Duration::from_secs(60)).await;
        };
        each(pulse(), rung, look, rings).await;
        assert_eq!(seen.of("a"), [0, 10]);
        assert_eq!(seen.of("b"), [3], "one does not wait for another");
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_look_comes_after_the_time_that_the_last_one_asked_for_or_earlier_when_it_is_rung() {
        let (ring, rung) = unbounded_channel();
        let seen = Seen::now();
        let look = |key: &Key| {
            seen.note(&key.name);
            Some(std::future::ready(Some(Duration::from_secs(10))))
        };
        let rings = async {
            ring.send(key("a")).unwrap();
            sleep(Duration::from_secs(14)).await;
            ring.send(key("a")).unwrap();
            sleep(Duration::from_secs(15)).await;
        };
        each(pulse(), rung, look, rings).await;
        assert_eq!(seen.of("a"), [0, 10, 14, 24]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_not_there_is_not_looked_at_until_it_is_rung_again() {
        let (ring, rung) = unbounded_channel();
        let (seen, there) = (Seen::now(), Mutex::new(false));
        let look = |key: &Key| {
            let there = *there.lock().unwrap();
            there.then(|| {
                seen.note(&key.name);
                std::future::ready(None)
            })
        };
        let rings = async {
            ring.send(key("a")).unwrap();
            sleep(Duration::from_secs(5)).await;
            *there.lock().unwrap() = true;
            ring.send(key("a")).unwrap();
            sleep(Duration::from_secs(5)).await;
        };
        each(pulse(), rung, look, rings).await;
        assert_eq!(seen.of("a"), [5]);
    }

    #[tokio::test(start_paused = true)]
    async fn when_it_stops_nothing_is_begun_and_what_is_begun_is_finished() {
        let (ring, rung) = unbounded_channel();
        let (seen, ended) = (Seen::now(), Arc::new(Notify::new()));
        let look = |key: &Key| {
            seen.note(&key.name);
            let ended = ended.clone();
            Some(async move {
                sleep(Duration::from_secs(100)).await;
                ended.notify_one();
                Some(Duration::ZERO)
            })
        };
        ring.send(key("a")).unwrap();
        let stopped = async {
            sleep(Duration::from_secs(1)).await;
            ring.send(key("b")).unwrap();
        };
        each(pulse(), rung, look, stopped).await;
        ended.notified().await;
        assert_eq!((seen.of("a"), seen.of("b")), (vec![0], vec![]));
    }
}
