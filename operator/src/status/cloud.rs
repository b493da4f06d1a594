//! What a Cloud object says: quota, flavors, images, credential, our VMs, and what is wrong.

use broker::cloud::{Allowance, CloudError, Offers, QuotaClass};
use crds::{
    Cloud,
    cloud::{CloudFlavor, CloudQuota, CloudStatus},
    condition,
    quantity::Ceiling,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::{
    amounts::whole,
    conditions::Conditions,
    context::State,
    known::{cloud::Facts, frozen},
    names::{Key, deleting},
};

/// The status of this cloud now.
pub fn status(state: &State, cloud: &Cloud, now: Timestamp) -> CloudStatus {
    let key = Key::of(cloud);
    let facts = state.clouds.get(&key).facts();
    let old = cloud.status.as_ref();
    let ours = state.stores.vms_of_cloud(&key);
    let mut conditions = Conditions::of(old.map(|s| &s.conditions), cloud.metadata.generation, now);
    references(state, cloud, &facts, &mut conditions);
    conditions.supported(&unsupported(cloud));
    reachable(&facts, now, &mut conditions);
    match frozen::condition(&facts.frozen, &key) {
        Some((reason, text)) => conditions.set(condition::FROZEN, Some(true), reason.as_str(), &text),
        None if facts.listing.is_some() => {
            let text = "what the provider lists agrees with the PilotVMs, apart from a few VMs";
            conditions.set(condition::FROZEN, Some(false), "NotFrozen", text);
        }
        // What was asked before the start is still asked until a list says otherwise.
        None => {}
    }
    let needs = [condition::REACHABLE, condition::CREDENTIAL_VALID, condition::RESOLVED];
    conditions.ready(&needs, "VMs can be made here");
    if deleting(cloud) {
        let text = format!(
            "deleted; waits for {} PilotVMs and {} VMs, which must go first; to let go of VMs that nobody will delete, annotate the \
             cloud with {}=true",
            ours.len(),
            facts.listing.as_ref().map_or(0, |list| list.vms.len()),
            crate::names::LET_GO
        );
        conditions.set(condition::READY, Some(false), "Deleting", &text);
    }
    let offers = facts.offers.as_deref();
    let quota = facts.headroom.as_ref().and_then(|(_, headroom)| headroom.classes.first());
    let expires = offers.and_then(|o| o.credential_expires);
    CloudStatus {
        observed_generation: cloud.metadata.generation,
        conditions: conditions.finish(),
        quota: quota.map(|q| CloudQuota { limit: ceiling(|a| a.limit, q), used: ceiling(|a| Some(a.used), q) }),
        flavors: offers.map(|o| flavors(cloud, o)).unwrap_or_default(),
        images: offers.iter().flat_map(|o| &o.images).map(|(name, image)| (name.clone(), image.id.clone())).collect(),
        credential_expires: expires.map(Time),
        project: offers.and_then(|o| o.project.clone()).or_else(|| old.and_then(|s| s.project.clone())),
        vms: whole(ours.len()),
        cores: ours.iter().map(|vm| vm.spec.offering.cores).sum(),
        missing: whole(facts.missing.len()),
        orphans: whole(facts.orphans),
        orphans_deleted: whole(facts.orphans_deleted),
        ..CloudStatus::default()
    }
}

fn references(state: &State, cloud: &Cloud, facts: &Facts, conditions: &mut Conditions) {
    let mut missing = Vec::new();
    let site = &cloud.spec.site_ref.name;
    if state.stores.sites.get(&Key::of(cloud).beside(site)).is_none() {
        missing.push(format!("Site {site:?} does not exist: create it or correct spec.siteRef"));
    }
    missing.extend(facts.offers.iter().flat_map(|offers| offers.missing.clone()));
    conditions.resolved(&missing);
}

fn unsupported(cloud: &Cloud) -> Vec<&'static str> {
    let mut not = Vec::new();
    if cloud.spec.ec2.is_some() {
        not.push("spec.ec2");
    }
    if cloud.spec.openstack.as_ref().is_some_and(|o| o.auth.oidc.is_some()) {
        not.push("spec.openstack.auth.oidc");
    }
    not
}

fn reachable(facts: &Facts, now: Timestamp, conditions: &mut Conditions) {
    let unauthorized = |error: &CloudError| matches!(error, CloudError::Unauthorized(_));
    match (&facts.not_driven, &facts.refused, &facts.offers) {
        (Some(trouble), _, _) if trouble.reason == "Unauthorized" => {
            conditions.set(condition::REACHABLE, Some(true), "Answers", "the provider answers");
            conditions.set(condition::CREDENTIAL_VALID, Some(false), &trouble.reason, &trouble.message);
        }
        (Some(trouble), _, _) => {
            conditions.set(condition::REACHABLE, Some(false), &trouble.reason, &trouble.message);
            conditions.set(condition::CREDENTIAL_VALID, None, "NotTried", "the provider was not asked");
        }
        (None, Some(error), _) if unauthorized(error) => {
            conditions.set(condition::REACHABLE, Some(true), "Answers", "the provider answers");
            conditions.set(condition::CREDENTIAL_VALID, Some(false), error.reason(), &error.to_string());
        }
        (None, Some(error), _) => conditions.set(condition::REACHABLE, Some(false), error.reason(), &error.to_string()),
        (None, None, None) => {
            conditions.set(condition::REACHABLE, None, "NotAsked", "the provider has not been asked yet");
            conditions.set(condition::CREDENTIAL_VALID, None, "NotTried", "the provider has not been asked yet");
        }
        (None, None, Some(offers)) => {
            conditions.set(condition::REACHABLE, Some(true), "Answers", "the provider answers");
            match offers.credential_expires {
                Some(at) if at < now => {
                    conditions.set(
                        condition::CREDENTIAL_VALID,
                        Some(false),
                        "Expired",
                        &format!("the credential ended at {at}: renew it"),
                    );
                }
                Some(at) => conditions.set(
                    condition::CREDENTIAL_VALID,
                    Some(true),
                    "Valid",
                    &format!("the credential ends at {at}"),
                ),
                None => conditions.set(
                    condition::CREDENTIAL_VALID,
                    Some(true),
                    "Valid",
                    "the provider accepts the credential",
                ),
            }
        }
    }
}

fn ceiling(of: fn(&Allowance) -> Option<u64>, quota: &QuotaClass) -> Ceiling {
    let bound = |a: &Allowance| of(a).map(whole);
    Ceiling {
        vms: bound(&quota.vms),
        cores: bound(&quota.cores),
        ram_gib: bound(&quota.ram_mib).map(|mib| mib / 1024),
        gpus: bound(&quota.gpus),
    }
}

fn flavors(cloud: &Cloud, offers: &Offers) -> Vec<CloudFlavor> {
    /// A status is not the place for all of them: the first so many by name are enough to see what there is.
    const MOST: usize = 200;
    let said = |name: &str| offers.offers.iter().find(|o| o.flavor == name).and_then(|o| o.price_micros);
    let price = |name: &str| cloud.spec.prices.iter().find(|p| p.flavor == name).map(|p| p.per_hour);
    let mut all: Vec<CloudFlavor> = offers
        .flavors
        .iter()
        .map(|f| CloudFlavor {
            name: f.name.clone(),
            cores: i64::from(f.cores),
            ram_mib: whole(f.ram_mib),
            gpus: i64::from(f.gpus()),
            gpu_model: f.gpu_model().map(str::to_owned),
            per_hour: price(&f.name).or(said(&f.name).map(crds::Price::from_micros)),
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all.truncate(MOST);
    all
}
