//! The decision: demand against supply first, then new VMs within all limits, then words for what is left.

use std::{collections::HashMap, sync::Arc};

use super::{
    Failing, Launch, LiveVm, Offering, Plan, Reason, Snapshot, Surplus, Unmet, VmPhase,
    account::{Account, Accounts, Binding},
    class::{Class, Demand},
    fit,
    fit::Fit,
    supply::{Slots, Supply},
};

/// Plans one round. Pure: the same snapshot gives the same plan, whatever the order of its queues.
///
/// Classes of jobs are taken from the most demanding to the least. Each is given first to the free cores of VMs that run or
/// boot, then to new VMs: pools that require tags before pools that take all, then in the snapshot's order; in a pool, clouds
/// in its order, and flavors in its order (by price for a core, where the pool names bounds instead of flavors). The order of
/// preference wins over the best fit.
pub fn plan(snapshot: &Snapshot) -> Plan {
    let mut round = Round::new(snapshot);
    let demand = Demand::of(snapshot);
    let mut plan = Plan {
        waiting: snapshot.vos.iter().zip(&demand.waiting).map(|(vo, jobs)| (vo.name.clone(), *jobs)).collect(),
        unclaimed: demand.unclaimed.clone(),
        ..Plan::default()
    };
    let unserved: Vec<u64> = demand.classes.iter().map(|c| round.serve(c)).collect();
    for (class, jobs) in demand.classes.iter().zip(unserved) {
        if jobs > 0 {
            round.launch(class, jobs, &mut plan);
        }
    }
    let assigned = snapshot.pools.iter().zip(&round.assigned).filter(|(_, jobs)| **jobs > 0);
    plan.assigned = assigned.map(|(pool, jobs)| (pool.name.clone(), *jobs)).collect();
    plan.surplus = surplus(snapshot);
    plan
}

/// What keeps an offering from being bought.
#[derive(Clone, Copy)]
enum Obstacle {
    /// A limit.
    Limit(Binding),
    /// The cloud refused it a moment ago.
    Refused,
    /// The pool's VMs of it come to nothing.
    Failing,
}

/// Something a pool may buy.
#[derive(Clone, Copy)]
struct Offer<'a> {
    /// Index of the cloud.
    cloud: usize,
    offering: &'a Offering,
    /// Of the pool's VMs: see [`Fit::shape`].
    shape: usize,
}

struct Round<'a> {
    snapshot: &'a Snapshot,
    accounts: Accounts,
    supply: Supply,
    /// Pools that serve a VO, in the order in which they are tried.
    pools_of: Vec<Vec<usize>>,
    /// What each pool may buy, in the order in which it is tried.
    offers: Vec<Vec<Offer<'a>>>,
    /// The shape with the cores of the pool's largest offering and the memory of that with most; `None`: it may buy nothing.
    largest: Vec<Option<usize>>,
    fit: Fit,
    /// Jobs given to each pool.
    assigned: Vec<u64>,
}

