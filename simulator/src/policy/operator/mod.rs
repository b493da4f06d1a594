//! The operator's way: what it sees becomes a snapshot for [`broker::plan::plan`], and the plan becomes orders and deletions. This folder is
//! all that knows the planner and what it goes by. Beside the plan it does what the operator does around it: it learns of clouds by buying
//! from them (`learned`), and deletes VMs that stopped, failed, are late, silent or too old.

mod accounts;
mod alive;
mod learned;
mod left;
mod measure;
mod shown;
mod words;

use std::collections::{BTreeSet, HashMap};

use broker::{
    demand::TaskQueue,
    experience::{End, FRESH, UNPROVEN, Waiting, Waits},
    plan::{self, Lease, Quota, Reason, Rules, Snapshot},
};

use accounts::Accounts;
use alive::{Said, Waited};
use jiff::Timestamp;
use learned::{Learned, Made};
use left::closings;
use measure::{Known, Measures};
use shown::AllShown;
use words::{cloud, limits, order, pool, task_queue};

use super::{Hands, Listed, Policy, Seen, VmSeen};
use crate::{
    cloud::Answer,
    scenario::{Loaded, Model, Vo},
    time::{Ms, SECOND, ms},
    world::{Order, PilotManners, VmId},
};

/// A pilot without a job is silent after its idleTimeout and this.
const SILENT_AFTER: Ms = 300 * SECOND;
/// VMs are listed once in this time, whatever the poll.
const LIST_EVERY: Ms = 30 * SECOND;

/// The operator.
pub struct Operator {
    poll: Ms,
    learned: Learned,
    accounts: Accounts,
    measures: Measures,
    /// What each VM was seen to run.
    shown: AllShown,
    leases: HashMap<VmId, Vec<Lease>>,
    /// When VMs are to be gone that were bought for the time before a Downtime.
    until: HashMap<VmId, Ms>,
    /// The jobs that wait.
    waiting: Waiting,
    /// Since when jobs of each class wait without a pause.
    since: Vec<Waits>,
    /// VMs that drain.
    draining: BTreeSet<VmId>,
    /// Of these, those that drain by drift.
    drifting: BTreeSet<VmId>,
    /// VMs that boot and for which no job is planned, and since when.
    unneeded: HashMap<VmId, Ms>,
    listed: Option<Ms>,
    model: Model,
}

impl Operator {
    /// An operator that knows nothing yet.
    pub fn new(loaded: &Loaded) -> Self {
        Self {
            poll: ms(loaded.words.poll),
            learned: Learned::default(),
            accounts: Accounts::new(&loaded.model),
            measures: Measures::default(),
            shown: AllShown::default(),
            leases: HashMap::new(),
            until: HashMap::new(),
            waiting: Waiting::default(),
            since: Vec::new(),
            draining: BTreeSet::new(),
            drifting: BTreeSet::new(),
            unneeded: HashMap::new(),
            listed: None,
            model: loaded.model.clone(),
        }
    }

    /// How a VM ended that is to be deleted, beside what the plan says. Notes what it has shown.
    fn end_of(&mut self, now: Ms, vm: &VmSeen<'_>) -> Option<End> {
        let pool = &self.model.pools[vm.order.pool];
        let ran = vm.row.running_since.is_some();
        let since = |at: Ms| now.saturating_sub(at);
        let is_late = !ran && since(vm.made.unwrap_or(vm.ordered)) > pool.boot_deadline;
        self.learned.see(now, &self.model, vm, is_late);
        let changed = self.shown.of(vm.id).and_then(|shown| shown.changed);
        let idle_since = vm.row.running_since.filter(|_| vm.running.is_empty()).map(|first| changed.unwrap_or(first));
        let is_silent = idle_since.is_some_and(|at| since(at) > pool.idle_timeout + SILENT_AFTER);
        let is_too_old = since(vm.ordered) > pool.max_lifetime + pool.cpu_time * SECOND + SILENT_AFTER;
        match vm.listed {
            Some(Listed::Stopped) => Some(End::Stopped),
            Some(Listed::Error) => Some(End::Other),
            _ if is_late => Some(End::Late),
            _ if is_silent => Some(End::Silent),
            _ => is_too_old.then_some(End::Other),
        }
    }

    /// Notes what waits.
    fn wait(&mut self, now: Ms, seen: &Seen<'_>) {
        let queues: Vec<TaskQueue> = seen.queues().map(task_queue).collect();
        self.waiting = Waiting::of(&self.vos(now, seen.model()), &queues);
        self.since = self.waiting.since(&self.since, at(now));
    }

    /// The VOs, as the plan knows them.
    fn vos(&self, now: Ms, model: &Model) -> Vec<plan::Vo> {
        let vo = |(number, vo): (usize, &Vo)| plan::Vo {
            name: vo.name.clone(),
            groups: vo.groups.iter().cloned().collect(),
            share: vo.share,
            limits: limits(&vo.limits),
            used: self.accounts.used(&vo.name),
            budget: self.accounts.budget(now, model, number),
        };
        model.vos.iter().enumerate().map(vo).collect()
    }

