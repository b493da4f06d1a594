//! When a changed status is written. Pure.
//!
//! What a person acts on is written at once. Numbers that drift, such as waiting jobs, are written now and then: with 500 pools each
//! drift would be a write, some 25 a second, which nobody reads. Each kind of change has a budget of its own, so that none of them
//! takes the turn of another; of those that wait, the object that was written longest ago comes first.

use std::time::Duration;

use serde_json::Value;

/// A number that changes by less than this part of it drifts.
const PART: f64 = 0.1;

/// How much a status changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    Nothing,
    /// Numbers, by a small part, and times.
    Drift,
    /// Numbers, by more than that, or to or from zero.
    Leap,
    /// A condition, a reason, a sentence, or which fields there are.
    Words,
}

/// How much `new` differs from `old`.
pub fn change(old: &Value, new: &Value) -> Change {
    match (old, new) {
        (old, new) if old == new => Change::Nothing,
        (Value::Number(a), Value::Number(b)) => numbers(a.as_f64().unwrap_or(0.0), b.as_f64().unwrap_or(0.0)),
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).map(|(a, b)| change(a, b)).max().unwrap_or(Change::Nothing)
        }
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            let field = |(name, a): (&String, &Value), b: &Value| match (name.as_str(), a, b) {
                (_, a, b) if a == b => Change::Nothing,
                ("message" | "spent" | "reserved" | "left", Value::String(a), Value::String(b)) => sentences(a, b),
                ("lastDemandTime" | "ends" | "ledger" | "nextTry", _, _) => Change::Drift,
                _ => change(a, b),
            };
            a.iter().zip(b.values()).map(|(a, b)| field(a, b)).max().unwrap_or(Change::Nothing)
        }
        _ => Change::Words,
    }
}

fn numbers(a: f64, b: f64) -> Change {
    let part = (a - b).abs() / a.abs().max(b.abs());
    if a == 0.0 || b == 0.0 || part >= PART { Change::Leap } else { Change::Drift }
}

/// Sentences that differ only in their numbers drift, whatever the numbers: the same numbers stand in fields of their own.
fn sentences(a: &str, b: &str) -> Change {
    let words = |text: &str| -> Vec<String> {
        text.split(|c: char| c.is_ascii_digit()).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    if words(a) == words(b) { Change::Drift } else { Change::Words }
}

/// How often changes of one kind are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// An object is written at the earliest this long after its last write.
    pub rest: Duration,
    /// All objects together have one write in this time.
    pub one_in: Duration,
    /// The most that may be written together after a quiet time.
    pub most: u32,
}

impl Rate {
    /// Small changes of numbers.
    pub const DRIFTS: Self = Self { rest: Duration::from_secs(30), one_in: Duration::from_millis(2_500), most: 12 };
    /// Large changes of numbers: a wave of jobs of some pools is seen at once.
    pub const LEAPS: Self = Self { rest: Duration::from_secs(5), one_in: Duration::from_millis(2_500), most: 100 };
    /// All others. An outage that changes the conditions of every object is told at once; objects whose conditions change for ever are
    /// told more slowly.
    pub const WORDS: Self = Self { rest: Duration::ZERO, one_in: Duration::from_millis(500), most: 1_200 };
}

/// Writes of one kind of change that may be made: fills up slowly, and is emptied by each one.
#[derive(Debug)]
pub struct Budget {
    rate: Rate,
    spent: Duration,
    at: Duration,
}

impl Budget {
    /// A full budget for this rate.
    pub fn of(rate: Rate) -> Self {
        Self { rate, spent: Duration::ZERO, at: Duration::ZERO }
    }

    /// Whether a change may be written at `now`, a time that never goes back, of an object whose last write was at `last`.
    pub fn grants(&mut self, last: Option<Duration>, now: Duration) -> bool {
        let Rate { rest, one_in, most } = self.rate;
        self.spent = self.spent.saturating_sub(now.saturating_sub(self.at));
        self.at = now;
        let rested = last.is_none_or(|last| now.saturating_sub(last) >= rest);
        let granted = rested && self.spent + one_in <= one_in * most;
        if granted {
            self.spent += one_in;
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_drift_until_they_leap_by_a_part_or_to_or_from_zero() {
        let waiting = |a: i64, b: i64| change(&json!({"waitingJobs": a}), &json!({"waitingJobs": b}));
        assert_eq!(waiting(100, 100), Change::Nothing);
        assert_eq!(waiting(100, 105), Change::Drift);
        assert_eq!((waiting(100, 120), waiting(100, 85)), (Change::Leap, Change::Leap));
        assert_eq!((waiting(0, 1), waiting(1, 0)), (Change::Leap, Change::Leap));
    }

    #[test]
    fn another_status_reason_or_sentence_is_said_in_words_and_other_numbers_in_a_sentence_are_not() {
        let said = |status: &str, reason: &str, message: &str| json!({"conditions": [{"type": "DemandMet", "status": status, "reason": reason, "message": message}]});
        let before = said("False", "PoolMax", "12 waiting jobs get no VM: raise spec.scaling.max");
        let more = said("False", "PoolMax", "240 waiting jobs get no VM: raise spec.scaling.max");
        assert_eq!(change(&before, &more), Change::Drift);
        assert_eq!(change(&before, &said("False", "VoLimit", "12 waiting jobs get no VM")), Change::Words);
        assert_eq!(change(&before, &said("True", "Met", "all")), Change::Words);
        assert_eq!(change(&json!({"unmet": []}), &json!({"unmet": [1]})), Change::Words);
        let minute = |m: u32| json!({"lastDemandTime": format!("2026-11-24T10:{m:02}:00Z")});
        assert_eq!(change(&minute(59), &minute(0)), Change::Drift);
        let spent = |text: &str, at: u64| json!({"spent": text, "ledger": {"at": at, "sums": vec![1; at as usize]}});
        assert_eq!(change(&spent("0.00 EUR", 1), &spent("12.50 EUR", 2)), Change::Drift);
        assert_eq!(change(&spent("0.00 EUR", 1), &spent("0.00 CHF", 1)), Change::Words);
    }

    #[test]
    fn a_budget_grants_some_at_once_and_then_one_at_a_time() {
        let rate = Rate { rest: Duration::ZERO, one_in: Duration::from_secs(2), most: 10 };
        let (mut budget, at) = (Budget::of(rate), Duration::from_secs);
        assert_eq!((0..100).filter(|_| budget.grants(None, at(1))).count(), 10);
        assert_eq!((0..100).filter(|_| budget.grants(None, at(3))).count(), 1);
        assert_eq!(
            (0..100).filter(|_| budget.grants(None, at(1_000))).count(),
            10,
            "what was not used does not pile up"
        );
    }

    #[test]
    fn an_object_that_was_written_a_moment_ago_rests_and_costs_others_nothing() {
        let rate = Rate { rest: Duration::from_secs(30), one_in: Duration::from_secs(2), most: 1 };
        let (mut budget, at) = (Budget::of(rate), Duration::from_secs);
        assert!(!budget.grants(Some(at(80)), at(100)));
        assert!(budget.grants(Some(at(70)), at(100)));
    }
}
