//! A cloud in memory: a driver like the others, with a quota, a boot time and seeded faults.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{Clock, SimulatedDirac};
use crate::{
    cloud::{Allowance, Catalogue, Cloud, CloudError, Flavor, Order, Owner, Quota, Vm, VmState},
    pilot::Pilot,
    plan::Limits,
};

/// A flavor of a simulated cloud.
pub type SimulatedFlavor = Flavor;

/// What a simulated cloud is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CloudConfig {
    /// Seed of the faults.
    pub seed: u64,
    /// Flavors.
    pub flavors: Vec<SimulatedFlavor>,
    /// Images by name; any name is found when this is empty.
    pub images: Vec<String>,
    /// The quota.
    pub quota: Limits,
    /// Seconds from the order to the pilot's first request.
    pub boot_seconds: u64,
    /// What goes wrong.
    pub faults: Faults,
}

/// Probabilities of faults, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// A create is refused for lack of capacity.
    pub capacity: f64,
    /// A VM comes up and its pilot never asks for work.
    pub boot_failure: f64,
    /// A create succeeds and its reply is lost.
    pub lost_reply: f64,
    /// A call fails with a server error and does nothing.
    pub transient: f64,
    /// A VM takes [`SLOW`] times as long to boot.
    pub slow_boot: f64,
    /// Seconds for which a new VM is missing from lists.
    pub list_lag: u64,
}

/// How much longer a slow boot takes.
const SLOW: u64 = 5;

/// The cloud. What it holds ends with the process: nothing of it is real.
pub struct SimulatedCloud {
    dirac: Option<SimulatedDirac>,
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    config: CloudConfig,
    rng: StdRng,
    next_id: u64,
    vms: BTreeMap<String, Machine>,
    strangers: Vec<String>,
    /// Errors that the next calls give, first come first served.
    next_errors: VecDeque<CloudError>,
}

struct Machine {
    vm: Vm,
    flavor: Flavor,
    pilot: Pilot,
    /// When the pilot first asks for work; `None`: never.
    works_at: Option<Timestamp>,
    works: bool,
}

impl SimulatedCloud {
    /// A cloud whose pilots ask `dirac` for work.
    pub fn new(config: CloudConfig, dirac: Option<SimulatedDirac>, clock: Clock) -> Self {
        let rng = StdRng::seed_from_u64(config.seed);
        let (vms, strangers, next_errors) = (BTreeMap::new(), Vec::new(), VecDeque::new());
        Self { dirac, clock, state: Mutex::new(State { config, rng, next_id: 0, vms, strangers, next_errors }) }
    }

    /// Changes what the cloud is; its VMs stay.
    pub fn configure(&self, config: CloudConfig) {
        self.now().config = config;
    }

    /// The next call fails with this error and does nothing.
    pub fn fail_next(&self, error: CloudError) {
        self.now().next_errors.push_back(error);
    }

    /// Puts a VM into the project that is not ours; its id.
    pub fn add_stranger(&self) -> String {
        let mut state = self.now();
        state.next_id += 1;
        let id = format!("stranger-{}", state.next_id);
        state.strangers.push(id.clone());
        id
    }

    /// Whether the stranger is still there.
    pub fn has_stranger(&self, id: &str) -> bool {
        self.now().strangers.iter().any(|s| s == id)
    }

    /// The state, moved to the present: VMs whose time has come begin to work, and idle ones halt.
    fn now(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = (self.clock)();
        for machine in state.vms.values_mut() {
            if machine.vm.state == VmState::Building && machine.works_at.unwrap_or(machine.vm.created) <= now {
                machine.vm.state = VmState::Active;
                machine.vm.provider_status = "ACTIVE".to_owned();
            }
            let Some(dirac) = &self.dirac else { continue };
            if !machine.works && machine.works_at.is_some_and(|at| at <= now) {
                machine.works = true;
                dirac.now().pilot_asks(&machine.pilot);
            }
            let mut world = dirac.now();
            if machine.works
                && world.idle(&machine.pilot.reference).is_some_and(|s| s >= machine.pilot.idle_timeout as f64)
            {
                world.pilot_gone(&machine.pilot.reference);
                machine.vm.state = VmState::Halted;
                machine.vm.provider_status = "SHUTOFF".to_owned();
            }
        }
        state
    }
}

