//! DIRAC's own way: SiteDirector (`WorkloadManagementSystem/Agent/SiteDirector.py`) with CloudComputingElement
//! (`Resources/Computing/CloudComputingElement.py`), one SiteDirector for each VO, as they decide in DIRAC 9.1.22.
//!
//! A queue of the Configuration is one flavor of one cloud for one pool, since `Instance_Flavor` is one: the first of the pool's flavors
//! that the cloud has. `scaling.max` of the pool is its MaxTotalJobs.

use crds::pool::Purchase;

use super::{Hands, Listed, Policy, Seen};
use crate::{
    cloud::Answer,
    dirac::{Description, matches},
    scenario::{Cloud, Flavor, Loaded, Model, Offer, Pool, SiteDirectorWords},
    time::{Ms, ms},
    world::{Order, PilotManners, VmId},
};

/// `MAX_WAITING_JOBS` and the like are said in the Configuration; see [`SiteDirectorWords`].
struct Queue {
    order: Order,
    resource: Description,
    /// `MaxTotalJobs` of the queue.
    max_total: u64,
    /// `SiteDirector.failedQueues`.
    failed: u64,
    /// VMs of the last submission that were not answered yet.
    open: Vec<VmId>,
    /// Whether one of that submission was made.
    any_made: bool,
}

/// One SiteDirector for each VO.
pub struct SiteDirector {
    words: SiteDirectorWords,
    queues: Vec<Queue>,
    cycles: u64,
}

impl SiteDirector {
    /// As the scenario's Configuration would have it.
    pub fn new(loaded: &Loaded) -> Self {
        let (words, model) = (loaded.words.site_director.clone(), &loaded.model);
        let mut queues = Vec::new();
        for vo in 0..model.vos.len() {
            for (number, pool) in model.pools.iter().enumerate().filter(|(_, pool)| pool.vos.contains(&vo)) {
                for cloud in &pool.clouds {
                    queues.extend(queue(model, &words, vo, (number, pool), *cloud));
                }
            }
        }
        Self { words, queues, cycles: 0 }
    }

    /// `monitorPilots`: `cleanupPilots` deletes what stopped, what is in ERROR and what is too old; `getJobStatus` asks for each pilot.
    fn monitor(&self, seen: &Seen<'_>, hands: &mut Hands) {
        let now = seen.now();
        for vm in seen.vms().filter(|vm| !vm.is_deleting) {
            let Some(listed) = vm.listed else { continue };
            let is_old = vm.made.is_some_and(|made| now - made > ms(self.words.max_lifetime));
            if is_old || matches!(listed, Listed::Stopped | Listed::Error) {
                hands.deletions.push(vm.id);
            }
            hands.calls.push(("get", 1));
        }
        hands.calls.push(("list", self.queues.len() as u64));
    }
}

fn queue(
    model: &Model,
    words: &SiteDirectorWords,
    vo: usize,
    (number, pool): (usize, &Pool),
    cloud: usize,
) -> Option<Queue> {
    let flavor = flavor_of(pool, &model.clouds[cloud])?;
    let of = &model.clouds[cloud].flavors[flavor];
    let spot = pool.purchase.first() == Some(&Purchase::Spot) && of.spot_price.is_some();
    Some(Queue {
        order: Order {
            pool: number,
            vo,
            offer: Offer { cloud, flavor, zone: 0, spot },
            cpu_time: pool.cpu_time,
            alone: None,
        },
        resource: Description {
            site: vec![pool.site.clone()],
            grid_ce: vec![pool.ce.clone()],
            platform: pool.platform.iter().cloned().collect(),
            tags: Some(pool.tags.clone()),
            required_tags: pool.required_tags.clone(),
            // `getMatchingTaskQueues` knows no VO; SiteDirector leaves the groups of others out itself.
            owner_groups: model.vos[vo].groups.clone(),
            whole_node: true,
            processors: u32::try_from(of.size.cores).unwrap_or(u32::MAX),
            cpu_time: i64::try_from(pool.cpu_time).unwrap_or(i64::MAX),
            max_ram: Some(of.size.ram_mib),
            ..Description::default()
        },
        max_total: words.max_total_jobs.unwrap_or(pool.max),
        failed: 0,
        open: Vec::new(),
        any_made: false,
    })
}

