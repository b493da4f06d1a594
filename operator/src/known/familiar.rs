//! PilotVMs that this operator has seen, by UID: which there are, and which there were a while ago. The watch keeps it, so that nobody
//! looks through all PilotVMs to find one.
//!
//! Where an operator sees only some namespaces, a VM whose PilotVM it has never seen may belong to another operator of the cluster.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// A PilotVM that is gone is remembered for this long.
const FOR: Duration = Duration::from_secs(6 * 3600);

/// PilotVMs that this operator has seen.
#[derive(Debug, Default)]
pub struct Familiar(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    there: HashSet<String>,
    /// Those that went, and when. They are looked through at each list, and those that exist are not.
    gone: HashMap<String, Instant>,
}

impl Familiar {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The PilotVM with this UID was seen to exist.
    pub fn exists(&self, uid: &str) {
        let mut seen = self.seen();
        if !seen.there.contains(uid) {
            seen.gone.remove(uid);
            seen.there.insert(uid.to_owned());
        }
    }

    /// This PilotVM is gone.
    pub fn went(&self, uid: &str, now: Instant) {
        let mut seen = self.seen();
        if seen.there.remove(uid) || seen.gone.contains_key(uid) {
            seen.gone.insert(uid.to_owned(), now);
        }
    }

    /// These PilotVMs exist, and no others.
    pub fn are(&self, uids: HashSet<String>, now: Instant) {
        let mut seen = self.seen();
        let before = std::mem::replace(&mut seen.there, uids);
        let Seen { there, gone } = &mut *seen;
        gone.retain(|uid, _| !there.contains(uid));
        gone.extend(before.into_iter().filter(|uid| !there.contains(uid)).map(|uid| (uid, now)));
    }

    /// Whether this PilotVM exists.
    pub fn has(&self, uid: &str) -> bool {
        self.seen().there.contains(uid)
    }

    /// Whether all these exist, or did a while ago.
    pub fn knows<'a>(&self, uids: impl IntoIterator<Item = &'a str>) -> bool {
        let seen = self.seen();
        uids.into_iter().all(|uid| seen.there.contains(uid) || seen.gone.contains_key(uid))
    }

    /// Forgets what went long ago.
    pub fn forget(&self, now: Instant) {
        self.seen().gone.retain(|_, at| now.duration_since(*at) < FOR);
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
        familiar.are(["b".to_owned(), "c".to_owned()].into(), now);
        assert!(!familiar.has("a") && familiar.has("b") && familiar.has("c") && familiar.knows(["a"]));
    }
}