impl State {
    fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.rng.random_bool(probability.min(1.0))
    }

    /// The fault of a call, if it has one.
    fn fault(&mut self) -> Result<(), CloudError> {
        if let Some(error) = self.next_errors.pop_front() {
            return Err(error);
        }
        let probability = self.config.faults.transient;
        if self.chance(probability) { Err(CloudError::Transient("simulated server error".to_owned())) } else { Ok(()) }
    }

    fn quota(&self) -> Quota {
        let sum = |of: fn(&Flavor) -> u64| self.vms.values().map(|m| of(&m.flavor)).sum();
        let limits = self.config.quota;
        Quota {
            vms: Allowance { limit: limits.vms, used: sum(|_| 1) },
            cores: Allowance { limit: limits.cores, used: sum(|f| u64::from(f.cores)) },
            ram_mib: Allowance { limit: limits.ram_mib, used: sum(|f| f.ram_mib) },
            gpus: Allowance { limit: limits.gpus, used: sum(|f| u64::from(f.gpus)) },
        }
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

    fn of(&self, owner: &Owner) -> Option<Vm> {
        self.vms.values().find(|m| m.vm.owner == *owner).map(|m| m.vm.clone())
    }
}

fn seconds(n: u64) -> SignedDuration {
    /// A century, which no clock arithmetic overflows.
    const LONGEST: i64 = 100 * 365 * 86_400;
    SignedDuration::from_secs(i64::try_from(n).unwrap_or(LONGEST).min(LONGEST))
}

#[async_trait]
impl Cloud for SimulatedCloud {
    async fn catalogue(&self) -> Result<Catalogue, CloudError> {
        let mut state = self.now();
        state.fault()?;
        let images = state.config.images.iter().map(|i| (i.clone(), i.clone())).collect();
        Ok(Catalogue { flavors: state.config.flavors.clone(), quota: state.quota(), images, ..Catalogue::default() })
    }

    async fn create(&self, order: &Order) -> Result<Vm, CloudError> {
        let now = (self.clock)();
        let mut state = self.now();
        if let Some(vm) = state.of(&order.owner) {
            return Ok(vm);
        }
        state.fault()?;
        let found = state.config.flavors.iter().find(|f| f.name == order.flavor).cloned();
        let flavor = found.ok_or_else(|| CloudError::Invalid(format!("there is no flavor {}", order.flavor)))?;
        state.check_quota(&flavor)?;
        let faults = state.config.faults;
        if state.chance(faults.capacity) {
            return Err(CloudError::NoCapacity(format!("no host has room for {}", order.flavor)));
        }
        state.next_id += 1;
        let vm = Vm {
            id: format!("sim-{}", state.next_id),
            owner: order.owner.clone(),
            name: order.name.clone(),
            state: VmState::Building,
            provider_status: "BUILD".to_owned(),
            created: now,
            flavor: Some(order.flavor.clone()),
        };
        let boots = !state.chance(faults.boot_failure);
        let times = if state.chance(faults.slow_boot) { SLOW } else { 1 };
        let boot = seconds(state.config.boot_seconds.saturating_mul(times));
        let works_at = if boots { now.checked_add(boot).ok() } else { None };
        let machine = Machine { vm: vm.clone(), flavor, pilot: order.pilot.clone(), works_at, works: false };
        state.vms.insert(vm.id.clone(), machine);
        // The caller finds it again: a driver that loses a reply looks by tag before it gives up.
        if state.chance(faults.lost_reply) {
            Err(CloudError::Transient("simulated: the reply was lost".to_owned()))
        } else {
            Ok(vm)
        }
    }

    async fn list(&self, cluster: &str) -> Result<Vec<Vm>, CloudError> {
        let mut state = self.now();
        state.fault()?;
        let (now, lag) = ((self.clock)(), seconds(state.config.faults.list_lag));
        let shown = |m: &&Machine| m.vm.owner.cluster == cluster && now.duration_since(m.vm.created) >= lag;
        Ok(state.vms.values().filter(shown).map(|m| m.vm.clone()).collect())
    }

    async fn find(&self, owner: &Owner) -> Result<Vec<Vm>, CloudError> {
        let mut state = self.now();
        state.fault()?;
        Ok(state.of(owner).into_iter().collect())
    }

    async fn delete(&self, id: &str) -> Result<(), CloudError> {
        let mut state = self.now();
        state.fault()?;
        if let Some(machine) = state.vms.remove(id)
            && let Some(dirac) = &self.dirac
        {
            dirac.now().pilot_gone(&machine.pilot.reference);
        }
        Ok(())
    }

    async fn console(&self, id: &str, max_bytes: usize) -> Result<String, CloudError> {
        let mut state = self.now();
        state.fault()?;
        let Some(machine) = state.vms.get(id) else { return Ok(String::new()) };
        let mut text = format!("simulated VM {id}, pilot {}, state {:?}\n", machine.pilot.reference, machine.vm.state);
        text.truncate(max_bytes);
        Ok(text)
    }
}