/// The flavor that an administrator would write: the first by name, or the cheapest within the bounds.
fn flavor_of(pool: &Pool, cloud: &Cloud) -> Option<usize> {
    if let Some(found) = pool.flavors.iter().find_map(|name| cloud.flavors.iter().position(|f| f.name == *name)) {
        return Some(found);
    }
    let bounds = pool.requirements.as_ref()?;
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let fits = |f: &Flavor| {
        let gpus = count(f.size.gpus);
        let ram = f.size.ram_mib / 1024 / f.size.cores.max(1);
        bounds.cores.as_ref().is_none_or(|r| r.contains(count(f.size.cores)))
            && bounds.ram_gib_per_core.as_ref().is_none_or(|r| r.contains(count(ram)))
            && match &bounds.gpus {
                None => gpus == 0,
                Some(g) => g.min.is_none_or(|min| gpus >= min) && g.max.is_none_or(|max| gpus <= max),
            }
    };
    let all = cloud.flavors.iter().enumerate().filter(|(_, f)| fits(f));
    all.min_by_key(|(_, f)| (f.price.map_or(u64::MAX, |p| p / f.size.cores.max(1)), f.size.cores)).map(|(i, _)| i)
}

impl Policy for SiteDirector {
    fn name(&self) -> &'static str {
        "sitedirector"
    }

    fn period(&self) -> Ms {
        ms(self.words.polling_time)
    }

    fn manners(&self) -> PilotManners {
        // `cloudinit.template`: sleep 5m, then poweroff. The JobAgent alone decides when it was idle for long enough.
        PilotManners { cooldown: ms(self.words.cooldown), obeys_idle_timeout: false }
    }

    fn decide(&mut self, seen: &Seen<'_>, hands: &mut Hands) {
        let projects: Vec<usize> = seen.model().clouds.iter().map(|c| c.project).collect();
        // `getCEStatus`: every VM of ours in the project's list is a running job, in whatever state it is, and none ever waits.
        let mut running = vec![0_u64; seen.model().projects.len()];
        for vm in seen.vms().filter(|vm| vm.listed.is_some()) {
            running[projects[vm.order.offer.cloud]] += 1;
        }
        for queue in &mut self.queues {
            // `_submitPilotsPerQueue`: a queue that failed is left alone until the count is a multiple of FailedQueueCycleFactor.
            if queue.failed % self.words.failed_queue_cycle_factor != 0 {
                queue.failed += 1;
                continue;
            }
            hands.calls.push(("list", 1));
            let slots = slots(running[projects[queue.order.offer.cloud]], queue.max_total, self.words.max_waiting_jobs);
            // `_getNumberOfJobsNeedingPilots`: all jobs that match, less the pilots that wait, of which a cloud has none.
            let jobs: u64 = seen.queues().filter(|q| matches(q.definition, &queue.resource)).map(|q| q.jobs).sum();
            let pilots = self.words.max_pilots_to_submit.min(slots).min(jobs);
            if pilots > 0 {
                // `submitJob`: image, flavor and networks are looked up by listing all of them.
                hands.calls.push(("list", 3));
                queue.open = (0..pilots).map(|_| hands.order(queue.order)).collect();
                queue.any_made = false;
            }
        }
        if self.cycles.is_multiple_of(self.words.pilot_status_update_cycle_factor) {
            self.monitor(seen, hands);
        }
        self.cycles += 1;
    }

    fn told(&mut self, _now: Ms, vm: VmId, _order: &Order, answer: Answer) {
        let Some(queue) = self.queues.iter_mut().find(|q| q.open.contains(&vm)) else { return };
        queue.open.retain(|other| *other != vm);
        queue.any_made |= answer == Answer::Made;
        // "Failed to submit any instances.": the queue failed.
        if queue.open.is_empty() && !queue.any_made {
            queue.failed += 1;
        }
    }
}

/// `ComputingElement.available` with no job that waits: how many more may be submitted.
fn slots(running: u64, max_total: u64, max_waiting: u64) -> u64 {
    max_waiting.min(max_total.saturating_sub(running))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_what_compute_element_available_gives() {
        assert_eq!(slots(0, 100, 10), 10);
        assert_eq!(slots(95, 100, 10), 5);
        assert_eq!(slots(100, 100, 10), 0);
        assert_eq!(slots(120, 100, 10), 0, "others' VMs in the project count too");
    }
}
