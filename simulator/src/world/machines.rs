//! What happens to VMs: orders, the providers' answers, and the many ways in which a VM goes.

use super::{Event, JobState, Order, Row, RowStatus, Stage, Vm, VmId, World};
use crate::{
    cloud::{Answer, Fate},
    scenario::{Limits, Size},
    time::{Ms, SECOND, ms},
};

/// `StalledJobAgent`: it looks each hour, a job is stalled after two and a half watchdog cycles of half an hour (`StalledTimeHours` 2),
/// and what it found it acts on an hour later.
const STALLED_LOOK: Ms = 3_600 * SECOND;
const STALLED_AFTER: Ms = 4_500 * SECOND;

impl World<'_> {
    /// When a cloud can get one more request: no sooner than its rate allows.
    fn call(&mut self, cloud: usize) -> Ms {
        let of = &self.loaded.model.clouds[cloud];
        let at = self.next_call[cloud].max(self.heap.now());
        self.next_call[cloud] = at + SECOND / of.per_second;
        at + ms(of.behaviour.latency)
    }

    /// Counts calls of this kind to clouds.
    pub fn count(&mut self, kind: &'static str, calls: u64) {
        *self.calls.entry(kind).or_default() += calls;
    }

    /// A VM is ordered: the request goes out as soon as the cloud's rate allows.
    pub fn order(&mut self, order: Order) {
        let vm = self.vms.len() as VmId;
        let profile = self.maker.profile(&self.loaded.model, &order);
        let cores = self.loaded.model.clouds[order.offer.cloud].flavors[order.offer.flavor].size.cores;
        self.vms.push(Vm {
            order,
            ordered: self.heap.now(),
            stage: Stage::Ordered,
            born: None,
            gone: None,
            is_answered: false,
            is_deleting: false,
            row: Row { status: RowStatus::Submitted, current_job: None, running_since: None, power: None },
            pilot: None,
            held: 0,
            last: None,
            boots: None,
            cores,
            profile,
        });
        self.live.push(vm);
        let at = self.call(order.offer.cloud);
        self.heap.set(at, Event::Create(vm));
    }

    /// A VM's deletion is ordered.
    pub fn order_deletion(&mut self, vm: VmId) {
        if !std::mem::replace(&mut self.vms[vm as usize].is_deleting, true) {
            let at = self.call(self.vms[vm as usize].order.offer.cloud);
            self.heap.set(at, Event::Delete(vm));
        }
    }

    /// The order is dropped before it went out.
    pub fn drop_order(&mut self, vm: VmId) {
        self.vms[vm as usize].stage = Stage::Refused;
    }

    /// What a Downtime leaves in a cloud now, and what is used of it.
    fn room(&self, cloud: usize) -> Option<(Limits, Size)> {
        let (model, now) = (&self.loaded.model, self.heap.now());
        let on = model.closed.iter().find(|c| c.cloud == cloud && c.from <= now && now < c.until)?;
        let alike = model.closed.iter().filter(|c| c.from == on.from && c.until == on.until).map(|c| c.cloud);
        Some((on.keep, self.books.in_clouds(alike)))
    }

    /// The provider gets the request to create a VM, and answers.
    pub fn create(&mut self, vm: VmId) -> Answer {
        let (now, order) = (self.heap.now(), self.vms[vm as usize].order);
        let image = &self.loaded.model.pools[order.pool].image;
        let room = self.room(order.offer.cloud);
        self.count("create", 1);
        let (answer, fate) = self.provider.create(now, order.offer, image, room);
        let of = &mut self.vms[vm as usize];
        let Some(fate) = fate else {
            of.stage = Stage::Refused;
            return answer;
        };
        (of.stage, of.born, of.is_answered) = (Stage::Building, Some(now), answer == Answer::Made);
        self.books.born(now, order);
        let project = self.loaded.model.clouds[order.offer.cloud].project;
        self.books.check_quota(now, project, self.provider.used(project));
        match fate {
            Fate::Error => of.stage = Stage::Error,
            Fate::Dead => self.heap.after(20 * SECOND, Event::Built(vm)),
            Fate::Boots(boot, first) => {
                of.boots = Some((boot, first));
                // ACTIVE comes before the system on it is up.
                self.heap.after(boot / 3, Event::Built(vm));
                self.heap.after(boot + first, Event::FirstAsk(vm));
            }
        }
        if let Some(wait) = self.provider.reclaimed_after(order.offer) {
            self.heap.after(wait, Event::Reclaimed(vm));
        }
        answer
    }

    /// A VM that was being made becomes ACTIVE.
    pub fn built(&mut self, vm: VmId) {
        let of = &mut self.vms[vm as usize];
        if of.stage == Stage::Building {
            of.stage = Stage::Active;
        }
    }

    /// A VM is gone, with the jobs on it.
    pub fn vanish(&mut self, vm: VmId) {
        let now = self.heap.now();
        let of = &mut self.vms[vm as usize];
        if !of.exists() {
            return;
        }
        (of.stage, of.gone) = (Stage::Gone, Some(now));
        let order = of.order;
        let running = of.pilot.take().map(|pilot| pilot.running).unwrap_or_default();
        self.provider.free(order.offer);
        self.books.gone(now, order);
        for job in running {
            let of = &mut self.jobs[job as usize];
            of.state = JobState::Lost;
            let took = now.saturating_sub(of.began);
            self.vms[vm as usize].had(now, of.task.processors, took);
            self.books.job_ended(of.task, took, true);
            self.books.served[of.stream as usize].lost += 1;
            let looked = (now + STALLED_AFTER).div_ceil(STALLED_LOOK) * STALLED_LOOK;
            self.heap.set(looked + STALLED_LOOK, Event::LostIsFound(job));
        }
    }

    /// A storm takes a part of the Spot VMs of a cloud.
    pub fn storm(&mut self, cloud: usize, storm: usize) {
        let part = self.loaded.model.clouds[cloud].behaviour.spot_storms[storm].part;
        for vm in self.live.clone() {
            let order = self.vms[vm as usize].order;
            if order.offer.cloud == cloud && self.vms[vm as usize].exists() && self.provider.is_hit(order.offer, part) {
                self.vanish(vm);
            }
        }
    }

    /// A Downtime begins: what is above what may stay is switched off.
    pub fn closes(&mut self, number: usize) {
        let closed = &self.loaded.model.closed[number];
        for vm in self.live.clone().into_iter().rev() {
            let Some((keep, used)) = self.room(closed.cloud) else { return };
            if keep.passed(used).is_none() {
                return;
            }
            let of = &self.vms[vm as usize];
            if of.exists() && of.order.offer.cloud == closed.cloud {
                let name = &self.loaded.model.clouds[closed.cloud].name;
                self.books.pass(self.heap.now(), format!("downtime of cloud {name} (still there when it began)"), 1);
                self.vanish(vm);
            }
        }
    }

    /// Takes those that are gone for longer than `lag` off the list of those that live.
    pub fn forget(&mut self, lag: Ms) {
        let (now, vms) = (self.heap.now(), &self.vms);
        self.live.retain(|vm| {
            let of = &vms[*vm as usize];
            of.stage != Stage::Refused && of.gone.is_none_or(|gone| gone + lag > now)
        });
    }
}
