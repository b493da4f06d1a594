//! Own writes that have not come back through the watch: a round that plans before they have would plan on its own stale past.

use std::time::Duration;

use crds::PilotVM;
use kube::ResourceExt;
use tokio::sync::Notify;

use super::Shared;
use crate::names::Key;

/// PilotVMs that were written and not seen since.
#[derive(Debug, Default)]
pub struct Expectations {
    expected: Shared<String, Expected>,
    /// PilotVMs that may or may not have been made, and the installation whose round must not go on before that is clear.
    doubts: Shared<Key, Key>,
    fulfilled: Notify,
}

/// One write of a PilotVM that the watch has not shown yet.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The installation whose round must wait.
    pub installation: Key,
    pub vm: Key,
    pub uid: String,
    version: u64,
}

impl Expected {
    /// Whether the API server itself shows an older version than was written: versions went back, as after etcd was restored, and what
    /// was written will never be seen.
    pub fn never_comes(&self, now: &PilotVM) -> bool {
        now.resource_version().is_some_and(|version| number(&version) < self.version)
    }
}

fn number(version: &str) -> u64 {
    version.parse().unwrap_or(0)
}

impl Expectations {
    /// This version of the PilotVM, or a later one, or its deletion, must be seen before the installation is planned again.
    pub fn expect(&self, installation: &Key, vm: Key, uid: &str, version: &str) {
        let expected =
            Expected { installation: installation.clone(), vm, uid: uid.to_owned(), version: number(version) };
        self.expected.with(|map| {
            map.insert(uid.to_owned(), expected);
        });
    }

    /// Whether this PilotVM was made is not known: the reply was lost, or the name is taken by one that the store does not show.
    pub fn doubt(&self, installation: &Key, vm: Key) {
        self.doubts.with(|map| {
            map.insert(vm, installation.clone());
        });
    }

    /// It is known whether this PilotVM was made.
    pub fn is_clear(&self, vm: &Key) {
        self.doubts.with(|map| {
            map.remove(vm);
        });
    }

    /// PilotVMs of this installation of which it is not known whether they were made, by name.
    pub fn in_doubt(&self, installation: &Key) -> Vec<Key> {
        self.doubts.with(|map| {
            let mut found: Vec<Key> =
                map.iter().filter(|(_, of)| *of == installation).map(|(vm, _)| vm.clone()).collect();
            found.sort();
            found
        })
    }

    /// Whether a PilotVM of the pool was, or may have been, made that the watch has not shown.
    pub fn awaits_any_of(&self, pool: &Key) -> bool {
        let prefix = format!("{}-", pool.name);
        let belongs = |vm: &Key| vm.namespace == pool.namespace && vm.name.starts_with(&prefix);
        self.expected.with(|map| map.values().any(|e| belongs(&e.vm)))
            || self.doubts.with(|map| map.keys().any(belongs))
    }

    /// The watch has shown this version of the PilotVM.
    pub fn seen(&self, vm: &PilotVM) {
        let (Some(uid), Some(version)) = (vm.uid(), vm.resource_version()) else { return };
        let fulfilled = self.expected.with(|map| match map.get(&uid) {
            Some(expected) if expected.version <= number(&version) => map.remove(&uid).is_some(),
            _ => false,
        });
        if fulfilled {
            self.fulfilled.notify_waiters();
        }
    }

    /// The writes that this installation's round still waits for.
    pub fn outstanding(&self, installation: &Key) -> Vec<Expected> {
        self.expected.with(|map| map.values().filter(|e| e.installation == *installation).cloned().collect())
    }

    /// The PilotVM is known to be gone or seen by other means.
    pub fn drop(&self, uid: &str) {
        self.expected.with(|map| {
            map.remove(uid);
        });
    }

    /// Waits until nothing is outstanding for the installation, at most for this time. `current` is what the store
    /// shows: a write may come back before it is expected.
    pub async fn settle(
        &self,
        installation: &Key,
        longest: Duration,
        current: impl Fn(&Key) -> Option<std::sync::Arc<PilotVM>>,
    ) -> Vec<Expected> {
        let deadline = tokio::time::Instant::now() + longest;
        loop {
            let fulfilled = self.fulfilled.notified();
            for expected in self.outstanding(installation) {
                if let Some(vm) = current(&expected.vm) {
                    self.seen(&vm);
                }
            }
            let open = self.outstanding(installation);
            if open.is_empty() || tokio::time::timeout_at(deadline, fulfilled).await.is_err() {
                return self.outstanding(installation);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vm(uid: &str, version: &str) -> PilotVM {
        let mut vm = PilotVM::new("cpu-1", crds::vm::PilotVMSpec::default());
        vm.metadata.uid = Some(uid.into());
        vm.metadata.resource_version = Some(version.into());
        vm
    }
    fn key() -> Key {
        Key { namespace: "demo".into(), name: "demo".into() }
    }

    #[test]
    fn an_older_version_fulfils_nothing() {
        let e = Expectations::default();
        e.expect(&key(), key(), "u", "10");
        e.seen(&vm("u", "9"));
        assert_eq!(e.outstanding(&key()).len(), 1);
        e.seen(&vm("u", "11"));
        assert!(e.outstanding(&key()).is_empty());
    }

    #[test]
    fn a_write_that_the_api_server_has_forgotten_never_comes() {
        let e = Expectations::default();
        e.expect(&key(), key(), "u", "10");
        let expected = &e.outstanding(&key())[0];
        assert!(expected.never_comes(&vm("u", "9")));
        assert!(!expected.never_comes(&vm("u", "10")) && !expected.never_comes(&vm("u", "11")));
    }

    #[test]
    fn other_installations_do_not_wait() {
        let e = Expectations::default();
        e.expect(&key(), key(), "u", "10");
        assert!(e.outstanding(&Key { namespace: "other".into(), name: "demo".into() }).is_empty());
    }

    #[tokio::test]
    async fn a_write_that_came_back_before_it_was_expected_is_found_in_the_store() {
        let e = Expectations::default();
        e.expect(&key(), key(), "u", "10");
        let store = |_: &Key| Some(std::sync::Arc::new(vm("u", "10")));
        assert!(e.settle(&key(), Duration::ZERO, store).await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn settling_ends_when_the_write_is_seen() {
        let e = Expectations::default();
        e.expect(&key(), key(), "u", "10");
        let seen = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            e.seen(&vm("u", "10"));
        };
        let (key, longest) = (key(), Duration::from_secs(60));
        let (open, ()) = tokio::join!(e.settle(&key, longest, |_| None), seen);
        assert!(open.is_empty());
    }

    #[test]
    fn a_name_in_doubt_is_of_one_installation_until_it_is_clear() {
        let e = Expectations::default();
        let (vm, other) = (key().beside("cpu-8"), Key { namespace: "other".into(), name: "demo".into() });
        e.doubt(&key(), vm.clone());
        assert_eq!((e.in_doubt(&key()), e.in_doubt(&other)), (vec![vm.clone()], vec![]));
        e.is_clear(&vm);
        assert!(e.in_doubt(&key()).is_empty());
    }

    #[test]
    fn a_pool_awaits_what_was_or_may_have_been_made_in_it() {
        let e = Expectations::default();
        let pool = key().beside("cpu");
        assert!(!e.awaits_any_of(&pool));
        e.doubt(&key(), key().beside("cpu-8"));
        assert!(e.awaits_any_of(&pool) && !e.awaits_any_of(&key().beside("gpu")));
        e.is_clear(&key().beside("cpu-8"));
        e.expect(&key(), key().beside("cpu-9"), "u", "10");
        assert!(e.awaits_any_of(&pool));
    }
}
