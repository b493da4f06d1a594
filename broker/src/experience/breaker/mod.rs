//! The breaker: purchases that come to nothing are made one at a time, and more and more seldom, until one serves a job. Pure.
//!
//! A circuit is what the same VMs serve the same jobs with: pool, lot, VO, and a class of jobs. Before its first job only a handful of
//! its VMs may be on their way. A few bad outcomes in a row open it; then one VM tries after each pause, at most 24 a day with the
//! first handful. The first job that lives closes it.

mod circuit;
mod group;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use circuit::{Circuit, Opened, Outcome};
use group::{Common, Group};

use super::{
    Closed, Kept,
    moment::{after, lasts, seconds},
};

/// The most VMs that may be on their way before the first has had a job.
pub const UNPROVEN: u64 = 8;
/// This many bad outcomes, one after the other, are no accident.
const NO_ACCIDENT: u32 = 3;
/// The first pause; each is twice the one before.
const FIRST: u64 = 600;
const LONGEST: u64 = 2 * 3_600;
/// After this time without a job, what was good may have changed: sites are banned, images replaced.
const PROVEN_FOR: u64 = 3_600;
/// A job that dies sooner than this, and not by its own end, counts as one that the VM killed.
pub const A_LIFE: u64 = 120;

/// How many VMs of a circuit may be made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permitted {
    /// As many VMs more than are on their way; `None`: any number.
    pub most: Option<u64>,
    /// The open breaker that keeps it from being more. `None`: it is closed, and VMs of the circuit have yet to show that they serve jobs.
    pub opened: Option<Opened>,
}

/// What all circuits allow.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    /// Of those of which something is known, or VMs are not judged yet.
    pub circuits: Vec<(Circuit, Permitted)>,
    /// Of classes of jobs that have come to nothing, and have worked nowhere.
    pub classes: Vec<OfClass>,
}

/// What a class of jobs allows, over all pools.
#[derive(Clone, Debug, PartialEq)]
pub struct OfClass {
    /// VirtualOrganization object.
    pub vo: Arc<str>,
    /// What the jobs need.
    pub profile: Arc<str>,
    /// As many VMs more may be made.
    pub most: u64,
    /// The open circuit whose turn comes first.
    pub circuit: Circuit,
    /// Why that circuit is open.
    pub opened: Opened,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    in_a_row: u32,
    opened: Option<Opened>,
    /// When a VM last had a job of the class.
    good: Option<Timestamp>,
}

/// The breakers, one for each circuit of which something is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Breakers(Kept<Circuit, State>);

impl Breakers {
    /// How many VMs may be made beyond the `unjudged`: those on their way, and those that asked for work and have not had a job yet.
    pub fn permitted(&self, circuit: &Circuit, unjudged: u64, now: Timestamp) -> Permitted {
        let fresh = State::default();
        let state = self.0.get(circuit).unwrap_or(&fresh);
        if let Some(opened) = state.opened {
            let most = u64::from(!lasts(opened.began, opened.until, now)).saturating_sub(unjudged);
            return Permitted { most: Some(most), opened: Some(opened) };
        }
        let is_proven = state.good.is_some_and(|at| seconds(at, now) < PROVEN_FOR);
        Permitted { most: (!is_proven).then(|| UNPROVEN.saturating_sub(unjudged)), opened: None }
    }

    /// What each circuit allows of which something is known, or VMs are `unjudged`, and what each class of jobs does that has come to nothing
    /// and has worked nowhere.
    ///
    /// Jobs that match nowhere would cost each pool and flavor its handful, and a pool at a banned site one for each class. So the more
    /// circuits of a class, or of a VO in a pool, are open, the fewer VMs try what is new, down to one; and of open circuits of one class, or
    /// of one VO in a pool, one tries at a time, and the later after the last came to nothing the more of them there are. What is not
    /// `present` any more, since its image is another now, counts for nothing.
    pub fn bounds(
        &self,
        unjudged: &BTreeMap<Circuit, u64>,
        is_present: impl Fn(&Circuit) -> bool,
        now: Timestamp,
    ) -> Bounds {
        let mut groups: BTreeMap<Group<'_>, Common<'_>> = BTreeMap::new();
        let known = self.0.iter().map(|(circuit, _)| circuit);
        let all: BTreeSet<&Circuit> = known.chain(unjudged.keys()).filter(|circuit| is_present(circuit)).collect();
        let fresh = State::default();
        let of = |circuit: &Circuit| {
            let state = self.0.get(circuit).unwrap_or(&fresh);
            (state, unjudged.get(circuit).copied().unwrap_or(0))
        };
        for &circuit in &all {
            let (state, busy) = of(circuit);
            for group in Group::all(circuit) {
                groups.entry(group).or_default().count(circuit, state, busy, now);
            }
        }
        let circuits = all.iter().map(|&circuit| {
            let (state, busy) = of(circuit);
            let mut permitted = self.permitted(circuit, busy, now);
            for common in Group::all(circuit).iter().filter_map(|group| groups.get(group)) {
                if state.opened.is_some() && !common.is_its_turn(circuit, now) {
                    permitted.most = Some(0);
                } else if state.opened.is_none() && !common.works {
                    permitted.most = permitted.most.map(|most| most.min(common.most(now)));
                }
            }
            (circuit.clone(), permitted)
        });
        let circuits = circuits.collect();
        let classes = groups.into_iter().filter_map(|(group, common)| match group {
            Group::Class(vo, profile) if !common.works => {
                let (_, circuit) = common.first?;
                let opened = self.0.get(circuit)?.opened?;
                Some(OfClass {
                    vo: vo.clone(),
                    profile: profile.clone(),
                    most: common.most(now),
                    circuit: circuit.clone(),
                    opened,
                })
            }
            Group::Class(..) | Group::Pool(..) => None,
        });
        Bounds { circuits, classes: classes.collect() }
    }

