//! Numbers of PilotVMs, counted up in each pool.

use std::{collections::HashMap, sync::Mutex};

use crate::names::Key;

/// Numbers of PilotVMs, counted up in each pool.
///
/// A PilotVM is called `<pool>-<number>`, one more than the highest ever seen: two operators that believe to be the leader
/// and look at the same objects choose the same names, and the second is told that the object exists.
#[derive(Debug, Default)]
pub struct Numbers(Mutex<HashMap<Key, u64>>);

impl Numbers {
    /// Takes note of a PilotVM that the watch has shown.
    pub fn saw(&self, pool: &Key, pilot_vm: &str) {
        let number: Option<u64> =
            pilot_vm.strip_prefix(&pool.name).and_then(|r| r.strip_prefix('-')).and_then(|n| n.parse().ok());
        // A number that nobody ever counted up to was written by hand.
        let number = number.filter(|n| *n < 1_000_000_000_000);
        if let (Some(number), Ok(mut highest)) = (number, self.0.lock()) {
            let entry = highest.entry(pool.clone()).or_default();
            *entry = number.max(*entry);
        }
    }

    /// The next name in a pool. It is taken only once the watch has shown it, or [`Numbers::saw`] was told.
    pub fn next(&self, pool: &Key) -> String {
        let highest = self.0.lock().ok().and_then(|h| h.get(pool).copied()).unwrap_or(0);
        format!("{}-{}", pool.name, highest + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> Key {
        Key { namespace: "demo".into(), name: "cpu".into() }
    }

    #[test]
    fn a_name_is_one_more_than_the_highest_seen() {
        let numbers = Numbers::default();
        assert_eq!(numbers.next(&pool()), "cpu-1");
        numbers.saw(&pool(), "cpu-7");
        numbers.saw(&pool(), "cpu-3");
        assert_eq!(numbers.next(&pool()), "cpu-8");
    }

    #[test]
    fn two_operators_that_saw_the_same_objects_choose_the_same_name() {
        let (one, two) = (Numbers::default(), Numbers::default());
        for numbers in [&one, &two] {
            numbers.saw(&pool(), "cpu-2");
        }
        assert_eq!(one.next(&pool()), two.next(&pool()));
    }

    #[test]
    fn strange_names_do_not_count() {
        let numbers = Numbers::default();
        numbers.saw(&pool(), "cpux-9");
        numbers.saw(&pool(), "cpu-many");
        numbers.saw(&pool(), "cpu-18446744073709551615");
        assert_eq!(numbers.next(&pool()), "cpu-1");
    }
}
