//! The jobs that wait, by class, and since when: counted once for all that learns from it. Pure.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    sync::Arc,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Place, times::JobClass};
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

    /// Since when jobs of each class wait without a pause. `before`: the same at the last look. Where none waited then, those that wait now have
    /// just begun to.
    pub fn since(&self, before: &[Waits], now: Timestamp) -> Vec<Waits> {
        let before: BTreeMap<(&str, &plan::JobClass), Timestamp> =
            before.iter().map(|waits| ((&*waits.vo, &waits.class), waits.since)).collect();
        let waits = |(name, class): (&JobClass, &plan::JobClass)| Waits {
            vo: name.vo.clone(),
            class: class.clone(),
            since: before.get(&(&*name.vo, class)).map_or(now, |since| (*since).min(now)),
        };
        self.classes.iter().map(waits).collect()
    }
}

/// Since when jobs of a class wait without a pause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waits {
    /// VirtualOrganization object.
    pub vo: Arc<str>,
    /// What the jobs ask for.
    pub class: plan::JobClass,
    /// At the first look that saw some.
    pub since: Timestamp,
}

/// Since when jobs wait that could run on VMs. `K` is what VMs on which the same jobs run have in common: they are asked for once.
pub struct Waited<'w, K> {
    of_vo: HashMap<&'w str, Vec<&'w Waits>>,
    since: HashMap<K, Option<Timestamp>>,
}

impl<'w, K: Eq + Hash> Waited<'w, K> {
    /// For the classes that waited at the last look.
    pub fn of(all: &'w [Waits]) -> Self {
        let mut of_vo: HashMap<&str, Vec<&Waits>> = HashMap::new();
        all.iter().for_each(|waits| of_vo.entry(&waits.vo).or_default().push(waits));
        Self { of_vo, since: HashMap::new() }
    }

    /// Of jobs of the VM's VO; `None`: none did. Jobs that could not run there say nothing of its pilot.
    pub fn since<'a>(&mut self, alike: K, place: impl FnOnce() -> Place<'a>) -> Option<Timestamp> {
        let of_vo = &self.of_vo;
        let since = || {
            let place = place();
            let (alone, waiting) = (place.alone(), of_vo.get(place.vo).into_iter().flatten());
            // There may be thousands of classes: one that waits no longer than another that fits is not looked at.
            waiting.fold(None, |first, waits| {
                let is_earlier = first.is_none_or(|first| waits.since < first);
                if is_earlier && alone.matches(&waits.class.queue()) { Some(waits.since) } else { first }
            })
        };
        *self.since.entry(alike).or_insert_with(since)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::plan::{Free, Says};

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
    fn jobs_of_a_class_wait_since_the_first_look_that_saw_some_and_not_since_before_a_pause() {
        let vos = [vo("biomed", "users")];
        let since = |jobs, before: &[Waits], now| Waiting::of(&vos, &[queue("users", 60, jobs)]).since(before, at(now));
        let first = since(3, &[], 40);
        let times = |waits: Vec<Waits>| waits.iter().map(|waits| waits.since.as_second()).collect::<Vec<_>>();
        assert_eq!(times(since(3, &first, 100)), [40]);
        assert_eq!(times(since(3, &since(0, &first, 90), 100)), [100], "none waited meanwhile");
        assert_eq!(times(since(3, &first, 20)), [20], "a clock that was wrong");
    }

    #[test]
    fn jobs_that_could_not_run_on_a_vm_do_not_wait_for_it() {
        let vos = [vo("biomed", "users")];
        let elsewhere = TaskQueue { sites: vec!["CLOUD.Else.fr".into()], ..queue("users", 60, 9) };
        let stuck = Waiting::of(&vos, &[elsewhere.clone(), queue("users", 90_000, 9)]).since(&[], at(10));
        let all =
            Waiting::of(&vos, &[elsewhere, queue("users", 90_000, 9), queue("users", 60, 1)]).since(&stuck, at(70));
        let place = |vo| Place {
            vo,
            says: Says { site: "CLOUD.Test.fr".into(), ..Says::default() },
            full: Free { cores: 8, ram_mib: 16_384, gpus: 0, ..Free::default() },
            cpu_time: 80_000,
            own: Vec::new(),
        };
        let waits_for = |all: &[Waits], vo| Waited::of(all).since((), || place(vo));
        assert_eq!(waits_for(&stuck, "biomed"), None, "another site, and more CPU time than it has");
        assert_eq!(waits_for(&all, "biomed"), Some(at(70)));
        assert_eq!(waits_for(&all, "enmr"), None);
    }
}
