//! What a Cloud object says: quota, flavors, images, credential, our VMs, and what is wrong.

use broker::cloud::{Allowance, CloudError, Gpu, Offers, QuotaClass, openstack::oidc::Told};
use crds::{
    Cloud, ConditionType, Reason,
    cloud::{CloudFlavor, CloudQuota, CloudStatus},
    quantity::Ceiling,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Resource;

use super::{pass::Pass, unread};
use crate::{
    amounts::whole,
    conditions::Conditions,
    known::{
        cloud::{Facts, Needed},
        frozen,
    },
    names::{CLOUD_LABEL, Key, LET_GO, deleting},
    trouble::of_cloud,
};

pub fn status(pass: &Pass<'_>, cloud: &Cloud) -> CloudStatus {
    let key = Key::of(cloud);
    let handle = pass.state.clouds.get(&key);
    let facts = handle.facts();
    let old = cloud.status.as_ref();
    let ours = pass.tally.cloud(&key);
    let mut conditions = Conditions::of(old.map(|s| &s.conditions), cloud.metadata.generation, pass.now);
    references(pass, cloud, &facts, &mut conditions);
    conditions.supported(&unsupported(cloud));
    conditions.paused(cloud);
    reachable(&facts, pass.now, &mut conditions);
    listed(&facts, &mut conditions);
    conditions.readable(&unread::sentences(&pass.state.stores.unknown_vms(CLOUD_LABEL, &key)));
    match frozen::condition(&facts.frozen, &key) {
        Some((reason, text)) => conditions.says(ConditionType::Frozen, Some(true), reason, &text),
        None if facts.listing.is_some() => {
            let text = "what the provider lists agrees with the PilotVMs, apart from a few VMs";
            conditions.says(ConditionType::Frozen, Some(false), Reason::NotFrozen, text);
        }
        // What was asked before the start is still asked until a list says otherwise.
        None => {}
    }
    let needs = [ConditionType::Reachable, ConditionType::CredentialValid, ConditionType::Resolved];
    conditions.ready(&needs, "VMs can be made here");
    if deleting(cloud) {
        let waits = waits_for(ours.vms, &facts);
        let text = format!(
            "deleted; {waits}; to let go of VMs that nobody will delete, annotate the cloud with {LET_GO}=true"
        );
        conditions.says(ConditionType::Ready, Some(false), Reason::Deleting, &text);
    }
    let offers = facts.offers.as_deref();
    let quota = facts.headroom.as_ref().and_then(|(_, headroom)| headroom.classes.first());
    let before = || old.map(|s| (s.refusals.clone(), s.silent.clone(), s.reclaims.clone())).unwrap_or_default();
    let (refusals, silent, reclaims) = handle.written(pass.now).unwrap_or_else(before);
    let status = CloudStatus {
        observed_generation: cloud.metadata.generation,
        conditions: conditions.finish(),
        quota: quota.map(|q| CloudQuota { limit: ceiling(|a| a.limit, q), used: ceiling(|a| Some(a.used), q) }),
        vms: ours.vms,
        cores: ours.cores,
        missing: whole(facts.missing.len()),
        orphans: whole(facts.orphans),
        orphans_deleted: whole(facts.orphans_deleted),
        secrets: pass.state.secrets.recorded(&key, cloud.spec.secrets(), old.map_or(&[][..], |s| &s.secrets)),
        refusals,
        silent,
        reclaims,
        ..CloudStatus::default()
    };
    // What has not been asked since the start is not nothing: what was found last stays.
    let Some(offers) = offers else {
        let old = old.cloned().unwrap_or_default();
        return CloudStatus {
            quota: status.quota.or(old.quota),
            flavors: old.flavors,
            images: old.images,
            credential_expires: old.credential_expires,
            project: old.project,
            ..status
        };
    };
    CloudStatus {
        flavors: flavors(cloud, offers),
        images: offers.images.iter().map(|(name, image)| (name.clone(), image.id.clone())).collect(),
        credential_expires: offers.credential_expires.map(Time),
        project: offers.project.clone().or_else(|| old.and_then(|s| s.project.clone())),
        ..status
    }
}

/// What a deleted Cloud waits for, as it was last found: VMs of other PilotVMs in the same project are not among it.
fn waits_for(pilot_vms: i64, facts: &Facts) -> String {
    match facts.needed {
        _ if pilot_vms > 0 => format!("waits for {pilot_vms} PilotVMs, which must go first"),
        Some(Needed::PilotVms(n)) => format!("waits for {n} PilotVMs, which must go first"),
        Some(Needed::Orphans(n)) => {
            format!("waits for {n} VMs of ours that no other Cloud can delete, which must go first")
        }
        Some(Needed::No) => "waits for no VM, and goes in a moment".to_owned(),
        Some(Needed::Unknown) | None => "waits until it is known which VMs of ours are left there".to_owned(),
    }
}

fn references(pass: &Pass<'_>, cloud: &Cloud, facts: &Facts, conditions: &mut Conditions) {
    let key = Key::of(cloud);
    let mut missing = Vec::new();
    let site = &cloud.spec.site_ref.name;
    if !pass.beside(&key).sites.iter().any(|other| other.meta().name.as_ref() == Some(site)) {
        missing.push(format!("Site {site:?} does not exist: create it or correct spec.siteRef"));
    }
    missing.extend(facts.offers.iter().flat_map(|offers| offers.missing.clone()));
    conditions.resolved(&missing, None);
    let mut left_out: Vec<String> = facts.offers.iter().flat_map(|offers| offers.left_out.clone()).collect();
    left_out.extend(facts.offers.iter().find_map(|offers| foreign_prices(cloud, offers)));
    if missing.is_empty() && !left_out.is_empty() {
        let text = format!(
            "every object that is named exists and fits; flavors that are not offered: {}",
            left_out.join("; ")
        );
        conditions.says(ConditionType::Resolved, Some(true), Reason::Resolved, &text);
    }
}

/// That the provider's prices are in another currency than the cloud's, where it is so.
fn foreign_prices(cloud: &Cloud, offers: &Offers) -> Option<String> {
    let (theirs, ours) = (offers.currency.as_deref()?, cloud.spec.currency.as_deref()?);
    (theirs != ours).then(|| {
        format!(
            "none for its price, but the provider's prices are in {theirs} and spec.currency is {ours}: they are not used, for nothing is \
             converted; write prices in spec.prices, or make spec.currency {theirs}"
        )
    })
}

fn unsupported(cloud: &Cloud) -> Vec<&'static str> {
    let mut not = Vec::new();
    if cfg!(not(feature = "ec2")) && cloud.spec.ec2.is_some() {
        not.push("spec.ec2");
    }
    not
}

