//! Numbers of PilotVMs, counted up in each pool.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Mutex,
};

use crate::names::Key;

/// Numbers of PilotVMs, counted up in each pool.
///
/// A PilotVM is called `<pool>-<number>`, one more than the highest ever seen: two operators that believe to be the leader
/// and look at the same objects choose the same names, and the second is told that the object exists.
#[derive(Debug, Default)]
pub struct Numbers(Mutex<HashMap<Key, Counted>>);

/// The numbers of one pool.
#[derive(Debug, Default)]
struct Counted {
    highest: u64,
    /// Taken, and then not used.
    free: BTreeSet<u64>,
}

impl Numbers {
    /// Takes note of a PilotVM that the watch has shown.
    pub fn saw(&self, pool: &Key, pilot_vm: &str) {
        if let (Some(number), Ok(mut pools)) = (number(pool, pilot_vm), self.0.lock()) {
            let counted = pools.entry(pool.clone()).or_default();
            counted.highest = number.max(counted.highest);
            counted.free.remove(&number);
        }
    }

    /// A name in a pool that nobody else is given: the smallest that was freed, or the next.
    pub fn take(&self, pool: &Key) -> String {
        let number = self.0.lock().map_or(1, |mut pools| {
            let counted = pools.entry(pool.clone()).or_default();
            counted.free.pop_first().unwrap_or_else(|| {
                counted.highest += 1;
                counted.highest
            })
        });
        format!("{}-{number}", pool.name)
    }

    /// The name was not used. It is taken again before any other: should the API server carry out a lost request late, it meets one for
    /// the same name, and there is one PilotVM and not two.
    pub fn free(&self, pool: &Key, pilot_vm: &str) {
        if let (Some(number), Ok(mut pools)) = (number(pool, pilot_vm), self.0.lock()) {
            pools.entry(pool.clone()).or_default().free.insert(number);
        }
    }
}

/// The number in a name. One that nobody ever counted up to was written by hand.
fn number(pool: &Key, pilot_vm: &str) -> Option<u64> {
    let number: u64 = pilot_vm.strip_prefix(&pool.name)?.strip_prefix('-')?.parse().ok()?;
    (number < 1_000_000_000_000).then_some(number)
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
        assert_eq!(numbers.take(&pool()), "cpu-1");
        numbers.saw(&pool(), "cpu-7");
        numbers.saw(&pool(), "cpu-3");
        assert_eq!(numbers.take(&pool()), "cpu-8");
    }

    #[test]
    fn two_operators_that_saw_the_same_objects_choose_the_same_name() {
        let (one, two) = (Numbers::default(), Numbers::default());
        for numbers in [&one, &two] {
            numbers.saw(&pool(), "cpu-2");
        }
        assert_eq!(one.take(&pool()), two.take(&pool()));
    }

    #[test]
    fn strange_names_do_not_count() {
        let numbers = Numbers::default();
        numbers.saw(&pool(), "cpux-9");
        numbers.saw(&pool(), "cpu-many");
        numbers.saw(&pool(), "cpu-18446744073709551615");
        assert_eq!(numbers.take(&pool()), "cpu-1");
    }

    #[test]
    fn a_name_that_was_not_used_is_taken_before_any_other() {
        let numbers = Numbers::default();
        let names = [numbers.take(&pool()), numbers.take(&pool()), numbers.take(&pool())];
        assert_eq!(names, ["cpu-1", "cpu-2", "cpu-3"]);
        numbers.free(&pool(), "cpu-2");
        assert_eq!([numbers.take(&pool()), numbers.take(&pool())], ["cpu-2", "cpu-4"]);
    }

    #[test]
    fn a_freed_name_that_the_watch_shows_after_all_is_not_taken() {
        let numbers = Numbers::default();
        numbers.take(&pool());
        numbers.free(&pool(), "cpu-1");
        numbers.saw(&pool(), "cpu-1");
        assert_eq!(numbers.take(&pool()), "cpu-2");
    }
}
