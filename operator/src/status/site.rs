//! Sites: what the object says.

use crds::{ConditionType, Reason, Site, site::SiteStatus};
use kube::{Resource, ResourceExt};

use super::pass::{Pass, identity_of_site};
use crate::{
    amounts::whole,
    conditions::Conditions,
    names::{Key, deleting},
};

pub fn status(pass: &Pass<'_>, site: &Site) -> SiteStatus {
    let key = Key::of(site);
    let beside = pass.beside(&key);
    let old = site.status.as_ref().map(|s| &s.conditions);
    let mut conditions = Conditions::of(old, site.metadata.generation, pass.now);
    let mut missing = Vec::new();
    let installation = &site.spec.installation_ref.name;
    if pass.installation(&key.beside(installation)).is_none() {
        missing.push(format!(
            "DiracInstallation {installation:?} does not exist: create it or correct spec.installationRef"
        ));
    }
    for vo in &site.spec.vos {
        if !beside.vos.iter().any(|other| other.meta().name.as_ref() == Some(vo)) {
            missing.push(format!("VirtualOrganization {vo:?} does not exist: create it or take it out of spec.vos"));
        }
    }
    let rival = pass.rival(site, [identity_of_site(site)]).map(|other| {
        let name = &site.spec.dirac_name;
        format!("Site {other:?} has the diracName {name:?} too: give each its own, or delete one of the two")
    });
    conditions.resolved(&missing, rival.as_deref());
    let mut not = Vec::new();
    if !site.spec.computing_elements.is_empty() {
        not.push("spec.computingElements");
    }
    if site.spec.gocdb_name.is_some() {
        not.push("spec.gocdbName");
    }
    conditions.supported(&not);
    conditions.ready(&[ConditionType::Resolved], "pools may make VMs for this site");
    if deleting(site) {
        conditions.says(ConditionType::Ready, Some(false), Reason::Deleting, "deleted; its pools make no more VMs");
    }
    let here = |other: &str| other == key.name;
    let pools: Vec<_> = beside.pools.iter().filter(|p| here(&p.spec.site_ref.name)).collect();
    SiteStatus {
        observed_generation: site.metadata.generation,
        conditions: conditions.finish(),
        clouds: whole(beside.clouds.iter().filter(|c| here(&c.spec.site_ref.name)).count()),
        pools: whole(pools.len()),
        vms: pools.iter().map(|pool| pass.tally.pool(&key.beside(&pool.name_any())).vms).sum(),
    }
}