/// Says whether the provider lists every VM of ours. What was said before the start holds until a list says otherwise.
fn listed(facts: &Facts, conditions: &mut Conditions) {
    let listed = ConditionType::Listed;
    match (facts.missing.message(), &facts.listing) {
        (Some(text), _) => conditions.says(listed, Some(false), Reason::MissingFromLists, &text),
        (None, Some(_)) => {
            conditions.says(
                listed,
                Some(true),
                Reason::Listed,
                "the provider's list has every VM that should be in it",
            );
        }
        (None, None) if conditions.has(listed) => {}
        (None, None) => conditions.says(listed, None, Reason::NotAsked, "the provider has not listed its VMs yet"),
    }
}

/// Says whether the provider answers, and whether it takes the credential. A refusal is an answer.
fn reachable(facts: &Facts, now: Timestamp, conditions: &mut Conditions) {
    let refusal = |reason: Reason| {
        use Reason::{Expired, OtherProject, PodRoleNotAllowed, SecretDeleted, Unauthorized};
        matches!(reason, Unauthorized | Expired | OtherProject | SecretDeleted | PodRoleNotAllowed)
    };
    let not_driven = facts.not_driven.as_ref().map(|t| (t.reason, t.message.clone()));
    let asked = facts.refused.as_ref().map(|error| (of_cloud(error), error.to_string()));
    let (reachable, valid) = (ConditionType::Reachable, ConditionType::CredentialValid);
    match (not_driven, asked, &facts.offers) {
        (Some((reason, text)), _, _) | (None, Some((reason, text)), _) if refusal(reason) => {
            let answer = "the provider answers; what is wrong with the credential is in CredentialValid";
            conditions.says(reachable, Some(true), Reason::Answers, answer);
            conditions.says(valid, Some(false), reason, &text);
        }
        (Some((reason, text)), _, _) => {
            conditions.says(reachable, Some(false), reason, &text);
            conditions.says(valid, None, Reason::NotTried, "the provider was not asked");
        }
        (None, Some((reason, text)), _) => {
            conditions.says(reachable, Some(false), reason, &text);
            // What was said of the credential before still holds.
            if !conditions.has(valid) {
                conditions.says(valid, None, Reason::NotTried, "the provider does not answer");
            }
        }
        (None, None, None) => {
            conditions.says(reachable, None, Reason::NotAsked, "the provider has not been asked yet");
            conditions.says(valid, None, Reason::NotTried, "the provider has not been asked yet");
        }
        (None, None, Some(offers)) => {
            answers(facts, now, conditions);
            let told = facts.identity.as_ref().map(|identity| identity.told()).unwrap_or_default();
            match offers.credential_expires {
                _ if doubts(&told, conditions) => {}
                Some(at) if at < now => {
                    let text = format!("the credential ended at {at}: renew it");
                    conditions.says(valid, Some(false), Reason::Expired, &text);
                }
                Some(at) => {
                    conditions.says(valid, Some(true), Reason::Valid, &format!("the credential ends at {at}"));
                }
                None => conditions.says(valid, Some(true), Reason::Valid, "the provider accepts the credential"),
            }
        }
    }
}

