//! What a simulated cloud holds: its VMs, what they use of quota and capacity, and how they move in time.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{
    CloudConfig, SimulatedDirac, World,
    faults::{Call, Dice, SLOW, Script},
};
use crate::{
    cloud::{Allowance, CloudError, Flavor, Order, Owner, Quota, Vm, VmState},
    pilot::Pilot,
};

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
    /// The moment that the state is of.
    pub now: Timestamp,
    dice: Dice,
    ids: u64,
}

/// A VM and the pilot in it.
pub struct Machine {
    /// What a list shows of it.
    pub vm: Vm,
    /// The pilot.
    pub pilot: Pilot,
    flavor: Flavor,
    /// When the pilot first asks for work; `None`: never.
    works_at: Option<Timestamp>,
    works: bool,
    /// When the provider takes the VM away, if it still runs; `None`: never.
    reclaimed_at: Option<Timestamp>,
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
            if let Some(world) = world {
                world.pilot_gone(&self.pilot.reference);
            }
            return false;
        }
        if let Some(world) = world
            && self.works
            && world.idle(&self.pilot.reference).is_some_and(|s| s >= self.pilot.idle_timeout as f64)
        {
            world.pilot_gone(&self.pilot.reference);
            self.vm.state = VmState::Halted;
            self.vm.provider_status = "SHUTOFF".to_owned();
        }
        true
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
        Self { config, vms, strangers, script, now, dice, ids: 0 }
    }

    /// Moves to `now`: VMs whose time has come begin to work, idle ones halt, and some are taken away.
    pub fn advance(&mut self, now: Timestamp, dirac: Option<&SimulatedDirac>) {
        self.now = now;
        let mut world = dirac.map(SimulatedDirac::now);
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
        if self.dice.chance(self.config.faults.transient) {
            return Err(CloudError::Transient("simulated server error".to_owned()));
        }
        Ok(())
    }

    /// Makes the VM of an order, or gives the one that it already made.
    pub fn create(&mut self, order: &Order) -> Result<Vm, CloudError> {
        if let Some(vm) = self.of(&order.owner) {
            return Ok(vm);
        }
        let flavor = self.admit(order)?;
        let faults = self.config.faults;
        let vm = Vm {
            id: format!("sim-{}", self.next_id()),
            owner: order.owner.clone(),
            name: order.name.clone(),
            state: VmState::Building,
            provider_status: "BUILD".to_owned(),
            created: self.now,
            flavor: Some(order.flavor.clone()),
        };
        let boots = !self.dice.chance(faults.boot_failure);
        let times = if self.dice.chance(faults.slow_boot) { SLOW } else { 1 };
        let boot = seconds(self.config.boot_seconds.saturating_mul(times));
        let works_at = if boots { self.now.checked_add(boot).ok() } else { None };
        let pilot = order.pilot.clone();
        let mut machine = Machine { vm: vm.clone(), pilot, flavor, works_at, works: false, reclaimed_at: None };
        let reclaimed_after = self.dice.seconds_until(faults.spot_reclaim);
        machine.reclaimed_at = reclaimed_after.and_then(|after| machine.up_at().checked_add(seconds(after)).ok());
        self.vms.insert(vm.id.clone(), machine);
        // The caller finds it again: a driver that loses a reply looks by tag before it gives up.
        if self.dice.chance(faults.lost_reply) {
            Err(CloudError::Transient("simulated: the reply was lost".to_owned()))
        } else {
            Ok(vm)
        }
    }

    /// The VM of an owner.
    pub fn of(&self, owner: &Owner) -> Option<Vm> {
        self.vms.values().find(|m| m.vm.owner == *owner).map(|m| m.vm.clone())
    }

    /// What a list of this cluster shows.
    pub fn listed(&self, cluster: &str) -> Vec<Vm> {
        let lag = seconds(self.config.faults.list_lag);
        let shown = |m: &&Machine| m.vm.owner.cluster == cluster && self.now.duration_since(m.vm.created) >= lag;
        self.vms.values().filter(shown).map(|m| m.vm.clone()).collect()
    }

    /// The quota and what is used of it.
    pub fn quota(&self) -> Quota {
        let sum = |of: fn(&Flavor) -> u64| self.vms.values().map(|m| of(&m.flavor)).sum();
        let limits = self.config.quota;
        Quota {
            vms: Allowance { limit: limits.vms, used: sum(|_| 1) },
            cores: Allowance { limit: limits.cores, used: sum(|f| u64::from(f.cores)) },
            ram_mib: Allowance { limit: limits.ram_mib, used: sum(|f| f.ram_mib) },
            gpus: Allowance { limit: limits.gpus, used: sum(|f| u64::from(f.gpus)) },
        }
    }

    /// The flavor of an order that can be carried out now.
    fn admit(&mut self, order: &Order) -> Result<Flavor, CloudError> {
        let found = self.config.flavors.iter().find(|f| f.name == order.flavor).cloned();
        let flavor = found.ok_or_else(|| CloudError::Invalid(format!("there is no flavor {}", order.flavor)))?;
        if !self.config.images.is_empty() && !self.config.images.contains(&order.image_id) {
            return Err(CloudError::Invalid(format!("there is no image {}", order.image_id)));
        }
        self.check_quota(&flavor)?;
        let held = self.vms.values().filter(|m| m.flavor.name == flavor.name).count() as u64;
        if let Some(fit) = self.config.capacity.get(&flavor.name).filter(|fit| held >= **fit) {
            return Err(CloudError::NoCapacity(format!("{fit} VMs of {} fit, and {held} are there", flavor.name)));
        }
        if self.dice.chance(self.config.faults.capacity) {
            return Err(CloudError::NoCapacity(format!("no host has room for {}", flavor.name)));
        }
        Ok(flavor)
    }

    fn check_quota(&self, flavor: &Flavor) -> Result<(), CloudError> {
        let quota = self.quota();
        let all = [
            ("instances", quota.vms, 1),
            ("cores", quota.cores, u64::from(flavor.cores)),
            ("ram", quota.ram_mib, flavor.ram_mib),
            ("gpus", quota.gpus, u64::from(flavor.gpus)),
        ];
        for (what, Allowance { limit, used }, wanted) in all {
            if limit.is_some_and(|limit| wanted > 0 && used + wanted > limit) {
                return Err(CloudError::Quota(format!(
                    "{what}: {used} used, {wanted} more wanted, {} allowed",
                    limit.unwrap_or(0)
                )));
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
