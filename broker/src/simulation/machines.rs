//! What a simulated cloud holds: its VMs, what they use of quota and capacity, and how they move in time.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;

use super::{
    CloudConfig, Loss, SimulatedDirac, SimulatedFlavor, World,
    faults::{Call, Dice, LATE, SLOW, Script},
    trouble::{Trouble, after},
};
use crate::{
    clock::moment,
    cloud::{
        Allowance, Choice, CloudError, Coming, End, Headroom, Limits, Notice, Order, Owner, QuotaClass, Scope, Vm,
        VmState, keep,
    },
    pilot::Pilot,
};

/// The one class of quota that a simulated cloud has.
pub const CLASS: &str = "simulated";
/// An order whose reply was lost is carried out by then or never.
pub const CARRIED_OUT_WITHIN: SignedDuration = SignedDuration::from_secs(60);
/// How long before it takes a VM back the provider says so. EC2: two minutes.
const ANNOUNCED_BEFORE: SignedDuration = SignedDuration::from_secs(120);
/// How long lists show a VM that the provider took back.
const SHOWN_AFTERWARDS: SignedDuration = SignedDuration::from_hours(1);

/// The state of a simulated cloud.
pub struct State {
    /// What the cloud is.
    pub config: CloudConfig,
    /// What it holds, by the provider's id.
    pub vms: BTreeMap<String, Machine>,
    /// Ids of VMs that are not ours.
    pub strangers: Vec<String>,
    /// Errors that coming calls give.
    pub script: Script,
    /// What a test does to the cloud.
    pub trouble: Trouble,
    /// VMs that a list has had, by their ids: the driver's own memory.
    known: BTreeSet<String>,
    /// The moment that the state is of.
    pub now: Timestamp,
    /// What the provider announced and nobody was told yet.
    pub announced: Vec<Notice>,
    dice: Dice,
    ids: u64,
}

/// A VM and the pilot in it.
pub struct Machine {
    /// What a list shows of it.
    pub vm: Vm,
    /// The pilot.
    pub pilot: Pilot,
    flavor: SimulatedFlavor,
    /// When the pilot first asks for work; `None`: never.
    works_at: Option<Timestamp>,
    works: bool,
    /// When the provider takes the VM away, if it still runs; `None`: never.
    reclaimed_at: Option<Timestamp>,
    /// Whether that was announced.
    is_announced: bool,
}

impl Machine {
    /// Moves the VM to `now`; whether it is still there.
    fn advance(&mut self, now: Timestamp, mut world: Option<&mut World>) -> bool {
        if self.vm.state == VmState::Building && self.up_at() <= now {
            self.vm.state = VmState::Active;
            self.vm.provider_status = "ACTIVE".to_owned();
        }
        if let Some(world) = world.as_deref_mut()
            && !self.works
            && self.works_at.is_some_and(|at| at <= now)
        {
            self.works = true;
            world.pilot_asks(&self.pilot);
        }
        if self.vm.state == VmState::Active && self.reclaimed_at.is_some_and(|at| at <= now) {
            self.end(End::Reclaimed, world.as_deref_mut());
        }
        if let Some(world) = world
            && self.vm.state == VmState::Active
            && self.works
            && world.idle(&self.pilot.reference).is_some_and(|s| s >= self.pilot.idle_timeout as f64)
        {
            self.end(End::PoweredOff, Some(world));
        }
        let shown = self.reclaimed_at.is_none_or(|at| now.duration_since(at) < SHOWN_AFTERWARDS);
        self.vm.state != VmState::Ended(End::Reclaimed) || shown
    }

    /// What the provider announces about the VM at `now`, once.
    fn notice(&mut self, now: Timestamp) -> Option<Notice> {
        let at = self.reclaimed_at.filter(|at| *at <= now + ANNOUNCED_BEFORE)?;
        if self.is_announced || self.vm.state != VmState::Active {
            return None;
        }
        self.is_announced = true;
        Some(Notice { id: self.vm.id.clone(), at, what: Coming::Reclaim })
    }

    /// Ends the VM, and its pilot with it.
    pub fn end(&mut self, end: End, world: Option<&mut World>) {
        if let Some(world) = world {
            world.pilot_gone(&self.pilot.reference);
        }
        // It never asks for work again.
        (self.works, self.works_at) = (true, None);
        self.vm.provider_status = if end == End::Reclaimed { "RECLAIMED" } else { "SHUTOFF" }.to_owned();
        self.vm.state = VmState::Ended(end);
    }

    /// The provider takes it back now.
    pub fn reclaim(&mut self, now: Timestamp, world: Option<&mut World>) {
        self.reclaimed_at = Some(now);
        self.end(End::Reclaimed, world);
    }

    /// When the provider calls it active. One that will not boot is active at once: to the provider it looks well.
    fn up_at(&self) -> Timestamp {
        self.works_at.unwrap_or(self.vm.created)
    }
}

