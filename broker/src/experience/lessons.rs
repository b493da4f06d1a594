//! The lessons: what VMs come to, told once each to the breakers, and what follows from that for a plan. Pure.
//!
//! Whoever plans tells before each plan what it sees of each VM and how many jobs of each class wait. A job on a VM counts for the class
//! that the VM was made for when the number of its waiting jobs has changed since: DIRAC does not tell the class of a job, and jobs of others
//! do not show that these are ever given to anybody.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Breakers, Circuit, Closed, Kept, Opened, Outcome,
    breaker::{OfClass, Permitted},
    moment::{after, seconds},
    times::JobClass,
};
use crate::plan::{self, Hold, Reason};

/// This many jobs that died, and none that lived, are no accident.
const FEW: u64 = 3;
/// The most seconds between the moment when fewer jobs of a class wait and that at which a pilot is seen to have one of
/// them.
const BESIDE: u64 = 120;

/// What is seen of a VM.
#[derive(Clone, Debug, PartialEq)]
pub struct Sight {
    /// A name that no other VM ever has.
    pub vm: Arc<str>,
    /// The circuit that it was made for.
    pub circuit: Circuit,
    /// When the provider was asked for it.
    pub ordered: Timestamp,
    /// When the provider had made it; `None`: not yet.
    pub made: Option<Timestamp>,
    /// Jobs that its pilot got so far.
    pub took: u64,
    /// Whether one of them ended well, or runs for longer than [`super::breaker::A_LIFE`].
    pub lived: bool,
    /// How many of them died sooner.
    pub died: u64,
    /// Seconds for which its pilot goes on asking when it has no job.
    pub idle_timeout: u64,
    /// How it ended; `None`: it has not.
    pub end: Option<End>,
}

/// How a VM ended, as far as it says something of its circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It stopped by itself, as a pilot without work does.
    Stopped,
    /// The same, and it is known that its pilot had asked.
    Idle,
    /// It did not stop although its pilot had no job.
    Silent,
    /// Its pilot did not ask for work in time.
    Late,
    /// In a way that says nothing of it.
    Other,
}

/// What is remembered of a VM while it is seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Seen {
    took: u64,
    /// When it was seen to have taken a job of which it is not known whose it is.
    took_one: Option<Timestamp>,
    has_matched: bool,
    has_lived: bool,
    is_judged: bool,
}

/// What is remembered of a class of waiting jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Waits {
    jobs: u64,
    /// When none of them waited, or nobody looked.
    none: Timestamp,
    /// When their number was another than before.
    moved: Option<Timestamp>,
}

/// What VMs have shown of the circuits that they were made for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lessons {
    breakers: Breakers,
    classes: Kept<JobClass, Waits>,
    vms: BTreeMap<Arc<str>, Seen>,
    /// VMs that have yet to show that they serve jobs of their class.
    #[serde(skip)]
    unjudged: BTreeMap<Circuit, u64>,
}

/// What is to be known of a plan to tell it what is held back.
pub struct Wishes<'a> {
    /// The classes of jobs that wait, by what lessons call them.
    pub classes: &'a BTreeMap<JobClass, plan::JobClass>,
    /// Whether VMs that are made now are of this circuit: its image may have been another.
    pub is_present: &'a dyn Fn(&Circuit) -> bool,
}

impl Lessons {
    /// One look at all VMs. `asking`: since when pilots can ask for work.
    pub fn look(&mut self, sights: &[Sight], waiting: &BTreeMap<JobClass, u64>, asking: Timestamp, now: Timestamp) {
        self.count(sights, waiting, now);
        for sight in sights {
            self.judge(sight, asking, now);
        }
        let seen: BTreeSet<&Arc<str>> = sights.iter().map(|sight| &sight.vm).collect();
        self.vms.retain(|vm, _| seen.contains(vm));
        self.unjudged.clear();
        for sight in sights.iter().filter(|sight| sight.end.is_none()) {
            if self.vms.get(&sight.vm).is_none_or(|seen| !seen.has_matched) {
                *self.unjudged.entry(sight.circuit.clone()).or_default() += 1;
            }
        }
    }

    fn count(&mut self, sights: &[Sight], waiting: &BTreeMap<JobClass, u64>, now: Timestamp) {
        let jobs = |class: &JobClass| waiting.get(class).copied().unwrap_or(0);
        self.classes.retain(|class, waits| {
            let jobs = jobs(class);
            if jobs == 0 {
                waits.none = now;
            }
            if jobs != waits.jobs {
                (waits.jobs, waits.moved) = (jobs, Some(now));
            }
            true
        });
        for sight in sights {
            let class = class_of(&sight.circuit);
            self.classes.entry(&class, now, || Waits { jobs: jobs(&class), none: now, moved: None });
        }
    }

