//! What of a running VM is free, from the jobs that its pilot has. Pure.

use broker::plan::{Free, JobClass};
use jiff::{SignedDuration, Timestamp};

use crate::known::jobs::PilotJobs;

/// A pilot takes one job an agent cycle, of ten seconds and up to twenty where nothing matched. One that has jobs and
/// took none for this time, while some waited, takes none of those: they do not fit into its free cores, and to count these
/// would starve them.
const FILLS_WITHIN: SignedDuration = SignedDuration::from_mins(1);

/// A VM, and what is known of the jobs for which it has room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The whole VM, as if no job ran on it.
    pub all: Free,
    /// Since when its pilot asks for work.
    pub asks_since: Timestamp,
    /// Since when jobs of its VO have waited without a pause: before, there was nothing to take.
    pub waits_since: Timestamp,
    /// An idle pilot goes on asking for this time.
    pub idle_timeout: SignedDuration,
}

/// What is free for jobs that wait, where each of its jobs takes what a job of `class` does; `None`: nobody says what its pilot runs.
///
/// An idle pilot is supply until it gives up, and a VM that fills or has just lost a job until it should have taken another.
pub fn free(room: &Room, jobs: &PilotJobs, class: JobClass, now: Timestamp) -> Option<Free> {
    let changed = jobs.changed.map_or(room.asks_since, |at| at.max(room.asks_since));
    match jobs.count()? {
        0 if now.duration_since(changed) <= room.idle_timeout => Some(room.all),
        0 => Some(Free::default()),
        _ if now.duration_since(changed.max(room.waits_since)) > FILLS_WITHIN => Some(Free::default()),
        running => Some(room.all.less(class.takes(room.all, running))),
    }
}

#[cfg(test)]
mod tests {
    use broker::pilot::jobs::JobStatus;

    use super::*;
    use crate::known::jobs::RunningJob;

    fn at(second: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
    }
    /// Jobs that a pilot got, the last one at second 100.
    fn has(running: u64) -> PilotJobs {
        let job = |job| RunningJob { job, since: at(100), status: JobStatus::Running };
        PilotJobs { running: (1..=running).map(job).collect(), took: 9, changed: Some(at(100)), ..PilotJobs::default() }
    }
    /// Free cores, where each job takes this many, or the whole VM.
    fn free(each: Option<u64>, jobs: &PilotJobs, second: i64) -> Option<u64> {
        free_for(0, each, jobs, second)
    }
    /// The same for jobs that wait since that second.
    fn free_for(waits_since: i64, each: Option<u64>, jobs: &PilotJobs, second: i64) -> Option<u64> {
        let all = Free { cores: 8, ram_mib: 16_384, gpus: 0 };
        let idle_timeout = SignedDuration::from_secs(300);
        let room = Room { all, asks_since: at(50), waits_since: at(waits_since), idle_timeout };
        let tag = each.map_or("WholeNode".to_owned(), |each| format!("{each}Processors"));
        let class = JobClass { tags: vec![tag], ..JobClass::default() };
        super::free(&room, jobs, class, at(second)).map(|free| free.cores)
    }

    #[test]
    fn each_job_takes_its_cores_and_a_job_of_the_whole_vm_all_of_them() {
        assert_eq!(free(Some(1), &has(3), 110), Some(5));
        assert_eq!(free(Some(4), &has(1), 110), Some(4));
        assert_eq!(free(Some(4), &has(9), 110), Some(0));
        assert_eq!(free(None, &has(1), 110), Some(0));
    }

    #[test]
    fn a_pilot_that_has_jobs_and_takes_no_more_has_nothing_free_for_those_that_wait() {
        assert_eq!(free(Some(1), &has(3), 160), Some(5));
        assert_eq!(free(Some(1), &has(3), 161), Some(0));
    }

    #[test]
    fn a_pilot_that_took_none_while_none_waited_is_free_for_those_that_begin_to_wait() {
        assert_eq!(free_for(1_000, Some(1), &has(3), 1_060), Some(5));
        assert_eq!(free_for(1_000, Some(1), &has(3), 1_061), Some(0));
        assert_eq!(free_for(1_000, None, &has(0), 1_000), Some(0), "an idle one gives up whether jobs wait or not");
    }

    #[test]
    fn a_vm_whose_jobs_have_ended_is_free_again_until_its_pilot_gives_up() {
        assert_eq!(free(None, &has(0), 400), Some(8));
        assert_eq!(free(None, &has(0), 401), Some(0));
    }

    #[test]
    fn a_pilot_that_never_had_a_job_is_free_from_when_it_asks_until_it_gives_up() {
        assert_eq!(free(Some(1), &PilotJobs::default(), 350), Some(8));
        assert_eq!(free(Some(1), &PilotJobs::default(), 351), Some(0));
    }

    #[test]
    fn what_a_pilot_runs_is_unknown_where_nobody_says_of_one_job_whether_it_ended() {
        assert_eq!(free(Some(1), &PilotJobs { may_have_more: true, ..has(0) }, 110), None);
    }
}
