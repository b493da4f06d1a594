//! The jobs that wait, by class, and since when those of each VO do: counted once for all that learns from it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::times::JobClass;
use crate::{
    demand::TaskQueue,
    plan::{self, Vo, groups},
};

/// Classes of jobs by what times and lessons call them.
pub type Classes = BTreeMap<JobClass, plan::JobClass>;

/// The jobs that wait.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Waiting {
    /// How many of each class.
    pub jobs: BTreeMap<JobClass, u64>,
    /// What the plan calls each class.
    pub classes: Classes,
}

impl Waiting {
    /// The jobs of these queues, but for those of groups that no VO claims.
    pub fn of(vos: &[Vo], queues: &[TaskQueue]) -> Self {
        let (groups, mut waiting) = (groups(vos), Self::default());
        for queue in queues.iter().filter(|queue| queue.jobs > 0) {
            let Some(&vo) = groups.get(queue.owner_group.as_str()) else { continue };
            let class = plan::JobClass::of(queue);
            let name = JobClass::of(&vos[vo].name, &class);
            let jobs = waiting.jobs.entry(name.clone()).or_default();
            *jobs = jobs.saturating_add(queue.jobs);
            waiting.classes.insert(name, class);
        }
        waiting
    }

    /// Since when jobs of each VO wait, by its name. `before`: the same at the last look. Where none waited then, those that wait now have just
    /// begun to.
    pub fn since(&self, before: &BTreeMap<String, Timestamp>, now: Timestamp) -> BTreeMap<String, Timestamp> {
        let vos: BTreeSet<&str> = self.jobs.keys().map(|class| &*class.vo).collect();
        vos.into_iter().map(|vo| (vo.to_owned(), before.get(vo).map_or(now, |since| (*since).min(now)))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vo(name: &str, group: &str) -> Vo {
        Vo { name: name.into(), groups: BTreeSet::from([group.to_owned()]), ..Vo::default() }
    }
    fn queue(group: &str, cpu_time: u64, jobs: u64) -> TaskQueue {
        TaskQueue { owner_group: group.into(), cpu_time, jobs, ..TaskQueue::default() }
    }
    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn jobs_of_all_queues_of_a_class_count_together_and_those_of_nobody_not_at_all() {
        let vos = [vo("biomed", "users"), vo("enmr", "users")];
        let queues = [queue("users", 60, 3), queue("users", 60, 4), queue("users", 90, 1), queue("others", 60, 9)];
        let waiting = Waiting::of(&vos, &queues);
        assert_eq!(waiting.jobs.values().copied().collect::<Vec<_>>(), [7, 1]);
        assert!(
            waiting.jobs.keys().all(|class| &*class.vo == "biomed"),
            "a group that two VOs name is the first one's"
        );
        assert!(waiting.jobs.keys().eq(waiting.classes.keys()));
    }

    #[test]
    fn jobs_of_a_vo_wait_since_the_first_look_that_saw_some_and_not_since_before_a_pause() {
        let vos = [vo("biomed", "users")];
        let since = |jobs, before: &BTreeMap<String, Timestamp>| {
            Waiting::of(&vos, &[queue("users", 60, jobs)]).since(before, at(100))
        };
        let of = |second| BTreeMap::from([("biomed".to_owned(), at(second))]);
        assert_eq!((since(3, &BTreeMap::new()), since(3, &of(40))), (of(100), of(40)));
        assert_eq!(
            (since(0, &of(40)), since(3, &of(900))),
            (BTreeMap::new(), of(100)),
            "none; and a clock that was wrong"
        );
    }
}