    fn snapshot(&self, seen: &Seen<'_>, all: &[Known<'_>], over: &BTreeSet<VmId>) -> Snapshot {
        let (now, model) = (seen.now(), seen.model());
        let (mut quotas, mut waited) = (Vec::new(), Waited::of(&self.since));
        let mut first = Vec::new();
        for (number, cloud) in model.clouds.iter().enumerate() {
            first.push(quotas.len());
            quotas.extend(
                seen.headroom(number)
                    .iter()
                    .map(|left| Quota { name: format!("cloud {}", cloud.name), left: limits(left) }),
            );
        }
        let mut snapshot = Snapshot {
            queues: seen.queues().map(task_queue).collect(),
            vos: self.vos(now, model),
            pools: (0..model.pools.len())
                .map(|i| plan::Pool { life_seconds: self.accounts.life(model, i), ..pool(model, i) })
                .collect(),
            limits: limits(&model.limits),
            clouds: (0..model.clouds.len()).map(|i| cloud(model, i, &first)).collect(),
            quotas,
            closings: closings(now, model),
            holds: self.learned.holds(seen, over, &first, &self.waiting.classes),
            rules: Rules { fresh: Some(FRESH), untried: Some(UNPROVEN), ..Rules::default() },
            vms: all
                .iter()
                .map(|known| self.live(now, known, over.contains(&known.vm.id), &first, &mut waited))
                .collect(),
            run_times: Vec::new(),
        };
        self.learned.tell_reclaims(now, model, &mut snapshot);
        self.measures.tell(now, model, &self.waiting.classes, (all, &self.shown), &mut snapshot);
        snapshot.sort();
        snapshot
    }

    /// Notes what drains and what nobody needs. What drained before, and has no job, is given back.
    fn drain(&mut self, now: Ms, seen: &Seen<'_>, plan: &plan::Plan, hands: &mut Hands) {
        let drains: BTreeSet<VmId> = plan.drains.iter().filter_map(|drain| number(&drain.vm)).collect();
        let goes = |vm: &VmSeen<'_>| drains.contains(&vm.id) && self.draining.contains(&vm.id) && vm.running.is_empty();
        hands.deletions.extend(seen.vms().filter(goes).map(|vm| vm.id));
        self.draining = drains;
        let drifted = plan.drains.iter().filter(|drain| drain.why == Reason::Drifted);
        self.drifting = drifted.filter_map(|drain| number(&drain.vm)).collect();
        let since = |vm: VmId| (vm, self.unneeded.get(&vm).copied().unwrap_or(now));
        self.unneeded = plan.unneeded.iter().filter_map(|vm| number(vm)).map(since).collect();
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
        self.learned.read(seen);
        let vms: Vec<VmSeen<'_>> = seen.vms().collect();
        self.shown.look(now, &vms);
        self.wait(now, seen);
        let ends: HashMap<VmId, End> = seen.vms().filter_map(|vm| Some((vm.id, self.end_of(now, &vm)?))).collect();
        let over: BTreeSet<VmId> = ends.keys().copied().collect();
        let made = seen.vms().filter_map(|vm| {
            let class = &self.leases.get(&vm.id)?.first()?.class;
            Some(Made { vm, class, end: ends.get(&vm.id).copied() })
        });
        let made: Vec<Made<'_>> = made.collect();
        self.learned.look(seen, &made, &self.shown, &self.waiting);
        self.learned.count_reclaims(now, seen.model(), &vms);
        self.accounts.look(now, seen.model(), &vms);
        let mut said = Said::new();
        let is_late = |vm: &VmSeen<'_>| ends.get(&vm.id) == Some(&End::Late);
        let all: Vec<Known<'_>> = vms.into_iter().map(|vm| self.known(vm, is_late(&vm), &mut said)).collect();
        self.measures.look(now, seen.model(), &self.waiting.classes, &all, &self.shown);
        hands.deletions.extend(over.iter().copied());
        let snapshot = self.snapshot(seen, &all, &over);
        let plan = plan::plan(&snapshot);
        hands.deletions.extend(plan.surplus.iter().filter_map(|surplus| number(&surplus.vm)));
        self.drain(now, seen, &plan, hands);
        for launch in &plan.launches {
            if let Some(order) = order(seen.model(), launch) {
                let vm = hands.order(order);
                self.leases.insert(vm, launch.lease.clone());
                self.until.extend(launch.cut.and_then(|cut| Some((vm, now + cut.until? * SECOND))));
            }
        }
    }

    fn may_launch(&mut self, now: Ms, order: &Order) -> bool {
        self.learned.may_order(now, &self.model, order)
    }

    fn told(&mut self, now: Ms, _vm: VmId, order: &Order, answer: Answer) {
        self.learned.told(now, &self.model, order, answer);
    }
}

/// A moment of the simulation.
fn at(now: Ms) -> Timestamp {
    Timestamp::from_millisecond(i64::try_from(now).unwrap_or(i64::MAX)).unwrap_or(Timestamp::MAX)
}
fn name(vm: VmId) -> String {
    format!("vm-{vm:08}")
}
fn number(name: &str) -> Option<VmId> {
    name.strip_prefix("vm-")?.parse().ok()
}

#[cfg(test)]
mod drift_tests;
#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
