//! The decision. First jobs are given to VMs that are there, then new VMs are made for the rest within all limits, then what is still
//! left is explained.

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
/// The classes of jobs are taken from the most demanding to the least. The jobs of a class go first to the free cores of VMs that run or
/// boot, then to new VMs. Pools that require tags come before pools that take all jobs; otherwise the snapshot's order holds. In a pool
/// its order of clouds holds, then its order of flavors. Where the pool names bounds instead of flavors, the cheapest flavor for a core
/// comes first. The order of preference counts more than how well a flavor fits.
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

/// Why an offering is not bought.
#[derive(Clone, Copy)]
enum Obstacle {
    /// A limit.
    Limit(Binding),
    /// The cloud refused it a short time ago.
    Refused,
    /// The pool's last VMs of it never asked for work.
    Failing,
}

/// An offering that a pool may buy.
#[derive(Clone, Copy)]
struct Offer<'a> {
    /// Index of the cloud.
    cloud: usize,
    offering: &'a Offering,
    /// The shape of its VMs in this pool: see [`Fit::shape`].
    shape: usize,
}

struct Round<'a> {
    snapshot: &'a Snapshot,
    accounts: Accounts,
    supply: Supply,
    /// By index of the VO: the pools that serve it, in the order in which they are tried.
    pools_of: Vec<Vec<usize>>,
    /// By index of the pool: what it may buy, in the order in which it is tried.
    offers: Vec<Vec<Offer<'a>>>,
    /// By index of the pool: a shape with the most cores and the most memory of all its offerings; `None`: it may buy nothing.
    largest: Vec<Option<usize>>,
    fit: Fit,
    /// By index of the pool: jobs given to it.
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

    /// Gives the jobs of a class to VMs that are there. Returns how many jobs found no room.
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

    /// Makes VMs for jobs of a class. Jobs that get none are unmet demand.
    fn launch(&mut self, class: &Class<'_>, jobs: u64, plan: &mut Plan) {
        // A VM that this plan makes for a more demanding class may have cores left.
        let rest = Class { jobs, ..class.clone() };
        let mut left = self.serve(&rest);
        let mut why: Option<(usize, usize, Obstacle)> = None;
        for n in 0..self.pools_of[class.vo].len() {
            let p = self.pools_of[class.vo][n];
            // Jobs that do not fit a machine larger than all of the pool's fit none of them.
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

    /// Makes VMs of one offering until no job is `left`, or until an obstacle ends it: this obstacle is returned.
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
            // Mostly the VM is full and has no core for others: then nothing needs to be looked up.
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
                        format!("cloud {cloud} had no room for {flavor} a short time ago; it is tried again soon"),
                    )
                }
                Obstacle::Failing => {
                    let flavor = &offering.flavor;
                    (
                        Reason::VmsFail,
                        format!(
                            "the last VMs of {flavor} that pool {pool} had on cloud {cloud} never asked for work; more are tried \
                             later. See their events and console logs (ConfigMaps with the label diracgrid.org/console)"
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
            let message = format!("no cloud of pool {} can be used and has a flavor that the pool takes", pool.name);
            return Unmet { vo, pool: Some(pool.name.clone()), jobs, reason: Reason::NoOffering, message };
        }
        let message = format!("no pool takes them: {}", fit::obstacle(class.queue, pool));
        Unmet { vo, pool: None, jobs, reason: Reason::NoMatch, message }
    }
}

/// The sentence that says why VMs are made for `jobs` jobs of a class.
fn why(class: &Class<'_>, jobs: u64, vo: &str) -> String {
    let tags = &class.queue.tags;
    let with = if tags.is_empty() { String::new() } else { format!(" with the tags {}", tags.join(", ")) };
    format!("{jobs} jobs of {vo}{with} wait and no VM that runs or boots has room for them")
}

/// Takes a VM that exists from each limit against which it counts.
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
            // An offering without a price comes last.
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

/// The offerings of a cloud by flavor. Those of one flavor keep the cloud's order of zones.
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

/// VMs beyond a pool's maximum, the youngest first. Only VMs whose pilot never asked for work: one that may have a job is never among them.
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
                "pool {} has more than {} VMs (spec.scaling.max), and this one has not begun to work",
                pool.name, pool.max
            ),
        }));
    }
    all
}
