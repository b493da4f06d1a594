//! The breaker: purchases that come to nothing are made one at a time, and more and more seldom, until one serves a job. Pure.
//!
//! A circuit is what the same VMs serve the same jobs with: pool, lot, VO, and a class of jobs. Before its first job only a handful of
//! its VMs may be on their way. A few bad outcomes in a row open it; then one VM tries after each pause, at most 24 a day with the
//! first handful. The first job that lives closes it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Closed, Kept, Lot,
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

/// VMs that are made alike, for the same jobs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Circuit {
    /// PilotPool object.
    pub pool: Arc<str>,
    /// Where the VMs are bought, and what boots on them.
    pub lot: Lot,
    /// VirtualOrganization object.
    pub vo: Arc<str>,
    /// What the jobs need: a text that stays the same over restarts.
    pub profile: Arc<str>,
}

/// How a VM came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// Its pilot asked for work and never got a job, though jobs of its class waited all the time.
    NeverMatched,
    /// Its jobs died within [`A_LIFE`] seconds, and none lived.
    JobsDied,
    /// Its pilot never asked for work.
    NeverAsked,
}

impl Outcome {
    /// All outcomes, for whoever counts each of them.
    pub const ALL: [Self; 3] = [Self::NeverMatched, Self::JobsDied, Self::NeverAsked];

    /// The word, in CamelCase. It never changes: alerts are written with it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NeverMatched => "NeverMatched",
            Self::JobsDied => "JobsDied",
            Self::NeverAsked => "NeverAsked",
        }
    }

    /// What happened, and where to look.
    fn sentence(self) -> &'static str {
        match self {
            Self::NeverMatched => {
                "asked for work and got no job while jobs waited: DIRAC does not give these jobs to them (site mask, platform, CPU time, tags)"
            }
            Self::JobsDied => {
                "got jobs that died within two minutes: look at the jobs' logs, and at what the image lacks"
            }
            Self::NeverAsked => "never asked for work: look at their console logs",
        }
    }
}

/// Why a breaker is open, and when the next VM tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The outcome that opened it; of the last VM that tried, when that came to nothing in another way.
    pub by: Outcome,
    /// When it opened.
    pub since: Timestamp,
    /// When one VM tries.
    pub until: Timestamp,
    /// VMs that came to nothing, one after the other.
    pub in_a_row: u32,
    /// When the present pause began.
    began: Timestamp,
    /// How many pauses there were since it opened.
    pauses: u32,
}

impl Opened {
    /// The sentence for people: what happened, and when the next VM is made.
    pub fn message(&self, circuit: &Circuit) -> String {
        let Circuit { pool, lot, vo, profile } = circuit;
        format!(
            "the last {} VMs of pool {pool} with flavor {} on cloud {} for jobs of VO {vo} ({profile}) {}; since {:.0} one VM at a time is \
             made, the next at {:.0}",
            self.in_a_row,
            lot.flavor,
            lot.cloud,
            self.by.sentence(),
            self.since,
            self.until
        )
    }
}

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

/// What circuits have in common: the class of jobs, or the pool and the VO.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Group<'a> {
    Class(&'a Arc<str>, &'a Arc<str>),
    Pool(&'a Arc<str>, &'a Arc<str>),
}

impl<'a> Group<'a> {
    fn all(circuit: &'a Circuit) -> [Self; 2] {
        [Self::Class(&circuit.vo, &circuit.profile), Self::Pool(&circuit.pool, &circuit.vo)]
    }
}

/// What the circuits of a group have shown.
#[derive(Default)]
struct Common<'a> {
    /// Whether one of them had a job lately.
    works: bool,
    open: u32,
    unjudged: u64,
    /// VMs that try for an open circuit.
    trying: u64,
    /// When the last of those that are open came to nothing.
    last: Option<Timestamp>,
    /// The open one whose pause ends first.
    first: Option<(Timestamp, &'a Circuit)>,
}

impl<'a> Common<'a> {
    fn count(&mut self, circuit: &'a Circuit, state: &State, unjudged: u64, now: Timestamp) {
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
    fn most(&self, now: Timestamp) -> u64 {
        if self.rests(now) { 0 } else { (UNPROVEN >> self.open.min(3)).max(1).saturating_sub(self.unjudged) }
    }

    fn is_its_turn(&self, circuit: &Circuit, now: Timestamp) -> bool {
        let is_first = || self.first.is_some_and(|(_, first)| first == circuit);
        self.open < 2 || self.works || self.trying == 0 && !self.rests(now) && is_first()
    }

    /// Whether the pause after the last that came to nothing lasts, where more than one has.
    fn rests(&self, now: Timestamp) -> bool {
        let pause = self.open.checked_sub(2).map(|more| FIRST.saturating_mul(2_u64.saturating_pow(more)).min(LONGEST));
        pause.zip(self.last).is_some_and(|(pause, at)| lasts(at, after(at, pause), now))
    }
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

    /// The same, for whoever keeps it over a restart.
    pub fn closed(&self) -> impl Iterator<Item = Closed<(Circuit, Outcome)>> {
        self.opened().map(|(circuit, opened)| Closed {
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
