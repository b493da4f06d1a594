//! What was last seen of the Secrets that objects name. Nothing of what is in them.

use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use crds::Reason;
use tokio::{sync::watch, time::Instant};

use super::Shared;
use crate::{names::Key, trouble::Trouble};

/// A Secret is looked at again after this time. One that nobody needs may stay this long after somebody deleted it.
const AGAIN: Duration = Duration::from_secs(20);
/// One that should carry our finalizer and does not, for example since it is not there yet, after this time.
const SOON: Duration = Duration::from_secs(10);

/// What was last seen of a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub at: Instant,
    /// Whether it carries our finalizer. One that is not there carries none.
    pub is_held: bool,
    /// Whether somebody deleted it and it is still there.
    pub is_deleted: bool,
}

impl Seen {
    /// Whether it is to be looked at: it was not for a while, or is not as it should be.
    pub fn is_due(self, should_be_held: bool, now: Instant) -> bool {
        let pause = match (self.is_held, should_be_held) {
            (true, false) => return true,
            (false, true) => SOON,
            (true, true) | (false, false) => AGAIN,
        };
        now.duration_since(self.at) >= pause
    }
}

/// Secrets by namespace and name.
#[derive(Debug, Default)]
pub struct Secrets {
    seen: Shared<Key, Seen>,
    free: watch::Sender<HashSet<Key>>,
}

impl Secrets {
    /// What was last seen of this one; nothing: it was not looked at since the start, or could not be.
    pub fn of(&self, secret: &Key) -> Option<Seen> {
        self.seen.with(|map| map.get(secret).copied())
    }

    /// This was seen; nothing: it could not be looked at.
    pub fn saw(&self, secret: &Key, seen: Option<Seen>) {
        self.seen.with(|map| match seen {
            Some(seen) => drop(map.insert(secret.clone(), seen)),
            None => drop(map.remove(secret)),
        });
    }

    /// Forgets the Secrets that `keep` does not name.
    pub fn retain(&self, keep: impl Fn(&Key) -> bool) {
        self.seen.with(|map| map.retain(|key, _| keep(key)));
    }

    /// These deleted Clouds leave no Secret behind that carries our finalizer and that nobody else would take it off.
    pub fn let_go(&self, clouds: HashSet<Key>) {
        self.free.send_replace(clouds);
    }

    /// Whether this deleted Cloud is one of them.
    pub fn lets_go(&self, cloud: &Key) -> bool {
        self.free.borrow().contains(cloud)
    }

    /// Waits until it is one of them.
    pub async fn to_let_go(&self, cloud: &Key) {
        // The sender is here: it cannot be gone.
        let _ = self.free.subscribe().wait_for(|clouds| clouds.contains(cloud)).await;
    }

    /// The Secrets that an object's status names: those that its spec names, and earlier ones that are not known to be without our
    /// finalizer. An operator that starts again finds them there.
    pub fn recorded(&self, object: &Key, named: BTreeSet<String>, old: &[String]) -> Vec<String> {
        let is_left = |name: &&String| self.of(&object.beside(name)).is_none_or(|seen| seen.is_held);
        let all: BTreeSet<String> = old.iter().filter(is_left).cloned().chain(named).collect();
        all.into_iter().collect()
    }

    /// What is said where one of these Secrets was deleted: it stays while VMs need it, and buys nothing.
    pub fn deleted(&self, object: &Key, named: &BTreeSet<String>) -> Option<Trouble> {
        let name = named.iter().find(|name| self.of(&object.beside(name)).is_some_and(|seen| seen.is_deleted))?;
        let message = format!(
            "Secret {name:?} was deleted, and stays until the VMs that need it are gone; nothing is bought with it: to renew a credential \
             change its Secret in place; to let this one go at once: kubectl annotate secret {name} --namespace {} \
             diracgrid.org/let-go=true",
            object.namespace
        );
        Some(Trouble::new(Reason::SecretDeleted, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key { namespace: "demo".into(), name: name.into() }
    }
    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }
    fn seen(is_held: bool, is_deleted: bool) -> Option<Seen> {
        Some(Seen { at: Instant::now(), is_held, is_deleted })
    }

    #[test]
    fn a_status_names_the_secrets_of_the_spec_and_earlier_ones_until_they_are_known_to_be_let_go() {
        let secrets = Secrets::default();
        let recorded = || secrets.recorded(&key("cloud"), names(&["new"]), &["old".to_owned()]);
        assert_eq!(recorded(), ["new", "old"], "nobody has looked");
        secrets.saw(&key("old"), seen(true, false));
        assert_eq!(recorded(), ["new", "old"]);
        secrets.saw(&key("old"), seen(false, false));
        assert_eq!(recorded(), ["new"]);
    }

    #[test]
    fn a_secret_that_was_deleted_is_said_with_the_ways_on() {
        let secrets = Secrets::default();
        secrets.saw(&key("a"), seen(true, false));
        assert_eq!(secrets.deleted(&key("cloud"), &names(&["a"])), None);
        secrets.saw(&key("a"), seen(true, true));
        let trouble = secrets.deleted(&key("cloud"), &names(&["a"])).unwrap();
        assert_eq!(trouble.reason, Reason::SecretDeleted);
        assert!(trouble.message.contains("kubectl annotate secret a --namespace demo diracgrid.org/let-go=true"));
    }

    #[test]
    fn a_secret_is_looked_at_when_it_is_not_as_it_should_be_and_else_now_and_then() {
        let now = Instant::now();
        let seen = Seen { at: now, is_held: true, is_deleted: false };
        assert!(seen.is_due(false, now) && !seen.is_due(true, now));
        assert!(seen.is_due(true, now + AGAIN));
        let absent = Seen { is_held: false, ..seen };
        assert!(!absent.is_due(true, now) && absent.is_due(true, now + SOON) && !absent.is_due(false, now + SOON));
    }
}