    fn judge(&mut self, sight: &Sight, asking: Timestamp, now: Timestamp) {
        let Sight { vm, circuit, ordered, took, lived, died, end, .. } = sight;
        let waits = self.classes.get(&class_of(circuit));
        let moved = waits.and_then(|waits| waits.moved);
        let since = waits.map_or(now, |waits| waits.none).max(asking);
        let is_new = !self.vms.contains_key(vm);
        let seen = self.vms.entry(vm.clone()).or_default();
        if *took > seen.took {
            (seen.took, seen.took_one) = (*took, Some(now));
        }
        // Of what went on before anybody looked the best is thought.
        let is_its = |at: Timestamp| is_new || moved.is_some_and(|moved| after(moved, BESIDE) >= at);
        if seen.took_one.is_some_and(is_its) {
            (seen.took_one, seen.has_matched) = (None, true);
            self.breakers.matched(circuit, now);
        }
        if *lived && seen.has_matched && !seen.has_lived {
            seen.has_lived = true;
            self.breakers.lived(circuit, now);
        }
        let outcome = match end {
            _ if seen.is_judged => return,
            None => (*died >= FEW && !lived).then_some(Outcome::JobsDied),
            Some(end) => sight.came_to(*end, since, now),
        };
        seen.is_judged = end.is_some() || outcome.is_some();
        if let Some(outcome) = outcome {
            self.breakers.failed(circuit, outcome, *ordered, now);
        }
    }

    /// What is held back, for the classes of jobs that wait.
    pub fn holds(&self, wishes: &Wishes<'_>, now: Timestamp) -> Vec<Hold> {
        let bounds = self.breakers.bounds(&self.unjudged, wishes.is_present, now);
        let circuits = bounds.circuits.iter().filter_map(|(circuit, permitted)| {
            let class = wishes.classes.get(&class_of(circuit))?;
            Some(of_circuit(circuit, class, permitted))
        });
        let classes = bounds.classes.iter().filter_map(|of| {
            let class = wishes.classes.get(&JobClass { vo: of.vo.clone(), profile: of.profile.clone() })?;
            Some(of_class(of, class))
        });
        circuits.chain(classes).collect()
    }

    /// The open breakers, each with its circuit.
    pub fn opened(&self) -> impl Iterator<Item = (&Circuit, &Opened)> {
        self.breakers.opened()
    }

    /// Those of a pool that are open, for whoever keeps them over a restart.
    pub fn closed(&self, pool: &str) -> impl Iterator<Item = Closed<(Circuit, Outcome)>> {
        self.breakers.closed(pool)
    }

    /// What was written down before a restart. What was learnt since is newer, and stays.
    pub fn remember(&mut self, all: impl IntoIterator<Item = Closed<(Circuit, Outcome)>>, now: Timestamp) {
        self.breakers.remember(all, now);
    }

    /// Forgets the circuits that are no more.
    pub fn retain(&mut self, is_there: impl Fn(&Circuit) -> bool) {
        self.breakers.retain(is_there);
    }
}

impl Sight {
    /// What a VM came to that ended so. `since`: jobs of its class wait, and pilots can ask for them.
    fn came_to(&self, end: End, since: Timestamp, now: Timestamp) -> Option<Outcome> {
        let long_enough = |at: Timestamp| at <= now && seconds(at, now) >= self.idle_timeout;
        if self.took > 0 {
            return (self.died >= self.took && !self.lived).then_some(Outcome::JobsDied);
        }
        match end {
            // A pilot that went after its idle timeout has asked, as far as anybody can tell.
            End::Stopped | End::Idle | End::Silent if self.made.is_some_and(long_enough) => {
                long_enough(since).then_some(Outcome::NeverMatched)
            }
            // One that went before its time says something where jobs waited for as long as it was there: others may have taken them.
            End::Idle => self.made.is_some_and(|made| since <= made).then_some(Outcome::NeverMatched),
            End::Stopped | End::Late => Some(Outcome::NeverAsked),
            End::Silent | End::Other => None,
        }
    }
}

fn class_of(circuit: &Circuit) -> JobClass {
    JobClass { vo: circuit.vo.clone(), profile: circuit.profile.clone() }
}

fn of_circuit(circuit: &Circuit, class: &plan::JobClass, permitted: &Permitted) -> Hold {
    let Circuit { pool, lot, vo, profile } = circuit;
    let (reason, message) = match &permitted.opened {
        Some(opened) => (reason(opened.by), opened.message(circuit)),
        None => {
            let text = format!(
                "few VMs of pool {pool} with flavor {} on cloud {} are made for jobs of VO {vo} ({profile}) until one of them has had such \
                 a job",
                lot.flavor, lot.cloud
            );
            (Reason::Ramp, text)
        }
    };
    Hold {
        pool: Some(pool.to_string()),
        cloud: Some(lot.cloud.to_string()),
        flavor: Some(lot.flavor.to_string()),
        zone: Some(lot.zone.as_deref().map(str::to_owned)),
        purchase: Some(lot.purchase),
        vo: Some(vo.to_string()),
        class: Some(class.clone()),
        waits: permitted.opened.is_none(),
        // What has shown that it works is not held back at all.
        ..Hold::new(permitted.most.unwrap_or(u64::MAX), reason, message)
    }
}

fn of_class(of: &OfClass, class: &plan::JobClass) -> Hold {
    let vo = Some(of.vo.to_string());
    Hold { vo, class: Some(class.clone()), ..Hold::new(of.most, reason(of.opened.by), of.opened.message(&of.circuit)) }
}

fn reason(outcome: Outcome) -> Reason {
    match outcome {
        Outcome::NeverMatched => Reason::NeverMatched,
        Outcome::JobsDied => Reason::JobsDie,
        Outcome::NeverAsked => Reason::VmsFail,
    }
}

#[cfg(test)]
#[path = "lessons_tests.rs"]
mod tests;