impl<'a> Round<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let index = |names: Vec<&'a str>| -> HashMap<&'a str, usize> {
            names.into_iter().enumerate().map(|(i, n)| (n, i)).collect()
        };
        let pools = index(snapshot.pools.iter().map(|p| p.name.as_str()).collect());
        let vos = index(snapshot.vos.iter().map(|v| v.name.as_str()).collect());
        let clouds = index(snapshot.clouds.iter().map(|c| c.name.as_str()).collect());
        let mut accounts = Accounts {
            pools: snapshot
                .pools
                .iter()
                .map(|p| Account::new(super::Limits { vms: Some(p.max), ..Default::default() }))
                .collect(),
            vos: snapshot.vos.iter().map(|v| Account::new(v.limits)).collect(),
            ceilings: snapshot.clouds.iter().map(|c| Account::new(c.ceiling)).collect(),
            quotas: snapshot
                .clouds
                .iter()
                .map(|c| c.headroom.iter().map(|class| Account::new(*class)).collect())
                .collect(),
        };
        let mut fit = Fit::default();
        let mut supply = Supply::new(snapshot.vos.len());
        for vm in &snapshot.vms {
            charge(&mut accounts, vm, &pools, &vos, &clouds);
            let (Some(&pool), Some(&vo)) = (pools.get(vm.pool.as_str()), vos.get(vm.vo.as_str())) else { continue };
            let free = match vm.phase {
                VmPhase::Booting => vm.offering.cores,
                VmPhase::Running => vm.free_cores,
                VmPhase::Ending => 0,
            };
            if free > 0 {
                let shape = fit.shape(pool, &snapshot.pools[pool], &vm.offering);
                supply.slots(pool, vo, shape, vm.offering.cores).add(free);
            }
        }
        let pools_of = snapshot.vos.iter().map(|vo| {
            let mut serving: Vec<usize> =
                (0..snapshot.pools.len()).filter(|i| snapshot.pools[*i].vos.contains(&vo.name)).collect();
            serving.sort_by_key(|i| std::cmp::Reverse(snapshot.pools[*i].required_tags.len()));
            serving
        });
        let flavors: Vec<_> = snapshot.clouds.iter().map(by_flavor).collect();
        let (mut offers, mut largest) = (Vec::new(), Vec::new());
        for (i, pool) in snapshot.pools.iter().enumerate() {
            let all = offerings(snapshot, pool, &clouds, &flavors);
            largest.push(largest_of(&all).map(|offering| fit.shape(i, pool, &offering)));
            let offer = |(cloud, offering)| Offer { cloud, offering, shape: fit.shape(i, pool, offering) };
            offers.push(all.into_iter().map(offer).collect());
        }
        let assigned = vec![0; snapshot.pools.len()];
        Self { snapshot, accounts, supply, pools_of: pools_of.collect(), offers, largest, fit, assigned }
    }

    /// Gives jobs of a class to supply; how many found none.
    fn serve(&mut self, class: &Class<'_>) -> u64 {
        let mut left = class.jobs;
        for slots in self.supply.of(class.vo) {
            if left == 0 {
                break;
            }
            if slots.has_room() && self.fit.fits(class, slots.pool, slots.shape) {
                let served = slots.serve(left, class.cores);
                left -= served;
                self.assigned[slots.pool] += served;
            }
        }
        left
    }

    /// Makes VMs for jobs of a class; what remains is unmet.
    fn launch(&mut self, class: &Class<'_>, jobs: u64, plan: &mut Plan) {
        // A VM made a moment ago for a more demanding class may have cores left.
        let rest = Class { jobs, ..class.clone() };
        let mut left = self.serve(&rest);
        let mut why: Option<(usize, usize, Obstacle)> = None;
        for n in 0..self.pools_of[class.vo].len() {
            let p = self.pools_of[class.vo][n];
            // What does not fit the pool's largest machine fits none of its machines.
            if self.largest[p].is_none_or(|largest| !self.fit.fits(class, p, largest)) {
                continue;
            }
            for o in 0..self.offers[p].len() {
                if left == 0 {
                    return;
                }
                let offer = self.offers[p][o];
                let fits = Slots::capacity(offer.offering, class.cores) > 0 && self.fit.fits(class, p, offer.shape);
                if fits && let Some(obstacle) = self.buy(class, &mut left, p, offer, plan) {
                    why.get_or_insert((p, o, obstacle));
                }
            }
        }
        if left > 0 {
            plan.unmet.push(self.explain(class, left, why));
        }
    }

    /// Makes VMs of one offering until nothing is `left` or something binds, which is what comes back.
    fn buy(
        &mut self,
        class: &Class<'_>,
        left: &mut u64,
        p: usize,
        Offer { cloud: c, offering, shape }: Offer<'_>,
        plan: &mut Plan,
    ) -> Option<Obstacle> {
        let (pool, vo, cloud) = (&self.snapshot.pools[p], &self.snapshot.vos[class.vo], &self.snapshot.clouds[c]);
        if cloud.exhausted.contains(&offering.flavor) {
            return Some(Obstacle::Refused);
        }
        let fails = |f: &Failing| f.cloud == cloud.name && f.flavor == offering.flavor && f.zone == offering.zone;
        if pool.failing.iter().any(fails) {
            return Some(Obstacle::Failing);
        }
        let at = [p, class.vo, c];
        let room = Slots::capacity(offering, class.cores);
        let wait = *left;
        let mut words = None;
        while *left > 0 {
            if let Some(binding) = self.accounts.binding(at, offering) {
                return Some(Obstacle::Limit(binding));
            }
            self.accounts.take(at, offering);
            let jobs = room.min(*left);
            self.assigned[p] += jobs;
            // A full VM has nothing for others: the most usual case, and none to be looked up.
            let rest = class.cores.map_or(0, |each| offering.cores - jobs * each);
            if rest > 0 {
                self.supply.slots(p, class.vo, shape, offering.cores).add(rest);
            }
            let [pool, cloud, vo, reason] = words
                .get_or_insert_with(|| {
                    [&pool.name, &cloud.name, &vo.name, &why(class, wait, &vo.name)]
                        .map(|word| Arc::from(word.as_str()))
                })
                .clone();
            plan.launches.push(Launch { pool, cloud, vo, offering: offering.clone(), jobs, reason });
            *left -= jobs;
        }
        None
    }

    fn explain(&self, class: &Class<'_>, jobs: u64, why: Option<(usize, usize, Obstacle)>) -> Unmet {
        let vo = self.snapshot.vos[class.vo].name.clone();
        if let Some((p, o, obstacle)) = why {
            let pool = &self.snapshot.pools[p].name;
            let Offer { cloud: c, offering, .. } = self.offers[p][o];
            let cloud = &self.snapshot.clouds[c].name;
            let (reason, message) = match obstacle {
                Obstacle::Limit(binding) => (binding.reason(), binding.message([pool, &vo, cloud], offering)),
                Obstacle::Refused => {
                    let flavor = &offering.flavor;
                    (
                        Reason::NoCapacity,
                        format!("cloud {cloud} refused {flavor} for lack of room a moment ago; it is tried again soon"),
                    )
                }
                Obstacle::Failing => {
                    let flavor = &offering.flavor;
                    (
                        Reason::VmsFail,
                        format!(
                            "the last VMs of {flavor} that pool {pool} had on cloud {cloud} never asked for work: see their \
                             events and console logs (ConfigMaps with the label diracgrid.org/console); it is tried again soon"
                        ),
                    )
                }
            };
            return Unmet { vo, pool: Some(pool.clone()), jobs, reason, message };
        }
        let Some(&closest) = self.pools_of[class.vo].first() else {
            let message = format!("no pool serves VO {vo}: name it in spec.vos of a PilotPool");
            return Unmet { vo, pool: None, jobs, reason: Reason::NoPool, message };
        };
        let pool = &self.snapshot.pools[closest];
        if self.offers[closest].is_empty() {
            let message = format!("no cloud of pool {} can be used and offers a flavor it takes", pool.name);
            return Unmet { vo, pool: Some(pool.name.clone()), jobs, reason: Reason::NoOffering, message };
        }
        let message = format!("no pool takes them: {}", fit::obstacle(class.queue, pool));
        Unmet { vo, pool: None, jobs, reason: Reason::NoMatch, message }
    }
}

