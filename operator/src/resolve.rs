//! What objects name and claim: a pool's references, what is missing, and who keeps what two objects claim. Pure; planning and the
//! conditions both go by it.

use std::{collections::BTreeSet, sync::Arc};

use broker::plan::snapshot::Requirements;
use crds::{Cloud, DiracInstallation, PilotPool, Site, VirtualOrganization, pool, quantity::Range};
use jiff::Timestamp;
use kube::{Resource, ResourceExt};

use crate::{
    amounts::count,
    names::{Key, deleting},
};

/// What a pool's references name.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    pub site: Option<Arc<Site>>,
    pub vos: Vec<Arc<VirtualOrganization>>,
    /// Its clouds, in order of preference.
    pub clouds: Vec<Arc<Cloud>>,
    /// What is missing or does not fit: a sentence each.
    pub missing: Vec<String>,
}

/// Follows the references of a pool among the objects of its namespace.
pub fn resolve(
    pool: &PilotPool,
    installations: &[Arc<DiracInstallation>],
    sites: &[Arc<Site>],
    vos: &[Arc<VirtualOrganization>],
    clouds: &[Arc<Cloud>],
) -> Resolved {
    let mut found = Resolved::default();
    let spec = &pool.spec;
    match named(sites, &spec.site_ref.name) {
        Some(site) => found.site = Some(site.clone()),
        None => found
            .missing
            .push(format!("Site {:?} does not exist: create it or correct spec.siteRef", spec.site_ref.name)),
    }
    let installation = found.site.as_ref().map(|s| s.spec.installation_ref.name.clone());
    let served = installation.as_ref().and_then(|name| named(installations, name));
    match (&installation, served) {
        (Some(name), None) => found.missing.push(format!(
            "DiracInstallation {name:?}, which the pool's site names, does not exist: create it or correct the site's \
             spec.installationRef"
        )),
        (Some(name), Some(i)) if deleting(i.as_ref()) => {
            found.missing.push(format!("DiracInstallation {name:?} is being deleted: no VM is made for it"));
        }
        _ => {}
    }
    for name in &spec.vos {
        match named(vos, name) {
            None => found
                .missing
                .push(format!("VirtualOrganization {name:?} does not exist: create it or take it out of spec.vos")),
            Some(vo) if installation.as_ref().is_some_and(|i| *i != vo.spec.installation_ref.name) => {
                found.missing.push(format!(
                    "VirtualOrganization {name:?} belongs to installation {:?} and the pool's site to {:?}",
                    vo.spec.installation_ref.name,
                    installation.as_deref().unwrap_or_default(),
                ));
            }
            Some(vo) => {
                if let Some(site) = &found.site
                    && !site.spec.vos.contains(name)
                {
                    found.missing.push(format!(
                        "Site {:?} does not serve VirtualOrganization {name:?}: add it to the site's spec.vos",
                        site.name_any()
                    ));
                } else {
                    found.vos.push(vo.clone());
                }
            }
        }
    }
    let simulated = served.map(|i| i.spec.simulated.is_some());
    for reference in &spec.clouds {
        match named(clouds, &reference.name) {
            None => found
                .missing
                .push(format!("Cloud {:?} does not exist: create it or take it out of spec.clouds", reference.name)),
            Some(cloud) if deleting(cloud.as_ref()) => {
                found.missing.push(format!("Cloud {:?} is being deleted: no VM is bought from it", reference.name));
            }
            Some(cloud) if cloud.spec.site_ref != spec.site_ref => found.missing.push(format!(
                "Cloud {:?} belongs to site {:?} and the pool to {:?}: name a cloud of the pool's site",
                reference.name, cloud.spec.site_ref.name, spec.site_ref.name
            )),
            // Real VMs would cost money and find no jobs; simulated ones serve none.
            Some(cloud) if simulated.is_some_and(|s| s != cloud.spec.simulated.is_some()) => found.missing.push(format!(
                "Cloud {:?} is {} and the pool's installation is not: simulated jobs run on simulated clouds only, and real jobs on \
                 real ones",
                reference.name,
                if cloud.spec.simulated.is_some() { "simulated" } else { "real" }
            )),
            Some(cloud) => match spec.machine.images().find(|image| !cloud.spec.images.contains_key(*image)) {
                Some(image) => found.missing.push(format!(
                    "Cloud {:?} has no image called {image:?}: add it to the cloud's spec.images or correct spec.machine.{}",
                    reference.name,
                    if *image == spec.machine.image { "image" } else { "gpuImage" }
                )),
                None => found.clouds.push(cloud.clone()),
            },
        }
    }
    found
}

fn named<'a, K: Resource>(objects: &'a [Arc<K>], name: &str) -> Option<&'a Arc<K>> {
    objects.iter().find(|object| object.meta().name.as_deref() == Some(name))
}

