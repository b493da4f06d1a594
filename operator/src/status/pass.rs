//! What one pass of the statuses goes by: every object looked at once, and put where it is asked for.

use std::{collections::HashMap, sync::Arc};

use crds::{Cloud, DiracInstallation, PilotPool, PilotVM, Site, VirtualOrganization};
use jiff::Timestamp;
use kube::{Resource, ResourceExt};

use crate::{
    api::Tally,
    context::State,
    known::{cloud, installation},
    names::{Key, deleting},
    readiness::queues,
    resolve::{matchers_of, seniority},
};

/// The objects of one namespace.
#[derive(Default)]
pub struct Beside {
    pub installations: Vec<Arc<DiracInstallation>>,
    pub sites: Vec<Arc<Site>>,
    pub vos: Vec<Arc<VirtualOrganization>>,
    pub clouds: Vec<Arc<Cloud>>,
    pub pools: Vec<Arc<PilotPool>>,
}

/// What is known at one moment.
pub struct Pass<'a> {
    pub state: &'a State,
    pub now: Timestamp,
    /// PilotVMs counted.
    pub tally: Tally,
    namespaces: HashMap<String, Beside>,
    nothing: Beside,
    clouds: HashMap<Key, cloud::Facts>,
    installations: HashMap<Key, installation::Facts>,
    owners: HashMap<Identity, Owner>,
}

/// What an object is called in DIRAC: no two may be called the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// Host and port of a Matcher.
    Matcher(String),
    /// `diracName` of a Site, in an installation.
    Site(Key, String),
    /// `diracName` of a VO, in an installation.
    Vo(Key, String),
    /// CE and queue, at a site.
    Queue(Key, String, String),
}

/// Age, namespace and name of whoever had an identity first.
type Owner = (Timestamp, String, String);

impl<'a> Pass<'a> {
    /// Looks at everything once.
    pub fn of(state: &'a State, now: Timestamp) -> Self {
        let stores = &state.stores;
        let vms: Vec<Arc<PilotVM>> = stores.vms.all();
        let mut pass = Self {
            state,
            now,
            tally: Tally::of(vms.iter().map(Arc::as_ref)),
            namespaces: HashMap::new(),
            nothing: Beside::default(),
            clouds: HashMap::new(),
            installations: HashMap::new(),
            owners: HashMap::new(),
        };
        for object in stores.installations.all() {
            let key = Key::of(object.as_ref());
            pass.installations.insert(key.clone(), state.installations.get(&key).facts());
            pass.claim(object.as_ref(), identities_of_installation(&object));
            pass.room(&key).installations.push(object);
        }
        for object in stores.clouds.all() {
            let key = Key::of(object.as_ref());
            pass.clouds.insert(key.clone(), state.clouds.get(&key).facts());
            pass.room(&key).clouds.push(object);
        }
        for object in stores.sites.all() {
            pass.claim(object.as_ref(), [identity_of_site(&object)]);
            pass.room(&Key::of(object.as_ref())).sites.push(object);
        }
        for object in stores.vos.all() {
            pass.claim(object.as_ref(), [identity_of_vo(&object)]);
            pass.room(&Key::of(object.as_ref())).vos.push(object);
        }
        for object in stores.pools.all() {
            let key = Key::of(object.as_ref());
            let identities = identities_of_pool(&object, &pass.beside(&key).clouds);
            pass.claim(object.as_ref(), identities);
            pass.room(&key).pools.push(object);
        }
        pass
    }

    fn room(&mut self, key: &Key) -> &mut Beside {
        self.namespaces.entry(key.namespace.clone()).or_default()
    }

    fn claim<K: Resource>(&mut self, object: &K, identities: impl IntoIterator<Item = Identity>) {
        if deleting(object) {
            return;
        }
        let me = seniority(object);
        for identity in identities {
            let owner = self.owners.entry(identity).or_insert_with(|| me.clone());
            if me < *owner {
                *owner = me.clone();
            }
        }
    }

    /// The other object that had one of these identities before this one, as `namespace/name`, or by its name in the same namespace.
    pub fn rival<K: Resource>(&self, object: &K, identities: impl IntoIterator<Item = Identity>) -> Option<String> {
        let me = seniority(object);
        let (_, namespace, name) = identities.into_iter().filter_map(|i| self.owners.get(&i)).find(|o| **o < me)?;
        let here = object.namespace().as_deref() == Some(namespace);
        Some(if here { name.clone() } else { format!("{namespace}/{name}") })
    }

    /// The objects of a namespace.
    pub fn beside(&self, key: &Key) -> &Beside {
        self.namespaces.get(&key.namespace).unwrap_or(&self.nothing)
    }

    /// What is known of a cloud that has an object.
    pub fn cloud(&self, key: &Key) -> Option<&cloud::Facts> {
        self.clouds.get(key)
    }

    /// What is known of an installation that has an object.
    pub fn installation(&self, key: &Key) -> Option<&installation::Facts> {
        self.installations.get(key)
    }
}

/// The Matchers that an installation names: two that share one are one DIRAC, and its jobs would be counted twice.
pub fn identities_of_installation(installation: &DiracInstallation) -> Vec<Identity> {
    matchers_of(installation).into_iter().map(Identity::Matcher).collect()
}

/// A site's name in its installation.
pub fn identity_of_site(site: &Site) -> Identity {
    Identity::Site(Key::of(site).beside(&site.spec.installation_ref.name), site.spec.dirac_name.clone())
}

/// A VO's name in its installation.
pub fn identity_of_vo(vo: &VirtualOrganization) -> Identity {
    Identity::Vo(Key::of(vo).beside(&vo.spec.installation_ref.name), vo.spec.dirac_name.clone())
}

/// A pool's queues at its site, as far as it is known which flavors it may buy; nothing where the operator chooses the CE, which then is
/// nobody else's.
pub fn identities_of_pool(pool: &PilotPool, clouds: &[Arc<Cloud>]) -> Vec<Identity> {
    let Some(ce) = &pool.spec.matching.ce else { return Vec::new() };
    let site = Key::of(pool).beside(&pool.spec.site_ref.name);
    queues(pool, clouds).into_iter().map(|queue| Identity::Queue(site.clone(), ce.clone(), queue)).collect()
}
