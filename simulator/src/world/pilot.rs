//! What pilots do in the world.

use super::{Event, JobState, PilotLife, RowStatus, Stage, VmId, World, vm::Pilot};
use crate::{
    dirac::{Ask, Definition, JobAgent, JobId, Need, PoolCe, Step},
    time::{Ms, ms},
};

impl World<'_> {
    /// A VM's pilot asks for work for the first time.
    pub fn first_ask(&mut self, vm: VmId) {
        let now = self.heap.now();
        let of = &mut self.vms[vm as usize];
        if !of.exists() {
            return;
        }
        of.stage = Stage::Active;
        let cloud = &self.loaded.model.clouds[of.order.offer.cloud];
        let size = cloud.flavors[of.order.offer.flavor].size;
        let processors = u32::try_from(size.cores).unwrap_or(u32::MAX);
        let offers_gpus = self.loaded.model.pools[of.order.pool].tags.iter().any(|tag| tag.eq_ignore_ascii_case("GPU"));
        let gpus = if offers_gpus { u32::try_from(size.gpus).unwrap_or(u32::MAX) } else { 0 };
        let pool = PoolCe::new(processors, size.ram_mib).with_gpus(gpus);
        let agent = JobAgent::new(now, processors, pool, cloud.behaviour.power, of.order.cpu_time, &self.settings);
        of.pilot = Some(Pilot { agent, life: PilotLife::Asking, running: Vec::new(), idle_since: now });
        let faults = &self.loaded.words.faults;
        if self.pilot_dice.chance(faults.hung_pilots) {
            let wait = faults.hang_after.map_or(0, |after| self.pilot_dice.draw(&after));
            self.heap.after(wait, Event::Hang(vm));
        }
        self.watch_idle(vm, now);
        self.cycle(vm);
    }

    /// A cycle of a VM's JobAgent.
    pub fn cycle(&mut self, vm: VmId) {
        let (now, set) = (self.heap.now(), self.settings);
        let Some(pilot) = self.vms[vm as usize].pilot.as_mut().filter(|p| p.life == PilotLife::Asking) else { return };
        let step = match pilot.agent.begin(now, &set) {
            Step::Ask(ask) => match self.choose(vm, ask) {
                Some(job) => self.give(vm, job),
                None => match self.vms[vm as usize].pilot.as_mut() {
                    Some(pilot) => pilot.agent.not_matched(&set),
                    None => return,
                },
            },
            other => other,
        };
        match step {
            Step::Next(at) => self.heap.set(at, Event::Cycle(vm)),
            Step::Full => {
                if let Some(pilot) = self.vms[vm as usize].pilot.as_mut() {
                    pilot.life = PilotLife::Full;
                }
            }
            Step::Stop(_) | Step::Ask(_) => self.stop_pilot(vm),
        }
    }

    /// The Matcher chooses a job for this pilot.
    fn choose(&mut self, vm: VmId, ask: Ask) -> Option<JobId> {
        let of = &self.vms[vm as usize];
        let (profile, pool) = (of.profile, of.order.pool);
        let is_banned = self.is_banned(&self.loaded.model.pools[pool].site);
        let taken = self.queues.choose(&mut self.match_dice, |number, definition: &Definition| {
            self.maker.suits(profile, ask, is_banned, number, definition)
        });
        let (job, emptied) = taken?;
        self.queue_emptied(emptied);
        Some(job)
    }

    fn is_banned(&self, site: &str) -> bool {
        let now = self.heap.now();
        let bans = &self.loaded.words.faults.banned_sites;
        bans.iter().any(|b| b.site == site && ms(b.from) <= now && b.until.is_none_or(|until| now < ms(until)))
    }

    fn give(&mut self, vm: VmId, job: JobId) -> Step {
        let (now, set) = (self.heap.now(), self.settings);
        let definition = self.jobs[job as usize].definition as usize;
        let definition = self.queues.definition(definition);
        let arrivals = &self.loaded.words.arrivals[self.jobs[job as usize].stream as usize];
        let need = Need {
            processors: arrivals.cores,
            multi: definition.tags.iter().any(|tag| tag == "MultiProcessor"),
            whole_node: arrivals.whole_node,
            ram: definition.min_ram,
        };
        let of = &mut self.vms[vm as usize];
        let power = self.loaded.model.clouds[of.order.offer.cloud].behaviour.power;
        // `Matcher._updatePilotInfo` and `_updatePilotJobMapping`.
        if of.row.status == RowStatus::Submitted {
            of.row.status = RowStatus::Running;
        }
        of.row.current_job = Some(job);
        of.row.running_since.get_or_insert(now);
        of.row.power = Some((power * 100.0).round() as u64);
        let Some(pilot) = of.pilot.as_mut() else { return Step::Stop("no pilot") };
        let (task, step) = pilot.agent.matched(need, &set);
        let Some(task) = task else {
            self.reschedule(job);
            return step;
        };
        pilot.running.push(job);
        let of = &mut self.jobs[job as usize];
        (of.state, of.vm, of.task, of.began) = (JobState::Running, vm, task, now + set.match_time);
        if of.attempt == 0 {
            let wait = u32::try_from((of.began - of.submitted) / 1_000).unwrap_or(u32::MAX);
            self.books.served[of.stream as usize].waits.push(wait);
        }
        self.books.job_began(task);
        self.heap.set(of.began + of.runs, Event::JobEnds(job, of.attempt));
        step
    }

    /// A job ends on its VM, unless it was put back before: `attempt` says which run is meant.
    pub fn job_ends(&mut self, job: JobId, attempt: u8) {
        let (now, set) = (self.heap.now(), self.settings);
        let of = &mut self.jobs[job as usize];
        if of.state != JobState::Running || of.attempt != attempt {
            return;
        }
        let (vm, task) = (of.vm, of.task);
        let served = &mut self.books.served[of.stream as usize];
        if of.ends_well {
            of.state = JobState::Done;
            served.done += 1;
        } else {
            of.state = JobState::Failed;
            served.failed += 1;
        }
        self.books.job_ended(task, now - of.began, false);
        self.vms[vm as usize].had(now, task.processors, now - of.began);
        let Some(pilot) = self.vms[vm as usize].pilot.as_mut() else { return };
        pilot.agent.pool.finish(task);
        pilot.running.retain(|other| *other != job);
        let is_idle = pilot.running.is_empty();
        if is_idle {
            pilot.idle_since = now;
        }
        match pilot.life {
            PilotLife::Full => {
                pilot.life = PilotLife::Asking;
                let at = pilot.agent.wake(now, &set);
                self.heap.set(at, Event::Cycle(vm));
            }
            PilotLife::Stopping if is_idle => {
                let wait = pilot.agent.finalize_time(&set);
                self.heap.after(wait, Event::PilotEnds(vm));
            }
            _ => {}
        }
        if is_idle {
            self.watch_idle(vm, now);
        }
    }

    /// The agent takes no more jobs; when its last one has ended, the pilot ends.
    fn stop_pilot(&mut self, vm: VmId) {
        let set = self.settings;
        let Some(pilot) = self.vms[vm as usize].pilot.as_mut() else { return };
        pilot.life = PilotLife::Stopping;
        if pilot.running.is_empty() {
            let wait = pilot.agent.finalize_time(&set);
            self.heap.after(wait, Event::PilotEnds(vm));
        }
    }

    /// A pilot hangs: it asks no more and never ends.
    pub fn hang(&mut self, vm: VmId) {
        if let Some(pilot) = self.vms[vm as usize].pilot.as_mut().filter(|p| p.life != PilotLife::Ended) {
            pilot.life = PilotLife::Hung;
        }
    }

    fn watch_idle(&mut self, vm: VmId, since: Ms) {
        if self.manners.obeys_idle_timeout {
            let wait = self.loaded.model.pools[self.vms[vm as usize].order.pool].idle_timeout;
            self.heap.set(since + wait, Event::IdleCheck(vm, since));
        }
    }

    /// A VM that is idle for its idleTimeout stops its pilot.
    pub fn idle_check(&mut self, vm: VmId, since: Ms) {
        let Some(pilot) = self.vms[vm as usize].pilot.as_mut() else { return };
        let takes = matches!(pilot.life, PilotLife::Asking | PilotLife::Full);
        if takes && pilot.running.is_empty() && pilot.idle_since == since {
            pilot.life = PilotLife::Stopping;
            self.heap.after(0, Event::PilotEnds(vm));
        }
    }

    /// A pilot ends, and soon after it its VM stops.
    pub fn pilot_ends(&mut self, vm: VmId) {
        let of = &mut self.vms[vm as usize];
        if let Some(pilot) = of.pilot.as_mut().filter(|p| p.life == PilotLife::Stopping) {
            pilot.life = PilotLife::Ended;
            of.row.status = RowStatus::Done;
            self.heap.after(self.manners.cooldown, Event::Stops(vm));
        }
    }

    /// A VM stops by itself, unless it is gone already.
    pub fn stops(&mut self, vm: VmId) {
        let of = &mut self.vms[vm as usize];
        if of.exists() {
            of.stage = Stage::Stopped;
        }
    }
}
