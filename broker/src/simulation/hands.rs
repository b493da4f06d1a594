//! What a test, or the demo, does to a simulated cloud from outside: faults to come, silence, VMs that end, strangers.

use std::time::Duration;

use super::{
    CloudConfig, SimulatedCloud, SimulatedDirac,
    faults::Call,
    trouble::{Loss, after},
};
use crate::{
    clock::moment,
    cloud::{Choice, CloudError, End, Notice, Order, Scope},
};

impl SimulatedCloud {
    /// Changes what the cloud is; its VMs stay, and so does the chance that the seed gave.
    pub fn configure(&self, config: CloudConfig) {
        self.now().config = config;
    }

    /// The next call, of any kind, gives this error and does nothing.
    pub fn fail_next(&self, error: CloudError) {
        self.now().script.push(None, error);
    }

    /// The next call of this kind fails with this error and does nothing; calls of other kinds are not touched.
    pub fn fail_next_call(&self, call: Call, error: CloudError) {
        self.now().script.push(Some(call), error);
    }

    /// The next order that could be carried out suffers this.
    pub fn lose(&self, loss: Loss) {
        self.now().trouble.lose(loss);
    }

    /// Lists lack this VM for a while; it exists.
    pub fn hide(&self, id: &str, pause: Duration) {
        let mut state = self.now();
        let until = after(state.now, pause);
        state.trouble.hide(id, until);
    }

    /// Lists have no VM for a while; they exist.
    pub fn hide_all(&self, pause: Duration) {
        let mut state = self.now();
        let until = after(state.now, pause);
        state.trouble.hide_all(until);
    }

    /// Calls get no answer for a while, and do nothing.
    pub fn hang(&self, pause: Duration) {
        self.now().trouble.hangs_until = Some(moment() + pause);
    }

    /// Calls are refused for a while, with the time that is left of it.
    pub fn throttle(&self, pause: Duration) {
        self.now().trouble.throttles_until = Some(moment() + pause);
    }

    /// Refuses from now on whatever has the same offer, zone, class or cloud as `like`.
    pub fn refuse(&self, scope: Scope, like: Choice) {
        self.now().trouble.refuse(scope, like);
    }

    /// Refuses nothing any more.
    pub fn relent(&self) {
        self.now().trouble.relent();
    }

    /// Makes another VM of the order's owner, as an order does that was sent twice; its id. An error where the order cannot be had.
    pub fn twin(&self, order: &Order) -> Result<String, CloudError> {
        let mut state = self.now();
        let (flavor, choice) = state.admit(order)?;
        Ok(state.make(order, flavor, choice).id)
    }

    /// The provider takes a VM back.
    pub fn reclaim(&self, id: &str) {
        let mut state = self.now();
        let (now, mut world) = (state.now, self.dirac.as_ref().map(SimulatedDirac::now));
        state.fleet.change(id, |machine| machine.reclaim(now, world.as_deref_mut()));
        state.schedule(id, world.as_deref());
    }

    /// The provider announces something about a VM.
    pub fn announce(&self, notice: Notice) {
        // Nobody may listen.
        let _ = self.notices.send(notice);
    }

    /// A VM stops by itself.
    pub fn power_off(&self, id: &str) {
        let mut state = self.now();
        let mut world = self.dirac.as_ref().map(SimulatedDirac::now);
        state.fleet.change(id, |machine| machine.end(End::PoweredOff, world.as_deref_mut()));
    }

    /// Puts a VM into the project that is not ours; its id.
    pub fn add_stranger(&self) -> String {
        let mut state = self.now();
        let id = format!("stranger-{}", state.next_id());
        state.strangers.push(id.clone());
        id
    }

    /// Whether the stranger is still there.
    pub fn has_stranger(&self, id: &str) -> bool {
        self.now().strangers.iter().any(|s| s == id)
    }
}
