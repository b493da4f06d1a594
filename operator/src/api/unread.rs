//! Objects that this version cannot read, for example since another version wrote them: what their metadata says, and why.
//!
//! Unknown is not nothing: a PilotVM that cannot be read may have a VM with jobs. It counts against every limit, its VM is no orphan, and
//! what it may need stays.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use kube::{
    core::{DeserializeGuard, ObjectMeta, PartialObjectMeta, metadata::PartialObjectMetaExt},
    runtime::watcher::Event,
};

use super::kind::Kind;
use crate::names::{Key, LET_GO};

/// A sentence about an object is no place for all that a parser says.
const LONGEST: usize = 300;

/// An object that this version cannot read.
#[derive(Clone, Debug)]
pub struct Unread<K: Kind> {
    pub key: Key,
    /// What stands in its metadata.
    pub object: PartialObjectMeta<K>,
    /// Why it cannot be read.
    pub error: String,
}

impl<K: Kind> Unread<K> {
    fn of(metadata: &ObjectMeta, error: &str) -> Self {
        let key = Key {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
        };
        // Of what people wrote there, whether it may go.
        let annotations = metadata
            .annotations
            .as_ref()
            .and_then(|all| all.get(LET_GO))
            .map(|value| (LET_GO.to_owned(), value.clone()));
        let annotations = annotations.map(|one| [one].into());
        let meta = ObjectMeta { managed_fields: None, annotations, ..metadata.clone() };
        Self { key, object: meta.into_response_partial(), error: error.chars().take(LONGEST).collect() }
    }

    pub fn uid(&self) -> Option<String> {
        self.object.metadata.uid.clone()
    }

    pub fn label(&self, name: &str) -> Option<&str> {
        self.object.metadata.labels.as_ref()?.get(name).map(String::as_str)
    }

    /// Whether it may belong to an object that this label names: where the label is gone nobody knows.
    pub fn may_be_of(&self, label: &str, object: &Key) -> bool {
        self.key.namespace == object.namespace && self.label(label).is_none_or(|name| name == object.name)
    }
}

/// The unread objects of one store, by namespace and name.
#[derive(Debug)]
pub struct Unreads<K: Kind>(Arc<Mutex<Seen<K>>>);

#[derive(Debug)]
struct Seen<K: Kind> {
    there: HashMap<Key, Arc<Unread<K>>>,
    /// Those of a list that is not complete yet.
    coming: HashMap<Key, Arc<Unread<K>>>,
}

impl<K: Kind> Clone for Unreads<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Kind> Default for Unreads<K> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Seen { there: HashMap::new(), coming: HashMap::new() })))
    }
}

impl<K: Kind> Unreads<K> {
    /// Takes in what a watch shows.
    pub fn see(&self, event: &Event<DeserializeGuard<K>>) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let broken = |guard: &DeserializeGuard<K>| {
            let broken = guard.0.as_ref().err()?;
            let unread = Unread::of(&broken.metadata, &broken.error);
            Some((unread.key.clone(), Arc::new(unread)))
        };
        let key = |guard: &DeserializeGuard<K>| match &guard.0 {
            Ok(object) => Key::of(object),
            Err(broken) => Unread::<K>::of(&broken.metadata, "").key,
        };
        match event {
            Event::Init => seen.coming.clear(),
            Event::InitApply(guard) => seen.coming.extend(broken(guard)),
            Event::InitDone => seen.there = std::mem::take(&mut seen.coming),
            Event::Apply(guard) => {
                seen.there.remove(&key(guard));
                seen.there.extend(broken(guard));
            }
            Event::Delete(guard) => drop(seen.there.remove(&key(guard))),
        }
    }

    pub fn all(&self) -> Vec<Arc<Unread<K>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).there.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use crds::PilotVM;
    use serde_json::{Value, json};

    use super::*;

    fn guard(name: &str, metadata: Value, spec: Value) -> DeserializeGuard<PilotVM> {
        let mut object = json!({"metadata": metadata, "spec": spec});
        object["metadata"]["name"] = json!(name);
        object["metadata"]["namespace"] = json!("demo");
        serde_json::from_value(object).unwrap()
    }
    fn broken(name: &str) -> DeserializeGuard<PilotVM> {
        guard(name, json!({"uid": format!("uid-{name}")}), json!({"from": "the future"}))
    }
    fn whole(name: &str) -> DeserializeGuard<PilotVM> {
        guard(name, json!({}), serde_json::to_value(crds::vm::PilotVMSpec::default()).unwrap())
    }
    fn names(unreads: &Unreads<PilotVM>) -> Vec<String> {
        let mut names: Vec<String> = unreads.all().iter().map(|unread| unread.key.name.clone()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_cannot_be_read_is_known_until_it_is_mended_or_gone() {
        let unreads = Unreads::default();
        unreads.see(&Event::Apply(broken("a")));
        unreads.see(&Event::Apply(broken("b")));
        assert_eq!(names(&unreads), ["a", "b"]);
        let unread = unreads.all().into_iter().find(|u| u.key.name == "a").unwrap();
        assert!(unread.uid().as_deref() == Some("uid-a") && unread.error.contains("installationRef"), "{unread:?}");
        unreads.see(&Event::Apply(whole("a")));
        unreads.see(&Event::Delete(broken("b")));
        assert_eq!(names(&unreads), [""; 0]);
    }

    #[test]
    fn a_list_takes_the_place_of_what_was_known_once_it_is_complete() {
        let unreads = Unreads::default();
        unreads.see(&Event::Apply(broken("old")));
        unreads.see(&Event::Init);
        unreads.see(&Event::InitApply(broken("new")));
        unreads.see(&Event::InitApply(whole("whole")));
        assert_eq!(names(&unreads), ["old"]);
        unreads.see(&Event::InitDone);
        assert_eq!(names(&unreads), ["new"]);
    }

    #[test]
    fn without_its_label_a_pilotvm_may_belong_to_any_pool_of_its_namespace() {
        let of = |labels: Value| {
            let unreads = Unreads::default();
            unreads.see(&Event::Apply(guard("a", json!({"labels": labels}), json!({}))));
            unreads.all().remove(0)
        };
        let key = |namespace: &str, name: &str| Key { namespace: namespace.into(), name: name.into() };
        let labelled = of(json!({"diracgrid.org/pool": "cpu"}));
        let may = |unread: &Unread<PilotVM>, key: Key| unread.may_be_of("diracgrid.org/pool", &key);
        assert!(may(&labelled, key("demo", "cpu")) && !may(&labelled, key("demo", "gpu")));
        let bare = of(json!({}));
        assert!(may(&bare, key("demo", "gpu")) && !may(&bare, key("else", "gpu")));
    }
}
