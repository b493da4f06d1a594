//! A pool's references: what they name, and what is missing. Pure; planning and the pool's condition both go by it.

use std::sync::Arc;

use crds::{Cloud, DiracInstallation, PilotPool, Site, VirtualOrganization, pool::Purchase};
use kube::ResourceExt;

/// What a pool's references name.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    /// Its site.
    pub site: Option<Arc<Site>>,
    /// Its VOs.
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
    match sites.iter().find(|s| s.name_any() == spec.site_ref.name) {
        Some(site) => found.site = Some(site.clone()),
        None => found
            .missing
            .push(format!("Site {:?} does not exist: create it or correct spec.siteRef", spec.site_ref.name)),
    }
    let installation = found.site.as_ref().map(|s| s.spec.installation_ref.name.clone());
    for name in &spec.vos {
        match vos.iter().find(|vo| vo.name_any() == *name) {
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
    let simulated = installation
        .and_then(|name| installations.iter().find(|i| i.name_any() == name))
        .map(|i| i.spec.simulated.is_some());
    for reference in &spec.clouds {
        match clouds.iter().find(|c| c.name_any() == reference.name) {
            None => found
                .missing
                .push(format!("Cloud {:?} does not exist: create it or take it out of spec.clouds", reference.name)),
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
            Some(cloud) if !cloud.spec.images.contains_key(&spec.machine.image) => found.missing.push(format!(
                "Cloud {:?} has no image called {:?}: add it to the cloud's spec.images or correct spec.machine.image",
                reference.name, spec.machine.image
            )),
            Some(cloud) => found.clouds.push(cloud.clone()),
        }
    }
    found
}

/// Whether the pool may be bought for as this version buys.
pub fn buys_on_demand(pool: &PilotPool) -> bool {
    let ways = &pool.spec.machine.purchase;
    ways.is_empty() || ways.contains(&Purchase::OnDemand)
}

impl Resolved {
    /// The installation whose jobs the pool serves.
    pub fn installation(&self) -> Option<&str> {
        self.site.as_ref().map(|s| s.spec.installation_ref.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pool() -> PilotPool {
        let spec = json!({"siteRef": {"name": "s"}, "vos": ["biomed"], "clouds": [{"name": "c"}], "machine": {"image": "default"},
            "matching": {"maxCpuTime": "24h"}, "scaling": {"max": 3}});
        serde_json::from_value(json!({"apiVersion": "diracgrid.org/v1alpha1", "kind": "PilotPool",
            "metadata": {"name": "p", "namespace": "n"}, "spec": spec}))
        .unwrap()
    }
    fn site(vos: &[&str]) -> Arc<Site> {
        let spec = json!({"installationRef": {"name": "i"}, "diracName": "CLOUD.A.org", "vos": vos});
        Arc::new(Site::new("s", serde_json::from_value(spec).unwrap()))
    }
    fn vo() -> Arc<VirtualOrganization> {
        let spec = json!({"installationRef": {"name": "i"}, "diracName": "biomed", "pilot": {"group": "g"}});
        Arc::new(VirtualOrganization::new("biomed", serde_json::from_value(spec).unwrap()))
    }
    fn cloud() -> Arc<Cloud> {
        let spec = json!({"siteRef": {"name": "s"}, "images": {"default": {"name": "any"}}});
        Arc::new(Cloud::new("c", serde_json::from_value(spec).unwrap()))
    }

    #[test]
    fn a_pool_whose_references_exist_misses_nothing() {
        let r = resolve(&pool(), &[], &[site(&["biomed"])], &[vo()], &[cloud()]);
        assert_eq!(r.missing, Vec::<String>::new());
        assert_eq!(r.installation(), Some("i"));
    }

    #[test]
    fn every_missing_reference_is_named() {
        let r = resolve(&pool(), &[], &[], &[], &[]);
        assert_eq!(r.missing.len(), 3);
        assert!(r.missing[0].contains("Site \"s\""));
    }

    #[test]
    fn a_vo_that_the_site_does_not_serve_is_left_out() {
        let r = resolve(&pool(), &[], &[site(&["other"])], &[vo()], &[cloud()]);
        assert!(r.vos.is_empty() && r.missing[0].contains("does not serve"));
    }

    #[test]
    fn a_cloud_of_another_site_is_left_out() {
        let mut elsewhere = (*cloud()).clone();
        elsewhere.spec.site_ref.name = "t".into();
        let r = resolve(&pool(), &[], &[site(&["biomed"])], &[vo()], &[Arc::new(elsewhere)]);
        assert!(r.clouds.is_empty() && r.missing[0].contains("belongs to site \"t\""), "{:?}", r.missing);
    }

    #[test]
    fn simulated_jobs_buy_no_real_vms() {
        let spec = json!({"simulated": {"arrivals": []}});
        let installation = Arc::new(DiracInstallation::new("i", serde_json::from_value(spec).unwrap()));
        let r = resolve(&pool(), &[installation], &[site(&["biomed"])], &[vo()], &[cloud()]);
        assert!(r.clouds.is_empty() && r.missing[0].contains("is real"), "{:?}", r.missing);
    }

    #[test]
    fn spot_alone_is_not_bought_on_demand() {
        let buys = |purchase: serde_json::Value| {
            let mut pool = pool();
            pool.spec.machine.purchase = serde_json::from_value(purchase).unwrap();
            buys_on_demand(&pool)
        };
        assert!(buys(json!([])) && buys(json!(["Spot", "OnDemand"])) && !buys(json!(["Spot"])));
    }
}
