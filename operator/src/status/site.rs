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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::{
        api::watch::Objects,
        context::State,
        status::worlds_tests::{World, key, object, twin, well},
    };

    fn status_of(state: &State) -> SiteStatus {
        status(&Pass::of(state, Timestamp::UNIX_EPOCH), &state.stores.sites.get(&key("s")).unwrap())
    }

    /// Status, reason and message of each condition of the site.
    fn says(world: World) -> BTreeMap<String, (String, String, String)> {
        let conditions = status_of(&world.state()).conditions;
        conditions.into_iter().map(|c| (c.type_, (c.status, c.reason, c.message))).collect()
    }

    #[test]
    fn a_site_whose_references_are_there_is_ready_and_counts_what_it_has() {
        let elsewhere = object(
            "PilotPool",
            "q",
            json!({"siteRef": {"name": "t"}, "vos": ["v"], "clouds": [{"name": "c"}], "machine": {"image": "default"},
                "matching": {"maxCpuTime": "24h"}, "scaling": {"max": 3}}),
        );
        let mut state = well().with(twin("Cloud", "d", "2026-01-01T00:00:00Z")).with(elsewhere).state();
        let vm = |(name, pool): (&str, &str)| {
            let mut vm = crds::PilotVM::new(name, Default::default());
            vm.metadata.namespace = Some("n".into());
            vm.spec.pool_ref.name = pool.into();
            vm
        };
        state.stores.vms = Objects::of([("p-1", "p"), ("p-2", "p"), ("q-1", "q")].map(vm));
        let status = status_of(&state);
        assert_eq!((status.clouds, status.pools, status.vms), (2, 1, 2), "those of other sites do not count");
        assert!(ConditionType::Ready.holds(&status.conditions) && ConditionType::Supported.holds(&status.conditions));
    }

    #[test]
    fn what_a_site_names_and_nobody_has_is_said_and_it_is_not_ready() {
        let without = |kind: &str| says(well().without(kind));
        let vo = without("VirtualOrganization");
        assert_eq!((vo["Ready"].0.as_str(), vo["Resolved"].1.as_str()), ("False", "ReferenceMissing"));
        assert!(vo["Resolved"].2.contains("VirtualOrganization \"v\" does not exist"), "{}", vo["Resolved"].2);
        let installation = without("DiracInstallation");
        assert!(installation["Resolved"].2.contains("DiracInstallation \"i\" does not exist"));
    }

    #[test]
    fn what_is_accepted_and_not_acted_on_is_named_and_stops_nothing() {
        let said = says(well().change("Site", "/spec/gocdbName", json!("IN2P3-CC")));
        assert_eq!((said["Ready"].0.as_str(), said["Supported"].0.as_str()), ("True", "False"));
        assert!(said["Supported"].2.contains("spec.gocdbName"), "{}", said["Supported"].2);
    }

    #[test]
    fn a_site_that_is_deleted_says_that_its_pools_make_no_more_vms() {
        let said = says(well().change("Site", "/metadata/deletionTimestamp", json!("2026-01-02T00:00:00Z")));
        assert_eq!((said["Ready"].0.as_str(), said["Ready"].1.as_str()), ("False", "Deleting"));
    }
}
