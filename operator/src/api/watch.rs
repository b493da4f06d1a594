//! The objects as the API server shows them: one shared watch per kind and namespace, each mirrored into a store.
//!
//! A malformed object cannot stop a watch: it is kept among those that cannot be read, and its last good version, if this process saw one,
//! stays until it is mended or deleted.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures::{Stream, StreamExt, TryStreamExt, future};
use kube::{
    Api, Client,
    core::{DeserializeGuard, ObjectMeta},
    runtime::{
        WatchStreamExt,
        reflector::{self, ObjectRef, Store, store::Writer},
        watcher,
    },
};

pub use super::kind::Kind;
use super::unread::{Unread, Unreads};
use crate::names::Key;

/// A watch is taken up again after this time, in seconds. A connection on which nothing comes any more is known by then.
const LONGEST_WATCH: u32 = 45;

/// Every object of one kind, over all watched namespaces.
#[derive(Clone)]
pub struct Objects<K: Kind> {
    stores: Vec<Store<K>>,
    filled: Vec<Arc<Filled>>,
    unread: Vec<Unreads<K>>,
    /// How many objects were looked at, for tests of what a pass costs.
    #[cfg(test)]
    pub looks: Arc<std::sync::atomic::AtomicUsize>,
}

/// Whether a store was filled once.
#[derive(Debug)]
struct Filled {
    /// The namespace that the store holds; `None`: all namespaces.
    namespace: Option<String>,
    once: AtomicBool,
}

impl<K: Kind> Objects<K> {
    fn over(stores: Vec<Store<K>>, filled: Vec<Arc<Filled>>) -> Self {
        Self {
            stores,
            filled,
            unread: Vec::new(),
            #[cfg(test)]
            looks: Arc::default(),
        }
    }

    pub fn get(&self, key: &Key) -> Option<Arc<K>> {
        let reference = ObjectRef::new(&key.name).within(&key.namespace);
        self.stores.iter().find_map(|store| store.get(&reference))
    }

    pub fn all(&self) -> Vec<Arc<K>> {
        self.those(|_| true)
    }

    pub fn within(&self, namespace: &str) -> Vec<Arc<K>> {
        self.those(|object| object.meta().namespace.as_deref() == Some(namespace))
    }

    pub fn those(&self, belong: impl Fn(&K) -> bool) -> Vec<Arc<K>> {
        self.stores.iter().flat_map(|store| store.state_filter(|object| self.look(object, &belong))).collect()
    }

    fn look(&self, object: &K, belongs: impl Fn(&K) -> bool) -> bool {
        #[cfg(test)]
        self.looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        belongs(object)
    }

    /// Those that this version cannot read, also where a good version is still in force.
    pub fn unread(&self) -> Vec<Arc<Unread<K>>> {
        self.unread.iter().flat_map(Unreads::all).collect()
    }

    /// Those of which no good version was ever seen: they are in no store.
    pub fn unknown(&self) -> Vec<Arc<Unread<K>>> {
        self.unread().into_iter().filter(|unread| self.get(&unread.key).is_none()).collect()
    }

    /// Waits until every store was filled once.
    pub async fn ready(&self) {
        let each = self.stores.iter().zip(&self.filled).map(|(store, filled)| async move {
            if store.wait_until_ready().await.is_ok() {
                filled.once.store(true, Ordering::Relaxed);
            }
        });
        future::join_all(each).await;
    }

    /// The stores that were not filled yet, by kind and namespace.
    pub fn unfilled(&self) -> Vec<String> {
        let empty = self.filled.iter().filter(|filled| !filled.once.load(Ordering::Relaxed));
        let kind = K::kind(&());
        empty
            .map(|filled| match &filled.namespace {
                Some(namespace) => format!("{kind} in namespace {namespace}"),
                None => format!("{kind} in all namespaces"),
            })
            .collect()
    }
}

impl<K: Kind> Default for Objects<K> {
    /// No objects, and none that come.
    fn default() -> Self {
        Self::over(Vec::new(), Vec::new())
    }
}

#[cfg(test)]
impl<K: Kind> Objects<K> {
    /// These objects, for a test.
    pub fn of(objects: impl IntoIterator<Item = K>) -> Self {
        let (store, mut writer) = reflector::store();
        for object in objects {
            writer.apply_watcher_event(&watcher::Event::Apply(object));
        }
        Self::over(vec![store], Vec::new())
    }

    /// The same, and those of another watched namespace.
    pub fn and(mut self, others: Self) -> Self {
        self.stores.extend(others.stores);
        self
    }