    /// A VM of the circuit, ordered at `ordered`, came to nothing. Those that were ordered before it opened are known to be bad.
    pub fn failed(&mut self, circuit: &Circuit, outcome: Outcome, ordered: Timestamp, now: Timestamp) {
        let state = self.0.entry(circuit, now, State::default);
        state.in_a_row = state.in_a_row.saturating_add(1);
        let before = state.opened;
        if before.is_some_and(|opened| ordered <= opened.since) || before.is_none() && state.in_a_row < NO_ACCIDENT {
            return;
        }
        let pauses = before.map_or(0, |opened| opened.pauses);
        let pause = FIRST.saturating_mul(2_u64.saturating_pow(pauses)).min(LONGEST);
        state.opened = Some(Opened {
            by: outcome,
            since: before.map_or(now, |opened| opened.since),
            until: after(now, pause),
            in_a_row: state.in_a_row,
            began: now,
            pauses: pauses.saturating_add(1),
        });
    }

    /// A pilot of the circuit got a job of the class. Whether it lives is not known yet: it closes no breaker.
    pub fn matched(&mut self, circuit: &Circuit, now: Timestamp) {
        self.0.entry(circuit, now, State::default).good = Some(now);
    }

    /// A job of the circuit lived: it ended well, or runs for longer than [`A_LIFE`]. The breaker is closed.
    pub fn lived(&mut self, circuit: &Circuit, now: Timestamp) {
        *self.0.entry(circuit, now, State::default) = State { good: Some(now), ..State::default() };
    }

    /// Something was changed that may have mended it: one VM of each open circuit tries at once.
    pub fn try_again(&mut self, is_meant: impl Fn(&Circuit) -> bool, now: Timestamp) {
        self.0.retain(|circuit, state| {
            if let Some(opened) = state.opened.as_mut().filter(|_| is_meant(circuit)) {
                (opened.until, opened.pauses) = (opened.until.min(now), 0);
            }
            true
        });
    }

    /// All that are open, in a stable order.
    pub fn opened(&self) -> impl Iterator<Item = (&Circuit, &Opened)> {
        self.0.iter().filter_map(|(circuit, state)| Some((circuit, state.opened.as_ref()?)))
    }

    /// Those of a pool that are open, for whoever keeps them over a restart.
    pub fn closed(&self, pool: &str) -> impl Iterator<Item = Closed<(Circuit, Outcome)>> {
        self.opened().filter(move |(circuit, _)| *circuit.pool == *pool).map(|(circuit, opened)| Closed {
            what: (circuit.clone(), opened.by),
            since: opened.since,
            until: opened.until,
            in_a_row: opened.in_a_row,
            pauses: opened.pauses,
        })
    }

    /// What was written down before a restart. What was learnt since is newer, and stays.
    pub fn remember(&mut self, all: impl IntoIterator<Item = Closed<(Circuit, Outcome)>>, now: Timestamp) {
        for old in all {
            let (began, until) = old.pause(LONGEST, now);
            let Closed { what: (circuit, by), since, in_a_row, pauses, .. } = old;
            let since = since.min(now);
            let opened = Some(Opened { by, since, until, in_a_row, began, pauses });
            self.0.entry(&circuit, now, || State { in_a_row, opened, good: None });
        }
    }

    /// Forgets the circuits that are no more.
    pub fn retain(&mut self, is_there: impl Fn(&Circuit) -> bool) {
        self.0.retain(|circuit, _| is_there(circuit));
    }
}

#[cfg(test)]
#[path = "breaker_tests.rs"]
mod tests;
