//! Of what objects name and claim.

use serde_json::{Value, json};

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
fn an_image_for_gpus_that_a_cloud_has_not_is_named() {
    let mut pool = pool();
    pool.spec.machine.gpu_image = Some("cuda".into());
    let installation = Arc::unwrap_or_clone(installation());
    let resolved = |cloud: Cloud| {
        resolve(&pool, &[Arc::new(installation.clone())], &[site(&["biomed"])], &[vo()], &[Arc::new(cloud)])
    };
    let r = resolved(Arc::unwrap_or_clone(cloud()));
    assert!(r.clouds.is_empty() && r.missing[0].contains("no image called \"cuda\""), "{:?}", r.missing);
    assert!(r.missing[0].contains("spec.machine.gpuImage"), "{:?}", r.missing);
    let mut both = Arc::unwrap_or_clone(cloud());
    both.spec.images.insert("cuda".into(), both.spec.images["default"].clone());
    assert_eq!(resolved(both).clouds.len(), 1);
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
    assert_eq!(first_reader(&young, &[Arc::new(going), young.clone()], |_| true), None, "what is deleted buys no more");
}

#[test]
fn the_currency_of_prices_is_what_the_cloud_says_or_else_that_of_all_budgets() {
    let of = |budget: Value| {
        let mut vo = (*vo()).clone();
        vo.spec.budget = serde_json::from_value(budget).unwrap();
        Arc::new(vo)
    };
    let money = |currency: &str| of(json!({"amount": "5", "currency": currency, "period": "30d"}));
    let (none, euro, franc) = (of(json!(null)), money("EUR"), money("CHF"));
    let hours = of(json!({"coreHours": 5, "period": "30d"}));
    assert_eq!(currency(None, &[none.clone(), hours, euro.clone()]), Some("EUR"));
    assert_eq!(currency(None, &[euro.clone(), franc.clone()]), None, "nobody knows which");
    assert_eq!(currency(None, &[none]), None);
    let mut swiss = crds::Cloud::new("c", crds::cloud::CloudSpec::default());
    swiss.spec.currency = Some("CHF".into());
    assert_eq!(currency(Some(&swiss), &[euro, franc]), Some("CHF"));
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
