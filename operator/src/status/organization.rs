//! Virtual organisations: what the object says.

use std::sync::Arc;

use crds::{VirtualOrganization, condition, organization::VirtualOrganizationStatus};

use jiff::Timestamp;
use kube::ResourceExt;

use crate::{
    amounts::whole,
    conditions::Conditions,
    context::State,
    names::{Key, deleting},
};

/// The status of this VO now.
pub fn status(state: &State, vo: &VirtualOrganization, now: Timestamp) -> VirtualOrganizationStatus {
    let key = Key::of(vo);
    let mut conditions = Conditions::of(vo.status.as_ref().map(|s| &s.conditions), vo.metadata.generation, now);
    let installation = &vo.spec.installation_ref.name;
    let mut missing = Vec::new();
    if state.stores.installations.get(&key.beside(installation)).is_none() {
        missing.push(format!(
            "DiracInstallation {installation:?} does not exist: create it or correct spec.installationRef"
        ));
    }
    conditions.resolved(&missing);
    let mut not = Vec::new();
    // The default is no wish.
    if vo.spec.share.is_some_and(|share| share != 1) {
        not.push("spec.share");
    }
    if vo.spec.budget.is_some() {
        not.push("spec.budget");
    }
    if vo.spec.identity_provider.is_some() {
        not.push("spec.identityProvider");
    }
    conditions.supported(&not);
    match taken(vo, &state.stores.vos.within(&key.namespace)) {
        Some(text) => conditions.set(condition::GROUPS_OWNED, Some(false), "GroupTaken", &text),
        None => conditions.set(condition::GROUPS_OWNED, Some(true), "Owned", "no other VO claims a group of this one"),
    }
    conditions.ready(
        &[condition::RESOLVED, condition::GROUPS_OWNED],
        "task queues of the VO's groups are counted as its demand",
    );
    let round = state.installations.get(&key.beside(installation)).facts().round;
    let waiting = round.as_ref().and_then(|r| r.plan.waiting.get(&key.name)).copied().unwrap_or(0);
    let ours = state.stores.vms_of_vo(&key);
    VirtualOrganizationStatus {
        observed_generation: vo.metadata.generation,
        conditions: conditions.finish(),
        waiting_jobs: whole(waiting),
        vms: whole(ours.len()),
        cores: ours.iter().map(|vm| vm.spec.offering.cores).sum(),
        ..VirtualOrganizationStatus::default()
    }
}

/// Groups of this VO whose jobs another VO of the installation gets, in words.
fn taken(vo: &VirtualOrganization, all: &[Arc<VirtualOrganization>]) -> Option<String> {
    let name = vo.name_any();
    let rivals = all.iter().filter(|other| {
        other.spec.installation_ref == vo.spec.installation_ref && !deleting(other.as_ref()) && other.name_any() < name
    });
    let claims: Vec<String> = rivals
        .flat_map(|other| {
            let both = vo.spec.groups.iter().filter(|group| other.spec.groups.iter().any(|g| g.name == group.name));
            both.map(|group| format!("jobs of group {:?} go to VirtualOrganization {:?}", group.name, other.name_any()))
        })
        .collect();
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
