//! What each pilot runs, from the jobs that its row lists and their states. Pure, but for the lock.
//!
//! A row lists every job that its pilot ever got, the same job twice where the pilot got it twice. Only jobs that have not ended are asked
//! for again, and a list that is as long as before has nothing new. A job that is rescheduled leaves its pilot: the one that lists it
//! last has it.

mod claims;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use broker::pilot::{
    jobs::{JobStatus, Place},
    rows::{PilotRow, PilotStatus},
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use claims::{Claim, Claims};

use crate::trouble::Trouble;

/// A job that ran no longer than this ended soon: of many such jobs that fail, the VM is to blame.
const SOON: SignedDuration = SignedDuration::from_mins(2);
/// Of a job whose state was not read for longer, nobody knows when it ended.
const SEEN_WITHIN: SignedDuration = SignedDuration::from_mins(2);
/// The run times of a pilot's last jobs: at most this many are kept.
const LATELY: usize = 32;
/// A pilot whose row lists more jobs is not followed: what it runs is unknown.
const MOST_JOBS: usize = 20_000;

/// A job that a pilot has got and that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunningJob {
    pub job: u64,
    /// When the row that first listed it was asked for. It began no later.
    pub since: Timestamp,
    /// Its state, as last read.
    pub status: JobStatus,
}

/// What a pilot runs and ran, as far as was seen since the operator started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PilotJobs {
    /// The jobs that it has now, by number: they run, or are matched.
    pub running: Vec<RunningJob>,
    /// Whether it may have others, of which nobody says whether they ended.
    pub may_have_more: bool,
    /// How often it took a job, as its row lists it.
    pub took: u64,
    /// How many of these ended on it.
    pub ended: u64,
    /// How many left it unended: they were rescheduled.
    pub left: u64,
    /// Of how many that ended it was seen how long they ran.
    pub measured: u64,
    /// How long these ran in all, in seconds: from the reading that first listed a job to the one that first said that it ended.
    pub seconds: u64,
    /// How many of these ended within two minutes.
    pub soon: u64,
    /// How many of these failed.
    pub failed_soon: u64,
    /// How long the last of these ran, in seconds, the last one last: at most 32.
    pub lately: Vec<u64>,
    /// When a job of it was last seen to begin or to end.
    pub changed: Option<Timestamp>,
}

impl PilotJobs {
    /// How many jobs it has now; `None`: nobody says of some whether it has them.
    pub fn count(&self) -> Option<u64> {
        (!self.may_have_more).then_some(self.running.len() as u64)
    }

    fn ends(&mut self, claim: &Claim, status: JobStatus, at: Timestamp) {
        self.ended += 1;
        if !claim.began || at.duration_since(claim.answered) > SEEN_WITHIN {
            return;
        }
        let ran = at.duration_since(claim.since).max(SignedDuration::ZERO);
        let seconds = u64::try_from(ran.as_secs()).unwrap_or(0);
        self.measured += 1;
        self.seconds += seconds;
        self.soon += u64::from(ran <= SOON);
        self.failed_soon += u64::from(ran <= SOON && status == JobStatus::Failed);
        if self.lately.len() == LATELY {
            self.lately.remove(0);
        }
        self.lately.push(seconds);
    }
}

#[derive(Debug, Default)]
struct Pilot {
    /// How often the row lists each job, by number.
    listed: Box<[(u64, u32)]>,
    /// How long the longest list was.
    length: usize,
    /// Whether it was seen before, so that a job that is new in the list is new.
    is_watched: bool,
    open: Claims,
    known: Arc<PilotJobs>,
}

