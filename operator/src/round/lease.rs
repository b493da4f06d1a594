//! The jobs that a VM is made for, in the words of the plan and in those of the PilotVM. Pure.

use std::sync::Arc;

use broker::plan::{JobClass, Lease};
use crds::vm::JobsOfClass;

use crate::amounts::{count, whole};

/// As the PilotVM has it.
pub fn jobs_of_class(lease: &Lease) -> JobsOfClass {
    let class = &lease.class;
    JobsOfClass {
        jobs: whole(lease.jobs),
        cpu_time: whole(class.cpu_time),
        min_ram_mb: whole(class.min_ram_mb),
        tags: class.tags.clone(),
        sites: class.sites.clone(),
        banned_sites: class.banned_sites.clone(),
        ces: class.grid_ces.clone(),
        platforms: class.platforms.clone(),
        job_types: class.job_types.clone(),
    }
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
        assert_eq!(lease(&jobs_of_class(&written)), written);
    }
}
