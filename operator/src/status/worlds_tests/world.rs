//! A world for the tests: manifests, and what is known beside them.

use std::sync::Arc;

use broker::{
    demand::Unreadable,
    plan::{Plan, Unmet},
};
use crds::{Cloud, DiracInstallation, PilotPool, Site, VirtualOrganization};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::{Value, json};

use super::super::{cloud, installation, organization, pass::Pass, pool, site};
use crate::{
    api::{Stores, watch::Objects},
    context::State,
    known::{cloud::Needed, installation::Round, listing::Listing, missing::Lacking},
    names::Key,
};

/// A sentence of the plan.
pub fn unmet(vo: &str, pool: Option<&str>, jobs: u64, reason: &str, message: &str) -> Unmet {
    let reason = broker::plan::Reason::ALL.iter().copied().find(|r| r.as_str() == reason).unwrap();
    let (pool, message) = (pool.map(Into::into), message.into());
    Unmet { vo: vo.into(), pool, jobs, reason, message, limits: Vec::new(), change: None }
}

/// Manifests by kind and name, with what is known beside them.
pub struct World {
    pub objects: Vec<Value>,
    round: Option<Round>,
    known: fn(&State),
}

pub fn key(name: &str) -> Key {
    Key { namespace: "n".into(), name: name.into() }
}

pub fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "diracgrid.org/v1alpha1", "kind": kind, "spec": spec,
        "metadata": {"name": name, "namespace": "n", "uid": format!("{kind}-{name}"), "creationTimestamp": "2026-01-01T00:00:00Z"}})
}

/// A world in which all is well: jobs are read, and the cloud answers.
pub fn well() -> World {
    let vo = json!({"installationRef": {"name": "i"}, "diracName": "biomed", "groups": [{"name": "users"}], "pilot": {"group": "g"}});
    let pool = json!({"siteRef": {"name": "s"}, "vos": ["v"], "clouds": [{"name": "c"}], "machine": {"image": "default"},
        "matching": {"maxCpuTime": "24h"}, "scaling": {"max": 3}});
    World {
        objects: vec![
            object("DiracInstallation", "i", json!({"simulated": {"arrivals": []}})),
            object("Site", "s", json!({"installationRef": {"name": "i"}, "diracName": "CLOUD.A.org", "vos": ["v"]})),
            object("VirtualOrganization", "v", vo),
            object(
                "Cloud",
                "c",
                json!({"siteRef": {"name": "s"}, "images": {"default": {"name": "any"}}, "simulated": {"flavors": []}}),
            ),
            object("PilotPool", "p", pool),
        ],
        round: Some(Round::default()),
        known: answering,
    }
}

pub fn answering(state: &State) {
    use broker::simulation::{CloudConfig, SimulatedCloud};
    let clock = broker::clock::Clock::driven(|| Timestamp::UNIX_EPOCH);
    let driver = Arc::new(SimulatedCloud::new(CloudConfig::default(), None, clock));
    state.clouds.get(&key("c")).update(|f| {
        f.driver = Some(driver);
        f.offers = Some(Arc::default());
        f.headroom = Some((Timestamp::UNIX_EPOCH, Arc::default()));
        f.headroom_read = Some(broker::clock::moment());
    });
    state.installations.get(&key("i")).update(|f| f.read = Some(Arc::default()));
}

/// The cloud's list was read, and lacks these of 40 VMs.
pub fn listed_without(state: &State, names: &[&str]) {
    let vms = names.iter().map(|name| (format!("uid of {name}"), (*name).to_owned()));
    let lacking = Lacking::of(vms, 40, &Lacking::default(), Timestamp::UNIX_EPOCH);
    state.clouds.get(&key("c")).update(|f| {
        f.listing = Some(Arc::default());
        f.missing = Arc::new(lacking);
    });
}

/// What the last round decided, changed.
pub fn planned(state: &State, change: impl FnOnce(&mut Round)) {
    answering(state);
    state.installations.get(&key("i")).update(|facts| change(Arc::make_mut(facts.round.get_or_insert_default())));
}

/// The cloud lists VMs, of which PilotVMs of another Cloud of the project take care.
pub fn goes_beside_another(state: &State) {
    answering(state);
    let owner = broker::cloud::Owner { cluster: "k".into(), uid: "of another".into() };
    let vm = broker::cloud::Vm {
        id: "1".into(),
        owner,
        name: String::new(),
        state: broker::cloud::VmState::Active,
        provider_status: String::new(),
        created: Timestamp::UNIX_EPOCH,
        bought: None,
        released: false,
    };
    let listing = Listing::new(Timestamp::UNIX_EPOCH, vec![vm], std::time::Duration::ZERO);
    state.clouds.get(&key("c")).update(|f| (f.listing, f.needed) = (Some(Arc::new(listing)), Some(Needed::No)));
}

