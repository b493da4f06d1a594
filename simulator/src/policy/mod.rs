//! Who decides what VMs there are: from what an operator can really observe, to orders and deletions.

mod operator;
mod seen;
mod sitedirector;

pub use operator::Operator;
pub use seen::{Listed, QueueSeen, Seen, VmSeen};
pub use sitedirector::SiteDirector;

use crate::{
    cloud::Answer,
    time::Ms,
    world::{Order, PilotManners, VmId},
};

/// A way to decide.
pub trait Policy {
    /// The name by which the command line and the figures call it.
    fn name(&self) -> &'static str;
    /// How often it looks at the world.
    fn period(&self) -> Ms;
    /// How its VMs treat their pilots.
    fn manners(&self) -> PilotManners;
    /// Looks at the world and puts what is to be done into `hands`.
    fn decide(&mut self, seen: &Seen<'_>, hands: &mut Hands);
    /// Whether an order still goes out: asked when the cloud's request rate lets it.
    fn may_launch(&mut self, _now: Ms, _order: &Order) -> bool {
        true
    }
    /// What a cloud answered to a creation. [`Answer::Lost`] is told as such: the caller sees that no answer came.
    fn told(&mut self, now: Ms, vm: VmId, order: &Order, answer: Answer);
}

/// What a policy wants done.
#[derive(Debug)]
pub struct Hands {
    next: VmId,
    /// VMs to make, in the order in which the requests are sent.
    pub orders: Vec<Order>,
    /// VMs to delete.
    pub deletions: Vec<VmId>,
    /// Calls to clouds beside creations and deletions, by kind.
    pub calls: Vec<(&'static str, u64)>,
}

impl Hands {
    /// Empty hands; the next VM gets this number.
    pub fn new(next: VmId) -> Self {
        Self { next, orders: Vec::new(), deletions: Vec::new(), calls: Vec::new() }
    }

    /// Orders a VM, and gives its number.
    pub fn order(&mut self, order: Order) -> VmId {
        self.orders.push(order);
        self.next += 1;
        self.next - 1
    }
}
