//! When a changed status is written. Pure.
//!
//! What a person acts on is written at once. Numbers that drift, such as waiting jobs, are written now and then: with 500 pools each
//! drift would be a write, some 25 a second, which nobody reads.

use std::time::Duration;

use serde_json::Value;

/// A drift is written at the earliest this long after the object's last write.
pub const DRIFT: Duration = Duration::from_secs(30);
/// All objects together write one drift in this time.
pub const ONE_DRIFT: Duration = Duration::from_secs(2);
/// Drifts that may be written together after a quiet time.
pub const MOST_DRIFTS: u32 = 10;
/// A number that changes by less than this part of it drifts.
const PART: f64 = 0.1;

/// How much a status changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Not at all.
    Nothing,
    /// Numbers, by a small part, and times.
    Drift,
    /// More than that.
    News,
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
                ("message", Value::String(a), Value::String(b)) => sentences(a, b),
                ("lastDemandTime", _, _) => Change::Drift,
                _ => change(a, b),
            };
            a.iter().zip(b.values()).map(|(a, b)| field(a, b)).max().unwrap_or(Change::Nothing)
        }
        _ => Change::News,
    }
}

fn numbers(a: f64, b: f64) -> Change {
    let part = (a - b).abs() / a.abs().max(b.abs());
    if a == 0.0 || b == 0.0 || part >= PART { Change::News } else { Change::Drift }
}

/// Sentences that differ only in their numbers drift, whatever the numbers: the same numbers stand in fields of their own.
fn sentences(a: &str, b: &str) -> Change {
    let words = |text: &str| -> Vec<String> {
        text.split(|c: char| c.is_ascii_digit()).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    if words(a) == words(b) { Change::Drift } else { Change::News }
}

/// Drifts that may be written: fills up slowly, and is emptied by each one.
#[derive(Debug, Default)]
pub struct Budget {
    spent: Duration,
    at: Duration,
}

impl Budget {
    /// Whether a drift may be written at `now`, a time that never goes back, of an object whose last write was at `last`.
    pub fn grants(&mut self, last: Option<Duration>, now: Duration) -> bool {
        self.spent = self.spent.saturating_sub(now.saturating_sub(self.at));
        self.at = now;
        let rested = last.is_none_or(|last| now.saturating_sub(last) >= DRIFT);
        let granted = rested && self.spent + ONE_DRIFT <= ONE_DRIFT * MOST_DRIFTS;
        if granted {
            self.spent += ONE_DRIFT;
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_drift_until_they_change_by_a_part_or_to_or_from_zero() {
        let waiting = |a: i64, b: i64| change(&json!({"waitingJobs": a}), &json!({"waitingJobs": b}));
        assert_eq!(waiting(100, 100), Change::Nothing);
        assert_eq!(waiting(100, 105), Change::Drift);
        assert_eq!((waiting(100, 120), waiting(100, 85)), (Change::News, Change::News));
        assert_eq!((waiting(0, 1), waiting(1, 0)), (Change::News, Change::News));
    }

    #[test]
    fn another_status_reason_or_sentence_is_news_and_other_numbers_in_a_sentence_are_not() {
        let said = |status: &str, reason: &str, message: &str| json!({"conditions": [{"type": "DemandMet", "status": status, "reason": reason, "message": message}]});
        let before = said("False", "PoolMax", "12 waiting jobs get no VM: raise spec.scaling.max");
        let more = said("False", "PoolMax", "240 waiting jobs get no VM: raise spec.scaling.max");
        assert_eq!(change(&before, &more), Change::Drift);
        assert_eq!(change(&before, &said("False", "VoLimit", "12 waiting jobs get no VM")), Change::News);
        assert_eq!(change(&before, &said("True", "Met", "all")), Change::News);
        assert_eq!(change(&json!({"unmet": []}), &json!({"unmet": [1]})), Change::News);
        let minute = |m: u32| json!({"lastDemandTime": format!("2026-11-24T10:{m:02}:00Z")});
        assert_eq!(change(&minute(59), &minute(0)), Change::Drift);
    }

    #[test]
    fn five_hundred_pools_whose_jobs_drift_write_less_than_once_a_second_and_none_is_left_out() {
        let (mut budget, mut last, mut writes) = (Budget::default(), vec![None; 500], 0);
        for second in (0..7_200).step_by(20) {
            let now = Duration::from_secs(second);
            let mut order: Vec<usize> = (0..500).collect();
            order.sort_by_key(|pool| last[*pool]);
            for pool in order {
                if budget.grants(last[pool], now) {
                    last[pool] = Some(now);
                    writes += 1;
                }
            }
        }
        assert!(writes < 7_200 * 6 / 10, "{writes} writes in two hours");
        assert!(last.iter().all(Option::is_some));
    }
}
