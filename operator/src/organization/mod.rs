//! Virtual organisations: what the object says.

use crds::{VirtualOrganization, condition, organization::VirtualOrganizationStatus};

use crate::{context::Context, names::Key, status::Conditions};

/// The status of this VO now.
pub fn status(ctx: &Context, vo: &VirtualOrganization) -> VirtualOrganizationStatus {
    let key = Key::of(vo);
    let mut conditions = Conditions::of(vo.status.as_ref().map(|s| &s.conditions), vo.metadata.generation);
    let installation = &vo.spec.installation_ref.name;
    let mut missing = Vec::new();
    if ctx.stores.installations.get(&key.beside(installation)).is_none() {
        missing.push(format!(
            "DiracInstallation {installation:?} does not exist: create it or correct spec.installationRef"
        ));
    }
    conditions.resolved(&missing);
    let mut not = Vec::new();
    if vo.spec.share.is_some() {
        not.push("spec.share");
    }
    if vo.spec.budget.is_some() {
        not.push("spec.budget");
    }
    if vo.spec.identity_provider.is_some() {
        not.push("spec.identityProvider");
    }
    conditions.supported(&not);
    conditions.ready(&[condition::RESOLVED], "task queues of the VO's groups are counted as its demand");
    let round = ctx.installations.get(&key.beside(installation)).facts().round;
    let waiting = round.as_ref().and_then(|r| r.plan.waiting.get(&key.name)).copied().unwrap_or(0);
    let ours = ctx.vms_where(|vm| vm.spec.vo == key.name && Key::of(vm).namespace == key.namespace);
    VirtualOrganizationStatus {
        observed_generation: vo.metadata.generation,
        conditions: conditions.finish(),
        waiting_jobs: i64::try_from(waiting).unwrap_or(i64::MAX),
        vms: i64::try_from(ours.len()).unwrap_or(i64::MAX),
        cores: ours.iter().map(|vm| vm.spec.offering.cores).sum(),
    }
}
