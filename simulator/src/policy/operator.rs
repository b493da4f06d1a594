//! The operator's way: what it sees becomes a snapshot for [`broker::plan::plan`], and the plan becomes orders and deletions. This file is
//! all that knows the planner. Beside the plan it does what the operator does around it: it leaves alone what was refused or failed a
//! moment ago, lets few VMs of one kind boot before one has worked, and deletes VMs that stopped, failed, are late, silent or too old.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use broker::{
    demand::TaskQueue,
    plan::{self, CloudState, Free, Hold, Lease, Life, LiveVm, Offering, Quota, Reason, Says, Snapshot},
};
use crds::pool::Purchase;

use super::{Hands, Listed, Policy, QueueSeen, Seen, VmSeen};
use crate::{
    cloud::{Answer, Scope},
    dirac::JobId,
    scenario::{Limits, Loaded, Model, Offer},
    time::{Ms, SECOND, ms},
    world::{Order, PilotManners, RowStatus, VmId},
};

/// The allowance on `matching.maxCpuTime` that pilots get, in normalised seconds.
const ALLOWANCE: u64 = 3_600;
/// A pilot that has jobs and took none for so long takes none of those that wait.
const FILLS_WITHIN: Ms = 60 * SECOND;
/// A pilot without a job is silent after its idleTimeout and this.
const SILENT_AFTER: Ms = 300 * SECOND;
/// The first pause after a refusal; each further one doubles it.
const FIRST_PAUSE: Ms = 10 * SECOND;
const LONGEST_PAUSE: Ms = 1_800 * SECOND;
/// So many VMs in a row that never asked for work pause their offering, the first time for so long.
const FAILURES_IN_A_ROW: u32 = 5;
const FIRST_PAUSE_AFTER_FAILURES: Ms = 180 * SECOND;
/// So many VMs of a kind may boot before one has worked; each that works doubles it.
const RAMP: u64 = 10;
/// VMs are listed so often, whatever the poll.
const LIST_EVERY: Ms = 30 * SECOND;

#[derive(Clone, Copy, Default)]
struct Pause {
    level: u32,
    until: Ms,
}

#[derive(Clone, Copy, Default)]
struct Shown {
    failed_in_a_row: u32,
    pause: Pause,
    worked: u64,
}

/// VMs that are made alike.
type Lot = (usize, Offer);

/// The operator.
pub struct Operator {
    poll: Ms,
    refused: HashMap<Offer, Pause>,
    shown: HashMap<Lot, Shown>,
    /// VMs whose success or failure was counted.
    counted: BTreeSet<VmId>,
    /// When each VM was last seen with a job.
    busy: HashMap<VmId, Ms>,
    /// The jobs that each VM was seen with, and when they last changed.
    changed: HashMap<VmId, (Vec<JobId>, Ms)>,
    /// What each VM was made for.
    leases: HashMap<VmId, Vec<Lease>>,
    listed: Option<Ms>,
    model: Model,
}

impl Operator {
    /// An operator that knows nothing yet.
    pub fn new(loaded: &Loaded) -> Self {
        Self {
            poll: ms(loaded.words.poll),
            refused: HashMap::new(),
            shown: HashMap::new(),
            counted: BTreeSet::new(),
            busy: HashMap::new(),
            changed: HashMap::new(),
            leases: HashMap::new(),
            listed: None,
            model: loaded.model.clone(),
        }
    }

    fn is_refused(&self, now: Ms, offer: Offer) -> bool {
        self.refused.get(&offer).is_some_and(|pause| now < pause.until)
    }

    /// Whether a VM is to be deleted, beside what the plan says. Notes what VMs of its kind have shown.
    fn is_over(&mut self, now: Ms, vm: &VmSeen<'_>) -> bool {
        let pool = &self.model.pools[vm.order.pool];
        let shown = self.shown.entry((vm.order.pool, vm.order.offer)).or_default();
        let ran = vm.row.running_since.is_some();
        if ran && self.counted.insert(vm.id) {
            *shown = Shown { worked: shown.worked + 1, ..Shown::default() };
        }
        if !vm.running.is_empty() {
            self.busy.insert(vm.id, now);
        }
        if ran && self.changed.get(&vm.id).is_none_or(|(jobs, _)| *jobs != vm.running) {
            self.changed.insert(vm.id, (vm.running.to_vec(), now));
        }
        let since = |at: Ms| now.saturating_sub(at);
        let is_late = !ran && since(vm.made.unwrap_or(vm.ordered)) > pool.boot_deadline;
        if (is_late || vm.listed == Some(Listed::Error)) && self.counted.insert(vm.id) {
            shown.failed_in_a_row += 1;
            if shown.failed_in_a_row >= FAILURES_IN_A_ROW && now >= shown.pause.until {
                let pause = (FIRST_PAUSE_AFTER_FAILURES << shown.pause.level.min(8)).min(LONGEST_PAUSE);
                shown.pause = Pause { level: shown.pause.level + 1, until: now + pause };
                shown.worked = 0;
            }
        }
        let idle_since = vm.row.running_since.map(|first| self.busy.get(&vm.id).copied().unwrap_or(first));
        let is_silent = idle_since.is_some_and(|at| since(at) > pool.idle_timeout + SILENT_AFTER);
        let is_too_old = since(vm.ordered) > pool.max_lifetime + pool.cpu_time * SECOND + SILENT_AFTER;
        is_late || is_silent || is_too_old || matches!(vm.listed, Some(Listed::Stopped | Listed::Error))
    }

