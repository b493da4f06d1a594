//! JobAgent: the program on a VM that asks for one job a cycle (`WorkloadManagementSystem/Agent/JobAgent.py`), and the scheduler that runs
//! its cycles (`Core/Base/AgentReactor.py`, `Core/Utilities/ThreadScheduler.py`).

use super::{PoolCe, Task, pool_ce::Need};
use crate::time::{Ms, SECOND};

/// How a JobAgent is set.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// `PollingTime`; the pilot of a Pool makes it at most 20 s.
    pub polling_time: Ms,
    /// `SubmissionDelay`: the time that the agent sleeps after it gave a job to the pool.
    pub submission_delay: Ms,
    /// `StopAfterFailedMatches`, before the pilot raises it to the number of processors.
    pub stop_after_failed_matches: u32,
    /// `MinimumTimeLeft`, in normalised seconds.
    pub minimum_time_left: f64,
    /// `StopMargin`: this much of the time left is kept back.
    pub stop_margin: Ms,
    /// `StopAfterHostFailures`: the agent stops when the pool has refused more jobs than this.
    pub stop_after_host_failures: u32,
    /// `MaxCycles`: the agent stops after this many cycles.
    pub max_cycles: u32,
    /// Time that a request takes.
    pub match_time: Ms,
    /// Whether memory is passed on to the pool.
    pub passes_memory: bool,
}

/// What the agent asks the Matcher for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// CPU time left, in normalised seconds.
    pub cpu_time: i64,
    /// Processors of the VM that no job holds.
    pub processors: u32,
    /// Free memory in MB.
    pub max_ram: u64,
}

/// What comes of a cycle, or of a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It asks the Matcher for a job.
    Ask(Ask),
    /// No processor is free: nothing happens in any cycle until a job ends.
    Full,
    /// The next cycle begins then.
    Next(Ms),
    /// It takes no more jobs: it waits for those that run, and ends.
    Stop(&'static str),
}

/// The JobAgent of one VM, with its pool.
#[derive(Clone, Debug)]
pub struct JobAgent {
    /// The processors and the memory.
    pub pool: PoolCe,
    began: Ms,
    power: f64,
    /// Normalised seconds at the beginning, the margin taken off (`JobAgent.initialize`).
    work: f64,
    stop_after_failed_matches: u32,
    failed_matches: u32,
    jobs: u32,
    host_failures: u32,
    cycles: u32,
    cycle_began: Ms,
}

impl JobAgent {
    /// An agent that starts now on a VM with this pool, CPU power and `CPUTimeLeft`.
    pub fn new(now: Ms, processors: u32, pool: PoolCe, power: f64, cpu_time_left: u64, set: &Settings) -> Self {
        let margin = set.stop_margin as f64 / SECOND as f64 * power;
        Self {
            pool,
            began: now,
            power,
            work: (cpu_time_left as f64 - margin).max(0.0),
            stop_after_failed_matches: set.stop_after_failed_matches.max(processors),
            failed_matches: 0,
            jobs: 0,
            host_failures: 0,
            cycles: 0,
            cycle_began: now,
        }
    }

    /// How many jobs the agent has taken so far.
    pub fn jobs_taken(&self) -> u32 {
        self.jobs
    }

    /// Normalised seconds left: wall time counts whether a job runs or not (`_computeCPUWorkLeft`).
    fn work_left(&self, now: Ms) -> f64 {
        self.work - (now - self.began) as f64 / SECOND as f64 * self.power
    }

    /// The first part of `execute`: is a processor free, and time left?
    pub fn begin(&mut self, now: Ms, set: &Settings) -> Step {
        self.cycle_began = now;
        self.cycles += 1;
        if self.cycles > set.max_cycles {
            return Step::Stop("MaxCycles");
        }
        if !self.pool.is_available() {
            return Step::Full;
        }
        let left = self.work_left(now);
        // `_checkCPUWorkLeft`, only after the first job.
        if self.jobs > 0 && left <= set.minimum_time_left {
            return Step::Stop("No more time left");
        }
        let free = self.pool.free();
        Step::Ask(Ask { cpu_time: left as i64, processors: free.processors, max_ram: free.ram })
    }

    /// The Matcher had nothing: `_checkMatchingIssues`, and then the sleep of `execute`,
    /// `PollingTime * (matchFailedCount + 1) * 2`.
    pub fn not_matched(&mut self, set: &Settings) -> Step {
        self.failed_matches += 1;
        if self.failed_matches > self.stop_after_failed_matches {
            return Step::Stop("Nothing to do");
        }
        let sleep = set.polling_time * (u64::from(self.failed_matches) + 1) * 2;
        self.after(set.match_time + sleep, set)
    }

    /// The Matcher gave a job: it goes to the pool, and the agent sleeps for `SubmissionDelay` (`_submitJob`). `None` in the first place:
    /// the pool had no room after all, and the job is rescheduled.
    pub fn matched(&mut self, need: Need, set: &Settings) -> (Option<Task>, Step) {
        self.failed_matches = 0;
        self.jobs += 1;
        let task = self.pool.submit(Need { ram: if set.passes_memory { need.ram } else { 0 }, ..need });
        if task.is_none() {
            // `_checkSubmittedJobs` counts it, and `execute` stops for more than StopAfterHostFailures.
            self.host_failures += 1;
            if self.host_failures > set.stop_after_host_failures {
                return (None, Step::Stop("Error during the submission process"));
            }
        }
        let next = self.after(set.match_time + set.submission_delay, set);
        (task, next)
    }

    /// `ThreadScheduler.__scheduleIfNeeded`: a cycle begins PollingTime after the beginning of the last, and at the earliest a second
    /// after its end.
    fn after(&self, took: Ms, set: &Settings) -> Step {
        Step::Next(self.cycle_began + set.polling_time.max(took + SECOND))
    }

    /// The agent was full, and a job has ended: when its next cycle begins. The empty cycles in between count.
    pub fn wake(&mut self, now: Ms, set: &Settings) -> Ms {
        let passed = (now - self.cycle_began) / set.polling_time;
        self.cycles = self.cycles.saturating_add(u32::try_from(passed).unwrap_or(u32::MAX));
        self.cycle_began + (passed + 1) * set.polling_time
    }

    /// How long an agent that stopped takes after its last job: `finalize` looks at what it took, and sleeps once.
    pub fn finalize_time(&self, set: &Settings) -> Ms {
        if self.jobs > 0 { set.polling_time } else { 0 }
    }
}

#[cfg(test)]
#[path = "job_agent_tests.rs"]
mod tests;