impl Pilot {
    /// Writes down what it has now, and that there is `news`.
    fn sum_up(&mut self, news: Option<Timestamp>, change: impl FnOnce(&mut PilotJobs)) {
        let place = |claim: &Claim| claim.status.map_or(Place::Unknown, JobStatus::place);
        let has = |(job, claim): (u64, &Claim)| {
            let status = claim.status.filter(|status| status.place() == Place::OnPilot)?;
            Some(RunningJob { job, since: claim.since, status })
        };
        let running: Vec<_> = self.open.iter().filter_map(has).collect();
        let may_have_more =
            self.length > MOST_JOBS || self.open.iter().any(|(_, claim)| place(claim) == Place::Unknown);
        if news.is_none() && self.known.running == running && self.known.may_have_more == may_have_more {
            return;
        }
        let known = Arc::make_mut(&mut self.known);
        change(known);
        (known.running, known.may_have_more) = (running, may_have_more);
        known.changed = news.or(known.changed);
    }
}

/// The pilots of one installation and their jobs.
#[derive(Debug, Default)]
pub struct Book {
    pilots: HashMap<Arc<str>, Pilot>,
    /// The pilot that took each open job last.
    takers: HashMap<u64, Arc<str>>,
}

impl Book {
    /// Takes note of the jobs that these rows list, which were asked for at `at`. The jobs of these pilots whose state is to be asked.
    pub fn take(&mut self, rows: &[PilotRow], at: Timestamp) -> BTreeSet<u64> {
        let mut asked = BTreeSet::new();
        for row in rows {
            let reference = match self.pilots.get_key_value(row.reference.as_str()) {
                Some((reference, _)) => reference.clone(),
                None => {
                    let reference: Arc<str> = row.reference.as_str().into();
                    self.pilots.insert(reference.clone(), Pilot::default());
                    reference
                }
            };
            self.take_list(&reference, row, at);
            asked.extend(
                self.pilots.get(&reference).into_iter().flat_map(|pilot| pilot.open.iter().map(|(job, _)| job)),
            );
        }
        asked
    }

    fn take_list(&mut self, reference: &Arc<str>, row: &PilotRow, at: Timestamp) {
        let Some(pilot) = self.pilots.get_mut(reference) else { return };
        // The Matcher writes Running with the first job.
        let has_none = matches!(row.status, PilotStatus::Submitted | PilotStatus::Waiting);
        let was_watched = pilot.is_watched;
        pilot.is_watched |= row.jobs.is_some() || has_none;
        let Some(list) = row.jobs.as_ref().filter(|list| list.len() > pilot.length) else { return };
        let took = list.len() - pilot.length;
        pilot.length = list.len();
        let mut new = Vec::new();
        if list.len() > MOST_JOBS {
            (pilot.listed, pilot.open) = Default::default();
            self.takers.retain(|_, taker| taker != reference);
        } else {
            let listed = counted(list);
            let more = |(job, n): &&(u64, u32)| times(&pilot.listed, *job) < *n;
            new.extend(listed.iter().filter(more).map(|(job, _)| *job));
            pilot.listed = listed;
        }
        let mut again = 0;
        for job in &new {
            let claim = Claim { since: at, began: was_watched, status: None, answered: at };
            again += u64::from(pilot.open.insert(*job, claim).is_some());
        }
        pilot.sum_up(Some(at), |known| {
            known.took += took as u64;
            known.left += again;
        });
        for job in new {
            let before = self.takers.insert(job, reference.clone());
            if let Some(other) = before.filter(|other| other != reference) {
                self.leaves(&other, job, at);
            }
        }
    }

    /// Another pilot lists the job since `at`. Where both were first read then, nobody knows which of them has it, and it counts for both.
    fn leaves(&mut self, reference: &str, job: u64, at: Timestamp) {
        let Some(pilot) = self.pilots.get_mut(reference) else { return };
        if pilot.open.get(job).is_some_and(|claim| claim.since < at) {
            pilot.open.remove(job);
            pilot.sum_up(Some(at), |known| known.left += 1);
        }
    }

