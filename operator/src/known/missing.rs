//! VMs of ours that a cloud's lists lack: since when, and when their PilotVMs are to ask for them again. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

/// A VM that stays missing is asked for by its id this often.
const AGAIN: Duration = Duration::from_secs(60);
/// The most VMs that are asked for in one turn: the others have their turn later. A cloud of which a part is down is
/// not asked for each VM at once.
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

/// The VMs of ours that a cloud's last list lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lacking {
    /// By the UID of the PilotVM: its name, and since when.
    vms: BTreeMap<String, (String, Timestamp)>,
    /// How many VMs of ours there should be.
    of: usize,
}

impl Lacking {
    /// Of `of` VMs of ours these, by UID and name, are lacking at `now`. Those that were lacking `before` are so since then.
    pub fn of(vms: impl IntoIterator<Item = (String, String)>, of: usize, before: &Self, now: Timestamp) -> Self {
        let since = |uid: &String| before.vms.get(uid).map_or(now, |(_, since)| *since);
        let vms = vms.into_iter().map(|(uid, name)| (uid.clone(), (name, since(&uid)))).collect();
        Self { vms, of }
    }

    pub fn len(&self) -> usize {
        self.vms.len()
    }

    /// The sentence about them; nothing where none is lacking.
    pub fn message(&self) -> Option<String> {
        /// A sentence is no place for thousands of names.
        const NAMED: usize = 5;
        let since = self.vms.values().map(|(_, since)| since).min()?;
        let mut names: Vec<&str> = self.vms.values().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let more = match names.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        names.truncate(NAMED);
        Some(format!(
            "{} of {} VMs are missing from the provider's list, or their state in it is unknown, the first since {since}: {}{more}; nobody \
             believes that they are gone: each counts as alive, and is asked for by its id until the provider says that there is no such VM",
            self.vms.len(),
            self.of,
            names.join(", "),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacking(names: &[&str], before: &Lacking, second: i64) -> Lacking {
        let vms = names.iter().map(|name| (format!("uid of {name}"), (*name).to_owned()));
        Lacking::of(vms, 40, before, Timestamp::from_second(second).unwrap())
    }

    #[test]
    fn what_is_lacking_is_said_with_number_names_and_the_time_since_when() {
        let first = lacking(&["cpu-7"], &Lacking::default(), 60);
        let said = lacking(&["cpu-7", "cpu-1"], &first, 120).message().unwrap();
        assert!(said.starts_with("2 of 40 VMs are missing from the provider's list"), "{said}");
        assert!(said.contains("the first since 1970-01-01T00:01:00Z: cpu-1, cpu-7; "), "{said}");
        assert_eq!(lacking(&[], &first, 180).message(), None);
    }

    #[test]
    fn of_many_that_are_lacking_the_first_are_named_and_the_others_counted() {
        let all = ["g", "f", "e", "d", "c", "b", "a"];
        let said = lacking(&all, &Lacking::default(), 0).message().unwrap();
        assert!(said.starts_with("7 of 40 VMs are missing") && said.contains(": a, b, c, d, e and 2 more; "), "{said}");
    }

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
