//! A pilot's claims to jobs that are not known to have ended: few, of very many pilots, so that they stand in one list. Pure.

use broker::pilot::jobs::JobStatus;
use jiff::Timestamp;

/// A pilot's claim to a job that is not known to have ended.
#[derive(Debug)]
pub struct Claim {
    pub since: Timestamp,
    /// Whether the pilot was watched when it got the job.
    pub began: bool,
    /// What its state was; `None`: nobody has said yet, or DIRAC does not know the job.
    pub status: Option<JobStatus>,
    /// When its state was last known.
    pub answered: Timestamp,
}

/// The claims of one pilot, by the job's number.
#[derive(Debug, Default)]
pub struct Claims(Vec<(u64, Claim)>);

impl Claims {
    /// The claim to this job.
    pub fn get(&self, job: u64) -> Option<&Claim> {
        self.place(job).ok().map(|at| &self.0[at].1)
    }

    /// Puts a claim in; the one that it replaces.
    pub fn insert(&mut self, job: u64, claim: Claim) -> Option<Claim> {
        match self.place(job) {
            Ok(at) => Some(std::mem::replace(&mut self.0[at].1, claim)),
            Err(at) => {
                // Most have one job or a few, and a vector that grows by itself begins with room for four.
                if self.0.len() < 4 {
                    self.0.reserve_exact(1);
                }
                self.0.insert(at, (job, claim));
                None
            }
        }
    }

    /// Takes a claim out.
    pub fn remove(&mut self, job: u64) -> Option<Claim> {
        self.place(job).ok().map(|at| self.0.remove(at).1)
    }

    /// All, by the job's number.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Claim)> {
        self.0.iter().map(|(job, claim)| (*job, claim))
    }

    /// All, by the job's number.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut Claim)> {
        self.0.iter_mut().map(|(job, claim)| (*job, claim))
    }

    fn place(&self, job: u64) -> Result<usize, usize> {
        self.0.binary_search_by_key(&job, |(job, _)| *job)
    }
}