    fn snapshot(&self, seen: &Seen<'_>, over: &BTreeSet<VmId>) -> Snapshot {
        let (now, model) = (seen.now(), seen.model());
        let mut quotas = Vec::new();
        let mut first = Vec::new();
        for (number, cloud) in model.clouds.iter().enumerate() {
            first.push(quotas.len());
            quotas.extend(
                seen.headroom(number)
                    .iter()
                    .map(|left| Quota { name: format!("cloud {}", cloud.name), left: limits(left) }),
            );
        }
        let said: Vec<Arc<Says>> = (0..model.pools.len()).map(|i| Arc::new(plan::says(&pool(model, i)))).collect();
        let mut snapshot = Snapshot {
            queues: seen.queues().map(task_queue).collect(),
            vos: model
                .vos
                .iter()
                .map(|vo| plan::Vo {
                    name: vo.name.clone(),
                    groups: vo.groups.iter().cloned().collect(),
                    share: vo.share,
                    limits: limits(&vo.limits),
                    ..plan::Vo::default()
                })
                .collect(),
            // A pool that buys Spot VMs only is beyond this version.
            pools: (0..model.pools.len())
                .filter(|i| model.pools[*i].purchase.contains(&Purchase::OnDemand))
                .map(|i| pool(model, i))
                .collect(),
            clouds: (0..model.clouds.len()).map(|i| cloud(model, i, &first)).collect(),
            quotas,
            holds: self.holds(now, seen),
            vms: seen.vms().map(|vm| self.live(now, model, &vm, over.contains(&vm.id), (&first, &said))).collect(),
            ..Snapshot::default()
        };
        snapshot.sort();
        snapshot
    }

    /// What was refused, what failed, and what boots before others of its kind have worked.
    fn holds(&self, now: Ms, seen: &Seen<'_>) -> Vec<Hold> {
        let model = seen.model();
        let of = |offer: Offer, most, reason| {
            let cloud = &model.clouds[offer.cloud];
            Hold {
                cloud: Some(cloud.name.clone()),
                flavor: Some(cloud.flavors[offer.flavor].name.clone()),
                zone: Some(cloud.zones[offer.zone].clone()),
                ..Hold::new(most, reason, "held back")
            }
        };
        let mut refused: Vec<Offer> =
            self.refused.iter().filter(|(_, pause)| now < pause.until).map(|(offer, _)| *offer).collect();
        refused.sort_by_key(|o| (o.cloud, o.flavor, o.zone));
        let mut failing: Vec<Lot> =
            self.shown.iter().filter(|(_, shown)| now < shown.pause.until).map(|(lot, _)| *lot).collect();
        failing.sort_by_key(|(pool, o)| (*pool, o.cloud, o.flavor, o.zone));
        let refused = refused.into_iter().map(|offer| of(offer, 0, Reason::NoCapacity));
        let failing = failing
            .into_iter()
            .map(|(pool, offer)| Hold { pool: Some(model.pools[pool].name.clone()), ..of(offer, 0, Reason::VmsFail) });
        refused.chain(failing).collect()
    }

