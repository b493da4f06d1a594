//! What is known of templates that were checked before.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    mem,
    sync::{Mutex, PoisonError},
};

use super::{UserDataError, check};

type Verdict = Result<(), UserDataError>;
/// 128 bits of a template under secret keys: nobody can write two templates that share them.
type Print = [u64; 2];

/// Remembers what [`check`] said of each template, by the template's text: the generation of a pool and its UID do not matter,
/// and equal templates of many pools are checked once. Bounded: it keeps the verdicts asked for last, at least `kept` and at
/// most twice that, each of less than 1 KiB. Shared between threads as it is.
#[derive(Debug)]
pub struct Verdicts {
    kept: usize,
    keys: [RandomState; 2],
    known: Mutex<Known>,
}

/// Two generations: when the young one is full it becomes the old one, and what nobody asked for since is forgotten.
#[derive(Debug, Default)]
struct Known {
    young: HashMap<Print, Verdict>,
    old: HashMap<Print, Verdict>,
}

impl Default for Verdicts {
    /// Room for the templates of a thousand pools.
    fn default() -> Self {
        Self::new(1024)
    }
}

impl Verdicts {
    /// Nothing known yet; at least `kept` verdicts will be remembered.
    pub fn new(kept: usize) -> Self {
        Self { kept: kept.max(1), keys: [RandomState::new(), RandomState::new()], known: Mutex::default() }
    }

    /// What [`check`] says of `template`; checks it where that is not known.
    pub fn of(&self, template: &str) -> Result<(), UserDataError> {
        self.of_with(template, check)
    }

    fn of_with(&self, template: &str, check: impl FnOnce(&str) -> Verdict) -> Verdict {
        let print = [self.keys[0].hash_one(template), self.keys[1].hash_one(template)];
        if let Some(verdict) = self.find(print) {
            return verdict;
        }
        // Without the lock: others read what is known meanwhile. Two that check one template at once come to the same verdict.
        let verdict = check(template);
        self.keep(print, verdict.clone());
        verdict
    }

    fn find(&self, print: Print) -> Option<Verdict> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(verdict) = known.young.get(&print) {
            return Some(verdict.clone());
        }
        let verdict = known.old.remove(&print)?;
        known.put(print, verdict.clone(), self.kept);
        Some(verdict)
    }

    fn keep(&self, print: Print, verdict: Verdict) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).put(print, verdict, self.kept);
    }
}

impl Known {
    fn put(&mut self, print: Print, verdict: Verdict, kept: usize) {
        if self.young.len() >= kept {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(print, verdict);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_template_is_checked_once_and_its_verdict_is_that_of_the_check() {
        let (verdicts, checks) = (Verdicts::new(4), Cell::new(0));
        let counted = |t: &str| {
            checks.set(checks.get() + 1);
            check(t)
        };
        for _ in 0..100 {
            assert_eq!(verdicts.of_with("runcmd: [a]", counted), Ok(()));
            assert_eq!(verdicts.of_with("{{ nobody }}", counted), check("{{ nobody }}"));
        }
        assert_eq!(checks.get(), 2);
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_is_forgotten() {
        let verdicts = Verdicts::new(8);
        let sure = |t: &str| if t == "busy" { Ok(()) } else { Err(UserDataError::TooLarge(t.len())) };
        for n in 0..10_000 {
            verdicts.of_with(&n.to_string(), sure).unwrap_err();
            verdicts.of_with("busy", |t| if n == 0 { sure(t) } else { panic!("forgotten at {n}") }).unwrap();
        }
        let known = verdicts.known.lock().unwrap();
        assert!(known.young.len() + known.old.len() <= 16);
    }
}
