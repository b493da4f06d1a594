//! Permits: how many calls of one kind may be under way at one provider or DIRAC. Whoever gets none does not wait: it is rung when its
//! turn comes, and holds up nothing meanwhile.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use broker::clock::moment;
use tokio::time::Instant;

use crate::names::Key;

/// Calls of one kind that may be under way at once at a provider.
const AT_ONCE: usize = 8;
/// PilotVMs whose rows may be read or written at once: DISET gathers what they ask, and keeps its connections few by itself.
const ROWS_AT_ONCE: usize = 64;
/// Whoever is called and does not come within this time has lost its place. Until then the place is kept: else everyone who comes and
/// finds none would have the next one called, without end.
const COMES_WITHIN: Duration = Duration::from_secs(5);

/// What is asked of a provider or of DIRAC for single VMs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A VM is made.
    Create,
    /// A VM is taken away.
    Delete,
    /// A VM is asked for.
    Ask,
    /// A row is read or written.
    Row,
}

impl Act {
    fn at_once(self) -> usize {
        match self {
            Self::Create | Self::Delete | Self::Ask => AT_ONCE,
            Self::Row => ROWS_AT_ONCE,
        }
    }
}

/// The permits of one provider or DIRAC.
#[derive(Debug, Default)]
pub struct Permits(Arc<Mutex<Lanes>>);

#[derive(Debug, Default)]
struct Lanes {
    create: Lane,
    delete: Lane,
    ask: Lane,
    row: Lane,
}

#[derive(Debug, Default)]
struct Lane {
    taken: usize,
    /// Who was sent away, in order; each once.
    waiting: VecDeque<Key>,
    known: HashSet<Key>,
    /// For whom a place is kept, and until when.
    called: HashMap<Key, Instant>,
}

/// A permit, given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    lanes: Arc<Mutex<Lanes>>,
    act: Act,
}

impl Permits {
    /// A permit, or nothing: then `who` stands in line, and is named by [`Permits::next`] once its turn comes. VMs are made only while
    /// none waits to be taken away.
    pub fn take(&self, act: Act, who: &Key) -> Option<Permit> {
        let mut lanes = lanes(&self.0);
        let yields = act == Act::Create && !lanes.delete.waiting.is_empty();
        let lane = lanes.of(act);
        lane.called.remove(who);
        if yields || !lane.has_place(moment(), act.at_once()) {
            if lane.known.insert(who.clone()) {
                lane.waiting.push_back(who.clone());
            }
            return None;
        }
        lane.taken += 1;
        if lane.known.remove(who) {
            lane.waiting.retain(|other| other != who);
        }
        Some(Permit { lanes: self.0.clone(), act })
    }

    /// Those whose turn has come, deletions first: they are to be rung.
    pub fn next(&self) -> Vec<Key> {
        let (mut lanes, now) = (lanes(&self.0), moment());
        let mut called = Vec::new();
        for act in [Act::Delete, Act::Create, Act::Ask, Act::Row] {
            let lane = lanes.of(act);
            while lane.has_place(now, act.at_once()) {
                let Some(who) = lane.waiting.pop_front() else { break };
                lane.known.remove(&who);
                lane.called.insert(who.clone(), now + COMES_WITHIN);
                called.push(who);
            }
        }
        called
    }
}

fn lanes(lanes: &Mutex<Lanes>) -> MutexGuard<'_, Lanes> {
    lanes.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lanes {
    fn of(&mut self, act: Act) -> &mut Lane {
        match act {
            Act::Create => &mut self.create,
            Act::Delete => &mut self.delete,
            Act::Ask => &mut self.ask,
            Act::Row => &mut self.row,
        }
    }
}

impl Lane {
    /// Whether one of `at_once` places is free and kept for nobody.
    fn has_place(&mut self, now: Instant, at_once: usize) -> bool {
        self.called.retain(|_, until| *until > now);
        self.taken + self.called.len() < at_once
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut lanes = lanes(&self.lanes);
        let lane = lanes.of(self.act);
        lane.taken = lane.taken.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> Key {
        Key { namespace: "demo".into(), name: format!("cpu-{n}") }
    }

    #[test]
    fn whoever_gets_no_permit_is_called_in_order_when_one_is_given_back() {
        let permits = Permits::default();
        let mut held: Vec<_> = (0..AT_ONCE).map(|n| permits.take(Act::Create, &key(n)).unwrap()).collect();
        assert!(permits.take(Act::Create, &key(50)).is_none());
        assert!(permits.take(Act::Create, &key(51)).is_none());
        assert!(permits.take(Act::Create, &key(50)).is_none(), "to ask twice is to stand in line once");
        assert!(permits.next().is_empty());
        held.pop();
        assert_eq!(permits.next(), [key(50)]);
        assert!(permits.take(Act::Create, &key(50)).is_some());
    }

    #[test]
    fn launches_that_hang_keep_no_deletion_and_no_question_waiting() {
        let permits = Permits::default();
        let _held: Vec<_> = (0..AT_ONCE).map(|n| permits.take(Act::Create, &key(n)).unwrap()).collect();
        assert!(permits.take(Act::Delete, &key(60)).is_some());
        assert!(permits.take(Act::Ask, &key(61)).is_some());
    }

    #[test]
    fn nothing_is_made_while_a_deletion_waits() {
        let permits = Permits::default();
        let held: Vec<_> = (0..AT_ONCE).map(|n| permits.take(Act::Delete, &key(n)).unwrap()).collect();
        assert!(permits.take(Act::Delete, &key(60)).is_none());
        assert!(permits.take(Act::Create, &key(61)).is_none());
        drop(held);
        assert_eq!(permits.next(), [key(60), key(61)], "the deletion is called first");
        assert!(permits.take(Act::Create, &key(61)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_kept_for_whoever_was_called_and_goes_to_the_next_when_nobody_comes() {
        let permits = Permits::default();
        let mut held: Vec<_> = (0..AT_ONCE).map(|n| permits.take(Act::Create, &key(n)).unwrap()).collect();
        assert!((50..60).all(|n| permits.take(Act::Create, &key(n)).is_none()));
        held.pop();
        assert_eq!(permits.next(), [key(50)]);
        assert!(permits.next().is_empty(), "one place calls one, however often it is looked");
        assert!(permits.take(Act::Create, &key(59)).is_none(), "nobody passes the one that was called");
        tokio::time::sleep(COMES_WITHIN).await;
        assert_eq!(permits.next(), [key(51)]);
        assert!(permits.take(Act::Create, &key(51)).is_some());
    }
}