impl State {
    /// An empty cloud.
    pub fn new(config: CloudConfig, now: Timestamp) -> Self {
        let dice = Dice::new(config.seed);
        let (vms, strangers, script) = (BTreeMap::new(), Vec::new(), Script::default());
        let (trouble, known) = (Trouble::default(), BTreeSet::new());
        Self { config, vms, strangers, script, trouble, known, now, announced: Vec::new(), dice, ids: 0 }
    }

    /// Moves to `now`: VMs whose time has come begin to work, idle ones halt, and some are taken away.
    pub fn advance(&mut self, now: Timestamp, dirac: Option<&SimulatedDirac>) {
        self.now = now;
        for order in self.trouble.due(now) {
            // What cannot be had any more does not come late either.
            if let Ok((flavor, choice)) = self.admit(&order) {
                self.make(&order, flavor, choice);
            }
        }
        let mut world = dirac.map(SimulatedDirac::now);
        self.announced.extend(self.vms.values_mut().filter_map(|machine| machine.notice(now)));
        self.vms.retain(|_, machine| machine.advance(now, world.as_deref_mut()));
    }

    /// A number that no other VM has.
    pub fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// The fault of a call, if it has one.
    pub fn fault(&mut self, call: Call) -> Result<(), CloudError> {
        if let Some(error) = self.script.next(call) {
            return Err(error);
        }
        let throttled = self.trouble.throttles_until.map(|until| until.saturating_duration_since(moment()));
        if let Some(left) = throttled.filter(|left| !left.is_zero()) {
            return Err(CloudError::Throttled { message: "simulated: slow down".to_owned(), retry_after: Some(left) });
        }
        if self.dice.chance(self.config.faults.transient) {
            return Err(CloudError::Transient("simulated server error".to_owned()));
        }
        Ok(())
    }

    /// Makes the VM of an order, or gives the one that an attempt already made.
    pub fn create(&mut self, order: &Order) -> Result<Vm, CloudError> {
        let until = order.attempt.since + CARRIED_OUT_WITHIN;
        let found: Vec<Vm> = self.of(&order.owner).into_iter().filter(Vm::is_held).collect();
        if let Some((kept, twins)) = keep(found) {
            for twin in twins {
                self.vms.remove(&twin.id);
            }
            return Ok(kept);
        }
        if order.attempt.repeated {
            let message = format!("no VM of attempt {} has appeared", order.attempt.n);
            return Err(if self.now < until {
                CloudError::Unclear { message, until }
            } else {
                CloudError::Transient(message)
            });
        }
        Limits::WIDEST.check(order.user_data.expose_secret()).map_err(CloudError::Invalid)?;
        let (flavor, choice) = self.admit(order)?;
        let (lost, late) = (self.dice.chance(self.config.faults.lost_reply), self.dice.chance(self.config.faults.late));
        let by_chance = if late { Some(Loss::Late(Duration::from_secs(LATE))) } else { lost.then_some(Loss::Reply) };
        let loss = self.trouble.loss().or(by_chance);
        match loss {
            None => return Ok(self.make(order, flavor, choice)),
            Some(Loss::Reply) => drop(self.make(order, flavor, choice)),
            Some(Loss::Late(pause)) => self.trouble.delay(after(self.now, pause), order),
            Some(Loss::Request) => {}
        }
        Err(CloudError::Unclear { message: "simulated: the reply was lost".to_owned(), until })
    }

    /// Makes a VM, whatever else there is.
    pub fn make(&mut self, order: &Order, flavor: SimulatedFlavor, choice: Choice) -> Vm {
        let faults = self.config.faults;
        let vm = Vm {
            id: format!("sim-{}", self.next_id()),
            owner: order.owner.clone(),
            name: order.name.clone(),
            state: VmState::Building,
            provider_status: "BUILD".to_owned(),
            created: self.now,
            bought: Some(choice),
        };
        let boots = !self.dice.chance(faults.boot_failure);
        let times = if self.dice.chance(faults.slow_boot) { SLOW } else { 1 };
        let boot = seconds(self.config.boot_seconds.saturating_mul(times));
        let works_at = if boots { self.now.checked_add(boot).ok() } else { None };
        let pilot = order.pilot.clone();
        let (works, reclaimed_at, is_announced) = (false, None, false);
        let mut machine = Machine { vm: vm.clone(), pilot, flavor, works_at, works, reclaimed_at, is_announced };
        let reclaimed_after = self.dice.seconds_until(faults.spot_reclaim);
        machine.reclaimed_at = reclaimed_after.and_then(|after| machine.up_at().checked_add(seconds(after)).ok());
        self.vms.insert(vm.id.clone(), machine);
        vm
    }

    /// The VMs of an owner.
    pub fn of(&self, owner: &Owner) -> Vec<Vm> {
        self.vms.values().filter(|m| m.vm.owner == *owner).map(|m| m.vm.clone()).collect()
    }

