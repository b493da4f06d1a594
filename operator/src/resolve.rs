//! What objects name and claim: a pool's references, what is missing, and who keeps what two objects claim. Pure; planning and the
//! conditions both go by it.

use std::{collections::BTreeSet, sync::Arc};

use broker::plan::snapshot::Requirements;
use crds::{
    Cloud, DiracInstallation, PilotPool, Site, VirtualOrganization,
    pool::{self, Purchase},
    quantity::Range,
};
use jiff::Timestamp;
use kube::{Resource, ResourceExt};

use crate::{
    amounts::count,
    names::{Key, deleting},
};

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
            Some(cloud) if !cloud.spec.images.contains_key(&spec.machine.image) => found.missing.push(format!(
                "Cloud {:?} has no image called {:?}: add it to the cloud's spec.images or correct spec.machine.image",
                reference.name, spec.machine.image
            )),
            Some(cloud) => found.clouds.push(cloud.clone()),
        }
    }
    found
}

/// The object of this name.
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

/// The currency of the clouds' prices, which is that of the VOs' budgets: the VO's own, or else the one that all others of its namespace
/// name. Empty where no budget says it, or two say different ones.
pub fn currency<'a>(vo: Option<&'a VirtualOrganization>, beside: &'a [Arc<VirtualOrganization>]) -> &'a str {
    let of = |vo: &'a VirtualOrganization| vo.spec.budget.as_ref().map(|budget| budget.currency.as_str());
    if let Some(own) = vo.and_then(of) {
        return own;
    }
    let mut named = beside.iter().filter_map(|vo| of(vo));
    let first = named.next().unwrap_or_default();
    if named.all(|other| other == first) { first } else { "" }
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
    }
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
    fn installation() -> Arc<DiracInstallation> {
        Arc::new(DiracInstallation::new("i", crds::installation::DiracInstallationSpec::default()))
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
        let r = resolve(&pool(), &[installation()], &[site(&["biomed"])], &[vo()], &[cloud()]);
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
        let r = resolve(&pool(), &[installation()], &[site(&["other"])], &[vo()], &[cloud()]);
        assert!(r.vos.is_empty() && r.missing[0].contains("does not serve"));
    }

    #[test]
    fn a_cloud_of_another_site_is_left_out() {
        let mut elsewhere = (*cloud()).clone();
        elsewhere.spec.site_ref.name = "t".into();
        let r = resolve(&pool(), &[installation()], &[site(&["biomed"])], &[vo()], &[Arc::new(elsewhere)]);
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

    #[test]
    fn an_installation_or_cloud_that_is_away_or_being_deleted_is_said() {
        let going = |meta: &mut kube::core::ObjectMeta| {
            meta.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Timestamp::UNIX_EPOCH));
        };
        let r = resolve(&pool(), &[], &[site(&["biomed"])], &[vo()], &[cloud()]);
        assert!(r.missing.len() == 1 && r.missing[0].contains("DiracInstallation \"i\""), "{:?}", r.missing);
        let (mut gone, mut sold) = ((*installation()).clone(), (*cloud()).clone());
        going(&mut gone.metadata);
        going(&mut sold.metadata);
        let r = resolve(&pool(), &[Arc::new(gone)], &[site(&["biomed"])], &[vo()], &[Arc::new(sold)]);
        assert!(r.clouds.is_empty() && r.missing.len() == 2, "{:?}", r.missing);
    }

    #[test]
    fn of_installations_that_read_one_matcher_the_oldest_is_the_first_whatever_its_namespace() {
        let reads = |namespace: &str, second: i64, matcher: &str| {
            let spec = json!({"external": {"matcher": matcher, "pilotManager": "dips://d.org:9171/A/B",
                "credentials": {"certificateSecretRef": {"name": "x"}, "group": "g"}}});
            let mut i = DiracInstallation::new("i", serde_json::from_value(spec).unwrap());
            i.metadata.namespace = Some(namespace.into());
            let at = Timestamp::from_second(second).unwrap();
            i.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at));
            Arc::new(i)
        };
        let old = reads("z", 1, "dips://a.org:9170/W/Matcher, dips://d.org:9170/W/Matcher");
        let young = reads("a", 2, "dips://D.org:9170/W/Matcher");
        let other = reads("b", 3, "dips://e.org:9170/W/Matcher");
        let all = [old.clone(), young.clone(), other.clone()];
        let first = |of: &DiracInstallation| first_reader(of, &all, |_| true);
        assert_eq!(first(&young), Some(Key::of(old.as_ref())));
        assert_eq!((first(&old), first(&other)), (None, None));
        assert_eq!(first_reader(&young, &all, |_| false), None, "whoever cannot read it stops nobody");
        let mut going = (*old).clone();
        going.metadata.deletion_timestamp = going.metadata.creation_timestamp.clone();
        assert_eq!(
            first_reader(&young, &[Arc::new(going), young.clone()], |_| true),
            None,
            "what is deleted buys no more"
        );
    }

    #[test]
    fn the_currency_of_prices_is_that_of_the_budgets() {
        let of = |currency: Option<&str>| {
            let mut vo = (*vo()).clone();
            let budget = currency.map(|c| json!({"amount": "5", "currency": c, "period": "30d"}));
            vo.spec.budget = serde_json::from_value(json!(budget)).unwrap();
            Arc::new(vo)
        };
        let (none, euro, franc) = (of(None), of(Some("EUR")), of(Some("CHF")));
        assert_eq!(currency(Some(&franc), std::slice::from_ref(&euro)), "CHF");
        assert_eq!(currency(Some(&none), &[none.clone(), euro.clone()]), "EUR");
        assert_eq!(currency(None, &[euro, franc]), "", "nobody knows which");
        assert_eq!(currency(Some(&none), &[]), "");
    }

    #[test]
    fn the_older_vo_keeps_a_group_whatever_the_names_are() {
        let claims = |name: &str, created: i64, groups: &[&str]| {
            let mut vo = (*vo()).clone();
            vo.metadata.name = Some(name.into());
            let at = Timestamp::from_second(created).unwrap();
            vo.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at));
            vo.spec.groups = groups.iter().map(|g| serde_json::from_value(json!({"name": g})).unwrap()).collect();
            Arc::new(vo)
        };
        let all = [claims("a", 20, &["users", "new"]), claims("z", 10, &["users"]), claims("y", 10, &["new", "own"])];
        let groups = |i: usize| groups_of(&all[i], &all).into_iter().collect::<Vec<_>>();
        assert_eq!((groups(0), groups(1), groups(2)), (vec![], vec!["users".into()], vec!["new".into(), "own".into()]));
        assert_eq!(group_taken(&all[0], "users", &all).unwrap().name_any(), "z");
    }
}
