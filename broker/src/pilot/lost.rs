//! Jobs of pilots whose VM is gone: which of them are given back to DIRAC's queue, and which stay. Pure, apart from the trait.
//!
//! DIRAC reschedules whatever it is told to (`JobDB.rescheduleJob`), also a job that is done or that another pilot has. So only a job is
//! given back that DIRAC has on a pilot, and that no other pilot can have.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

use super::{
    jobs::{JobStatus, Place},
    rows::{PilotStatus, RowsError},
};

/// What came of giving a pilot's jobs back.
#[derive(Clone, Debug, Default)]
pub struct GivenBack {
    /// They wait in DIRAC's queue again.
    pub given: Vec<u64>,
    /// DIRAC has rescheduled them as often as it does (`MaxRescheduling`): they are Failed now.
    pub failed: Vec<u64>,
    /// Another pilot has them, or may have them: they stay as they are.
    pub left: Vec<u64>,
    /// They are still on the pilot: it is to be tried again.
    pub undone: Vec<u64>,
    /// Why they are.
    pub why: Option<RowsError>,
}

/// Where jobs are given back. Each call may be repeated without harm: a job that was given back is not on the pilot any more.
#[async_trait]
pub trait LostJobs: Send + Sync {
    /// Gives back what DIRAC still has on this pilot. Its VM is gone, and its row is closed.
    async fn give_back(&self, reference: &str) -> Result<GivenBack, RowsError>;
}

/// What DIRAC says of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its state.
    pub status: JobStatus,
    /// How often it was rescheduled.
    pub times: u64,
    /// Whether it was rescheduled at all: the count can be set back.
    pub was_rescheduled: bool,
}

impl Told {
    /// Whether some pilot has it.
    pub fn is_on_pilot(&self) -> bool {
        self.status.place() == Place::OnPilot
    }

    /// Whether it is the pilot's that lists it without asking who else got it: a job that was never rescheduled was given away once.
    pub fn is_sure(&self) -> bool {
        !self.was_rescheduled
    }
}

/// The pilots that got a job, with the states of their rows.
pub type Takers = Vec<(String, PilotStatus)>;

/// Whether no pilot but `reference` can have a job that these got. One whose row is closed has none.
pub fn is_left_by_others(reference: &str, takers: &Takers) -> bool {
    takers.iter().all(|(other, status)| other == reference || status.is_final())
}

/// The jobs of each pilot that are to be given back, and those that another pilot may have: `listed` is what their rows list, `told` what
/// DIRAC says of these jobs, and `takers` who got those that were rescheduled. A job that two of them list is given back once.
pub fn sort(
    listed: &BTreeMap<String, BTreeSet<u64>>,
    told: &BTreeMap<u64, Told>,
    takers: &BTreeMap<u64, Takers>,
) -> BTreeMap<String, GivenBack> {
    let mut seen = BTreeSet::new();
    let mut all = BTreeMap::new();
    for (reference, jobs) in listed {
        let mut back = GivenBack::default();
        for job in jobs {
            let Some(told) = told.get(job).filter(|told| told.is_on_pilot()) else { continue };
            let is_ours = told.is_sure() || takers.get(job).is_some_and(|takers| is_left_by_others(reference, takers));
            if !is_ours {
                back.left.push(*job);
            } else if seen.insert(*job) {
                back.undone.push(*job);
            }
        }
        all.insert(reference.clone(), back);
    }
    all
}

