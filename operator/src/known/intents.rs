//! PilotVMs that rounds have decided to make and that the store does not show yet. Another installation of the namespace that plans at
//! the same moment counts them: both buy on the same clouds, and together they pass no limit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crds::PilotVM;

use super::Shared;
use crate::names::Key;

/// What was decided, and whose turn it is to decide.
#[derive(Debug, Default)]
pub struct Intents {
    intended: Shared<Key, Arc<PilotVM>>,
    turn: Mutex<()>,
}

impl Intents {
    /// One round decides at a time: from its look at the world until what it will make stands here. Nothing outside is waited for in
    /// between.
    pub fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The installation, which has no others under way, will make these.
    pub fn decide<'a>(&self, installation: &Key, vms: impl Iterator<Item = &'a PilotVM>) {
        self.forget(|of| of == installation);
        self.intended.with(|map| map.extend(vms.map(|vm| (Key::of(vm), Arc::new(vm.clone())))));
    }

    /// This one is not made.
    pub fn give_up(&self, vm: &Key) {
        self.intended.with(|map| drop(map.remove(vm)));
    }

    /// Forgets what these installations decided: it stands in the store, or nobody makes it any more.
    pub fn forget(&self, of: impl Fn(&Key) -> bool) {
        self.intended.with(|map| map.retain(|vm, pilot| !of(&vm.beside(&pilot.spec.installation_ref.name))));
    }

    /// What the other installations of the namespace decided to make.
    pub fn of_others(&self, installation: &Key) -> Vec<Arc<PilotVM>> {
        let is_other = |(vm, pilot): &(&Key, &Arc<PilotVM>)| {
            vm.namespace == installation.namespace && pilot.spec.installation_ref.name != installation.name
        };
        self.intended.with(|map| map.iter().filter(is_other).map(|(_, pilot)| pilot.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vm(installation: &str, name: &str) -> PilotVM {
        let mut vm = PilotVM::new(name, crds::vm::PilotVMSpec::default());
        vm.metadata.namespace = Some("demo".into());
        vm.spec.installation_ref.name = installation.into();
        vm
    }
    fn key(name: &str) -> Key {
        Key { namespace: "demo".into(), name: name.into() }
    }
    fn seen_by(intents: &Intents, installation: &Key) -> Vec<String> {
        let mut names: Vec<_> =
            intents.of_others(installation).iter().filter_map(|vm| vm.metadata.name.clone()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_an_installation_decided_counts_for_the_others_of_its_namespace_until_it_is_given_up_or_decided_anew() {
        let intents = Intents::default();
        intents.decide(&key("a"), [vm("a", "cpu-1"), vm("a", "cpu-2")].iter());
        assert_eq!(seen_by(&intents, &key("b")), ["cpu-1", "cpu-2"]);
        assert!(seen_by(&intents, &key("a")).is_empty(), "its own it waits for");
        assert!(seen_by(&intents, &Key { namespace: "other".into(), name: "b".into() }).is_empty());
        intents.give_up(&key("cpu-1"));
        assert_eq!(seen_by(&intents, &key("b")), ["cpu-2"]);
        intents.decide(&key("a"), [vm("a", "cpu-3")].iter());
        intents.decide(&key("b"), [vm("b", "gpu-1")].iter());
        assert_eq!(seen_by(&intents, &key("b")), ["cpu-3"]);
        intents.forget(|of| *of == key("a"));
        assert_eq!((seen_by(&intents, &key("b")).len(), seen_by(&intents, &key("a")).len()), (0, 1));
    }
}
