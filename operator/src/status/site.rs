//! Sites: what the object says.

use crds::{Site, condition, site::SiteStatus};
use jiff::Timestamp;
use kube::ResourceExt;

use crate::{amounts::whole, conditions::Conditions, context::State, names::Key};

/// The status of this site now.
pub fn status(state: &State, site: &Site, now: Timestamp) -> SiteStatus {
    let key = Key::of(site);
    let mut conditions = Conditions::of(site.status.as_ref().map(|s| &s.conditions), site.metadata.generation, now);
    let mut missing = Vec::new();
    let installation = &site.spec.installation_ref.name;
    if state.stores.installations.get(&key.beside(installation)).is_none() {
        missing.push(format!(
            "DiracInstallation {installation:?} does not exist: create it or correct spec.installationRef"
        ));
    }
    for vo in &site.spec.vos {
        if state.stores.vos.get(&key.beside(vo)).is_none() {
            missing.push(format!("VirtualOrganization {vo:?} does not exist: create it or take it out of spec.vos"));
        }
    }
    conditions.resolved(&missing);
    let mut not = Vec::new();
    if !site.spec.computing_elements.is_empty() {
        not.push("spec.computingElements");
    }
    if site.spec.gocdb_name.is_some() {
        not.push("spec.gocdbName");
    }
    conditions.supported(&not);
    conditions.ready(&[condition::RESOLVED], "pools may make VMs for this site");
    let here = |other: &str| other == key.name;
    let pools: Vec<_> =
        state.stores.pools.within(&key.namespace).into_iter().filter(|p| here(&p.spec.site_ref.name)).collect();
    let of_a_pool = |vm: &crds::PilotVM| {
        vm.namespace().as_deref() == Some(key.namespace.as_str())
            && pools.iter().any(|p| p.name_any() == vm.spec.pool_ref.name)
    };
    SiteStatus {
        observed_generation: site.metadata.generation,
        conditions: conditions.finish(),
        clouds: whole(
            state.stores.clouds.within(&key.namespace).iter().filter(|c| here(&c.spec.site_ref.name)).count(),
        ),
        pools: whole(pools.len()),
        vms: whole(state.stores.vms.those(of_a_pool).len()),
    }
}