impl GivenBack {
    /// The jobs that were to be given back, by what DIRAC says of them now. `before` is what it said when that was decided, and `why` what
    /// went wrong meanwhile, if anything did. A job of which DIRAC says nothing any more was deleted.
    pub fn settle(&mut self, before: &BTreeMap<u64, Told>, now: &BTreeMap<u64, Told>, why: Option<&RowsError>) {
        for job in std::mem::take(&mut self.undone) {
            let Some(told) = now.get(&job) else { continue };
            let went = before.get(&job).is_some_and(|before| told.times > before.times);
            match told.status.place() {
                // Another pilot may have got it by now.
                _ if went => self.given.push(job),
                Place::BackInQueue => self.given.push(job),
                Place::Ended => self.failed.push(job),
                Place::OnPilot | Place::Unknown => self.undone.push(job),
            }
        }
        self.why = why.filter(|_| !self.undone.is_empty()).cloned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "cloud://a";
    const B: &str = "cloud://b";

    fn told(status: JobStatus, times: u64) -> Told {
        Told { status, times, was_rescheduled: times > 0 }
    }

    fn listed(all: &[(&str, &[u64])]) -> BTreeMap<String, BTreeSet<u64>> {
        all.iter().map(|(pilot, jobs)| ((*pilot).to_owned(), jobs.iter().copied().collect())).collect()
    }

    #[test]
    fn only_jobs_that_dirac_has_on_a_pilot_are_given_back() {
        let states: BTreeMap<u64, Told> =
            JobStatus::ALL.into_iter().zip(1..).map(|(status, job)| (job, told(status, 0))).collect();
        let jobs: Vec<u64> = states.keys().copied().chain([99]).collect();
        let sorted = sort(&listed(&[(A, &jobs)]), &states, &BTreeMap::new());
        let back: Vec<_> = sorted[A].undone.iter().map(|job| states[job].status.as_str()).collect();
        assert_eq!(back, ["Matched", "Running", "Stalled", "Completing"]);
        assert!(sorted[A].left.is_empty(), "what has ended or waits again is nobody's");
    }

    #[test]
    fn a_job_that_was_rescheduled_is_given_back_only_where_no_other_pilot_can_have_it() {
        let states = BTreeMap::from([(7, told(JobStatus::Running, 1))]);
        let takers = |other: PilotStatus| {
            BTreeMap::from([(7, vec![(A.to_owned(), PilotStatus::Deleted), (B.to_owned(), other)])])
        };
        let sorted = |takers| sort(&listed(&[(A, &[7])]), &states, &takers)[A].clone();
        for open in [PilotStatus::Submitted, PilotStatus::Waiting, PilotStatus::Running, PilotStatus::Unknown] {
            let back = sorted(takers(open));
            assert_eq!((back.undone, back.left), (vec![], vec![7]), "{open:?}");
        }
        for closed in [PilotStatus::Done, PilotStatus::Failed, PilotStatus::Deleted, PilotStatus::Aborted] {
            let back = sorted(takers(closed));
            assert_eq!((back.undone, back.left), (vec![7], vec![]), "{closed:?}");
        }
        let nobody_says = sorted(BTreeMap::new());
        assert_eq!((nobody_says.undone, nobody_says.left), (vec![], vec![7]));
    }

    #[test]
    fn a_job_that_two_lost_pilots_list_is_given_back_once() {
        let states = BTreeMap::from([(7, told(JobStatus::Running, 1))]);
        let both = vec![(A.to_owned(), PilotStatus::Deleted), (B.to_owned(), PilotStatus::Deleted)];
        let sorted = sort(&listed(&[(A, &[7]), (B, &[7])]), &states, &BTreeMap::from([(7, both)]));
        assert_eq!((&sorted[A].undone[..], &sorted[B].undone[..]), (&[7][..], &[][..]));
    }

    #[test]
    fn what_came_of_it_is_what_dirac_says_afterwards() {
        let before: BTreeMap<u64, Told> = (1..=6).map(|job| (job, told(JobStatus::Running, 0))).collect();
        let now = BTreeMap::from([
            (1, told(JobStatus::Waiting, 1)),
            (2, told(JobStatus::Running, 1)),
            (3, told(JobStatus::Failed, 0)),
            (4, told(JobStatus::Running, 0)),
            (6, told(JobStatus::Received, 0)),
        ]);
        let mut back = GivenBack { undone: (1..=6).collect(), ..GivenBack::default() };
        let error = RowsError { fault: crate::demand::Fault::Unreachable, message: "no".into() };
        back.settle(&before, &now, Some(&error));
        assert_eq!((back.given, back.failed, back.undone), (vec![1, 2, 6], vec![3], vec![4]));
        assert!(back.why.is_some());
        let mut done = GivenBack { undone: vec![1], ..GivenBack::default() };
        done.settle(&before, &now, Some(&error));
        assert!(done.why.is_none(), "what went wrong did no harm");
    }
}