/// Why VMs are made for `jobs` jobs of a class.
fn why(class: &Class<'_>, jobs: u64, vo: &str) -> String {
    let tags = &class.queue.tags;
    let with = if tags.is_empty() { String::new() } else { format!(" with the tags {}", tags.join(", ")) };
    format!("{jobs} jobs of {vo}{with} wait and no VM that runs or boots has room for them")
}

/// Puts a VM that exists on every account it counts against.
fn charge(
    accounts: &mut Accounts,
    vm: &LiveVm,
    pools: &HashMap<&str, usize>,
    vos: &HashMap<&str, usize>,
    clouds: &HashMap<&str, usize>,
) {
    if let Some(&i) = pools.get(vm.pool.as_str()) {
        accounts.pools[i].take(&vm.offering);
    }
    if let Some(&i) = vos.get(vm.vo.as_str()) {
        accounts.vos[i].take(&vm.offering);
    }
    if let Some(&i) = clouds.get(vm.cloud.as_str()) {
        accounts.ceilings[i].take(&vm.offering);
        if !vm.counted {
            accounts.take_quota(i, &vm.offering);
        }
    }
}

/// What a pool may buy, in the order in which it is tried.
fn offerings<'a>(
    snapshot: &'a Snapshot,
    pool: &super::Pool,
    clouds: &HashMap<&str, usize>,
    by_flavor: &[HashMap<&str, Vec<&'a Offering>>],
) -> Vec<(usize, &'a Offering)> {
    let mut all = Vec::new();
    for name in &pool.clouds {
        let Some(&c) = clouds.get(name.as_str()) else { continue };
        if pool.flavors.is_empty() {
            let mut here: Vec<&Offering> =
                snapshot.clouds[c].offerings.iter().filter(|o| fit::accepts(pool, o)).collect();
            // Price for a core; what has no price comes last.
            let price = |o: &Offering| o.price_micros.map_or(u64::MAX, |p| p / o.cores.max(1));
            here.sort_by(|a, b| price(a).cmp(&price(b)).then(a.flavor.cmp(&b.flavor)).then(a.zone.cmp(&b.zone)));
            all.extend(here.into_iter().map(|o| (c, o)));
        } else {
            let named = pool.flavors.iter().filter_map(|f| by_flavor[c].get(f.as_str())).flatten();
            all.extend(named.map(|o| (c, *o)));
        }
    }
    all
}

