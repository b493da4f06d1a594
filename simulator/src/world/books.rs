//! The simulator's own books: what exists, what it costs, what was served, and every limit that was passed. They are kept at each event,
//! and nobody but the report reads them.

use std::collections::BTreeMap;

use super::Order;
use crate::{
    dirac::Task,
    scenario::{Limits, Model, Size},
    time::{HOUR, Ms},
};

/// What a limit counts.
const WHAT: [&str; 4] = ["VMs", "cores", "memory", "GPUs"];

/// How far a limit was passed, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// How many VMs were made, or were there, above it.
    pub vms: u64,
    /// When it was first passed.
    pub first: Ms,
}

/// Money that runs.
#[derive(Clone, Debug, Default)]
struct Meter {
    /// Millionths spent until `at`.
    spent: f64,
    /// Millionths an hour now.
    rate: f64,
    at: Ms,
    /// What was spent at earlier moments.
    history: Vec<(Ms, f64)>,
}

impl Meter {
    fn read(&mut self, now: Ms) -> f64 {
        self.spent += self.rate * (now - self.at) as f64 / HOUR as f64;
        self.at = now;
        self.spent
    }

    /// What was spent in the last `period`.
    fn within(&mut self, now: Ms, period: Ms) -> f64 {
        let total = self.read(now);
        let Some(begin) = now.checked_sub(period) else { return total };
        let older = self.history.partition_point(|(at, _)| *at <= begin);
        total - older.checked_sub(1).map_or(0.0, |i| self.history[i].1)
    }
}

/// What became of the jobs of one stream of arrivals.
#[derive(Clone, Debug, Default)]
pub struct Served {
    /// Jobs that arrived.
    pub arrived: u64,
    /// Jobs that ended as they should.
    pub done: u64,
    /// Jobs that ended otherwise.
    pub failed: u64,
    /// Jobs lost with their VM.
    pub lost: u64,
    /// From arrival to the start, in seconds, of each job that started for the first time.
    pub waits: Vec<u32>,
}

/// What exists and what it costs, counted beside the policy and never shown to it.
pub struct Books<'a> {
    model: &'a Model,
    pools: Vec<Size>,
    vos: Vec<Size>,
    clouds: Vec<Size>,
    meters: Vec<Meter>,
    /// By VO: what its budget counts.
    budgets: Vec<Meter>,
    /// Limits that were passed, by what they are called.
    pub passed: BTreeMap<String, Passed>,
    /// By stream of arrivals.
    pub served: Vec<Served>,
    /// Core-milliseconds that jobs held, of jobs that were not lost.
    pub used: u64,
    /// Core-milliseconds that lost jobs held.
    pub wasted: u64,
    /// Cores held now.
    pub busy: u64,
    /// Cores of the VMs that exist.
    pub cores: u64,
}

impl<'a> Books<'a> {
    /// Books with nothing in them.
    pub fn new(model: &'a Model, streams: usize) -> Self {
        Self {
            model,
            pools: vec![Size::default(); model.pools.len()],
            vos: vec![Size::default(); model.vos.len()],
            clouds: vec![Size::default(); model.clouds.len()],
            meters: vec![Meter::default(); model.vos.len()],
            budgets: vec![Meter::default(); model.vos.len()],
            passed: BTreeMap::new(),
            served: vec![Served::default(); streams],
            used: 0,
            wasted: 0,
            busy: 0,
            cores: 0,
        }
    }

    /// How many VMs exist, in all clouds.
    pub fn vms(&self) -> u64 {
        self.clouds.iter().map(|c| c.vms).sum()
    }

    /// Cores of the VMs of each VO.
    pub fn by_vo(&self) -> Vec<u64> {
        self.vos.iter().map(|size| size.cores).collect()
    }

    /// Size of all VMs that exist in these clouds.
    pub fn in_clouds(&self, clouds: impl Iterator<Item = usize>) -> Size {
        let mut all = Size::default();
        clouds.for_each(|cloud| all += self.clouds[cloud]);
        all
    }

    fn flavor(&self, order: Order) -> (Size, f64) {
        let flavor = &self.model.clouds[order.offer.cloud].flavors[order.offer.flavor];
        let price = if order.offer.spot { flavor.spot_price } else { flavor.price };
        (flavor.size, price.unwrap_or(0) as f64)
    }

    /// Counts a VM that was made.
    pub fn born(&mut self, now: Ms, order: Order) {
        let (size, _) = self.flavor(order);
        self.pools[order.pool] += size;
        self.vos[order.vo] += size;
        self.clouds[order.offer.cloud] += size;
        self.cores += size.cores;
        self.check(now, order);
        self.run(now, order, 1.0);
    }