/// Says what is wrong with an identity whose token serves still; whether something is.
fn doubts(told: &Told, conditions: &mut Conditions) -> bool {
    let serves = "what was got before serves until it ends, and VMs are deleted that long";
    let (state, reason, text) = match told {
        Told { refused: Some(error @ CloudError::Unauthorized(_)), .. } => {
            (Some(false), of_cloud(error), format!("{error}; {serves}"))
        }
        Told { not_kept: Some(error), .. } => (
            Some(false),
            Reason::RefreshTokenNotKept,
            format!(
                "the identity provider gave another refresh token, which the operator has in memory only and would lose when it stops: \
                 {error}; it is tried again before the next use"
            ),
        ),
        Told { refused: Some(error), .. } => (None, of_cloud(error), format!("{error}; {serves}")),
        Told { refused: None, not_kept: None, .. } => return false,
    };
    conditions.says(ConditionType::CredentialValid, state, reason, &text);
    true
}

/// Says that the provider answers, unless its last answer is so old that nobody knows.
fn answers(facts: &Facts, now: Timestamp, conditions: &mut Conditions) {
    const OLD: SignedDuration = SignedDuration::from_mins(10);
    match &facts.headroom {
        Some((at, _)) if now.duration_since(*at) >= OLD => {
            let text = format!("the provider has answered no question since {at}");
            conditions.says(ConditionType::Reachable, None, Reason::Transient, &text);
        }
        _ => conditions.says(ConditionType::Reachable, Some(true), Reason::Answers, "the provider answers"),
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

/// Which part of a GPU this is; nothing where it is none.
fn share(gpu: &Gpu) -> Option<String> {
    let part = || format!("{}.{:03}", gpu.thousandths / 1000, gpu.thousandths % 1000);
    gpu.is_share().then(|| if gpu.shared { "unknown".to_owned() } else { part().trim_end_matches('0').to_owned() })
}

fn flavors(cloud: &Cloud, offers: &Offers) -> Vec<CloudFlavor> {
    /// A status is not the place for all of them: the first ones by name are enough to see what there is.
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
            gpu_share: f.gpu.as_ref().and_then(share),
            gpu_vendor: f.gpu.as_ref().and_then(|gpu| gpu.maker()).map(str::to_owned),
            gpu_model: f.gpu_model().map(str::to_owned),
            gpu_memory_gib: f.gpu.as_ref().and_then(|gpu| gpu.memory_mib).map(|mib| whole(mib / 1024)),
            per_hour: price(&f.name).or(said(&f.name).map(crds::Price::from_micros)),
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all.truncate(MOST);
    all
}

#[cfg(test)]
mod tests {
    use broker::cloud::Flavor;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_flavor_says_vendor_model_number_and_memory_of_its_gpus_or_which_part_of_one_it_has() {
        let spec = json!({"siteRef": {"name": "s"}, "simulated": {"flavors": []}});
        let cloud = Cloud::new("c", serde_json::from_value(spec).unwrap());
        let said = |gpu: Option<Gpu>| {
            let flavor = Flavor { name: "f".into(), cores: 8, gpu, ..Flavor::default() };
            flavors(&cloud, &Offers { flavors: vec![flavor], ..Offers::default() }).remove(0)
        };
        let a100 = Gpu { memory_mib: Some(40_960), ..Gpu::whole(2, Some("A100".into())).unwrap() };
        let whole = said(Some(a100.clone()));
        assert_eq!((whole.gpus, whole.gpu_share), (2, None));
        assert_eq!((whole.gpu_vendor.as_deref(), whole.gpu_model.as_deref()), (Some("NVIDIA"), Some("A100")));
        assert_eq!(whole.gpu_memory_gib, Some(40));
        let share = |thousandths| said(Some(Gpu { thousandths, ..a100.clone() })).gpu_share;
        assert_eq!((share(250).as_deref(), share(143).as_deref()), (Some("0.25"), Some("0.143")));
        assert_eq!(said(Some(Gpu { shared: true, ..a100 })).gpu_share.as_deref(), Some("unknown"));
        assert_eq!((said(None).gpus, said(None).gpu_vendor), (0, None));
    }

    fn said_of(told: &Told) -> Option<(String, String, String)> {
        let mut conditions = Conditions::of(None, None, Timestamp::UNIX_EPOCH);
        doubts(told, &mut conditions).then(|| {
            let said = conditions.finish().remove(0);
            (said.status, said.reason, said.message)
        })
    }

    #[test]
    fn an_identity_says_what_is_wrong_while_its_last_token_serves() {
        assert_eq!(said_of(&Told { ends: Some(Timestamp::UNIX_EPOCH), ..Told::default() }), None);
        let kept = Some(CloudError::Transient("forbidden".to_owned()));
        let (status, reason, text) = said_of(&Told { not_kept: kept.clone(), ..Told::default() }).unwrap();
        assert_eq!((status.as_str(), reason.as_str()), ("False", "RefreshTokenNotKept"));
        assert!(text.contains("forbidden") && text.contains("in memory only"), "{text}");
        let refused = |error| Told { refused: Some(error), not_kept: kept.clone(), ..Told::default() };
        let (status, reason, text) = said_of(&refused(CloudError::Unauthorized("used twice".to_owned()))).unwrap();
        assert_eq!((status.as_str(), reason.as_str()), ("False", "Unauthorized"));
        assert!(text.contains("used twice") && text.contains("serves until it ends"), "{text}");
        let down = Told { not_kept: None, ..refused(CloudError::Transient("down".to_owned())) };
        let (status, reason, _) = said_of(&down).unwrap();
        assert_eq!((status.as_str(), reason.as_str()), ("Unknown", "Transient"));
    }
}
