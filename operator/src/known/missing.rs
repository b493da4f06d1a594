//! VMs of ours that a cloud's lists lack: since when, and when their PilotVMs are to ask for them again. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;

/// A VM that stays missing is asked for by its id this often.
const AGAIN: Duration = Duration::from_secs(60);
/// As many are asked for in one turn: the others have their turn later. A cloud of which a part is down is not asked for each VM at once.
const AT_ONCE: usize = 50;
/// While VMs have just gone missing the cloud is listed often: they may be back at once.
const FRESH: Duration = Duration::from_secs(120);

/// VMs that the lists lack, by the UID of the PilotVM.
#[derive(Debug, Default)]
pub struct Missing(BTreeMap<String, Asked>);

#[derive(Debug)]
struct Asked {
    since: Instant,
    last: Option<Instant>,
}

impl Missing {
    /// Takes in what a list lacks; gives the UIDs that are to be asked for now, those that waited longest first.
    pub fn see(&mut self, lacking: &BTreeSet<String>, now: Instant) -> Vec<String> {
        self.0.retain(|uid, _| lacking.contains(uid));
        for uid in lacking {
            self.0.entry(uid.clone()).or_insert(Asked { since: now, last: None });
        }
        let is_due = |asked: &Asked| asked.last.is_none_or(|last| now.duration_since(last) >= AGAIN);
        let mut due: Vec<_> = self.0.iter_mut().filter(|(_, asked)| is_due(asked)).collect();
        due.sort_by_key(|(uid, asked)| (asked.last, asked.since, (*uid).clone()));
        due.truncate(AT_ONCE);
        due.into_iter()
            .map(|(uid, asked)| {
                asked.last = Some(now);
                uid.clone()
            })
            .collect()
    }

    /// Whether VMs have just gone missing.
    pub fn is_fresh(&self, now: Instant) -> bool {
        self.0.values().any(|asked| now.duration_since(asked.since) < FRESH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uids(n: usize) -> BTreeSet<String> {
        (0..n).map(|n| format!("{n:04}")).collect()
    }

    #[test]
    fn a_vm_that_goes_missing_is_asked_for_at_once_and_then_each_minute() {
        let (mut missing, now) = (Missing::default(), Instant::now());
        assert_eq!(missing.see(&uids(1), now), ["0000"]);
        assert!(missing.see(&uids(1), now + Duration::from_secs(5)).is_empty());
        assert_eq!(missing.see(&uids(1), now + AGAIN), ["0000"]);
    }

    #[test]
    fn a_vm_that_was_back_and_goes_missing_again_is_asked_for_at_once() {
        let (mut missing, now) = (Missing::default(), Instant::now());
        missing.see(&uids(1), now);
        assert!(missing.see(&uids(0), now).is_empty() && !missing.is_fresh(now));
        assert_eq!(missing.see(&uids(1), now), ["0000"]);
    }

    #[test]
    fn when_a_thousand_go_missing_each_has_its_turn_and_none_is_passed_over() {
        let (mut missing, now) = (Missing::default(), Instant::now());
        let mut asked = BTreeSet::new();
        for turn in 0..20 {
            let due = missing.see(&uids(1000), now + Duration::from_secs(turn * 2));
            assert_eq!(due.len(), AT_ONCE);
            asked.extend(due);
        }
        assert_eq!(asked, uids(1000));
    }

    #[test]
    fn what_is_missing_for_long_is_not_fresh() {
        let (mut missing, now) = (Missing::default(), Instant::now());
        missing.see(&uids(2), now);
        assert!(missing.is_fresh(now + Duration::from_secs(60)));
        assert!(!missing.is_fresh(now + FRESH));
    }
}