/// The offerings of a cloud by flavor, those of one flavor in the cloud's order of zones.
fn by_flavor(cloud: &super::CloudState) -> HashMap<&str, Vec<&Offering>> {
    let mut all: HashMap<&str, Vec<&Offering>> = HashMap::with_capacity(cloud.offerings.len());
    for offering in &cloud.offerings {
        all.entry(offering.flavor.as_str()).or_default().push(offering);
    }
    all
}

fn largest_of(offerings: &[(usize, &Offering)]) -> Option<Offering> {
    let most = |of: fn(&Offering) -> u64| offerings.iter().map(|(_, o)| of(o)).max();
    Some(Offering { cores: most(|o| o.cores)?, ram_mib: most(|o| o.ram_mib)?, ..Offering::default() })
}

/// VMs beyond a pool's maximum that never asked for work: the youngest first. A VM that may run a job is never among them.
fn surplus(snapshot: &Snapshot) -> Vec<Surplus> {
    let mut by_pool: HashMap<&str, Vec<&LiveVm>> = HashMap::with_capacity(snapshot.pools.len());
    for vm in snapshot.vms.iter().filter(|vm| vm.phase != VmPhase::Ending) {
        by_pool.entry(&vm.pool).or_default().push(vm);
    }
    let mut all = Vec::new();
    for pool in &snapshot.pools {
        let live = by_pool.remove(pool.name.as_str()).unwrap_or_default();
        let over = live.len().saturating_sub(usize::try_from(pool.max).unwrap_or(usize::MAX));
        let mut booting: Vec<&LiveVm> = live.into_iter().filter(|vm| vm.phase == VmPhase::Booting).collect();
        booting.sort_by(|a, b| a.age_seconds.cmp(&b.age_seconds).then(a.name.cmp(&b.name)));
        all.extend(booting.into_iter().take(over).map(|vm| Surplus {
            vm: vm.name.clone(),
            reason: format!(
                "pool {} may have {} VMs (spec.scaling.max) and this one has not begun to work",
                pool.name, pool.max
            ),
        }));
    }
    all
}
