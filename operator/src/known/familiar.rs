//! PilotVMs that this operator has seen, by UID: which there are, and which there were a while ago. The watch keeps it, so that nobody
//! looks through all PilotVMs to find one.
//!
//! Where an operator sees only some namespaces, a VM whose PilotVM it has never seen may belong to another operator of the cluster.

use std::time::Duration;

use tokio::time::Instant;

use super::Shared;

/// A PilotVM that is gone is remembered for this long.
const FOR: Duration = Duration::from_secs(6 * 3600);

/// PilotVMs that this operator has seen.
#[derive(Debug, Default)]
pub struct Familiar(Shared<String, Seen>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Seen {
    #[default]
    Exists,
    /// It went at this moment.
    Gone(Instant),
}

impl Familiar {
    /// This PilotVM exists.
    pub fn exists(&self, uid: &str) {
        self.0.with(|map| match map.get_mut(uid) {
            Some(seen) => *seen = Seen::Exists,
            None => drop(map.insert(uid.to_owned(), Seen::Exists)),
        });
    }

    /// This PilotVM is gone.
    pub fn went(&self, uid: &str, now: Instant) {
        self.0.with(|map| {
            if let Some(seen) = map.get_mut(uid) {
                *seen = Seen::Gone(now);
            }
        });
    }

    /// These PilotVMs exist, and no others.
    pub fn are(&self, uids: &std::collections::HashSet<String>, now: Instant) {
        self.0.with(|map| {
            for (uid, seen) in map.iter_mut() {
                if *seen == Seen::Exists && !uids.contains(uid) {
                    *seen = Seen::Gone(now);
                }
            }
        });
        uids.iter().for_each(|uid| self.exists(uid));
    }

    /// Whether this PilotVM exists.
    pub fn has(&self, uid: &str) -> bool {
        self.0.with(|map| map.get(uid) == Some(&Seen::Exists))
    }

    /// Whether all these exist, or did a while ago.
    pub fn knows<'a>(&self, uids: impl IntoIterator<Item = &'a str>) -> bool {
        self.0.with(|map| uids.into_iter().all(|uid| map.contains_key(uid)))
    }

    /// Forgets what went long ago.
    pub fn forget(&self, now: Instant) {
        self.0.with(|map| {
            map.retain(|_, seen| match seen {
                Seen::Exists => true,
                Seen::Gone(at) => now.duration_since(*at) < FOR,
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn familiar(uids: &[&str]) -> Familiar {
        let familiar = Familiar::default();
        uids.iter().for_each(|uid| familiar.exists(uid));
        familiar
    }

    #[test]
    fn a_pilotvm_that_was_seen_is_familiar_for_some_hours_after_it_went() {
        let (familiar, now) = (familiar(&["a"]), Instant::now());
        familiar.went("a", now);
        familiar.forget(now + Duration::from_secs(3600));
        assert!(!familiar.has("a") && familiar.knows(["a"]) && !familiar.knows(["a", "b"]));
        familiar.forget(now + FOR);
        assert!(!familiar.knows(["a"]));
    }

    #[test]
    fn what_exists_is_familiar_for_ever() {
        let (familiar, now) = (familiar(&["a"]), Instant::now());
        familiar.forget(now + FOR * 2);
        assert!(familiar.has("a"));
    }

    #[test]
    fn a_pilotvm_that_went_while_the_watch_was_broken_is_gone_once_it_is_filled_again() {
        let (familiar, now) = (familiar(&["a", "b"]), Instant::now());
        familiar.are(&["b".to_owned(), "c".to_owned()].into(), now);
        assert!(!familiar.has("a") && familiar.has("b") && familiar.has("c") && familiar.knows(["a"]));
    }
}
