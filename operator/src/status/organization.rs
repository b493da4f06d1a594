//! Virtual organisations: what the object says.

use std::sync::Arc;

use crds::{ConditionType, Reason, VirtualOrganization, organization::VirtualOrganizationStatus};
use kube::ResourceExt;

use super::{
    budget, demand,
    pass::{Pass, identity_of_vo},
};
use crate::{
    amounts::whole,
    conditions::Conditions,
    names::{Key, deleting},
    resolve::group_taken,
};

pub fn status(pass: &Pass<'_>, vo: &VirtualOrganization) -> VirtualOrganizationStatus {
    let key = Key::of(vo);
    let old = vo.status.as_ref();
    let mut conditions = Conditions::of(old.map(|s| &s.conditions), vo.metadata.generation, pass.now);
    let installation = &vo.spec.installation_ref.name;
    let mut missing = Vec::new();
    let facts = pass.installation(&key.beside(installation));
    if facts.is_none() {
        missing.push(format!(
            "DiracInstallation {installation:?} does not exist: create it or correct spec.installationRef"
        ));
    }
    let rival = pass.rival(vo, [identity_of_vo(vo)]).map(|other| {
        let name = &vo.spec.dirac_name;
        format!(
            "VirtualOrganization {other:?} has the diracName {name:?} too: give each its own, or delete one of the two"
        )
    });
    conditions.resolved(&missing, rival.as_deref());
    let not: &[&str] = if vo.spec.identity_provider.is_some() { &["spec.identityProvider"] } else { &[] };
    conditions.supported(not);
    let accounts = facts.map(|facts| &*facts.accounts);
    budget::funded(accounts, vo, pass.beside(&key), &mut conditions);
    match taken(vo, &pass.beside(&key).vos) {
        Some(text) => conditions.says(ConditionType::GroupsOwned, Some(false), Reason::GroupTaken, &text),
        None => {
            let text = "no other VO claims a group of this one";
            conditions.says(ConditionType::GroupsOwned, Some(true), Reason::Owned, text);
        }
    }
    conditions.ready(
        &[ConditionType::Resolved, ConditionType::GroupsOwned],
        "task queues of the VO's groups are counted as its demand",
    );
    if deleting(vo) {
        conditions.says(ConditionType::Ready, Some(false), Reason::Deleting, "deleted; its jobs get no more VMs");
    }
    let round = facts.and_then(|f| f.round.as_deref());
    let lacking = round.map(|round| demand::lacking(round, |unmet| unmet.vo == key.name)).unwrap_or_default();
    let well = "every waiting job of the VO has a VM or gets one";
    demand::met(&mut conditions, demand::known(facts).and_then(|round| demand::in_whole(round, &lacking)), well);
    // What has not been read since the start is not nothing: the last numbers stay.
    let (waiting_jobs, unmet) = match (round, old) {
        (Some(round), _) => (round.plan.waiting.get(&key.name).map_or(0, |jobs| whole(*jobs)), lacking.entries),
        (None, Some(old)) if facts.is_some() => (old.waiting_jobs, old.unmet.clone()),
        (None, _) => (0, Vec::new()),
    };
    let tally = pass.tally.vo(&key);
    let (used, budget) = budget::standing(accounts, vo, old);
    VirtualOrganizationStatus {
        observed_generation: vo.metadata.generation,
        conditions: conditions.finish(),
        waiting_jobs,
        unmet,
        vms: tally.vms,
        cores: tally.cores,
        used,
        budget,
    }
}

/// Groups of this VO whose jobs another VO of the installation gets, in words.
fn taken(vo: &VirtualOrganization, all: &[Arc<VirtualOrganization>]) -> Option<String> {
    let claim = |group: &str| {
        let other = group_taken(vo, group, all)?;
        Some(format!("jobs of group {group:?} go to VirtualOrganization {:?}, which is older", other.name_any()))
    };
    let claims: Vec<String> = vo.spec.groups.iter().filter_map(|group| claim(&group.name)).collect();
    (!claims.is_empty()).then(|| format!("{}: take each group out of one of the two", claims.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vo(name: &str, installation: &str, groups: &[&str]) -> Arc<VirtualOrganization> {
        let groups: Vec<_> = groups.iter().map(|g| serde_json::json!({"name": g})).collect();
        let spec = serde_json::json!({
            "installationRef": {"name": installation}, "diracName": name, "groups": groups, "pilot": {"group": "pilots"}
        });
        Arc::new(VirtualOrganization::new(name, serde_json::from_value(spec).unwrap()))
    }

    #[test]
    fn a_group_that_two_vos_claim_is_said_by_the_one_that_gets_no_jobs() {
        let all = [vo("a", "one", &["users"]), vo("b", "one", &["users", "others"]), vo("c", "two", &["users"])];
        assert_eq!(taken(&all[0], &all), None);
        let said = taken(&all[1], &all).unwrap();
        assert!(said.contains("\"users\" go to VirtualOrganization \"a\"") && !said.contains("others"), "{said}");
        assert_eq!(taken(&all[2], &all), None, "another installation has groups of its own");
    }
}
