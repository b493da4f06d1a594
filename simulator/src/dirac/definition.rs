//! What defines a task queue.

/// CPU times that a task queue may have, in normalised seconds (`TaskQueueDB.__defaultCPUSegments`).
const SEGMENTS: [u64; 13] =
    [360, 1_800, 3_600, 21_600, 43_200, 86_400, 172_800, 259_200, 345_600, 518_400, 691_200, 864_000, 1_080_000];

/// The requirements of a task queue's jobs (`WorkloadManagementSystem/DB/TaskQueueDB.py`: singleValueDefFields, multiValueDefFields,
/// rangeValueDefFields). An empty list is no requirement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Definition {
    /// DIRAC user name of the jobs' owner.
    pub owner: String,
    /// DIRAC group as which the owner submitted them.
    pub owner_group: String,
    /// CPU time in normalised seconds.
    pub cpu_time: u64,
    /// The jobs may run only at these sites.
    pub sites: Vec<String>,
    /// The jobs may run only on these CEs.
    pub grid_ces: Vec<String>,
    /// The jobs may not run at these sites.
    pub banned_sites: Vec<String>,
    /// The jobs need one of these platforms.
    pub platforms: Vec<String>,
    /// Types of the jobs, for example `User`.
    pub job_types: Vec<String>,
    /// Tags that the resource must offer.
    pub tags: Vec<String>,
    /// Memory needed, in MB; 0: none said.
    pub min_ram: u64,
    /// Memory needed at most, in MB; 0: none said.
    pub max_ram: u64,
}

impl Definition {
    /// The same with its lists sorted, each word once, and its CPU time fitted to the segments (`TaskQueueDB.insertJob`,
    /// `TaskQueueDB.__createTaskQueue`).
    pub fn fitted(mut self) -> Self {
        self.cpu_time = fit_cpu_time(self.cpu_time);
        for list in [
            &mut self.sites,
            &mut self.grid_ces,
            &mut self.banned_sites,
            &mut self.platforms,
            &mut self.job_types,
            &mut self.tags,
        ] {
            list.retain(|word| !word.trim().is_empty());
            list.sort();
            list.dedup();
        }
        self
    }

    /// Tags that follow from the processors that a job asks for (`Executor/JobScheduling.py`, `_getTagsFromManifest`).
    pub fn tags_of_processors(cores: u32, whole_node: bool) -> Vec<String> {
        let mut tags = Vec::new();
        if cores > 1 {
            tags.push(format!("{cores}Processors"));
        }
        if whole_node {
            tags.push("WholeNode".to_owned());
        }
        if !tags.is_empty() {
            tags.push("MultiProcessor".to_owned());
        }
        tags
    }
}

/// `TaskQueueDB.fitCPUTimeToSegments`: the first segment that is not smaller, and the last for what is larger than all.
fn fit_cpu_time(cpu_time: u64) -> u64 {
    SEGMENTS.into_iter().find(|segment| cpu_time <= *segment).unwrap_or(SEGMENTS[SEGMENTS.len() - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_rounded_up_to_a_segment_as_in_fit_cpu_time_to_segments() {
        // Read off the real Matcher: 7200 became 21600, 500000 became 518400, 600 became 1800.
        for (asked, fitted) in [(7_200, 21_600), (500_000, 518_400), (600, 1_800), (360, 360), (2_000_000, 1_080_000)] {
            assert_eq!(fit_cpu_time(asked), fitted);
        }
    }

    #[test]
    fn tags_follow_from_the_processors_as_in_get_tags_from_manifest() {
        assert_eq!(Definition::tags_of_processors(1, false), [] as [&str; 0]);
        assert_eq!(Definition::tags_of_processors(4, false), ["4Processors", "MultiProcessor"]);
        assert_eq!(Definition::tags_of_processors(1, true), ["WholeNode", "MultiProcessor"]);
    }

    #[test]
    fn the_order_of_lists_is_no_part_of_a_definition() {
        let with =
            |tags: [&str; 2]| Definition { tags: tags.map(str::to_owned).to_vec(), ..Definition::default() }.fitted();
        assert_eq!(with(["a", "b"]), with(["b", "a"]));
    }
}
