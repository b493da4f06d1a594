//! Who needs which Secrets: Clouds, whose VMs can be deleted only with them, and installations, whose rows can be closed only with them.
//! Pure.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use kube::Resource;

use crate::{
    context::State,
    known::{cloud::Needed, secrets::Secrets},
    names::{CLOUD_FINALIZER, INSTALLATION_FINALIZER, INSTALLATION_LABEL, Key, deleting, holds, let_go},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Cloud,
    Installation,
}

/// An object that names Secrets.
#[derive(Clone, Debug)]
pub struct Holder {
    pub kind: Kind,
    pub key: Key,
    /// The Secrets that its spec names.
    pub named: BTreeSet<String>,
    /// The Secrets that its status names: whoever acts next finds them there.
    pub recorded: BTreeSet<String>,
    /// Whether its own finalizer is on, without which it could be gone in a moment.
    pub is_held: bool,
    pub is_deleted: bool,
    /// Whether somebody said that it goes without what it waits for.
    pub is_let_go: bool,
    /// Whether VMs or rows need it; nothing where that is not known, or not asked since nobody deleted it or a Secret of it.
    pub is_needed: Option<bool>,
}

impl Holder {
    /// Whether it keeps this Secret. One that somebody deleted is kept only for VMs that there are.
    fn keeps(&self, secret: &str, secret_is_deleted: bool) -> bool {
        let is_done = match (self.is_deleted, self.is_let_go) {
            (true, true) => true,
            (true, false) => self.is_needed == Some(false),
            (false, _) => secret_is_deleted && self.is_needed == Some(false),
        };
        self.named.contains(secret) && self.recorded.contains(secret) && self.is_held && !is_done
    }

    /// Its Secrets, those of its spec and earlier ones.
    fn secrets(&self) -> impl Iterator<Item = Key> {
        self.named.union(&self.recorded).map(|name| self.key.beside(name))
    }

    /// Whether it was deleted and nothing needs it.
    fn is_done(&self) -> bool {
        self.is_deleted && (self.is_let_go || self.is_needed == Some(false))
    }
}

/// All objects that name Secrets.
pub fn holders(state: &State) -> Vec<Holder> {
    let clouds = state.stores.clouds.all().into_iter().map(|cloud| {
        let key = Key::of(cloud.as_ref());
        Holder {
            kind: Kind::Cloud,
            named: cloud.spec.secrets(),
            recorded: cloud.status.iter().flat_map(|s| s.secrets.iter().cloned()).collect(),
            is_held: holds(cloud.as_ref(), CLOUD_FINALIZER),
            is_deleted: deleting(cloud.as_ref()),
            is_let_go: let_go(cloud.as_ref()),
            is_needed: state.clouds.get(&key).facts().needed.map(|needed| needed != Needed::No),
            key,
        }
    });
    let installations = state.stores.installations.all().into_iter().map(|installation| {
        let key = Key::of(installation.as_ref());
        Holder {
            kind: Kind::Installation,
            named: installation.spec.secrets(),
            recorded: installation.status.iter().flat_map(|s| s.secrets.iter().cloned()).collect(),
            is_held: holds(installation.as_ref(), INSTALLATION_FINALIZER),
            is_deleted: deleting(installation.as_ref()),
            is_let_go: let_go(installation.as_ref()),
            is_needed: is_asked(state, installation.as_ref(), &installation.spec.secrets()).then(|| {
                !state.stores.vms_of_installation(&key).is_empty()
                    || !state.stores.unknown_vms(INSTALLATION_LABEL, &key).is_empty()
            }),
            key,
        }
    });
    let all = clouds.chain(installations);
    all.filter(|holder| !holder.named.is_empty() || !holder.recorded.is_empty() || holder.is_held).collect()
}

/// Whether it matters now what needs this object: it was deleted, or a Secret of it was. Counting looks at all PilotVMs.
fn is_asked<K: Resource>(state: &State, object: &K, named: &BTreeSet<String>) -> bool {
    deleting(object) || state.secrets.deleted(&Key::of(object), named).is_some()
}

/// Whether each Secret that is named, or was, is to be kept.
pub fn wanted(holders: &[Holder], secrets: &Secrets) -> BTreeMap<Key, bool> {
    let mut wanted: BTreeMap<Key, bool> = BTreeMap::new();
    for holder in holders {
        for secret in holder.secrets() {
            let is_deleted = secrets.of(&secret).is_some_and(|seen| seen.is_deleted);
            *wanted.entry(secret.clone()).or_default() |= holder.keeps(&secret.name, is_deleted);
        }
    }
    wanted
}

/// The deleted objects of this kind that leave no Secret behind: each of theirs is without our finalizer, or another object keeps it.
pub fn done(kind: Kind, holders: &[Holder], wanted: &BTreeMap<Key, bool>, secrets: &Secrets) -> HashSet<Key> {
    let is_left = |secret: &Key| {
        let is_kept_by_another = wanted.get(secret).copied().unwrap_or_default();
        !is_kept_by_another && secrets.of(secret).is_none_or(|seen| seen.is_held)
    };
    let of_kind = holders.iter().filter(|holder| holder.kind == kind && holder.is_done());
    of_kind.filter(|holder| !holder.secrets().any(|secret| is_left(&secret))).map(|holder| holder.key.clone()).collect()
}

#[cfg(test)]
#[path = "holder_tests.rs"]
mod tests;