/// Who keeps what two objects claim: the smaller of these, which is the older object, and of two of one second the first by name.
pub fn seniority<K: Resource>(object: &K) -> (Timestamp, String, String) {
    // An object that has no creation time yet is as young as can be.
    let created = object.meta().creation_timestamp.as_ref().map_or(Timestamp::MAX, |t| t.0);
    (created, object.namespace().unwrap_or_default(), object.name_any())
}

/// The VO that keeps the group which `vo` names, where it is another one of the same installation.
pub fn group_taken<'a>(
    vo: &VirtualOrganization,
    group: &str,
    all: &'a [Arc<VirtualOrganization>],
) -> Option<&'a Arc<VirtualOrganization>> {
    let rivals = all.iter().filter(|other| {
        other.spec.installation_ref == vo.spec.installation_ref
            && other.spec.groups.iter().any(|g| g.name == group)
            && !deleting(other.as_ref())
            && seniority(other.as_ref()) < seniority(vo)
    });
    rivals.min_by_key(|other| seniority(other.as_ref()))
}

/// The groups whose jobs are the VO's: those that it names and that no older VO keeps.
pub fn groups_of(vo: &VirtualOrganization, all: &[Arc<VirtualOrganization>]) -> BTreeSet<String> {
    let names = vo.spec.groups.iter().map(|g| &g.name);
    names.filter(|group| group_taken(vo, group, all).is_none()).cloned().collect()
}

/// The Matchers that an installation names, host and port each: two installations that share one are one DIRAC.
pub fn matchers_of(installation: &DiracInstallation) -> Vec<String> {
    let addresses = installation.spec.external.iter().flat_map(|e| e.matcher.split(','));
    let host = |address: &str| {
        let rest = address.trim().split("://").last().unwrap_or_default();
        rest.split('/').next().unwrap_or_default().to_lowercase()
    };
    addresses.map(host).filter(|host| !host.is_empty()).collect()
}

/// The oldest of these installations, of any namespace, that is older than this one and reads the same DIRAC: it alone buys, or its jobs
/// would get VMs twice. What an installation names is no proof, and would let one tenant stop another: `reads` says whether it does.
pub fn first_reader(
    installation: &DiracInstallation,
    all: &[Arc<DiracInstallation>],
    reads: impl Fn(&Key) -> bool,
) -> Option<Key> {
    let ours = matchers_of(installation);
    let names_it = |other: &DiracInstallation| matchers_of(other).iter().any(|host| ours.contains(host));
    let rivals = all.iter().filter(|other| {
        let is_older = !deleting(other.as_ref()) && seniority(other.as_ref()) < seniority(installation);
        is_older && names_it(other) && reads(&Key::of(other.as_ref()))
    });
    rivals.min_by_key(|other| seniority(other.as_ref())).map(|other| Key::of(other.as_ref()))
}

/// The currency of a cloud's prices: what it says itself; or else of EC2 the one in which AWS sells, of others what all budgets of its
/// namespace name. Nothing where no budget is in money, or two are in different currencies.
pub fn currency<'a>(cloud: Option<&'a Cloud>, beside: &'a [Arc<VirtualOrganization>]) -> Option<&'a str> {
    if let Some(own) = cloud.and_then(|cloud| cloud.spec.currency.as_deref()) {
        return Some(own);
    }
    if cloud.is_some_and(|cloud| cloud.spec.ec2.is_some()) {
        return Some("USD");
    }
    let mut named = beside.iter().filter_map(|vo| vo.spec.budget.as_ref()?.currency.as_deref());
    let first = named.next()?;
    named.all(|other| other == first).then_some(first)
}

/// A pool's bounds on flavors, in the words of the planner.
pub fn requirements(r: Option<&pool::Requirements>) -> Requirements {
    let Some(r) = r else { return Requirements::default() };
    let range = |range: Option<&Range>| (range.and_then(|r| r.min).map(count), range.and_then(|r| r.max).map(count));
    Requirements {
        cores: range(r.cores.as_ref()),
        ram_gib_per_core: range(r.ram_gib_per_core.as_ref()),
        // Who says nothing of GPUs does not want to pay for them.
        gpus: r.gpus.as_ref().map_or((None, Some(0)), |g| (g.min.map(count), g.max.map(count))),
        gpu_models: r.gpus.as_ref().map(|g| g.models.clone()).unwrap_or_default(),
        gpu_vendor: r.gpus.as_ref().and_then(|g| g.vendor.clone()),
        gpu_memory_gib: range(r.gpus.as_ref().and_then(|g| g.memory_gib.as_ref())),
        gpu_shares: r.gpus.as_ref().is_some_and(|g| g.allow_shares),
    }
}

impl Resolved {
    /// The installation whose jobs the pool serves.
    pub fn installation(&self) -> Option<&str> {
        self.site.as_ref().map(|s| s.spec.installation_ref.name.as_str())
    }
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
