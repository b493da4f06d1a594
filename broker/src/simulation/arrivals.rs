//! Streams of jobs, seeded.

use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::demand::TaskQueue;

/// A stream of equal jobs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arrival {
    /// DIRAC group of the owner.
    pub group: String,
    /// Mean rate.
    pub jobs_per_hour: u64,
    /// CPU time asked for, in seconds.
    pub cpu_time: u64,
    /// How long a job really runs, in seconds.
    pub run_time: u64,
    /// Cores a job needs.
    pub processors: u64,
    /// Tags that the jobs require.
    pub tags: Vec<String>,
    /// Arrivals end after this many jobs.
    pub jobs: Option<u64>,
}

/// DIRAC's segments of CPU time in seconds (`TaskQueueDB.py`, `fitCPUTimeToSegments`).
const SEGMENTS: [u64; 13] =
    [360, 1_800, 3_600, 21_600, 43_200, 86_400, 172_800, 259_200, 345_600, 518_400, 691_200, 864_000, 1_080_000];

impl Arrival {
    /// The task queue of such jobs, with no job in it yet, as DIRAC's optimizers define it.
    pub fn task_queue(&self) -> TaskQueue {
        let mut tags = self.tags.clone();
        if self.processors > 1 {
            tags.extend([format!("{}Processors", self.processors), "MultiProcessor".to_owned()]);
        }
        tags.sort();
        let last = SEGMENTS[SEGMENTS.len() - 1];
        TaskQueue {
            owner: "simulated".to_owned(),
            owner_group: self.group.clone(),
            cpu_time: SEGMENTS.into_iter().find(|s| *s >= self.cpu_time).unwrap_or(last),
            priority: 1.0,
            job_types: vec!["User".to_owned()],
            tags,
            ..TaskQueue::default()
        }
    }
}

/// The times at which the jobs of a stream arrive: exponential pauses, from a seed of its own.
#[derive(Debug)]
pub struct Pacer {
    rng: StdRng,
    mean_pause: f64,
    left: Option<u64>,
    /// Seconds since the start at which the next job arrives; infinite when none will.
    pub next: f64,
}

impl Pacer {
    /// The pacer of stream `number` from `start` on, in seconds.
    pub fn new(seed: u64, number: usize, arrival: &Arrival, start: f64) -> Self {
        let rng = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(number as u64));
        let mean_pause = 3_600.0 / arrival.jobs_per_hour as f64;
        let mut pacer = Self { rng, mean_pause, left: None, next: f64::INFINITY };
        pacer.begin(arrival.jobs, start);
        pacer
    }

    /// `jobs` jobs, or jobs without end, arrive from `start` on, in seconds.
    pub fn begin(&mut self, jobs: Option<u64>, start: f64) {
        self.left = jobs;
        self.next = start;
        self.schedule();
    }

    /// The job at `next` has arrived.
    pub fn arrived(&mut self) {
        self.left = self.left.map(|left| left.saturating_sub(1));
        self.schedule();
    }

    /// No job arrives up to `until`.
    pub fn pause(&mut self, until: f64) {
        if self.next.is_finite() && self.next <= until {
            self.next = until;
            self.schedule();
        }
    }

    fn schedule(&mut self) {
        if self.left == Some(0) || !self.mean_pause.is_finite() {
            self.next = f64::INFINITY;
        } else {
            let uniform: f64 = self.rng.random_range(f64::EPSILON..1.0);
            self.next += -uniform.ln() * self.mean_pause;
        }
    }
}