    /// How far a VM is for the plan.
    fn live(
        &self,
        now: Ms,
        model: &Model,
        vm: &VmSeen<'_>,
        is_over: bool,
        (first, said): (&[usize], &[Arc<Says>]),
    ) -> LiveVm {
        let pool = &model.pools[vm.order.pool];
        let is_old = now.saturating_sub(vm.ordered) > pool.max_lifetime;
        let offering = offering(model, vm.order.offer, first);
        let lease = self.leases.get(&vm.id).cloned().unwrap_or_default();
        let full = Free { cores: offering.cores, ram_mib: offering.ram_mib, gpus: offering.gpus };
        let ends = is_over || is_old || vm.is_deleting || vm.row.status == RowStatus::Done;
        let life = match (ends, vm.row.running_since) {
            (true, _) => Life::Ending,
            (false, None) => Life::Booting { ready_in: 0 },
            (false, Some(since)) => {
                let changed = self.changed.get(&vm.id).map_or(since, |(_, at)| *at);
                let rests = now.saturating_sub(changed);
                let class = lease.iter().max_by_key(|l| l.class.takes(full, 1).cores);
                let taken = class.map_or(Free { cores: vm.running.len() as u64, ..Free::default() }, |lease| {
                    lease.class.takes(full, vm.running.len() as u64)
                });
                let free = match vm.running.len() {
                    0 if rests <= pool.idle_timeout => full,
                    1.. if rests <= FILLS_WITHIN => full.less(taken),
                    _ => Free::default(),
                };
                Life::Running { free, soon: Vec::new() }
            }
        };
        LiveVm {
            name: name(vm.id),
            pool: pool.name.clone(),
            cloud: model.clouds[vm.order.offer.cloud].name.clone(),
            vo: model.vos[vm.order.vo].name.clone(),
            offering: Arc::new(offering),
            says: said[vm.order.pool].clone(),
            cpu_time: pool.cpu_time,
            life,
            lease,
            counted: vm.made.is_some(),
            age_seconds: now.saturating_sub(vm.ordered) / SECOND,
        }
    }
}

fn pool(model: &Model, number: usize) -> plan::Pool {
    let pool = &model.pools[number];
    plan::Pool {
        name: pool.name.clone(),
        site: pool.site.clone(),
        ce: pool.ce.clone(),
        vos: pool.vos.iter().map(|vo| model.vos[*vo].name.clone()).collect(),
        clouds: pool.clouds.iter().map(|cloud| model.clouds[*cloud].name.clone()).collect(),
        flavors: pool.flavors.clone(),
        requirements: requirements(pool.requirements.as_ref()),
        cpu_time: pool.cpu_time,
        tags: pool.tags.clone(),
        required_tags: pool.required_tags.clone(),
        platform: pool.platform.clone(),
        max: pool.max,
        ..plan::Pool::default()
    }
}

fn cloud(model: &Model, number: usize, first: &[usize]) -> CloudState {
    let cloud = &model.clouds[number];
    let offers = (0..cloud.flavors.len())
        .flat_map(|flavor| (0..cloud.zones.len()).map(move |zone| Offer { cloud: number, flavor, zone, spot: false }));
    CloudState {
        name: cloud.name.clone(),
        offerings: offers.map(|offer| Arc::new(offering(model, offer, first))).collect(),
        ceiling: limits(&cloud.ceiling),
        ..CloudState::default()
    }
}

impl Policy for Operator {
    fn name(&self) -> &'static str {
        "operator"
    }

    fn period(&self) -> Ms {
        self.poll
    }

    fn manners(&self) -> PilotManners {
        // cloud-init powers off as soon as the pilot has ended, and the VM obeys DIRAC_IDLE_TIMEOUT.
        PilotManners { cooldown: 5 * SECOND, obeys_idle_timeout: true }
    }

    fn decide(&mut self, seen: &Seen<'_>, hands: &mut Hands) {
        let now = seen.now();
        if self.listed.is_none_or(|at| now - at >= LIST_EVERY) {
            self.listed = Some(now);
            hands.calls.push(("list", seen.model().clouds.len() as u64));
        }
        let over: BTreeSet<VmId> = seen.vms().filter(|vm| self.is_over(now, vm)).map(|vm| vm.id).collect();
        hands.deletions.extend(over.iter().copied());
        let snapshot = self.snapshot(seen, &over);
        let plan = plan::plan(&snapshot);
        hands.deletions.extend(plan.surplus.iter().filter_map(|surplus| number(&surplus.vm)));
        let mut booting = booting(&snapshot, seen);
        for launch in &plan.launches {
            let Some(order) = order(seen.model(), launch) else { continue };
            let lot = (order.pool, order.offer);
            let worked = self.shown.get(&lot).map_or(0, |shown| shown.worked).min(32);
            let boots = booting.entry(lot).or_default();
            if *boots < RAMP << worked {
                *boots += 1;
                let vm = hands.order(order);
                self.leases.insert(vm, launch.lease.clone());
            }
        }
    }

    fn may_launch(&mut self, now: Ms, order: &Order) -> bool {
        !self.is_refused(now, order.offer)
    }

    fn told(&mut self, now: Ms, _vm: VmId, order: &Order, answer: Answer) {
        let Answer::Refused(scope) = answer else {
            if answer == Answer::Made
                && let Some(pause) = self.refused.get_mut(&order.offer).filter(|pause| now >= pause.until)
            {
                pause.level = pause.level.saturating_sub(1);
            }
            return;
        };
        let cloud = &self.model.clouds[order.offer.cloud];
        let class = cloud.flavors[order.offer.flavor].class;
        for (flavor, of) in cloud.flavors.iter().enumerate() {
            for zone in 0..cloud.zones.len() {
                let is_reached = match scope {
                    Scope::Offer => flavor == order.offer.flavor && zone == order.offer.zone,
                    Scope::Zone => zone == order.offer.zone,
                    Scope::Quota => of.class == class,
                    Scope::Cloud => true,
                };
                let pause = self.refused.entry(Offer { flavor, zone, ..order.offer }).or_default();
                if is_reached && now >= pause.until {
                    pause.until = now + (FIRST_PAUSE << pause.level.min(10)).min(LONGEST_PAUSE);
                    pause.level += 1;
                }
            }
        }
    }
}