    /// Takes note of the states of these pilots' jobs, which were asked for at `at`. A job of which nothing is said stays open.
    pub fn answer<'a>(
        &mut self,
        references: impl IntoIterator<Item = &'a str>,
        states: &BTreeMap<u64, JobStatus>,
        at: Timestamp,
    ) {
        for reference in references {
            let Some(pilot) = self.pilots.get_mut(reference) else { continue };
            let (mut ended, mut left) = (Vec::new(), Vec::new());
            // What was asked before the pilot got the job again says nothing of it.
            for (job, claim) in pilot.open.iter_mut().filter(|(_, claim)| claim.since <= at) {
                let status = states.get(&job).copied();
                claim.status = status;
                match status.map(|status| (status, status.place())) {
                    Some((status, Place::Ended)) => ended.push((job, status)),
                    Some((_, Place::BackInQueue)) => left.push(job),
                    Some((_, Place::OnPilot)) => claim.answered = at,
                    Some((_, Place::Unknown)) | None => {}
                }
            }
            let taker = &mut self.takers;
            let mut close = |pilot: &mut Pilot, job: &u64| {
                if taker.get(job).is_some_and(|taker| **taker == *reference) {
                    taker.remove(job);
                }
                pilot.open.remove(*job)
            };
            let ended: Vec<_> = ended.iter().filter_map(|(job, status)| Some((close(pilot, job)?, *status))).collect();
            left.retain(|job| close(pilot, job).is_some());
            let news = (!ended.is_empty() || !left.is_empty()).then_some(at);
            pilot.sum_up(news, |known| {
                known.left += left.len() as u64;
                ended.iter().for_each(|(claim, status)| known.ends(claim, *status, at));
            });
        }
    }

    /// What is known of a pilot.
    pub fn of(&self, reference: &str) -> Option<&Arc<PilotJobs>> {
        self.pilots.get(reference).map(|pilot| &pilot.known)
    }

    /// Forgets pilots that `references` does not name.
    pub fn keep(&mut self, references: &[String]) {
        let kept: BTreeSet<&str> = references.iter().map(String::as_str).collect();
        self.pilots.retain(|reference, _| kept.contains(reference.as_ref()));
        self.takers.retain(|_, taker| kept.contains(taker.as_ref()));
    }
}

/// How often each job is in the list, by number.
fn counted(list: &[u64]) -> Box<[(u64, u32)]> {
    let mut sorted = list.to_vec();
    sorted.sort_unstable();
    sorted.chunk_by(u64::eq).map(|same| (same[0], u32::try_from(same.len()).unwrap_or(u32::MAX))).collect()
}

fn times(listed: &[(u64, u32)], job: u64) -> u32 {
    listed.binary_search_by_key(&job, |(job, _)| *job).map_or(0, |at| listed[at].1)
}

/// The book of one installation, for all who read its rows, and whether states can be read.
#[derive(Debug, Default)]
pub struct Jobs {
    book: Mutex<Book>,
    /// Why states could not be read the last time, and when they are asked for again.
    trouble: Mutex<Option<(Trouble, Instant)>>,
}

impl Jobs {
    pub fn with<T>(&self, work: impl FnOnce(&mut Book) -> T) -> T {
        work(&mut self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// All that is known, by reference.
    pub fn all(&self) -> BTreeMap<String, Arc<PilotJobs>> {
        self.with(|book| {
            book.pilots.iter().map(|(reference, pilot)| (reference.to_string(), pilot.known.clone())).collect()
        })
    }

    /// Why states could not be read the last time.
    pub fn trouble(&self) -> Option<Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(trouble, _)| trouble.clone())
    }

    /// Whether states are to be asked for at this moment.
    pub fn may_ask(&self, moment: Instant) -> bool {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_none_or(|(_, again)| moment >= *again)
    }

    /// Takes note of how the last request went: what went wrong, and when states are asked for again.
    pub fn went(&self, trouble: Option<(Trouble, Instant)>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

#[cfg(test)]
#[path = "jobs_tests.rs"]
mod tests;