    /// What a list of this cluster shows. A VM that an earlier list had and this one lacks is unknown as long as it exists.
    pub fn listed(&mut self, cluster: &str) -> Vec<Vm> {
        let lag = seconds(self.config.faults.list_lag);
        self.known.retain(|id| self.vms.contains_key(id));
        let mut listed = Vec::new();
        for machine in self.vms.values().filter(|m| m.vm.owner.cluster == cluster) {
            let mut vm = machine.vm.clone();
            let lacks = self.now.duration_since(vm.created) < lag || self.trouble.hides(&vm.id, self.now);
            if !lacks {
                self.known.insert(vm.id.clone());
            } else if self.known.contains(&vm.id) {
                vm.state = VmState::Unknown;
            } else {
                continue;
            }
            listed.push(vm);
        }
        listed
    }

    /// The quota and what is used of it.
    pub fn headroom(&self) -> Headroom {
        Headroom { classes: vec![self.quota()] }
    }

    fn quota(&self) -> QuotaClass {
        let held = || self.vms.values().filter(|m| m.vm.is_held());
        let sum = |of: fn(&SimulatedFlavor) -> u64| held().map(|m| of(&m.flavor)).sum();
        let limits = self.config.quota;
        QuotaClass {
            name: CLASS.to_owned(),
            vms: Allowance { limit: limits.vms, used: sum(|_| 1) },
            cores: Allowance { limit: limits.cores, used: sum(|f| u64::from(f.cores)) },
            ram_mib: Allowance { limit: limits.ram_mib, used: sum(|f| f.ram_mib) },
            gpus: Allowance { limit: limits.gpus, used: sum(|f| u64::from(f.gpus)) },
            ..QuotaClass::default()
        }
    }

    /// The first choice of an order that can be had now; else the refusal of them that reaches furthest.
    pub fn admit(&mut self, order: &Order) -> Result<(SimulatedFlavor, Choice), CloudError> {
        if !self.config.images.is_empty() && !self.config.images.contains(&order.image_id) {
            return Err(CloudError::Invalid(format!("there is no image {}", order.image_id)));
        }
        let mut refusal = CloudError::Invalid("the order names no flavor".to_owned());
        let reach = |error: &CloudError| match error {
            CloudError::NoCapacity { scope, .. } | CloudError::Quota { scope, .. } => Some(*scope),
            _ => None,
        };
        for choice in &order.choices {
            match self.admit_one(choice) {
                Ok(flavor) => return Ok((flavor, choice.clone())),
                Err(error) if reach(&error) >= reach(&refusal) => refusal = error,
                Err(_) => {}
            }
        }
        Err(refusal)
    }

    fn admit_one(&mut self, choice: &Choice) -> Result<SimulatedFlavor, CloudError> {
        let found = self.config.flavors.iter().find(|f| f.name == choice.flavor).cloned();
        let flavor = found.ok_or_else(|| CloudError::Invalid(format!("there is no flavor {}", choice.flavor)))?;
        if let Some(zone) = choice.zone.as_ref().filter(|zone| !self.config.zones.contains(zone)) {
            return Err(CloudError::Invalid(format!("there is no zone {zone}")));
        }
        if let Some(refusal) = self.trouble.refusal(choice) {
            return Err(refusal);
        }
        self.check_quota(&flavor)?;
        let full = |message| CloudError::NoCapacity { message, scope: Scope::Offer };
        let held = self.vms.values().filter(|m| m.vm.is_held() && m.flavor.name == flavor.name).count() as u64;
        if let Some(fit) = self.config.capacity.get(&flavor.name).filter(|fit| held >= **fit) {
            return Err(full(format!("{fit} VMs of {} fit, and {held} are there", flavor.name)));
        }
        if self.dice.chance(self.config.faults.capacity) {
            return Err(full(format!("no host has room for {}", flavor.name)));
        }
        Ok(flavor)
    }

    fn check_quota(&self, flavor: &SimulatedFlavor) -> Result<(), CloudError> {
        let quota = self.quota();
        let all = [
            ("instances", Scope::Cloud, quota.vms, 1),
            ("cores", Scope::Offer, quota.cores, u64::from(flavor.cores)),
            ("ram", Scope::Offer, quota.ram_mib, flavor.ram_mib),
            ("gpus", Scope::Offer, quota.gpus, u64::from(flavor.gpus)),
        ];
        for (what, scope, Allowance { limit, used }, wanted) in all {
            if limit.is_some_and(|limit| wanted > 0 && used + wanted > limit) {
                let allowed = limit.unwrap_or(0);
                let message = format!("{what}: {used} used, {wanted} more wanted, {allowed} allowed");
                return Err(CloudError::Quota { message, scope });
            }
        }
        Ok(())
    }
}

fn seconds(n: u64) -> SignedDuration {
    /// A century, which no clock arithmetic overflows.
    const LONGEST: i64 = 100 * 365 * 86_400;
    SignedDuration::from_secs(i64::try_from(n).unwrap_or(LONGEST).min(LONGEST))
}
