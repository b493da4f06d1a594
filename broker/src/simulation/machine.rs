//! One VM of a simulated cloud, with the pilot in it, and how it moves in time.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{World, config::SimulatedFlavor};
use crate::{
    cloud::{Coming, End, Notice, Vm, VmState},
    pilot::Pilot,
};

/// How long before it takes a VM back the provider says so. EC2: two minutes.
const ANNOUNCED_BEFORE: SignedDuration = SignedDuration::from_secs(120);
/// How long lists show a VM that the provider took back.
const SHOWN_AFTERWARDS: SignedDuration = SignedDuration::from_hours(1);

/// A VM and the pilot in it.
pub struct Machine {
    /// What a list shows of it.
    pub vm: Vm,
    pub flavor: Arc<SimulatedFlavor>,
    /// The reference of its pilot.
    pub pilot: Box<str>,
    /// What the pilot was told of itself, until it asks for work.
    pub told: Option<Box<Pilot>>,
    /// Seconds without a job after which the pilot halts the VM.
    pub idle_timeout: u64,
    /// When the pilot first asks for work; `None`: never.
    pub works_at: Option<Timestamp>,
    /// Whether the pilot has asked for work.
    pub works: bool,
    /// When the provider takes the VM away, if it still runs; `None`: never.
    pub reclaimed_at: Option<Timestamp>,
    /// Whether the provider has announced that.
    pub is_announced: bool,
}

impl Machine {
    /// Moves the VM to `now`. Returns whether it is still there.
    pub fn advance(&mut self, now: Timestamp, mut world: Option<&mut World>) -> bool {
        if self.vm.state == VmState::Building && self.up_at() <= now {
            self.vm.state = VmState::Active;
            self.vm.provider_status = "ACTIVE".to_owned();
        }
        if let Some(world) = world.as_deref_mut()
            && !self.works
            && self.works_at.is_some_and(|at| at <= now)
        {
            self.works = true;
            if let Some(pilot) = self.told.take() {
                world.pilot_asks(&pilot);
            }
        }
        if self.vm.state == VmState::Active && self.reclaimed_at.is_some_and(|at| at <= now) {
            self.end(End::Reclaimed, world.as_deref_mut());
        }
        if let Some(world) = world
            && self.vm.state == VmState::Active
            && self.works
            && world.idle(&self.pilot).is_some_and(|s| s >= self.idle_timeout as f64)
        {
            self.end(End::PoweredOff, Some(world));
        }
        let shown = self.reclaimed_at.is_none_or(|at| now.duration_since(at) < SHOWN_AFTERWARDS);
        self.vm.state != VmState::Ended(End::Reclaimed) || shown
    }

    /// When something may happen to the VM next, looked at from `now`; nothing: never, unless somebody does it.
    pub fn next(&self, now: Timestamp, world: Option<&World>) -> Option<Timestamp> {
        match self.vm.state {
            VmState::Building => Some(self.up_at()),
            VmState::Active => {
                let asks = self.works_at.filter(|_| !self.works && world.is_some());
                let announced = |at: Timestamp| if self.is_announced { at } else { at - ANNOUNCED_BEFORE };
                let idle = world.filter(|_| self.works).map(|world| self.idle_at(now, world));
                asks.into_iter().chain(self.reclaimed_at.map(announced)).chain(idle).min()
            }
            VmState::Ended(End::Reclaimed) => self.reclaimed_at.and_then(|at| at.checked_add(SHOWN_AFTERWARDS).ok()),
            _ => None,
        }
    }

    /// The first moment at which its pilot can have been idle for too long, as it is now.
    fn idle_at(&self, now: Timestamp, world: &World) -> Timestamp {
        /// What rounding may take away: a look too early changes nothing and is followed by another.
        const SHORTEST: f64 = 0.001;
        let timeout = self.idle_timeout as f64;
        let left = timeout - world.idle(&self.pilot).unwrap_or(0.0);
        let left = SignedDuration::try_from_secs_f64(left.max(SHORTEST)).unwrap_or(SignedDuration::MAX);
        now.checked_add(left).unwrap_or(Timestamp::MAX)
    }

    /// What the provider announces about the VM at `now`, once.
    pub fn notice(&mut self, now: Timestamp) -> Option<Notice> {
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
            world.pilot_gone(&self.pilot);
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
    pub fn up_at(&self) -> Timestamp {
        self.works_at.unwrap_or(self.vm.created)
    }
}
