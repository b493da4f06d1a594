//! What a test does to a simulated cloud: orders lost on the way, lists without some VMs, silence, refusals.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::cloud::{Choice, CloudError, Order, Scope};

/// What becomes of one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The VM is made, and the reply is lost.
    Reply,
    /// The order is lost on the way, and nobody knows it.
    Request,
    /// The reply is lost, and the VM is made this much later.
    Late(Duration),
}

#[derive(Debug, Default)]
pub struct Trouble {
    losses: VecDeque<Loss>,
    /// Orders that are carried out later.
    late: Vec<(Timestamp, Order)>,
    /// VMs that lists lack, and until when.
    hidden: BTreeMap<String, Timestamp>,
    lists_partial_until: Option<Timestamp>,
    /// Calls get no answer until then.
    pub hangs_until: Option<Instant>,
    /// Calls are refused until then.
    pub throttles_until: Option<Instant>,
    refusals: Vec<(Scope, Choice)>,
}

impl Trouble {
    /// The next order suffers this.
    pub fn lose(&mut self, loss: Loss) {
        self.losses.push_back(loss);
    }

    /// What becomes of this order.
    pub fn loss(&mut self) -> Option<Loss> {
        self.losses.pop_front()
    }

    /// The order is carried out at `due`.
    pub fn delay(&mut self, due: Timestamp, order: &Order) {
        self.late.push((due, order.clone()));
    }

    /// Orders that are carried out now.
    pub fn due(&mut self, now: Timestamp) -> Vec<Order> {
        let (due, later) = std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= now);
        self.late = later;
        Vec::into_iter(due).map(|(_, order)| order).collect()
    }

    /// Lists lack this VM until `until`.
    pub fn hide(&mut self, id: &str, until: Timestamp) {
        self.hidden.insert(id.to_owned(), until);
    }

    /// Lists have no VM until `until`.
    pub fn hide_all(&mut self, until: Timestamp) {
        self.lists_partial_until = Some(until);
    }

    /// Whether lists lack this VM now.
    pub fn hides(&self, id: &str, now: Timestamp) -> bool {
        self.lists_partial_until.is_some_and(|until| now < until)
            || self.hidden.get(id).is_some_and(|until| now < *until)
    }

    /// Refuses from now on what has the same offer, zone, class or cloud as `like`.
    pub fn refuse(&mut self, scope: Scope, like: Choice) {
        self.refusals.push((scope, like));
    }

    /// Refuses nothing any more.
    pub fn relent(&mut self) {
        self.refusals.clear();
    }

    /// The refusal of this choice, the one that reaches furthest. `class`: the class of quota of the flavor with this name.
    pub fn refusal<'a>(&self, choice: &Choice, class: impl Fn(&str) -> &'a str) -> Option<CloudError> {
        let covers = |(scope, like): &&(Scope, Choice)| match scope {
            Scope::Offer => {
                like.flavor == choice.flavor && like.zone == choice.zone && like.purchase == choice.purchase
            }
            Scope::Zone => like.zone == choice.zone,
            Scope::Class => class(&like.flavor) == class(&choice.flavor),
            Scope::Cloud => true,
        };
        let (scope, _) = self.refusals.iter().filter(covers).max_by_key(|(scope, _)| *scope)?;
        let message = format!("a test refuses {} in {:?}", choice.flavor, choice.zone);
        Some(match scope {
            Scope::Offer | Scope::Zone => CloudError::NoCapacity { message, scope: *scope },
            Scope::Class | Scope::Cloud => CloudError::Quota { message, scope: *scope },
        })
    }
}

/// A moment of wall time this much later.
pub fn after(now: Timestamp, pause: Duration) -> Timestamp {
    let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
    now.checked_add(pause).unwrap_or(Timestamp::MAX)
}