pub fn goes_before_orphans(state: &State) {
    answering(state);
    state.clouds.get(&key("c")).update(|f| f.needed = Some(Needed::Orphans(2)));
}

impl World {
    pub fn without(mut self, kind: &str) -> Self {
        self.objects.retain(|o| o["kind"] != kind);
        self
    }

    pub fn with(mut self, object: Value) -> Self {
        self.objects.push(object);
        self
    }

    pub fn change(mut self, kind: &str, path: &str, value: Value) -> Self {
        for object in self.objects.iter_mut().filter(|o| o["kind"] == kind) {
            let (parent, name) = path.rsplit_once('/').unwrap();
            object.pointer_mut(parent).unwrap()[name] = value.clone();
        }
        self
    }

    pub fn unmet(mut self, unmet: Vec<Unmet>) -> Self {
        let waiting = unmet.iter().map(|u| (u.vo.clone(), u.jobs)).collect();
        self.round = Some(Round { plan: Plan { unmet, waiting, ..Plan::default() }, ..Round::default() });
        self
    }

    pub fn unreadable(mut self, queues: usize) -> Self {
        let example = "task queue \"3\" has no usable Jobs".to_owned();
        self.round.as_mut().unwrap().unreadable = Some(Unreadable { queues, example });
        self
    }

    pub fn unclaimed(mut self, groups: &[&str]) -> Self {
        let unclaimed = groups.iter().map(|group| ((*group).to_owned(), 3)).collect();
        self.round = Some(Round { plan: Plan { unclaimed, ..Plan::default() }, ..Round::default() });
        self
    }

    pub fn unread(mut self) -> Self {
        self.round = None;
        self
    }

    pub fn knowing(mut self, known: fn(&State)) -> Self {
        self.known = known;
        self
    }

    /// A PilotVM of the pool and the cloud that this version cannot read.
    pub fn with_unread(mut self) -> Self {
        let labels = json!({"diracgrid.org/pool": "p", "diracgrid.org/cloud": "c"});
        let metadata = json!({"name": "p-7", "namespace": "n", "uid": "p-7", "labels": labels});
        self.objects.push(json!({"kind": "broken", "metadata": metadata, "spec": {}}));
        self
    }

    pub fn state(&self) -> State {
        fn of<K: crate::api::watch::Kind>(objects: &[Value]) -> Objects<K> {
            let kind = K::kind(&());
            let ours = objects.iter().filter(|o| o["kind"] == *kind);
            Objects::of(ours.map(|o| serde_json::from_value(o.clone()).unwrap()))
        }
        let stores = Stores {
            installations: of::<DiracInstallation>(&self.objects),
            sites: of::<Site>(&self.objects),
            vos: of::<VirtualOrganization>(&self.objects),
            clouds: of::<Cloud>(&self.objects),
            pools: of::<PilotPool>(&self.objects),
            vms: Objects::of([]).and_unread(self.objects.iter().filter(|o| o["kind"] == "broken").cloned()),
            ..Stores::default()
        };
        let state = State { stores, ..State::default() };
        state.installations.get(&key("i")).update(|f| f.round = self.round.clone().map(Arc::new));
        answering(&state);
        (self.known)(&state);
        state
    }

    /// The condition of an object, as `kind/name type`: status, reason, message.
    pub fn says(&self, what: &str) -> (String, String, String) {
        let state = self.state();
        let pass = Pass::of(&state, Timestamp::UNIX_EPOCH);
        let (object, type_) = what.split_once(' ').unwrap();
        let (kind, name) = object.split_once('/').unwrap();
        let stores = &state.stores;
        let all: Vec<Condition> = match kind {
            "installation" => installation::status(&pass, &stores.installations.get(&key(name)).unwrap()).conditions,
            "site" => site::status(&pass, &stores.sites.get(&key(name)).unwrap()).conditions,
            "vo" => organization::status(&pass, &stores.vos.get(&key(name)).unwrap()).conditions,
            "cloud" => cloud::status(&pass, &stores.clouds.get(&key(name)).unwrap()).conditions,
            _ => pool::status(&pass, &stores.pools.get(&key(name)).unwrap()).conditions,
        };
        let c = all.into_iter().find(|c| c.type_ == type_).unwrap_or_else(|| panic!("no {what}"));
        (c.status, c.reason, c.message)
    }
}

/// A second object like the first of its kind, made later or earlier.
pub fn twin(kind: &str, name: &str, created: &str) -> Value {
    let mut twin = well().objects.into_iter().find(|o| o["kind"] == kind).unwrap();
    twin["metadata"] = json!({"name": name, "namespace": "n", "uid": name, "creationTimestamp": created});
    twin
}