/// What boots of each kind.
fn booting(snapshot: &Snapshot, seen: &Seen<'_>) -> HashMap<Lot, u64> {
    let boots: BTreeSet<VmId> = snapshot
        .vms
        .iter()
        .filter(|vm| matches!(vm.life, Life::Booting { .. }))
        .filter_map(|vm| number(&vm.name))
        .collect();
    let mut booting: HashMap<Lot, u64> = HashMap::new();
    for vm in seen.vms().filter(|vm| boots.contains(&vm.id)) {
        *booting.entry((vm.order.pool, vm.order.offer)).or_default() += 1;
    }
    booting
}

fn name(vm: VmId) -> String {
    format!("vm-{vm:08}")
}
fn number(name: &str) -> Option<VmId> {
    name.strip_prefix("vm-")?.parse().ok()
}

fn task_queue(queue: QueueSeen<'_>) -> TaskQueue {
    let of = queue.definition;
    TaskQueue {
        id: queue.id,
        owner: of.owner.clone(),
        owner_group: of.owner_group.clone(),
        cpu_time: of.cpu_time,
        jobs: queue.jobs,
        priority: queue.priority,
        sites: of.sites.clone(),
        grid_ces: of.grid_ces.clone(),
        banned_sites: of.banned_sites.clone(),
        platforms: of.platforms.clone(),
        job_types: of.job_types.clone(),
        tags: of.tags.clone(),
        min_ram_mb: of.min_ram,
        max_ram_mb: of.max_ram,
    }
}

fn limits(limits: &Limits) -> plan::Limits {
    let [vms, cores, ram_mib, gpus] = limits.0;
    plan::Limits { vms, cores, ram_mib, gpus }
}

fn requirements(written: Option<&crds::pool::Requirements>) -> plan::Requirements {
    let Some(r) = written else { return plan::Requirements::default() };
    let count = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok());
    let range = |r: Option<&crds::quantity::Range>| (r.and_then(|r| count(r.min)), r.and_then(|r| count(r.max)));
    plan::Requirements {
        cores: range(r.cores.as_ref()),
        ram_gib_per_core: range(r.ram_gib_per_core.as_ref()),
        gpus: r.gpus.as_ref().map_or((None, Some(0)), |g| (count(g.min), count(g.max))),
        gpu_models: r.gpus.as_ref().map(|g| g.models.clone()).unwrap_or_default(),
    }
}

fn offering(model: &Model, offer: Offer, first: &[usize]) -> Offering {
    let cloud = &model.clouds[offer.cloud];
    let flavor = &cloud.flavors[offer.flavor];
    Offering {
        flavor: flavor.name.clone(),
        zone: cloud.zones[offer.zone].clone(),
        cores: flavor.size.cores,
        ram_mib: flavor.size.ram_mib,
        gpus: flavor.size.gpus,
        gpu_model: flavor.gpu_model.clone(),
        price_micros: flavor.price,
        quota: Some(first[offer.cloud] + flavor.class),
        ..Offering::default()
    }
}

fn order(model: &Model, launch: &plan::Launch) -> Option<Order> {
    let pool = model.pools.iter().position(|p| *p.name == *launch.pool)?;
    let cloud = model.clouds.iter().position(|c| *c.name == *launch.cloud)?;
    let of = &model.clouds[cloud];
    let offer = Offer {
        cloud,
        flavor: of.flavors.iter().position(|f| f.name == launch.offering.flavor)?,
        zone: of.zones.iter().position(|z| *z == launch.offering.zone)?,
        spot: false,
    };
    let vo = model.vos.iter().position(|v| *v.name == *launch.vo)?;
    Some(Order { pool, vo, offer, cpu_time: model.pools[pool].cpu_time + ALLOWANCE })
}
