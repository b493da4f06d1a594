//! What goes wrong in a simulated cloud: how often, when, and what a test wants to see go wrong next.

use std::{collections::VecDeque, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::cloud::{CloudError, pace::Action};

/// What goes wrong. What has no other unit is a probability, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// A create is refused for lack of capacity.
    pub capacity: f64,
    /// A VM comes up and its pilot never asks for work.
    pub boot_failure: f64,
    /// A create succeeds and its reply is lost.
    pub lost_reply: f64,
    /// The reply to a create is lost, and the create is carried out [`LATE`] seconds later.
    pub late: f64,
    /// A call fails with a server error and does nothing.
    pub transient: f64,
    /// A VM takes [`SLOW`] times as long to boot.
    pub slow_boot: f64,
    /// A running VM is taken away by the provider within an hour, and again within each further hour. The moment is drawn
    /// when the VM is made.
    pub spot_reclaim: f64,
    /// Seconds for which a new VM is missing from lists.
    pub list_lag: u64,
    /// How long every call takes: half of it passes before the cloud acts, half before its answer is back.
    pub latency: Duration,
}

/// How much longer a slow boot takes.
pub const SLOW: u64 = 5;
/// Seconds after which a late create is carried out.
pub const LATE: u64 = 30;

/// The kinds of calls, one for each method of [`crate::cloud::Cloud`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// [`crate::cloud::Cloud::offers`].
    Offers,
    /// [`crate::cloud::Cloud::headroom`].
    Headroom,
    /// [`crate::cloud::Cloud::create`].
    Create,
    /// [`crate::cloud::Cloud::list`].
    List,
    /// [`crate::cloud::Cloud::get`].
    Get,
    /// [`crate::cloud::Cloud::find`].
    Find,
    /// [`crate::cloud::Cloud::delete`].
    Delete,
    /// [`crate::cloud::Cloud::console`].
    Console,
}

impl Call {
    /// The class of action that it is paced in.
    pub fn action(self) -> Action {
        match self {
            Self::Offers | Self::Headroom => Action::Catalogue,
            Self::Create => Action::Create,
            Self::List | Self::Find => Action::List,
            Self::Get | Self::Console => Action::Look,
            Self::Delete => Action::Delete,
        }
    }
}

/// Errors that coming calls give, whatever the probabilities say: first come, first served.
#[derive(Debug, Default)]
pub struct Script(VecDeque<(Option<Call>, CloudError)>);

impl Script {
    /// The next call of this kind, or of any kind, gives this error.
    pub fn push(&mut self, call: Option<Call>, error: CloudError) {
        self.0.push_back((call, error));
    }

    /// The error that this call gives, which no later call does.
    pub fn next(&mut self, call: Call) -> Option<CloudError> {
        let first = self.0.iter().position(|(kind, _)| kind.is_none_or(|kind| kind == call))?;
        self.0.remove(first).map(|(_, error)| error)
    }
}

/// Chance, from a seed. What cannot happen is not drawn, so a fault that is not asked for changes no other's history.
#[derive(Debug)]
pub struct Dice(StdRng);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// Whether something of this probability happens.
    pub fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.0.random_bool(probability.min(1.0))
    }

    /// Whole seconds until something happens that has this probability in each hour; `None`: it never does.
    pub fn seconds_until(&mut self, hourly: f64) -> Option<u64> {
        if hourly <= 0.0 {
            return None;
        }
        let uniform: f64 = self.0.random_range(f64::EPSILON..1.0);
        // Hours that it is spared, then a moment of the next. `ln_1p` keeps the smallest probabilities, and gives 0 hours for 1.
        let spared = (uniform.ln() / (-hourly.min(1.0)).ln_1p()).floor();
        Some(((spared + self.0.random_range(0.0..1.0)) * 3_600.0) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_probability_in_each_hour_spares_its_share_of_them() {
        let mut dice = Dice::new(1);
        let drawn: Vec<u64> = (0..10_000).filter_map(|_| dice.seconds_until(0.2)).collect();
        let after = |hours: u64| drawn.iter().filter(|s| **s >= hours * 3_600).count();
        for (hours, expected) in [(0, 10_000), (1, 8_000), (2, 6_400), (5, 3_277)] {
            assert!(after(hours).abs_diff(expected) < 200, "after {hours} h {} of {expected} are left", after(hours));
        }
    }

    #[test]
    fn the_certain_happens_within_the_hour_the_rarest_in_an_age_and_the_impossible_never() {
        let mut dice = Dice::new(2);
        assert!((0..1_000).all(|_| dice.seconds_until(1.0).is_some_and(|s| s < 3_600)));
        assert!(dice.seconds_until(f64::MIN_POSITIVE).is_some_and(|s| s > 1 << 40));
        assert_eq!(dice.seconds_until(0.0), None);
    }

    #[test]
    fn an_error_waits_for_a_call_of_its_kind_and_is_given_once() {
        let error = |text: &str| CloudError::Conflict(text.to_owned());
        let mut script = Script::default();
        script.push(Some(Call::Delete), error("a delete"));
        script.push(None, error("any"));
        script.push(Some(Call::List), error("a list"));
        assert_eq!(script.next(Call::List), Some(error("any")));
        assert_eq!(script.next(Call::List), Some(error("a list")));
        assert_eq!(script.next(Call::List), None);
        assert_eq!(script.next(Call::Delete), Some(error("a delete")));
        assert_eq!(script.next(Call::Delete), None);
    }
}