    /// A VM begins to cost (`sign` 1), or is gone (-1).
    fn run(&mut self, now: Ms, order: Order, sign: f64) {
        let (size, rate) = self.flavor(order);
        let meter = &mut self.meters[order.vo];
        meter.read(now);
        meter.rate += sign * rate;
        let in_hours = self.model.vos[order.vo].budget.as_ref().is_some_and(|budget| budget.currency.is_none());
        let meter = &mut self.budgets[order.vo];
        meter.read(now);
        meter.rate += sign * if in_hours { size.cores as f64 * 1e6 } else { rate };
    }

    /// What the VMs of all pools of this pool's site are together.
    fn in_site(&self, pool: usize) -> Size {
        let mut all = Size::default();
        let site = &self.model.pools[pool].site;
        let of_site = self.model.pools.iter().zip(&self.pools).filter(|(pool, _)| pool.site == *site);
        of_site.for_each(|(_, size)| all += *size);
        all
    }

    /// Counts a VM off that is gone.
    pub fn gone(&mut self, now: Ms, order: Order) {
        let (size, _) = self.flavor(order);
        self.pools[order.pool] -= size;
        self.vos[order.vo] -= size;
        self.clouds[order.offer.cloud] -= size;
        self.cores -= size.cores;
        self.run(now, order, -1.0);
    }

    /// A VM was just made: is anything above its limit?
    fn check(&mut self, now: Ms, order: Order) {
        let model = self.model;
        let (pool, vo, cloud) = (&model.pools[order.pool], &model.vos[order.vo], &model.clouds[order.offer.cloud]);
        // A pool that borrows has no maximum where others leave room.
        let max = Limits([Some(pool.max).filter(|_| !pool.borrows), None, None, None]);
        let all = [
            (format!("scaling.max of pool {}", pool.name), max.passed(self.pools[order.pool])),
            (format!("limits of VO {}", vo.name), vo.limits.passed(self.vos[order.vo])),
            (format!("ceiling of cloud {}", cloud.name), cloud.ceiling.passed(self.clouds[order.offer.cloud])),
            (format!("limits of site {}", pool.site), pool.site_limits.passed(self.in_site(order.pool))),
            ("limits of the installation".to_owned(), model.limits.passed(self.in_clouds(0..self.clouds.len()))),
        ];
        for (name, what) in all {
            if let Some(what) = what {
                self.pass(now, format!("{name} ({})", WHAT[what]), 1);
            }
        }
        let meter = &mut self.budgets[order.vo];
        if vo.budget.as_ref().is_some_and(|b| meter.within(now, b.period) >= b.micros as f64) {
            self.pass(now, format!("budget of VO {} (bought after it was spent)", vo.name), 1);
        }
    }

    /// What the providers themselves must not pass: their quotas.
    pub fn check_quota(&mut self, now: Ms, project: usize, used: &[Size]) {
        let project = &self.model.projects[project];
        for (quota, used) in project.quotas.iter().zip(used) {
            if let Some(what) = quota.passed(*used) {
                self.pass(now, format!("quota of project {} ({})", project.name, WHAT[what]), 1);
            }
        }
    }

    /// Notes a limit that was passed.
    pub fn pass(&mut self, now: Ms, name: String, vms: u64) {
        self.passed.entry(name).or_insert(Passed { vms: 0, first: now }).vms += vms;
    }

    /// Counts a job that began, with what it holds.
    pub fn job_began(&mut self, task: Task) {
        self.busy += u64::from(task.processors);
    }

    /// Counts a job that ended after this time.
    pub fn job_ended(&mut self, task: Task, took: Ms, is_lost: bool) {
        self.busy -= u64::from(task.processors);
        let held = u64::from(task.processors) * took;
        if is_lost {
            self.wasted += held;
        } else {
            self.used += held;
        }
    }

    /// Keeps what was spent so far, for budgets that slide.
    pub fn remember(&mut self, now: Ms) {
        for meter in &mut self.budgets {
            let total = meter.read(now);
            meter.history.push((now, total));
        }
    }

    /// What all VOs spent, in millionths.
    pub fn spent(&mut self, now: Ms) -> f64 {
        self.meters.iter_mut().map(|meter| meter.read(now)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_runs_with_time_and_a_budget_slides() {
        let mut meter = Meter { rate: 100.0, ..Meter::default() };
        assert_eq!(meter.read(HOUR), 100.0);
        meter.history.push((HOUR, 100.0));
        assert_eq!(meter.within(3 * HOUR, 10 * HOUR), 300.0);
        assert_eq!(meter.within(3 * HOUR, 2 * HOUR), 200.0, "what was spent in the last two hours");
    }
}
