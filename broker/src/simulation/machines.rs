//! What a simulated cloud holds: its VMs, what they use of quota and capacity, and how they move in time.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;

use super::{
    SimulatedDirac, World,
    config::{CloudConfig, SimulatedFlavor},
    faults::{Call, Dice, LATE, SLOW, Script},
    fleet::Fleet,
    machine::Machine,
    trouble::{Loss, Trouble, after},
};
use crate::{
    clock::moment,
    cloud::{Choice, CloudError, Limits, Notice, Order, Owner, Purchase, Vm, VmState, keep},
};

/// An order whose reply was lost is carried out by then or never.
const CARRIED_OUT_WITHIN: SignedDuration = SignedDuration::from_secs(60);

/// The state of a simulated cloud.
pub struct State {
    pub config: CloudConfig,
    pub fleet: Fleet,
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
    pub dice: Dice,
    ids: u64,
}

impl State {
    /// An empty cloud at this moment.
    pub fn new(config: CloudConfig, now: Timestamp) -> Self {
        let dice = Dice::new(config.seed);
        let (fleet, strangers, script) = (Fleet::default(), Vec::new(), Script::default());
        let (trouble, known) = (Trouble::default(), BTreeSet::new());
        Self { config, fleet, strangers, script, trouble, known, now, announced: Vec::new(), dice, ids: 0 }
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
        let due = self.fleet.due(now);
        for id in &due {
            self.announced.extend(self.fleet.change(id, |machine| machine.notice(now)).flatten());
        }
        for id in due {
            let is_there = self.fleet.change(&id, |machine| machine.advance(now, world.as_deref_mut()));
            match is_there {
                Some(true) => self.schedule(&id, world.as_deref()),
                Some(false) => drop(self.fleet.remove(&id)),
                None => {}
            }
        }
    }

    /// Has the VM looked at when something happens to it next, as far as anybody knows.
    pub fn schedule(&mut self, id: &str, world: Option<&World>) {
        if let Some(at) = self.fleet.get(id).and_then(|machine| machine.next(self.now, world)) {
            self.fleet.look_at(id, at);
        }
    }

    /// A number that no other VM has.
    pub fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

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
                self.fleet.remove(&twin.id);
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
        Limits::WIDEST.pack(order.user_data.expose_secret()).map_err(CloudError::Invalid)?;
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
    pub fn make(&mut self, order: &Order, flavor: Arc<SimulatedFlavor>, choice: Choice) -> Vm {
        let faults = self.config.faults;
        let of_spot = flavor.spot.filter(|_| choice.purchase == Purchase::Spot).map_or(0.0, |spot| spot.reclaim);
        let vm = Vm {
            id: format!("sim-{}", self.next_id()),
            owner: order.owner.clone(),
            name: order.name.clone(),
            state: VmState::Building,
            provider_status: "BUILD".to_owned(),
            created: self.now,
            bought: Some(choice),
            released: false,
        };
        let boots = !self.dice.chance(faults.boot_failure);
        let times = if self.dice.chance(faults.slow_boot) { SLOW } else { 1 };
        let boot = seconds(self.config.boot_seconds.saturating_mul(times));
        let works_at = if boots { self.now.checked_add(boot).ok() } else { None };
        let mut machine = Machine {
            vm: vm.clone(),
            flavor,
            pilot: order.pilot.reference.as_str().into(),
            told: Some(Box::new(order.pilot.clone())),
            idle_timeout: order.pilot.idle_timeout,
            works_at,
            works: false,
            reclaimed_at: None,
            is_announced: false,
        };
        let reclaimed_after = self.dice.seconds_until(faults.spot_reclaim.max(of_spot));
        machine.reclaimed_at = reclaimed_after.and_then(|after| machine.up_at().checked_add(seconds(after)).ok());
        self.fleet.insert(machine);
        self.schedule(&vm.id, None);
        vm
    }

    pub fn of(&self, owner: &Owner) -> Vec<Vm> {
        self.fleet.of(owner)
    }

    /// What a list of this cluster shows. A VM that an earlier list had and this one lacks is unknown as long as it exists.
    pub fn listed(&mut self, cluster: &str) -> Vec<Vm> {
        let lag = seconds(self.config.faults.list_lag);
        self.known.retain(|id| self.fleet.get(id).is_some());
        let mut listed = Vec::new();
        for machine in self.fleet.all().filter(|m| m.vm.owner.cluster == cluster) {
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
}

fn seconds(n: u64) -> SignedDuration {
    /// A century, which no clock arithmetic overflows.
    const LONGEST: i64 = 100 * 365 * 86_400;
    SignedDuration::from_secs(i64::try_from(n).unwrap_or(LONGEST).min(LONGEST))
}
