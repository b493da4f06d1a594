//! Budgets against providers that are full, fail at random, or make VMs that never ask.

use super::*;

/// A provider, an offer, and a pool that wants VMs: a round every few seconds, at whose end the provider answers.
struct Market {
    budgets: Budgets,
    made: u64,
    calls: Vec<u64>,
}

/// Seconds between two rounds.
const ROUND: u64 = 5;

impl Market {
    fn new() -> Self {
        Self { budgets: Budgets::default(), made: 0, calls: Vec::new() }
    }

    /// One round: orders as many as are wanted and allowed; `answer` says of each order whether the provider makes the VM, and how far a
    /// refusal reaches. Pilots ask at once.
    fn round(&mut self, second: u64, wanted: u64, mut answer: impl FnMut() -> Result<(), Scope>) {
        let mut flight = Flight::default();
        let mut orders = 0;
        while orders < wanted && most(&self.budgets, &c8(), &flight, second) > 0 {
            flight.add(&c8(), Some(&class()), Phase::Unanswered);
            orders += 1;
        }
        for _ in 0..orders {
            if !may(&mut self.budgets, &c8(), second) {
                continue;
            }
            self.calls.push(second);
            match answer() {
                Ok(()) => {
                    self.made += 1;
                    self.budgets.accepted(&c8(), Some(&class()), at(second));
                    grant(&mut self.budgets, &c8(), second, second + 1);
                    self.budgets.asked(&c8(), at(second + 1));
                }
                Err(scope) => refuse(&mut self.budgets, &c8(), scope, second, second + 1),
            }
        }
        if second.is_multiple_of(600) {
            self.budgets = serde_json::from_str(&serde_json::to_string(&self.budgets).unwrap()).unwrap();
        }
    }
}

#[test]
fn a_full_cloud_is_asked_at_most_twenty_times_in_any_hour_whatever_is_wanted() {
    for scope in [Scope::Offer, Scope::Zone, Scope::Class, Scope::Cloud] {
        let mut market = Market::new();
        (0..6 * 3_600).step_by(5).for_each(|second| market.round(second, 500, || Err(scope)));
        for first in &market.calls {
            let within = market.calls.iter().filter(|call| (*first..first + 3_600).contains(call)).count();
            assert!(within <= 20, "{scope:?}: {within}");
        }
        assert!(market.calls.len() >= 6 * 16, "{} calls in six hours", market.calls.len());
    }
}

#[test]
fn a_cloud_that_was_full_for_hours_is_used_at_full_speed_within_minutes_of_room() {
    let mut worst = (0, 0);
    for full in (3_600..2 * 3_600).step_by(35) {
        let mut market = Market::new();
        (0..full).step_by(5).for_each(|second| market.round(second, 500, || Err(Scope::Offer)));
        let mut second = full;
        while market.made == 0 {
            market.round(second, 500, || Ok(()));
            second += ROUND;
        }
        let first = second - full;
        while market.made < 100 {
            market.round(second, 500, || Ok(()));
            second += ROUND;
        }
        worst = (worst.0.max(first), worst.1.max(second - full));
    }
    assert!(worst.0 <= 205 && worst.1 <= 240, "{worst:?}");
}

#[test]
fn a_word_of_room_brings_a_full_cloud_to_full_speed_within_a_minute_and_a_half() {
    let mut market = Market::new();
    (0..3_600).step_by(5).for_each(|second| market.round(second, 500, || Err(Scope::Cloud)));
    market.budgets.may_have_room("cppm", at(3_600));
    (3_600..3_690).step_by(5).for_each(|second| market.round(second, 500, || Ok(())));
    assert!(market.made >= 500, "{}", market.made);
}

#[test]
fn one_refusal_in_twenty_does_not_stop_buying() {
    for seed in 0..50_u64 {
        let (mut market, mut random) = (Market::new(), seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let mut rounds = 0;
        while market.made < 500 {
            let wanted = 500 - market.made;
            market.round(rounds * ROUND, wanted, || {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                if (random >> 33) % 20 == 0 { Err(Scope::Offer) } else { Ok(()) }
            });
            rounds += 1;
            assert!(rounds <= 60, "seed {seed}: {} after five minutes", market.made);
        }
    }
}

/// A pool of 20,000 VMs whose image never asks for work. The provider makes every VM. Returns when each was ordered.
fn bad_image(until: u64, deadline: u64) -> Vec<u64> {
    let (mut budgets, mut booting, mut ordered) = (Budgets::default(), Vec::<u64>::new(), Vec::new());
    for second in (0..until).step_by(5) {
        booting.retain(|at_second| {
            let is_late = second >= at_second + deadline;
            if is_late {
                budgets.never_asked(&c8(), at(*at_second), at(second));
            }
            !is_late
        });
        let mut in_flight = flight(&[(Phase::Booting, booting.len() as u64)]);
        let mut orders = 0;
        while most(&budgets, &c8(), &in_flight, second) > 0 && orders < 20_000 {
            in_flight.add(&c8(), Some(&class()), Phase::Unanswered);
            orders += 1;
        }
        for _ in 0..orders {
            if may(&mut budgets, &c8(), second) {
                grant(&mut budgets, &c8(), second, second);
                booting.push(second);
                ordered.push(second);
            }
        }
    }
    ordered
}

#[test]
fn a_bad_image_in_a_pool_of_twenty_thousand_costs_a_handful_of_vms() {
    for deadline in [300, 900, 1_800] {
        let ordered = bad_image(86_400, deadline);
        let within = |hours: u64| ordered.iter().filter(|second| **second < hours * 3_600).count();
        assert!(within(4) <= 12 && within(24) <= 16, "{} {}", within(4), within(24));
    }
}
