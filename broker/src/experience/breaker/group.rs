//! What circuits of one class of jobs, or of one VO in a pool, have in common: the more of them are open, the less is tried.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Circuit, FIRST, LONGEST, PROVEN_FOR, State, UNPROVEN};
use crate::experience::moment::{after, lasts, seconds};

/// What circuits have in common: the class of jobs, or the pool and the VO.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group<'a> {
    Class(&'a Arc<str>, &'a Arc<str>),
    Pool(&'a Arc<str>, &'a Arc<str>),
}

impl<'a> Group<'a> {
    pub fn all(circuit: &'a Circuit) -> [Self; 2] {
        [Self::Class(&circuit.vo, &circuit.profile), Self::Pool(&circuit.pool, &circuit.vo)]
    }
}

/// What the circuits of a group have shown.
#[derive(Default)]
pub struct Common<'a> {
    /// Whether one of them had a job lately.
    pub works: bool,
    open: u32,
    unjudged: u64,
    /// VMs that try for an open circuit.
    trying: u64,
    /// When the last of those that are open came to nothing.
    last: Option<Timestamp>,
    /// The open one whose pause ends first.
    pub first: Option<(Timestamp, &'a Circuit)>,
}

impl<'a> Common<'a> {
    pub fn count(&mut self, circuit: &'a Circuit, state: &State, unjudged: u64, now: Timestamp) {
        self.works |= state.opened.is_none() && state.good.is_some_and(|at| seconds(at, now) < PROVEN_FOR);
        self.unjudged += unjudged;
        if let Some(opened) = state.opened {
            self.open += 1;
            self.trying += unjudged;
            self.last = self.last.max(Some(opened.began));
            let its = (opened.until, circuit);
            self.first = Some(self.first.map_or(its, |first| first.min(its)));
        }
    }

    /// How many VMs may try what is new.
    pub fn most(&self, now: Timestamp) -> u64 {
        if self.rests(now) { 0 } else { (UNPROVEN >> self.open.min(3)).max(1).saturating_sub(self.unjudged) }
    }

    pub fn is_its_turn(&self, circuit: &Circuit, now: Timestamp) -> bool {
        let is_first = || self.first.is_some_and(|(_, first)| first == circuit);
        self.open < 2 || self.works || self.trying == 0 && !self.rests(now) && is_first()
    }

    /// Whether the pause after the last that came to nothing lasts, where more than one has.
    fn rests(&self, now: Timestamp) -> bool {
        let pause = self.open.checked_sub(2).map(|more| FIRST.saturating_mul(2_u64.saturating_pow(more)).min(LONGEST));
        pause.zip(self.last).is_some_and(|(pause, at)| lasts(at, after(at, pause), now))
    }
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
