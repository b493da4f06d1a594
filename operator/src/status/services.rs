//! What a managed DiracInstallation says of its parts.

use crds::{
    ConditionType, Reason,
    installation::DiracInstallationStatus,
    managed::{Managed, Part},
};

use crate::{
    conditions::Conditions,
    known::services::{NOT_LOOKED_AT, Services},
};

/// The fields of the manifest that this version accepts and does not act on.
pub fn not_acted_on(managed: &Managed) -> Vec<&'static str> {
    let fields = [
        ("spec.managed.web", managed.web.as_ref().is_some_and(|web| web.enabled)),
        ("spec.managed.backup", managed.backup.is_some()),
        ("spec.managed.upgrade", managed.upgrade.is_some()),
        ("spec.managed.exposure", managed.exposure.is_some()),
    ];
    fields.into_iter().filter(|(_, is_asked)| *is_asked).map(|(field, _)| field).collect()
}

/// Whether its parts run.
pub fn says(services: Option<&Services>, conditions: &mut Conditions) {
    match services.map(|services| &services.lacks) {
        Some(None) => {
            conditions.says(ConditionType::ServicesReady, Some(true), Reason::ServicesRun, "every part runs");
        }
        Some(Some(lacks)) => {
            conditions.says(ConditionType::ServicesReady, Some(false), lacks.reason, &lacks.message);
        }
        None => {
            conditions.says(ConditionType::ServicesReady, None, Reason::NotRead, NOT_LOOKED_AT);
        }
    }
}

/// The parts and the address to show. What has not been looked at since the start is not nothing: the last ones stay.
pub fn shown(services: Option<&Services>, old: Option<&DiracInstallationStatus>) -> (Vec<Part>, Option<String>) {
    match services {
        Some(services) => (services.parts.clone(), services.address.clone()),
        None => old.map(|old| (old.parts.clone(), old.address.clone())).unwrap_or_default(),
    }
}
