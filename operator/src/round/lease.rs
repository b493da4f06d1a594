//! The jobs that a VM is made for, in the words of the plan and in those of the PilotVM. Pure.

use std::sync::Arc;

use broker::plan::{JobClass, Lease};
use crds::vm::JobsOfClass;

use crate::amounts::{count, whole};

/// The most words in a list of a PilotVM, and the most characters of each, as its schema says.
const MOST_WORDS: usize = 64;
const LONGEST_WORD: usize = 255;
/// The largest number there.
const MOST: i64 = 1_000_000_000_000;

/// As the PilotVM has it; `None`: the jobs say more than fits there, and have no claim.
pub fn jobs_of_class(lease: &Lease) -> Option<JobsOfClass> {
    let class = &lease.class;
    let JobClass { tags, sites, banned_sites, grid_ces, platforms, job_types, .. } = &**class;
    let fits =
        |list: &Vec<String>| list.len() <= MOST_WORDS && list.iter().all(|word| word.chars().count() <= LONGEST_WORD);
    let all = [tags, sites, banned_sites, grid_ces, platforms, job_types];
    all.into_iter().all(fits).then(|| JobsOfClass {
        jobs: whole(lease.jobs).min(MOST),
        cpu_time: whole(class.cpu_time).min(MOST),
        min_ram_mb: whole(class.min_ram_mb).min(MOST),
        tags: tags.clone(),
        sites: sites.clone(),
        banned_sites: banned_sites.clone(),
        ces: grid_ces.clone(),
        platforms: platforms.clone(),
        job_types: job_types.clone(),
    })
}

/// As the plan has it.
pub fn lease(jobs: &JobsOfClass) -> Lease {
    Lease { class: Arc::new(job_class(jobs)), jobs: count(jobs.jobs) }
}

/// What these jobs ask for.
pub fn job_class(jobs: &JobsOfClass) -> JobClass {
    JobClass {
        cpu_time: count(jobs.cpu_time),
        min_ram_mb: count(jobs.min_ram_mb),
        tags: jobs.tags.clone(),
        sites: jobs.sites.clone(),
        banned_sites: jobs.banned_sites.clone(),
        grid_ces: jobs.ces.clone(),
        platforms: jobs.platforms.clone(),
        job_types: jobs.job_types.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_comes_back_as_it_was_written() {
        let list = |word: &str| vec![word.to_owned()];
        let class = JobClass {
            cpu_time: 3_600,
            min_ram_mb: 2_048,
            tags: list("GPU"),
            sites: list("CLOUD.A.org"),
            banned_sites: list("CLOUD.B.org"),
            grid_ces: list("ce"),
            platforms: list("Linux"),
            job_types: list("User"),
        };
        let written = Lease { class: Arc::new(class), jobs: 7 };
        assert_eq!(lease(&jobs_of_class(&written).unwrap()), written);
    }
    #[test]
    fn jobs_that_say_more_than_a_pilotvm_may_hold_have_no_claim() {
        let with = |sites: Vec<String>| Lease { class: Arc::new(JobClass { sites, ..JobClass::default() }), jobs: 1 };
        assert!(jobs_of_class(&with(vec!["é".repeat(255); 64])).is_some());
        assert!(jobs_of_class(&with(vec!["e".repeat(256)])).is_none());
        assert!(jobs_of_class(&with(vec!["e".to_owned(); 65])).is_none());
        let many = Lease { jobs: u64::MAX, ..with(Vec::new()) };
        assert_eq!(jobs_of_class(&many).unwrap().jobs, MOST);
    }
}