    /// The same, and these that cannot be read.
    pub fn and_unread(mut self, broken: impl IntoIterator<Item = serde_json::Value>) -> Self {
        let unread = Unreads::default();
        for object in broken {
            unread.see(&watcher::Event::Apply(serde_json::from_value(object).unwrap_or_else(|e| panic!("{e}"))));
        }
        self.unread.push(unread);
        self
    }
}

/// What a watch saw.
pub enum Seen<K> {
    /// This object appeared, changed or went.
    Touched(K),
    /// The store was filled again, from a whole list.
    Refilled,
}

/// Watches a kind in these namespaces (none: all of them). The stream must be polled for the stores to be filled; it never ends.
pub fn watch<K: Kind>(
    client: &Client,
    namespaces: &[String],
) -> (Objects<K>, impl Stream<Item = Seen<K>> + Send + use<K>) {
    let apis: Vec<Api<DeserializeGuard<K>>> = match namespaces {
        [] => vec![Api::all(client.clone())],
        some => some.iter().map(|ns| Api::namespaced(client.clone(), ns)).collect(),
    };
    let unread: Vec<Unreads<K>> = apis.iter().map(|_| Unreads::default()).collect();
    let (stores, streams): (Vec<_>, Vec<_>) = apis
        .into_iter()
        .zip(unread.clone())
        .map(|(api, unread)| {
            let (store, writer) = reflector::store();
            (store.clone(), mirror(api, store, writer, unread).boxed())
        })
        .unzip();
    let places = match namespaces {
        [] => vec![None],
        some => some.iter().cloned().map(Some).collect(),
    };
    let filled = places.into_iter().map(|namespace| Arc::new(Filled { namespace, once: AtomicBool::new(false) }));
    (Objects { unread, ..Objects::over(stores, filled.collect()) }, futures::stream::select_all(streams))
}

fn mirror<K: Kind>(
    api: Api<DeserializeGuard<K>>,
    store: Store<K>,
    writer: Writer<K>,
    unread: Unreads<K>,
) -> impl Stream<Item = Seen<K>> + Send {
    watcher(api, watcher::Config::default().timeout(LONGEST_WATCH))
        .default_backoff()
        .inspect_ok(move |event| unread.see(event))
        .filter_map(move |event| {
            future::ready(match event {
                Ok(event) => sift(event, |meta| store.get(&ObjectRef::new(&meta.name).within(&meta.namespace))).map(Ok),
                Err(error) => Some(Err(error)),
            })
        })
        .reflect(writer)
        .filter_map(|event| {
            future::ready(match event {
                Ok(watcher::Event::Apply(object) | watcher::Event::Delete(object)) => Some(Seen::Touched(object)),
                Ok(watcher::Event::InitDone) => Some(Seen::Refilled),
                Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => None,
                Err(watcher::Error::InitialListFailed(kube::Error::Api(status))) if status.code == 404 => {
                    tracing::warn!(kind = %K::kind(&()),
                        "the API server does not know this kind: install the chart's CRDs; until then the operator waits");
                    None
                }
                Err(error) => {
                    tracing::warn!(kind = %K::kind(&()), %error, "the watch failed and is taken up again");
                    None
                }
            })
        })
}

/// Lets whole objects through; in the place of a malformed one, its last good version.
fn sift<K: Kind>(
    event: watcher::Event<DeserializeGuard<K>>,
    last_good: impl Fn(&Key) -> Option<Arc<K>>,
) -> Option<watcher::Event<K>> {
    let whole = |guard: DeserializeGuard<K>| {
        guard.0.or_else(|broken| {
            let key = Key {
                namespace: broken.metadata.namespace.clone().unwrap_or_default(),
                name: broken.metadata.name.clone().unwrap_or_default(),
            };
            tracing::warn!(kind = %K::kind(&()), object = %key, error = %broken.error,
                "the object is malformed: its last good version, if any, stays in force; mend or delete it");
            last_good(&key).map(|object| (*object).clone()).ok_or(())
        })
    };
    let whole = |guard| {
        whole(guard).map(|mut object| {
            slim(object.meta_mut());
            object
        })
    };
    match event {
        watcher::Event::Init => Some(watcher::Event::Init),
        watcher::Event::InitDone => Some(watcher::Event::InitDone),
        watcher::Event::Apply(guard) => whole(guard).ok().map(watcher::Event::Apply),
        watcher::Event::InitApply(guard) => whole(guard).ok().map(watcher::Event::InitApply),
        watcher::Event::Delete(guard) => whole(guard).ok().map(watcher::Event::Delete),
    }
}

/// Takes off what nobody here reads and what can be larger than the rest of the object.
pub fn slim(meta: &mut ObjectMeta) {
    /// What `kubectl apply` keeps for itself: the whole manifest once more.
    const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
    meta.managed_fields = None;
    if let Some(annotations) = &mut meta.annotations {
        annotations.remove(LAST_APPLIED);
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
